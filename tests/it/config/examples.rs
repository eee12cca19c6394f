//! The example files and every TOML snippet of the documents are configurations.

use std::fs;
use std::path::{Path, PathBuf};

use presenced::config::{
    Auth, CalendarPlace, CalendarSource, Log, OnExit, Owners, Session, Subscription, TokenStore, Users,
};
use presenced::pacer::Rate;
use presenced::policy::default_rules;

use super::{ACCOUNT, parse};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn must_load(text: &str, origin: &str) -> presenced::config::Config {
    parse(text).unwrap_or_else(|problems| panic!("{origin}\n{}", problems.render(100, false)))
}

#[test]
fn there_are_three_examples_beside_the_emulators() {
    let folder = root().join("config");
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "hooks");
    names.sort();
    assert_eq!(names, ["desktop.toml", "emulator.toml", "presenced.toml", "sidecar.toml"]);
}

#[test]
fn the_desktop_watches_everything_and_the_sidecar_only_calls() {
    let desktop = must_load(include_str!("../../../config/desktop.toml"), "desktop.toml");
    assert_eq!(desktop.accounts["work"].auth, Auth::Browser);
    assert!(desktop.signals.calendar.is_some() && desktop.signals.lock.is_some() && desktop.signals.call.is_some());
    assert!(desktop.signals.idle.is_some());
    let sidecar = must_load(include_str!("../../../config/sidecar.toml"), "sidecar.toml");
    assert!(matches!(sidecar.accounts["bot"].auth, Auth::ClientSecret { .. }));
    assert!(sidecar.accounts["bot"].user.is_some());
    assert!(sidecar.signals.calendar.is_none() && sidecar.signals.lock.is_none() && sidecar.signals.call.is_some());
    assert!(sidecar.signals.idle.is_none());
}

/// What is in the `ConfigMap` of a manifest. `tests/packages` starts presenced with it.
fn config_map(name: &str) -> String {
    let manifest = fs::read_to_string(root().join("packaging/kubernetes").join(name)).expect("the manifest is there");
    let (_, rest) = manifest.split_once("  config.toml: |\n").expect("the manifest has a configuration");
    let lines = rest.lines().map_while(|line| line.strip_prefix("    ").or(line.is_empty().then_some("")));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_kubernetes_manifests_hold_the_configuration_of_a_sidecar() {
    let sidecar = must_load(include_str!("../../../config/sidecar.toml"), "sidecar.toml");
    for name in ["sidecar.yaml", "workload-identity.yaml"] {
        let config = must_load(&config_map(name), name);
        assert_eq!(config.accounts["bot"].user, sidecar.accounts["bot"].user);
        assert_eq!((&config.session, &config.rules), (&sidecar.session, &sidecar.rules), "{name}");
        // The kubelet asks at the pod's address.
        assert!(config.status.listen.is_some_and(|address| address.ip().is_unspecified()), "{name}");
    }
    let auth = |name| must_load(&config_map(name), name).accounts["bot"].auth.clone();
    assert!(matches!(auth("sidecar.yaml"), Auth::ClientSecret { .. }));
    assert!(matches!(auth("workload-identity.yaml"), Auth::Federated { .. }));
}

#[test]
fn the_kubernetes_manifest_for_many_users_holds_their_configuration() {
    let config = must_load(&config_map("fleet.yaml"), "fleet.yaml");
    let agents = &config.accounts["agents"];
    assert!(matches!(agents.users, Some(Users::File(_))) && matches!(agents.auth, Auth::ClientSecret { .. }));
    let owners = config.signals.call.and_then(|call| call.owners).expect("a file for each user");
    assert_eq!(owners.folders[&Owners::Users], Path::new("/run/calls"));
    assert_eq!((config.session.on_exit, agents.rate), (OnExit::Keep, Rate::default()));
    assert!(config.status.listen.is_some_and(|address| address.ip().is_unspecified()));
}

/// The reference file without the `#` of its options: `#key` is an option at its default, `# text` is prose.
pub(super) fn reference_with_every_default() -> String {
    let reference = include_str!("../../../config/presenced.toml");
    let is_option = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line != "#";
    let lines = reference.lines().map(|line| if is_option(line) { &line[1..] } else { line });
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn what_the_reference_file_calls_defaults_are_the_defaults() {
    let uncommented = reference_with_every_default();
    let config = must_load(&uncommented, "presenced.toml without its #");
    assert_eq!(config.session, Session::default());
    assert_eq!(config.rules, default_rules());
    let work = &config.accounts["work"];
    assert_eq!(
        (Some(&work.endpoints.graph), &work.endpoints.login),
        (work.cloud.graph().as_ref(), &work.cloud.login())
    );
    assert_eq!(work.tokens, TokenStore::default());
    assert_eq!(config.log, Log { level: Some("info".to_owned()), dir: Some("/home/me/.local/state/presenced".into()) });
    assert_eq!(config.signals.idle, must_load(&format!("{ACCOUNT}[signals.idle]\n"), "the default").signals.idle);
    let call = config.signals.call.unwrap();
    let defaults = must_load(&format!("{ACCOUNT}[signals.call]\n[signals.microphone]\n"), "the defaults").signals;
    assert_eq!((Some(call), config.signals.microphone), (defaults.call, defaults.microphone));
}

/// The reference file with each of its other ways to sign in.
pub(super) fn ways_to_sign_in() -> Vec<String> {
    let reference = include_str!("../../../config/presenced.toml").replace("#user", "user");
    let ways = reference.lines().filter_map(|line| line.strip_prefix("#   ")).filter(|l| l.starts_with("auth = "));
    ways.map(|way| reference.replace("\nauth = { method = \"device-code\" }\n", &format!("\n{way}\n"))).collect()
}

#[test]
fn the_other_ways_to_sign_in_of_the_reference_file_load() {
    let files = ways_to_sign_in();
    assert_eq!(files.len(), 10);
    for file in files {
        must_load(&file, "presenced.toml with another way to sign in");
    }
}

#[test]
fn the_subscription_of_the_reference_file_loads() {
    let reference = include_str!("../../../config/presenced.toml");
    let way = reference.lines().find_map(|line| line.strip_prefix("#   sources = ")).unwrap();
    let config = must_load(&format!("{ACCOUNT}[signals.calendar]\nsources = {way}\n"), way);
    let [CalendarSource { place: CalendarPlace::Subscription(subscription), .. }] =
        &config.signals.calendar.unwrap().sources[..]
    else {
        panic!("{way} is a subscription")
    };
    assert_eq!(subscription.refresh, Subscription::REFRESH, "the reference file shows defaults");
}

#[test]
fn the_address_of_the_reference_file_loads() {
    let reference = include_str!("../../../config/presenced.toml");
    let way = reference.lines().find_map(|line| line.strip_prefix("#   listen = ")).unwrap();
    assert!(must_load(&format!("{ACCOUNT}[status]\nlisten = {way}\n"), way).status.listen.unwrap().ip().is_loopback());
    let sidecar = must_load(include_str!("../../../config/sidecar.toml"), "sidecar.toml");
    assert!(sidecar.status.listen.unwrap().ip().is_loopback());
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The blocks fenced with exactly ```` ```toml ````.
fn snippets(markdown: &str) -> Vec<String> {
    let mut lines = markdown.lines();
    let mut snippets = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() == "```toml" {
            snippets
                .push(lines.by_ref().take_while(|line| line.trim() != "```").flat_map(|line| [line, "\n"]).collect());
        }
    }
    snippets
}

const ACCOUNT_OF_MANY: &str = r#"[accounts.agents]
tenant = "contoso.onmicrosoft.com"
client_id = "22553876-f5ab-4529-bffb-cfe50aa89f87"
users = "signalled"
auth = { method = "token-command", command = ["print-token"] }
"#;

/// Every configuration that the documents and `config/` show, and where.
pub(super) fn shown() -> Vec<(String, String)> {
    let mut found = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    documents(&root().join("docs"), &mut found);
    let mut shown = Vec::new();
    for document in found.into_iter().filter(|path| path.exists()) {
        for snippet in snippets(&fs::read_to_string(&document).expect("a document")) {
            if snippet.contains("[[fault]]") {
                presenced_emulator::Fault::plan(&snippet).expect("a plan of faults");
                continue;
            }
            // A document may show a part.
            let account = if snippet.contains("{user}") { ACCOUNT_OF_MANY } else { ACCOUNT };
            let whole = if snippet.contains("[accounts.") { snippet } else { format!("{account}{snippet}") };
            shown.push((document.display().to_string(), whole));
        }
    }
    for name in ["desktop.toml", "presenced.toml", "sidecar.toml"] {
        shown.push((name.to_owned(), fs::read_to_string(root().join("config").join(name)).expect("an example")));
    }
    shown
}

#[test]
fn each_snippet_of_the_documents_loads() {
    for (origin, text) in shown() {
        must_load(&text, &origin);
    }
}

#[test]
fn snippets_are_found_between_their_fences() {
    let markdown = "a\n```toml\nx = 1\ny = 2\n```\n```sh\nz\n```\n  ```toml\n  w = 3\n  ```\n";
    assert_eq!(snippets(markdown), ["x = 1\ny = 2\n", "  w = 3\n"]);
}
