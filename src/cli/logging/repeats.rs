//! Leaves out log lines that repeat too often, and says how many: a signal that flaps, or a peer that sends nonsense, would
//! otherwise fill the disk.
//!
//! Each kind of line may be written [`BURST`] times, and once more every [`REFILL`]; the Linux kernel limits its own log in a
//! similar way (`printk_ratelimited`). Lines are of one kind if the same place in the code writes them about the same account
//! or signal. Warnings and errors must also have the same text, apart from digits, so that none hides another one. What was left
//! out is summed up, with the last line in full, before the next line or request, and when the program ends. There is no timer,
//! which would wake an idle daemon.
//!
//! Lines at level `trace` are never left out: whoever asks for them wants every one.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tracing::callsite::{Callsite, Identifier};
use tracing::field::{FieldSet, Value};
use tracing::metadata::Kind;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::cli::log_line::Fields;

/// How many lines of one kind may follow each other at once. A day of work has fewer of most kinds.
const BURST: u32 = 60;

/// How long it takes until another line of the kind may be written.
const REFILL: Duration = Duration::from_secs(30);

/// How many kinds have a budget of their own. Beyond that, only the place in the code counts, and there are few of these.
const MAX_KINDS: usize = 256;

/// When a kind is forgotten. The budgets of [`MAX_KINDS`] texts that others make up are new only then.
const FORGET_AFTER: Duration = Duration::from_hours(1);

/// A layer that passes on to another one what is not left out.
pub(super) struct Repeats<L> {
    inner: L,
    ledger: Arc<Ledger>,
}

/// Writes what is still to be said about lines that were left out, when it is dropped.
pub(in crate::cli) struct LastWords(Arc<Ledger>);

/// Around `inner`.
pub(super) fn limited<L>(inner: L) -> (Repeats<L>, LastWords) {
    let ledger = Arc::new(Ledger::default());
    (Repeats { inner, ledger: Arc::clone(&ledger) }, LastWords(ledger))
}

impl<L> Repeats<L> {
    fn write_due<S: Subscriber>(&self, now: Duration, context: &Context<'_, S>)
    where
        L: Layer<S>,
    {
        let due = self.ledger.lock().due(now);
        for left_out in due {
            left_out.event(|event| self.inner.on_event(event, context.clone()));
        }
    }
}

impl<S: Subscriber, L: Layer<S>> Layer<S> for Repeats<L> {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        // A request begins: often the only thing that happens for a while.
        self.write_due(now(), &context);
        self.inner.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.inner.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let now = now();
        self.write_due(now, &context);
        if self.ledger.lock().admits(event, now) {
            self.inner.on_event(event, context);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.inner.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.inner.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.inner.on_close(id, context);
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        let rest = self.0.lock().due(Duration::MAX);
        for left_out in rest {
            left_out.event(|event| tracing::dispatcher::get_default(|subscriber| subscriber.event(event)));
        }
    }
}

fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

/// The kinds of lines that were written or left out lately.
#[derive(Debug, Default)]
struct Ledger(Mutex<Kinds>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Kinds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Kinds {
    hasher: RandomState,
    budgets: HashMap<u64, Budget>,
    /// How many of them have something to say.
    silenced: usize,
}

/// The budget of one kind: the generic cell rate algorithm (ITU-T I.371), which needs only one time.
#[derive(Debug, Default)]
struct Budget {
    /// The time up to which the lines written so far use up the refills.
    used_until: Duration,
    left_out: Option<LeftOut>,
}

/// Lines that were not written.
#[derive(Debug)]
struct LeftOut {
    count: u64,
    since: Duration,
    until: Duration,
    last: Fields,
}

impl Kinds {
    /// Whether a line is written now.
    fn admits(&mut self, event: &Event<'_>, now: Duration) -> bool {
        let metadata = event.metadata();
        if *metadata.level() == Level::TRACE || metadata.callsite() == METADATA.callsite() {
            return true;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let key = self.key(metadata, &fields, now);
        let budget = self.budgets.entry(key).or_default();
        if budget.is_enough(now) && budget.left_out.is_none() {
            budget.used_until = budget.used_until.max(now) + REFILL;
            return true;
        }
        let left_out = budget.left_out.get_or_insert_with(|| {
            self.silenced += 1;
            LeftOut { count: 0, since: now, until: now, last: Fields::default() }
        });
        left_out.count += 1;
        left_out.until = now;
        left_out.last = fields;
        false
    }

    /// What may be said by now about lines that were left out.
    fn due(&mut self, now: Duration) -> Vec<LeftOut> {
        if self.silenced == 0 {
            return Vec::new();
        }
        let budgets = self.budgets.values_mut().filter(|budget| budget.is_enough(now));
        let mut due: Vec<_> = budgets.filter_map(|budget| budget.left_out.take()).collect();
        self.silenced -= due.len();
        due.sort_by_key(|left_out| left_out.until);
        due
    }

    /// The kind of a line.
    fn key(&mut self, metadata: &'static Metadata<'static>, fields: &Fields, now: Duration) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        metadata.callsite().hash(&mut hasher);
        let place = hasher.finish();
        for name in ["account", "signal"] {
            fields.get(name).hash(&mut hasher);
        }
        if *metadata.level() <= Level::WARN {
            for char in fields.text().chars().filter(|char| !char.is_ascii_digit()) {
                char.hash(&mut hasher);
            }
        }
        let key = hasher.finish();
        if self.budgets.len() >= MAX_KINDS && !self.budgets.contains_key(&key) {
            self.budgets.retain(|_, budget| budget.left_out.is_some() || budget.used_until + FORGET_AFTER > now);
            if self.budgets.len() >= MAX_KINDS {
                return place;
            }
        }
        key
    }
}

impl Budget {
    /// Whether another line may be written.
    fn is_enough(&self, now: Duration) -> bool {
        self.used_until.saturating_sub(now) <= REFILL * (BURST - 1)
    }
}

impl LeftOut {
    /// Makes the line about them.
    fn event(self, write: impl FnOnce(&Event<'_>)) {
        let Self { count, since, until, mut last } = self;
        let (account, signal) = (last.take("account"), last.take("signal"));
        let (account, signal) = (account.as_deref(), signal.as_deref());
        let lines = if count == 1 { "line" } else { "lines" };
        let seconds = until.saturating_sub(since).as_secs() + 1;
        let text = last.text();
        let message = format_args!("left out {count} similar {lines} within {seconds} s; the last was: {text}");
        let values: [&dyn Value; 3] = [&message, &account, &signal];
        let values = values.map(Some);
        write(&Event::new(&METADATA, &METADATA.fields().value_set_all(&values)));
    }
}

/// The place in the code that writes lines about other lines. It is not a macro's, because its lines go past the layer that
/// writes them.
struct Summary;

static SUMMARY: Summary = Summary;

static METADATA: Metadata<'static> = Metadata::new(
    "repeated lines",
    module_path!(),
    Level::WARN,
    None,
    None,
    Some(module_path!()),
    FieldSet::new(&["message", "account", "signal"], Identifier(&SUMMARY)),
    Kind::EVENT,
);

impl Callsite for Summary {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &METADATA
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Keeps the text of what it is given.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Written {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.text());
        }
    }

    /// Counts what its kinds admit, at a time of its own.
    #[derive(Clone, Default)]
    struct Gate(Arc<Mutex<(Kinds, Duration, usize)>>);

    impl<S: Subscriber> Layer<S> for Gate {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let (kinds, now, admitted) = &mut *self.0.lock().unwrap();
            *admitted += usize::from(kinds.admits(event, *now));
        }
    }

    impl Gate {
        /// How many of the lines of `log` are admitted.
        fn admitted(&self, log: impl FnOnce()) -> usize {
            self.0.lock().unwrap().2 = 0;
            tracing::subscriber::with_default(tracing_subscriber::registry().with(self.clone()), log);
            self.0.lock().unwrap().2
        }

        fn pass(&self, time: Duration) {
            self.0.lock().unwrap().1 += time;
        }

        fn due(&self) -> Vec<LeftOut> {
            let (kinds, now, _) = &mut *self.0.lock().unwrap();
            kinds.due(*now)
        }
    }

    const BURST_LINES: usize = BURST as usize;

    #[test]
    fn a_burst_is_written_and_then_a_line_from_time_to_time() {
        let gate = Gate::default();
        let say = |times: usize| {
            gate.admitted(|| {
                for number in 0..times {
                    tracing::info!(decision = number, signal = "call", "call is {number}");
                }
            })
        };
        assert_eq!(say(100), BURST_LINES);
        gate.pass(Duration::from_millis(29_999));
        assert!(gate.due().is_empty());
        assert_eq!(say(2), 0);
        gate.pass(Duration::from_millis(1));
        let [left_out] = &gate.due()[..] else { panic!("one kind") };
        assert_eq!(
            (left_out.count, left_out.since, left_out.until),
            (42, Duration::ZERO, Duration::from_millis(29_999))
        );
        assert_eq!(left_out.last.text(), "call is 1 decision=1 signal=call");
        assert_eq!(say(2), 1);
        // A signal that rests has its whole budget again.
        gate.pass(REFILL * BURST);
        assert_eq!(gate.due().len(), 1);
        assert_eq!(say(100), BURST_LINES);
    }

    #[test]
    fn no_line_hides_one_about_something_else() {
        let gate = Gate::default();
        let admitted = gate.admitted(|| {
            for number in 0..1000 {
                for signal in ["call", "lock"] {
                    tracing::info!(signal, "changed {number}");
                }
                for account in ["work", "bot"] {
                    tracing::info!(account, "decided {number}");
                }
                for why in ["reset", "refused"] {
                    tracing::warn!(next = number, "{why} after {number} s");
                }
            }
        });
        assert_eq!(admitted, 6 * BURST_LINES);
    }

    #[test]
    fn made_up_errors_use_up_neither_the_memory_nor_the_disk() {
        let gate = Gate::default();
        let make_up = || {
            gate.admitted(|| {
                for number in 0..10_000_u32 {
                    let words: String = number.to_string().bytes().map(|digit| char::from(digit + b'0')).collect();
                    tracing::error!("no such thing: {words}");
                }
            })
        };
        let most = MAX_KINDS + BURST_LINES;
        assert!((MAX_KINDS..=most).contains(&make_up()));
        gate.pass(REFILL);
        assert!(make_up() <= 2 * MAX_KINDS, "the same texts again");
        assert!(gate.0.lock().unwrap().0.budgets.len() <= MAX_KINDS + 1);
        gate.pass(FORGET_AFTER * 2);
        gate.due();
        assert!((MAX_KINDS..=most).contains(&make_up()), "forgotten");
    }

    #[test]
    fn everything_is_written_at_the_level_trace() {
        let admitted = Gate::default().admitted(|| (0..1000).for_each(|_| tracing::trace!("again")));
        assert_eq!(admitted, 1000);
    }

    #[test]
    fn the_last_words_say_what_was_left_out() {
        let written = Written::default();
        let (layer, last_words) = limited(written.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for number in 1..=1000 {
                tracing::info!(account = "work", "line {number}");
            }
            drop(last_words);
        });
        let written = written.0.lock().unwrap();
        assert_eq!(written.len(), BURST_LINES + 1);
        let last = written.last().unwrap();
        assert!(last.starts_with("left out 940 similar lines within "), "{last}");
        assert!(last.ends_with(" s; the last was: line 1000 account=work"), "{last}");
    }
}
