//! The payload of an action: a JSON object with the action's parameters and nothing else.

use hyper::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::behaviour;
use super::duration::EdmDuration;
use super::error::GraphError;
use crate::message::Request;

/// The arguments of an action.
#[derive(Debug)]
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Reads the payload of `action`, which has the parameters `known`. An action without parameters may have an empty payload.
    pub(super) fn read(request: &Request, action: &str, known: &[&str]) -> Result<Self, GraphError> {
        let body = request.body.as_ref().ok_or_else(GraphError::too_large)?;
        if body.is_empty() && known.is_empty() {
            return Ok(Self(Map::new()));
        }
        let media_type = request.header(CONTENT_TYPE.as_str()).and_then(|value| value.split(';').next()).unwrap_or("");
        if !body.is_empty() && !media_type.trim().eq_ignore_ascii_case("application/json") {
            let message = "Entity only allows writes with a JSON Content-Type header.";
            return Err(GraphError::bad_request(message, behaviour::NOT_JSON));
        }
        let Ok(Value::Object(arguments)) = serde_json::from_slice(body) else {
            return Err(GraphError::bad_request(
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid \
                 JSON format.",
                behaviour::NOT_JSON,
            ));
        };
        if let Some(name) = arguments.keys().find(|name| !known.contains(&name.as_str()) && !name.starts_with('@')) {
            let message = format!(
                "The parameter '{name}' in the request payload is not a valid parameter for the operation '{action}'."
            );
            return Err(GraphError::bad_request(message, behaviour::UNKNOWN_PARAMETER));
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

    /// An optional text.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&str>, GraphError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name)),
        }
    }

    /// An optional duration.
    pub(super) fn duration(&self, name: &str) -> Result<Option<EdmDuration>, GraphError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => {
                let malformed = || {
                    GraphError::invalid_argument(format!(
                        "The value '{text}' of {name} is not an Edm.Duration such as PT5M or PT1H30M."
                    ))
                };
                EdmDuration::parse(text).map(Some).ok_or_else(malformed)
            }
            Some(_) => Err(wrong_type(name)),
        }
    }
}

/// The refusal of a missing field.
pub(super) fn required(name: &str) -> GraphError {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let field: String = first.into_iter().chain(letters).collect();
    let behaviour = if name == "sessionId" { behaviour::NO_SESSION_ID } else { behaviour::INVALID_VALUE };
    GraphError::invalid(format!("[{field}]: The {field} field is required."), behaviour)
}

/// The refusal of a field that is not a text.
pub(super) fn wrong_type(name: &str) -> GraphError {
    let message = format!("Cannot convert the value of '{name}' to the expected type 'Edm.String'.");
    GraphError::bad_request(message, behaviour::UNKNOWN_PARAMETER)
}
