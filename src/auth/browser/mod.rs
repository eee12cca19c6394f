//! A person's sign-in in a browser: the authorization code grant with PKCE (RFC 6749, 4.1; RFC 7636) over a redirect to
//! this machine, like other native applications (RFC 8252). Leaves to others: opening the browser (`cli/`), and storing the
//! sign-in (`login`).
//!
//! ```text
//!  pkce      the secrets of one attempt
//!  redirect  what a request to the redirect's address means
//!  loopback  the server that waits for it
//!  page      what the browser shows at the end
//! ```

mod loopback;
mod page;
mod pkce;
mod redirect;

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::config;
use crate::failure::{Failure, FailureKind};

use super::refresh::scope;
use super::token_service::{TokenResponse, TokenService};
use loopback::{Loopback, Visitor};
use page::Page;

/// How long a person may take. The code is valid for about as long.
const SIGN_IN_TIMEOUT: Duration = Duration::from_mins(10);

/// What a person must do to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserPrompt {
    /// The page to open.
    pub url: Url,
    /// The port on this machine that the browser comes back to.
    pub port: u16,
    /// How long presenced waits for that.
    pub expires_in: Duration,
}

/// One attempt to sign in.
pub(super) struct Attempt<'a> {
    service: &'a TokenService<'a>,
    config: &'a config::Account,
    scope: String,
    verifier: SecretString,
    url: Url,
    loopback: Loopback,
}

/// The browser came back with a code, or with the reason why there is none. It waits for a page.
pub(super) struct Arrival(Visitor);

impl<'a> Attempt<'a> {
    /// Creates the secrets, and starts to wait for the browser.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] if this machine has no port on loopback, or no random numbers.
    pub(super) async fn start(
        service: &'a TokenService<'a>,
        config: &'a config::Account,
        reads: bool,
    ) -> Result<Self, Failure> {
        let (verifier, state) = (pkce::random()?, pkce::random()?);
        let loopback = Loopback::open(state.clone()).await?;
        let scope = scope(config, reads);
        let mut url = service.url("authorize");
        url.query_pairs_mut()
            .append_pair("client_id", &config.client_id)
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", &redirect_uri(loopback.port()))
            .append_pair("response_mode", "query")
            .append_pair("scope", &scope)
            .append_pair("state", state.expose_secret())
            .append_pair("code_challenge", &pkce::challenge(&verifier))
            .append_pair("code_challenge_method", "S256")
            // Otherwise the browser's current user would be signed in without a question: often the wrong one of two accounts.
            .append_pair("prompt", "select_account");
        Ok(Self { service, config, scope, verifier, url, loopback })
    }

    /// What the person must do.
    pub(super) fn prompt(&self) -> BrowserPrompt {
        BrowserPrompt { url: self.url.clone(), port: self.loopback.port(), expires_in: SIGN_IN_TIMEOUT }
    }

    /// Waits for the browser to come back.
    ///
    /// # Errors
    /// [`FailureKind::SignInNeeded`] if it does not come back in time.
    pub(super) async fn arrival(&mut self) -> Result<Arrival, Failure> {
        self.arrival_within(SIGN_IN_TIMEOUT).await
    }

    async fn arrival_within(&mut self, patience: Duration) -> Result<Arrival, Failure> {
        match tokio::time::timeout(patience, self.loopback.visitor()).await {
            Ok(Some(visitor)) => Ok(Arrival(visitor)),
            Ok(None) => Err(Failure::new(FailureKind::Refused, "presenced can no longer wait for the browser")),
            Err(_) => {
                let text = format!("the browser did not come back within {} minutes", patience.as_secs() / 60);
                // Only the browser shows that an address is not registered.
                Err(Failure::new(FailureKind::SignInNeeded, text).with_hint(
                    "run `presenced login` again; if the page said AADSTS50011, first add `http://localhost` to the app \
                     registration's `Mobile and desktop applications`",
                ))
            }
        }
    }

    /// Exchanges the code for tokens.
    ///
    /// # Errors
    /// What the sign-in service says, to the browser or to presenced.
    pub(super) async fn redeem(&self, Arrival(visitor): &Arrival) -> Result<TokenResponse, Failure> {
        let code = match &visitor.outcome {
            Ok(code) => code,
            Err(error) => return Err(self.service.sent_back(error)),
        };
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &*self.config.client_id),
            ("code", code.expose_secret()),
            ("redirect_uri", &redirect_uri(self.loopback.port())),
            ("code_verifier", self.verifier.expose_secret()),
            ("scope", &self.scope),
        ];
        Ok(self.service.post("token", &form).await?)
    }
}

impl Arrival {
    /// Shows the person how it ended.
    pub(super) async fn tell(self, failure: Option<&Failure>) {
        self.0.show(failure.map_or_else(Page::signed_in, Page::failed)).await;
    }
}

/// Must be exactly this: Entra compares everything except the port with the registered address, and both endpoints get it.
fn redirect_uri(port: u16) -> String {
    format!("http://localhost:{port}")
}

#[cfg(test)]
mod tests;
