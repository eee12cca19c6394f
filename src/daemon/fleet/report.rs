//! What a fleet shows: counts in the status report, a row for each user on request, and warnings about kinds of trouble.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::failure::FailureKind;
use crate::pacer::Queue;
use crate::session::{State, Target, timing};
use crate::status::report::{self, word};
use crate::status::users::{Query, UserRow};
use crate::status::{Feed, WatchLine};
use crate::time::Now;
use crate::warning::{Code, Warning};

use super::super::{rounded, sign_in};
use super::roster::RosterTrouble;
use super::user::User;
use super::users::{Affected, News};
use super::{Fleet, Phase};

/// At most this many users with problems are part of the status report.
const MAX_PROBLEMS: usize = 20;

/// At most this many lines of a users file are named in a warning.
const MAX_LINES: usize = 3;

impl Fleet {
    /// Its part of the report.
    pub(in crate::daemon) fn report(&self, expiration: crate::presence::Expiration, now: &Now) -> report::Account {
        let count = self.users.len();
        report::Account {
            state: self.state(),
            desired: None,
            rule: None,
            because: format!("{count} user{}", if count == 1 { "" } else { "s" }),
            withheld: None,
            since: None,
            until: None,
            asserted: None,
            preferred: None,
            seen: None,
            next: None,
            requests: self.requests,
            last_error: self.trouble.as_ref().map(|trouble| report::LastError {
                at: trouble.last_at,
                text: trouble.failure.text.clone(),
                hint: trouble.failure.hint.clone(),
            }),
            note: self
                .lock
                .missing()
                .map(|reason| format!("a second presenced with this application would not be noticed ({reason})")),
            sign_in: self.authenticator.status().map(|status| sign_in::report(status, &self.config)),
            users: Some(self.summary(expiration, now)),
        }
    }

    fn summary(&self, expiration: crate::presence::Expiration, now: &Now) -> report::Users {
        let (mut states, mut presences) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, usize>::new());
        let mut targets = Vec::new();
        for ((state, presence), count) in self.users.counts() {
            *states.entry(word(state)).or_default() += count;
            let shown = presence.map_or_else(|| report::NOTHING.to_owned(), |presence| presence.to_string());
            *presences.entry(shown).or_default() += count;
            targets.extend(presence.map(|presence| (*count, Target { presence, expiration })));
        }
        let with_problems = self.users.reasons().values().flat_map(|affected| &affected.users);
        let problems = with_problems.take(MAX_PROBLEMS).filter_map(|index| self.users.get(*index));
        let problems = problems.map(|user| report::UserProblem {
            user: user.id.clone(),
            name: user.name.clone(),
            text: user.reason.as_ref().map(|reason| reason.text.clone()).unwrap_or_default(),
            hint: user.reason.as_ref().and_then(|reason| reason.hint.clone()),
        });
        report::Users {
            count: self.users.len(),
            states,
            presences,
            planned_load: (self.config.rate.planned_load(targets) * 1000.0).round() / 1000.0,
            rate: report::Rate {
                used: self.backlog.used,
                requests: self.config.rate.requests(),
                per_seconds: self.config.rate.per().as_secs(),
            },
            waiting: report::Waiting {
                changes: queue(self.backlog.changes),
                keepalives: queue(self.backlog.keepalives),
            },
            next_deadline: self.backlog.next_deadline.map(|deadline| rounded(now.wall_at(deadline))),
            faded: self.users.faded(),
            fades: self.users.fades(),
            with_problems: self.users.reasons().values().map(|affected| affected.users.len()).sum(),
            problems: problems.collect(),
        }
    }

    fn state(&self) -> State {
        let has = |state| self.users.counts().keys().any(|(counted, _)| *counted == state);
        match self.trouble.as_ref().map(|trouble| trouble.failure.kind) {
            _ if self.phase == Phase::Leaving => State::Stopping,
            Some(FailureKind::SignInNeeded) => State::SignInNeeded,
            Some(FailureKind::Refused) => State::Refused,
            Some(FailureKind::Throttled) => State::Throttled,
            Some(FailureKind::Passing | FailureKind::TokenRefused) => State::Retrying,
            None if has(State::Holding) => State::Holding,
            None if self.phase == Phase::Loading || has(State::Starting) => State::Starting,
            None if has(State::Refused) => State::Refused,
            None => State::Released,
        }
    }

    /// The warnings about it, each with its start time where that is known. There is one for each kind, not for each user.
    pub(in crate::daemon) fn warnings(&self, now: &Now) -> impl Iterator<Item = (Warning, Option<Timestamp>)> {
        let account = &self.name;
        let trouble = self.trouble.as_ref().filter(|trouble| trouble.visible_at() <= now.instant).map(|trouble| {
            let hint = trouble.failure.hint.clone();
            let warning = Warning {
                code: trouble.code,
                text: format!("account `{account}`: {}", trouble.failure),
                hint: hint.unwrap_or_else(|| "presenced keeps trying; its log shows each kind of failure".to_owned()),
            };
            (warning, Some(trouble.since))
        });
        let refused = self.users.reasons().iter().filter(|(reason, _)| reason.kind == FailureKind::Refused);
        let refused = refused.map(move |(reason, Affected { since, users })| {
            let (count, s) = (users.len(), if users.len() == 1 { "" } else { "s" });
            let who = users.first().and_then(|index| self.users.get(*index)).map(shown).unwrap_or_default();
            let example = if count == 1 { format!(" ({who})") } else { format!(" (one is {who})") };
            let warning = Warning {
                code: Code::UsersRefused,
                text: format!("account `{account}`: {count} user{s}{example}: {}", reason.text),
                hint: reason.hint.clone().unwrap_or_else(|| "`presenced users --state refused` lists them".to_owned()),
            };
            (warning, Some(*since))
        });
        let others = self.roster_warning().into_iter().chain(self.bad_lines_warning());
        trouble.into_iter().chain(others.map(|warning| (warning, None))).chain(refused)
    }

    fn roster_warning(&self) -> Option<Warning> {
        let account = &self.name;
        let (code, text, hint) = match self.roster_trouble.as_ref()? {
            RosterTrouble::Unreadable(why) => (
                Code::UsersUnreadable,
                format!("account `{account}`: the users file cannot be read: {why}; the users stay as they were"),
                "check that the file is there and that presenced may read it",
            ),
            RosterTrouble::Shrunk(users, lost) => (
                Code::UsersShrunk,
                format!(
                    "account `{account}`: the users file now has {} users and would remove {lost}; it is not applied",
                    users.len()
                ),
                "if that is right, run `presenced reload`; if not, write the file again",
            ),
        };
        Some(Warning { code, text, hint: hint.to_owned() })
    }

    fn bad_lines_warning(&self) -> Option<Warning> {
        let first = self.bad_lines.first()?;
        let shown = self.bad_lines.iter().take(MAX_LINES).cloned().collect::<Vec<_>>().join("; ");
        let more = self.bad_lines.len().saturating_sub(MAX_LINES);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        Some(Warning {
            code: Code::UsersInvalid,
            text: format!("account `{}`: the users file has lines that count for nothing: {shown}{more}", self.name),
            hint: format!(
                "run `presenced check`, which names all of them; the first is {}",
                first.split(':').next().unwrap_or(first)
            ),
        })
    }

    /// The rows that `query` asks for, in the order of ids, and whether there are more.
    pub(in crate::daemon) fn rows(&self, query: &Query, now: &Now) -> Vec<UserRow> {
        let wanted = |user: &User| {
            query.after.as_ref().is_none_or(|after| user.id.as_str() > after.as_str())
                && query.state.is_none_or(|state| user.row(now).0 == state)
                && query.presence.as_ref().is_none_or(|presence| {
                    user.desired()
                        .map_or(report::NOTHING, |desired| desired.availability())
                        .eq_ignore_ascii_case(presence)
                })
        };
        let mut users: Vec<_> = self.users.iter().map(|(_, user)| user).filter(|user| wanted(user)).collect();
        users.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        users.truncate(query.limit + 1);
        users.into_iter().map(|user| self.user_row(user, now)).collect()
    }

    /// The row of one user, by id or name.
    pub(in crate::daemon) fn row(&self, user: &str, now: &Now) -> Option<UserRow> {
        let user = self.users.get(self.users.find(user)?)?;
        Some(self.user_row(user, now))
    }

    /// Tells those who watch what is new about its users.
    pub(in crate::daemon) fn tell(&mut self, feed: &Feed, now: &Now) {
        let News { changed, removed } = self.users.take_news();
        let account = &self.name;
        let removed = removed.into_iter().map(|user| WatchLine::Removed { user, account: account.clone() });
        let changed = changed.into_iter().filter_map(|index| self.users.get(index));
        feed.tell(removed.chain(changed.map(|user| WatchLine::User(Box::new(self.user_row(user, now))))));
    }

    fn user_row(&self, user: &User, now: &Now) -> UserRow {
        let decision = user.decision.as_deref();
        let asserted = user.session.asserted(now.instant).map(|(target, sent_at)| {
            let sent_at_wall = now.wall_at(sent_at);
            let interval = timing::interval(target);
            let expires = sent_at + target.expiration.as_duration();
            report::Asserted {
                availability: target.presence.availability().to_owned(),
                activity: target.presence.activity().to_owned(),
                sent_at: rounded(sent_at_wall),
                fades_at: (sent_at + interval < expires).then(|| rounded(now.wall_at(sent_at + interval))),
                expires_at: rounded(now.wall_at(expires)),
            }
        });
        UserRow {
            user: user.id.clone(),
            name: user.name.clone(),
            account: self.name.clone(),
            state: user.row(now).0,
            desired: user.desired().map(Into::into),
            rule: decision.and_then(|decision| decision.rule.clone()),
            because: decision.map_or_else(|| "not decided yet".to_owned(), |decision| decision.because.clone()),
            since: user.since,
            until: decision.and_then(|decision| decision.until),
            asserted,
            signals: user.own.as_ref().map(|own| own.words(now)).unwrap_or_default(),
            error: user.reason.as_ref().map(|reason| reason.text.clone()),
        }
    }
}

fn queue(queue: Queue) -> report::Queue {
    report::Queue { count: queue.count, oldest: queue.oldest.map(rounded) }
}

/// The name of a user for people.
fn shown(user: &User) -> String {
    user.name.clone().unwrap_or_else(|| user.id.clone())
}
