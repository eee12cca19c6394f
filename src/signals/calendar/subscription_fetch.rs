//! One fetch of a calendar subscription: asks whether there is something newer, and replaces the copy with the answer if that
//! is a whole calendar.
//!
//! Leaves to others: when to fetch (`subscription`), and how HTTP is spoken (`http`).

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{ACCEPT, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use reqwest::{RequestBuilder, Response, StatusCode};

use super::subscription_copy::{CachedCopy, Facts};
use crate::calendar::{SourceId, Timeline};
use crate::config::SecretUrl;
use crate::failure::{Failure, FailureKind};
use crate::http::{self, Client, Redirects, Timeouts};
use crate::off_the_loop::off_the_loop;
use crate::whole_file::Draft;

/// The largest calendar that is fetched.
const MAX_CALENDAR_BYTES: u64 = 64 * 1024 * 1024;

/// A large calendar takes a while over a slow connection.
const FETCH_TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(10), whole: Duration::from_mins(2) };

/// How much of it is collected before it is written.
const WRITTEN_BYTES: usize = 256 * 1024;

/// A calendar must begin within these bytes, after a byte order mark and blank lines.
const MAX_HEAD_BYTES: usize = 1024;

/// The result of a fetch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// The copy is still the calendar.
    Same(Facts),
    /// There is a new copy.
    New(Facts),
}

/// Why there is no new copy.
#[derive(Debug)]
pub(super) struct Unfetched {
    /// [`FailureKind::Passing`] and [`FailureKind::Throttled`] pass by themselves; after [`FailureKind::Refused`] the user has
    /// to fix something. The text begins with the host and shows no more of the address.
    pub(super) failure: Failure,
    /// There was an answer, but it is not a whole calendar.
    pub(super) is_broken_answer: bool,
}

impl From<Failure> for Unfetched {
    /// There was no answer with a calendar.
    fn from(failure: Failure) -> Self {
        Self { failure, is_broken_answer: false }
    }
}

/// Fetches the calendar at `url` into `copy`.
///
/// # Errors
/// The copy stays as it is.
pub(super) async fn fetch(url: &SecretUrl, copy: &CachedCopy, now: Timestamp) -> Result<Fetched, Unfetched> {
    let looked = copy.clone();
    let known = off_the_loop(move || looked.facts()).await;
    // A new one for each fetch: TLS need not stay in memory for a quarter of an hour.
    let client = Client::redirected(url.expose(), FETCH_TIMEOUTS, Redirects::Followed)?;
    let mut response = client.send(|http| conditional(http.get(url.expose().clone()), known.as_ref())).await?;
    match (response.status(), known) {
        (StatusCode::OK, _) => {}
        (StatusCode::NOT_MODIFIED, Some(known)) if known.size.is_some() => {
            let facts = Facts { confirmed_at: now, ..known };
            // Only the time is new: without it on disk, the next start fetches a little earlier.
            let (owned, new_facts) = (copy.clone(), facts.clone());
            let stored = off_the_loop(move || owned.store_facts(&new_facts)).await;
            if let Err(error) = stored {
                tracing::debug!(%error, "the facts about a subscription could not be stored");
            }
            return Ok(Fetched::Same(facts));
        }
        (status, _) => return Err(failure_of(url, status, &response).into()),
    }
    let not_written = |error: io::Error| {
        Failure::new(FailureKind::Refused, format!("{url} answered, but the copy cannot be written: {error}"))
            .with_hint(format!(
                "make sure that there is free space and that presenced may write {}",
                copy.path().display()
            ))
    };
    let looked = copy.clone();
    let draft = off_the_loop(move || looked.draft()).await.map_err(not_written)?;
    let broken = |failure| Unfetched { failure, is_broken_answer: true };
    let Received { head, size, draft } = receive(url, &mut response, draft).await.map_err(broken)?;
    if size > 0 && !is_calendar(&head) {
        return Err(broken(not_a_calendar(url)));
    }
    let header = |name| http::header(&response, name).map(str::to_owned);
    let (etag, last_modified) = (header("etag"), header("last-modified"));
    let facts = Facts { etag, last_modified, confirmed_at: now, size: Some(size) };
    let (owned, new_facts) = (copy.clone(), facts.clone());
    let replace = move || match fault(&draft)? {
        None => owned.replace(draft, &new_facts).map(|()| None),
        fault => Ok(fault),
    };
    match off_the_loop(replace).await.map_err(not_written)? {
        None => Ok(Fetched::New(facts)),
        Some(fault) => {
            let text = format!("{url} sent a calendar that cannot be used: {fault}");
            let hint = "presenced tries again by itself; if this does not end, open the address in a browser";
            Err(broken(Failure::new(FailureKind::Passing, text).with_hint(hint)))
        }
    }
}

/// Why a draft is not a whole calendar.
fn fault(draft: &Draft) -> io::Result<Option<String>> {
    let (from, to) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1));
    let mut scratch = Timeline::new(Vec::new(), TimeZone::UTC, from, to);
    let report = scratch.update(SourceId(0), Path::new(""), draft.open()?)?;
    Ok(report.unusable.map(|unusable| unusable.reason))
}

/// Checks that there is a calendar at `url`; reads no more than its beginning, and stores nothing.
///
/// # Errors
/// Like [`fetch`].
pub(super) async fn check(url: &SecretUrl) -> Result<(), Failure> {
    let client = Client::redirected(url.expose(), FETCH_TIMEOUTS, Redirects::Followed)?;
    let mut response = client.send(|http| conditional(http.get(url.expose().clone()), None)).await?;
    if response.status() != StatusCode::OK {
        return Err(failure_of(url, response.status(), &response));
    }
    let mut head = Vec::new();
    while head.len() < MAX_HEAD_BYTES
        && let Some(part) = http::next_part(&mut response).await.map_err(|failure| named(url, failure))?
    {
        let part = part.as_ref();
        head.extend_from_slice(&part[..part.len().min(MAX_HEAD_BYTES - head.len())]);
    }
    if is_calendar(&head) { Ok(()) } else { Err(not_a_calendar(url)) }
}

/// Asks only for something newer than what is known (RFC 9110, 13.1.2 and 13.1.3).
fn conditional(mut request: RequestBuilder, known: Option<&Facts>) -> RequestBuilder {
    request = request.header(ACCEPT, "text/calendar, */*;q=0.1");
    if let Some(etag) = known.and_then(|known| known.etag.as_ref()) {
        request = request.header(IF_NONE_MATCH, etag);
    }
    if let Some(last_modified) = known.and_then(|known| known.last_modified.as_ref()) {
        request = request.header(IF_MODIFIED_SINCE, last_modified);
    }
    request
}

/// What was received of a body.
struct Received {
    /// Its beginning.
    head: Vec<u8>,
    /// In bytes.
    size: u64,
    /// All of it.
    draft: Draft,
}

/// Writes the body of the answer into `draft` as it arrives.
async fn receive(url: &SecretUrl, response: &mut Response, mut draft: Draft) -> Result<Received, Failure> {
    let too_large = || {
        Failure::new(FailureKind::Refused, format!("{url} sent more than {} MiB", MAX_CALENDAR_BYTES / 1024 / 1024))
            .with_hint("publish a shorter period, if the service lets you choose")
    };
    if response.content_length().is_some_and(|length| length > MAX_CALENDAR_BYTES) {
        return Err(too_large());
    }
    let mut head = Vec::new();
    let mut size = 0;
    let mut unwritten = Vec::new();
    let not_written =
        |error: io::Error| Failure::new(FailureKind::Refused, format!("the copy of {url} cannot be written: {error}"));
    while let Some(part) = http::next_part(response).await.map_err(|failure| named(url, failure))? {
        let part = part.as_ref();
        size += part.len() as u64;
        if size > MAX_CALENDAR_BYTES {
            return Err(too_large());
        }
        head.extend_from_slice(&part[..part.len().min(MAX_HEAD_BYTES - head.len())]);
        unwritten.extend_from_slice(part);
        if unwritten.len() >= WRITTEN_BYTES {
            draft = append(draft, std::mem::take(&mut unwritten)).await.map_err(not_written)?;
        }
    }
    draft = append(draft, unwritten).await.map_err(not_written)?;
    Ok(Received { head, size, draft })
}

fn not_a_calendar(url: &SecretUrl) -> Failure {
    let text = format!("{url} sent something that is not a calendar");
    Failure::new(FailureKind::Refused, text).with_hint(
        "open the address in a browser: it must be the iCalendar (.ics) address, and must not need a sign-in",
    )
}

fn named(url: &SecretUrl, failure: Failure) -> Failure {
    Failure { text: format!("{url}: {}", failure.text), ..failure }
}

/// Whether a text begins as calendars do (RFC 5545, 3.4), in UTF-8 or UTF-16.
fn is_calendar(head: &[u8]) -> bool {
    // In UTF-16 text that is all ASCII, only the zero bytes and the byte order mark are extra.
    let mut text = head.iter().copied().filter(|byte| !matches!(byte, 0 | 0xef | 0xbb | 0xbf | 0xfe | 0xff));
    let begin = b"BEGIN:VCALENDAR";
    let first = text.find(|byte| !byte.is_ascii_whitespace());
    first.into_iter().chain(text.take(begin.len() - 1)).map(|byte| byte.to_ascii_uppercase()).eq(*begin)
}

/// The failure for an answer without a calendar.
fn failure_of(url: &SecretUrl, status: StatusCode, response: &Response) -> Failure {
    let text = format!("{url} answered {}", status.as_u16());
    let retry_after = http::retry_after(response.headers());
    match status.as_u16() {
        429 => Failure { retry_after, ..Failure::new(FailureKind::Throttled, text) },
        304 | 408 | 425 | 500.. => Failure { retry_after, ..Failure::new(FailureKind::Passing, text) },
        401 | 403 | 404 | 410 => Failure::new(FailureKind::Refused, text).with_hint(
            "the calendar may no longer be published: copy its address again from the calendar's settings into \
             [signals.calendar]",
        ),
        _ => Failure::new(FailureKind::Refused, text).with_hint("check the `url` in [signals.calendar]"),
    }
}

async fn append(mut draft: Draft, bytes: Vec<u8>) -> io::Result<Draft> {
    off_the_loop(move || draft.write_all(&bytes).map(|()| draft)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendars_are_recognized() {
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("BEGIN:VCALENDAR".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for calendar in [
            &b"BEGIN:VCALENDAR\r\nVERSION:2.0"[..],
            b"\xef\xbb\xbf\r\n\r\nbegin:vcalendar\n",
            b"BEGIN:VCALENDAR",
            &utf16,
        ] {
            assert!(is_calendar(calendar), "{calendar:?}");
        }
        for other in [&b""[..], b"<!DOCTYPE html>", b"BEGIN:VCARD\r\n", b"{}", b"BEGIN", b"\0\0\0"] {
            assert!(!is_calendar(other), "{other:?}");
        }
    }
}
