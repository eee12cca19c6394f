//! Servers whose certificate is not accepted: why not, in words, and what to do.
//!
//! Such a failure passes by itself: the server's owner renews the certificate, or a clock is set.

use std::error::Error;
use std::io;

use rustls::CertificateError::{
    Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    UnsupportedSignatureAlgorithmContext, UnsupportedSignatureAlgorithmForPublicKeyContext,
};

use crate::failure::{Applied, Failure, FailureKind};

const CLOCK: &str = "check this machine's clock with `timedatectl`; if it is right, the server needs a new certificate";
const NAME: &str = "check the address: another server answers there, perhaps a proxy or the sign-in page of a network";
const ISSUER: &str = "if your company has its own certificate authority, install its certificate \
                      (`update-ca-certificates`), or name its file in `SSL_CERT_FILE`";

const KIND: &str = "presenced accepts signatures with RSA (2048 to 8192 bits), P-256, P-384 and Ed25519; with a proxy that inspects \
                    connections, its certificate authority decides";

/// The failure of a request to `service`, if it is about the service's certificate.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library has a dozen more reasons, and may have new ones")]
pub(super) fn failure(error: &reqwest::Error, service: &str) -> Option<Failure> {
    let rustls::Error::InvalidCertificate(fault) = tls_error(error)? else { return None };
    let (what, hint) = match fault {
        Expired | ExpiredContext { .. } => ("has expired".to_owned(), CLOCK),
        NotValidYet | NotValidYetContext { .. } => ("is not valid yet".to_owned(), CLOCK),
        NotValidForName | NotValidForNameContext { .. } => ("is for another name".to_owned(), NAME),
        UnsupportedSignatureAlgorithmContext { .. } | UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            ("is signed with a kind of key that presenced does not know, such as P-521".to_owned(), KIND)
        }
        UnknownIssuer => ("is not trusted on this machine".to_owned(), ISSUER),
        other => (format!("is not accepted: {other}"), ISSUER),
    };
    let text = format!("no connection to {service}: its certificate {what}");
    Some(Failure { applied: Applied::No, ..Failure::new(FailureKind::Passing, text).with_hint(hint) })
}

/// What the TLS library says, in the layers of an error.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let outermost: &(dyn Error + 'static) = error;
    std::iter::successors(Some(outermost), |&error| below(error)).find_map(|error| error.downcast_ref())
}

/// The next layer. The source of an `io::Error` is not the error that it carries, but the source of that one.
fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    carried.map(|carried| carried as &'a (dyn Error + 'static)).or_else(|| error.source())
}
