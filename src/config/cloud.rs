//! The national clouds: their addresses, and whether presenced can work there.

use url::Url;

use crate::loopback::is_loopback;
use presenced_core::words;

words! {
    /// A national cloud.
    #[derive(Default)]
    pub enum Cloud {
        /// Worldwide, also GCC.
        #[default]
        Global = "global",
        /// US Government L4.
        UsGov = "us-gov",
        /// US Government L5 (`DoD`).
        UsGovDod = "us-gov-dod",
        /// China, operated by 21Vianet.
        China = "china",
        /// Bleu, in France.
        Bleu = "bleu",
    }
}

impl Cloud {
    /// The address of Microsoft Graph with its version; `None`: it is not published.
    ///
    /// Source: Graph's page on national cloud deployments.
    pub fn graph(self) -> Option<Url> {
        match self {
            Self::Global => Some("https://graph.microsoft.com/v1.0"),
            Self::UsGov => Some("https://graph.microsoft.us/v1.0"),
            Self::UsGovDod => Some("https://dod-graph.microsoft.us/v1.0"),
            Self::China => Some("https://microsoftgraph.chinacloudapi.cn/v1.0"),
            Self::Bleu => None,
        }
        .map(address)
    }

    /// The address of the sign-in service.
    ///
    /// Source: Entra's page on authentication in national clouds.
    pub fn login(self) -> Url {
        address(match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGov | Self::UsGovDod => "https://login.microsoftonline.us",
            Self::China => "https://login.partner.microsoftonline.cn",
            Self::Bleu => "https://login.sovcloud-identity.fr",
        })
    }

    /// Why presenced cannot hold a presence there, as a sentence without its full stop; `None`: it can.
    ///
    /// Source: the table of national clouds on the page of each call about presence; for Bleu Graph's schema.
    pub fn obstacle(self) -> Option<String> {
        let has_presence = match self {
            Self::Global | Self::UsGov | Self::UsGovDod | Self::Bleu => true,
            Self::China => false,
        };
        (!has_presence).then(|| {
            let name = self.as_str();
            format!("Microsoft Graph has no presence in the cloud `{name}`, so presenced cannot hold one there")
        })
    }
}

/// The addresses are constants, and a test parses each.
fn address(text: &str) -> Url {
    Url::parse(text).expect("the addresses above are valid")
}

/// The addresses of a cloud's services, without a trailing slash in the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Microsoft Graph with its version: `https://graph.microsoft.com/v1.0`.
    pub graph: Url,
    /// The sign-in service: `https://login.microsoftonline.com`.
    pub login: Url,
}

impl Endpoints {
    /// Whether both lead to this machine, like an emulator's.
    pub fn are_loopback(&self) -> bool {
        [&self.graph, &self.login].into_iter().all(is_loopback)
    }
}
