//! `presenced login` in a browser, as a person lives it: the program opens a page by `xdg-open`, which is a stand-in here that
//! hands the address to the test; the test is the browser; the emulator is Entra.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use presenced::status::report::State;
use presenced_emulator::{Call, Consent, Options, Then, User};
use reqwest::{Method, StatusCode, redirect};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdout};
use url::Url;

use crate::stage::canned::{Server, answer};
use crate::stage::faults::{on, once, respond};
use crate::stage::house::{House, USER, guarded, personal};
use crate::stage::http_client::http_client;
use crate::stage::reports::work;

const SOMEBODY_ELSE: &str = "11111111-2222-3333-4444-555555555555";

/// A house whose account signs in in a browser.
async fn house(consent: Consent) -> House {
    let stranger = User {
        id: SOMEBODY_ELSE.to_owned(),
        principal_name: "you@contoso.onmicrosoft.com".to_owned(),
        ..User::default()
    };
    let users = vec![User::default(), stranger];
    let house = House::with(Options { consent, users, ..Options::default() }).await;
    house.write("config.toml", account(&house));
    house
}

fn account(house: &House) -> String {
    personal(house).replace("device-code", "browser")
}

/// A `presenced login` that waits for its browser.
struct Login {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: String,
    /// The page that the desktop was asked to open.
    page: Url,
    state: String,
    port: u16,
    /// While it is open, `xdg-open` does not end.
    _browser: pipe::Sender,
}

impl Login {
    async fn start(house: &House) -> Self {
        let folder = house.path("bin");
        std::fs::create_dir_all(&folder).unwrap();
        let (opened, closed) = (house.path("opened"), house.path("closed"));
        let made = std::process::Command::new("mkfifo").args([&opened, &closed]).status().unwrap();
        assert!(made.success());
        // It makes a noise, tells its process group, and runs until its browser is closed.
        let script = format!(
            "#!/bin/sh\nexec 3< '{}'\necho noise; echo noise >&2\nread -r _ _ _ _ group _ < /proc/$$/stat\n\
             echo \"$$ $group $1\" > '{}'\nread -r _ <&3\n",
            closed.display(),
            opened.display()
        );
        std::fs::write(folder.join("xdg-open"), script).unwrap();
        std::fs::set_permissions(folder.join("xdg-open"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let browser = pipe::OpenOptions::new().read_write(true).open_sender(&closed).unwrap();
        let receiver = pipe::OpenOptions::new().open_receiver(&opened).unwrap();

        let path = format!("{}:{}", folder.display(), std::env::var_os("PATH").unwrap().into_string().unwrap());
        let mut command = house.command(&["login"]);
        command.env("PATH", path).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut opened = BufReader::new(receiver).lines();
        let told = guarded("xdg-open", opened.next_line()).await.unwrap().unwrap();
        let [process, group, page] = told.split(' ').collect::<Vec<_>>()[..] else { panic!("{told}") };
        assert_eq!(process, group, "Ctrl-C on the terminal is not for the browser");
        let page: Url = page.parse().unwrap();
        let query = |name| page.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        let redirect: Url = query("redirect_uri").parse().unwrap();
        assert_eq!(redirect.host_str(), Some("localhost"));
        let (state, port) = (query("state"), redirect.port().unwrap());
        Self { child, lines, said: String::new(), page, state, port, _browser: browser }
    }

    /// The browser asks for `url`; it does not go on by itself.
    async fn request(&self, method: Method, url: &Url) -> reqwest::Response {
        let client = http_client().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        let mut url = url.clone();
        // Wherever `localhost` leads on this machine.
        if url.host_str() == Some("localhost") {
            url.set_host(Some("127.0.0.1")).unwrap();
        }
        guarded("the page", client.request(method, url).send()).await.unwrap()
    }

    async fn get(&self, url: &Url) -> reqwest::Response {
        self.request(Method::GET, url).await
    }

    /// The address that this answer sends the browser to.
    fn sent_to(response: &reqwest::Response) -> Url {
        assert_eq!(response.status(), StatusCode::FOUND);
        response.headers()["location"].to_str().unwrap().parse().unwrap()
    }

    /// The address on this machine with this query.
    fn redirect(&self, query: &str) -> Url {
        format!("http://localhost:{}/?{query}", self.port).parse().unwrap()
    }

    /// How it ended: exit code, and all that it printed.
    async fn ended(mut self) -> (i32, String, String) {
        guarded("the end of the sign-in", async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said += &line;
                self.said.push('\n');
            }
            let mut error = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut error).await.unwrap();
            (self.child.wait().await.unwrap().code().unwrap(), self.said, error)
        })
        .await
    }
}

fn stored(house: &House) -> Option<String> {
    std::fs::read_to_string(house.path(".local/state/presenced/tokens/work.json")).ok()
}

#[tokio::test]
async fn a_browser_sign_in_lets_the_daemon_continue() {
    let mut house = house(Consent::ByItself).await;
    let daemon = house.start().await;
    daemon.report("sign-in needed", |report| work(report).state == State::SignInNeeded).await;
    let login = Login::start(&house).await;
    let (page, port) = (login.page.clone(), login.port);
    let back = Login::sent_to(&login.get(&page).await);
    let shown = login.get(&back).await;
    assert_eq!(shown.status(), StatusCode::OK);
    let header = |name: &str| shown.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        [header("cache-control"), header("referrer-policy"), header("connection")],
        ["no-store", "no-referrer", "close"]
    );
    let shown = shown.text().await.unwrap();
    assert!(shown.contains("Signed in"), "{shown}");
    let (code, said, error) = login.ended().await;
    assert_eq!((code, error.as_str()), (0, ""), "{said}");
    assert!(said.contains(page.as_str()) && said.contains(&format!("ssh -L {port}:localhost:{port} ")), "{said}");
    let end = said.split_once("(Ctrl-C cancels)\n").unwrap().1;
    assert_eq!(
        end,
        format!(
            "Signed in to `work` as me@contoso.onmicrosoft.com.\n  user         {USER}\n  \
             tenant       84841066-274d-4ec0-a5c1-276be684bdd3 (contoso.onmicrosoft.com)\n  \
             permissions  Presence.ReadWrite\n"
        )
    );
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "nobody waits any more");
    house.seen("Available/Available").await;
    let requests = house.emulator.requests();
    let tokens: Vec<_> =
        requests.iter().filter(|record| record.call == Call::Token && record.status == Some(200)).collect();
    assert!(tokens[0].body.starts_with("grant_type=authorization_code&"), "{tokens:?}");
    assert!(tokens[1].body.starts_with("grant_type=refresh_token&"), "{tokens:?}");
}

#[tokio::test]
async fn nothing_that_comes_to_the_port_ends_the_wait_but_its_own_answer() {
    let house = house(Consent::ByItself).await;
    let login = Login::start(&house).await;
    let back = Login::sent_to(&login.get(&login.page).await);
    let favicon = login.redirect("").join("/favicon.ico").unwrap();
    for (method, url, status) in [
        (Method::GET, favicon, 404),
        (Method::GET, login.redirect("code=stolen&state=guessed"), 400),
        (Method::GET, login.redirect("code=stolen"), 400),
        (Method::GET, login.redirect("error=access_denied"), 400),
        (Method::HEAD, back.clone(), 405),
        (Method::POST, back.clone(), 405),
    ] {
        assert_eq!(login.request(method, &url).await.status(), status, "{url}");
    }
    // One who scans, one who waits, one who talks nonsense.
    drop(TcpStream::connect(("127.0.0.1", login.port)).await.unwrap());
    let _silent = TcpStream::connect(("127.0.0.1", login.port)).await.unwrap();
    let mut nonsense = TcpStream::connect(("127.0.0.1", login.port)).await.unwrap();
    nonsense.write_all(&[0, 1, 2, b'\r', b'\n', b'\r', b'\n']).await.unwrap();
    // A second tab gets a code, too; the first one that comes back counts.
    let other = Login::sent_to(&login.get(&login.page).await);
    assert_ne!(other, back);
    assert_eq!(login.get(&other).await.status(), StatusCode::OK);
    let (code, said, error) = login.ended().await;
    assert_eq!(code, 0, "{said}{error}");
}

/// What the page says and how the program ends, when it ends like this.
async fn failed(login: Login, back: &Url, text: &str, expected: i32) -> String {
    let shown = login.get(back).await.text().await.unwrap();
    assert!(shown.contains("Not signed in") && shown.contains(text), "{shown}");
    let (code, said, error) = login.ended().await;
    assert_eq!(code, expected, "{said}{error}");
    assert!(error.contains(text), "{error}");
    error
}

#[tokio::test]
async fn a_declined_or_failed_sign_in_leaves_the_old_one_alone() {
    let house = house(Consent::ByHand).await;
    let decide = async |login: &Login, decision: &str| {
        let page = login.get(&login.page).await.text().await.unwrap();
        let id = house.emulator.state().consents.pop().unwrap();
        assert!(page.contains(&format!("action=\"/_emulator/consent/{id}/approve\"")), "{page}");
        let form = login.page.join(&format!("/_emulator/consent/{id}/{decision}")).unwrap();
        Login::sent_to(&login.request(Method::POST, &form).await)
    };
    let start = async || {
        for pipe in ["opened", "closed"] {
            let _ = std::fs::remove_file(house.path(pipe));
        }
        Login::start(&house).await
    };
    let login = start().await;
    let back = decide(&login, "approve").await;
    login.get(&back).await;
    assert_eq!(login.ended().await.0, 0);
    let before = stored(&house);
    assert!(before.is_some());

    let login = start().await;
    let back = decide(&login, "deny").await;
    failed(login, &back, "was declined", 4).await;

    house.inject(once(on(Call::Token, respond(503, &[]))));
    let login = start().await;
    let back = decide(&login, "approve").await;
    failed(login, &back, "it is busy (AADSTS90033, 503", 1).await;
    house.inject(once(on(Call::Token, Then::Reset)));
    let login = start().await;
    let back = decide(&login, "approve").await;
    failed(login, &back, "broke off without an answer", 1).await;

    let login = start().await;
    let made_up = login.redirect(&format!("state={}&code=made-up", login.state));
    failed(login, &made_up, "the sign-in service refuses", 4).await;
    let login = start().await;
    let script = "error=%3Cscript%3E&error_description=%3Cscript%3EAADSTS65004";
    let made_up = login.redirect(&format!("state={}&{script}", login.state));
    let error = failed(login, &made_up, "the sign-in service refuses", 1).await;
    assert!(!error.contains("65004"), "{error}");
    assert_eq!(stored(&house), before);

    house.write("config.toml", account(&house) + &format!("user = \"{USER}\"\n"));
    let login = start().await;
    let back = decide(&login, &format!("approve?user={SOMEBODY_ELSE}")).await;
    let error = failed(login, &back, "somebody else signed in", 1).await;
    assert!(error.contains("hint: sign in as that user, or remove `user` from the account"), "{error}");
    assert_eq!(stored(&house), before);

    let login = start().await;
    let page = login.page.clone();
    kill_process(Pid::from_raw(login.child.id().unwrap().try_into().unwrap()).unwrap(), Signal::INT).unwrap();
    let (code, _, error) = login.ended().await;
    assert_eq!((code, error.as_str()), (4, "error: the sign-in was cancelled; nothing has changed\n"), "{page}");
    assert_eq!(stored(&house), before);
}

#[tokio::test]
async fn a_sign_in_without_the_permission_is_reported_with_the_fix() {
    let house = house(Consent::ByItself).await;
    let token =
        r#"{"access_token": "opaque", "refresh_token": "r", "expires_in": 3600, "scope": "openid profile User.Read"}"#;
    let server = Server::start([answer(200, "Content-Type: application/json\r\n", token)]).await;
    let login = format!("login = \"http://{}\"", house.address);
    let elsewhere = account(&house).replace(&login, &format!("login = \"{}\"", server.url));
    house.write("config.toml", elsewhere);
    let login = Login::start(&house).await;
    let back = login.redirect(&format!("state={}&code=c0de", login.state));
    assert!(login.get(&back).await.text().await.unwrap().contains("Signed in"));
    let (code, said, error) = login.ended().await;
    assert_eq!(code, 1, "{said}{error}");
    assert!(said.ends_with("permissions  User.Read\n"), "{said}");
    assert!(error.contains("the sign-in to `work` is stored, but it is not allowed to set the presence"), "{error}");
    assert!(error.contains("hint: the sign-in lacks `Presence.ReadWrite`: add it"), "{error}");
    assert!(error.contains("presenced login work"), "{error}");
}

#[tokio::test]
async fn without_xdg_open_the_address_on_the_terminal_does() {
    let house = house(Consent::ByItself).await;
    let empty = house.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut command = house.command(&["login"]);
    command.env("PATH", &empty).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = guarded("the address", async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if let Some(address) = line.strip_prefix("    http") {
                return format!("http{address}");
            }
        }
    })
    .await;
    let client = http_client().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
    let back = Login::sent_to(&client.get(address).send().await.unwrap());
    let back = back.as_str().replace("localhost", "127.0.0.1");
    client.get(back).send().await.unwrap();
    guarded("the rest", async { while lines.next_line().await.unwrap().is_some() {} }).await;
    assert!(guarded("the end", child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_code_on_another_device_is_waited_for_until_ctrl_c() {
    let mut options = Options::default();
    options.device.approval = presenced_emulator::Approval::ByHand;
    let house = House::with(options).await;
    house.write("config.toml", personal(&house));
    let mut command = house.command(&["login"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    guarded("the code", async {
        while !lines.next_line().await.unwrap().unwrap().ends_with("Waiting … (Ctrl-C cancels)") {}
    })
    .await;
    kill_process(Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap(), Signal::INT).unwrap();
    let mut error = String::new();
    guarded("the error", child.stderr.take().unwrap().read_to_string(&mut error)).await.unwrap();
    assert_eq!(guarded("the end", child.wait()).await.unwrap().code(), Some(4));
    assert_eq!(error, "error: the sign-in was cancelled; nothing has changed\n");
    assert_eq!(stored(&house), None);
}
