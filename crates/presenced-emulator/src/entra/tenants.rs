//! The tenants of the sign-in service, by the names that stand in the paths of its endpoints.

use super::error::EntraError;
use crate::options::{TENANT_ID, Tenants};

/// The tenant of all personal Microsoft accounts. The emulator has no such accounts.
const CONSUMERS_ID: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// A tenant that was named in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenant {
    /// The name: a domain, an id, `common`, …
    pub(super) name: String,
    /// The id of the tenant in which applications and users are found.
    pub(super) id: String,
    /// The id of the only tenant whose users can sign in; `None` for `common` and `organizations`.
    pub(super) of_users: Option<String>,
}

/// The tenant `name`, if it exists.
pub(super) fn find(tenants: &Tenants, name: &str) -> Result<Tenant, EntraError> {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let shared = is("common") || is("organizations");
    let id = match tenants {
        _ if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) => None,
        Tenants::Any => (!name.is_empty()).then(|| if shared { TENANT_ID.to_owned() } else { id_of(name) }),
        Tenants::Only(names) if shared => names.first().map(|first| id_of(first)),
        // By its name or by its id.
        Tenants::Only(names) => names.iter().find(|known| is(known) || is(&id_of(known))).map(|known| id_of(known)),
    };
    let id = id.ok_or_else(|| EntraError::UnknownTenant(name.to_owned()))?;
    let of_users = (!shared).then(|| id.clone());
    Ok(Tenant { name: name.to_owned(), id, of_users })
}

/// The id of a tenant. All that are named by a domain have the same.
fn id_of(name: &str) -> String {
    if name.eq_ignore_ascii_case("consumers") {
        return CONSUMERS_ID.to_owned();
    }
    uuid::Uuid::try_parse(name).map_or_else(|_| TENANT_ID.to_owned(), |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0a1b2c3d-4e5f-6789-abcd-ef0123456789";

    #[test]
    fn a_tenant_has_names_and_an_id() {
        let only = Tenants::Only(vec!["Fabrikam.com".to_owned()]);
        let by_id = Tenants::Only(vec![ID.to_owned()]);
        for (tenants, name, id, of_users) in [
            (&Tenants::Any, "contoso.com", TENANT_ID, Some(TENANT_ID)),
            (&Tenants::Any, "0A1B2C3D-4E5F-6789-ABCD-EF0123456789", ID, Some(ID)),
            (&Tenants::Any, "common", TENANT_ID, None),
            (&Tenants::Any, "Organizations", TENANT_ID, None),
            (&Tenants::Any, "consumers", CONSUMERS_ID, Some(CONSUMERS_ID)),
            (&only, "fabrikam.com", TENANT_ID, Some(TENANT_ID)),
            (&only, TENANT_ID, TENANT_ID, Some(TENANT_ID)),
            (&only, "organizations", TENANT_ID, None),
            (&by_id, "common", ID, None),
        ] {
            let tenant = find(tenants, name).unwrap();
            assert_eq!((&*tenant.id, tenant.of_users.as_deref()), (id, of_users), "{name}");
        }
        for (tenants, name) in [(&Tenants::Any, ""), (&Tenants::Any, "a tenant"), (&only, "contoso.com"), (&only, ID)] {
            find(tenants, name).unwrap_err();
        }
        find(&only, "consumers").unwrap_err();
    }
}
