//! Tokens of agents, of the machine's managed identity, and of Microsoft's sign-in sidecar.

use presenced_emulator::{Agent, App, IDENTITY_HEADER, Options, User};

use super::*;

const AGENT: &str = "a9e27000-0000-4000-8000-000000000001";
const SECOND: &str = "a9e27000-0000-4000-8000-000000000002";
const OTHER_BLUEPRINT: &str = "b1e00000-0000-4000-8000-000000000001";
const EXCHANGE: &str = "api://AzureADTokenExchange/.default";
const GRAPH: &str = "https://graph.microsoft.com/.default";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Two users. The second is an agent user.
async fn rig() -> Rig {
    let second = User::numbered(2);
    let agent = |identity: &str, users: Vec<String>| Agent {
        identity: identity.to_owned(),
        blueprint: App::DEFAULT_CLIENT_ID.to_owned(),
        users,
    };
    let agents = vec![agent(AGENT, vec![second.id.clone()]), agent(SECOND, vec![])];
    let other = App { client_id: OTHER_BLUEPRINT.to_owned(), ..App::default() };
    let apps = vec![App::default(), other];
    Rig::with(Options { apps, users: vec![User::default(), second], agents, ..Options::default() }).await
}

/// T1: the blueprint's token for an agent identity.
async fn t1(rig: &Rig, agent: &str) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", APP),
        ("client_secret", SECRET),
        ("scope", EXCHANGE),
        ("fmi_path", agent),
    ];
    rig.sign_in("token", &form).await
}

/// A request of an agent identity with this assertion, and more fields.
async fn by_agent(rig: &Rig, agent: &str, assertion: &str, more: &[(&str, &str)]) -> Answer {
    let own = [("client_id", agent), ("client_assertion", assertion), ("client_assertion_type", JWT_BEARER)];
    rig.sign_in("token", &[&own[..], more].concat()).await
}

fn t2<'a>() -> [(&'a str, &'a str); 2] {
    [("grant_type", "client_credentials"), ("scope", EXCHANGE)]
}

fn t3<'a>(credential: &'a str, user: (&'a str, &'a str)) -> [(&'a str, &'a str); 4] {
    [("grant_type", "user_fic"), ("scope", GRAPH), ("user_federated_identity_credential", credential), user]
}

#[tokio::test]
async fn an_agent_user_takes_three_requests_and_its_session_is_the_agents() {
    let rig = rig().await;
    let second = User::numbered(2);
    let first = t1(&rig, AGENT).await.text("access_token");
    let two = by_agent(&rig, AGENT, &first, &t2()).await.text("access_token");
    assert_ne!(first, two);
    for user in [("user_id", second.id.as_str()), ("username", second.principal_name.as_str())] {
        let answer = by_agent(&rig, AGENT, &first, &t3(&two, user)).await;
        let token = answer.text("access_token");
        let claims = claims(&token);
        assert_eq!((&claims["appid"], &claims["oid"]), (&json!(AGENT), &json!(second.id)), "{answer:?}");
        assert!(claims["scp"].as_str().unwrap().contains("Presence.ReadWrite"), "consent is inherited");

        let body = json!({"sessionId": AGENT, "availability": "Busy", "activity": "InACall"});
        assert_eq!(rig.post(&token, "/v1.0/me/presence/setPresence", body).await.status, 200);
        assert_eq!(rig.emulator.visible(&second.id).unwrap().to_string(), "Busy/InACall");
        let blueprint = json!({"sessionId": APP, "availability": "Busy", "activity": "InACall"});
        let refused = rig.post(&token, "/v1.0/me/presence/setPresence", blueprint).await;
        assert_eq!(refused.json()["error"]["code"], "InvalidArgument", "the blueprint's id is another application's");
    }
}

#[tokio::test]
async fn an_agent_identity_without_a_user_takes_two_requests() {
    let rig = rig().await;
    let first = t1(&rig, &AGENT.to_uppercase()).await.text("access_token");
    let answer = by_agent(&rig, AGENT, &first, &[("grant_type", "client_credentials"), ("scope", GRAPH)]).await;
    let claims = claims(&answer.text("access_token"));
    assert_eq!((&claims["appid"], &claims["idtyp"]), (&json!(AGENT), &json!("app")));
    let set = json!({"sessionId": AGENT, "availability": "Away", "activity": "Away"});
    assert_eq!(rig.post(&answer.text("access_token"), &action("setPresence"), set).await.status, 200);
}

#[tokio::test]
async fn a_managed_identity_proves_who_the_blueprint_is() {
    let rig = rig().await;
    let query = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api://AzureADTokenExchange";
    let machine = Answer::of(rig.request(Method::GET, query).header("Metadata", "true")).await.text("access_token");
    let fields = [("grant_type", "client_credentials"), ("scope", EXCHANGE), ("fmi_path", AGENT)];
    let first = by_agent(&rig, APP, &machine, &fields).await.text("access_token");
    let two = by_agent(&rig, AGENT, &first, &t2()).await;
    assert_eq!(two.status, 200, "{two:?}");
    let wrong = by_agent(&rig, APP, &two.text("access_token"), &fields).await;
    assert_eq!(wrong.status, 401, "an agent's own token does not: {wrong:?}");
}

#[tokio::test]
async fn each_step_needs_the_token_of_the_one_before_it() {
    let rig = rig().await;
    let second = User::numbered(2).id;
    let first = t1(&rig, AGENT).await.text("access_token");
    let other = t1(&rig, SECOND).await.text("access_token");
    let two = by_agent(&rig, AGENT, &first, &t2()).await.text("access_token");
    let other_two = by_agent(&rig, SECOND, &other, &t2()).await.text("access_token");

    t1(&rig, "nobody").await.is_entra_error(400, "unauthorized_client", 700_016);
    let mut form = vec![("grant_type", "client_credentials"), ("client_id", APP), ("fmi_path", AGENT)];
    form.push(("scope", EXCHANGE));
    rig.sign_in("token", &form).await.is_entra_error(401, "invalid_client", 7_000_218);
    form.push(("client_secret", "wrong"));
    rig.sign_in("token", &form).await.is_entra_error(401, "invalid_client", 7_000_215);
    form.pop();
    form.extend([("client_secret", SECRET)]);
    form[1].1 = OTHER_BLUEPRINT;
    rig.sign_in("token", &form).await.is_entra_error(400, "unauthorized_client", 700_016);
    form[1].1 = APP;
    form[3].1 = GRAPH;
    rig.sign_in("token", &form).await.is_entra_error(400, "invalid_scope", 70_011);

    for wrong in [other.as_str(), two.as_str(), "x.y.z", rig.app_token().await.as_str()] {
        by_agent(&rig, AGENT, wrong, &t2()).await.is_entra_error(401, "invalid_client", 50_027);
    }
    for wrong in [other_two.as_str(), first.as_str(), "x.y.z"] {
        let answer = by_agent(&rig, AGENT, &first, &t3(wrong, ("user_id", &second))).await;
        answer.is_entra_error(401, "invalid_client", 50_027);
    }
    for user in [("user_id", USER), ("user_id", "nobody"), ("username", "me@contoso.onmicrosoft.com")] {
        let answer = by_agent(&rig, AGENT, &first, &t3(&two, user)).await;
        answer.is_entra_error(400, "invalid_grant", 50_034);
    }
    let answer = by_agent(&rig, AGENT, &first, &t3(&two, ("unused", "x"))).await;
    answer.is_entra_error(400, "invalid_request", 900_144);
    let answer = by_agent(&rig, AGENT, &first, &[("grant_type", "authorization_code"), ("scope", GRAPH)]).await;
    answer.is_entra_error(400, "unsupported_grant_type", 70_003);
    let own_secret = [("grant_type", "client_credentials"), ("client_id", AGENT), ("client_secret", SECRET)];
    rig.sign_in("token", &own_secret).await.is_entra_error(401, "invalid_client", 7_000_215);
    let bare = [("grant_type", "client_credentials"), ("client_id", AGENT), ("scope", EXCHANGE)];
    rig.sign_in("token", &bare).await.is_entra_error(401, "invalid_client", 7_000_218);

    rig.advance(3_600);
    by_agent(&rig, AGENT, &first, &t2()).await.is_entra_error(401, "invalid_client", 700_024);
}

#[tokio::test]
async fn the_machine_has_a_managed_identity_at_both_endpoints() {
    let rig = Rig::new().await;
    let get = |path: String, header: (&'static str, &'static str)| {
        Answer::of(rig.request(Method::GET, &path).header(header.0, header.1))
    };
    let imds = |query: &str| format!("/metadata/identity/oauth2/token?{query}");
    let metadata = ("Metadata", "true");
    let asked = "api-version=2018-02-01&resource=https%3A%2F%2Fgraph.microsoft.com%2F";
    let answer = get(imds(asked), metadata).await;
    let body = answer.json();
    assert_eq!((&body["client_id"], &body["token_type"]), (&json!(APP), &json!("Bearer")));
    assert_eq!(body["resource"], "https://graph.microsoft.com/");
    let number = |name: &str| body[name].as_str().unwrap().parse::<i64>().unwrap();
    assert_eq!(number("expires_on") - number("not_before"), number("expires_in"), "the numbers are texts");
    assert_eq!(rig.set(&answer.text("access_token"), "Busy", "InACall", "PT5M").await.status, 200);
    assert!(rig.emulator.issued_secrets().contains(&answer.text("access_token")));

    let service = format!("/msi/token?{}", asked.replace("2018-02-01", "2019-08-01"));
    let answer = get(service.clone(), ("X-IDENTITY-HEADER", IDENTITY_HEADER)).await;
    assert_eq!((answer.status.as_u16(), answer.json()["expires_in"].clone()), (200, Value::Null));
    assert_eq!(get(service, ("X-IDENTITY-HEADER", "wrong")).await.status, 401);

    for (query, header, says) in [
        (asked.to_owned(), ("Accept", "*/*"), "metadata header"),
        (asked.to_owned(), ("Metadata", "false"), "metadata header"),
        ("resource=https://graph.microsoft.com".to_owned(), metadata, "'api-version' is missing"),
        ("api-version=2018-02-01".to_owned(), metadata, "'resource' is missing"),
        (format!("{asked}&client_id=nobody"), metadata, "Identity not found"),
    ] {
        let answer = get(imds(&query), header).await;
        assert_eq!((answer.status.as_u16(), answer.text("error").as_str()), (400, "invalid_request"), "{query}");
        assert!(answer.text("error_description").contains(says), "{query} {answer:?}");
    }
    let other = get(imds("api-version=2018-02-01&resource=https://vault.azure.net"), metadata).await;
    assert_eq!((other.status.as_u16(), other.text("error").as_str()), (400, "invalid_resource"));
    let proxied = rig.request(Method::GET, &imds(asked)).header("Metadata", "true").header("X-Forwarded-For", "a");
    assert_eq!(Answer::of(proxied).await.status, 400);
    let posted = rig.request(Method::POST, &imds(asked)).header("Metadata", "true");
    assert_eq!(Answer::of(posted).await.status, 405);
}

#[tokio::test]
async fn the_sidecar_gives_a_header_or_a_problem() {
    let rig = rig().await;
    let second = User::numbered(2);
    let path = |query: &str| format!("/AuthorizationHeaderUnauthenticated/graph?{query}");
    let ask = |query: String| Answer::of(rig.request(Method::GET, &path(&query)));
    for (query, user) in [
        (format!("AgentIdentity={AGENT}&AgentUserId={}", second.id), true),
        (format!("AgentIdentity={AGENT}&AgentUsername={}", second.principal_name), true),
        (format!("AgentIdentity={AGENT}"), false),
    ] {
        let header = ask(query.clone()).await.text("authorizationHeader");
        let claims = claims(header.strip_prefix("Bearer ").unwrap());
        assert_eq!((&claims["appid"], claims["oid"].is_string()), (&json!(AGENT), user), "{query}");
        let read = rig.request(Method::GET, &format!("/v1.0/users/{}/presence", second.id));
        assert_eq!(Answer::of(read.header("authorization", header)).await.status, 200, "{query}");
    }
    let header = ask(String::new()).await.text("authorizationHeader");
    assert_eq!(claims(&header)["appid"], APP, "without an agent, the application's own");
    for (query, says) in [
        (format!("AgentIdentity={AGENT}&AgentUserId={USER}"), "AADSTS50034"),
        ("AgentIdentity=nobody".to_owned(), "AADSTS700016"),
        (format!("AgentUserId={}", second.id), "need AgentIdentity"),
        (format!("AgentIdentity={AGENT}&AgentUserId=a&AgentUsername=b"), "together"),
    ] {
        let answer = ask(query.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.json()["status"].as_u64()), (400, Some(400)), "{query}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.text("detail").contains(says), "{query} {answer:?}");
    }
    let posted = Answer::of(rig.request(Method::POST, &path(""))).await;
    assert_eq!(posted.status, 405);
}
