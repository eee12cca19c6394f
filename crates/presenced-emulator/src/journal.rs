//! The journal: the newest requests without their secrets, and counts of all requests.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::message::Request;
use super::model::Pair;
use super::route::{Call, Route};

/// How many requests are kept. The oldest are dropped first.
const MAX_RECORDS: usize = 2_000;

/// How many bytes of a request body are kept.
const MAX_RECORDED_BODY_BYTES: usize = 4 * 1024;

/// The form fields whose values are shown. Any other may be a secret.
const SHOWN_FORM_FIELDS: [&str; 5] = ["grant_type", "client_id", "scope", "client_info", "claims"];

/// One request to Graph or Entra, as `GET /_emulator/requests` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Its number, in order of arrival; the first is 1.
    pub id: u64,
    /// When it arrived, in the emulator's time.
    pub at: Timestamp,
    /// The number of the batch that it arrived in; `None` if it arrived by itself.
    #[serde(default)]
    pub batch: Option<u64>,
    /// What kind of call it is.
    pub call: Call,
    /// Its HTTP method.
    pub method: String,
    /// Its path, percent-encoded, without the query.
    pub path: String,
    /// Its body. The values of form fields that may be secrets are replaced by `hidden`. A body above 4 KiB is cut and ends with
    /// `…`.
    pub body: String,
    /// Its header `client-request-id`.
    pub client_request_id: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status of the answer; `None` if there is no answer (yet).
    pub status: Option<u16>,
    /// The error code in the answer: Graph's `error.code` or OAuth's `error`.
    pub code: Option<String>,
    /// The object id of the user whose presence it is about; `None` if it is about no user, or about one that does not exist.
    #[serde(default)]
    pub user: Option<String>,
    /// What others saw after it of the user whose presence it is about; `None` if it is about no user.
    pub visible: Option<Pair>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It has no answer yet, or the client left before it got one.
    Pending,
    /// It was answered.
    Answered,
    /// Its connection was reset by a fault.
    Reset,
    /// It never gets an answer, because of a fault.
    Hung,
}

/// How many requests of one kind there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Answered requests by HTTP status.
    pub answered: BTreeMap<u16, u64>,
    /// Requests that were reset or never answered.
    pub unanswered: u64,
}

/// The requests and the counts.
#[derive(Debug, Default)]
pub(super) struct Journal {
    records: VecDeque<RequestRecord>,
    last_id: u64,
    counts: BTreeMap<Call, RequestCounts>,
    /// The requests that ended since [`take_ended`](Journal::take_ended).
    ended: Vec<RequestRecord>,
}

impl Journal {
    /// Adds a request that arrives, alone or in the batch with that number. Returns its number.
    pub(super) fn arrive(
        &mut self,
        call: Call,
        route: &Route,
        request: &Request,
        batch: Option<u64>,
        at: Timestamp,
    ) -> u64 {
        if self.records.len() == MAX_RECORDS {
            self.records.pop_front();
        }
        self.last_id += 1;
        self.records.push_back(RequestRecord {
            id: self.last_id,
            at,
            batch,
            call,
            method: request.method.to_string(),
            path: request.path.clone(),
            body: shown(route, request),
            client_request_id: request.header("client-request-id").map(ToOwned::to_owned),
            outcome: Outcome::Pending,
            status: None,
            code: None,
            user: None,
            visible: None,
        });
        self.last_id
    }

    /// Notes how request `id` ended, and what others then see of the user it is about.
    pub(super) fn finish(
        &mut self,
        id: u64,
        call: Call,
        outcome: Outcome,
        answer: Option<(u16, Option<String>)>,
        seen: Option<(String, Pair)>,
    ) {
        let counts = self.counts.entry(call).or_default();
        match &answer {
            Some((status, _)) => *counts.answered.entry(*status).or_default() += 1,
            None => counts.unanswered += 1,
        }
        // The numbers have no gaps. A request that was dropped in the meantime has no place.
        let first = self.records.front().map_or(0, |record| record.id);
        let place = id.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        let Some(record) = place.and_then(|place| self.records.get_mut(place)) else { return };
        record.outcome = outcome;
        (record.status, record.code) = answer.map_or((None, None), |(status, code)| (Some(status), code));
        (record.user, record.visible) = seen.unzip();
        self.ended.push(record.clone());
    }

    /// The records of the requests that ended since the last call.
    pub(super) fn take_ended(&mut self) -> Vec<RequestRecord> {
        std::mem::take(&mut self.ended)
    }

    /// The counts.
    pub(super) fn counts(&self) -> &BTreeMap<Call, RequestCounts> {
        &self.counts
    }

    /// The kept requests with a number above `after`, oldest first.
    pub(super) fn records(&self, after: u64) -> Vec<RequestRecord> {
        self.records.iter().filter(|record| record.id > after).cloned().collect()
    }

    /// The newest `count` requests, newest first, without their bodies.
    pub(super) fn newest(&self, count: usize) -> Vec<RequestRecord> {
        let newest = self.records.iter().rev().take(count);
        newest.map(|record| RequestRecord { body: String::new(), ..record.clone() }).collect()
    }

    /// How many requests were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.last_id - self.records.len() as u64
    }
}

/// A request's body as the journal shows it.
fn shown(route: &Route, request: &Request) -> String {
    let Some(body) = &request.body else { return "(too large)".to_owned() };
    let mut text = match route {
        Route::Entra(..) => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            for (name, value) in form_urlencoded::parse(body) {
                let plain = SHOWN_FORM_FIELDS.contains(&&*name);
                form.append_pair(&name, if plain { &value } else { "hidden" });
            }
            form.finish()
        }
        Route::Help
        | Route::Control(_)
        | Route::Presence(..)
        | Route::Location(..)
        | Route::ReadMany
        | Route::List
        | Route::User(_)
        | Route::Batch
        | Route::ManagedIdentity(_)
        | Route::Sidecar
        | Route::UnknownSegment(_)
        | Route::Unknown => String::from_utf8_lossy(body).into_owned(),
    };
    if text.len() > MAX_RECORDED_BODY_BYTES {
        text.truncate(text.floor_char_boundary(MAX_RECORDED_BODY_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, Method};

    use super::*;

    fn request(path: &str, body: &[u8]) -> (Route, Request) {
        let request = Request {
            method: Method::POST,
            path: path.to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Some(body.to_vec().into()),
        };
        (Route::of(path), request)
    }

    #[test]
    fn secrets_of_sign_ins_are_hidden() {
        let (route, request) = request(
            "/t/oauth2/v2.0/token",
            b"grant_type=refresh_token&client_id=a&client_secret=s3cret&refresh_token=t0ken&unheard_of=s3cret",
        );
        assert_eq!(
            shown(&route, &request),
            "grant_type=refresh_token&client_id=a&client_secret=hidden&refresh_token=hidden&unheard_of=hidden"
        );
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let (route, request) = request("/v1.0/me/presence", "ä".repeat(MAX_RECORDED_BODY_BYTES).as_bytes());
        assert_eq!(shown(&route, &request).chars().count(), MAX_RECORDED_BODY_BYTES / 2 + 1);
    }

    #[test]
    fn old_requests_are_dropped_but_still_counted() {
        let mut journal = Journal::default();
        let (route, request) = request("/v1.0/me/presence", b"");
        for _ in 0..MAX_RECORDS + 3 {
            let id = journal.arrive(Call::Read, &route, &request, None, Timestamp::UNIX_EPOCH);
            journal.finish(id, Call::Read, Outcome::Answered, Some((200, None)), None);
        }
        assert_eq!(journal.dropped(), 3);
        let last = MAX_RECORDS as u64 + 3;
        assert_eq!(journal.records(last - 2).iter().map(|record| record.id).collect::<Vec<_>>(), [last - 1, last]);
        assert_eq!(journal.counts()[&Call::Read].answered[&200], last);
    }
}
