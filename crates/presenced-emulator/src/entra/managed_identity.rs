//! The machine's managed identity: Azure's metadata service (IMDS), and the endpoint that App Service and Container Apps name in
//! `IDENTITY_ENDPOINT`. The first app registration is the identity, unless `client_id` names another.
//!
//! Source: "How to use managed identities on a virtual machine to acquire an access token", "How to use managed identities for App
//! Service". Documented: the requests, the fields of the answers, whose numbers are texts, and the refusals of a missing `Metadata`
//! header and of `X-Forwarded-For`. Inferred: the texts of the other refusals, and that a wrong `X-IDENTITY-HEADER` gets a 401.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Entra;
use super::agents::{EXCHANGE, Says};
use super::tokens::Subject;
use crate::message::{Reply, Request};
use crate::options::{IDENTITY_HEADER, TENANT_ID};
use crate::route::IdentityEndpoint;
use presenced_core::time::Now;

/// The resource of Graph.
const GRAPH: &str = "https://graph.microsoft.com";

/// Why a request is refused: the status, `error`, and the text.
type Refusal = (StatusCode, &'static str, String);

impl Entra {
    fn machine_token(&mut self, endpoint: IdentityEndpoint, request: &Request, now: &Now) -> Result<Value, Refusal> {
        check(endpoint, request)?;
        let invalid = |text: String| (StatusCode::BAD_REQUEST, "invalid_request", text);
        let asked = request.parameter("resource").filter(|resource| !resource.is_empty());
        let asked = asked.ok_or_else(|| invalid("Required query variable 'resource' is missing".to_owned()))?;
        let app = match request.parameter("client_id") {
            Some(id) => self.app(&id).map_err(|_| invalid("Identity not found".to_owned()))?,
            None => self.apps.first().cloned().ok_or_else(|| invalid("Identity not found".to_owned()))?,
        };
        let resource = asked.trim_end_matches('/');
        let (token, secs) = if resource.eq_ignore_ascii_case(EXCHANGE) {
            let unique = self.uuid();
            let answer = self.agents.issue(Says::Machine, &app.client_id, TENANT_ID, &unique, now);
            let secs = answer["expires_in"].as_u64().unwrap_or_default();
            (answer["access_token"].as_str().unwrap_or_default().to_owned(), secs)
        } else if resource.eq_ignore_ascii_case(GRAPH) {
            let subject = Subject::Application { roles: app.roles };
            let (token, lifetime) = self.access(&app.client_id, TENANT_ID, subject, now);
            (token, lifetime.as_secs())
        } else {
            let text = format!("AADSTS500011: The resource principal named {asked} was not found in the tenant.");
            return Err((StatusCode::BAD_REQUEST, "invalid_resource", text));
        };
        let start = now.wall.as_second();
        let ends = start.saturating_add_unsigned(secs);
        let mut answer = json!({
            "access_token": token,
            "client_id": app.client_id,
            "expires_on": ends.to_string(),
            "resource": asked,
            "token_type": "Bearer",
        });
        if endpoint == IdentityEndpoint::Metadata {
            answer["expires_in"] = secs.to_string().into();
            answer["ext_expires_in"] = secs.to_string().into();
            answer["not_before"] = start.to_string().into();
        }
        self.note_issued(&answer);
        Ok(answer)
    }

    /// Answers a request for a token of the machine's managed identity.
    pub(crate) fn machine_answer(&mut self, endpoint: IdentityEndpoint, request: &Request, now: &Now) -> Reply {
        match self.machine_token(endpoint, request, now) {
            Ok(answer) => Reply::json(StatusCode::OK, &answer),
            Err((status, error, text)) => {
                Reply::json(status, &json!({ "error": error, "error_description": text })).coded(error)
            }
        }
    }
}

/// The checks that prove that a program on this machine asks, and not a page or a proxy.
fn check(endpoint: IdentityEndpoint, request: &Request) -> Result<(), Refusal> {
    let invalid = |text: &str| Err((StatusCode::BAD_REQUEST, "invalid_request", text.to_owned()));
    if request.method != hyper::Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "Only GET is allowed".to_owned()));
    }
    match endpoint {
        IdentityEndpoint::Metadata => {
            if !request.header("metadata").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
                return invalid("Required metadata header not specified");
            }
            if request.headers.contains_key("x-forwarded-for") {
                return invalid("A request with the header X-Forwarded-For is refused");
            }
        }
        IdentityEndpoint::AppService => {
            if request.header("x-identity-header") != Some(IDENTITY_HEADER) {
                let text = format!("The header X-IDENTITY-HEADER must be '{IDENTITY_HEADER}'");
                return Err((StatusCode::UNAUTHORIZED, "unauthorized", text));
            }
        }
    }
    if request.parameter("api-version").is_none_or(|version| version.is_empty()) {
        return invalid("Required query variable 'api-version' is missing");
    }
    Ok(())
}
