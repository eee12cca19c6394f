//! `setStatusMessage`: the payload.
//!
//! Source: Graph API reference, `presence: setStatusMessage`, `presenceStatusMessage`, `itemBody`, `dateTimeTimeZone`. Inferred: that
//! a message without `contentType` is text, that an empty text removes the message, that `publishedDateTime` is ignored, that a
//! time without a zone is UTC, and that an end in the past is accepted.

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde_json::{Map, Value, json};

use super::arguments::{Arguments, required, wrong_type};
use super::behaviour;
use super::error::GraphError;
use crate::model::StatusMessage;
use presenced_core::calendar::zone_by_name;
use presenced_core::time::Now;

/// The status message of a payload; `None` if it removes the one that is there.
pub(super) fn read(arguments: &Arguments, now: &Now) -> Result<Option<StatusMessage>, GraphError> {
    let message = arguments.value("statusMessage").ok_or_else(|| required("statusMessage"))?;
    let message = object(message, "statusMessage", &["message", "expiryDateTime", "publishedDateTime"])?;
    let body = value(message, "message").ok_or_else(|| required("message"))?;
    let body = object(body, "message", &["content", "contentType"])?;
    let content = text(body, "content")?.ok_or_else(|| required("content"))?;
    let kind = text(body, "contentType")?.unwrap_or("text");
    if !kind.eq_ignore_ascii_case("text") {
        let message = format!("The contentType '{kind}' is not supported: a status message must be text.");
        return Err(GraphError::invalid(message, behaviour::NOT_TEXT));
    }
    let expiry = value(message, "expiryDateTime").map(expiry).transpose()?;
    let message = StatusMessage { content: content.to_owned(), expiry, published: now.wall };
    Ok(Some(message).filter(|message| !message.content.is_empty()))
}

/// A `dateTimeTimeZone`, as it was written and as a time.
fn expiry(written: &Value) -> Result<(Value, Timestamp), GraphError> {
    let fields = object(written, "expiryDateTime", &["dateTime", "timeZone"])?;
    let time = text(fields, "dateTime")?.ok_or_else(|| required("dateTime"))?;
    let name = text(fields, "timeZone")?.unwrap_or("UTC");
    let malformed =
        |what: &str, value: &str| GraphError::invalid_argument(format!("The value '{value}' is not {what}."));
    let is_local = time.split_once('T').is_some_and(|(_, clock)| !clock.contains(['Z', 'z', '+', '-', '[']));
    let local: Option<DateTime> = if is_local { time.parse().ok() } else { None };
    let local =
        local.ok_or_else(|| malformed("a date and time without a time zone, such as 2026-11-23T17:05:00", time))?;
    let zone = zone_by_name(name).ok_or_else(|| malformed("the name of a time zone, of Windows or IANA", name))?;
    let at = zone.to_timestamp(local).map_err(|_| malformed("a date and time that can be represented", time))?;
    Ok((json!({ "dateTime": time, "timeZone": name }), at))
}

/// The fields of an object that has no others than `known`.
fn object<'a>(value: &'a Value, name: &str, known: &[&str]) -> Result<&'a Map<String, Value>, GraphError> {
    let fields = value.as_object().ok_or_else(|| required(name))?;
    match fields.keys().find(|field| !known.contains(&field.as_str()) && !field.starts_with('@')) {
        Some(unknown) => {
            let message = format!("The property '{unknown}' does not exist on '{name}'.");
            Err(GraphError::bad_request(message, behaviour::UNKNOWN_PARAMETER))
        }
        None => Ok(fields),
    }
}

fn value<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, GraphError> {
    value(fields, name).map(|value| value.as_str().ok_or_else(|| wrong_type(name))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_expiry(time: &str, zone: &str) -> Option<String> {
        expiry(&json!({ "dateTime": time, "timeZone": zone })).ok().map(|(_, at)| at.to_string())
    }

    #[test]
    fn an_end_is_a_local_time_in_a_zone_of_windows_or_iana() {
        for (time, zone, expected) in [
            ("2022-10-18T17:05:33.2079781", "Pacific Standard Time", "2022-10-19T00:05:33.2079781Z"),
            ("2026-11-23T17:05:00", "Europe/Berlin", "2026-11-23T16:05:00Z"),
            ("2026-11-23T17:05", "UTC", "2026-11-23T17:05:00Z"),
            // In the night in which clocks go forward, this time does not exist.
            ("2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:30:00Z"),
        ] {
            assert_eq!(read_expiry(time, zone).as_deref(), Some(expected), "{time} {zone}");
        }
        for (time, zone) in [
            ("2026-11-23T17:05:00Z", "UTC"),
            ("2026-11-23T17:05:00+01:00", "UTC"),
            ("2026-11-23", "UTC"),
            ("17:05", "UTC"),
            ("soon", "UTC"),
            ("", "UTC"),
            ("2026-13-23T17:05:00", "UTC"),
            ("2026-11-23T17:05:00", "Mars/Olympus"),
            ("2026-11-23T17:05:00", ""),
            ("2026-11-23T17:05:00\0", "UTC"),
        ] {
            assert_eq!(read_expiry(time, zone), None, "{time} {zone}");
        }
    }
}
