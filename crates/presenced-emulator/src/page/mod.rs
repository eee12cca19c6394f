//! `GET /`: a page for a browser, and the help text for curl.
//!
//! The page is three static files. It may load only those, and gets all that it shows from `/_emulator/events`.

use hyper::StatusCode;
use hyper::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};

use super::help::HELP_TEXT;
use super::message::{Reply, Request};

/// What the page may do: load its own two files and its icon, and ask this emulator.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page for who asks for HTML, as browsers do; the help text for anybody else.
pub(super) fn help_or_page(request: &Request) -> Reply {
    let accepted = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let reply = if accepted.flat_map(|value| value.split(',')).any(is_html) {
        file(include_str!("page.html"), "text/html; charset=utf-8").with(CONTENT_SECURITY_POLICY, POLICY)
    } else {
        Reply::text(StatusCode::OK, HELP_TEXT.to_owned())
    };
    reply.with(VARY, "Accept")
}

/// Whether this entry of an `Accept` header asks for HTML.
fn is_html(entry: &str) -> bool {
    entry.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("text/html"))
}

/// `/_emulator/page.css`.
pub(super) fn style() -> Reply {
    file(include_str!("page.css"), "text/css; charset=utf-8")
}

/// `/_emulator/page.js`.
pub(super) fn script() -> Reply {
    file(include_str!("page.js"), "text/javascript; charset=utf-8")
}

fn file(text: &str, media_type: &str) -> Reply {
    // Another version of the emulator may be on this port tomorrow.
    Reply::text(StatusCode::OK, text.to_owned())
        .with(CONTENT_TYPE, media_type)
        .with(CACHE_CONTROL, "no-store")
        .with(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .with(REFERRER_POLICY, "no-referrer")
}
