//! A certificate with its private key, read from their files, and what can be wrong with these.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use ring::rsa::KeyPair;
use ring::signature::KeyPair as _;

use crate::certificate::pem::{self, Block};
use crate::certificate::{Certificate, is_rsa};
use crate::config::{Environment, SecretSource};
use crate::failure::{Failure, FailureKind};
use crate::time::Now;

use super::secret::{self, Readers};

/// When a certificate expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The file it is in.
    pub file: PathBuf,
    /// Until when it is valid.
    pub at: Timestamp,
}

impl Expiry {
    /// How long before its end presenced warns about a certificate.
    pub const NOTICE: Duration = Duration::from_hours(30 * 24);

    /// How to renew it.
    pub const RENEW: &str = "make a new one, upload it to the app registration's `Certificates & secrets`, and put it in the \
                             place of the old one (docs/sign-in-bots.md has the commands)";

    /// From when on presenced warns.
    pub fn notice_at(&self) -> Timestamp {
        self.at.checked_sub(Self::NOTICE).unwrap_or(Timestamp::MIN)
    }
}

/// The command that creates a certificate and its key.
const MAKE: &str =
    "openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=presenced -keyout key.pem -out bot.pem";

/// A certificate and the key that belongs to it.
pub(super) struct Credential {
    pub(super) certificate: Certificate,
    pub(super) key: KeyPair,
}

impl Credential {
    /// Reads both: the key from the certificate's file `path` unless there is another source, and the first certificate in
    /// `path` that the key belongs to.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] if anything is wrong with the files; also the errors of [`secret::bytes`].
    pub(super) async fn read(
        path: &Path,
        key: Option<&SecretSource>,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let shown = path.display();
        let readers = if key.is_some() { Readers::Anyone } else { Readers::Owner };
        let blocks =
            blocks(&secret::file(path, readers, "the certificate").await?, "the certificate", &format!(" in {shown}"))?;
        let certificates = certificates(&blocks, path)?;
        let key = match key {
            None => private_key(&blocks, &format!("the key in {shown}")).map_err(|failure| match failure.hint {
                Some(_) => failure,
                None => failure.with_hint("say where the key is: key = { file = \"…\" }"),
            })?,
            Some(source) => {
                let bytes = secret::bytes(source, Readers::Owner, "the certificate's key", environment).await?;
                let place = source.file().map(|path| format!(" in {}", path.display())).unwrap_or_default();
                let what = format!("the certificate's key{place}");
                private_key(&self::blocks(&bytes, "the certificate's key", &place)?, &what)?
            }
        };
        let fits = |certificate: &Certificate| certificate.public_key == key.public_key().as_ref();
        let certificate = certificates.into_iter().find(fits).ok_or_else(|| {
            refused(format!("the key does not belong to the certificate in {shown}")).with_hint(
                "name the key that the certificate was made with, or create both again (docs/sign-in-bots.md)",
            )
        })?;
        Ok(Self { certificate, key })
    }

    /// Checks that the certificate is valid at `now`.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] if it has expired; [`FailureKind::Passing`] if it is not yet valid, which time will fix.
    pub(super) fn check_time(&self, path: &Path, now: &Now) -> Result<(), Failure> {
        let shown = path.display();
        let Certificate { not_before, not_after, .. } = self.certificate;
        if now.wall > not_after {
            let text = format!("the certificate in {shown} expired on {}", not_after.strftime("%F"));
            return Err(refused(text).with_hint(Expiry::RENEW));
        }
        if now.wall < not_before {
            let text = format!("the certificate in {shown} is valid only from {not_before} on");
            return Err(
                Failure::new(FailureKind::Passing, text).with_hint("is this machine's clock right? `timedatectl`")
            );
        }
        Ok(())
    }
}

/// The certificates in the file `path`, at least one.
pub(super) fn certificates(blocks: &[Block], path: &Path) -> Result<Vec<Certificate>, Failure> {
    let shown = path.display();
    let certificates = Certificate::all(blocks).ok_or_else(|| {
        refused(format!("the certificate in {shown} is damaged")).with_hint("copy or export it again")
    })?;
    if certificates.is_empty() {
        let text = format!("there is no certificate in {shown}");
        return Err(
            refused(text).with_hint(format!("it must be PEM and begin with -----BEGIN CERTIFICATE-----; {MAKE}"))
        );
    }
    Ok(certificates)
}

/// The PEM blocks of a file, which may not be PEM at all.
pub(super) fn blocks(bytes: &[u8], what: &str, place: &str) -> Result<Vec<Block>, Failure> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(not_text(bytes, what, place));
    };
    pem::blocks(text).map_err(|error| {
        refused(format!("{what}{place} is not valid PEM: {error}")).with_hint("copy or export it again")
    })
}

/// DER starts with the header of a SEQUENCE, followed by the version, a small INTEGER: 0 or 1 in a key, 3 in PKCS#12.
fn not_text(bytes: &[u8], what: &str, place: &str) -> Failure {
    let (kind, convert) = match bytes {
        [0x30, 0x82, _, _, 0x02, 0x01, 0x03, ..] | [0x30, 0x80, 0x02, 0x01, 0x03, ..] => {
            ("PKCS#12 (.pfx, .p12)", "openssl pkcs12 -in FILE -nodes -out bot.pem")
        }
        [0x30, 0x82, _, _, 0x02, ..] => ("DER", "openssl pkey -inform DER -in FILE -out key.pem"),
        [0x30, 0x82, _, _, 0x30, ..] => ("DER", "openssl x509 -inform DER -in FILE -out bot.pem"),
        _ => return refused(format!("{what}{place} is not PEM")).with_hint(format!("create one: {MAKE}")),
    };
    refused(format!("{what}{place} is {kind}, but it must be PEM")).with_hint(format!("convert it: {convert}"))
}

/// The key among `blocks`; `what` names it in failures.
fn private_key(blocks: &[Block], what: &str) -> Result<KeyPair, Failure> {
    let Some(block) = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) else {
        return Err(refused(format!("{what} is missing: there is no private key")));
    };
    if block.is_encrypted {
        let hint = "presenced cannot ask for its passphrase; remove it: openssl pkey -in FILE -out key.pem";
        return Err(refused(format!("{what} is encrypted")).with_hint(hint));
    }
    let wrong_kind = || {
        refused(format!("{what} is of the wrong kind: it must be RSA"))
            .with_hint(format!("Entra ID takes no other for this; create a new one: {MAKE}"))
    };
    let pair = match &*block.label {
        "RSA PRIVATE KEY" => KeyPair::from_der(&block.content),
        "PRIVATE KEY" if is_rsa(&block.content) == Some(false) => return Err(wrong_kind()),
        "PRIVATE KEY" => KeyPair::from_pkcs8(&block.content),
        _ => return Err(wrong_kind()),
    };
    // The library tells its reasons apart only by these words.
    pair.map_err(|error| match error.to_string().as_str() {
        "TooSmall" => refused(format!("{what} is too small: it must have 2048 bits or more"))
            .with_hint(format!("create a new one: {MAKE}")),
        "TooLarge" => refused(format!("{what} is too large: it must have 4096 bits or less"))
            .with_hint(format!("create a new one: {MAKE}")),
        "PrivateModulusLenNotMultipleOf512Bits" => {
            refused(format!("{what} has an unusual length: it must have 2048, 3072 or 4096 bits"))
                .with_hint(format!("create a new one: {MAKE}"))
        }
        _ => refused(format!("{what} is damaged")).with_hint("copy or export it again"),
    })
}

fn refused(text: String) -> Failure {
    Failure::new(FailureKind::Refused, text)
}
