//! Each number of the document's table, from an emulated Entra to what a person reads: what is wrong, how to fix it, and what
//! presenced does until then.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;

use presenced::auth::Authenticator;
use presenced::config::{Account, Auth, Cloud, Endpoints, SecretSource, TokenStore};
use presenced::failure::{Failure, FailureKind};
use presenced_emulator::{Call, Emulator, Fault, Matches, Options, Then};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::stage::entra::{after, environment, sign_in};
use crate::stage::house::CLIENT_ID;
use crate::stage::signal_bench::ManualClock;

const DOCUMENT: &str = include_str!("../../docs/sign-in-reference.md");

/// A row of the document: its numbers, and the state it promises.
fn rows() -> Vec<(Vec<u32>, &'static str)> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| AADSTS"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [numbers, _, _, state] = cells[..] else { panic!("{row}") };
        (numbers.split(", ").map(|number| number["AADSTS".len()..].parse().unwrap()).collect(), state)
    })
    .collect()
}

/// Asks for a token of `account`, while the service refuses with `number`.
async fn refused(emulator: &Emulator, name: &str, account: &Account, folder: &TempDir, number: u32) -> Failure {
    emulator.clear_faults();
    emulator.inject(Fault::new(Matches::Only(Call::Token), Then::Aadsts(number))).unwrap();
    Authenticator::new(name, account, &environment(folder)).token(&after(0), false).await.unwrap_err()
}

#[test]
fn the_numbers_that_people_meet_at_set_up_are_explained() {
    let known: Vec<u32> = rows().into_iter().flat_map(|(numbers, _)| numbers).collect();
    for number in [9_002_327, 700_025, 70_044, 500_113, 650_053] {
        assert!(known.contains(&number), "{number}");
    }
}

#[tokio::test]
async fn every_number_has_its_sentence_its_fix_and_its_kind() {
    let emulator = Emulator::new(Options::default(), ManualClock::at("2026-11-24T08:00:00Z"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = emulator.clone();
    let mut serving = JoinSet::new();
    serving.spawn(async move { served.serve(listener).await });
    let person = Account {
        tenant: "contoso.onmicrosoft.com".to_owned(),
        client_id: CLIENT_ID.to_owned(),
        user: None,
        users: None,
        rate: presenced::pacer::Rate::default(),
        cloud: Cloud::Global,
        auth: Auth::DeviceCode,
        tokens: TokenStore::default(),
        endpoints: Endpoints {
            graph: format!("http://{address}/v1.0").parse().unwrap(),
            login: format!("http://{address}").parse().unwrap(),
        },
    };
    let bot = Account { auth: Auth::ClientSecret { secret: SecretSource::Env("SECRET".to_owned()) }, ..person.clone() };
    let folder = TempDir::new().unwrap();
    sign_in(&folder, "r1");
    let mut shown = String::new();
    for (numbers, state) in rows() {
        for number in numbers {
            let of_person = refused(&emulator, "work", &person, &folder, number).await;
            let of_bot = refused(&emulator, "bot", &bot, &folder, number).await;
            for failure in [&of_person, &of_bot] {
                assert!(failure.text.contains(&format!("(AADSTS{number}, ")), "{failure}");
                let (text, trace) = failure.text.split_once(", trace ").unwrap();
                assert_eq!(trace.trim_end_matches(')').len(), 36, "{text} {trace}");
            }
            let kind = match state {
                "sign-in-needed" => FailureKind::SignInNeeded,
                "refused" => FailureKind::Refused,
                "retrying" => FailureKind::Passing,
                "throttled" => FailureKind::Throttled,
                other => panic!("{other} is not a state"),
            };
            assert_eq!(of_person.kind, kind, "{number}");
            // Nobody can sign in to an account that an application signs in to.
            let kind = if kind == FailureKind::SignInNeeded { FailureKind::Refused } else { kind };
            assert_eq!(of_bot.kind, kind, "{number}");
            let text = of_person.text.split_once(", trace ").unwrap().0;
            let hint = |failure: &Failure| failure.hint.clone().unwrap_or_else(|| "nothing".to_owned());
            writeln!(shown, "{text})\n  person: {}\n  bot: {}", hint(&of_person), hint(&of_bot)).unwrap();
        }
    }
    insta::assert_snapshot!(shown);
}
