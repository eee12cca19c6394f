//! What an emulator contains, from a TOML file: tenants, users, applications, agents.
//!
//! ```toml
//! [[users]]
//! id   = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
//! name = "ada@contoso.onmicrosoft.com"
//! ```
//!
//! Every problem of the file is reported at once. The caller reads the file. `config/emulator.toml` is an example with every key.

mod reader;

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use presenced_core::finding::Finding;
use presenced_core::suggest;
use toml::de::DeTable;
use url::Url;
use uuid::Uuid;

use self::reader::{Reader, Section};
use super::options::{Agent, App, Options, Tenants, User};

/// The permissions that the emulator knows: as application permissions and as delegated ones.
const APPLICATION: [&str; 3] = ["Presence.ReadWrite.All", "Presence.Read.All", "User.Read.All"];
const DELEGATED: [&str; 4] = ["Presence.ReadWrite", "Presence.Read", "Presence.Read.All", "User.Read"];

const UUID_HELP: &str = "write a UUID, like \"fa8bf3dc-eca7-46b7-bad1-db199b62afc3\"";

/// Why a setup was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupError {
    /// What is wrong, and where in the text. Never empty.
    pub findings: Vec<Finding>,
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> = self.findings.iter().map(|finding| &*finding.message).collect();
        write!(f, "invalid setup: {}", all.join("; "))
    }
}

impl std::error::Error for SetupError {}

impl Options {
    /// Reads what the emulator contains from TOML. What the text does not mention is as in the [default](Options::default): without
    /// `[[users]]`, there is the default user, and without `[[applications]]`, the default application.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn setup(text: &str) -> Result<Self, SetupError> {
        let (document, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let findings = errors.iter().map(|error| Finding {
                span: Some(error.span().unwrap_or(text.len()..text.len())),
                message: error.message().to_owned(),
                help: None,
            });
            return Err(SetupError { findings: findings.collect() });
        }
        let mut reader = Reader::default();
        let options = read(&mut reader, document.get_ref());
        if reader.findings.is_empty() { Ok(options) } else { Err(SetupError { findings: reader.findings }) }
    }
}

fn read(reader: &mut Reader, document: &DeTable<'_>) -> Options {
    let mut root = Section::new("the file", 0..0, document);
    let mut options = Options::default();
    let tenants = reader.texts(&mut root, "tenants");
    if !tenants.is_empty() {
        options.tenants = Tenants::Only(tenants.into_iter().map(|(name, _)| name).collect());
    }
    if let Some(sections) = reader.tables(&mut root, "users", "[[users]]") {
        let mut seen = HashSet::new();
        options.users = sections.into_iter().filter_map(|section| user(reader, section, &mut seen)).collect();
    }
    if let Some(sections) = reader.tables(&mut root, "applications", "[[applications]]") {
        let mut seen = HashSet::new();
        options.apps = sections.into_iter().filter_map(|section| application(reader, section, &mut seen)).collect();
    }
    if let Some(sections) = reader.tables(&mut root, "agents", "[[agents]]") {
        let agents = sections.into_iter().filter_map(|section| agent(reader, section, &options)).collect();
        options.agents = agents;
    }
    reader.finish(&root);
    options
}

fn user(reader: &mut Reader, mut section: Section<'_, '_>, seen: &mut HashSet<String>) -> Option<User> {
    let id = uuid(reader, &mut section, "id", seen);
    let name =
        reader.required(&mut section, "name", "write the user principal name, like \"ada@contoso.onmicrosoft.com\"");
    let licensed = reader.boolean(&mut section, "licensed", true);
    let guest = reader.boolean(&mut section, "guest", false);
    reader.finish(&section);
    if let Some((name, span)) = &name {
        if !name.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty()) {
            reader.wrong(
                span.clone(),
                format!("`{name}` is not a user principal name"),
                "write it like an e-mail address",
            );
        }
        unique(reader, "user", name, span, seen);
    }
    Some(User { id: id?, principal_name: name?.0, licensed, guest })
}

fn application(reader: &mut Reader, mut section: Section<'_, '_>, seen: &mut HashSet<String>) -> Option<App> {
    let client_id = uuid(reader, &mut section, "client_id", seen);
    let secret = reader.text(&mut section, "secret").map(|(secret, _)| secret);
    let redirect_uris = reader.texts(&mut section, "redirect_uris");
    for (uri, span) in &redirect_uris {
        let is_usable = Url::parse(uri).is_ok_and(|url| url.fragment().is_none());
        if !is_usable {
            let help = "write a whole address, like \"http://localhost/callback\" or \"https://app.example/signed-in\"";
            reader.wrong(span.clone(), format!("`{uri}` is not a redirect address"), help);
        }
    }
    let help = "write { application = [\"Presence.ReadWrite.All\"], delegated = [\"Presence.ReadWrite\"] }";
    let all = App::default();
    let (mut roles, mut scopes) = (all.roles, all.scopes);
    if let Some(mut permissions) = reader.table(&mut section, "permissions", help) {
        roles = permission(reader, &mut permissions, "application", &APPLICATION);
        scopes = permission(reader, &mut permissions, "delegated", &DELEGATED);
        reader.finish(&permissions);
    }
    reader.finish(&section);
    Some(App {
        client_id: client_id?,
        secret,
        redirect_uris: redirect_uris.into_iter().map(|(uri, _)| uri).collect(),
        roles,
        scopes,
        certificates: Vec::new(),
        federated: Vec::new(),
    })
}

fn agent(reader: &mut Reader, mut section: Section<'_, '_>, options: &Options) -> Option<Agent> {
    let identity = uuid(reader, &mut section, "identity", &mut HashSet::new());
    let blueprint = reader.required(&mut section, "blueprint", "write the `client_id` of one of the applications");
    let users = reader.texts(&mut section, "users");
    reader.finish(&section);
    if let Some((blueprint, span)) = &blueprint
        && !options.apps.iter().any(|app| app.client_id.eq_ignore_ascii_case(blueprint))
    {
        let help = "write the `client_id` of one of the applications";
        reader.wrong(span.clone(), format!("there is no application `{blueprint}`"), help);
    }
    for (user, span) in &users {
        if !options.users.iter().any(|known| known.id.eq_ignore_ascii_case(user)) {
            reader.wrong(span.clone(), format!("there is no user `{user}`"), "write the `id` of one of the users");
        }
    }
    let users = users.into_iter().map(|(user, _)| user).collect();
    Some(Agent { identity: identity?, blueprint: blueprint?.0, users })
}

/// The required UUID `key`, which no other table of this kind has.
fn uuid(
    reader: &mut Reader,
    section: &mut Section<'_, '_>,
    key: &'static str,
    seen: &mut HashSet<String>,
) -> Option<String> {
    let (text, span) = reader.required(section, key, UUID_HELP)?;
    if Uuid::try_parse(&text).is_err() {
        reader.wrong(span, format!("`{text}` is not a UUID"), UUID_HELP);
        return None;
    }
    unique(reader, key, &text, &span, seen);
    Some(text)
}

fn unique(reader: &mut Reader, what: &str, text: &str, span: &Range<usize>, seen: &mut HashSet<String>) {
    if !seen.insert(text.to_ascii_lowercase()) {
        reader.wrong(span.clone(), format!("the {what} `{text}` is there twice"), "remove one of them, or change it");
    }
}

fn permission(
    reader: &mut Reader,
    section: &mut Section<'_, '_>,
    key: &'static str,
    known: &'static [&'static str],
) -> Vec<String> {
    let names = reader.texts(section, key);
    for (name, span) in &names {
        if !known.contains(&&**name) {
            let help = match suggest::nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write {}", suggest::list(known.iter().copied(), "or")),
            };
            reader.wrong(span.clone(), format!("there is no permission `{name}` of the kind `{key}`"), help);
        }
    }
    names.into_iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_mistake_is_found_at_once_with_its_place() {
        let text = r#"tenants = "contoso.com"
user = 1

[[users]]
id = "fa8bf3dc"
licenced = true

[[users]]
id = "fa8bf3dc-eca7-46b7-bad1-db199b62afc3"
name = "ada"
guest = "no"

[[users]]
id = "FA8BF3DC-eca7-46b7-bad1-db199b62afc3"
name = "bob@contoso.com"

[[applications]]
secret = ""
redirect_uris = ["localhost", 7]
permissions = { application = ["Presence.ReadWrite.Al"], delegated = ["Mail.Send"], both = [] }

[[agents]]
identity = "80230f63-e69a-4c50-a96a-4bcb9df0962e"
blueprint = "80230f63-e69a-4c50-a96a-4bcb9df0962e"
users = ["nobody"]
"#;
        let error = Options::setup(text).unwrap_err();
        let mut findings: Vec<(usize, String)> = error
            .findings
            .into_iter()
            .map(|finding| {
                let line = 1 + text[..finding.span.unwrap().start].matches('\n').count();
                (line, format!("{line}: {} ({})", finding.message, finding.help.unwrap_or_default()))
            })
            .collect();
        findings.sort_by_key(|finding| finding.0);
        let lines: Vec<String> = findings.into_iter().map(|finding| finding.1).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn the_example_has_every_key() {
        let options = Options::setup(include_str!("../../../../config/emulator.toml")).unwrap();
        assert_eq!((options.users.len(), options.apps.len(), options.agents.len()), (3, 2, 1));
        assert_eq!([0, 1, 2].map(|place| options.users[place].is_provisioned()), [true, false, false]);
        assert_eq!(options.apps[1].redirect_uris.len(), 2);
        assert!(options.apps[1].roles.is_empty() && options.apps[1].secret.is_none());
        assert_eq!(options.agents[0].users, [User::DEFAULT_ID]);
        assert!(matches!(options.tenants, Tenants::Only(names) if names.len() == 2));
    }

    #[test]
    fn what_is_not_mentioned_is_as_in_the_default() {
        let options = Options::setup("").unwrap();
        assert_eq!(options.users, [User::default()]);
        assert_eq!(options.apps, [App::default()]);
        assert_eq!(options.tenants, Tenants::Any);
        let error = Options::setup("[[users\n").unwrap_err();
        assert_eq!(error.findings.len(), 1);
    }
}
