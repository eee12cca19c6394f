//! `GET /metrics`: the report and the metrics as `OpenMetrics` text. It is built from them at each scrape, so the numbers exist
//! only once.
//!
//! Times are Unix timestamps, not ages: an age would be wrong by the time it is stored, and
//! `time() - presenced_account_success_timestamp_seconds` gives the same. Labels hold names from the configuration and words from
//! closed lists, but never a signal's value. `docs/sidecar.md` lists all metrics, and a test keeps that list complete.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::process;
use super::report::{Account, Health, NOTHING, Report, State, Users, word};
use crate::metrics::{self, CALL_BOUNDS_SECS, CHANGE_BOUNDS_SECS, Histogram, Outcome, Snapshot, Wakeup};
use crate::presence::Presence;

/// The content type of `OpenMetrics` 1.0.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Renders the report and the metrics as `OpenMetrics` text.
pub(super) fn render(report: Arc<Report>, snapshot: Snapshot) -> String {
    let mut own = Registry::with_prefix("presenced");
    own.register_collector(Box::new(Exposition { report, snapshot }));
    // These have the same names for every program.
    let mut process = Registry::with_prefix("process");
    process.register_collector(Box::new(process::Usage::read()));
    let mut text = String::new();
    prometheus_client::encoding::text::encode_registry(&mut text, &own)
        .and_then(|()| prometheus_client::encoding::text::encode(&mut text, &process))
        .expect("writing into a string cannot fail");
    text
}

#[derive(Debug)]
struct Exposition {
    report: Arc<Report>,
    snapshot: Snapshot,
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let report = &*self.report;
        encoder
            .encode_descriptor("build", "The running version", None, MetricType::Info)?
            .encode_info(&[("version", report.version.as_str())])?;
        gauge(&mut encoder, "start_time", "When the daemon started", Some(&Unit::Seconds))?
            .encode_gauge(&report.started_at.as_second())?;

        let mut metric = gauge(&mut encoder, "health", "1 for the overall health", None)?;
        for health in Health::ALL {
            one_hot(&mut metric, &[("health", word(health))], health == report.health)?;
        }
        self.accounts(&mut encoder)?;
        self.users(&mut encoder)?;
        self.times(&mut encoder)?;
        self.requests(&mut encoder)?;
        self.signals(&mut encoder)?;
        gauge(&mut encoder, "override_active", "1 while a presence set by hand is in force", None)?
            .encode_gauge(&i64::from(report.manual.is_some()))?;

        let mut metric = gauge(&mut encoder, "warnings", "Warnings in force", None)?;
        let mut codes: Vec<_> = report.warnings.iter().map(|warning| warning.code).collect();
        codes.sort_unstable();
        for alike in codes.chunk_by(|one, next| one == next) {
            let count = i64::try_from(alike.len()).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(metric.encode_family(&[("code", word(alike[0]))])?)?;
        }

        let help = "How often the event loop woke up, by reason";
        let mut metric = encoder.encode_descriptor("wakeups", help, None, MetricType::Counter)?;
        for &wakeup in Wakeup::ALL {
            let count = self.snapshot.wakeups.get(&wakeup).copied().unwrap_or_default();
            ConstCounter::new(count).encode(metric.encode_family(&[("why", wakeup.as_str())])?)?;
        }
        Ok(())
    }
}

/// A time that an account has; `None`: no sample.
type Moment = fn(&Account) -> Option<Timestamp>;

/// A number of an account's users.
type Count = fn(&Users) -> usize;

impl Exposition {
    fn accounts(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let accounts = &self.report.accounts;
        let mut metric = gauge(encoder, "account_state", "1 for the state of an account's session", None)?;
        for (name, account) in accounts {
            for &state in State::ALL {
                one_hot(&mut metric, &[("account", name.clone()), ("state", word(state))], state == account.state)?;
            }
        }
        let mut metric = gauge(
            encoder,
            "account_wanted",
            "1 while a presence should be held, otherwise 0; always 0 for many users",
            None,
        )?;
        for (name, account) in accounts {
            one_hot(&mut metric, &[("account", name.clone())], account.desired.is_some())?;
        }
        Ok(())
    }

    /// The users of accounts with many, by account: never a sample for each user.
    fn users(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let users = || self.report.accounts.iter().filter_map(|(name, of)| Some((name.as_str(), of.users.as_ref()?)));
        let help = "Users of an account with many, by the state of their session";
        let mut metric = gauge(encoder, "users", help, None)?;
        for (account, users) in users() {
            for &state in State::ALL {
                let state = word(state);
                let count = users.states.get(&state).copied().unwrap_or_default();
                ConstGauge::new(count_of(count))
                    .encode(metric.encode_family(&[("account", account), ("state", &state)])?)?;
            }
        }
        let help = "Users of an account with many, by the presence they should have";
        let mut metric = gauge(encoder, "users_wanted", help, None)?;
        for (account, users) in users() {
            for pair in Presence::ALL.map(|presence| presence.to_string()).into_iter().chain([NOTHING.to_owned()]) {
                let count = users.presences.get(&pair).copied().unwrap_or_default();
                let labels = [("account", account), ("presence", pair.as_str())];
                ConstGauge::new(count_of(count)).encode(metric.encode_family(&labels)?)?;
            }
        }
        let gauges: [(&str, &str, Count); 4] = [
            ("users_with_problems", "Users whose last request failed for a reason of their own", |of| of.with_problems),
            ("users_faded", "Users who should hold a presence that has faded or expired", |of| of.faded),
            (
                "users_rate_used",
                "Requests sent for an account's users in the time of its rate (30 s by default)",
                |of| of.rate.used as usize,
            ),
            ("users_rate_limit", "Requests that Graph allows in that time; presenced stays at 90 % of it", |of| {
                of.rate.requests as usize
            }),
        ];
        for (name, help, count) in gauges {
            let mut metric = gauge(encoder, name, help, None)?;
            for (account, users) in users() {
                let count = count_of(count(users));
                ConstGauge::new(count).encode(metric.encode_family(&[("account", account)])?)?;
            }
        }
        let help = "The share of the rate that keepalives for an account's users need; 1 is all of it";
        let mut metric = gauge(encoder, "users_planned_load", help, Some(&Unit::Ratios))?;
        for (account, users) in users() {
            ConstGauge::new(users.planned_load).encode(metric.encode_family(&[("account", account)])?)?;
        }
        let queues = |users: &Users| [("change", users.waiting.changes), ("keepalive", users.waiting.keepalives)];
        let help = "Users for whom something waits to be sent, by what it is";
        let mut metric = gauge(encoder, "users_waiting", help, None)?;
        for (account, users) in users() {
            for (what, queue) in queues(users) {
                let labels = [("account", account), ("what", what)];
                ConstGauge::new(count_of(queue.count)).encode(metric.encode_family(&labels)?)?;
            }
        }
        let help = "Since when the first of them has waited; absent while nobody waits";
        let mut metric = gauge(encoder, "users_waiting_since_timestamp", help, Some(&Unit::Seconds))?;
        for (account, users) in users() {
            for (what, oldest) in queues(users).into_iter().filter_map(|(what, queue)| Some((what, queue.oldest?))) {
                let labels = [("account", account), ("what", what)];
                ConstGauge::new(oldest.as_second()).encode(metric.encode_family(&labels)?)?;
            }
        }
        let help = "When the next presence of an account's users fades or expires unless it is set again";
        let mut metric = gauge(encoder, "users_next_deadline_timestamp", help, Some(&Unit::Seconds))?;
        for (account, deadline) in users().filter_map(|(account, users)| Some((account, users.next_deadline?))) {
            ConstGauge::new(deadline.as_second()).encode(metric.encode_family(&[("account", account)])?)?;
        }
        let help = "How often a presence that a user should hold has faded or expired";
        let mut metric = encoder.encode_descriptor("users_fades", help, None, MetricType::Counter)?;
        for (account, users) in users() {
            ConstCounter::new(users.fades).encode(metric.encode_family(&[("account", account)])?)?;
        }
        Ok(())
    }

    fn times(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let moments: [(&str, &str, Moment); 4] = [
            (
                "account_confirmed_timestamp",
                "When the request that set the current presence was sent; absent while Graph holds none",
                |account| account.asserted.as_ref().map(|asserted| asserted.sent_at),
            ),
            (
                "account_expiry_timestamp",
                "When Graph drops the current presence unless it is set again; absent while Graph holds none",
                |account| account.asserted.as_ref().map(|asserted| asserted.expires_at),
            ),
            (
                "account_preferred_timestamp",
                "When the request that set the preferred presence was sent; absent while presenced has set none",
                |account| account.preferred.as_ref().map(|preferred| preferred.sent_at),
            ),
            (
                "account_token_expiry_timestamp",
                "When the newest token expires; it is renewed before that; absent before the first token",
                |account| account.sign_in.as_ref().and_then(|sign_in| sign_in.token_expires_at),
            ),
        ];
        for (name, help, moment) in moments {
            let mut metric = gauge(encoder, name, help, Some(&Unit::Seconds))?;
            for (account, at) in self.report.accounts.iter().filter_map(|(name, of)| Some((name, moment(of)?))) {
                ConstGauge::new(at.as_second()).encode(metric.encode_family(&[("account", account.as_str())])?)?;
            }
        }
        let help = "When the next request is due, by reason; retry-after: the service asked to wait until then";
        let mut metric = gauge(encoder, "account_next_request_timestamp", help, Some(&Unit::Seconds))?;
        for (account, next) in self.report.accounts.iter().filter_map(|(name, of)| Some((name, of.next.as_ref()?))) {
            let labels = [("account", account.as_str()), ("why", next.why.as_str())];
            ConstGauge::new(next.at.as_second()).encode(metric.encode_family(&labels)?)?;
        }
        let help = "When the last request that Graph carried out was sent; absent before the first";
        let mut metric = gauge(encoder, "account_success_timestamp", help, Some(&Unit::Seconds))?;
        for (account, at) in self.counts().filter_map(|(name, counts)| Some((name, counts.last_success?))) {
            ConstGauge::new(at.as_second()).encode(metric.encode_family(&[("account", account)])?)?;
        }
        Ok(())
    }

    fn requests(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Requests to Graph and for tokens, by outcome";
        let mut metric = encoder.encode_descriptor("account_requests", help, None, MetricType::Counter)?;
        for (account, counts) in self.counts() {
            for (call, calls) in &counts.calls {
                // Outcomes that have not happened yet have a sample too, so that the first one is an increase.
                for outcome in Outcome::all() {
                    let labels = [("account", account), ("call", call.as_str()), ("outcome", outcome.as_str())];
                    let count = calls.outcomes.get(&outcome).copied().unwrap_or_default();
                    ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
                }
            }
        }
        let help = "How long these requests took, until the answer or until the time-out";
        let name = "account_request_duration";
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (account, counts) in self.counts() {
            for (call, calls) in &counts.calls {
                let labels = [("account", account), ("call", call.as_str())];
                histogram(&mut metric.encode_family(&labels)?, &calls.durations, &CALL_BOUNDS_SECS)?;
            }
        }
        let help = "How long it took from a changed decision until Graph held it";
        let name = "account_change_duration";
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (account, counts) in self.counts() {
            histogram(&mut metric.encode_family(&[("account", account)])?, &counts.changes, &CHANGE_BOUNDS_SECS)?;
        }
        Ok(())
    }

    fn signals(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let signals = &self.report.signals;
        let mut metric = gauge(encoder, "signal_health", "1 for the health of a signal's source", None)?;
        for (name, signal) in signals {
            for health in Health::ALL {
                one_hot(&mut metric, &[("signal", name.clone()), ("health", word(health))], health == signal.health)?;
            }
        }
        let help = "1 for the state of a signal: known, unknown, or off (not configured)";
        let mut metric = gauge(encoder, "signal_state", help, None)?;
        for (name, signal) in signals {
            let is = match signal.value.as_str() {
                "unknown" => "unknown",
                // A signal set through the socket may have this word as its value.
                "off" if !name.starts_with("signal.") => "off",
                _ => "known",
            };
            for state in ["known", "unknown", "off"] {
                one_hot(&mut metric, &[("signal", name.clone()), ("state", state.to_owned())], state == is)?;
            }
        }
        let help = "When a signal got its value";
        let mut metric = gauge(encoder, "signal_since_timestamp", help, Some(&Unit::Seconds))?;
        for (name, signal) in signals {
            ConstGauge::new(signal.since.as_second()).encode(metric.encode_family(&[("signal", name.as_str())])?)?;
        }
        let help = "Events in the calendars; absent without a calendar, and while none can be read";
        let mut metric = gauge(encoder, "calendar_events", help, None)?;
        if let Some(events) = self.snapshot.calendar_events {
            metric.encode_gauge(&i64::try_from(events).unwrap_or(i64::MAX))?;
        }
        Ok(())
    }

    /// The counts of the accounts that are configured.
    fn counts(&self) -> impl Iterator<Item = (&str, &metrics::Account)> {
        let accounts = &self.report.accounts;
        self.snapshot.accounts.iter().filter(|(name, _)| accounts.contains_key(*name)).map(|(name, of)| (&**name, of))
    }
}

fn count_of(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn gauge<'a>(
    encoder: &'a mut DescriptorEncoder,
    name: &'a str,
    help: &str,
    unit: Option<&'a Unit>,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)
}

/// One sample of a metric that is 1 for exactly one of its last label's values.
fn one_hot<const N: usize>(metric: &mut MetricEncoder, labels: &[(&str, String); N], is: bool) -> fmt::Result {
    ConstGauge::new(i64::from(is)).encode(metric.encode_family(labels)?)
}

fn histogram(metric: &mut MetricEncoder, durations: &Histogram, bounds: &[f64]) -> fmt::Result {
    let bounds = bounds.iter().copied().chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(durations.counts).collect();
    let count = durations.counts.iter().sum();
    metric.encode_histogram(durations.sum, count, &buckets, None::<&HashMap<usize, Example>>)
}

/// An example request of a bucket. There are none.
type Example = Exemplar<Vec<(String, String)>, f64>;
