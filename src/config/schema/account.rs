//! `[accounts.NAME]`, with the ways to sign in and the places for a secret.

use serde_json::{Value, json};

use super::value::{
    ID, Meaning, SOMETHING, duration, id, named, part, path, table, text, texts, with_default, with_meaning, words,
};
use crate::config::Cloud;
use crate::config::read::MAX_REQUESTS;
use crate::fill::Fill as _;
use crate::pacer::Rate;

/// The methods by which a person signs in.
const BY_PERSON: [&str; 2] = ["device-code", "browser"];
/// Those that need no person: for them the configuration must say whose presence to hold.
const BY_ITSELF: [&str; 4] = ["client-secret", "client-certificate", "federated", "token-command"];

/// An object id, then optionally a name. The reader knows more about names.
const USER: &str = r"^\s*[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(\s.*)?$";

pub(super) fn accounts() -> Value {
    let mut accounts = named("The accounts, each with a name of your choice; at least one.", &account());
    accounts["minProperties"] = 1.into();
    accounts
}

fn account() -> Value {
    let mut account = table(
        "An account: who signs in, and whose presence is held.",
        &["tenant", "client_id", "auth"],
        json!({
            "tenant": with_meaning(
                text(
                    "The tenant: its domain name, or its Directory (tenant) id.",
                    &format!(r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$|{ID}"),
                ),
                Meaning::Tenant,
            ),
            "client_id": id("The Application (client) id of the app registration."),
            "user": id("The object id of the user whose presence is held; it may be left out where a person signs in."),
            "users": users(),
            "rate": table(
                "How many requests Microsoft Graph allows this application in this tenant; presenced stays below it.",
                &[],
                json!({
                    "requests": with_default(
                        json!({
                            "type": "integer",
                            "description": "How many.",
                            "minimum": 1,
                            "maximum": MAX_REQUESTS,
                        }),
                        Some(Rate::default().requests()),
                    ),
                    "per": duration("In how long: 1 second to 1 hour.", Some("30s")),
                }),
            ),
            "cloud": words(
                "The cloud the tenant is in; `global` is also GCC, `bleu` needs `endpoints.graph`, and `china` has no presence.",
                &Cloud::ALL.iter().map(|cloud| cloud.as_str()).collect::<Vec<_>>(),
                Some(Cloud::default().as_str()),
            ),
            "auth": auth(),
            "endpoints": table(
                "Other addresses than the cloud's own, such as those of `presenced emulator`; plain http only on loopback.",
                &[],
                json!({
                    "graph": address("Microsoft Graph with its version, like `https://graph.microsoft.com/v1.0`."),
                    "login": address("The sign-in service, like `https://login.microsoftonline.com`."),
                }),
            ),
        }),
    );
    let by_itself = part(&["method"], &json!({ "method": { "enum": BY_ITSELF } }));
    let unpublished: Vec<_> =
        Cloud::ALL.iter().filter(|cloud| cloud.graph().is_none()).map(|cloud| cloud.as_str()).collect();
    let with_graph = part(&["endpoints"], &json!({ "endpoints": part(&["graph"], &json!({})) }));
    account["allOf"] = json!([
        {
            "if": part(&["auth"], &json!({ "auth": by_itself })),
            "then": { "anyOf": [part(&["user"], &json!({})), part(&["users"], &json!({}))] },
        },
        {
            "if": part(&["users"], &json!({})),
            "then": part(&[], &json!({ "user": false, "auth": by_itself })),
        },
        { "if": part(&["cloud"], &json!({ "cloud": { "enum": unpublished } })), "then": with_graph },
    ]);
    account
}

/// One of three types, without `anyOf` around them: so each has its keys where tools look for them.
fn users() -> Value {
    let file = path("A file with one object id a line, each followed by a name if you like.", None);
    let user = json!({ "type": "string", "pattern": USER });
    json!({
        "description": "Many users whose presence is held: a list, a file, or `signalled`, everyone whom a signal for one user names.",
        "type": ["array", "object", "string"],
        "items": with_meaning(user, Meaning::Id),
        "minItems": 1,
        "properties": { "file": file },
        "required": ["file"],
        "additionalProperties": false,
        "anyOf": [{ "type": ["array", "object"] }, { "enum": ["signalled"] }],
    })
}

fn address(description: &str) -> Value {
    with_meaning(text(description, "^https?://"), Meaning::Address)
}

fn auth() -> Value {
    let methods = [BY_PERSON.as_slice(), &BY_ITSELF].concat();
    let mut auth = table(
        "How presenced gets its tokens.",
        &["method"],
        json!({
            "method": words("How to sign in.", &methods, None),
            "secret": secret("Where the client secret is. For `client-secret`."),
            "certificate": path("The PEM file with the certificate. For `client-certificate`.", None),
            "key": secret("Where the certificate's private key is, if not in the same file. For `client-certificate`."),
            "assertion": secret("Where the assertion is that another identity provider issues. For `federated`."),
            "command": command("A command that prints an access token for Graph. For `token-command`."),
        }),
    );
    let keys = ["secret", "certificate", "key", "assertion", "command"];
    let of_method = |method: &str, required: &[&str], allowed: &[&str]| {
        let others = keys.iter().filter(|key| !allowed.contains(key)).map(|key| ((*key).to_owned(), json!(false)));
        json!({
            "if": part(&["method"], &json!({ "method": { "const": method } })),
            "then": part(required, &others.fill::<serde_json::Map<_, _>>().into()),
        })
    };
    auth["allOf"] = json!([
        of_method("device-code", &[], &[]),
        of_method("browser", &[], &[]),
        of_method("client-secret", &["secret"], &["secret"]),
        of_method("client-certificate", &["certificate"], &["certificate", "key"]),
        of_method("federated", &["assertion"], &["assertion"]),
        of_method("token-command", &["command"], &["command"]),
    ]);
    auth
}

/// Where a secret is: exactly one of its places.
fn secret(description: &str) -> Value {
    let attribute = json!({ "type": "string", "minLength": 1 });
    let mut secret = table(
        description,
        &[],
        json!({
            "file": path("A file that nobody else can read.", None),
            "credential": text(
                "A credential of the systemd unit, by the name that `LoadCredential=` gives it.",
                "^[A-Za-z0-9_][A-Za-z0-9_.-]*$",
            ),
            "env": text("An environment variable, by its name.", "^[A-Za-z0-9_]+$"),
            "command": command("A command that prints it."),
            "keyring": {
                "type": "object",
                "description": "The one secret in the keyring with these attributes, as given to `secret-tool store`.",
                "additionalProperties": attribute,
                "minProperties": 1,
            },
        }),
    );
    secret["minProperties"] = 1.into();
    secret["maxProperties"] = 1.into();
    secret
}

fn command(description: &str) -> Value {
    texts(&format!("{description} The program and its arguments, run without a shell."), SOMETHING)
}
