//! The text of the configuration that `presenced init` writes, and the answers that go into it.

use super::terminal::InvalidAnswer;
use crate::config::{Config, Environment};

/// How a person signs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Method {
    #[default]
    Browser,
    DeviceCode,
}

/// All answers.
#[derive(Clone)]
pub(super) struct Answers {
    pub(super) account: String,
    pub(super) tenant: String,
    pub(super) client_id: String,
    pub(super) method: Method,
    /// As they are in the file.
    pub(super) sources: Vec<String>,
    pub(super) identity: Vec<String>,
}

impl Answers {
    /// Valid answers, so that one answer at a time can be checked.
    pub(super) fn example() -> Self {
        Self {
            account: "work".to_owned(),
            tenant: "contoso.onmicrosoft.com".to_owned(),
            client_id: "22553876-f5ab-4529-bffb-cfe50aa89f87".to_owned(),
            method: Method::default(),
            sources: Vec::new(),
            identity: Vec::new(),
        }
    }

    /// Reads the answers with the configuration's reader. The error is the first problem.
    pub(super) fn read(&self, environment: &Environment) -> Result<Config, InvalidAnswer> {
        let file = environment.config_dir.join("config.toml");
        match Config::parse(&self.render(environment), &file, environment) {
            Ok(loaded) => Ok(loaded.config),
            Err(problems) => Err(problems.iter().next().map_or_else(
                || InvalidAnswer::new(problems.to_string(), "run `presenced init` again"),
                |problem| InvalidAnswer { message: problem.message.clone(), hint: problem.help.clone() },
            )),
        }
    }

    /// The configuration.
    pub(super) fn render(&self, environment: &Environment) -> String {
        let microphone = if cfg!(feature = "pulse") { MICROPHONE } else { "" };
        [HEAD, &self.account(), &self.calendar(), LOCK, &call(environment), microphone].join("\n") + REST
    }

    fn account(&self) -> String {
        let (method, comment) = match self.method {
            Method::Browser => (
                "browser",
                "# In a browser on this machine. The other method, \"device-code\", uses a code on\n# any device; docs/sign-in.md has both.",
            ),
            Method::DeviceCode => (
                "device-code",
                "# With a code on any device. The other method, \"browser\", opens a browser on\n# this machine; docs/sign-in.md has both.",
            ),
        };
        format!(
            "# The account whose presence is set. `{}` is a name of your choice.\n\
             [accounts.{}]\n\
             # The tenant: its domain name, or its Directory (tenant) ID.\n\
             tenant = {}\n\
             # The app registration: its Application (client) ID. Use one registration per\n\
             # machine; Graph then combines them.\n\
             client_id = {}\n\
             {comment}\n\
             auth = {{ method = \"{method}\" }}\n",
            self.account,
            key(&self.account),
            text(&self.tenant),
            text(&self.client_id),
        )
    }

    fn calendar(&self) -> String {
        let (off, sources) = match &self.sources[..] {
            [] => ("#", "[{ path = \"~/.calendars/work\" }]".to_owned()),
            [one] => ("", format!("[{one}]")),
            several => ("", format!("[\n    {},\n]", several.join(",\n    "))),
        };
        let (unknown, identity) = match &self.identity[..] {
            [] => ("#", text("me@contoso.com")),
            addresses => (off, addresses.iter().map(|address| text(address)).collect::<Vec<_>>().join(", ")),
        };
        format!(
            "# Calendars: .ics files, folders with .ics files, or addresses of published\n\
             # calendars: {{ url = \"https://…\" }}. docs/calendar.md has more.\n\
             {off}[signals.calendar]\n\
             {off}sources = {sources}\n\
             # Your e-mail addresses: an invitation that you declined does not make you busy.\n\
             {unknown}identity = [{identity}]\n"
        )
    }
}

/// A text in TOML.
fn text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A key in TOML, in quotes if it needs them: then the reader reports what is wrong with it.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if is_bare { name.to_owned() } else { text(name) }
}

const HEAD: &str = "\
# What presenced watches, and whose Teams presence it sets. `presenced init`
# wrote this. Change what you like, then: presenced check && presenced reload
# docs/configuration.md has every option.
#
# A line that begins with `#` and no space is an option that is off. Remove the
# `#` to turn it on.
";

const LOCK: &str = "\
# The screen lock: away while it is locked. Also writes the presence before the
# machine goes to sleep.
[signals.lock]
";

/// Without a runtime folder, no location is available for the call-state file, and a table without a path would be invalid.
fn call(environment: &Environment) -> String {
    let off = if environment.runtime_dir.is_some() { "" } else { "#" };
    format!(
        "# Calls, as programs and scripts report them (docs/signals.md), like:\n\
         # echo in-call > $XDG_RUNTIME_DIR/presenced/call-state\n\
         {off}[signals.call]\n"
    )
}

/// A presenced that was built without the feature refuses the table.
const MICROPHONE: &str = "\
# A program that uses the microphone (PulseAudio or PipeWire) is also a call.
#[signals.microphone]

";

const REST: &str = "\
# Away after this time without input, unless in a call or a meeting.
#[signals.idle]
#after = \"10m\"

# Read back what others see, to show it and to notice when another program
# changes the session. The sign-in needs the permission Presence.Read.
#[session]
#verify = true

# Without rules here, the default rules apply: a call, then the lock, then the
# calendar. docs/configuration.md lists them, to copy and change.
";

#[cfg(test)]
mod tests {
    use super::super::find::tests::House;
    use super::*;
    use crate::config::{Auth, CalendarPlace};

    /// The text with every option turned on.
    fn all_on(text: &str) -> String {
        let on = |line: &str| match line.strip_prefix('#') {
            Some(option) if option.starts_with(|char: char| char != ' ') => option.to_owned() + "\n",
            Some(_) | None => line.to_owned() + "\n",
        };
        text.lines().map(on).collect()
    }

    #[test]
    fn every_combination_of_answers_and_its_options_can_be_read() {
        let house = House::new();
        let with = house.environment();
        let without = Environment { runtime_dir: None, ..with.clone() };
        let tenants = ["contoso.onmicrosoft.com", "dcd219dd-bc68-4b9b-bf0b-4a33a796be35"];
        let sources =
            ["{ path = \"~/.calendars/work\" }", "{ path = 'a \"b\"' }", "{ url = \"https://cal.example/x\" }"];
        let sources: Vec<Vec<String>> = (0..=sources.len())
            .map(|many| sources[..many].iter().map(|source| (*source).to_owned()).collect())
            .collect();
        let identities = [vec![], vec!["me@contoso.com".to_owned()], vec!["a@b".to_owned(), "\"c d\"@e".to_owned()]];
        let mut combinations = 0;
        for (environment, tenant, account, method) in [
            (&with, tenants[0], "work", Method::Browser),
            (&with, tenants[1], "A_b-1", Method::DeviceCode),
            (&without, tenants[0], "work", Method::DeviceCode),
            (&without, tenants[1], "work", Method::Browser),
        ] {
            for sources in &sources {
                for identity in &identities {
                    let answers = Answers {
                        account: account.to_owned(),
                        tenant: tenant.to_owned(),
                        method,
                        sources: sources.clone(),
                        identity: identity.clone(),
                        ..Answers::example()
                    };
                    let text = answers.render(environment);
                    let config = answers.read(environment).unwrap_or_else(|wrong| panic!("{}\n{text}", wrong.message));
                    let (name, read) = config.accounts.first_key_value().unwrap();
                    assert_eq!((name.as_str(), read.tenant.as_str()), (account, tenant));
                    assert_eq!(read.client_id, answers.client_id);
                    let auth = if method == Method::Browser { Auth::Browser } else { Auth::DeviceCode };
                    assert_eq!((&read.auth, &read.user), (&auth, &None));
                    let signals = &config.signals;
                    assert_eq!(signals.calendar.as_ref().map_or(0, |calendar| calendar.sources.len()), sources.len());
                    if let Some(calendar) = &signals.calendar {
                        assert_eq!(calendar.sources[0].place, CalendarPlace::Path(house.path(".calendars/work")));
                        assert_eq!(calendar.identity, *identity);
                    }
                    assert!(signals.lock.is_some() && signals.idle.is_none() && signals.microphone.is_none());
                    assert_eq!(signals.call.is_some(), environment.runtime_dir.is_some());

                    let options = all_on(&text);
                    let file = house.path("config.toml");
                    let config =
                        Config::parse(&options, &file, &with).unwrap_or_else(|p| panic!("{p}\n{options}")).config;
                    let signals = config.signals;
                    assert!(signals.idle.is_some() && signals.call.is_some());
                    assert_eq!(signals.microphone.is_some(), cfg!(feature = "pulse"));
                    assert!(!signals.calendar.unwrap().identity.is_empty());
                    combinations += 1;
                }
            }
        }
        assert_eq!(combinations, 4 * 4 * 3);
    }

    #[cfg(feature = "pulse")]
    #[test]
    fn the_text_with_the_fewest_and_the_most_answers() {
        let environment = House::new().environment();
        let fits = |text: &str| assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let least = Answers::example().render(&environment);
        fits(&least);
        insta::assert_snapshot!("least", least);
        let most = Answers {
            method: Method::DeviceCode,
            sources: vec!["{ path = \"~/.calendars/work\" }".into(), "{ url = \"https://cal.example/x.ics\" }".into()],
            identity: vec!["me@contoso.com".to_owned(), "also-me@contoso.com".to_owned()],
            ..Answers::example()
        };
        let most = most.render(&Environment { runtime_dir: None, ..environment });
        fits(&most);
        insta::assert_snapshot!("most", most);
    }

    #[test]
    fn the_readers_own_message_is_shown() {
        let environment = House::new().environment();
        for (answers, said) in [
            (Answers { tenant: "contoso".to_owned(), ..Answers::example() }, "`tenant` is neither"),
            (Answers { tenant: "a\"\nb".to_owned(), ..Answers::example() }, "`tenant` is neither"),
            (Answers { client_id: "presenced".to_owned(), ..Answers::example() }, "`client_id` is not an id"),
            (
                Answers { account: "my work".to_owned(), ..Answers::example() },
                "`my work` is not a valid name for an account",
            ),
            (Answers { account: String::new(), ..Answers::example() }, "`` is not a valid name for an account"),
        ] {
            let wrong = answers.read(&environment).err().unwrap();
            assert!(wrong.message.starts_with(said) && wrong.hint.is_some(), "{}", wrong.message);
        }
    }
}
