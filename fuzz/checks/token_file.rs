//! What must hold for every token file: it is a sign-in, or the failure names the file and repeats nothing of it. The fuzz target
//! tries to break it; the normal tests replay the corpus.

use std::path::Path;

use presenced::auth::{sign_in_file, stored};
use presenced::config::{Account, Config, Environment};
use presenced::failure::FailureKind;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const CONFIG: &str = "[accounts.work]\ntenant = \"contoso.onmicrosoft.com\"\n\
                      client_id = \"22553876-f5ab-4529-bffb-cfe50aa89f87\"\nauth = { method = \"device-code\" }\n\
                      [tokens]\nstore = \"file\"\n";

/// More than any sign-in has.
const MAX_BYTES: usize = 128 * 1024;

thread_local! {
    static DESK: Desk = Desk::new();
}

/// What every run uses again.
struct Desk {
    _folder: TempDir,
    environment: Environment,
    account: Account,
    runtime: Runtime,
}

impl Desk {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let environment = Environment::bare(folder.path());
        let loaded = Config::parse(CONFIG, Path::new("config.toml"), &environment).expect("a configuration");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { _folder: folder, account: loaded.config.accounts["work"].clone(), environment, runtime }
    }
}

/// Reads these bytes from the disk.
pub(crate) fn sign_in(bytes: &[u8]) {
    DESK.with(|desk| {
        let path = sign_in_file("work", &desk.environment);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, bytes).expect("a token file");
        let value = serde_json::from_slice::<serde_json::Value>(bytes).ok();
        match desk.runtime.block_on(stored("work", &desk.account, &desk.environment)) {
            Ok(signed_in) => {
                let value = value.expect("a sign-in is JSON");
                // serde also takes the values alone, in the order of the keys.
                let get = |(index, key): (usize, &str)| value.get(key).or_else(|| value.get(index));
                let text = |place| get(place).and_then(|value| value.as_str()).map(str::to_owned);
                assert!(bytes.len() <= MAX_BYTES && text((0, "refresh_token")).is_some());
                let shown = (signed_in.user, signed_in.tenant, signed_in.username);
                assert_eq!(shown, (text((1, "user")), text((2, "tenant")), text((3, "username"))));
            }
            Err(failure) if bytes.len() > MAX_BYTES => {
                let text = format!("{} cannot be read: it is larger than 128 KiB", path.display());
                assert_eq!((failure.kind, failure.text), (FailureKind::Refused, text));
            }
            Err(failure) => {
                let text = format!("the sign-in stored in {} is damaged", path.display());
                assert_eq!((failure.kind, failure.text), (FailureKind::SignInNeeded, text));
            }
        }
    });
}
