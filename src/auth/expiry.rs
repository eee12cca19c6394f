//! How long an account's certificate is valid. This is known as soon as the file can be read and updated with each token. Once
//! the certificate has nearly expired, it is read more often, so that a new one is noticed within minutes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::certificate::Certificate;
use crate::config::Auth;
use crate::failure::Failure;
use crate::time::Now;

use super::credential::{self, Expiry};
use super::secret::{self, Readers};

const WHAT: &str = "the certificate";

/// What is known of an account's certificate.
#[derive(Debug)]
pub(super) struct Watch(Mutex<Option<Noted>>);

#[derive(Debug)]
struct Noted {
    file: PathBuf,
    certificate: Certificate,
}

impl Watch {
    /// What is known before the first token.
    pub(super) fn new(auth: &Auth) -> Self {
        let watch = Self(Mutex::new(None));
        if let Auth::ClientCertificate { certificate, .. } = auth {
            // At the start, or after a reload that has already looked at the file.
            watch.take(certificate, secret::read_file(certificate, Readers::Anyone, WHAT));
        }
        watch
    }

    /// The account signs in with this certificate.
    pub(super) fn note(&self, file: &Path, certificate: &Certificate) {
        *self.noted() = Some(Noted { file: file.to_owned(), certificate: certificate.clone() });
    }

    /// Until when it is valid.
    pub(super) fn expiry(&self) -> Option<Expiry> {
        self.noted().as_ref().map(|noted| Expiry { file: noted.file.clone(), at: noted.certificate.not_after })
    }

    /// Checks whether a certificate that has nearly expired was replaced, while no new token is needed.
    pub(super) async fn look_again(&self, auth: &Auth, now: &Now) {
        if let Auth::ClientCertificate { certificate, .. } = auth
            && self.expiry().is_none_or(|expiry| expiry.notice_at() <= now.wall)
        {
            self.take(certificate, secret::file(certificate, Readers::Anyone, WHAT).await);
        }
    }

    /// Notes the first certificate in the file, unless the noted one is still in it. A file that cannot be read is ignored: the
    /// next token will report it.
    fn take(&self, file: &Path, read: Result<impl AsRef<[u8]>, Failure>) {
        let read =
            read.and_then(|bytes| credential::certificates(&credential::blocks(bytes.as_ref(), WHAT, "")?, file));
        let Ok(certificates) = read else { return };
        let is_there = |noted: &Noted| certificates.contains(&noted.certificate);
        let (Some(first), false) = (certificates.first(), self.noted().as_ref().is_some_and(is_there)) else { return };
        self.note(file, first);
    }

    fn noted(&self) -> MutexGuard<'_, Option<Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
