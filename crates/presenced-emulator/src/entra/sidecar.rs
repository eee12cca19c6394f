//! Microsoft's sign-in sidecar (Entra auth SDK): `GET /AuthorizationHeaderUnauthenticated/{api}`.
//!
//! Documented: the request with `AgentIdentity` and `AgentUserId` or `AgentUsername`, the answer `authorizationHeader`, and that errors
//! are problem documents with the AADSTS number in `detail`. Inferred: that every name of an API means Graph, that the first app
//! registration is the sidecar's, and the statuses.

use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use serde_json::json;

use super::Entra;
use super::tokens::Subject;
use crate::message::{Reply, Request};
use crate::options::TENANT_ID;
use presenced_core::time::Now;

impl Entra {
    /// Answers a request to the sidecar.
    pub(crate) fn sidecar_answer(&mut self, request: &Request, now: &Now) -> Reply {
        if request.method != hyper::Method::GET {
            return problem(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", "Only GET is allowed.");
        }
        let asked = |name: &str| request.parameter(name).filter(|value| !value.is_empty());
        let (identity, id, name) = (asked("AgentIdentity"), asked("AgentUserId"), asked("AgentUsername"));
        let wrong = |text: &str| problem(StatusCode::BAD_REQUEST, "Bad Request", text);
        if id.is_some() && name.is_some() {
            return wrong("AgentUserId and AgentUsername cannot be used together.");
        }
        let token = match identity {
            None if id.is_some() || name.is_some() => {
                return wrong("AgentUserId and AgentUsername need AgentIdentity.");
            }
            None => {
                let Some(app) = self.apps.first().cloned() else {
                    return wrong("The directory has no app registration.");
                };
                Ok(self.access(&app.client_id, TENANT_ID, Subject::Application { roles: app.roles }, now).0)
            }
            Some(identity) => {
                let user = (id.is_some() || name.is_some()).then_some((id.as_ref(), name.as_ref()));
                self.agent_access(&identity, user, TENANT_ID, now)
            }
        };
        match token {
            Ok(token) => {
                self.note_issued(&json!({ "access_token": token }));
                Reply::json(StatusCode::OK, &json!({ "authorizationHeader": format!("Bearer {token}") }))
            }
            Err(refusal) => {
                let (error, detail) = refusal.in_redirect();
                problem(StatusCode::BAD_REQUEST, "Bad Request", &detail).coded(error)
            }
        }
    }
}

/// A problem document (RFC 9457).
fn problem(status: StatusCode, title: &str, detail: &str) -> Reply {
    let body = json!({ "status": status.as_u16(), "title": title, "detail": detail });
    Reply::json(status, &body).with(CONTENT_TYPE, "application/problem+json")
}
