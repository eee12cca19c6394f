//! The first output of `presenced emulator`: where it serves, an account to paste, and where to look.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::local_request::is_loopback;
use presenced_emulator::{App, Host, Options, Tenants};

/// Where it serves.
#[derive(Debug)]
pub(super) struct Addresses<'a> {
    pub(super) http: SocketAddr,
    /// With TLS, also the path of the CA's certificate.
    pub(super) https: Option<(SocketAddr, PathBuf)>,
    /// The names given by `--host`.
    pub(super) hosts: &'a [Host],
}

impl Addresses<'_> {
    /// What follows the first line: https, the CA, the names, and who can reach it.
    fn more(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` never fails.
        if let Some((address, ca)) = &self.https {
            let _ = write!(text, "\nWith TLS              https://localhost:{}", address.port());
            let _ = write!(text, "\nThe CA to trust       {}", ca.display());
        }
        for host in self.hosts {
            let _ = write!(text, "\nBy another name       http://{host}:{}", self.http.port());
            if let Some((address, _)) = &self.https {
                let _ = write!(text, " and https://{host}:{}", address.port());
            }
        }
        let https = self.https.as_ref().map(|(address, _)| *address);
        if [Some(self.http), https].into_iter().flatten().any(|address| !is_loopback(address.ip())) {
            text.push_str(
                "\nnote: everybody who can reach this machine's address can sign in and use the control endpoints.",
            );
        }
        text
    }
}

/// The first output: the address, an account to paste, and where to look.
pub(super) fn introduction(addresses: &Addresses<'_>, speed: f64, options: &Options) -> String {
    let address = addresses.http;
    let pace = if speed.total_cmp(&1.0).is_eq() { String::new() } else { format!(" at {speed} times real time") };
    let heading = format!("Microsoft Graph, emulated on http://{address}{pace}. Ctrl-C stops it.{}", addresses.more());
    let (Some(app), Some(user)) = (options.apps.first(), options.users.first()) else { return heading };
    let account = account("emulator", &format!("http://{address}"), app, options);
    let users_file = if options.users.len() > 1 {
        format!("\nThe users file        curl http://{address}/_emulator/users -o agents")
    } else {
        String::new()
    };
    format!(
        "{heading}

To use it with presenced, add this to the configuration:

{account}
What others see now   http://{address}/ in a browser, or
                      curl http://{address}/_emulator/state
What others saw       curl http://{address}/_emulator/users/{}/timeline
Requests received     curl http://{address}/_emulator/requests{users_file}
How to inject faults  curl http://{address}/
",
        user.id
    )
}

/// What to paste into a configuration file for an account of this name, which uses https if the emulator has it.
pub(super) fn configuration(name: &str, addresses: &Addresses<'_>, app: &App, options: &Options) -> String {
    let Some((address, ca)) = &addresses.https else {
        return account(name, &format!("http://{}", addresses.http), app, options);
    };
    let host = addresses.hosts.first().map_or("localhost".to_owned(), Host::to_string);
    let base = format!("https://{host}:{}", address.port());
    format!(
        "# presenced trusts the CAs of this machine. Add the emulator's to them (`update-ca-certificates`), or start presenced with\n\
         # SSL_CERT_FILE={}\n{}",
        ca.display(),
        account(name, &base, app, options)
    )
}

/// An account for a configuration file. It signs in to the emulator at `base`.
fn account(name: &str, base: &str, app: &App, options: &Options) -> String {
    let tenant = match &options.tenants {
        Tenants::Any => "contoso.onmicrosoft.com",
        Tenants::Only(names) => names.first().map_or("contoso.onmicrosoft.com", String::as_str),
    };
    let auth = match &app.secret {
        Some(secret) => format!(
            "{{ method = \"client-secret\", secret = {{ command = [\"echo\", {}] }} }}",
            toml::Value::from(secret.as_str())
        ),
        None => "{ method = \"device-code\" }".to_owned(),
    };
    // Whoever signs in is one user; an application may hold many.
    let whose = match (&app.secret, &options.users[..]) {
        (Some(_), [_, _, ..]) => "users     = { file = \"agents\" }\n".to_owned(),
        (Some(_), [user]) => format!("user      = \"{}\"\n", user.id),
        (None, _) | (Some(_), []) => String::new(),
    };
    format!(
        "[accounts.{name}]\n\
         tenant    = {}\n\
         client_id = \"{}\"\n\
         {whose}\
         auth      = {auth}\n\
         endpoints = {{ graph = \"{base}/v1.0\", login = \"{base}\" }}\n",
        toml::Value::from(tenant),
        app.client_id
    )
}
