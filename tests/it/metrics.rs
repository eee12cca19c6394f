//! Metrics and alerts, by the judgement of others: Prometheus' own tools, its server on the real daemon, and the strict parser
//! of its Python library. And the documents have what there is.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use presenced::status::report::{Account, Queue, Rate, SignIn, State, Users, Waiting};
use presenced_emulator::{Fault, Matches, Then};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::stage::fake_daemon::{FakeDaemon, fill, report};
use crate::stage::house::{House, guarded};
use crate::stage::http_client::default_client;

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus")
}

/// Runs a program with `input`: whether it succeeded, and all that it said.
fn run(program: &str, package: &str, arguments: &[&str], input: &str) -> (bool, String) {
    let spawned = Command::new(program)
        .args(arguments)
        .current_dir(rules())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{program}: {error}; it is in Debian's package `{package}`"));
    // A program that has its answer may not read the rest.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Metrics of a daemon that has a sample of each.
fn metrics() -> String {
    let folder = TempDir::new().unwrap();
    let daemon = FakeDaemon::start(folder.path(), report());
    fill(&daemon.metrics);
    daemon.change(|report| {
        let work = report.accounts.get_mut("work").unwrap();
        work.sign_in = Some(SignIn {
            method: "client-secret".to_owned(),
            user: None,
            username: None,
            tenant: None,
            permissions: Vec::new(),
            kind: None,
            token_expires_at: Some(report.started_at),
            renewal_error: None,
        });
        let waiting = Queue { count: 1, oldest: Some(report.started_at) };
        let agents = Account {
            users: Some(Users {
                count: 2,
                states: [("holding".to_owned(), 2)].into(),
                presences: [("Busy/InACall".to_owned(), 2)].into(),
                planned_load: 0.25,
                rate: Rate { used: 2, requests: 1500, per_seconds: 30 },
                waiting: Waiting { changes: waiting, keepalives: waiting },
                next_deadline: Some(report.started_at),
                faded: 0,
                fades: 0,
                with_problems: 0,
                problems: Vec::new(),
            }),
            ..work.clone()
        };
        report.accounts.insert("agents".to_owned(), agents);
        report.warnings.push(presenced::status::report::Warning {
            code: presenced::warning::Code::Throttled,
            severity: presenced::warning::Severity::Warning,
            text: "slow".to_owned(),
            hint: "wait".to_owned(),
            since: report.started_at,
        });
    });
    daemon.request("GET", "/metrics", "").1
}

/// The same in the older text format, which is what `promtool check metrics` reads.
fn classic(metrics: &str) -> String {
    let line = |line: &str| -> Option<String> {
        let [hash, keyword, name, rest] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else {
            return (!line.starts_with('#')).then(|| line.to_owned());
        };
        let kind = metrics.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap_or_default();
        let (name, gauge) = match kind {
            "counter" => (format!("{name}_total"), "counter"),
            "info" => (format!("{name}_info"), "gauge"),
            other => (name.to_owned(), other),
        };
        match (hash, keyword) {
            ("#", "TYPE") => Some(format!("# TYPE {name} {gauge}")),
            ("#", "HELP") => Some(format!("# HELP {name} {rest}")),
            ("#", _) => None,
            _ => Some(line.to_owned()),
        }
    };
    metrics.lines().filter_map(line).flat_map(|line| [line, "\n".to_owned()]).collect()
}

#[test]
fn promtool_has_nothing_to_say_against_the_metrics() {
    let (well, said) = run("promtool", "prometheus", &["check", "metrics"], &classic(&metrics()));
    assert_eq!((well, said.as_str()), (true, ""));
}

#[test]
fn a_strict_parser_of_open_metrics_reads_all_of_it() {
    let read = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
        for family in read(sys.stdin.read()): print(family.name, family.type, len(family.samples))";
    // The one that Debian's packages are for.
    let (well, said) = run("/usr/bin/python3", "python3-prometheus-client", &["-c", read], &metrics());
    assert!(well, "{said}\nhint: prometheus_client is in Debian's package `python3-prometheus-client`");
    let families: Vec<_> = said.lines().collect();
    assert!(families.contains(&"presenced_account_requests counter 14"), "{said}");
    assert!(families.iter().all(|family| !family.ends_with(" 0")), "each has a sample: {said}");
}

#[test]
fn the_alerts_hold_what_they_promise() {
    for arguments in [["check", "rules", "presenced.rules.yml"], ["test", "rules", "presenced.rules.test.yml"]] {
        let (well, said) = run("promtool", "prometheus", &arguments, "");
        assert!(well, "{said}");
    }
    let rules = std::fs::read_to_string(rules().join("presenced.rules.yml")).unwrap();
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let documented = include_str!("../../docs/sidecar.md");
    let tested = include_str!("../../packaging/prometheus/presenced.rules.test.yml");
    for alert in &alerts {
        assert!(documented.contains(&format!("`{alert}`")), "docs/sidecar.md has no {alert}");
        assert!(tested.contains(alert), "no test has {alert} fire");
    }
    assert_eq!(alerts.len(), 16);
    // What an alert asks for is there.
    let metrics = classic(&metrics());
    for word in rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        let is_metric = word.starts_with("presenced_");
        assert!(
            !is_metric || metrics.contains(&format!("\n{word}{{")) || metrics.contains(&format!("\n{word} ")),
            "{word}"
        );
    }
}

/// A metric as its row has it: type, unit, labels.
type Row = (String, String, Vec<String>);

/// What there is, by the names of samples but for what a histogram adds.
fn rendered(metrics: &str) -> BTreeMap<String, Row> {
    let fact = |keyword: &str| -> BTreeMap<&str, &str> {
        metrics.lines().filter_map(|line| line.strip_prefix(keyword)?.split_once(' ')).collect()
    };
    let (types, units) = (fact("# TYPE "), fact("# UNIT "));
    types
        .iter()
        .map(|(name, kind)| {
            let suffix = match *kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let sample = if *kind == "histogram" { format!("{name}_bucket") } else { format!("{name}{suffix}") };
            let line = metrics.lines().find(|line| line.starts_with(&format!("{sample}{{")));
            let labels = line.map(|line| line[sample.len() + 1..line.rfind('}').unwrap()].split(','));
            let labels = labels.into_iter().flatten().map(|label| label.split('=').next().unwrap().to_owned());
            let unit = units.get(name).copied().unwrap_or_default();
            let labels = labels.filter(|label| label != "le").collect();
            (format!("{name}{suffix}"), ((*kind).to_owned(), unit.to_owned(), labels))
        })
        .collect()
}

#[test]
fn the_documents_list_each_metric_correctly() {
    let rows = include_str!("../../docs/sidecar.md").lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        let [name, kind, unit, labels, _, ""] = cells[..] else { return None };
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`')).filter(|label| !label.is_empty());
        let row = (kind.to_owned(), unit.to_owned(), labels.map(ToOwned::to_owned).collect());
        Some((name.trim_end_matches('`').to_owned(), row))
    });
    let documented: BTreeMap<String, Row> = rows.collect();
    assert_eq!(documented, rendered(&metrics()));
}

/// The sample of this name in metrics.
#[track_caller]
fn sample<'m>(metrics: &'m str, name: &str) -> &'m str {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

#[tokio::test]
async fn what_happens_to_the_daemon_is_counted() {
    let mut house = House::new().await;
    house.write(
        "work.ics",
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20200101T100000Z\r\nSUMMARY:Takeover\r\nEND:VEVENT\r\n\
         END:VCALENDAR\r\n",
    );
    let calendar = "[signals.calendar]\nsources = [{ path = \"work.ics\" }]\n[status]\nlisten = \"127.0.0.1:0\"\n";
    house.write("config.toml", format!("{}{calendar}", house.configuration()));
    let respond = |status, headers: &[(&str, &str)]| Then::Respond {
        status,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: None,
    };
    house.inject(Fault {
        times: Some(1),
        ..Fault::new(Matches::Only(presenced_emulator::Call::Token), respond(500, &[]))
    });
    let slow_down = respond(429, &[("Retry-After", "1")]);
    house.inject(Fault { times: Some(1), ..Fault::new(Matches::Only(presenced_emulator::Call::Set), slow_down) });
    let daemon = house.start().await;
    let held = house.seen("Available/Available").await;
    daemon.report("holding", |report| report.accounts["work"].state == State::Holding).await;
    let address = crate::stage::listener::address(&daemon).await;
    let scrape =
        || tokio::task::spawn_blocking(move || crate::stage::listener::ask(address, "GET /metrics", "localhost"));
    let metrics = scrape().await.unwrap();
    let requests = |call: &str, outcome: &str| {
        let name =
            format!("presenced_account_requests_total{{account=\"work\",call=\"{call}\",outcome=\"{outcome}\"}}");
        sample(&metrics, &name)
    };
    assert_eq!((requests("token", "passing"), requests("token", "ok")), ("1", "1"));
    assert_eq!((requests("set", "throttled"), requests("set", "ok"), requests("set", "abandoned")), ("1", "1", "0"));
    let account = |name: &str| sample(&metrics, &format!("presenced_account_{name}{{account=\"work\"}}"));
    assert_eq!(account("wanted"), "1");
    // The second it asked to wait is the least that the change took.
    assert_eq!(account("change_duration_seconds_count"), "1");
    assert!(account("change_duration_seconds_sum").parse::<f64>().unwrap() >= 1.0);
    let duration = "presenced_account_request_duration_seconds_count{account=\"work\",call=\"set\"}";
    assert_eq!(sample(&metrics, duration), "2");
    let success: i64 = account("success_timestamp_seconds").parse().unwrap();
    assert!((success - held.at.as_second()).abs() <= 1, "{success} is not about {}", held.at);
    assert!(account("token_expiry_timestamp_seconds").parse::<i64>().unwrap() > success);
    assert_eq!(sample(&metrics, "presenced_calendar_events"), "1");
    assert!(!metrics.contains("Takeover"));
    let woken = |metrics: &str| -> u32 {
        let samples = metrics.lines().filter_map(|line| line.strip_prefix("presenced_wakeups_total")?.split_once("} "));
        samples.map(|(_, count)| count.parse::<u32>().unwrap()).sum()
    };
    assert!(woken(&metrics) > 3);
    assert_eq!(woken(&scrape().await.unwrap()), woken(&metrics), "a scrape wakes nobody");
}

/// A port that was free a moment ago.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Asks Prometheus' own interface, once it is up.
async fn ask(port: u16, path: &str) -> Value {
    loop {
        if let Ok(answer) = default_client().get(format!("http://127.0.0.1:{port}/api/v1/{path}")).send().await
            && let Ok(answer) = answer.json().await
        {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn prometheus_scrapes_the_daemon_and_evaluates_the_alerts() {
    let mut house = House::new().await;
    house.write("config.toml", format!("{}[status]\nlisten = \"127.0.0.1:0\"\n", house.configuration()));
    let daemon = house.start().await;
    house.seen("Available/Available").await;
    let target = crate::stage::listener::address(&daemon).await;

    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}/presenced.rules.yml]\n\
         scrape_configs: [{{job_name: presenced, static_configs: [{{targets: [\"{target}\"]}}]}}]\n",
        rules().display()
    );
    house.write("prometheus.yml", config);
    let port = free_port().await;
    let mut prometheus = tokio::process::Command::new("prometheus")
        .arg(format!("--config.file={}", house.path("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", house.path("prometheus").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(house.path("prometheus.log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .expect("`prometheus` is in Debian's package of that name");

    guarded("a scrape", async {
        loop {
            let targets = ask(port, "targets").await;
            let target = &targets["data"]["activeTargets"][0];
            assert_eq!(*target.get("lastError").unwrap_or(&"".into()), "", "{targets}");
            if target["health"] == "up" {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let query = "query?query=presenced_account_state%7Bstate%3D%22holding%22%7D";
    let holding = guarded("a sample", async {
        loop {
            let answer = ask(port, query).await;
            if answer["data"]["result"][0]["value"][1] == "1" {
                break answer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(holding["data"]["result"][0]["metric"]["account"], "work");
    // Only OpenMetrics tells units: that is how it was read.
    let metadata = ask(port, "metadata?metric=presenced_start_time_seconds").await;
    assert_eq!(metadata["data"]["presenced_start_time_seconds"][0]["unit"], "seconds", "{metadata}");
    let well = guarded("the alerts", async {
        loop {
            let answer = ask(port, "rules").await;
            let rules = answer["data"]["groups"][0]["rules"].as_array().unwrap().clone();
            if rules.iter().all(|rule| rule["health"] == "ok") {
                break rules;
            }
            assert!(rules.iter().all(|rule| rule["health"] != "err"), "{answer}");
            tokio::task::yield_now().await;
        }
    })
    .await;
    let firing = |rule: &&Value| rule["state"] != "inactive";
    assert_eq!(well.iter().find(firing), None);
    prometheus.kill().await.unwrap();
}
