//! Watching an account with many users: counts first, then a line for each user of whom something is new, and no more memory for
//! whoever reads slowly.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead as _, BufReader, Write as _};

use presenced::policy::CallState;
use presenced::session::State;
use presenced::status::report::Report;
use presenced::status::users::{UserChange, UserRow};
use presenced::status::{Client, WatchLine};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::fleet::{USERS, all_hold, client, configuration, house, id, lines, posted};
use crate::fleet_failures::{SPEED, changes_later, fast_house};
use crate::stage::fake_daemon::{FakeDaemon, report};
use crate::stage::house::{House, guarded};

const WATCH: &[u8] = b"GET /v1/watch HTTP/1.0\r\n\r\n";

/// The lines of a watcher.
struct Watcher(tokio::io::Lines<tokio::io::BufReader<UnixStream>>);

impl Watcher {
    async fn new(house: &House) -> Self {
        let mut stream = UnixStream::connect(house.path("presenced.sock")).await.unwrap();
        stream.write_all(WATCH).await.unwrap();
        let mut lines = tokio::io::BufReader::new(stream).lines();
        while !guarded("the head", lines.next_line()).await.unwrap().unwrap().is_empty() {}
        Self(lines)
    }

    async fn line(&mut self) -> String {
        guarded("a line", self.0.next_line()).await.unwrap().expect("the daemon runs")
    }

    /// The next line about a user.
    async fn news(&mut self) -> WatchLine {
        // Reports come for ever.
        guarded("news", async {
            loop {
                let line = self.line().await;
                match serde_json::from_str(&line) {
                    Ok(news) => return news,
                    Err(_) => drop(serde_json::from_str::<Report>(&line).expect("a report")),
                }
            }
        })
        .await
    }

    /// Waits until a user's row is like this. The rows are only this user's.
    async fn row(&mut self, user: u32, is_so: impl Fn(&UserRow) -> bool) -> UserRow {
        loop {
            match self.news().await {
                WatchLine::User(row) if row.user == id(user) && is_so(&row) => return *row,
                WatchLine::User(row) => assert_eq!(row.user, id(user), "nothing is new about others: {row:?}"),
                other @ (WatchLine::Removed { .. } | WatchLine::Missed(_)) => panic!("{other:?}"),
            }
        }
    }
}

fn asserted(row: &UserRow) -> Option<&str> {
    row.asserted.as_ref().map(|asserted| asserted.activity.as_str())
}

#[tokio::test]
async fn each_change_of_a_user_is_a_line() {
    let house = house().await;
    house.write("agents", lines(1..=40));
    house.write("config.toml", configuration(&house));
    let daemon = house.start().await;
    all_hold(&daemon, 40).await;
    let mut watcher = Watcher::new(&house).await;
    let first = watcher.line().await;
    assert_eq!(serde_json::from_str::<Report>(&first).unwrap().accounts["agents"].users.as_ref().unwrap().count, 40);

    let mut client = client(&house).await;
    client.change_user(&id(7), &UserChange::SetCall(CallState::InCall, None)).await.unwrap();
    let row = watcher.row(7, |row| row.rule.as_deref() == Some("call")).await;
    assert_eq!((row.name.as_deref(), row.signals["call"].as_str()), (Some("agent7"), "in-call"));
    watcher.row(7, |row| asserted(row) == Some("InACall")).await;
    // No rule is about this, but it is set.
    client.change_user(&id(8), &UserChange::signal("ready", "yes", None).unwrap()).await.unwrap();
    watcher.row(8, |row| row.signals.get("signal.ready").is_some_and(|value| value == "yes")).await;

    // The writer gives one user another name, and leaves out another one.
    house.write("agents", lines(1..=39).replace(" agent9\n", " nine\n"));
    watcher.row(9, |row| row.name.as_deref() == Some("nine")).await;
    watcher.row(40, |row| row.state == State::Stopping).await;
    let account = "agents".to_owned();
    assert_eq!(watcher.news().await, WatchLine::Removed { user: id(40), account });

    // Many at once.
    let line = |number| format!("{{\"user\": \"{}\", \"signal\": \"call\", \"value\": \"in-call\"}}\n", id(number));
    posted(&house, "/v1/users/signals", &(10..=39).map(line).collect::<String>()).await;
    let mut held: std::collections::BTreeSet<_> = (10..=39).map(id).collect();
    while !held.is_empty() {
        let WatchLine::User(row) = watcher.news().await else { panic!("nobody leaves") };
        if asserted(&row) == Some("InACall") {
            held.remove(&row.user);
        }
    }
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_keepalive_is_no_news() {
    let house = fast_house().await;
    let daemon = house.start_fast(SPEED).await;
    all_hold(&daemon, USERS).await;
    let mut watcher = Watcher::new(&house).await;
    // Everybody has at least one.
    changes_later(&house, 100).await;
    client(&house).await.change_user(&id(7), &UserChange::SetCall(CallState::InCall, None)).await.unwrap();
    watcher.row(7, |row| asserted(row) == Some("InACall")).await;
    assert_eq!(daemon.stop().await.code(), Some(0));
}

#[test]
fn a_slow_reader_is_told_how_much_it_missed_after_the_counts() {
    const LINES: u64 = 3000;
    let folder = TempDir::new().unwrap();
    let daemon = FakeDaemon::start(folder.path(), report());
    let mut stream = daemon.connect();
    stream.write_all(WATCH).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.find(String::is_empty).expect("the head");
    assert!(serde_json::from_str::<Report>(&lines.next().unwrap()).is_ok());
    // 30 MB, of which the daemon keeps at most 8.
    let removed = |number| WatchLine::Removed { user: format!("{number:010000}"), account: "agents".to_owned() };
    daemon.feed.tell((0..LINES).map(removed));
    daemon.feed.tell(std::iter::once(WatchLine::Removed { user: "last".to_owned(), account: "agents".to_owned() }));
    let (mut read, mut missed, mut before) = (0, 0, String::new());
    for line in lines {
        match serde_json::from_str(&line) {
            Ok(WatchLine::Removed { user, .. }) if user == "last" => break,
            Ok(WatchLine::Removed { .. }) => read += 1,
            Ok(WatchLine::Missed(more)) => {
                assert!(serde_json::from_str::<Report>(&before).is_ok(), "the counts come first");
                missed += more;
            }
            Ok(WatchLine::User(_)) => panic!("nobody was changed"),
            Err(_) => assert!(serde_json::from_str::<Report>(&line).is_ok()),
        }
        before = line;
    }
    assert!(missed > 1000, "{missed}");
    assert_eq!(read + missed, LINES);
}

#[tokio::test]
async fn whoever_wants_only_reports_gets_only_reports() {
    let folder = TempDir::new().unwrap();
    let daemon = FakeDaemon::start(folder.path(), report());
    let mut watch = Client::connect(&daemon.socket).await.unwrap().watch().await.unwrap();
    let first = guarded("a report", watch.next()).await.unwrap().unwrap();
    let news = [WatchLine::Missed(7), WatchLine::Removed { user: "ada".to_owned(), account: "agents".to_owned() }];
    daemon.feed.tell(news.into_iter());
    daemon.change(|report| report.pid += 1);
    let next = guarded("a report", watch.next()).await.unwrap().unwrap();
    assert_eq!(next.pid, first.pid + 1);
}
