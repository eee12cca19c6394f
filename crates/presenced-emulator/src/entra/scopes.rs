//! Scopes: which ones a request gets, and what they permit.
//!
//! They are kept and answered as the client wrote them, `https://graph.microsoft.com/Presence.Read` or `Presence.Read`, because
//! clients look for them in that form in their caches. `.default` stands for every permission of the application; it is also in the
//! answer itself (reported).

use super::error::EntraError;
use crate::options::App;

/// The scopes that concern the sign-in itself and are not permissions.
pub(super) const OPENID_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

const DEFAULT: &str = ".default";

fn is_openid(scope: &str) -> bool {
    OPENID_SCOPES.contains(&scope)
}

/// A scope without its resource.
fn name(scope: &str) -> &str {
    scope.rsplit('/').next().unwrap_or(scope)
}

/// The scopes that are granted for `asked`.
pub(super) fn granted(app: &App, asked: &str) -> Result<Vec<String>, EntraError> {
    let mut granted: Vec<String> = Vec::new();
    for scope in asked.split_ascii_whitespace() {
        let name = name(scope);
        if name == DEFAULT {
            let resource = &scope[..scope.len() - name.len()];
            granted.extend(app.scopes.iter().map(|known| format!("{resource}{known}")));
        } else if !is_openid(scope) && !app.scopes.iter().any(|known| known == name) {
            return Err(EntraError::UnknownScope(scope.to_owned()));
        }
        granted.push(scope.to_owned());
    }
    Ok(granted)
}

/// The permissions among the scopes, without the resource.
pub(super) fn permissions(scopes: &[String]) -> impl Iterator<Item = &str> {
    let permissions = scopes.iter().filter(|scope| !is_openid(scope)).map(|scope| name(scope));
    permissions.filter(|name| *name != DEFAULT)
}

/// The scopes in an answer. `offline_access` is not among them: the refresh token shows it.
pub(super) fn answered(scopes: &[String]) -> String {
    let shown: Vec<&str> = scopes.iter().map(String::as_str).filter(|scope| *scope != "offline_access").collect();
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_stay_as_they_were_asked_for() {
        let app = App { scopes: vec!["Presence.Read".to_owned(), "Presence.ReadWrite".to_owned()], ..App::default() };
        for (asked, answer, permits) in [
            ("openid Presence.Read", "openid Presence.Read", "Presence.Read"),
            (
                "https://graph.microsoft.com/Presence.Read offline_access profile",
                "https://graph.microsoft.com/Presence.Read profile",
                "Presence.Read",
            ),
            (
                "https://g/.default openid",
                "https://g/Presence.Read https://g/Presence.ReadWrite https://g/.default openid",
                "Presence.Read Presence.ReadWrite",
            ),
            (".default", "Presence.Read Presence.ReadWrite .default", "Presence.Read Presence.ReadWrite"),
        ] {
            let scopes = granted(&app, asked).unwrap();
            assert_eq!(answered(&scopes), answer);
            assert_eq!(permissions(&scopes).collect::<Vec<_>>().join(" "), permits);
        }
        assert_eq!(granted(&app, "openid Mail.Read"), Err(EntraError::UnknownScope("Mail.Read".to_owned())));
    }
}
