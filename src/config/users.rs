//! The users of an account that holds the presence of many.

use std::path::PathBuf;

use uuid::Uuid;

/// The longest name, in bytes: what the name of a file may have.
const MAX_NAME_BYTES: usize = 255;
/// How much of a wrong text is shown.
const SHOWN_CHARS: usize = 40;

/// Whose presence an account holds, if it is not one user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Users {
    /// These, at least one.
    Listed(Vec<UserEntry>),
    /// Those in this file.
    File(PathBuf),
    /// Everyone whom a signal for one user names.
    Signalled,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// The object id, in lower case.
    pub id: String,
    /// Another name for them, in paths and commands.
    pub name: Option<String>,
}

/// What is wrong with a text, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) help: &'static str,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, help: &'static str) -> Self {
        Self { message: message.into(), help }
    }
}

impl UserEntry {
    /// One user: an object id, then optionally a name.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        let (id, name) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if !is_object_id(id) {
            let help = "write the object id first, and then a name if you like; the id is on the user's page in Entra";
            let what = if id.contains('@') { "a sign-in name" } else { "not an object id" };
            let shown: String = id.chars().take(SHOWN_CHARS).collect();
            let example = "an object id looks like fa8bf3dc-eca7-46b7-bad1-db199b62afc3";
            return Err(Fault::new(format!("`{shown}` is {what}; {example}"), help));
        }
        let name = name.trim();
        check_name(name)?;
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self { id: id.to_ascii_lowercase(), name })
    }
}

/// A name is the last part of a path, a part of an address and of an MQTT topic.
fn check_name(name: &str) -> Result<(), Fault> {
    let (message, help) = if name.len() > MAX_NAME_BYTES {
        ("the name is longer than 255 bytes", "write a shorter one")
    } else if name.starts_with('.') {
        ("the name starts with a dot", "write one that starts with another character")
    } else if name.starts_with('#') {
        ("a comment follows the object id", "put it on a line of its own that begins with `#`")
    } else if name.contains(['/', '+', '#']) {
        ("the name contains `/`, `+` or `#`", "write one without them")
    } else if name.contains(char::is_control) {
        ("the name contains a control character", "write one without tabs and other control characters")
    } else if is_object_id(name) {
        ("the name looks like an object id", "write one user a line, or another name")
    } else {
        return Ok(());
    };
    Err(Fault::new(message, help))
}

/// Only the form with hyphens, as Entra shows it.
pub(crate) fn is_object_id(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}
