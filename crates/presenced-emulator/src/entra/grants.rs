//! The grants of the token endpoint, and the start of a device code sign-in: what each needs, and the answer it gives.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::authorize::{Platform, SignedIn};
use super::device::Poll;
use super::error::{CodeError, EntraError};
use super::tokens::{RequestedClaims, Subject};
use super::{Entra, client_info, field, scopes};
use crate::options::App;
use presenced_core::time::Now;

/// A token request, once its tenant and application are known.
pub(super) struct TokenRequest<'a> {
    pub(super) app: App,
    /// The tenant's id.
    pub(super) tenant: String,
    pub(super) requested: RequestedClaims,
    pub(super) form: &'a HashMap<String, String>,
}

impl TokenRequest<'_> {
    fn field(&self, name: &'static str) -> Result<&str, EntraError> {
        field(self.form, name)
    }
}

impl Entra {
    /// Answers a token request with the grant `grant_type`.
    pub(super) fn grant(
        &mut self,
        grant_type: &str,
        request: &TokenRequest<'_>,
        now: &Now,
    ) -> Result<Value, EntraError> {
        match grant_type {
            "client_credentials" => self.client_credentials(request, now),
            "authorization_code" => self.redeem_code(request, now),
            "refresh_token" => self.refresh(request, now),
            "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => self.poll_device(request, now),
            _ => Err(EntraError::UnsupportedGrant),
        }
    }

    fn redeem_code(&mut self, request: &TokenRequest<'_>, now: &Now) -> Result<Value, EntraError> {
        let (code, redirect) = (request.field("code")?, request.field("redirect_uri")?);
        let is_proved = ["client_secret", "client_assertion"].iter().any(|name| request.form.contains_key(*name));
        match Platform::of(&request.app, redirect) {
            Platform::Native if is_proved => return Err(CodeError::PublicClient.into()),
            Platform::Web if !is_proved => return Err(EntraError::NoSecret),
            Platform::Native | Platform::Web | Platform::Either => {}
        }
        let verifier = request.form.get("code_verifier").map(String::as_str);
        let signed_in = self.browser_sign_ins.redeem(code, &request.app.client_id, redirect, verifier, now.instant)?;
        Ok(self.user_tokens(request, signed_in, now))
    }

    fn client_credentials(&mut self, request: &TokenRequest<'_>, now: &Now) -> Result<Value, EntraError> {
        let scope = request.field("scope")?;
        if !scope.ends_with("/.default") {
            return Err(EntraError::NotDefaultScope(scope.to_owned()));
        }
        if !request.form.contains_key("client_secret") && !request.form.contains_key("client_assertion") {
            return Err(EntraError::NoSecret);
        }
        let subject = Subject::Application { roles: request.app.roles.clone() };
        Ok(self.access_token(request, subject, now))
    }

    /// Starts a device code sign-in.
    pub(super) fn start_device(
        &mut self,
        request: &TokenRequest<'_>,
        base: &str,
        now: &Now,
    ) -> Result<Value, EntraError> {
        let scopes = scopes::granted(&request.app, request.field("scope")?)?;
        let started = self.device_sign_ins.start(&request.app.client_id, scopes, &mut self.rng, now.instant);
        let uri = format!("{base}/_emulator/device");
        Ok(json!({
            "user_code": started.user_code,
            "device_code": started.device_code,
            "verification_uri": uri,
            "expires_in": started.expires_in.as_secs(),
            "interval": started.interval.as_secs(),
            "message": format!("To sign in, open {uri} and approve the code {}.", started.user_code),
        }))
    }

    fn poll_device(&mut self, request: &TokenRequest<'_>, now: &Now) -> Result<Value, EntraError> {
        let code = request.form.get("device_code").or_else(|| request.form.get("code"));
        let code = code.ok_or(EntraError::Missing("device_code"))?;
        match self.device_sign_ins.poll(code, &request.app.client_id, now.instant) {
            Poll::Pending => Err(EntraError::AuthorizationPending),
            Poll::SlowDown => Err(EntraError::SlowDown),
            Poll::Denied => Err(EntraError::AuthorizationDeclined),
            Poll::Expired => Err(EntraError::DeviceCodeExpired),
            Poll::Unknown => Err(EntraError::BadVerificationCode),
            Poll::Approved { user, scopes } => {
                let user = user.or_else(|| self.users.first().map(|user| user.id.clone()));
                let user = user.ok_or(EntraError::AuthorizationDeclined)?;
                Ok(self.user_tokens(request, SignedIn { user, scopes, nonce: None }, now))
            }
        }
    }

    fn refresh(&mut self, request: &TokenRequest<'_>, now: &Now) -> Result<Value, EntraError> {
        let grant = self.tokens.redeem(request.field("refresh_token")?, &request.app.client_id, now.instant)?;
        // The request may ask for fewer scopes than the user consented to. More require another consent.
        let mut scopes = match request.form.get("scope").filter(|scope| !scope.is_empty()) {
            Some(scope) => scopes::granted(&request.app, scope)?,
            None => grant.scopes.clone(),
        };
        let missing = scopes::permissions(&scopes)
            .find(|asked| !scopes::permissions(&grant.scopes).any(|granted| granted == *asked));
        if let Some(missing) = missing {
            return Err(EntraError::ConsentRequired(missing.to_owned()));
        }
        if !scopes.iter().any(|scope| scope == "offline_access") {
            scopes.push("offline_access".to_owned());
        }
        Ok(self.user_tokens(request, SignedIn { user: grant.user, scopes, nonce: None }, now))
    }

    /// The answer with an access token, and with an `id` or refresh token if the scopes ask for one.
    pub(super) fn user_tokens(&mut self, request: &TokenRequest<'_>, signed_in: SignedIn, now: &Now) -> Value {
        let SignedIn { user, scopes, nonce } = signed_in;
        let wants = |name: &str| scopes.iter().any(|scope| scope == name);
        let (offline, openid) = (wants("offline_access"), wants("openid"));
        let permissions = scopes::permissions(&scopes).map(ToOwned::to_owned).collect();
        let mut answer = self.access_token(request, Subject::User { id: user.clone(), scopes: permissions }, now);
        answer["scope"] = scopes::answered(&scopes).into();
        let (app, tenant) = (&request.app.client_id, &request.tenant);
        if openid && let Some(user) = self.users.iter().find(|known| known.id == user) {
            let token = self.tokens.id_token(app, tenant, user, nonce.as_deref(), now, &mut self.rng);
            answer["id_token"] = token.into();
        }
        if client_info::is_asked(request.form) {
            answer["client_info"] = client_info::of(&user, tenant).into();
        }
        if offline {
            let token = self.tokens.issue_refresh(app, &user, scopes, now.instant, &mut self.rng);
            answer["refresh_token"] = token.into();
        }
        answer
    }

    fn access_token(&mut self, request: &TokenRequest<'_>, subject: Subject, now: &Now) -> Value {
        let (token, lifetime): (String, Duration) = self.tokens.issue_access(
            &request.app.client_id,
            &request.tenant,
            subject,
            request.requested,
            now,
            &mut self.rng,
        );
        json!({
            "token_type": "Bearer",
            "expires_in": lifetime.as_secs(),
            "ext_expires_in": lifetime.as_secs(),
            "access_token": token,
        })
    }
}
