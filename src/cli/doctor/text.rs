//! Texts that know which of their parts are public.
//!
//! A text consists of parts. Only literals of the program and numbers appear unchanged in a public report. A name of something
//! that belongs to the user is *private* and becomes a placeholder there. Text from another part of the program or from the
//! system is *foreign*, and is searched for what is private (`redact`).

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use presenced_core::words;

words! {
    /// What a private part is about. Its placeholder says so.
    pub(super) enum Kind {
        Account = "account",
        Address = "address",
        Host = "host",
        Id = "id",
        Mail = "mail",
        Name = "name",
        Path = "path",
        Person = "person",
        Tenant = "tenant",
        Token = "token",
        /// Output of one of the user's programs.
        Words = "words",
    }
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Public.
    Plain(Cow<'static, str>),
    /// Only for the user.
    Private(Kind, String),
    /// Written elsewhere.
    Foreign(String),
}

/// A path of this machine.
pub(super) fn path(path: &Path) -> Part {
    Part::Private(Kind::Path, path.display().to_string())
}

/// The name of an account.
pub(super) fn account(name: &str) -> Part {
    Part::Private(Kind::Account, name.to_owned())
}

/// Something private of this kind.
pub(super) fn private(kind: Kind, text: impl Into<String>) -> Part {
    Part::Private(kind, text.into())
}

/// Text from another part of the program, or from the system.
pub(super) fn foreign(text: impl Into<String>) -> Part {
    Part::Foreign(text.into())
}

/// A word that is public if it is one of these.
pub(super) fn one_of(known: &[&'static str], word: &str) -> Part {
    known.iter().find(|known| **known == word).map_or_else(|| private(Kind::Name, word), |known| Part::from(*known))
}

/// A version. It is private if it has more than numbers: a person who built it may have added a name.
pub(super) fn version(version: &str) -> Part {
    let is_plain = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_plain { Part::Plain(version.to_owned().into()) } else { private(Kind::Name, version) }
}

/// A number with its noun: `1 file`, `2 files`.
pub(super) fn count(number: usize, one: &'static str, many: &'static str) -> Part {
    Part::Plain(format!("{number} {}", if number == 1 { one } else { many }).into())
}

impl From<&'static str> for Part {
    fn from(text: &'static str) -> Self {
        Self::Plain(text.into())
    }
}

macro_rules! part_of_number {
    ($($number:ty)*) => {$(
        impl From<$number> for Part {
            fn from(number: $number) -> Self {
                Self::Plain(number.to_string().into())
            }
        }
    )*};
}
part_of_number!(u16 u32 u64 usize);

impl Part {
    /// As the user reads it.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Private(_, text) | Self::Foreign(text) => text,
        }
    }
}

/// A text made of parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(Vec<Part>);

impl Text {
    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    #[must_use]
    pub(super) fn then(mut self, part: impl Into<Part>) -> Self {
        self.0.push(part.into());
        self
    }

    /// The parts, separated by `, `.
    pub(super) fn list(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut text = Self::default();
        for part in parts {
            if !text.0.is_empty() {
                text.0.push(", ".into());
            }
            text.0.push(part);
        }
        text
    }

    #[must_use]
    pub(super) fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl<P: Into<Part>> From<P> for Text {
    fn from(part: P) -> Self {
        Self(vec![part.into()])
    }
}

impl fmt::Display for Text {
    /// As the user reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| f.write_str(part.as_str()))
    }
}

/// Makes a text from parts: literals, numbers and [`Part`]s.
macro_rules! text {
    ($($part:expr),+ $(,)?) => {
        $crate::cli::doctor::text::Text::default()$(.then($part))+
    };
}
pub(super) use text;
