//! The users as a table, those with problems first. A pure function of the rows, the time, the zone and the width. The caller
//! removes the styles if the output does not support them.

use std::collections::BTreeSet;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::status::{has_problem, state_style};
use crate::cli::terminal::text::{columns, cut_end, pad, printable, wrap};
use crate::cli::terminal::times::clock;
use crate::fill::Fill as _;
use crate::session::State;
use crate::status::report::Pair;
use crate::status::users::UserRow;

/// The minimum width, in columns.
const MIN_WIDTH: usize = 40;

/// A narrower table does not say which account a user belongs to.
const MIN_WIDTH_FOR_ACCOUNTS: usize = 60;

/// A reason with less space than this is left out; `presenced users USER` has it.
const MIN_REASON_COLUMNS: usize = 8;

/// The gap between two columns of the table.
const GAP_COLUMNS: usize = 2;

const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();

/// Draws the users in lines of at most `width` columns (but at least 40), each with its line end.
pub(super) fn render(rows: &[UserRow], now: Timestamp, zone: &TimeZone, width: usize) -> String {
    let width = width.max(MIN_WIDTH);
    let mut sorted: Vec<_> = rows.iter().collect();
    sorted.sort_by_key(|row| (rank(row), name(row), &row.user));
    let problems = sorted.iter().filter(|row| has_problem(row)).count();
    let sum = match (rows.len(), problems) {
        (0, _) => return "no users\n".to_owned(),
        (1, 0) => "1 user".to_owned(),
        (count, 0) => format!("{count} users"),
        (1, _) => "1 user, with a problem".to_owned(),
        (count, 1) => format!("{count} users, 1 with a problem"),
        (count, problems) => format!("{count} users, {problems} with problems"),
    };
    let layout = Layout::of(rows, width);
    let head = layout.line(&["user", "account", "presence", "state", "because"].map(str::to_owned), "", None, ' ');
    let mut lines = vec![format!("{DIM}{head}{DIM:#}")];
    for row in sorted {
        let until = row.until.map(|until| format!(", until {}", clock(until, now, zone))).unwrap_or_default();
        let mark = if has_problem(row) { '!' } else { ' ' };
        lines.push(layout.line(&cells(row), &until, Some(row.state), mark));
        let error = row.error.iter().flat_map(|error| wrap(error, width - 4));
        lines.extend(error.map(|line| format!("    {line}")));
    }
    lines.extend([String::new(), sum]);
    lines.join("\n") + "\n"
}

/// What comes first: the smaller, the earlier.
fn rank(row: &UserRow) -> u8 {
    match row.state {
        State::Refused => 0,
        State::SignInNeeded => 1,
        State::Retrying => 2,
        State::Throttled => 3,
        State::Starting | State::Holding | State::Released | State::Stopping if row.error.is_some() => 4,
        State::Starting | State::Holding | State::Released | State::Stopping => 5,
    }
}

fn name(row: &UserRow) -> &str {
    row.name.as_ref().unwrap_or(&row.user)
}

/// Name, account, presence, state and reason.
fn cells(row: &UserRow) -> [String; 5] {
    let presence = row.desired.as_ref().map_or_else(|| "nothing".to_owned(), short);
    let texts = [name(row), &row.account, &presence, row.state.as_str(), &row.because];
    texts.map(printable)
}

/// A pair in one word if both words are the same.
fn short(Pair { availability, activity }: &Pair) -> String {
    if availability == activity { availability.clone() } else { format!("{availability}/{activity}") }
}

/// The widths of the columns.
struct Layout {
    user: usize,
    /// `None`: the column is left out.
    account: Option<usize>,
    presence: usize,
    state: usize,
    reason: usize,
}

impl Layout {
    fn of(rows: &[UserRow], width: usize) -> Self {
        let mut widest = ["user", "account", "presence", "state"].map(columns);
        for row in rows {
            for (widest, cell) in widest.iter_mut().zip(cells(row)) {
                *widest = (*widest).max(columns(&cell));
            }
        }
        let [user, account, presence, state] = widest;
        let accounts: BTreeSet<_> = rows.iter().map(|row| &row.account).fill();
        let account = (accounts.len() > 1 && width >= MIN_WIDTH_FOR_ACCOUNTS).then(|| account.min(width / 6));
        let presence = presence.min(width * 3 / 10);
        // The mark takes two columns.
        let others = 2 + account.map_or(0, |account| account + GAP_COLUMNS) + presence + state + 2 * GAP_COLUMNS;
        let user = user.min(width.saturating_sub(others));
        Self { user, account, presence, state, reason: width.saturating_sub(others + user + GAP_COLUMNS) }
    }

    /// One line. `until` is added to the reason.
    fn line(&self, cells: &[String; 5], until: &str, state: Option<State>, mark: char) -> String {
        let [user, account, presence, word, reason] = cells;
        let cell = |text: &str, width: usize| pad(&cut_end(text, width), width + GAP_COLUMNS);
        let mark = if mark == ' ' { "  ".to_owned() } else { format!("{RED}{mark}{RED:#} ") };
        let account = self.account.map(|width| cell(account, width)).unwrap_or_default();
        let style = state.map(state_style).unwrap_or_default();
        let start = format!("{mark}{}{account}{}", cell(user, self.user), cell(presence, self.presence));
        if self.reason < MIN_REASON_COLUMNS {
            return format!("{start}{style}{word}{style:#}");
        }
        let room = self.reason.saturating_sub(columns(until));
        let reason =
            if room < MIN_REASON_COLUMNS { cut_end(reason, self.reason) } else { cut_end(reason, room) + until };
        format!(
            "{start}{style}{word}{style:#}{}{reason}",
            " ".repeat((self.state + GAP_COLUMNS).saturating_sub(columns(word)))
        )
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;
    use proptest::prelude::*;

    use super::*;
    use crate::presence::Presence;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-23T{text}Z").parse().unwrap()
    }

    fn row(number: u32, name: Option<&str>, state: State, presence: Option<Presence>, because: &str) -> UserRow {
        UserRow {
            user: format!("fa8bf3dc-eca7-46b7-bad1-{number:012}"),
            name: name.map(str::to_owned),
            account: "agents".to_owned(),
            state,
            desired: presence.map(Pair::from),
            rule: Some("a rule".to_owned()),
            because: because.to_owned(),
            since: Some(at("12:58:00")),
            until: None,
            asserted: None,
            signals: [].into(),
            error: None,
        }
    }

    fn rows() -> Vec<UserRow> {
        use Presence::{Available, Away, InACall};
        let error = |text: &str| Some(text.to_owned());
        vec![
            row(1, Some("zoe"), State::Holding, Some(InACall), "call is in-call"),
            UserRow {
                until: Some(at("16:00:00")),
                ..row(2, Some("anna"), State::Holding, Some(Away), "out of office")
            },
            row(3, Some("ben"), State::Released, None, "no rule matches"),
            UserRow {
                error: error("Graph answered 404 Request_ResourceNotFound: there is no such user in the tenant"),
                ..row(4, Some("carl"), State::Refused, Some(Available), "call is idle, the calendar is free")
            },
            row(5, Some("dora"), State::Retrying, Some(Available), "call is idle, the calendar is free"),
            row(6, Some("日本語の名前"), State::Starting, Some(Available), "call is idle, the calendar is free"),
        ]
    }

    /// The table at 13:10:48 UTC, an hour east of it, without styles.
    fn plain(rows: &[UserRow], width: usize) -> String {
        let text = render(rows, at("13:10:48"), &TimeZone::fixed(Offset::constant(1)), width);
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn users_with_problems_come_first() {
        let two: Vec<_> = rows()
            .into_iter()
            .enumerate()
            .map(|(at, row)| UserRow { account: ["agents", "contact-centre"][at % 2].to_owned(), ..row })
            .collect();
        let nameless: Vec<_> = rows().into_iter().map(|row| UserRow { name: None, ..row }).collect();
        let all = [
            ("one account", plain(&rows(), 80)),
            ("two accounts", plain(&two, 80)),
            ("without names", plain(&nameless, 80)),
            ("a narrow terminal", plain(&two, 40)),
        ];
        insta::assert_snapshot!(all.map(|(title, table)| format!("{title}\n{table}")).join("\n"));
    }

    #[test]
    fn the_last_line_counts() {
        let last = |rows: &[UserRow]| plain(rows, 80).lines().last().map(str::to_owned);
        assert_eq!(last(&[]).as_deref(), Some("no users"));
        assert_eq!(last(&rows()[..1]).as_deref(), Some("1 user"));
        assert_eq!(last(&rows()[..3]).as_deref(), Some("3 users"));
        assert_eq!(last(&rows()[3..4]).as_deref(), Some("1 user, with a problem"));
        assert_eq!(last(&rows()[..4]).as_deref(), Some("4 users, 1 with a problem"));
        assert_eq!(last(&rows()).as_deref(), Some("6 users, 2 with problems"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_of_the_screen(
            text in "\\PC{0,120}", control in "[\\x00-\\x1f\\x7f]{0,3}", width in 40_usize..120
        ) {
            let odd = format!("{text}{control}{text}");
            let pair = Pair { availability: odd.clone(), activity: control.clone() };
            let one = UserRow {
                until: Some(at("16:00:00")),
                account: odd.clone(),
                desired: Some(pair),
                error: Some(odd.clone()),
                ..row(7, Some(&odd), State::SignInNeeded, None, &odd)
            };
            let rows: Vec<_> = rows().into_iter().chain([one]).collect();
            for line in plain(&rows, width).lines() {
                prop_assert!(columns(line) <= width, "{line:?} is {} columns wide", columns(line));
                prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}
