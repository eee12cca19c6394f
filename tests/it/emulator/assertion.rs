//! Sign-ins by an assertion, as a client of Entra's sees them. Keys and signatures are openssl's.

use presenced_emulator::{App, FederatedCredential};

use super::*;
use crate::stage::openssl::Keys;

/// The id of every tenant that is named by a domain.
const TENANT: &str = "84841066-274d-4ec0-a5c1-276be684bdd3";
const BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SUBJECT: &str = "repo:contoso/bot:ref:refs/heads/main";
const EXCHANGE: &str = "api://AzureADTokenExchange";

async fn rig(keys: &Keys) -> Rig {
    keys.make("bot");
    keys.make("issuer");
    keys.make_with("old", &["-newkey", "rsa:2048"], "20260101000000Z");
    let federated = FederatedCredential {
        issuer: ISSUER.to_owned(),
        subject: SUBJECT.to_owned(),
        audience: EXCHANGE.to_owned(),
        public_key: keys.public_key("issuer.key"),
    };
    let certificates = vec![keys.der("old.pem"), keys.der("bot.pem")];
    let app = App { certificates, federated: vec![federated], ..App::default() };
    Rig::with(Options { apps: vec![app], ..Options::default() }).await
}

impl Rig {
    async fn assert(&self, assertion: &str) -> Answer {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", APP),
            ("scope", "https://graph.microsoft.com/.default"),
            ("client_assertion_type", BEARER),
            ("client_assertion", assertion),
        ];
        self.sign_in("token", &form).await
    }

    /// Seconds from the emulator's now.
    fn at(&self, seconds: i64) -> Value {
        (self.clock.now().wall.as_second() + seconds).into()
    }

    fn claims(&self) -> Value {
        let audience = format!("{}/contoso.onmicrosoft.com/oauth2/v2.0/token", self.base);
        json!({"iss": APP, "sub": APP, "aud": audience, "jti": "7", "nbf": self.at(-1), "exp": self.at(600)})
    }
}

fn with(value: &Value, changes: &[(&str, Value)]) -> Value {
    let mut value = value.clone();
    for (name, change) in changes {
        value[*name] = change.clone();
    }
    value
}

#[tokio::test]
async fn a_certificate_signs_the_application_in() {
    let keys = Keys::new();
    let rig = rig(&keys).await;
    let (sha256, sha1) = (keys.thumbprint("bot.pem", "-sha256"), keys.thumbprint("bot.pem", "-sha1"));
    for header in [json!({"alg": "PS256", "typ": "JWT", "x5t#S256": sha256}), json!({"alg": "RS256", "x5t": sha1})] {
        let answer = rig.assert(&keys.jwt("bot.key", &header, &rig.claims())).await;
        assert_eq!(answer.status, 200, "{header}");
        assert_eq!(claims(&answer.text("access_token"))["roles"][0], "Presence.ReadWrite.All");
    }
    // Padded thumbprints, an audience at Entra or its issuer, and dates with a fraction.
    let padded = json!({"alg": "PS256", "x5t#S256": format!("{sha256}="), "x5t": format!("{sha1}=")});
    for audience in
        ["https://login.microsoftonline.com/contoso.onmicrosoft.com/v2.0", "https://sts.windows.net/{tenant}/"]
    {
        let audience = audience.replace("{tenant}", TENANT);
        let dates =
            [("nbf", json!(rig.at(0).as_f64().unwrap() + 0.25)), ("exp", json!(rig.at(9).as_f64().unwrap() + 0.5))];
        let claims = with(&with(&rig.claims(), &dates), &[("aud", json!([audience]))]);
        assert_eq!(rig.assert(&keys.jwt("bot.key", &padded, &claims)).await.status, 200, "{audience}");
    }
    // Five minutes of tolerance, and no more.
    let header = json!({"alg": "PS256", "x5t#S256": sha256});
    for (nbf, exp, status) in [(300, 900, 200), (301, 900, 401), (-600, -299, 200), (-600, -300, 401)] {
        let claims = with(&rig.claims(), &[("nbf", rig.at(nbf)), ("exp", rig.at(exp))]);
        assert_eq!(rig.assert(&keys.jwt("bot.key", &header, &claims)).await.status, status, "{nbf} {exp}");
    }
}

#[tokio::test]
async fn an_assertion_that_proves_nothing_is_refused() {
    let keys = Keys::new();
    let rig = rig(&keys).await;
    let header = json!({"alg": "PS256", "x5t#S256": keys.thumbprint("bot.pem", "-sha256")});
    let good = rig.claims();
    let of = |key: &str, changes: &[(&str, Value)]| keys.jwt(key, &header, &with(&good, changes));
    for (assertion, code) in [
        ("opaque".to_owned(), 50_027),
        ("e30.e30.sig".to_owned(), 50_027),
        (keys.jwt("bot.key", &json!({"alg": "PS256"}), &good), 50_027),
        (of("bot.key", &[("jti", Value::Null)]), 50_027),
        (keys.jwt("bot.key", &with(&header, &[("alg", json!("none"))]), &good), 50_027),
        (of("bot.key", &[("sub", json!("another"))]), 700_021),
        (of("bot.key", &[("aud", json!("https://login.microsoftonline.com/x/oauth2/v2.0/token"))]), 700_023),
        (of("bot.key", &[("exp", rig.at(-301))]), 700_024),
        (of("issuer.key", &[]), 700_027),
        (of("bot.key", &[]).replace(".e", ".f"), 50_027),
        (
            keys.jwt(
                "issuer.key",
                &json!({"alg": "PS256", "x5t#S256": keys.thumbprint("issuer.pem", "-sha256")}),
                &good,
            ),
            700_027,
        ),
        (
            keys.jwt("old.key", &json!({"alg": "PS256", "x5t#S256": keys.thumbprint("old.pem", "-sha256")}), &good),
            700_027,
        ),
    ] {
        rig.assert(&assertion).await.is_entra_error(401, "invalid_client", code);
    }
    // Without an app registration's federated credential, another issuer is just wrong.
    let plain = Rig::new().await;
    plain.assert(&of("bot.key", &[("iss", json!(ISSUER))])).await.is_entra_error(401, "invalid_client", 700_021);

    let form = [("grant_type", "client_credentials"), ("client_id", APP), ("client_assertion", "x")];
    rig.sign_in("token", &form).await.is_entra_error(400, "invalid_request", 900_144);
    let form = [&form[..], &[("client_assertion_type", "saml")]].concat();
    rig.sign_in("token", &form).await.is_entra_error(400, "invalid_request", 0);
}

#[tokio::test]
async fn an_assertion_of_another_issuer_needs_a_federated_credential_that_fits() {
    let keys = Keys::new();
    let rig = rig(&keys).await;
    let header = json!({"alg": "RS256", "kid": "1"});
    let good = json!({"iss": ISSUER, "sub": SUBJECT, "aud": [EXCHANGE], "exp": rig.at(300)});
    let of = |key: &str, changes: &[(&str, Value)]| keys.jwt(key, &header, &with(&good, changes));
    assert_eq!(rig.assert(&of("issuer.key", &[])).await.status, 200);
    for (assertion, code) in [
        (of("issuer.key", &[("iss", json!(format!("{ISSUER}/")))]), 700_211),
        (of("issuer.key", &[("aud", json!("https://graph.microsoft.com"))]), 700_212),
        (of("issuer.key", &[("sub", json!("repo:Contoso/bot:ref:refs/heads/main"))]), 700_213),
        (of("issuer.key", &[("exp", rig.at(-300))]), 700_024),
        (of("bot.key", &[]), 700_027),
    ] {
        rig.assert(&assertion).await.is_entra_error(401, "invalid_client", code);
    }
}
