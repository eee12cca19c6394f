//! Writes log lines to the systemd journal in its native protocol, so that lines can be found by field:
//! `journalctl --user PRESENCED_DECISION=17`. Leaves to others: whether there is a journal (`logging`).
//!
//! Protocol: systemd's *Native Journal Protocol*, one datagram per line. Longer lines would need a memory file, so they are cut
//! instead; presenced logs none that long.

use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::cli::log_line::{Fields, append};

/// Where journald listens.
pub(in crate::cli) const SOCKET: &str = "/run/systemd/journal/socket";

/// The longest text of a line. A datagram can take more than three times as much.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The fields of a line that become journal fields, and the names there.
const FIELDS: [(&str, &str); 5] = [
    ("account", "PRESENCED_ACCOUNT"),
    ("decision", "PRESENCED_DECISION"),
    ("signal", "PRESENCED_SIGNAL"),
    ("client_request_id", "PRESENCED_REQUEST_ID"),
    ("request_id", "PRESENCED_GRAPH_REQUEST_ID"),
];

/// A layer that writes to the journal.
#[derive(Debug)]
pub(in crate::cli) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// Writes to the socket at `path`.
    ///
    /// # Errors
    ///
    /// Nothing listens there.
    pub(in crate::cli) fn at(path: &Path) -> io::Result<Self> {
        // Only a test: a socket that stays connected would not survive a restart of journald.
        UnixDatagram::unbound()?.connect(path)?;
        Ok(Self { socket: UnixDatagram::unbound()?, path: path.to_owned() })
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Journal {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut message = fields.text();
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            for (name, value) in extensions.get::<Fields>().into_iter().flat_map(Fields::others) {
                // Request ids are only journal fields, for searches.
                if matches!(*name, "account" | "decision") && fields.get(name).is_none() {
                    append(&mut message, name, value);
                }
                fields.put(name, value.clone());
            }
        }
        let priority = match *event.metadata().level() {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));

        let mut entry = Vec::with_capacity(512);
        put(&mut entry, "MESSAGE", &message);
        put(&mut entry, "PRIORITY", priority);
        put(&mut entry, "SYSLOG_IDENTIFIER", env!("CARGO_PKG_NAME"));
        put(&mut entry, "PRESENCED_MODULE", event.metadata().target());
        for (name, field) in FIELDS {
            if let Some(value) = fields.get(name) {
                put(&mut entry, field, value);
            }
        }
        if self.socket.send_to(&entry, &self.path).is_err() {
            // Standard error usually also leads to the journal.
            let _ = writeln!(io::stderr(), "<{priority}>{message}");
        }
    }
}

/// Adds one field to an entry. A value has no line breaks, as [`Fields`] makes sure: one would begin another field.
fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'=');
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tracing::field::Empty;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Reads an entry as journald does.
    fn read(mut entry: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while !entry.is_empty() {
            let end = entry.iter().position(|byte| *byte == b'\n').expect("a field ends");
            let (line, rest) = (&entry[..end], &entry[end + 1..]);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let equals = line.iter().position(|byte| *byte == b'=').expect("a value on one line");
            fields.insert(text(&line[..equals]), text(&line[equals + 1..]));
            entry = rest;
        }
        fields
    }

    /// The entries that the journal gets from `log`.
    fn entries(log: impl FnOnce()) -> Vec<BTreeMap<String, String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journald = UnixDatagram::bind(&path).unwrap();
        journald.set_nonblocking(true).unwrap();
        let subscriber = tracing_subscriber::registry().with(Journal::at(&path).unwrap());
        tracing::subscriber::with_default(subscriber, log);
        let mut entry = vec![0; 4 * MAX_MESSAGE_BYTES];
        std::iter::from_fn(|| journald.recv(&mut entry).ok().map(|length| read(&entry[..length]))).collect()
    }

    #[test]
    fn a_line_has_its_account_signal_decision_and_request_ids() {
        let entries = entries(|| {
            tracing::info!(decision = 17, signal = "call", was = Some("idle"), "call is in-call");
            let span = tracing::error_span!(
                "request",
                account = "work",
                decision = 17,
                client_request_id = Empty,
                request_id = Empty
            );
            span.record("client_request_id", "0b44");
            span.record("request_id", "61cc");
            span.in_scope(|| tracing::warn!(hint = "say \"please\"", "refused"));
        });
        let [signal, answer] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!(signal["MESSAGE"], "call is in-call decision=17 signal=call was=idle");
        assert_eq!((&*signal["PRIORITY"], &*signal["SYSLOG_IDENTIFIER"]), ("6", "presenced"));
        assert_eq!((&*signal["PRESENCED_DECISION"], &*signal["PRESENCED_SIGNAL"]), ("17", "call"));
        assert!(!signal.contains_key("PRESENCED_ACCOUNT"));
        assert_eq!(answer["MESSAGE"], "refused hint=\"say \\\"please\\\"\" account=work decision=17");
        assert_eq!((&*answer["PRIORITY"], &*answer["PRESENCED_ACCOUNT"]), ("4", "work"));
        assert_eq!((&*answer["PRESENCED_DECISION"], &*answer["PRESENCED_REQUEST_ID"]), ("17", "0b44"));
        assert_eq!(answer["PRESENCED_GRAPH_REQUEST_ID"], "61cc");
        assert!(answer["PRESENCED_MODULE"].starts_with("presenced::"));
    }

    #[test]
    fn quoted_text_adds_no_fields_and_long_lines_are_cut() {
        let entries = entries(|| {
            tracing::info!(why = %"\u{1b}[2J\nPRIORITY=0", "wrong\nPRIORITY=0\nPRESENCED_DECISION=1");
            let long = "x".repeat(MAX_MESSAGE_BYTES);
            tracing::info!(a = long, b = long, c = long, d = long, e = long, f = long, g = long, h = long, "{long}");
        });
        assert_eq!(entries[0]["MESSAGE"], "wrong PRIORITY=0 PRESENCED_DECISION=1 why=\"\u{fffd}[2J PRIORITY=0\"");
        assert_eq!((&*entries[0]["PRIORITY"], entries[0].contains_key("PRESENCED_DECISION")), ("6", false));
        assert_eq!(entries[1]["MESSAGE"].len(), MAX_MESSAGE_BYTES);
    }

    #[test]
    fn a_missing_journal_is_an_error() {
        assert!(Journal::at(Path::new("/nonexistent/socket")).is_err());
    }
}
