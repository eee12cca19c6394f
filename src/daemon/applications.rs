//! What accounts share: the pace and the token of their application, and one client for each Graph.
//!
//! Leaves to others: what is sent at that pace (`account/`, `fleet/`).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use url::Url;

use crate::auth::TokenPool;
use crate::config;
use crate::failure::Failure;
use crate::graph::Client;
use crate::pacer::{Pace, Rate};

/// What is shared.
#[derive(Debug, Default)]
pub(super) struct Applications {
    paces: HashMap<Application, Pace>,
    clients: HashMap<Url, Weak<Client>>,
    pub(super) tokens: TokenPool,
}

/// What Graph counts requests by.
type Application = (Url, String, String);

impl Applications {
    /// These accounts are configured from now on. If those of one application have different rates, the slowest counts.
    pub(super) fn configure(&mut self, accounts: &BTreeMap<String, config::Account>) {
        let mut rates: HashMap<Application, Rate> = HashMap::new();
        for account in accounts.values() {
            let rate = rates.entry(application(account)).or_insert(account.rate);
            *rate = rate.slower(account.rate);
        }
        for (application, rate) in rates {
            self.paces.entry(application).or_insert_with(|| Pace::new(rate)).set_rate(rate);
        }
    }

    /// The pace for this account.
    pub(super) fn pace(&mut self, account: &config::Account) -> Pace {
        self.paces.entry(application(account)).or_insert_with(|| Pace::new(account.rate)).clone()
    }

    /// A client for the Graph of this account.
    pub(super) fn client(&mut self, account: &config::Account) -> Result<Arc<Client>, Failure> {
        let graph = &account.endpoints.graph;
        if let Some(client) = self.clients.get(graph).and_then(Weak::upgrade) {
            return Ok(client);
        }
        let client = Arc::new(Client::new(graph)?);
        self.clients.insert(graph.clone(), Arc::downgrade(&client));
        Ok(client)
    }
}

fn application(account: &config::Account) -> Application {
    let (tenant, client_id) = (account.tenant.to_ascii_lowercase(), account.client_id.to_ascii_lowercase());
    (account.endpoints.graph.clone(), tenant, client_id)
}
