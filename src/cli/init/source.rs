//! A source of `[signals.calendar]` as it will be in the file. Each one is valid, because the configuration's own reader has
//! accepted it.

use std::path::Path;

use super::template::Answers;
use super::terminal::InvalidAnswer;
use crate::config::{CalendarPlace, Environment};

/// One source.
#[derive(Clone)]
pub(super) struct Source {
    /// The text in the file. An address in it is a secret.
    pub(super) toml: String,
    /// What the reader reads from it.
    pub(super) means: CalendarPlace,
}

impl Source {
    /// The file or folder at an absolute path. It is written with `~` if it is in the home folder.
    pub(super) fn at(path: &Path, environment: &Environment) -> Result<Self, InvalidAnswer> {
        let cannot = || {
            let message = format!("the configuration cannot contain the path {}", path.display());
            InvalidAnswer::new(
                message,
                "its paths are UTF-8, and `$` starts a variable; rename the folder, or link to it",
            )
        };
        let text = match path.strip_prefix(&environment.home) {
            Ok(rest) if environment.home.is_absolute() => Path::new("~").join(rest),
            Ok(_) | Err(_) => path.to_owned(),
        };
        let source = Self::new("path", text.to_str().ok_or_else(cannot)?, environment).ok();
        source.filter(|source| source.means == CalendarPlace::Path(path.to_owned())).ok_or_else(cannot)
    }

    /// A calendar that is published at `url`.
    pub(super) fn published(url: &str, environment: &Environment) -> Result<Self, InvalidAnswer> {
        Self::new("url", url, environment)
    }

    /// What the user wrote: an address, or a path, which may contain `~` and variables and is relative to `folder`.
    pub(super) fn written(text: &str, folder: &Path, environment: &Environment) -> Result<Self, InvalidAnswer> {
        if text.contains("://") {
            Self::published(text, environment)
        } else if text.starts_with(['/', '~', '$']) {
            Self::new("path", text, environment)
        } else {
            Self::at(&folder.join(text), environment)
        }
    }

    fn new(key: &str, text: &str, environment: &Environment) -> Result<Self, InvalidAnswer> {
        let toml = format!("{{ {key} = {} }}", toml::Value::from(text));
        let config = Answers { sources: vec![toml.clone()], ..Answers::example() }.read(environment)?;
        let means = config.signals.calendar.and_then(|calendar| Some(calendar.sources.into_iter().next()?.place));
        let means = means.ok_or_else(|| InvalidAnswer::new("this is not a calendar", "write a path or an address"))?;
        Ok(Self { toml, means })
    }

    /// For people: the path, or the host of the address.
    pub(super) fn shown(&self, environment: &Environment) -> String {
        match &self.means {
            CalendarPlace::Path(path) => shown(path, environment),
            CalendarPlace::Owners(_) | CalendarPlace::Subscription(_) => self.means.to_string(),
        }
    }
}

/// A path for people: the home folder is `~`.
pub(super) fn shown(path: &Path, environment: &Environment) -> String {
    match path.strip_prefix(&environment.home) {
        Ok(rest) if environment.home.is_absolute() => Path::new("~").join(rest).display().to_string(),
        Ok(_) | Err(_) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::find::tests::House;
    use super::*;

    #[test]
    fn a_written_path_is_read_back_unchanged() {
        let house = House::new();
        let environment = house.environment();
        let at = |path: &Path| Source::at(path, &environment);
        let source = at(&house.path("a \"b\" 'c' é")).ok().unwrap();
        assert_eq!(source.means, CalendarPlace::Path(house.path("a \"b\" 'c' é")));
        assert_eq!(source.shown(&environment), "~/a \"b\" 'c' é");
        assert_eq!(at(Path::new("/srv/x")).ok().unwrap().toml, "{ path = \"/srv/x\" }");
        for path in ["/srv/$HOME/x", "/srv/a$b"] {
            assert!(
                at(Path::new(path)).is_err_and(|wrong| wrong.message.contains("cannot contain the path")),
                "{path}"
            );
        }
    }

    #[test]
    fn an_answer_is_a_path_or_an_address() {
        let house = House::new();
        let environment = house.environment();
        let written = |text: &str| Source::written(text, Path::new("/here"), &environment);
        let path = |text: &str| match written(text).map(|source| source.means) {
            Ok(CalendarPlace::Path(path)) => path,
            Ok(_) | Err(_) => panic!("{text}"),
        };
        assert_eq!(path("work.ics"), PathBuf::from("/here/work.ics"));
        assert_eq!(path("~/work"), house.path("work"));
        assert_eq!(path("$HOME/work"), house.path("work"));
        let address = written("webcal://cal.example/hunter2.ics").ok().unwrap();
        assert_eq!(address.shown(&environment), "subscription at cal.example");
        for (text, said) in [
            ("http://cal.example/x.ics", "plain http would send the address"),
            ("ftp://cal.example/x.ics", "`url` is not an address that begins with https://"),
            ("~you/work", "names another user's home folder"),
            ("$NOPE/work", "the environment variable `NOPE`"),
        ] {
            let wrong = written(text).err().unwrap();
            assert!(wrong.message.contains(said) && wrong.hint.is_some(), "{text}: {}", wrong.message);
        }
    }
}
