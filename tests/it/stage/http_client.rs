//! The tests' own HTTP client. presenced installs its cryptography when it first connects, and a test may be earlier.

/// The settings of a client, as reqwest has them by default.
pub(crate) fn http_client() -> reqwest::ClientBuilder {
    // The first call decides, and all are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// A client with these settings.
pub(crate) fn default_client() -> reqwest::Client {
    http_client().build().expect("the defaults are possible")
}
