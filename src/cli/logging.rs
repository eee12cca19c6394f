//! Where the daemon's log goes: standard error, the journal through it, or rolling files.

use std::fmt;
use std::io::IsTerminal as _;

use tracing::{Event, Level, Subscriber};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::{Error, Exit};
use crate::config::{Environment, Log};

/// How many daily files are kept.
const FILES: usize = 14;

/// Starts logging as `log` says.
pub(super) fn start(log: &Log, environment: &Environment) -> Result<(), Error> {
    let level = log.level.as_deref().unwrap_or("info");
    let filter: Targets = level.parse().map_err(|error| {
        Error::new(Exit::Usage, format!("`{level}` is no log level: {error}"))
            .with_hint("write error, warn, info, debug or trace, or one for a part: `info,presenced::auth=debug`")
    })?;
    if let Some(dir) = &log.dir {
        let files = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix("presenced")
            .filename_suffix("log")
            .max_log_files(FILES)
            .build(dir)
            .map_err(|error| {
                Error::new(Exit::Failed, format!("cannot write logs to {}: {error}", dir.display()))
                    .with_hint("choose a folder that you may write to with --log-dir")
            })?;
        // Written by the event loop itself: a line now and then is cheaper than a thread that waits for it.
        install(filter, format::Format::default().with_ansi(false), files, false);
    } else if environment.var("JOURNAL_STREAM").is_some() {
        install(filter, Journal(format::Format::default().without_time().with_level(false)), std::io::stderr, false);
    } else {
        let colour = std::io::stderr().is_terminal() && environment.var("NO_COLOR").is_none();
        install(filter, format::Format::default(), std::io::stderr, colour);
    }
    Ok(())
}

fn install<F, W>(filter: Targets, format: F, writer: W, colour: bool)
where
    F: FormatEvent<tracing_subscriber::Registry, format::DefaultFields> + Send + Sync + 'static,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    tracing_subscriber::fmt::Layer<tracing_subscriber::Registry, format::DefaultFields, F, W>:
        tracing_subscriber::Layer<tracing_subscriber::Registry>,
{
    use tracing_subscriber::Layer as _;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let layer = tracing_subscriber::fmt::layer().with_ansi(colour).event_format(format).with_writer(writer);
    // Fails only if a logger is there already, which is then as good.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}

/// Lines for the journal: no time, since it has its own, and the level as the prefix that the journal turns into a
/// priority (`sd-daemon(3)`), so that `journalctl -p warning` works.
struct Journal(format::Format<format::Full, ()>);

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}
