//! Finds words in foreign text that look private: addresses, hosts, paths, ids and tokens.

use std::net::{IpAddr, SocketAddr};

use super::text::Kind;
use crate::presence::Presence;

/// Words that look like a host but are not.
const NO_HOST_BEGINS: [&str; 8] =
    ["Presence.", "org.cinnamon.", "org.freedesktop.", "org.gnome.", "org.mate.", "org.xfce.", "fs.inotify.", "xdg-"];
const NO_HOST_ENDS: [&str; 4] = ["presenced.service", "config.toml", "logind.conf", ".md"];

/// The least length of an access token.
const MIN_TOKEN_CHARACTERS: usize = 24;

/// What kind of private word this looks like, if any.
pub(super) fn suspect(word: &str) -> Option<Kind> {
    if word.is_empty() || word.parse::<Presence>().is_ok() {
        return None;
    }
    if word.contains("://") {
        return Some(Kind::Address);
    }
    if word.contains('@') {
        return Some(Kind::Mail);
    }
    if is_address(word) {
        return Some(Kind::Host);
    }
    let is_doc = word.starts_with("docs/") && word.contains(".md");
    if (word.contains('/') || word.starts_with('~') || word.contains('\\')) && !is_doc {
        return Some(Kind::Path);
    }
    if word.parse::<uuid::Uuid>().is_ok() {
        return Some(Kind::Id);
    }
    if word.len() >= MIN_TOKEN_CHARACTERS && word.chars().any(|char| char.is_ascii_digit()) || word.starts_with("eyJ") {
        return Some(Kind::Token);
    }
    is_host(word).then_some(Kind::Host)
}

/// Whether it is an IP address, perhaps with a port, of another machine.
fn is_address(word: &str) -> bool {
    let address = word.parse::<IpAddr>().ok().or_else(|| word.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.is_some_and(|address| !address.is_loopback())
}

fn is_host(word: &str) -> bool {
    let name = word.rsplit_once(':').map_or(word, |(name, _)| name);
    let Some((_, last)) = name.rsplit_once('.') else { return false };
    let is_label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    let is_name = name.split('.').all(is_label) && last.chars().count() > 1 && last.chars().all(char::is_alphabetic);
    is_name
        && !NO_HOST_BEGINS.iter().any(|begin| word.starts_with(begin))
        && !NO_HOST_ENDS.iter().any(|end| word.ends_with(end))
}
