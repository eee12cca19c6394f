//! What accounts read as, and which cannot work.

use presenced::config::{Auth, Cloud, SecretSource};

use super::{ACCOUNT, CLIENT, USER, bad, good, parse, problem};

fn account(auth: &str, rest: &str) -> String {
    format!("[accounts.a]\ntenant = \"contoso.com\"\nclient_id = \"{CLIENT}\"\nauth = {auth}\n{rest}\n")
}

fn auth_of(auth: &str) -> Auth {
    let config =
        parse(&account(auth, &format!("user = \"{USER}\""))).unwrap_or_else(|p| panic!("{}", p.render(100, false)));
    config.accounts["a"].auth.clone()
}

#[test]
fn every_way_to_sign_in_is_read() {
    let secret = |secret| Auth::ClientSecret { secret };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    for (text, auth) in [
        (r#"{ method = "device-code" }"#, Auth::DeviceCode),
        (r#"{ method = "browser" }"#, Auth::Browser),
        (r#"{ method = "client-secret", secret = { file = "~/s" } }"#, secret(SecretSource::File("/home/me/s".into()))),
        (
            r#"{ method = "client-secret", secret = { credential = "client-secret" } }"#,
            secret(SecretSource::Credential("client-secret".to_owned())),
        ),
        (
            r#"{ method = "client-secret", secret = { env = "TEAMS_SECRET" } }"#,
            secret(SecretSource::Env("TEAMS_SECRET".to_owned())),
        ),
        (
            r#"{ method = "client-secret", secret = { command = ["pass", "teams/secret"] } }"#,
            secret(SecretSource::Command(words(&["pass", "teams/secret"]))),
        ),
        (
            r#"{ method = "client-certificate", certificate = "~/bot.pem", key = { credential = "bot-key" } }"#,
            Auth::ClientCertificate {
                certificate: "/home/me/bot.pem".into(),
                key: Some(SecretSource::Credential("bot-key".to_owned())),
            },
        ),
        (
            r#"{ method = "client-certificate", certificate = "bot.pem" }"#,
            Auth::ClientCertificate { certificate: "/etc/presenced/bot.pem".into(), key: None },
        ),
        (
            r#"{ method = "federated", assertion = { file = "$HOME/token" } }"#,
            Auth::Federated { assertion: SecretSource::File("/home/me/token".into()) },
        ),
        (
            r#"{ method = "federated", assertion = { command = ["github-token"] } }"#,
            Auth::Federated { assertion: SecretSource::Command(words(&["github-token"])) },
        ),
        (
            r#"{ method = "token-command", command = ["~/bin/token", "~/kept as it is"] }"#,
            Auth::TokenCommand { command: words(&["/home/me/bin/token", "~/kept as it is"]) },
        ),
    ] {
        assert_eq!(auth_of(text), auth, "{text}");
    }
}

#[test]
fn the_clouds_have_their_own_addresses() {
    for (cloud, graph, login) in [
        ("global", "https://graph.microsoft.com/v1.0", "https://login.microsoftonline.com/"),
        ("us-gov", "https://graph.microsoft.us/v1.0", "https://login.microsoftonline.us/"),
        ("us-gov-dod", "https://dod-graph.microsoft.us/v1.0", "https://login.microsoftonline.us/"),
        ("china", "https://microsoftgraph.chinacloudapi.cn/v1.0", "https://login.partner.microsoftonline.cn/"),
    ] {
        let config = good(&format!("cloud = \"{cloud}\"\n"));
        let endpoints = &config.accounts["work"].endpoints;
        assert_eq!((endpoints.graph.as_str(), endpoints.login.as_str()), (graph, login));
    }
}

/// Microsoft publishes only where to sign in to Bleu.
#[test]
fn a_cloud_whose_graph_is_not_published_needs_its_address() {
    let config = good("cloud = \"bleu\"\nendpoints = { graph = \"https://graph.example/v1.0/\" }\n");
    let endpoints = &config.accounts["work"].endpoints;
    assert_eq!(endpoints.graph.as_str(), "https://graph.example/v1.0");
    assert_eq!(endpoints.login.as_str(), "https://login.sovcloud-identity.fr/");
    for missing in ["", "endpoints = { login = \"https://login.example\" }\n"] {
        let problem = bad(&format!("cloud = \"bleu\"\n{missing}"));
        assert!(
            problem.starts_with("the address of Microsoft Graph in the cloud `bleu` is not published"),
            "{problem}"
        );
    }
    // Only the wrong address is reported, not also a missing one.
    let problem = bad("cloud = \"bleu\"\nendpoints = { graph = \"http://graph.example\" }\n");
    assert!(problem.starts_with("plain http would send tokens"), "{problem}");
}

#[test]
fn accounts_that_cannot_work_are_refused() {
    let secret = r#"{ method = "client-secret", secret = { env = "S" } }"#;
    let device = r#"{ method = "device-code" }"#;
    for (text, expected) in [
        (String::new(), "the configuration has no account"),
        ("[accounts]\n".to_owned(), "the configuration has no account"),
        ("accounts = 1\n".to_owned(), "[accounts] must be a table, but this is a whole number"),
        (
            account(secret, ""),
            "[accounts.a] has no `user`: an application's own token has no user, so Graph's `/me` does not work",
        ),
        (
            account(r#"{ method = "client-certificate", certificate = "x" }"#, ""),
            "[accounts.a] has no `user`: an application's own token has no user, so Graph's `/me` does not work",
        ),
        (
            account(r#"{ method = "federated", assertion = { file = "x" } }"#, ""),
            "[accounts.a] has no `user`: an application's own token has no user, so Graph's `/me` does not work",
        ),
        (account(r#"{ method = "client-certificate" }"#, &format!("user = \"{USER}\"")), "`auth` has no `certificate`"),
        (
            account(
                r#"{ method = "client-certificate", certificate = "x", key = "hunter2" }"#,
                &format!("user = \"{USER}\""),
            ),
            "a secret does not belong in the configuration; say where it is",
        ),
        (
            account(
                r#"{ method = "client-certificate", certificate = "-----BEGIN CERTIFICATE-----" }"#,
                &format!("user = \"{USER}\""),
            ),
            "a certificate does not belong in the configuration; say where it is",
        ),
        (
            account(
                r#"{ method = "client-certificate", certificate = "x", secret = { env = "S" } }"#,
                &format!("user = \"{USER}\""),
            ),
            "`auth` has no key `secret`",
        ),
        (account(r#"{ method = "federated" }"#, &format!("user = \"{USER}\"")), "`auth` has no `assertion`"),
        (
            account(r#"{ method = "federated", assertion = { fiel = "x" } }"#, &format!("user = \"{USER}\"")),
            "`assertion` has a key that does not say where a secret is",
        ),
        (
            account(r#"{ method = "token-command", command = ["x"] }"#, ""),
            "[accounts.a] has no `user`: the command's token does not say whose it is",
        ),
        (
            account(secret, "user = \"me@contoso.com\""),
            "`user` is a sign-in name, which Graph may mistake for another user's: use the object id",
        ),
        (
            account(device, "user = \"me\""),
            "`user` is not an id; an id looks like 22553876-f5ab-4529-bffb-cfe50aa89f87",
        ),
        (account(device, "cloud = \"usgov\""), "`usgov` is not a valid value for `cloud`"),
        (account(r#"{ method = "device" }"#, ""), "`device` is not a valid value for `method`"),
        (account("\"device-code\"", ""), "`auth` must be a table, but this is a text"),
        (account("{}", ""), "`auth` has no `method`"),
        (account(r#"{ method = "device-code", secret = "hunter2" }"#, ""), "`auth` has no key `secret`"),
        (
            account(r#"{ method = "token-command", command = [] }"#, &format!("user = \"{USER}\"")),
            "`command` is an empty list",
        ),
        (
            account(r#"{ method = "token-command", command = "x" }"#, &format!("user = \"{USER}\"")),
            "`command` must be a list, but this is a text",
        ),
        (
            account(r#"{ method = "token-command", command = ["x", 1] }"#, &format!("user = \"{USER}\"")),
            "`command` must be a text, but this is a whole number",
        ),
        (ACCOUNT.replace("accounts.work", "accounts.\"my work\""), "`my work` is not a valid name for an account"),
        (ACCOUNT.replace("contoso.onmicrosoft.com", "common"), "`common` means many tenants, but an account has one"),
        (
            ACCOUNT.replace("contoso.onmicrosoft.com", "contoso..com"),
            "`tenant` is neither a domain name nor a directory id",
        ),
        (
            ACCOUNT.replace(CLIENT, "22553876f5ab4529bffbcfe50aa89f87"),
            "`client_id` is not an id; an id looks like 22553876-f5ab-4529-bffb-cfe50aa89f87",
        ),
    ] {
        assert_eq!(problem(&text), expected, "{text}");
    }
    assert_eq!(good("").accounts["work"].tenant, "contoso.onmicrosoft.com");
    let by_id = parse(&ACCOUNT.replace("contoso.onmicrosoft.com", CLIENT)).unwrap();
    assert_eq!(by_id.accounts["work"].tenant, CLIENT);
}

#[test]
fn a_secret_is_in_exactly_one_known_place() {
    let secret = |secret: &str| {
        problem(&account(
            &format!("{{ method = \"client-secret\", secret = {secret} }}"),
            &format!("user = \"{USER}\""),
        ))
    };
    assert_eq!(secret("\"hunter2\""), "a secret does not belong in the configuration; say where it is");
    for attributes in ["\"x\"", "{}", "{ service = 1 }", "{ service = \"\" }", "{ service = \"a\\u001bb\" }"] {
        let wrong = secret(&format!("{{ keyring = {attributes} }}"));
        assert_eq!(wrong, "these are not the attributes of a secret in the keyring", "{attributes}");
    }
    assert_eq!(secret("{ keyring = { a = \"b\" }, env = \"A\" }"), "a secret is in exactly one place");
    assert_eq!(secret("{ value = \"x\" }"), "`secret` has a key that does not say where a secret is");
    assert_eq!(secret("{ env = \"A\", file = \"b\" }"), "a secret is in exactly one place");
    assert_eq!(secret("{}"), "a secret is in exactly one place");
    assert_eq!(secret("{ env = \"A~b\" }"), "this is not the name of a secret's place");
    assert_eq!(secret("{ credential = \"../x\" }"), "this is not the name of a secret's place");
}

#[test]
fn tokens_go_out_encrypted_or_stay_on_this_machine() {
    let endpoint = |address: &str| format!("endpoints = {{ graph = \"{address}\" }}\n");
    for (address, kept) in [
        ("https://graph.example/beta//", "https://graph.example/beta"),
        ("http://127.0.0.1:1/v1.0", "http://127.0.0.1:1/v1.0"),
        ("http://127.8.9.1/v1.0", "http://127.8.9.1/v1.0"),
        ("http://[::1]:1/v1.0", "http://[::1]:1/v1.0"),
        ("http://LOCALHOST/", "http://localhost/"),
    ] {
        let config = good(&endpoint(address));
        assert_eq!(config.accounts["work"].endpoints.graph.as_str(), kept);
        assert_eq!(config.accounts["work"].endpoints.login, Cloud::Global.login());
    }
    for (address, expected) in [
        ("http://graph.example", "plain http would send tokens unencrypted to graph.example"),
        ("http://localhost.example", "plain http would send tokens unencrypted to localhost.example"),
        ("http://128.0.0.1", "plain http would send tokens unencrypted to 128.0.0.1"),
        ("http://0.0.0.0", "plain http would send tokens unencrypted to 0.0.0.0"),
        ("ftp://graph.example", "`graph` must use https, not ftp"),
        ("file:///etc/passwd", "`graph` must use https, not file"),
        ("https://me:hunter2@graph.example", "`graph` contains a user name or a password"),
        ("https://graph.example/?a=b", "`graph` contains a query or a fragment"),
        ("https://graph.example/#a", "`graph` contains a query or a fragment"),
        ("graph.microsoft.com", "`graph` is not a valid address: relative URL without a base"),
    ] {
        assert_eq!(bad(&endpoint(address)), expected);
    }
}
