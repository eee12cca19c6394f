//! What each `AADSTS` number that people meet means, and how to fix it: the only table of them, which `docs/sign-in-reference.md` also
//! shows.
//!
//! It has only numbers that Microsoft's pages explain: "Microsoft Entra authentication and authorization error codes"; for
//! 530036 "Conditional Access: Authentication flows"; for 500014, 530031, 530033, 650053, 700003, 700025, 70020, 70044, 900023
//! and 9002327 their own descriptions. For any other number there is [`page`].

use super::remedy::Remedy::{self, Browser, Change, Pause, SignIn, SignInAnd, SignInOrBrowser, Wait};

/// Numbers with one meaning: what is wrong, as the end of a sentence about the account, and how to fix it.
pub(super) type Row = (&'static [u32], &'static str, Remedy);

const CHECK_TENANT: &str = "check `tenant` in the account";
const ALLOW_POLICY: &str =
    "have an administrator exempt this sign-in from the Conditional Access policy that blocks it";
const ALLOW_DEVICE: &str = "have an administrator exempt this sign-in from the policy, or enrol this machine";

const FEDERATION: &str =
    "compare issuer, subject (also its capitals) and audience: az ad app federated-credential list --id CLIENT_ID";

const MOVE_REDIRECT: &str = "after you have moved the redirect URI of the app registration from `Single-page application` to \
                             `Mobile and desktop applications`";

/// What `number` means, as the end of a sentence about the sign-in service; `None`: it is not in the table.
pub fn meaning(number: u32) -> Option<&'static str> {
    ROWS.iter().find(|(numbers, ..)| numbers.contains(&number)).map(|(_, wrong, _)| *wrong)
}

/// Where Microsoft explains `number`.
///
/// Source: "Microsoft Entra authentication and authorization error codes".
pub fn page(number: u32) -> String {
    format!("https://login.microsoftonline.com/error?code={number}")
}

/// All of them. No number is in it twice.
pub(super) const ROWS: &[Row] = &[
    // Which tenant.
    (&[90_002], "the tenant does not exist", Change("check `tenant` and `cloud` in the account")),
    (&[900_023], "the tenant is neither a domain name nor a directory id", Change(CHECK_TENANT)),
    (
        &[50_059, 50_128, 90_019],
        "the request does not name a tenant",
        Change("set `tenant` in the account to the directory id"),
    ),
    (
        &[50_194, 9_001_023],
        "the application cannot be used without naming its tenant",
        Change("set `tenant` in the account to the directory id, not to `common` or `consumers`"),
    ),
    (&[90_038], "the tenant belongs to another national cloud", Change("check `cloud` in the account")),
    (&[700_005], "the sign-in was for another tenant", Change("check `tenant` in the account, then sign in again")),
    (
        &[16_000, 16_003, 50_014, 50_020, 50_034, 51_004, 90_072],
        "the person who signed in has no account in the tenant",
        SignInAnd("with an account of the tenant, or check `tenant` in the account"),
    ),
    (
        &[500_208],
        "the tenant does not accept this kind of account, such as a personal one",
        SignInAnd("with a work or school account"),
    ),
    (
        &[50_002, 500_021, 500_022],
        "this network does not allow sign-ins to the tenant",
        Change("have an administrator of the network add the tenant to its tenant restrictions"),
    ),
    (
        &[500_212, 500_213],
        "a policy for access between tenants forbids it",
        Change("have administrators of both tenants check their cross-tenant access settings"),
    ),
    // Which application.
    (
        &[700_011, 700_016],
        "the tenant has no application with this client id",
        Change("check `client_id` and `tenant` in the account"),
    ),
    (
        &[7_000_112],
        "the application is disabled",
        Change("have an administrator enable it in `Enterprise applications`"),
    ),
    (
        &[65_002],
        "the client id belongs to one of Microsoft's own applications, which others cannot use",
        Change("register your own application, and set its `client_id` in the account"),
    ),
    (
        &[7_000_218],
        "the app registration does not let programs without a secret sign in",
        Change("turn on `Allow public client flows` in the app registration's `Authentication`"),
    ),
    (
        &[700_025],
        "the app registration is for programs without a secret, but a secret, certificate or assertion was sent",
        Change("turn off `Allow public client flows` in the app registration's `Authentication`"),
    ),
    (
        &[500_113],
        "the app registration has no redirect URI",
        Change("add `http://localhost` to the app registration's `Mobile and desktop applications`"),
    ),
    (
        &[70_002, 7_000_215],
        "the client secret is wrong",
        Change("store the secret's Value, not its Secret ID, from the app registration's `Certificates & secrets`"),
    ),
    (
        &[7_000_222],
        "the client secret has expired",
        Change("create a new one in the app registration's `Certificates & secrets` and store its Value"),
    ),
    (
        &[700_027],
        "the certificate does not belong to the application, or no longer does",
        Change(
            "upload it (not the key) to the app registration's `Certificates & secrets`, or check `client_id` and `tenant`",
        ),
    ),
    (
        &[700_024],
        "the assertion is not valid now",
        Change("set this machine's clock (`timedatectl`); if another provider issues it, it must be renewed in time"),
    ),
    (
        &[700_021],
        "the assertion is for another application",
        Change("check `client_id` against what the assertion is issued for"),
    ),
    (&[700_023], "the assertion is for another sign-in service", Change("check `tenant` and `cloud` in the account")),
    (&[50_027], "it cannot read the assertion", Change("check what `auth` names: it must be a JSON Web Token")),
    (
        &[70_021, 7_002_138],
        "the app registration has no federated credential that fits the assertion",
        Change(FEDERATION),
    ),
    (&[700_211], "the app registration has no federated credential for the assertion's issuer", Change(FEDERATION)),
    (&[700_212], "the app registration has no federated credential for the assertion's audience", Change(FEDERATION)),
    (&[700_213], "the app registration has no federated credential for the assertion's subject", Change(FEDERATION)),
    (
        &[50_166, 90_061],
        "it cannot reach the issuer of the assertion",
        Change("the issuer's /.well-known/openid-configuration and keys must be reachable from the internet"),
    ),
    (&[50_105], "the user is not assigned to the application", Change("have an administrator assign the user to it")),
    // Which permission.
    (&[50_001, 500_011], "the tenant does not know this Microsoft Graph", Change("check `cloud` in the account")),
    (
        &[500_014],
        "Microsoft Graph is disabled in the tenant",
        Change("have an administrator check whether a subscription has lapsed"),
    ),
    (
        &[650_052],
        "the organization has not subscribed to the service, or not enabled it",
        Change("have an administrator check the tenant's subscriptions"),
    ),
    (
        &[65_005, 650_056, 650_057],
        "the app registration does not list the permission",
        Change(
            "add `Presence.ReadWrite` (for an account without a person `Presence.ReadWrite.All`) to the app registration's \
             `API permissions`, with consent",
        ),
    ),
    (&[70_011, 650_053], "the requested permission does not exist there", Change("check `cloud` in the account")),
    (
        &[65_001, 90_008, 9_002_341],
        "nobody has consented to the application's permission",
        SignInAnd("and consent; where the tenant forbids that, have an administrator consent"),
    ),
    (&[65_004], "the consent was declined", SignInAnd("and consent")),
    (
        &[90_094, 90_095],
        "only an administrator can consent to the application's permission",
        Change("have an administrator press `Grant admin consent` in the app registration's `API permissions`"),
    ),
    // A second factor.
    (&[50_074, 50_076], "a second factor is required", SignIn),
    (&[50_072, 50_079], "a second factor must be set up", SignInAnd("and set it up there")),
    (&[50_078], "the second factor was given too long ago", SignIn),
    (&[50_088], "too many calls were made for the second factor", SignInAnd("in a few minutes")),
    (&[50_158], "a further check that the tenant requires was not passed", SignIn),
    (
        &[53_004],
        "a second factor must be set up first",
        SignInAnd("after you have set it up at https://mysignins.microsoft.com/security-info"),
    ),
    (
        &[53_010],
        "a second factor must be set up, and only from certain places or devices",
        SignInAnd("after you have set it up from there"),
    ),
    // Conditional Access and other policies.
    (&[53_003, 530_031], "a Conditional Access policy blocks this way of signing in", Browser(ALLOW_POLICY)),
    (
        &[530_036],
        "a Conditional Access policy blocks device codes, and ended the sign-in that was made with one",
        Browser(ALLOW_POLICY),
    ),
    (
        &[530_033],
        "a Conditional Access policy requires a certain device, which a device code cannot prove",
        Browser(ALLOW_DEVICE),
    ),
    (&[53_000], "a Conditional Access policy requires a compliant device", Browser(ALLOW_DEVICE)),
    (&[53_001], "a Conditional Access policy requires a device that is joined to the domain", Browser(ALLOW_DEVICE)),
    (
        &[50_097, 50_129, 50_155, 50_187],
        "a policy requires a device that is registered in the tenant",
        Browser(ALLOW_DEVICE),
    ),
    (
        &[50_005],
        "a Conditional Access policy does not know this kind of device",
        Browser("have an administrator exempt this sign-in from the policy"),
    ),
    (
        &[53_002],
        "a Conditional Access policy requires an approved application",
        Change("have an administrator exempt the application from the policy"),
    ),
    (
        &[530_032],
        "a security policy of the tenant blocks it",
        Change("have an administrator check the security policies of the tenant"),
    ),
    (
        &[530_035],
        "the security defaults of the tenant block it",
        Browser("have an administrator check the security defaults of the tenant"),
    ),
    (
        &[50_131],
        "a policy or a suspicion of risk blocks it",
        Change("have an administrator look it up in the tenant's sign-in log"),
    ),
    (
        &[53_011, 530_034],
        "the user is considered at risk in the home tenant",
        Change("have an administrator of the user's home tenant look at the risk"),
    ),
    (&[50_199], "it asks whether you want to sign in to this application", SignInOrBrowser("and answer that")),
    // A sign-in that has ended.
    (&[50_173], "the sign-in was revoked, for example by a changed password", SignIn),
    (&[50_132, 50_133], "the password has expired or was changed since the sign-in", SignIn),
    (&[70_008, 700_082], "the sign-in was not used for too long", SignIn),
    (&[70_043, 70_044], "the tenant requires a new sign-in from time to time, and it is due", SignIn),
    (
        &[700_084],
        "the sign-in was for a single-page application, and those end after a short time",
        SignInAnd(MOVE_REDIRECT),
    ),
    (&[9_002_327], "the redirect URI is registered for a single-page application", SignInAnd(MOVE_REDIRECT)),
    (&[50_085, 50_089, 70_000], "the sign-in has ended", SignIn),
    (&[700_003], "the device of the sign-in is no longer in the tenant", SignIn),
    (&[700_020], "a person has to sign in", SignIn),
    // A code.
    (&[70_018], "the code is unknown", SignIn),
    (&[70_019, 70_020], "the code was not used in time", SignIn),
    (&[54_005], "the code was already used", SignIn),
    // The user.
    (&[50_057], "the user's account is disabled", Change("have an administrator enable it")),
    (&[50_126], "the name or the password is wrong", SignIn),
    (&[50_055, 50_144], "the user's password has expired", SignInAnd("and change it there")),
    (
        &[50_053],
        "the user's account is locked after too many wrong passwords, or this network's address is considered malicious",
        SignInAnd("later; an administrator can find out more in the tenant's sign-in log"),
    ),
    // The service.
    (&[50_033, 50_087, 90_006, 90_012, 90_024, 90_033, 90_090], "it is busy", Wait),
    (&[90_055], "the tenant makes too many requests", Pause),
    (&[50_196], "it got the same request too often in a short time", Pause),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::failure::FailureKind;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sign-in-reference.md");
    const HEAD: &str = "| number | what is wrong | how to fix it | `status` says |\n|---|---|---|---|\n";

    fn table() -> String {
        let mut table = HEAD.to_owned();
        for (numbers, wrong, remedy) in ROWS {
            let numbers: Vec<_> = numbers.iter().map(|number| format!("AADSTS{number}")).collect();
            let fix = match remedy {
                SignIn => "`presenced login`".to_owned(),
                SignInAnd(how) => format!("`presenced login` {how}"),
                SignInOrBrowser(how) => format!(
                    "`presenced login` {how}; if it happens again, with `auth = {{ method = \"browser\" }}` in the account"
                ),
                Browser(otherwise) => format!(
                    "sign in with a browser: `auth = {{ method = \"browser\" }}` and `presenced login`; or {otherwise}"
                ),
                Change(words) => (*words).to_owned(),
                Wait => "nothing: presenced tries again by itself".to_owned(),
                Pause => "nothing: presenced waits, and tries again by itself".to_owned(),
            };
            let state = match remedy.kind() {
                FailureKind::SignInNeeded => "sign-in-needed",
                FailureKind::Refused => "refused",
                FailureKind::Throttled => "throttled",
                FailureKind::Passing | FailureKind::TokenRefused => "retrying",
            };
            writeln!(table, "| {} | {wrong} | {fix} | {state} |", numbers.join(", ")).unwrap();
        }
        table
    }

    /// `INSTA_UPDATE=always` updates the document, just as it updates snapshots.
    #[test]
    fn the_document_has_this_table() {
        let document = fs::read_to_string(DOCUMENT).unwrap();
        let start = document.find(HEAD).expect("the document has a table of numbers");
        let length = document[start..].find("\n\n").map_or(document.len() - start, |end| end + 1);
        let written = &document[start..start + length];
        if written != table() && std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
            let renewed = format!("{}{}{}", &document[..start], table(), &document[start + length..]);
            fs::write(Path::new(DOCUMENT), renewed).unwrap();
            return;
        }
        assert_same(written, &table());
    }

    /// Shows only the first line that differs.
    fn assert_same(written: &str, table: &str) {
        for (line, expected) in written.lines().zip(table.lines()) {
            assert_eq!(line, expected, "INSTA_UPDATE=always updates docs/sign-in-reference.md");
        }
        assert_eq!(
            written.lines().count(),
            table.lines().count(),
            "INSTA_UPDATE=always updates docs/sign-in-reference.md"
        );
    }

    #[test]
    fn a_number_has_one_meaning() {
        let mut seen = BTreeSet::new();
        for number in ROWS.iter().flat_map(|(numbers, ..)| *numbers) {
            assert!(seen.insert(number), "{number} is there twice");
        }
    }
}
