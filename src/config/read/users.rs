//! `users` and `rate` of an account: the many whose presence it holds, and how fast Graph takes it.

use std::collections::HashSet;
use std::time::Duration;

use jiff::SignedDuration;
use toml::de::DeValue;

use super::section::{Section, kind};
use super::{Reader, Value};
use crate::config::users::Fault;
use crate::config::{UserEntry, Users};
use crate::pacer::Rate;

/// The most requests that a rate may have. It is far more than Graph grants anybody.
pub(in crate::config) const MAX_REQUESTS: i64 = 1_000_000;

impl Reader<'_> {
    pub(super) fn users(&mut self, value: &Value<'_>) -> Option<Users> {
        match value.get_ref() {
            DeValue::String(_) => {
                let text = self.text("users", value)?;
                if text == "signalled" {
                    return Some(Users::Signalled);
                }
                let message = format!("`{text}` is not a valid value for `users`");
                self.wrong(value.span(), message, "use `signalled`, a list of object ids, or { file = \"…\" }");
                None
            }
            DeValue::Array(_) => self.listed_users(value),
            DeValue::Table(table) => {
                let mut section = Section::new("`users`", value.span(), table);
                let help = "write users = { file = \"…\" }; the file has one object id a line";
                let file = self.required(&mut section, "file", help);
                let file = file.and_then(|value| self.path("file", value));
                self.finish(&section);
                file.map(Users::File)
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                let message = format!("`users` must be a list, a table or `signalled`, but this is {}", kind(value));
                self.wrong(value.span(), message, "write users = [\"…\"], or { file = \"…\" }");
                None
            }
        }
    }

    fn listed_users(&mut self, value: &Value<'_>) -> Option<Users> {
        let list = self.list("users", value, "users = [\"…\"], with the users' object ids")?;
        let mut users: Vec<UserEntry> = Vec::new();
        let (mut ids, mut names) = (HashSet::new(), HashSet::new());
        let mut all_good = true;
        for item in list {
            let user = self.text("users", item).and_then(|text| match UserEntry::parse(text) {
                Ok(user) => Some(user),
                Err(Fault { message, help }) => {
                    self.wrong(item.span(), message, help);
                    None
                }
            });
            let Some(user) = user else {
                all_good = false;
                continue;
            };
            let again = if !ids.insert(user.id.clone()) {
                Some("object id")
            } else if user.name.as_ref().is_some_and(|name| !names.insert(name.clone())) {
                Some("name")
            } else {
                None
            };
            if let Some(what) = again {
                all_good = false;
                self.wrong(
                    item.span(),
                    format!("this {what} is in the list twice"),
                    "remove or correct one of the two",
                );
            }
            users.push(user);
        }
        all_good.then_some(Users::Listed(users))
    }

    pub(super) fn rate(&mut self, account: &mut Section<'_, '_>) -> Option<Rate> {
        let Some(mut section) = self.section(account, "rate", "`rate`") else { return Some(Rate::default()) };
        let requests = section.get("requests").map(|value| self.requests(value));
        let per = section.get("per").map(|value| self.per(value));
        self.finish(&section);
        Rate::new(requests.unwrap_or(Some(1500))?, per.unwrap_or(Some(Duration::from_secs(30)))?).ok()
    }

    fn requests(&mut self, value: &Value<'_>) -> Option<u32> {
        let help = "write how many requests Microsoft Graph allows, like 1500, without quotes";
        let number = match value.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                let message = format!("`requests` must be a whole number, but this is {}", kind(value));
                self.wrong(value.span(), message, help);
                return None;
            }
        };
        let fits =
            number.filter(|number| (1..=MAX_REQUESTS).contains(number)).and_then(|number| number.try_into().ok());
        if fits.is_none() {
            self.wrong(value.span(), "`requests` must be between 1 and 1,000,000", help);
        }
        fits
    }

    fn per(&mut self, value: &Value<'_>) -> Option<Duration> {
        let example = "write 1 second to 1 hour, like \"30s\" or \"PT30S\"";
        let (duration, text) = self.duration(value, example)?;
        let fits = (SignedDuration::from_secs(1)..=SignedDuration::from_hours(1)).contains(&duration);
        if !fits {
            self.wrong(value.span(), format!("`{text}` is not between 1 second and 1 hour"), example);
        }
        Duration::try_from(duration).ok().filter(|_| fits)
    }
}
