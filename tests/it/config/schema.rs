//! The JSON Schema of `presenced check --schema` and the reader agree: on every key, on every word, on every default, and on
//! some thousand configurations of which each has one thing wrong. A validator that others wrote judges by the schema.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use presenced::config::{Config, schema};
use serde_json::{Map, Value, json};

use super::examples::{reference_with_every_default, shown, ways_to_sign_in};
use super::parse;

/// Between them these use every key.
const EVERY_KEY: [&str; 2] = [
    r#"
[accounts.work]
tenant = "contoso.onmicrosoft.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f87"
user = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
cloud = "us-gov"
auth = { method = "client-certificate", certificate = "/etc/bot.pem", key = { file = "/etc/bot.key" } }
endpoints = { graph = "https://graph.example/v1.0", login = "https://login.example" }
[accounts.with-command]
tenant = "22553876-f5ab-4529-bffb-cfe50aa89f87"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f88"
user = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
auth = { method = "token-command", command = ["graph-token", "--user"] }
[accounts.with-env]
tenant = "contoso.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f89"
user = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
auth = { method = "client-secret", secret = { env = "SECRET" } }
[tokens]
store = "file"
[session]
expiration = "1h 30m"
on_exit = "keep"
verify = true
[signals.calendar]
sources = [{ path = "~/calendars", optional = true }, { url = "webcal://calendar.example/a.ics", refresh = "1h", optional = false }]
identity = ["me@contoso.com"]
enabled = true
[signals.lock]
enabled = true
[signals.call]
path = "/run/calls"
stale_after = "2m"
enabled = true
[signals.microphone]
allow = ["Zoom"]
deny = ["obs", "audacity"]
settle = "5s"
enabled = true
[signals.idle]
after = "5m"
enabled = true
[status]
listen = "127.0.0.1:9464"
[log]
level = "presenced=debug,warn"
dir = "~/logs"
[history]
enabled = false
keep = "12h"
max_size = "10MB"
[[rules]]
name = "one of each"
when = { account = "work", call = "in-call", sleep = "awake", lock = "unlocked", idle = "active", calendar = "busy", online = true, within = "Mon..Fri 08:30-18:00", outside = "12:00-13:00 UTC", signal = { door = "open" } }
set = "Busy/InACall"
expiration = "PT5M"
prefer = true
[[rules]]
name = "some of each"
when = { account = ["work"], call = ["idle", "off"], sleep = ["awake"], lock = ["locked", "off"], idle = ["idle"], calendar = ["free", "tentative"], within = ["Sat", "Sun 10:00-12:00"], outside = ["12:00-13:00"], signal = { door = ["open", "ajar"] } }
set = "nothing"
"#,
    r#"
[accounts.with-credential]
tenant = "contoso.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f89"
user = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
auth = { method = "client-secret", secret = { credential = "client-secret" } }
[accounts.with-secret-command]
tenant = "contoso.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f80"
user = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
auth = { method = "federated", assertion = { command = ["github-token", "fetch"] } }
[accounts.with-keyring]
tenant = "contoso.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f81"
user = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
auth = { method = "client-secret", secret = { keyring = { service = "presenced", key = "client-secret" } } }
[accounts.person]
tenant = "contoso.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f82"
auth = { method = "browser" }
[accounts.in-france]
tenant = "contoso.fr"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f83"
cloud = "bleu"
auth = { method = "browser" }
endpoints = { graph = "https://graph.example/v1.0" }
[accounts.of-a-list]
tenant = "contoso.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f84"
users = ["fa8bf3dc-eca7-46b7-bad1-db199b62afc3", "FA8BF3DC-eca7-46b7-bad1-db199b62afc4 Anna Arendt"]
rate = { requests = 3000, per = "1m" }
auth = { method = "token-command", command = ["graph-token"] }
[accounts.of-a-file]
tenant = "contoso.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f84"
users = { file = "~/agents" }
rate = {}
auth = { method = "federated", assertion = { file = "/run/assertion" } }
[accounts.of-whoever-calls]
tenant = "contoso.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f84"
users = "signalled"
auth = { method = "client-certificate", certificate = "/etc/bot.pem" }
[signals.calendar]
enabled = false
"#,
];

/// A step from a value to one in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Item(usize),
}

/// A value of a document, and what the schema says of it.
struct Place<'s> {
    path: Vec<Step>,
    /// Its key, in what tables: `accounts.NAME.auth.method`.
    name: String,
    schema: &'s Value,
}

fn document(text: &str) -> Value {
    toml::from_str(text).expect("it is TOML")
}

fn read(document: &Value) -> Result<Config, Vec<(String, String)>> {
    let text = toml::to_string(document).expect("it can be written as TOML");
    parse(&text).map_err(|problems| {
        problems.iter().map(|problem| (problem.message.clone(), problem.help.clone().unwrap_or_default())).collect()
    })
}

fn places<'s>(schema: &'s Value, document: &Value) -> Vec<Place<'s>> {
    let mut found = Vec::new();
    find_places(schema, document, &[], "", &mut found);
    found
}

fn find_places<'s>(schema: &'s Value, value: &Value, path: &[Step], name: &str, found: &mut Vec<Place<'s>>) {
    found.push(Place { path: path.to_vec(), name: name.to_owned(), schema });
    let name = table_name(schema, name);
    let step = |step| [path, &[step]].concat();
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let (name, schema) = match (schema["properties"].get(key), named(schema)) {
                    (Some(schema), _) => (below(name, key), schema),
                    (None, Some(schema)) => (below(name, "NAME"), schema),
                    (None, None) => panic!("the schema knows no {key} in {name}"),
                };
                find_places(schema, value, &step(Step::Key(key.clone())), &name, found);
            }
        }
        Value::Array(list) => {
            let schema = schema.get("items").unwrap_or_else(|| &schema["anyOf"][1]["items"]);
            for (at, value) in list.iter().enumerate() {
                find_places(schema, value, &step(Step::Item(at)), name, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a table whose keys are names has behind each.
fn named(schema: &Value) -> Option<&Value> {
    let patterns = schema["patternProperties"].as_object();
    patterns.and_then(|patterns| patterns.values().next()).or_else(|| schema.get("additionalProperties"))
}

/// A secret is the same wherever it stands.
fn table_name<'n>(schema: &Value, name: &'n str) -> &'n str {
    if schema["properties"].get("credential").is_some() { "Secrets" } else { name }
}

fn below(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}

/// Every key that the schema has, by the name of its place, with what it says of it.
pub(super) fn keys(schema: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    find_keys(schema, "", &mut found);
    found
}

fn find_keys<'s>(schema: &'s Value, name: &str, found: &mut BTreeMap<String, &'s Value>) {
    let name = table_name(schema, name);
    for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
        let name = below(name, key);
        find_keys(schema, &name, found);
        found.insert(name, schema);
    }
    if let Some(schema) = named(schema).filter(|schema| schema.is_object()) {
        find_keys(schema, &below(name, "NAME"), found);
    }
    if let Some(schema) = schema.get("items") {
        find_keys(schema, name, found);
    }
}

fn at<'v>(document: &'v mut Value, path: &[Step]) -> &'v mut Value {
    path.iter().fold(document, |value, step| match step {
        Step::Key(key) => &mut value[key.as_str()],
        Step::Item(at) => &mut value[*at],
    })
}

fn with(document: &Value, path: &[Step], put: Value) -> Value {
    let mut changed = document.clone();
    *at(&mut changed, path) = put;
    changed
}

/// What the validator says of each document: why it is invalid, or nothing.
fn verdicts(documents: &[Value]) -> Vec<Option<String>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/config/validate.py");
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs python3: apt-get install python3");
    let question = json!({ "schema": schema(), "documents": documents }).to_string();
    python.stdin.take().unwrap().write_all(question.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "this test needs jsonschema for Python: apt-get install python3-jsonschema");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The words in backquotes.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn what_is_shown_in_the_documents_is_valid() {
    let mut shown = shown();
    let others =
        EVERY_KEY.map(str::to_owned).into_iter().chain(ways_to_sign_in()).chain([reference_with_every_default()]);
    shown.extend(others.map(|text| (text.clone(), text)));
    let documents: Vec<Value> = shown.iter().map(|(_, text)| document(text)).collect();
    for ((origin, text), verdict) in shown.iter().zip(verdicts(&documents)) {
        assert_eq!(verdict, None, "{origin}");
        assert!(read(&document(text)).is_ok(), "{origin}");
    }
}

/// Of each value of a good document, wrong kinds of values and a wrong word in its place; in each table, a key that none has, and
/// one that it has not.
#[test]
fn with_one_thing_wrong_reader_and_schema_judge_alike() {
    let schema = schema();
    let mut changed: Vec<(String, Value)> = Vec::new();
    for text in EVERY_KEY {
        let good = document(text);
        for Place { path, name, schema } in places(&schema, &good) {
            let wrong = [json!(1), json!(1.5), json!(true), json!(""), json!("zzz"), json!([]), json!([1]), json!({})];
            for put in wrong.into_iter().filter(|_| !path.is_empty()) {
                changed.push((format!("{name} is {put}"), with(&good, &path, put)));
            }
            let mut more = good.clone();
            if let Value::Object(table) = at(&mut more, &path) {
                table.insert("zzz".to_owned(), json!("zzz"));
                changed.push((format!("{name} has a key zzz"), more));
            }
            // Of several keys only one may be there, or not with that method.
            for key in schema["properties"].as_object().into_iter().flat_map(Map::keys) {
                let mut more = good.clone();
                if let Some(absent) = at(&mut more, &path).as_object_mut().filter(|table| !table.contains_key(key)) {
                    absent.insert(key.clone(), json!("zzz"));
                    changed.push((format!("{}.{key} is \"zzz\"", table_name(schema, &name)), more));
                }
            }
            if let [before @ .., Step::Key(key)] = &path[..] {
                let mut less = good.clone();
                at(&mut less, before).as_object_mut().unwrap().remove(key);
                changed.push((format!("{name} is not there"), less));
            }
        }
    }
    assert!(changed.len() > 1000, "{}", changed.len());
    let documents: Vec<Value> = changed.iter().map(|(_, document)| document.clone()).collect();
    let mut wrong = 0;
    for ((change, document), verdict) in changed.iter().zip(verdicts(&documents)) {
        let problems = read(document).err();
        // A rule can be for an account that is not there any more.
        let no_account = |(message, _): &(String, String)| message.starts_with("there is no account");
        if problems.as_ref().is_some_and(|problems| problems.iter().all(no_account)) && verdict.is_none() {
            continue;
        }
        // What makes hours of a text is too much for a pattern.
        let are_hours = change.ends_with("is \"zzz\"") && (change.contains("within") || change.contains("outside"));
        if are_hours {
            assert!(problems.is_some() && verdict.is_none(), "{change}");
            continue;
        }
        assert_eq!(problems.is_some(), verdict.is_some(), "{change}\nreader: {problems:?}\nschema: {verdict:?}");
        wrong += usize::from(problems.is_some());
    }
    assert!(wrong > 800, "{wrong}");
}

#[test]
fn reader_and_schema_know_the_same_keys() {
    let schema = schema();
    let mut seen = BTreeSet::new();
    for text in EVERY_KEY {
        let good = document(text);
        for place in places(&schema, &good) {
            let mut more = good.clone();
            let is_table = at(&mut more, &place.path).is_object();
            // What may be a table has keys, and may also be something else.
            if let Some(properties) = place.schema["properties"].as_object().filter(|_| is_table) {
                at(&mut more, &place.path)["zzz"] = json!("zzz");
                let problems = read(&more).expect_err("there is no such key");
                let [(message, help)] = &problems[..] else { panic!("{problems:?}") };
                let known: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
                if message.ends_with("a key that does not say where a secret is") {
                    let places: BTreeSet<&str> =
                        help.split("{ ").filter_map(|form| Some(form.split_once(" =")?.0)).collect();
                    assert_eq!(places, known, "{help}");
                } else {
                    assert!(message.ends_with("has no key `zzz`"), "{message}");
                    let allowed = known.iter().filter(|key| !is_of_another_method(&good, &place, key));
                    assert_eq!(quoted(help), allowed.copied().collect(), "{}", place.name);
                }
            }
            seen.insert(place.name);
        }
    }
    for (name, schema) in keys(&schema) {
        assert!(seen.contains(&name), "{name} is in none of the documents above");
        let description = schema["description"].as_str().unwrap_or_default();
        assert!(description.ends_with(['.', '…']) && description.len() <= 130, "{name}: {description}");
    }
}

/// Which keys `auth` has depends on its method.
fn is_of_another_method(document: &Value, place: &Place<'_>, key: &str) -> bool {
    if place.name.rsplit('.').next() != Some("auth") {
        return false;
    }
    let method = at(&mut document.clone(), &place.path)["method"].clone();
    let rules = place.schema["allOf"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["if"]["properties"]["method"]["const"] == method).unwrap();
    rule["then"]["properties"].get(key).is_some()
}

#[test]
fn reader_and_schema_know_the_same_words() {
    let schema = schema();
    let mut lists = 0;
    for text in EVERY_KEY {
        let good = document(text);
        for place in places(&schema, &good) {
            let mut alternatives = place.schema["anyOf"].as_array().into_iter().flatten();
            let words = place.schema.get("enum").or_else(|| alternatives.find_map(|one| one.get("enum")));
            let Some(words) = words.and_then(Value::as_array) else { continue };
            let problems = read(&with(&good, &place.path, json!("zzz"))).expect_err("there is no such word");
            let (message, help) = problems.first().expect("a problem");
            assert!(message.contains("`zzz`"), "{message}");
            let words: BTreeSet<&str> = words.iter().filter_map(Value::as_str).collect();
            let (listed, _) = help.split_once(", or a filter").unwrap_or((help, ""));
            assert_eq!(quoted(listed), words, "{}: {help}", place.name);
            lists += 1;
        }
    }
    assert!(lists >= 20, "{lists}");
}

#[test]
fn what_the_schema_calls_the_default_is_what_the_reader_takes_without() {
    let schema = schema();
    let mut looked_at = BTreeSet::new();
    let mut good = document(EVERY_KEY[0]);
    good["accounts"]["work"]["rate"] = json!({ "requests": 1, "per": "1s" });
    for place in places(&schema, &good) {
        let Some(default) = place.schema.get("default") else { continue };
        let [before @ .., Step::Key(key)] = &place.path[..] else { panic!("a default of {:?}", place.path) };
        let mut without = good.clone();
        at(&mut without, before).as_object_mut().unwrap().remove(key);
        let mut defaulted = read(&with(&good, &place.path, default.clone())).expect("a default is a good value");
        if key == "level" {
            // Said so where logs are made.
            assert_eq!(defaulted.log.level.take().as_deref(), Some("info"));
        }
        assert_eq!(defaulted, read(&without).expect("what has a default can be left out"), "{key}");
        looked_at.insert(place.name);
    }
    let defaults: BTreeSet<String> =
        keys(&schema).into_iter().filter(|(_, schema)| schema.get("default").is_some()).map(|(name, _)| name).collect();
    assert_eq!(looked_at, defaults);
}
