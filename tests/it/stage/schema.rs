//! Microsoft's schema of the presence actions, kept as facts in `tests/schema/presence.json`: parameter, type, nullability.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// A parameter of an action.
#[derive(Debug, Deserialize)]
pub(crate) struct Parameter {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) nullable: bool,
}

#[derive(Deserialize)]
struct Schema {
    actions: BTreeMap<String, BTreeMap<String, Parameter>>,
}

/// The actions, each with its parameters.
pub(crate) fn actions() -> BTreeMap<String, BTreeMap<String, Parameter>> {
    let schema: Schema = serde_json::from_str(include_str!("../../schema/presence.json")).expect("the facts are JSON");
    schema.actions
}

/// What is wrong with the body of a request, if anything.
pub(crate) fn problem(action: &str, body: &Value) -> Option<String> {
    let actions = actions();
    let Some(parameters) = actions.get(action) else { return Some(format!("there is no action {action}")) };
    let Some(body) = body.as_object() else { return Some("it is not an object".to_owned()) };
    if let Some(unknown) = body.keys().find(|name| !parameters.contains_key(*name)) {
        return Some(format!("{action} has no parameter {unknown}"));
    }
    parameters.iter().find_map(|(name, parameter)| match body.get(name).filter(|value| !value.is_null()) {
        None if parameter.nullable => None,
        None => Some(format!("{name} is missing")),
        Some(value) if is_of(&parameter.kind, value) => None,
        Some(value) => Some(format!("{name} is not an {}: {value}", parameter.kind)),
    })
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "Edm.String" | "graph.workLocationType" => value.is_string(),
        "Edm.Duration" => value.as_str().is_some_and(is_duration),
        "Collection(Edm.String)" => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
        "graph.presenceStatusMessage" => value.is_object(),
        other => panic!("the facts have a type that nobody checks: {other}"),
    }
}

/// `OData`'s grammar: `P`, days, and after a `T` hours, minutes and seconds, each at most once and in this order.
fn is_duration(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some(rest) = unsigned.strip_prefix('P') else { return false };
    match rest.split_once('T') {
        Some((days, time)) => !time.is_empty() && has_units(days, "D") && has_units(time, "HMS"),
        None => !rest.is_empty() && has_units(rest, "D"),
    }
}

/// Whether the text is numbers, each followed by one of the units, in their order.
fn has_units(text: &str, units: &str) -> bool {
    let mut left = units;
    text.split_inclusive(|c: char| !c.is_ascii_digit() && c != '.').all(|part| {
        let Some(place) = part.chars().last().and_then(|unit| left.find(unit)) else { return false };
        left = &left[place + 1..];
        part.starts_with(|c: char| c.is_ascii_digit())
    })
}
