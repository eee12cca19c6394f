//! Several accounts on a line each, so that the status is one screen at any size. The status of one account shows the rest.

use super::StatusView;
use super::headline::headline;
use super::many::presences;
use crate::cli::terminal::text::{columns, cut_end, printable};
use crate::cli::terminal::times::relative;
use crate::session::State;
use crate::status::report::{Account, Rate, Report};

/// If one of several accounts has this many users, each account is a line.
const MANY_USERS: usize = 5;

/// The same from this many accounts on.
const MANY_ACCOUNTS: usize = 10;

/// At most this many lines.
const MAX_LINES: usize = 20;

/// Whether each account of this report is a line.
pub(super) fn are_several(report: &Report) -> bool {
    let accounts = &report.accounts;
    let has_many = |account: &Account| account.users.as_ref().is_some_and(|users| users.count >= MANY_USERS);
    accounts.len() >= MANY_ACCOUNTS || (accounts.len() > 1 && accounts.values().any(has_many))
}

impl StatusView<'_> {
    /// A line for each account, those that do not hold what they should first.
    pub(super) fn several(&mut self, report: &Report) {
        let mut accounts: Vec<_> = report.accounts.iter().collect();
        accounts.sort_by_key(|(_, account)| matches!(account.state, State::Holding | State::Released));
        for (name, account) in accounts.iter().take(MAX_LINES) {
            self.line(name, account);
        }
        if let Some((first, _)) = accounts.first() {
            let more = accounts.len().saturating_sub(MAX_LINES);
            let more = if more > 0 { format!("… and {more} more. ") } else { String::new() };
            let text = format!("{more}One in detail: presenced status --account {}", printable(first));
            self.lines.push(cut_end(&text, self.width));
        }
    }

    fn line(&mut self, name: &str, account: &Account) {
        let (style, words) = headline(account);
        let name = cut_end(&printable(name), self.width / 3);
        let words = cut_end(&printable(&words), self.width - columns(&name) - 2);
        let room = self.width - columns(&name) - 2 - columns(&words);
        let more = printable(&format!("; {}", self.more(account)));
        let more = if room > MIN_MORE { cut_end(&more, room) } else { String::new() };
        self.title(&name, (style, words));
        if let Some(line) = self.lines.last_mut() {
            line.push_str(&more);
        }
    }

    /// What else matters about an account.
    fn more(&self, account: &Account) -> String {
        let Some(users) = &account.users else { return account.because.clone() };
        let Rate { used, requests, per_seconds } = users.rate;
        let mut more = vec![presences(users), format!("{used} of {requests} in {per_seconds} s")];
        more.extend(users.next_deadline.map(|deadline| format!("next fade {}", relative(deadline, self.now))));
        more.retain(|part| !part.is_empty());
        more.join("; ")
    }
}

/// With less room than this, nothing is added to a line.
const MIN_MORE: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::many::tests::report_of_many;
    use super::super::tests::{account, healthy_report, plain};
    use super::*;
    use crate::presence::Presence;

    #[test]
    fn each_of_several_accounts_is_a_line() {
        let mut report = report_of_many(12);
        let agents = report.accounts["agents"].clone();
        report.accounts.insert("bots".to_owned(), Account { state: State::Throttled, ..agents });
        let me = Account { because: "call is in-call".to_owned(), ..account(State::Holding, Some(Presence::InACall)) };
        report.accounts.insert("me".to_owned(), me);
        insta::assert_snapshot!([120, 80, 40].map(|width| plain(&report, width)).join("\n"));
    }

    #[test]
    fn hundreds_of_accounts_are_one_screen_with_the_troubled_ones_first() {
        let mut report = healthy_report();
        let held = account(State::Holding, Some(Presence::Available));
        report.accounts = (0..300).map(|number| (format!("user{number:03}"), held.clone())).collect();
        report.accounts.get_mut("user250").unwrap().state = State::Refused;
        let shown = plain(&report, 80);
        let lines: Vec<&str> = shown.lines().take_while(|line| !line.is_empty()).collect();
        assert!(lines.len() == 21 && lines[0].starts_with("user250: refused"), "{shown}");
        assert_eq!(lines[20], "… and 280 more. One in detail: presenced status --account user250");
    }

    #[test]
    fn a_few_accounts_are_shown_in_detail() {
        let mut report = healthy_report();
        let held = account(State::Holding, Some(Presence::Available));
        let named = |count: usize| (0..count).map(|number| (format!("user{number}"), held.clone())).collect();
        report.accounts = named(9);
        assert!(!are_several(&report));
        report.accounts = named(10);
        assert!(are_several(&report));
        assert!(!are_several(&report_of_many(0)), "one account has the screen for itself");
    }
}
