//! What clients ask before they sign in: where the endpoints are, which clouds share tokens, and which keys sign the tokens.
//!
//! Source: OpenID Connect Discovery 1.0; Entra's page on its OpenID configuration; the documents of login.microsoftonline.com.
//! Every address is below the one at which the client reached the emulator, except the issuers: these are Entra's own, because
//! libraries know them. Inferred: the error for an unknown host in an instance discovery.

use serde_json::{Value, json};
use url::Url;

use super::error::EntraError;
use super::scopes::OPENID_SCOPES;
use super::signing;
use super::tenants::Tenant;
use crate::route::Version;

/// The versions of the protocol differ in the issuer: that of V1 is in access tokens for Graph, that of V2 in ID tokens.
impl Version {
    /// The issuer of the tokens of a tenant with this id.
    pub(super) fn issuer(self, tenant: &str) -> String {
        match self {
            Self::V1 => format!("https://sts.windows.net/{tenant}/"),
            Self::V2 => format!("https://login.microsoftonline.com/{tenant}/v2.0"),
        }
    }

    /// The issuer in the documents of a tenant. Where users of several tenants sign in, it is a template.
    fn documented_issuer(self, tenant: &Tenant) -> String {
        self.issuer(tenant.of_users.as_deref().unwrap_or("{tenantid}"))
    }
}

/// The OpenID configuration of a tenant.
pub(super) fn open_id(version: Version, tenant: &Tenant, base: &str) -> Value {
    let root = format!("{base}/{}", tenant.of_users.as_deref().unwrap_or(&tenant.name));
    let keys = match version {
        Version::V1 => "discovery/keys",
        Version::V2 => "discovery/v2.0/keys",
    };
    json!({
        "issuer": version.documented_issuer(tenant),
        "authorization_endpoint": format!("{root}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{root}/oauth2/v2.0/token"),
        "device_authorization_endpoint": format!("{root}/oauth2/v2.0/devicecode"),
        "end_session_endpoint": format!("{root}/oauth2/v2.0/logout"),
        "jwks_uri": format!("{root}/{keys}"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": OPENID_SCOPES,
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "nbf", "nonce", "name", "preferred_username", "oid", "tid", "uti", "ver",
        ],
        "request_uri_parameter_supported": false,
        "http_logout_supported": true,
        "tenant_region_scope": null,
        "cloud_instance_name": "microsoftonline.com",
        "msgraph_host": "graph.microsoft.com",
    })
}

/// The keys that sign the tokens of a tenant.
pub(super) fn keys(tenant: &Tenant) -> Value {
    json!({ "keys": [signing::jwk(&Version::V2.documented_issuer(tenant))] })
}

/// Where a client that knows only the address `authorization_endpoint` continues. It must be an address of the emulator.
pub(super) fn instance(authorization_endpoint: &str, base: &str) -> Result<Value, EntraError> {
    let url = Url::parse(authorization_endpoint).ok();
    let tenant = url.as_ref().filter(|url| url.origin() == origin(base)).and_then(|url| url.path_segments()?.next());
    let tenant = tenant.filter(|tenant| !tenant.is_empty());
    let tenant = tenant.ok_or_else(|| EntraError::UnknownInstance(authorization_endpoint.to_owned()))?;
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    Ok(json!({
        "tenant_discovery_endpoint": format!("{base}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    }))
}

fn origin(base: &str) -> url::Origin {
    Url::parse(base).map_or_else(|_| url::Origin::new_opaque(), |url| url.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://localhost:8443";

    #[test]
    fn where_users_of_several_tenants_sign_in_the_issuer_is_a_template() {
        let one = Tenant { name: "contoso.com".to_owned(), id: "1".to_owned(), of_users: Some("1".to_owned()) };
        let several = Tenant { name: "common".to_owned(), id: "1".to_owned(), of_users: None };
        for (version, tenant, issuer, token) in [
            (Version::V2, &one, "https://login.microsoftonline.com/1/v2.0", "1"),
            (Version::V1, &one, "https://sts.windows.net/1/", "1"),
            (Version::V2, &several, "https://login.microsoftonline.com/{tenantid}/v2.0", "common"),
            (Version::V1, &several, "https://sts.windows.net/{tenantid}/", "common"),
        ] {
            let document = open_id(version, tenant, BASE);
            assert_eq!(document["issuer"], issuer);
            assert_eq!(document["token_endpoint"], format!("{BASE}/{token}/oauth2/v2.0/token"));
        }
    }

    #[test]
    fn an_instance_is_known_if_it_is_this_emulator() {
        let document = instance("https://localhost:8443/contoso.com/oauth2/v2.0/authorize", BASE).unwrap();
        let expected = "https://localhost:8443/contoso.com/v2.0/.well-known/openid-configuration";
        assert_eq!(document["tenant_discovery_endpoint"], expected);
        assert_eq!(document["metadata"][0]["aliases"][0], "localhost:8443");
        for other in
            ["https://login.microsoftonline.com/x", "http://localhost:8443/x", "https://localhost:8443", "x", ""]
        {
            assert_eq!(instance(other, BASE), Err(EntraError::UnknownInstance(other.to_owned())));
        }
    }
}
