//! One decision can be followed in the log, from the signal to the answer: by its number, and by the ids of its requests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;

use presenced_emulator::{Call, Fault, Matches, Then};

use crate::stage::house::{House, guarded};

/// The value of a field in a line: the first, which is that of the span where there is one.
fn field(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("{name}="))?;
    Some(rest.split([' ', '}']).next().unwrap().trim_matches('"').to_owned())
}

#[tokio::test]
async fn a_decision_is_followed_from_the_signal_to_the_answer() {
    let mut house = House::new().await;
    house.write("config.toml", house.configuration());
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let respond = Then::Respond { status: 503, headers: BTreeMap::new(), body: None };
    house.inject(Fault { times: Some(1), ..Fault::new(Matches::Only(Call::Set), respond) });
    house.write("call-state", "in-call");
    let failed = house.request("the fault", |record| record.status == Some(503)).await;
    let done = house.seen("Busy/InACall").await;

    let log = guarded("the answer", async {
        loop {
            let log = daemon.log();
            if log.contains("working again") {
                break log;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let news = log.lines().find(|line| line.contains("call is in-call")).unwrap();
    assert_eq!((field(news, "signal"), field(news, "was")), (Some("call".to_owned()), Some("idle".to_owned())));
    let number = field(news, "decision").unwrap();
    assert_eq!(number, "2", "the first decision is from the start");
    let lines: Vec<_> = log.lines().filter(|line| field(line, "decision").as_ref() == Some(&number)).collect();
    let said = ["call is in-call", "decided", "503", "Busy/InACall is set", "working again"];
    assert_eq!(lines.len(), said.len(), "{lines:#?}");
    for (line, said) in lines.iter().zip(said) {
        assert!(line.contains(said), "{said}: {line}");
    }
    // The service knows them by the same ids.
    for (line, record) in lines[2..].iter().zip([&failed, &done, &done]) {
        assert_eq!(field(line, "client_request_id"), record.client_request_id, "{line}");
        assert!(field(line, " request_id").is_some_and(|id| id != "none"), "{line}");
        assert_eq!(field(line, "account").as_deref(), Some("work"));
    }
}

#[tokio::test]
async fn a_quiet_log_also_has_them() {
    let mut house = House::new().await;
    house.write("config.toml", format!("{}[log]\nlevel = \"warn\"\n", house.configuration()));
    let respond = Then::Respond { status: 403, headers: BTreeMap::new(), body: None };
    house.inject(Fault { times: Some(1), ..Fault::new(Matches::Only(Call::Set), respond) });
    let daemon = house.start().await;
    let refused = house.request("the refusal", |record| record.status == Some(403)).await;
    let log = guarded("the warning", async {
        loop {
            let log = daemon.log();
            if log.contains("403") && log.ends_with('\n') {
                break log;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let line = log.lines().find(|line| line.contains("403")).unwrap();
    assert_eq!(field(line, "client_request_id"), refused.client_request_id, "{line}");
    assert_eq!(field(line, "decision").as_deref(), Some("1"), "{line}");
}
