//! The help text: what `GET /` answers to curl.

pub(super) const HELP_TEXT: &str = "\
presenced emulator: Microsoft Graph's presence service and Entra's sign-in, on loopback.

Graph
  POST /v1.0/users/{id}/presence/setPresence | clearPresence
  POST /v1.0/users/{id}/presence/setUserPreferredPresence | clearUserPreferredPresence | setStatusMessage
  POST /v1.0/users/{id}/presence/setManualLocation | setAutomaticLocation | clearLocation | clearAutomaticLocation
  GET  /v1.0/users/{id}/presence[?$select=…]
  GET  /v1.0/users/{id} | /v1.0/me
  GET  /v1.0/communications/presences
  POST /v1.0/communications/getPresencesByUserId
  POST /v1.0/$batch
  A key may be in parentheses, as in users('{id}'), and an action may carry its namespace. The header x-presenced-basis
  says whether an answer is documented, reported or inferred.

Entra
  GET  /{tenant}/oauth2/v2.0/authorize      for a browser: a page with two buttons, or approved at once
  POST /{tenant}/oauth2/v2.0/token          client_credentials, authorization_code, refresh_token, device_code
  POST /{tenant}/oauth2/v2.0/devicecode
  GET  /{tenant}/oauth2/v2.0/logout         back to post_logout_redirect_uri
  GET  /{tenant}/v2.0/.well-known/openid-configuration
  GET  /{tenant}/discovery/v2.0/keys        the keys that verify the tokens

Agents, managed identity, sidecar
  POST /{tenant}/oauth2/v2.0/token          fmi_path, user_fic: the three requests of an agent user
  GET  /metadata/identity/oauth2/token?api-version=2018-02-01&resource=…     with the header Metadata: true
  GET  /msi/token?api-version=2019-08-01&resource=…      IDENTITY_ENDPOINT; IDENTITY_HEADER is emulator-identity-header
  GET  /AuthorizationHeaderUnauthenticated/{api}[?AgentIdentity={id}&AgentUserId={id}|&AgentUsername={name}]

Control
  GET    /_emulator/state[?users=all|?user={id}]     everything, as JSON; with more than 20 users, in numbers, without
                                                     each user: `users=all` adds all of them, `user` adds one
  GET    /_emulator/events[?user={id}]               the state whenever something changes, as server-sent events, with the first
                                                     20 users or one, the active faults and the last requests; the page
                                                     that a browser gets at / shows them
  DELETE /_emulator/busiest                          look for the busiest 30 seconds from now on, as after a start
  GET    /_emulator/ca.pem                           the certificate of the CA to trust, with --tls
  GET    /_emulator/requests[?after=N]               the recorded requests, without secrets; `batch` is the number of the
                                                     batch that a request arrived in
  GET    /_emulator/users                            all users, as a users file: object id and name on each line
  GET    /_emulator/users/{id}/timeline              what others saw, when and why
  POST   /_emulator/users/{id}/timeline              compare it with what was expected: for how long it was wrong,
                                                     and how often it faded
                                                     {\"expected\": [{\"from\": \"2026-11-24T09:00:00Z\", \"availability\": \"Busy\",
                                                     \"activity\": \"InACall\"}, …]}; \"from\" and \"to\" select a period
  POST   /_emulator/users/{id}/sessions              open a session of another client: {\"availability\": \"Available\"}
  DELETE /_emulator/users/{id}/sessions[/{name}]     close one, or all
  POST   /_emulator/users/{id}/revoke                revoke the user's sign-ins
  DELETE /_emulator/tokens                           forget all access tokens
  GET    /_emulator/device                           device code sign-ins that wait for approval
  POST   /_emulator/device/{user_code}/approve[?user={id}] | deny
  POST   /_emulator/consent/{id}/approve[?user={id}] | deny
                                                     decide a browser sign-in; /_emulator/state lists the ids
  GET    /_emulator/faults                           the active faults
  POST   /_emulator/faults                           inject one fault, or a list of faults
  DELETE /_emulator/faults                           remove all faults

A fault: {\"call\": \"set\", \"at\": \"1h\", \"after\": 1, \"times\": 2, \"for\": \"10m\", \"delay\": \"2s\", \"applied\": false, \"then\": …}
  call   any (default), graph, set, clear, prefer, clear-preferred, status-message, location, read, read-many, user,
         batch, authorize, token, device-code, logout, discovery, managed-identity, sidecar, other; any and graph hit a batch as a whole, the
         others also hit the parts of a batch
  at     when it starts to count calls: a duration from now, or a time; default: now
  after  how many matching calls pass before it begins; default: 0
  times  how many calls it hits; default: no limit
  for    how long it lasts, from `at` or from when it begins; default: until it is removed
  delay  how long a call is delayed
  applied
         true: the call takes effect, and only its answer is lost or replaced
  then   \"answer\" (default), \"reset\", \"hang\", {\"respond\": {\"status\": 503, \"headers\": {\"Retry-After\": \"5\"}, \"body\": …}},
         {\"parts\": \"missing\"}, {\"parts\": \"doubled\"} or {\"parts\": \"unknown\"} (for batch: it takes effect, but its answer
         has one part too few, one twice, or one that nobody asked for),
         \"claims-challenge\" (401 until the client gets a token with the challenge's claims),
         \"revoke\" (revoke all sign-ins, then answer),
         {\"aadsts\": 53003} (for token and device-code: the sign-in service's error with this number),
         {\"refuse\": \"unauthorized\"}, {\"refuse\": \"no-presence\"} or {\"refuse\": \"personal-account\"} (for calls to Graph:
         its refusals that do not say what is wrong)
";
