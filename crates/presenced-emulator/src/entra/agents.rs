//! Tokens for agents (Entra Agent ID). An agent user takes three requests, an agent identity by itself two:
//!
//! 1. T1: the blueprint, with `fmi_path` naming the agent identity, gets an exchange token.
//! 2. T2: the agent identity, with T1 as its assertion, gets another one. Or, for Graph, a token of its own.
//! 3. T3: the agent identity, with T1 as its assertion and T2 as the user's credential, gets a token of the agent user
//!    (`user_fic`).
//!
//! Documented: the requests, that the token's `appid` is the agent identity, that an agent identity belongs to one blueprint and has
//! no secret, and that a managed identity's token may be the blueprint's proof. Inferred: the errors, that the machine's managed
//! identity is trusted by every blueprint, and that an agent has all permissions of its blueprint ("inherited").

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::{Value, json};

use super::agent_error::AgentError;
use super::assertion::TokenEndpoint;
use super::authorize::SignedIn;
use super::error::EntraError;
use super::grants::TokenRequest;
use super::signing::jwt;
use super::tokens::{RequestedClaims, Subject};
use super::{Entra, client_auth, field, scopes};
use crate::options::{Agent, App, User};
use presenced_core::time::{Instant, Now};

/// The resource of exchange tokens.
pub(super) const EXCHANGE: &str = "api://AzureADTokenExchange";

/// How long an exchange token lives (inferred).
const EXCHANGE_LIFETIME: Duration = Duration::from_hours(1);

/// How many exchange tokens are remembered.
const MAX_EXCHANGE_TOKENS: usize = 10_000;

/// What an exchange token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// T1: a blueprint stands behind this agent identity.
    Blueprint(String),
    /// T2: this agent identity asks for itself.
    Identity(String),
    /// This is the machine's managed identity.
    Machine,
}

/// The agents, and the exchange tokens that were issued to them.
#[derive(Debug)]
pub(super) struct Agents {
    agents: Vec<Agent>,
    issued: BTreeMap<String, (Says, Instant)>,
}

impl Agents {
    /// These agents, without tokens.
    pub(super) fn new(agents: Vec<Agent>) -> Self {
        Self { agents, issued: BTreeMap::new() }
    }

    /// The agent with this identity.
    pub(super) fn find(&self, identity: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.identity.eq_ignore_ascii_case(identity))
    }

    /// Issues an exchange token of `client` that says this.
    pub(super) fn issue(&mut self, says: Says, client: &str, tenant: &str, unique: &str, now: &Now) -> Value {
        self.issued.retain(|_, (_, ends)| now.instant < *ends + EXCHANGE_LIFETIME);
        if self.issued.len() >= MAX_EXCHANGE_TOKENS
            && let Some(first) = self.issued.iter().min_by_key(|(_, (_, ends))| *ends).map(|(token, _)| token.clone())
        {
            self.issued.remove(&first);
        }
        let subject = match &says {
            Says::Blueprint(identity) | Says::Identity(identity) => identity,
            Says::Machine => client,
        };
        let ends = now.instant + EXCHANGE_LIFETIME;
        let token = jwt(&json!({
            "aud": EXCHANGE,
            "iss": format!("https://login.microsoftonline.com/{tenant}/v2.0"),
            "sub": subject,
            "azp": client,
            "tid": tenant,
            "iat": now.wall.as_second(),
            "nbf": now.wall.as_second(),
            "exp": now.wall_at(ends).as_second(),
            "uti": unique,
            "ver": "2.0",
        }));
        self.issued.insert(token.clone(), (says, ends));
        let secs = EXCHANGE_LIFETIME.as_secs();
        json!({ "token_type": "Bearer", "expires_in": secs, "ext_expires_in": secs, "access_token": token })
    }

    /// Checks that `token`, which arrived in `field`, says this.
    fn check(&self, token: &str, says: &Says, field: &'static str, now: &Now) -> Result<(), EntraError> {
        match self.issued.get(token) {
            Some((said, ends)) if said == says => {
                if now.instant < *ends {
                    Ok(())
                } else {
                    Err(AgentError::Expired(field).into())
                }
            }
            Some(_) | None => Err(AgentError::NotAnExchangeToken(field).into()),
        }
    }
}

impl Entra {
    /// Answers a token request of an agent or of its blueprint. `None` if the request is not about an agent.
    pub(super) fn agent_token(
        &mut self,
        grant_type: &str,
        form: &HashMap<String, String>,
        tenant: &str,
        endpoint: &TokenEndpoint<'_>,
        now: &Now,
    ) -> Option<Result<Value, EntraError>> {
        if let Some(path) = form.get("fmi_path") {
            return Some(self.blueprint_token(grant_type, path, form, tenant, endpoint, now));
        }
        let agent = self.agents.find(form.get("client_id")?)?.clone();
        Some(self.identity_token(grant_type, &agent, form, tenant, now))
    }

    /// T1.
    fn blueprint_token(
        &mut self,
        grant_type: &str,
        path: &str,
        form: &HashMap<String, String>,
        tenant: &str,
        endpoint: &TokenEndpoint<'_>,
        now: &Now,
    ) -> Result<Value, EntraError> {
        let blueprint = self.app(field(form, "client_id")?)?;
        if grant_type != "client_credentials" {
            return Err(EntraError::UnsupportedGrant);
        }
        match form.get("client_assertion") {
            Some(token) if self.agents.check(token, &Says::Machine, "client_assertion", now).is_ok() => {
                client_auth::check_type(form)?;
            }
            None if !form.contains_key("client_secret") => return Err(EntraError::NoSecret),
            Some(_) | None => client_auth::check(&blueprint, form, endpoint, now)?,
        }
        let scope = field(form, "scope")?;
        if !is_exchange(scope) {
            return Err(AgentError::NotExchangeScope(scope.to_owned()).into());
        }
        let agent = self.agents.find(path).filter(|agent| agent.blueprint.eq_ignore_ascii_case(&blueprint.client_id));
        let identity = agent.ok_or_else(|| AgentError::NotOfBlueprint(path.to_owned()))?.identity.clone();
        let unique = self.uuid();
        Ok(self.agents.issue(Says::Blueprint(identity), &blueprint.client_id, tenant, &unique, now))
    }

    /// T2, T3, or a token of the agent identity itself.
    fn identity_token(
        &mut self,
        grant_type: &str,
        agent: &Agent,
        form: &HashMap<String, String>,
        tenant: &str,
        now: &Now,
    ) -> Result<Value, EntraError> {
        let identity = agent.identity.clone();
        if form.contains_key("client_secret") {
            return Err(AgentError::HasNoSecret(identity).into());
        }
        let assertion = form.get("client_assertion").ok_or(EntraError::NoSecret)?;
        client_auth::check_type(form)?;
        self.agents.check(assertion, &Says::Blueprint(identity.clone()), "client_assertion", now)?;
        let scope = field(form, "scope")?;
        if grant_type == "client_credentials" && is_exchange(scope) {
            let unique = self.uuid();
            return Ok(self.agents.issue(Says::Identity(identity.clone()), &identity, tenant, &unique, now));
        }
        let app = App { client_id: identity.clone(), ..self.app(&agent.blueprint)? };
        let request = TokenRequest { app, tenant: tenant.to_owned(), requested: RequestedClaims::default(), form };
        match grant_type {
            "user_fic" => {
                let name = "user_federated_identity_credential";
                self.agents.check(field(form, name)?, &Says::Identity(identity), name, now)?;
                let user = self.agent_user(agent, form.get("user_id"), form.get("username"))?.id.clone();
                let scopes = scopes::granted(&request.app, scope)?;
                Ok(self.user_tokens(&request, SignedIn { user, scopes, nonce: None }, now))
            }
            "client_credentials" | "refresh_token" => self.grant(grant_type, &request, now),
            _ => Err(EntraError::UnsupportedGrant),
        }
    }

    /// The agent user with this object id or principal name.
    fn agent_user(&self, agent: &Agent, id: Option<&String>, name: Option<&String>) -> Result<&User, EntraError> {
        let asked = id.or(name).ok_or(EntraError::Missing("user_id"))?;
        let found = self.users.iter().find(|user| match id {
            Some(id) => user.id.eq_ignore_ascii_case(id),
            None => user.principal_name.eq_ignore_ascii_case(asked),
        });
        let own = |user: &&User| agent.users.iter().any(|id| id.eq_ignore_ascii_case(&user.id));
        found.filter(own).ok_or_else(|| AgentError::NotItsUser(asked.clone()).into())
    }

    /// A token for Graph of an agent: of one of its users, or of the identity itself.
    pub(super) fn agent_access(
        &mut self,
        identity: &str,
        user: Option<(Option<&String>, Option<&String>)>,
        tenant: &str,
        now: &Now,
    ) -> Result<String, EntraError> {
        let agent = self.agents.find(identity).cloned();
        let agent = agent.ok_or_else(|| AgentError::NotOfBlueprint(identity.to_owned()))?;
        let blueprint = self.app(&agent.blueprint)?;
        let subject = match user {
            Some((id, name)) => {
                let id = self.agent_user(&agent, id, name)?.id.clone();
                Subject::User { id, scopes: blueprint.scopes }
            }
            None => Subject::Application { roles: blueprint.roles },
        };
        Ok(self.access(&agent.identity, tenant, subject, now).0)
    }

    /// An access token for Graph that nobody asked for by a form, and its lifetime.
    pub(super) fn access(&mut self, client: &str, tenant: &str, subject: Subject, now: &Now) -> (String, Duration) {
        let requested = RequestedClaims::default();
        self.tokens.issue_access(client, tenant, subject, requested, now, &mut self.rng)
    }
}

fn is_exchange(scope: &str) -> bool {
    scope.strip_suffix("/.default").is_some_and(|resource| resource.eq_ignore_ascii_case(EXCHANGE))
}
