//! What was asked: a bounded record of requests, without their secrets, and counts of all of them.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::message::Request;
use super::model::Pair;
use super::route::{Call, Route};

/// How many requests are kept; the oldest are dropped first.
const CAPACITY: usize = 2_000;

/// How many bytes of a body are kept.
const BODY_KEPT: usize = 4 * 1024;

/// The form fields that may be shown: what is not named here may be a secret.
const PLAIN_FIELDS: [&str; 5] = ["grant_type", "client_id", "scope", "client_info", "claims"];

/// One request that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 1, in the order of arrival.
    pub id: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// What kind of call it is.
    pub call: Call,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its body; secrets are left out, and a long one is cut.
    pub body: String,
    /// Its `client-request-id`.
    pub client_request_id: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The status it was answered with.
    pub status: Option<u16>,
    /// The error's code in the answer.
    pub code: Option<String>,
    /// What others see of the user concerned after it.
    pub visible: Option<Pair>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Not answered yet, or its client left before it was.
    Pending,
    /// It was answered.
    Answered,
    /// Its connection was reset.
    Reset,
    /// It is never answered.
    Hung,
}

/// How often one kind of call came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests answered, by status.
    pub answered: BTreeMap<u16, u64>,
    /// Requests reset or never answered.
    pub unanswered: u64,
}

/// The record and the counts.
#[derive(Debug, Default)]
pub(super) struct Journal {
    records: VecDeque<Record>,
    last_id: u64,
    counts: BTreeMap<Call, Counts>,
}

impl Journal {
    /// Notes a request that arrives; its number.
    pub(super) fn arrive(&mut self, call: Call, route: &Route, request: &Request, at: Timestamp) -> u64 {
        if self.records.len() == CAPACITY {
            self.records.pop_front();
        }
        self.last_id += 1;
        self.records.push_back(Record {
            id: self.last_id,
            at,
            call,
            method: request.method.to_string(),
            path: request.path.clone(),
            body: shown(route, request),
            client_request_id: request.header("client-request-id").map(ToOwned::to_owned),
            outcome: Outcome::Pending,
            status: None,
            code: None,
            visible: None,
        });
        self.last_id
    }

    /// Notes what became of request `id`; the whole record, unless it was dropped meanwhile.
    pub(super) fn finish(
        &mut self,
        id: u64,
        call: Call,
        outcome: Outcome,
        answer: Option<(u16, Option<String>)>,
        visible: Option<Pair>,
    ) -> Option<Record> {
        match &answer {
            Some((status, _)) => self.count(call, *status),
            None => self.counts.entry(call).or_default().unanswered += 1,
        }
        let record = self.records.iter_mut().rev().find(|record| record.id == id)?;
        let (status, code) = answer.map_or((None, None), |(status, code)| (Some(status), code));
        *record = Record { outcome, status, code, visible, ..record.clone() };
        Some(record.clone())
    }

    /// Counts one answer.
    pub(super) fn count(&mut self, call: Call, status: u16) {
        *self.counts.entry(call).or_default().answered.entry(status).or_default() += 1;
    }

    /// The counts.
    pub(super) fn counts(&self) -> &BTreeMap<Call, Counts> {
        &self.counts
    }

    /// The requests with a number above `after`, oldest first.
    pub(super) fn records(&self, after: u64) -> Vec<Record> {
        self.records.iter().filter(|record| record.id > after).cloned().collect()
    }

    /// How many requests were dropped from the record.
    pub(super) fn dropped(&self) -> u64 {
        self.last_id - self.records.len() as u64
    }
}

/// A request's body as the record shows it.
fn shown(route: &Route, request: &Request) -> String {
    let Some(body) = &request.body else { return "(too large)".to_owned() };
    let mut text = match route {
        Route::Entra(..) => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            for (name, value) in form_urlencoded::parse(body) {
                let plain = PLAIN_FIELDS.contains(&&*name);
                form.append_pair(&name, if plain { &value } else { "hidden" });
            }
            form.finish()
        }
        Route::Help
        | Route::Control(_)
        | Route::Presence(..)
        | Route::Batch
        | Route::UnknownSegment(_)
        | Route::Unknown => String::from_utf8_lossy(body).into_owned(),
    };
    if text.len() > BODY_KEPT {
        text.truncate(text.floor_char_boundary(BODY_KEPT));
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
    fn secrets_of_sign_ins_are_left_out() {
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
        let (route, request) = request("/v1.0/me/presence", "ä".repeat(BODY_KEPT).as_bytes());
        assert_eq!(shown(&route, &request).chars().count(), BODY_KEPT / 2 + 1);
    }

    #[test]
    fn the_record_is_bounded_and_the_counts_are_whole() {
        let mut journal = Journal::default();
        let (route, request) = request("/v1.0/me/presence", b"");
        for _ in 0..CAPACITY + 3 {
            let id = journal.arrive(Call::Read, &route, &request, Timestamp::UNIX_EPOCH);
            journal.finish(id, Call::Read, Outcome::Answered, Some((200, None)), None);
        }
        assert_eq!(journal.dropped(), 3);
        let last = CAPACITY as u64 + 3;
        assert_eq!(journal.records(last - 2).iter().map(|record| record.id).collect::<Vec<_>>(), [last - 1, last]);
        assert_eq!(journal.counts()[&Call::Read].answered[&200], last);
    }
}
