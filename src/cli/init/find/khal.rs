//! khal: the folders of its calendars, from its `configobj` configuration: `[[NAME]]` below `[calendars]`.

use super::settings::{self, Section};
use super::{Home, ProgramCalendars, matching};

pub(super) fn find(home: &Home, found: &mut ProgramCalendars) {
    let sections = settings::sections(&home.config.join("khal/config"));
    let calendars = sections.iter().skip_while(|section| section.name != "calendars").skip(1);
    for calendar in calendars.take_while(|section| section.depth > 1) {
        let Some(path) = calendar.get("path").and_then(|path| home.expand(unquoted(path))) else { continue };
        let paths = match calendar.get("type").map(unquoted) {
            Some("calendar") | None => vec![path],
            Some("discover") => matching(&path),
            // Contacts.
            Some(_) => continue,
        };
        let identity = addresses(calendar);
        for path in paths {
            found.file("khal", &path, identity.clone());
        }
    }
}

/// A value without its quotes, or without the comment after it.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.split(quote).next()) {
            return inner;
        }
    }
    value.split('#').next().unwrap_or_default().trim()
}

/// The user's addresses in the calendar (since khal 0.11).
fn addresses(calendar: &Section) -> Vec<String> {
    let list = calendar.get("addresses").unwrap_or_default();
    list.split(',').map(|address| unquoted(address.trim()).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::House;
    use super::*;

    #[test]
    fn folders_are_found_by_path_or_by_pattern() {
        let house = House::new();
        for folder in ["home", "accounts/a/calendars/work", "accounts/b/calendars/team", "accounts/b/contacts/x"] {
            house.event(&format!("{folder}/a.ics"));
        }
        house.write(
            ".config/khal/config",
            r#"
[default]
path = ~/not-this
[calendars]
  [[home]]
    path = "~/home"   # mine
    addresses = me@contoso.com, 'also-me@contoso.com'
  [[all]]
    path = $HOME/acc?unts/*/calendars/*
    type = discover
  [[birthdays]]
    path = ~/accounts/b/contacts
    type = birthdays
[locale]
  [[not this either]]
    path = ~/home
"#,
        );
        assert_eq!(
            house.find(find).shown(),
            [
                "khal: ~/home of me@contoso.com, also-me@contoso.com",
                "khal: ~/accounts/a/calendars/work",
                "khal: ~/accounts/b/calendars/team",
            ]
        );
    }
}
