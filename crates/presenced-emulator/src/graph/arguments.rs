//! The payload of an action: a JSON object with the parameters the action has, and nothing else.

use std::time::Duration;

use hyper::header::CONTENT_TYPE;
use jiff::{Span, SpanRelativeTo};
use serde_json::{Map, Value};

use super::error::Refusal;
use crate::message::Request;

/// What an action was given.
#[derive(Debug)]
pub(super) struct Arguments(Map<String, Value>);

/// An `expirationDuration` as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// A length of time.
    Is(Duration),
    /// One that is below zero.
    Negative,
}

impl Arguments {
    /// Reads the payload of `action`, which knows the parameters `known`. An action without parameters needs no payload.
    pub(super) fn read(request: &Request, action: &str, known: &[&str]) -> Result<Self, Refusal> {
        let body = request.body.as_ref().ok_or_else(Refusal::too_large)?;
        if body.is_empty() && known.is_empty() {
            return Ok(Self(Map::new()));
        }
        let media_type = request.header(CONTENT_TYPE.as_str()).and_then(|value| value.split(';').next()).unwrap_or("");
        if !body.is_empty() && !media_type.trim().eq_ignore_ascii_case("application/json") {
            return Err(Refusal::bad_request("Entity only allows writes with a JSON Content-Type header."));
        }
        let Ok(Value::Object(arguments)) = serde_json::from_slice(body) else {
            return Err(Refusal::bad_request(
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid \
                 JSON format.",
            ));
        };
        if let Some(name) = arguments.keys().find(|name| !known.contains(&name.as_str()) && !name.starts_with('@')) {
            return Err(Refusal::bad_request(format!(
                "The parameter '{name}' in the request payload is not a valid parameter for the operation '{action}'."
            )));
        }
        Ok(Self(arguments))
    }

    /// A parameter, whatever it holds; `null` is as good as absent.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text that must be there.
    pub(super) fn text(&self, name: &str) -> Result<&str, Refusal> {
        match self.value(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
            Some(Value::String(_)) | None => {
                let mut letters = name.chars();
                let first = letters.next().map(|letter| letter.to_ascii_uppercase());
                let field: String = first.into_iter().chain(letters).collect();
                Err(Refusal::invalid_argument(format!("[{field}]: The {field} field is required.")))
            }
            Some(_) => Err(wrong_type(name)),
        }
    }

    /// A length of time in ISO 8601, if it is there.
    pub(super) fn length(&self, name: &str) -> Result<Option<Length>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let malformed = || Refusal::invalid_argument(format!("The value '{text}' of {name} is no duration."));
                read_length(text).map(Some).ok_or_else(malformed)
            }
            Some(_) => Err(wrong_type(name)),
        }
    }
}

fn wrong_type(name: &str) -> Refusal {
    Refusal::bad_request(format!("Cannot convert the value of '{name}' to the expected type 'Edm.String'."))
}

/// ISO 8601 with days of 24 hours. Months and years have no length, and jiff's friendlier forms are not Graph's.
fn read_length(text: &str) -> Option<Length> {
    if !text.trim_start_matches(['+', '-']).starts_with('P') {
        return None;
    }
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Some(Duration::try_from(duration).map_or(Length::Negative, Length::Is))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_iso_8601_and_nothing_friendlier() {
        let secs = |secs| Some(Length::Is(Duration::from_secs(secs)));
        for (text, expected) in [
            ("PT5M", secs(300)),
            ("PT300S", secs(300)),
            ("PT4H", secs(14_400)),
            ("P1D", secs(86_400)),
            ("P7DT1H", secs(608_400)),
            ("-PT5M", Some(Length::Negative)),
            ("P1M", None),
            ("P1Y", None),
            ("5m", None),
            ("5 minutes", None),
            ("P", None),
            ("PT", None),
            ("PT5", None),
            ("", None),
            ("banana", None),
        ] {
            assert_eq!(read_length(text), expected, "{text}");
        }
    }
}
