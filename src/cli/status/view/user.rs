//! One user of an account with many, with the same facts as an account with one.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::headline::headline_of;
use super::{MIN_WIDTH, StatusView, because};
use crate::cli::terminal::text::{cut_end, printable};
use crate::status::users::UserRow;

/// Draws the user as they are at `now`, in lines of at most `width` columns (but at least 40), each with its line end.
pub(in crate::cli) fn render_user(row: &UserRow, now: Timestamp, zone: &TimeZone, width: usize) -> String {
    let UserRow { user, name, account, state, desired, rule, because: reason, since, until, asserted, signals, error } =
        row;
    let mut view = StatusView { lines: Vec::new(), now, zone, width: width.max(MIN_WIDTH) };
    let shown = cut_end(&printable(name.as_ref().unwrap_or(user)), view.width / 2);
    view.title(&shown, headline_of(*state, desired.as_ref()));
    view.fact("because", &because(reason, rule.as_deref()));
    view.times(*since, *until);
    if let Some(asserted) = asserted {
        view.fact("confirmed", &view.confirmed(asserted, desired.as_ref()));
    }
    let set: Vec<_> = signals.iter().map(|(name, value)| format!("{name} is {value}")).collect();
    view.fact("set", &set.join(", "));
    view.fact("error", error.as_deref().unwrap_or_default());
    view.fact("account", account);
    view.fact("object id", user);
    view.lines.join("\n") + "\n"
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::tz::Offset;

    use super::super::tests::{asserted, at};
    use super::*;
    use crate::session::State;

    /// The view of one user, as in [`plain`].
    pub(in super::super) fn plain_user(row: &UserRow, width: usize) -> String {
        let view = render_user(row, at("13:10:48"), &TimeZone::fixed(Offset::constant(1)), width);
        anstream::adapter::strip_str(&view).to_string()
    }

    pub(in super::super) fn user() -> UserRow {
        use crate::presence::Presence::{Available, InACall};
        UserRow {
            user: "fa8bf3dc-eca7-46b7-bad1-db199b62afc3".to_owned(),
            name: Some("anna".to_owned()),
            account: "agents".to_owned(),
            state: State::Refused,
            desired: Some(InACall.into()),
            rule: Some("call".to_owned()),
            because: "call is in-call".to_owned(),
            since: Some(at("12:58:00")),
            until: Some(at("16:00:00")),
            asserted: Some(asserted(Available, Some(at("13:07:00")))),
            signals: [("call", "in-call"), ("signal.door", "closed")].map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            error: Some("Graph answered 404 Request_ResourceNotFound: there is no such user in the tenant".to_owned()),
        }
    }

    #[test]
    fn one_user_of_many_has_the_facts_of_an_account() {
        let quiet = UserRow {
            name: None,
            state: State::Released,
            desired: None,
            rule: None,
            because: "no rule matches".to_owned(),
            until: None,
            asserted: None,
            signals: [].into(),
            error: None,
            ..user()
        };
        insta::assert_snapshot!([plain_user(&user(), 80), plain_user(&quiet, 80)].join("\n"));
    }
}
