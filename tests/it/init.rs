//! `presenced init` as a person uses it at a real terminal (python3's `pty`), and as a script uses it without a terminal.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use presenced_emulator::Options;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::stage::faults::quick_sign_in;
use crate::stage::house::{CLIENT_ID, House, guarded};

/// Runs a program in its own terminal of this width, and passes on what is typed and shown.
const TERMINAL: &str = r#"
import fcntl, os, pty, select, struct, sys, termios
columns, command = int(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.execv(command[0], command)
ends = [0, terminal]
while True:
    ready, _, _ = select.select(ends, [], [])
    if terminal in ready:
        try:
            shown = os.read(terminal, 4096)
        except OSError:
            shown = b""
        if not shown:
            break
        os.write(1, shown)
    if 0 in ready:
        typed = os.read(0, 4096)
        if typed:
            os.write(terminal, typed)
        else:
            ends.remove(0)
_, status = os.waitpid(child, 0)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
"#;

const TENANT: &str = "contoso.onmicrosoft.com";
const EVENT: &str = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART:20261124T090000Z\nEND:VEVENT\nEND:VCALENDAR\n";
const END: &str = "\u{4}";
const CTRL_C: &str = "\u{3}";

/// A person at a terminal.
struct Session {
    child: Child,
    keys: Option<ChildStdin>,
    screen: ChildStdout,
    shown: String,
    /// How much of `shown` was waited for.
    seen: usize,
}

impl Session {
    fn start(house: &House, columns: u16, arguments: &[&str]) -> Self {
        Self::start_with(house, columns, arguments, |_| {})
    }

    fn start_with(house: &House, columns: u16, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let mut wanted = house.command(&[&["init"], arguments].concat());
        change(&mut wanted);
        Self::of(&wanted, columns)
    }

    fn of(wanted: &Command, columns: u16) -> Self {
        let wanted = wanted.as_std();
        let mut command = Command::new("python3");
        command.args(["-c", TERMINAL, &columns.to_string()]).arg(wanted.get_program()).args(wanted.get_args());
        command.env_clear().envs(wanted.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("NO_COLOR", "1").env("TERM", "xterm").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 is needed: tests/run.sh installs it");
        let (keys, screen) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, keys, screen, shown: String::new(), seen: 0 }
    }

    /// Waits until this text is shown, after the text that was waited for last.
    async fn until(&mut self, text: &str) {
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            assert!(self.more(text).await, "it ended without {text:?}: {}", self.shown);
        }
    }

    /// Waits for more output; returns false if there is no more.
    async fn more(&mut self, wanted: &str) -> bool {
        let mut bytes = vec![0; 4096];
        let read = guarded(wanted, self.screen.read(&mut bytes)).await.unwrap();
        self.shown += &String::from_utf8_lossy(&bytes[..read]).replace('\r', "");
        read > 0
    }

    /// Waits for a prompt, then types this.
    async fn answer(&mut self, prompt: &str, keys: &str) {
        self.until(prompt).await;
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).await.unwrap();
    }

    /// Waits for the end. Returns the exit code and everything that was shown.
    async fn end(mut self) -> (i32, String) {
        while self.more("the end").await {}
        drop(self.keys.take());
        let status = guarded("the end", self.child.wait()).await.unwrap();
        (status.code().unwrap(), self.shown)
    }
}

/// A house with three vdirsyncer calendars, one of them empty.
async fn house() -> House {
    let options: Options = quick_sign_in();
    let house = House::with(options).await;
    for name in ["work", "private", "empty"] {
        std::fs::create_dir_all(house.path(".calendars").join(name)).unwrap();
    }
    std::fs::write(house.path(".calendars/work/1.ics"), EVENT).unwrap();
    std::fs::write(house.path(".calendars/work/2.ics"), EVENT).unwrap();
    std::fs::write(house.path(".calendars/private/1.ics"), EVENT).unwrap();
    std::fs::create_dir(house.path(".vdirsyncer")).unwrap();
    let config = "[pair p]\na = \"local\"\nb = \"remote\"\ncollections = [\"from b\"]\n\n\
        [storage local]\ntype = \"filesystem\"\npath = \"~/.calendars\"\nfileext = \".ics\"\n\n\
        [storage remote]\ntype = \"caldav\"\nurl = \"https://dav.example/\"\nusername = \"me@contoso.com\"\n";
    std::fs::write(house.path(".vdirsyncer/config"), config).unwrap();
    house
}

fn config(house: &House) -> String {
    std::fs::read_to_string(house.path("config.toml")).unwrap()
}

/// The names in a folder, including hidden files.
fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn three_answers_and_each_later_run_continues_where_the_last_one_ended() {
    let house = house().await;
    let mut session = Session::start(&house, 80, &["--method", "device-code"]);
    session.answer("Tenant: ", "contoso\n").await;
    session.answer("Tenant: ", &format!("  {TENANT} \n")).await;
    session.answer("Application (client) ID: ", "\n").await;
    session.answer("Application (client) ID: ", &format!("{CLIENT_ID}\n")).await;
    session.answer("Calendar [2 3]: ", "7\n").await;
    session.answer("Calendar [2 3]: ", "~/none\n").await;
    session.answer("Calendar [2 3]: ", "\n").await;
    session.answer("Sign in to `work` now? [Y/n] ", "perhaps\n").await;
    session.answer("Sign in to `work` now? [Y/n] ", "n\n").await;
    let (code, shown) = session.end().await;
    assert_eq!(code, 0, "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    insta::assert_snapshot!(shown.replace(house.path("").to_str().unwrap(), "/home/me/"));

    let mode = std::fs::metadata(house.path("config.toml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (code, said, error) = house.ask(&["check"]).await;
    assert_eq!((code, error.as_str()), (0, ""), "{said}");
    assert!(config(&house).contains("identity = [\"me@contoso.com\"]\n"), "{}", config(&house));

    // The emulator is where this tenant is.
    let address = &house.address;
    let endpoints =
        format!("endpoints = {{ graph = \"http://{address}/v1.0\", login = \"http://{address}\" }}\nauth = ");
    house.write("config.toml", config(&house).replacen("auth = ", &endpoints, 1));
    let written = config(&house);
    let mut session = Session::start(&house, 80, &[]);
    session.until("config.toml already exists, and stays as it is.").await;
    session.answer("Sign in to `work` now? [Y/n] ", "\n").await;
    session.until("Signed in to `work` as ").await;
    let (code, shown) = session.end().await;
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("Tenant: ") && shown.contains("signed in as "), "{shown}");

    // When everything is done, nothing is asked, and the same flags as before are accepted.
    let flags =
        ["--method", "device-code", "--tenant", TENANT, "--client-id", CLIENT_ID, "--calendar", "~/.calendars/work"];
    let (code, shown) = Session::start(&house, 80, &flags).end().await;
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("[Y/n]") && shown.contains("signed in as "), "{shown}");
    assert_eq!(config(&house), written);
}

#[tokio::test]
async fn an_end_in_the_middle_leaves_nothing_behind() {
    let house = house().await;
    let before = names(&house.path(""));
    for (keys, code) in [(END, 1), (CTRL_C, 130)] {
        let mut session = Session::start(&house, 80, &[]);
        session.answer("Tenant: ", &format!("{TENANT}\n")).await;
        session.answer("Application (client) ID: ", &format!("{CLIENT_ID}\n")).await;
        session.answer("Calendar [2 3]: ", keys).await;
        let (ended, shown) = session.end().await;
        assert_eq!(ended, code, "{shown}");
        let is_reported = shown.contains("error: the input ended before the last answer; nothing was written");
        assert_eq!(is_reported, keys == END, "{shown}");
        assert_eq!(names(&house.path("")), before);
    }
    // The end of the input declines an offer, and what was done stays.
    let flags = ["--tenant", TENANT, "--client-id", CLIENT_ID, "--no-calendar"];
    let mut session = Session::start(&house, 80, &flags);
    session.answer("Sign in to `work` now? [Y/n] ", END).await;
    let (code, shown) = session.end().await;
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("nobody is signed in") && house.path("config.toml").exists(), "{shown}");
}

#[tokio::test]
async fn a_narrow_terminal_gets_narrow_lines_and_a_path_or_an_address_is_an_answer_too() {
    let house = house().await;
    let flags = ["--tenant", TENANT, "--client-id", CLIENT_ID, "--no-login"];
    let mut session = Session::start(&house, 40, &flags);
    session.answer("Calendar [2 3]: ", "http://cal.example/x.ics\n").await;
    session.answer("Calendar [2 3]: ", "https://cal.example/hunter2.ics\n").await;
    session.answer("E-mail address: ", "me\n").await;
    session.answer("E-mail address: ", "me@contoso.com\n").await;
    let (code, shown) = session.end().await;
    assert_eq!(code, 0, "{shown}");
    // Typed text and the summary are not wrapped.
    let asked = shown.split("Wrote ").next().unwrap().lines().filter(|line| !line.contains(": http"));
    assert!(asked.clone().all(|line| line.chars().count() <= 40), "{shown}");
    let config = config(&house);
    assert!(config.contains("sources = [{ url = \"https://cal.example/hunter2.ics\" }]"), "{config}");
    assert!(config.contains("\nidentity = [\"me@contoso.com\"]\n"), "{config}");
    let (code, said, _) = house.ask(&["check"]).await;
    assert!(code == 0 && said.contains("subscription at cal.example"), "{said}");
}

#[tokio::test]
async fn without_a_terminal_only_flags_count() {
    let house = house().await;
    let (code, _, error) = house.ask(&["init"]).await;
    assert_eq!(code, 2);
    assert_eq!(
        error,
        "error: there is no terminal for questions, so give `--tenant` and `--client-id`\n\
         hint: presenced init --tenant contoso.onmicrosoft.com --client-id ID [--calendar PATH]\n"
    );
    for (flags, said) in [
        (
            &["--tenant", "contoso"][..],
            "error: `--tenant`: `tenant` is neither a domain name nor a directory id\nhint: ",
        ),
        (&["--client-id", "x"], "error: `--client-id`: `client_id` is not an id"),
        (&["--account", "my work"], "error: `--account`: `my work` is not a valid name for an account\nhint: "),
        (&["--identity", "me"], "error: `--identity`: `identity` holds e-mail addresses"),
        (&["--calendar", "~you/x"], "error: `--calendar`: `~you/x` names another user's home folder"),
        (&["--calendar", "https://cal.example/hunter2"], "error: `--calendar`: an address of a calendar is a secret"),
        (&["--calendar", "x", "--no-calendar"], "cannot be used with '--no-calendar'"),
        (&["--yes"], "error: `--yes` asks nothing, so give `--tenant` and `--client-id`"),
    ] {
        let (code, out, error) = house.ask(&[&["init"], flags].concat()).await;
        assert_eq!((code, out.as_str()), (2, ""), "{flags:?}");
        assert!(error.contains(said) && !error.contains("hunter2"), "{flags:?}: {error}");
    }
    assert!(!house.path("config.toml").exists());

    let missing = house.path("later");
    let flags =
        ["init", "--tenant", TENANT, "--client-id", CLIENT_ID, "--account", "contoso", "--identity", "me@contoso.com"];
    let calendars = ["--calendar", "~/.calendars/work", "--calendar", missing.to_str().unwrap()];
    let (code, out, error) = house.ask(&[&flags[..], &calendars].concat()).await;
    assert_eq!(code, 0, "{error}");
    assert_eq!(
        error,
        format!(
            "note: the calendar {} does not exist. Until it can be read, the calendar is unknown.\n",
            missing.display()
        )
    );
    assert!(out.contains("nobody is signed in") && out.contains("`presenced login contoso`"), "{out}");
    let config = config(&house);
    let sources = format!(
        "sources = [\n    {{ path = \"~/.calendars/work\" }},\n    {{ path = \"{}\" }},\n]\n",
        missing.display()
    );
    for part in ["[accounts.contoso]", &sources, "\nidentity = [\"me@contoso.com\"]", "method = \"browser\""] {
        assert!(config.contains(part), "no {part} in {config}");
    }
    assert_eq!(house.ask(&["check"]).await.0, 0);
}

#[tokio::test]
async fn a_configuration_that_is_there_is_never_changed() {
    let house = house().await;
    let flags = ["init", "--tenant", TENANT, "--client-id", CLIENT_ID];
    assert_eq!(house.ask(&[&flags[..], &["--no-calendar"]].concat()).await.0, 0);
    let written = config(&house);
    for (more, said) in [
        (&["--tenant", "fabrikam.com"][..], "`--tenant fabrikam.com` (but contoso.onmicrosoft.com)"),
        (&["--account", "other"], "`--account other`"),
        (&["--method", "device-code"], "`--method` (but browser)"),
        (
            &["--calendar", "~/.calendars/work", "--identity", "a@b"],
            "`--calendar ~/.calendars/work` and `--identity a@b`",
        ),
    ] {
        let (code, out, error) = house.ask(&[&["init"], more].concat()).await;
        assert_eq!((code, out.as_str()), (2, ""), "{more:?}");
        let file = house.path("config.toml");
        let expected =
            format!("error: {} already exists, and does not have {said}\nhint: change that file", file.display());
        assert!(error.starts_with(&expected), "{error}");
    }
    assert_eq!(house.ask(&flags).await.0, 0);
    assert_eq!(config(&house), written);

    house.write("config.toml", "[accounts.work]\ntenat = \"x\"\n");
    let (code, out, error) = house.ask(&flags).await;
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("did you mean `tenant`?"), "{error}");
    assert_eq!(config(&house), "[accounts.work]\ntenat = \"x\"\n");
    // A dangling link must not be replaced either.
    std::fs::remove_file(house.path("config.toml")).unwrap();
    std::os::unix::fs::symlink("nothing", house.path("config.toml")).unwrap();
    assert_eq!(house.ask(&flags).await.0, 2);
    assert!(!house.path("nothing").exists());
}

#[tokio::test]
async fn nothing_is_asked_if_nothing_can_be_written() {
    let house = house().await;
    house.write("file", "");
    let path = house.path("file/config.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_presenced"));
    command.arg("init").env_clear().env("HOME", house.path("")).env("PRESENCED_CONFIG", &path);
    let mut session = Session::of(&command, 80);
    session.until("error: the configuration ").await;
    let (code, shown) = session.end().await;
    assert_eq!(code, 1, "{shown}");
    assert!(
        shown.contains(&*path.to_string_lossy())
            && shown.contains("is not a folder")
            && shown.contains("hint: ")
            && !shown.contains("Tenant: "),
        "{shown}"
    );
}

#[tokio::test]
async fn the_service_is_offered_after_a_sign_in_and_yes_accepts_everything() {
    let house = house().await;
    let folder = house.path("bin");
    std::fs::create_dir(&folder).unwrap();
    // A service manager that only knows whether the service is enabled.
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> '{}'\nif [ -e '{}' ]; then echo UnitFileState=enabled; fi\n",
        house.path("asked").display(),
        house.path("enabled").display(),
    );
    std::fs::write(folder.join("systemctl"), script).unwrap();
    std::fs::set_permissions(folder.join("systemctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var_os("PATH").unwrap().into_string().unwrap());
    let with_manager = |command: &mut Command| {
        command.env("PATH", &path);
    };
    let asked = || std::fs::read_to_string(house.path("asked")).unwrap_or_default();

    let flags = ["--tenant", TENANT, "--client-id", CLIENT_ID, "--method", "device-code", "--yes", "--no-login"];
    let (code, shown) = Session::start_with(&house, 80, &flags, with_manager).end().await;
    assert_eq!(code, 0, "{shown}");
    // Without a sign-in, the service is neither offered nor installed. All calendars with events are used.
    assert!(!shown.contains("[Y/n]") && shown.contains("`presenced service install`"), "{shown}");
    assert!(!asked().contains(" enable "), "{}", asked());
    let config = config(&house);
    let sources = "sources = [\n    { path = \"~/.calendars/private\" },\n    { path = \"~/.calendars/work\" },\n]\n";
    assert!(config.contains(sources), "{config}");

    let address = &house.address;
    let endpoints =
        format!("endpoints = {{ graph = \"http://{address}/v1.0\", login = \"http://{address}\" }}\nauth = ");
    house.write("config.toml", config.replacen("auth = ", &endpoints, 1));
    let mut session = Session::start_with(&house, 80, &[], with_manager);
    session.answer("Sign in to `work` now? [Y/n] ", "y\n").await;
    session.answer("as a systemd user service? [Y/n] ", "no\n").await;
    let (code, shown) = session.end().await;
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("signed in as ") && shown.contains("not installed"), "{shown}");
    assert!(!asked().contains(" enable "), "{}", asked());

    let before = asked().lines().count() + 1;
    let mut session = Session::start_with(&house, 80, &[], with_manager);
    session.answer("as a systemd user service? [Y/n] ", "\n").await;
    let (code, shown) = session.end().await;
    assert_ne!(code, 0, "{shown}");
    // `service install` reports its own result; the earlier sign-in stays.
    assert!(shown.contains("error: ") && !shown.contains("Sign in to"), "{shown}");
    assert!(asked().lines().count() > before, "{}", asked());
    house.write("enabled", "");
    let (code, shown) = Session::start_with(&house, 80, &[], with_manager).end().await;
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("[Y/n]") && shown.contains("Everything is set up:"), "{shown}");
}

#[tokio::test]
async fn help_matches_its_snapshot() {
    let house = House::new().await;
    let (code, help, error) = house.ask(&["init", "--help"]).await;
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    insta::assert_snapshot!(help);
}
