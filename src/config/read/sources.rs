//! `sources` of `[signals.calendar]`: files, folders and subscriptions. No message repeats a subscription's address.

use std::time::Duration;

use url::Url;

use super::section::Section;
use super::{Reader, Value};
use crate::config::owners::Entry;
use crate::config::{CalendarPlace, CalendarSource, SecretUrl, Subscription};
use crate::loopback::is_loopback;

pub(super) const SOURCES: &str = "sources = [{ path = \"~/.calendars/work\" }]";
const URL: &str = "write { url = \"https://…\" }, the address at which the calendar is published as iCalendar (.ics)";

impl Reader<'_> {
    pub(super) fn sources(&mut self, sources: &[Value<'_>]) -> Vec<CalendarSource> {
        sources.iter().filter_map(|value| self.source(value)).collect()
    }

    fn source(&mut self, value: &Value<'_>) -> Option<CalendarSource> {
        let Some(table) = value.get_ref().as_table() else {
            let message = "a source is a table with a `path` or a `url`";
            self.wrong(value.span(), message, format!("write {SOURCES}, or {{ url = \"https://…\" }}"));
            return None;
        };
        let mut section = Section::new("a source", value.span(), table);
        let optional = section.get("optional").map_or(Some(false), |value| self.boolean("optional", value));
        let place = match (section.get("path"), section.get("url")) {
            (Some(_), Some(url)) => {
                let message = "a source has a `path` or a `url`, but this has both";
                self.wrong(url.span(), message, "split it into two sources");
                section.get("refresh");
                None
            }
            (None, Some(url)) => {
                let url = self.subscription_url(url);
                let refresh = section.get("refresh").map_or(Some(Subscription::REFRESH), |value| self.refresh(value));
                url.zip(refresh).map(|(url, refresh)| CalendarPlace::Subscription(Subscription { url, refresh }))
            }
            (Some(path), None) => {
                if let Some(refresh) = section.get("refresh") {
                    let message = "`refresh` belongs to a `url`; files and folders are watched";
                    self.wrong(refresh.span(), message, "remove `refresh`");
                }
                self.source_path(path)
            }
            (None, None) => {
                let help = "write { path = \"…\" }: a calendar file, or a folder that is searched for *.ics; or { url = \
                            \"https://…\" }";
                self.wrong(section.span.clone(), "a source has no `path` and no `url`", help);
                section.get("refresh");
                None
            }
        };
        self.finish(&section);
        place.zip(optional).map(|(place, optional)| CalendarSource { place, optional })
    }

    fn source_path(&mut self, value: &Value<'_>) -> Option<CalendarPlace> {
        if value.get_ref().as_str().is_some_and(|text| text.contains("://")) {
            self.wrong(value.span(), "`path` is an address, but `path` is for files and folders", URL);
            return None;
        }
        let (path, owners) = self.owners_path(value, Entry::Calendar)?;
        Some(owners.map_or(CalendarPlace::Path(path), CalendarPlace::Owners))
    }

    fn subscription_url(&mut self, value: &Value<'_>) -> Option<SecretUrl> {
        let text = self.text("url", value)?.trim();
        if ["{user}", "{account}"].iter().any(|placeholder| text.contains(placeholder)) {
            let message = "`url` cannot stand for many calendars; only a `path` can";
            self.wrong(
                value.span(),
                message,
                "let a program fetch them, and write path = \"/srv/calendars/{user}.ics\"",
            );
            return None;
        }
        // `webcal` says what is there, not how to reach it: by https, like any other address.
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None => (String::new(), text),
        };
        let parsed = match scheme.as_str() {
            "http" | "https" => Url::parse(text),
            "webcals" => Url::parse(&format!("https://{rest}")),
            "webcal" => Url::parse(&format!("https://{rest}"))
                .map(|url| if is_loopback(&url) { Url::parse(&format!("http://{rest}")).unwrap_or(url) } else { url }),
            _ => {
                let message = "`url` is not an address that begins with https://, webcal:// or webcals://";
                self.wrong(value.span(), message, URL);
                return None;
            }
        };
        match parsed {
            Err(error) => self.wrong(value.span(), format!("`url` is not a valid address: {error}"), URL),
            Ok(url) if url.scheme() == "http" && !is_loopback(&url) => {
                let host = url.host_str().unwrap_or_default();
                let message = format!("plain http would send the address and the calendar unencrypted ({host})");
                let help = "use https; plain http goes only to loopback: 127.0.0.0/8, [::1] or localhost";
                self.wrong(value.span(), message, help);
            }
            Ok(url) => return Some(SecretUrl::new(url)),
        }
        None
    }

    fn refresh(&mut self, value: &Value<'_>) -> Option<Duration> {
        let example = "write 1 minute to 24 hours, like \"15m\", \"1h 30m\" or \"PT15M\"";
        let (duration, text) = self.duration(value, example)?;
        let (short, long) = (Subscription::REFRESH_MIN, Subscription::REFRESH_MAX);
        let message = match Duration::try_from(duration) {
            Ok(refresh) if (short..=long).contains(&refresh) => return Some(refresh),
            Ok(refresh) if refresh > long => format!("`{text}` is longer than 24 hours"),
            Ok(_) | Err(_) => format!("`{text}` is shorter than a minute"),
        };
        self.wrong(value.span(), message, example);
        None
    }
}
