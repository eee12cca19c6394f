//! Every command that starts a program is killed again and again, at random moments. No program gets a secret, in its environment
//! or its arguments, and none is left on disk but in its place. What is left there is private.
//!
//! `PRESENCED_ROUNDS=1000 cargo test --test it leaks -- --nocapture` kills more often.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use presenced_emulator::{App, DeviceCodeOptions, Options};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;

use crate::stage::canned::{self, answer};
use crate::stage::house::{House, USER, guarded};
use crate::stage::http_client::default_client;
use crate::stage::stand_ins::{SYSTEMCTL, furnish, installed, is_started, presenced, take};

/// How often a command is killed.
fn rounds() -> usize {
    std::env::var_os("PRESENCED_ROUNDS").map_or(40, |rounds| rounds.to_str().unwrap().parse().unwrap())
}

/// The accounts, which are also the names of their secrets.
const ACCOUNTS: [&str; 5] = ["env", "command", "token-command", "browser", "device-code"];

/// The address of the calendar is a secret.
const CALENDAR: &str = "private-8fJ2k1-address-of-a-calendar";

const MEETING: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20200101T000000Z\r\n\
    DTSTART:20200101T100000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

/// The commands that start programs, and one that each certainly starts.
const COMMANDS: [(&[&str], &str); 14] = [
    (&["run"], "print-secret"),
    (&["service", "install"], "systemctl"),
    (&["service", "status"], "systemctl"),
    (&["logs", "--unit", "presenced@bot"], "journalctl"),
    (&["logs", "--follow", "--unit", "presenced@bot"], "journalctl"),
    (&["doctor"], "systemctl"),
    (&["doctor", "--report"], "loginctl"),
    (&["login", "browser"], "xdg-open"),
    (&["login", "device-code"], ""),
    (&["login", "command"], "print-secret"),
    (&["login", "token-command"], "print-token"),
    (&["init", "--login", "--service"], "systemctl"),
    (&["demo", "--speed", "5000", "--for", "1s"], "dbus-daemon"),
    (&["service", "uninstall"], "systemctl"),
];

/// What is waited for before the command is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// It started that program.
    Program(&'static str),
    /// It sent this many requests.
    Requests(usize),
    /// It changed something on the disk this often.
    Files(usize),
    /// The test did this much else.
    Turns(u32),
}

fn secret(account: &str) -> String {
    format!("Hx7-client-secret-by-{account}-9Qz")
}

fn client_id(account: &str) -> String {
    let number = ACCOUNTS.iter().position(|known| *known == account).unwrap();
    format!("22553876-f5ab-4529-bffb-cfe50aa89f8{number}")
}

fn options() -> Options {
    let app = |account| App { client_id: client_id(account), secret: Some(secret(account)), ..App::default() };
    let device = DeviceCodeOptions { interval: Duration::from_secs(1), ..DeviceCodeOptions::default() };
    Options { apps: ACCOUNTS.map(app).to_vec(), device, ..Options::default() }
}

/// A house in which everything has its secret, and what is needed to kill commands in it.
struct Scene {
    house: House,
    program: PathBuf,
    path: String,
    /// What the test itself put there.
    ours: [PathBuf; 6],
    /// The folders that it made for presenced.
    shared: [PathBuf; 2],
    token: String,
}

impl Scene {
    async fn new() -> Self {
        let house = House::with(options()).await;
        let calendars = canned::Server::start([answer(200, "Content-Type: text/calendar\r\n", MEETING)]).await;
        let known = house.path("known");
        fs::create_dir(&known).unwrap();
        let token = fetch_token(&house).await;
        for (name, text) in [("command", &secret("command")), ("token-command", &token)] {
            fs::write(known.join(name), text).unwrap();
        }
        let print = |name: &str| format!("cat '{}'", known.join(name).display());
        let programs = [
            ("systemctl", SYSTEMCTL.to_owned()),
            ("loginctl", "echo Linger=no".to_owned()),
            ("journalctl", "echo a line".to_owned()),
            // The real one, so that the demo goes on.
            ("dbus-daemon", format!("PATH='{}' exec dbus-daemon \"$@\"", std::env::var("PATH").unwrap())),
            // A browser that goes where it is sent, and back.
            ("xdg-open", "exec curl --silent --location --output /dev/null \"$1\"".to_owned()),
            ("print-secret", print("command")),
            ("print-token", print("token-command")),
        ];
        let path = furnish(&house, &programs.each_ref().map(|(name, does)| (*name, does.as_str())));
        house.write("config.toml", configuration(&house, &calendars.url));
        for folder in ["said", "tmp", "run"] {
            fs::create_dir(house.path(folder)).unwrap();
        }
        let program = installed(&house);
        let ours = ["bin", "kept", "known", "said", "presenced", "config.toml"].map(|name| house.path(name));
        let shared = ["tmp", "run"].map(|name| house.path(name));
        Self { house, program, path, ours, shared, token }
    }

    fn start(&self, arguments: &[&str], round: usize) -> Child {
        let said = || fs::File::create(self.house.path(&format!("said/{round}.{}", fastrand::u32(..)))).unwrap();
        let program = self.program.display().to_string();
        // Whatever the umask allows.
        let arguments = [&["-c", "umask 000; exec \"$@\"", "sh", &program], arguments].concat();
        let shell = Path::new("/bin/sh");
        let mut command = presenced(shell, &self.house, &self.house.path("config.toml"), &arguments, &self.path);
        command.env("BOT_SECRET", secret("env")).env("TMPDIR", self.house.path("tmp"));
        command.env("XDG_RUNTIME_DIR", self.house.path("run"));
        command.stdout(Stdio::from(said())).stderr(Stdio::from(said())).spawn().unwrap()
    }

    /// Waits until the moment has come, or until the command has ended.
    async fn wait(&self, moment: Moment, child: &mut Child) {
        let asked = self.house.emulator.requests().len();
        let mut files = self.files();
        let (mut changes, mut turns) = (0, 0);
        let come = async {
            loop {
                let has_come = match moment {
                    Moment::Program(program) => is_started(&self.house, program),
                    Moment::Requests(count) => self.house.emulator.requests().len() >= asked + count,
                    Moment::Files(count) => {
                        let now = self.files();
                        changes += usize::from(now != files);
                        files = now;
                        changes >= count
                    }
                    Moment::Turns(count) => {
                        turns += 1;
                        turns > count
                    }
                };
                if has_come || child.try_wait().unwrap().is_some() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        guarded(&format!("{moment:?}"), come).await;
    }

    /// What presenced left in the house: each path with its size and mode.
    fn files(&self) -> BTreeMap<PathBuf, (u64, u32)> {
        let mut found = BTreeMap::new();
        self.list(&self.house.path(""), &mut found);
        found
    }

    fn list(&self, folder: &Path, found: &mut BTreeMap<PathBuf, (u64, u32)>) {
        // The program may remove it meanwhile.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(metadata) = path.symlink_metadata() else { continue };
            if self.ours.contains(&path) {
                continue;
            }
            if metadata.is_dir() {
                self.list(&path, found);
            }
            if !self.shared.contains(&path) {
                found.insert(path, (metadata.len(), metadata.mode()));
            }
        }
    }

    /// Everything that must be known to nobody.
    fn secrets(&self) -> Vec<String> {
        let ours = ACCOUNTS.map(secret).into_iter().chain([CALENDAR.to_owned(), self.token.clone()]);
        let all = ours.chain(self.house.emulator.issued_secrets());
        // A shortened token is still a secret: its end is what cannot be guessed.
        all.map(|secret| secret[secret.len().saturating_sub(20)..].to_owned()).collect()
    }

    /// Checks the programs that were started, what the command printed, and what is left on the disk.
    fn check(&self, what: &str) {
        let secrets = self.secrets();
        let assert_clean = |place: &str, text: &str| {
            for secret in &secrets {
                assert!(!text.contains(secret), "{what}: {place} has {secret}: {text}");
            }
        };
        for program in fs::read_dir(self.house.path("bin")).unwrap() {
            let program = program.unwrap().file_name().into_string().unwrap();
            for (pid, saved) in take(&self.house, &program) {
                assert_clean(&program, &saved);
                self.end_bus(pid);
            }
        }
        for said in fs::read_dir(self.house.path("said")).unwrap() {
            let said = said.unwrap().path();
            assert_clean("its output", &String::from_utf8_lossy(&fs::read(&said).unwrap()));
            fs::remove_file(said).unwrap();
        }
        for (path, (_, mode)) in self.files() {
            let shown = path.display().to_string();
            // A unit holds nothing secret. In its own folder the demo writes as usual.
            let is_unit = shown.contains("/.config/systemd") || shown.ends_with("/.config");
            let demo = shown.split_once("/tmp/presenced-demo-");
            let is_public = is_unit || demo.is_some_and(|(_, name)| name.contains('/'));
            assert!(is_public || mode.trailing_zeros() >= 6 || path.is_symlink(), "{what}: {shown} has mode {mode:o}");
            let is_place = shown.contains("/tokens/");
            if let Ok(content) = fs::read(&path)
                && !is_place
            {
                assert_clean(&shown, &String::from_utf8_lossy(&content));
            }
        }
    }

    /// What commands printed since the last check.
    fn said(&self) -> String {
        let said = fs::read_dir(self.house.path("said")).unwrap();
        said.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    }

    /// Ends the bus of a demo that was killed: no demo is there to do it.
    fn end_bus(&self, pid: i32) {
        let commandline = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if commandline.starts_with("dbus-daemon") && commandline.contains(&self.house.path("tmp").display().to_string())
        {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
    }
}

/// A token for the account whose command prints one.
async fn fetch_token(house: &House) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &*client_id("token-command")),
        ("client_secret", &*secret("token-command")),
        ("scope", "https://graph.microsoft.com/.default"),
    ];
    let url = format!("http://{}/contoso.onmicrosoft.com/oauth2/v2.0/token", house.address);
    let answer = default_client().post(url).form(&form).send().await.unwrap();
    answer.json::<serde_json::Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
}

fn configuration(house: &House, calendar: &url::Url) -> String {
    let mut config = String::new();
    for account in ACCOUNTS {
        let program = |name: &str| house.path("bin").join(name).display().to_string();
        let (auth, user) = match account {
            "env" => (r#"{ method = "client-secret", secret = { env = "BOT_SECRET" } }"#.to_owned(), true),
            "command" => {
                let command = program("print-secret");
                (format!(r#"{{ method = "client-secret", secret = {{ command = ["{command}"] }} }}"#), true)
            }
            "token-command" => {
                let command = program("print-token");
                (format!(r#"{{ method = "token-command", command = ["{command}"] }}"#), true)
            }
            person => (format!(r#"{{ method = "{person}" }}"#), false),
        };
        let (client_id, address) = (client_id(account), &house.address);
        let user = if user { format!("user = \"{USER}\"\n") } else { String::new() };
        write!(
            config,
            "[accounts.{account}]\ntenant = \"contoso.onmicrosoft.com\"\nclient_id = \"{client_id}\"\n{user}\
             auth = {auth}\nendpoints = {{ graph = \"http://{address}/v1.0\", login = \"http://{address}\" }}\n"
        )
        .unwrap();
    }
    let logs = house.path("logs");
    write!(
        config,
        "[tokens]\nstore = \"file\"\n[signals.call]\npath = \"call-state\"\n[signals.calendar]\n\
         sources = [{{ url = \"{calendar}{CALENDAR}.ics\", refresh = \"1m\" }}]\n[log]\nlevel = \"trace\"\ndir = \"{}\"\n",
        logs.display()
    )
    .unwrap();
    config
}

#[tokio::test]
async fn whatever_is_killed_no_secret_is_where_it_does_not_belong() {
    let seed = fastrand::u64(..);
    // Shown when the test fails.
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let scene = Scene::new().await;
    for round in 0..rounds() {
        let (arguments, certain) = COMMANDS[round % COMMANDS.len()];
        let is_first = round < COMMANDS.len();
        let moment = match random.u8(0..4) {
            _ if is_first && !certain.is_empty() => Moment::Program(certain),
            0 if !certain.is_empty() => Moment::Program(certain),
            0 | 1 => Moment::Requests(random.usize(1..5)),
            2 => Moment::Files(random.usize(1..6)),
            _ => Moment::Turns(random.u32(0..3000)),
        };
        let what = format!("round {round}: {} killed after {moment:?}", arguments.join(" "));
        println!("{what}");
        let mut child = scene.start(arguments, round);
        scene.wait(moment, &mut child).await;
        let is_seen = !is_first || certain.is_empty() || is_started(&scene.house, certain);
        assert!(is_seen, "{what}: it does not start {certain}: {}", scene.said());
        // It may have ended already.
        let _ = child.start_kill();
        guarded("its end", child.wait()).await.unwrap();
        scene.check(&what);
    }
    // After a sign-out nothing is left, not even where it belongs.
    for account in ["browser", "device-code"] {
        let mut logout = scene.start(&["logout", account], rounds());
        assert!(guarded("logout", logout.wait()).await.unwrap().success());
    }
    scene.check("after the sign-out");
    let secrets = scene.secrets();
    for path in scene.files().into_keys() {
        let content = fs::read(&path).map(|content| String::from_utf8_lossy(&content).into_owned()).unwrap_or_default();
        let left = secrets.iter().find(|secret| content.contains(*secret));
        assert_eq!(left, None, "{} after the sign-out", path.display());
    }
}
