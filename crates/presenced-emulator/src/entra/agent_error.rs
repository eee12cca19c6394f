//! Why Entra refuses a token request of an agent. Inferred: all numbers and texts. Microsoft's pages only show the requests that
//! succeed.

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AgentError {
    /// The blueprint has no agent identity with this id.
    NotOfBlueprint(String),
    /// The scope is not the one for token exchange.
    NotExchangeScope(String),
    /// An agent identity has no secret of its own.
    HasNoSecret(String),
    /// This field is not a token that Entra issued for this step.
    NotAnExchangeToken(&'static str),
    /// The token in this field has expired.
    Expired(&'static str),
    /// The agent identity does not act for this user.
    NotItsUser(String),
}

impl AgentError {
    /// `error`, the AADSTS number and the text.
    pub(super) fn parts(&self) -> (&'static str, u32, String) {
        match self {
            Self::NotOfBlueprint(identity) => (
                "unauthorized_client",
                700_016,
                format!("The blueprint has no agent identity '{identity}': check fmi_path."),
            ),
            Self::NotExchangeScope(scope) => (
                "invalid_scope",
                70_011,
                format!("The scope {scope} is not valid with fmi_path: use api://AzureADTokenExchange/.default."),
            ),
            Self::HasNoSecret(identity) => (
                "invalid_client",
                7_000_215,
                format!(
                    "The agent identity '{identity}' has no secret: send its blueprint's token as client_assertion."
                ),
            ),
            Self::NotAnExchangeToken(field) => (
                "invalid_client",
                50_027,
                format!(
                    "Invalid JWT token: '{field}' is not a token that was issued for this agent identity and step."
                ),
            ),
            Self::Expired(field) => ("invalid_client", 700_024, format!("The token in '{field}' has expired.")),
            Self::NotItsUser(user) => (
                "invalid_grant",
                50_034,
                format!("The user '{user}' does not exist, or is not the agent user of this agent identity."),
            ),
        }
    }

    /// Whether the client failed to prove who it is.
    pub(super) fn is_about_client(&self) -> bool {
        matches!(self, Self::HasNoSecret(_) | Self::NotAnExchangeToken(_) | Self::Expired(_))
    }
}
