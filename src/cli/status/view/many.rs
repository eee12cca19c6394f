//! An account with many users on a few lines, however many there are.

use std::collections::BTreeMap;

use super::StatusView;
use crate::cli::terminal::text::{cut_end, printable};
use crate::cli::terminal::times::{exact_clock, exact_span, relative};
use crate::session::State;
use crate::status::report::{Queue, Rate, Users, Waiting};

/// How many users with problems are shown.
const MAX_PROBLEMS: usize = 5;

/// A number of users in words.
pub(in crate::cli::status) fn count(count: usize) -> String {
    format!("{count} user{}", if count == 1 { "" } else { "s" })
}

/// How many users should have each presence, the most common first.
pub(in crate::cli::status) fn presences(users: &Users) -> String {
    counts(&users.presences)
}

fn counts(of: &BTreeMap<String, usize>) -> String {
    let mut counts: Vec<_> = of.iter().filter(|(_, count)| **count > 0).collect();
    counts.sort_by(|(one, ones), (other, others)| others.cmp(ones).then(one.cmp(other)));
    counts.into_iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// A share of the rate in percent: with one decimal place where a whole number would say little.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 10.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

impl StatusView<'_> {
    /// Its users in numbers, and a few of those with problems.
    pub(super) fn many(&mut self, users: &Users) {
        if users.count > 0 {
            self.fact("states", &counts(&users.states));
            self.fact("presences", &presences(users));
        }
        let Rate { used, requests, per_seconds } = users.rate;
        let load = percent(users.planned_load);
        self.fact("load", &format!("keepalives need {load} of the rate; {used} of {requests} used in {per_seconds} s"));
        self.fact("waiting", &self.waiting(&users.waiting));
        if let Some(deadline) = users.next_deadline {
            let when = format!("{}, {}", exact_clock(deadline, self.zone), relative(deadline, self.now));
            self.fact("next fade", &format!("{when}, unless it is renewed"));
        }
        if users.fades > 0 {
            let times = if users.fades == 1 { "once".to_owned() } else { format!("{} times", users.fades) };
            self.fact("faded", &format!("{} now; {times} since the start", count(users.faded)));
        }
        let shown = users.problems.iter().take(MAX_PROBLEMS);
        let problems = shown.map(|problem| {
            let text = format!("{}: {}", problem.name.as_ref().unwrap_or(&problem.user), problem.text);
            cut_end(&printable(&text), self.width.saturating_sub(2 + super::LABEL_COLUMNS))
        });
        let mut lines: Vec<_> = problems.collect();
        let more = users.with_problems.saturating_sub(lines.len());
        if more > 0 {
            let refused = users.states.get(State::Refused.as_str()).copied().unwrap_or_default();
            let filter = if refused == users.with_problems { " --state refused" } else { "" };
            lines.push(format!("… and {more} more: presenced users{filter}"));
        }
        self.fact("problems", &lines.join("\n"));
    }

    /// How many wait, and how long the first of them has.
    fn waiting(&self, Waiting { changes, keepalives }: &Waiting) -> String {
        let queue = |what: &str, queue: &Queue| {
            let oldest = queue.oldest.filter(|_| queue.count > 0)?;
            let s = if queue.count == 1 { "" } else { "s" };
            Some(format!("{} {what}{s} for up to {}", queue.count, exact_span(self.now.duration_since(oldest))))
        };
        let queues = [queue("change", changes), queue("keepalive", keepalives)];
        queues.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
pub(in crate::cli::status) mod tests {
    use jiff::SignedDuration;

    use super::super::tests::{account, healthy_report, plain};
    use super::*;
    use crate::status::report::{Account, Report, Requests, UserProblem};

    /// A report on an account with 12,000 users, some with problems.
    pub(in crate::cli::status) fn report_of_many(with_problems: usize) -> Report {
        let counts =
            |counts: &[(&str, usize)]| counts.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect();
        let problem = |number: usize| UserProblem {
            user: format!("fa8bf3dc-eca7-46b7-bad1-{number:012}"),
            name: number.is_multiple_of(2).then(|| format!("agent{number}")),
            text: "Graph answered 404 Request_ResourceNotFound: there is no such user in the tenant".to_owned(),
            hint: None,
        };
        let users = Users {
            count: 12_000,
            states: counts(&[("holding", 12_000 - with_problems), ("refused", with_problems)]),
            presences: counts(&[("Away/Away", 2400), ("Available/Available", 9590), ("Busy/InACall", 10)]),
            planned_load: 0.867,
            rate: Rate { used: 1290, requests: 1500, per_seconds: 30 },
            waiting: Waiting::default(),
            next_deadline: Some(healthy_report().started_at + SignedDuration::from_mins(371)),
            faded: 0,
            fades: 0,
            with_problems,
            problems: (0..with_problems.min(20)).map(problem).collect(),
        };
        let agents = Account {
            because: "12000 users".to_owned(),
            requests: Requests { sent: 120_000, failed: 12, throttled: 0 },
            users: Some(users),
            ..account(State::Holding, None)
        };
        Report { accounts: [("agents".to_owned(), agents)].into(), ..healthy_report() }
    }

    #[test]
    fn many_users_need_a_few_lines() {
        let mut waiting = report_of_many(0);
        let agents = waiting.accounts.get_mut("agents").unwrap();
        agents.state = State::Throttled;
        let users = agents.users.as_mut().unwrap();
        (users.planned_load, users.states) = (0.004, [("throttled".to_owned(), 12_000)].into());
        (users.next_deadline, users.faded, users.fades) = (None, 9, 12);
        let since = |minutes| Some(healthy_report().started_at + SignedDuration::from_mins(minutes));
        users.waiting.changes = Queue { count: 1, oldest: since(369) };
        users.waiting.keepalives = Queue { count: 4000, oldest: since(368) };
        let all = [
            ("all hold", plain(&report_of_many(0), 80)),
            ("12 are refused", plain(&report_of_many(12), 80)),
            ("throttled, on a narrow terminal", plain(&waiting, 40)),
        ];
        insta::assert_snapshot!(all.map(|(title, view)| format!("{title}\n{view}")).join("\n"));
        let agents = |report: &Report| plain(report, 80).lines().take_while(|line| !line.is_empty()).count();
        assert_eq!((agents(&report_of_many(0)), agents(&report_of_many(12_000))), (6, 12));
    }
}
