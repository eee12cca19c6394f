//! The environment of the demo: the files that the daemon reads, and the code that writes them at the right times.

use std::path::{Path, PathBuf};

use super::day::{self, Day, DeskEvent};
use super::desktop::Desktop;
use super::{ACCOUNT, failed};
use crate::cli::error::Error;
use crate::config::{Config, Environment};
use crate::policy::CallState;
use crate::time::Clock;

/// The files and addresses of the demo.
pub(super) struct Stage<'a> {
    /// The folder of all its files.
    pub(super) folder: &'a Path,
    /// A calendar in place of the sample one.
    pub(super) calendar: Option<&'a Path>,
    /// The emulator's address.
    pub(super) address: String,
}

impl Stage<'_> {
    /// The demo's configuration, written like a user's. This also writes the files that it names.
    pub(super) fn configuration(&self, day: &Day, lock: bool, environment: &Environment) -> Result<Config, Error> {
        let sample = self.folder.join("work.ics");
        let options = presenced_emulator::Options::default();
        let (Some(app), Some(user)) = (options.apps.first(), options.users.first()) else {
            return Err(failed(&"the emulator has no app or no user"));
        };
        std::fs::write(&sample, day.calendar()).map_err(|error| failed(&error))?;
        std::fs::create_dir(self.calls()).map_err(|error| failed(&error))?;
        let calendar = self.calendar.map_or(Ok(sample), std::path::absolute).map_err(|error| failed(&error))?;
        let quoted = |path: &Path| toml::Value::from(path.to_string_lossy().into_owned()).to_string();
        let text = format!(
            r#"[accounts.{ACCOUNT}]
tenant    = "contoso.onmicrosoft.com"
client_id = "{client_id}"
user      = "{user}"
auth      = {{ method = "client-secret", secret = {{ command = ["echo", "{secret}"] }} }}
endpoints = {{ graph = "http://{address}/v1.0", login = "http://{address}" }}

[signals.calendar]
sources = [{{ path = {calendar} }}]

[signals.lock]
enabled = {lock}

[signals.call]
path = {calls}
"#,
            client_id = app.client_id,
            user = user.id,
            secret = app.secret.as_deref().unwrap_or_default(),
            address = self.address,
            calendar = quoted(&calendar),
            calls = quoted(&self.calls()),
        );
        Config::parse(&text, &self.folder.join("config.toml"), environment)
            .map(|loaded| loaded.config)
            .map_err(Into::into)
    }

    /// The folder of call-state files.
    fn calls(&self) -> PathBuf {
        self.folder.join("calls")
    }

    /// Plays the events of the day.
    pub(super) async fn play(&self, day: &Day, clock: &dyn Clock, desktop: Option<&Desktop>) -> Result<(), Error> {
        for (at, event) in day.events() {
            while clock.now().wall < at {
                clock.sleep_until_wall(at).await;
            }
            match (event, desktop) {
                (DeskEvent::Call(state), _) => self.call(state).map_err(|error| failed(&error))?,
                (DeskEvent::Lock(lock), Some(desktop)) => {
                    desktop.set_lock(lock).await.map_err(|error| failed(&error))?;
                }
                (DeskEvent::Lock(_), None) => {}
            }
        }
        Ok(())
    }

    /// Does what the hook of a call app would do.
    fn call(&self, state: CallState) -> std::io::Result<()> {
        let file = self.calls().join(day::CALL_APP);
        if state == CallState::Idle {
            return std::fs::remove_file(file);
        }
        let next = self.calls().join(".next");
        std::fs::write(&next, format!("{{\"state\": \"{state}\", \"app\": \"{}\"}}\n", day::CALL_APP))?;
        std::fs::rename(next, file)
    }
}
