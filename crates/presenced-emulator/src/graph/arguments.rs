//! The payload of an action: a JSON object with the action's parameters and nothing else.

use std::time::Duration;

use hyper::header::CONTENT_TYPE;
use jiff::{Span, SpanRelativeTo};
use serde_json::{Map, Value};

use super::error::GraphError;
use crate::message::Request;

/// The arguments of an action.
#[derive(Debug)]
pub(super) struct Arguments(Map<String, Value>);

/// An `expirationDuration` from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpirationDuration {
    /// Zero or more.
    NotNegative(Duration),
    /// Below zero.
    Negative,
}

impl Arguments {
    /// Reads the payload of `action`, which has the parameters `known`. An action without parameters may have an empty payload.
    pub(super) fn read(request: &Request, action: &str, known: &[&str]) -> Result<Self, GraphError> {
        let body = request.body.as_ref().ok_or_else(GraphError::too_large)?;
        if body.is_empty() && known.is_empty() {
            return Ok(Self(Map::new()));
        }
        let media_type = request.header(CONTENT_TYPE.as_str()).and_then(|value| value.split(';').next()).unwrap_or("");
        if !body.is_empty() && !media_type.trim().eq_ignore_ascii_case("application/json") {
            return Err(GraphError::bad_request("Entity only allows writes with a JSON Content-Type header."));
        }
        let Ok(Value::Object(arguments)) = serde_json::from_slice(body) else {
            return Err(GraphError::bad_request(
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid \
                 JSON format.",
            ));
        };
        if let Some(name) = arguments.keys().find(|name| !known.contains(&name.as_str()) && !name.starts_with('@')) {
            return Err(GraphError::bad_request(format!(
                "The parameter '{name}' in the request payload is not a valid parameter for the operation '{action}'."
            )));
        }
        Ok(Self(arguments))
    }

    /// The value of a parameter; `None` if it is missing or `null`.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A required list of texts that is not empty.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<&str>, GraphError> {
        match self.value(name) {
            Some(Value::Array(values)) if !values.is_empty() => {
                values.iter().map(|value| value.as_str().ok_or_else(|| wrong_type(name))).collect()
            }
            Some(Value::Array(_)) | None => Err(required(name)),
            Some(_) => Err(wrong_type(name)),
        }
    }

    /// A required text.
    pub(super) fn text(&self, name: &str) -> Result<&str, GraphError> {
        match self.value(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
            Some(Value::String(_)) | None => Err(required(name)),
            Some(_) => Err(wrong_type(name)),
        }
    }

    /// An optional duration in ISO 8601.
    pub(super) fn duration(&self, name: &str) -> Result<Option<ExpirationDuration>, GraphError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let malformed =
                    || GraphError::invalid_argument(format!("The value '{text}' of {name} is not a duration."));
                read_duration(text).map(Some).ok_or_else(malformed)
            }
            Some(_) => Err(wrong_type(name)),
        }
    }
}

fn required(name: &str) -> GraphError {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let field: String = first.into_iter().chain(letters).collect();
    GraphError::invalid_argument(format!("[{field}]: The {field} field is required."))
}

fn wrong_type(name: &str) -> GraphError {
    GraphError::bad_request(format!("Cannot convert the value of '{name}' to the expected type 'Edm.String'."))
}

/// Reads ISO 8601 with days of 24 hours. Months and years are refused because their length varies. Graph does not accept jiff's
/// friendlier forms.
fn read_duration(text: &str) -> Option<ExpirationDuration> {
    if !text.trim_start_matches(['+', '-']).starts_with('P') {
        return None;
    }
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Some(Duration::try_from(duration).map_or(ExpirationDuration::Negative, ExpirationDuration::NotNegative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_iso_8601_durations_are_accepted() {
        let secs = |secs| Some(ExpirationDuration::NotNegative(Duration::from_secs(secs)));
        for (text, expected) in [
            ("PT5M", secs(300)),
            ("PT300S", secs(300)),
            ("PT4H", secs(14_400)),
            ("P1D", secs(86_400)),
            ("P7DT1H", secs(608_400)),
            ("-PT5M", Some(ExpirationDuration::Negative)),
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
            assert_eq!(read_duration(text), expected, "{text}");
        }
    }
}
