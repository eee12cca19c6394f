//! The grants of the token endpoint, and the start of a device code sign-in: what each needs, and the answer it gives.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::device::Poll;
use super::error::{CodeError, EntraError};
use super::tokens::{RequestedClaims, Subject};
use super::{Entra, field, granted, is_openid};
use crate::options::App;
use presenced_core::time::Now;

/// A token request, once its tenant and application are known.
pub(super) struct TokenRequest<'a> {
    pub(super) app: App,
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
        if request.form.contains_key("client_secret") {
            return Err(CodeError::PublicClient.into());
        }
        let (code, redirect) = (request.field("code")?, request.field("redirect_uri")?);
        let verifier = request.form.get("code_verifier").map(String::as_str);
        let (user, scopes) =
            self.browser_sign_ins.redeem(code, &request.app.client_id, redirect, verifier, now.instant)?;
        Ok(self.user_tokens(request, &user, scopes, now))
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
        let scopes = granted(&request.app, request.field("scope")?)?;
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
                Ok(self.user_tokens(request, &user, scopes, now))
            }
        }
    }

    fn refresh(&mut self, request: &TokenRequest<'_>, now: &Now) -> Result<Value, EntraError> {
        let grant = self.tokens.redeem(request.field("refresh_token")?, &request.app.client_id, now.instant)?;
        // The request may ask for fewer scopes than the user consented to. More require another consent.
        let scopes = match request.form.get("scope").filter(|scope| !scope.is_empty()) {
            Some(scope) => granted(&request.app, scope)?,
            None => grant.scopes.clone(),
        };
        if let Some(extra) = scopes.iter().find(|scope| !is_openid(scope) && !grant.scopes.contains(scope)) {
            return Err(EntraError::ConsentRequired(extra.clone()));
        }
        let scopes = if scopes.iter().any(|scope| scope == "offline_access") {
            scopes
        } else {
            scopes.into_iter().chain(["offline_access".to_owned()]).collect()
        };
        Ok(self.user_tokens(request, &grant.user, scopes, now))
    }

    /// The answer with an access token, and with an `id` or refresh token if `scopes` ask for one.
    fn user_tokens(&mut self, request: &TokenRequest<'_>, user: &str, scopes: Vec<String>, now: &Now) -> Value {
        let wants = |name: &str| scopes.iter().any(|scope| scope == name);
        let (offline, openid) = (wants("offline_access"), wants("openid"));
        let subject = Subject::User {
            id: user.to_owned(),
            scopes: scopes.iter().filter(|scope| !is_openid(scope)).cloned().collect(),
        };
        let mut answer = self.access_token(request, subject, now);
        let shown: Vec<&str> = scopes.iter().map(String::as_str).filter(|scope| *scope != "offline_access").collect();
        answer["scope"] = shown.join(" ").into();
        if openid {
            let name = self.users.iter().find(|known| known.id == user).map(|known| known.principal_name.clone());
            answer["id_token"] = self
                .tokens
                .id_token(&request.app.client_id, &request.tenant, user, &name.unwrap_or_default(), now, &mut self.rng)
                .into();
        }
        if offline {
            let token = self.tokens.issue_refresh(&request.app.client_id, user, scopes, now.instant, &mut self.rng);
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
