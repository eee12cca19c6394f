//! `GET /`: what this is, for whoever looks with a browser or with curl.

use hyper::StatusCode;

use super::message::Reply;

const HELP: &str = "\
presenced emulator: Microsoft Graph's presence service and Entra's sign-in, on loopback.

Graph
  POST /v1.0/users/{id}/presence/setPresence | clearPresence
  POST /v1.0/users/{id}/presence/setUserPreferredPresence | clearUserPreferredPresence | setStatusMessage
  GET  /v1.0/users/{id}/presence
  POST /v1.0/$batch

Entra
  GET  /{tenant}/oauth2/v2.0/authorize      for a browser: a page with two buttons, or approved by itself
  POST /{tenant}/oauth2/v2.0/token          client_credentials, authorization_code, refresh_token, device_code
  POST /{tenant}/oauth2/v2.0/devicecode

Control
  GET    /_emulator/state                            everything, as JSON
  GET    /_emulator/requests[?after=N]               the requests seen, without secrets
  GET    /_emulator/users/{id}/timeline              what others saw, since when and why
  POST   /_emulator/users/{id}/timeline              for how long that was not what was expected, and how often it faded:
                                                     {\"expected\": [{\"from\": \"2026-11-24T09:00:00Z\", \"availability\": \"Busy\",
                                                     \"activity\": \"InACall\"}, …]}, and \"from\" and \"to\" for a part of it
  POST   /_emulator/users/{id}/sessions              another client's session: {\"availability\": \"Available\"}
  DELETE /_emulator/users/{id}/sessions[/{name}]     it closes
  POST   /_emulator/users/{id}/revoke                revoke the user's sign-ins
  DELETE /_emulator/tokens                           forget all access tokens
  GET    /_emulator/device                           sign-ins that wait for approval
  POST   /_emulator/device/{user_code}/approve[?user={id}] | deny
  POST   /_emulator/consent/{id}/approve[?user={id}] | deny
                                                     what the page's buttons do; the state lists the ids
  GET    /_emulator/faults                           the faults that stand
  POST   /_emulator/faults                           one more, or a list of them
  DELETE /_emulator/faults                           none

A fault: {\"call\": \"set\", \"at\": \"1h\", \"after\": 1, \"times\": 2, \"for\": \"10m\", \"delay\": \"2s\", \"applied\": false, \"then\": …}
  call   any (default), graph, set, clear, prefer, clear-preferred, status-message, read, batch, authorize, token,
         device-code, other
  at     when it begins to count: after so long, or at a time; after so many calls it begins; then it hits so many, and
         lasts so long
  then   \"answer\" (default), \"reset\", \"hang\", {\"respond\": {\"status\": 503, \"headers\": {\"Retry-After\": \"5\"}, \"body\": …}},
         \"claims-challenge\" (401 until a token is asked for with its claims), \"revoke\" (all sign-ins, then answer),
         {\"aadsts\": 53003} (for token and device-code: the sign-in service's error of that number)
";

/// The page.
pub(super) fn page() -> Reply {
    Reply::text(StatusCode::OK, HELP.to_owned())
}
