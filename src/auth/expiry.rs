//! Until when the certificate is good that an account signs in with. Known as soon as the file can be read, learnt again with
//! each token, and looked up more often once it is nearly over, so that a new certificate is noticed within minutes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::config::Auth;
use crate::time::Now;

use super::credential;
use super::secret::{self, Readers};

/// When a certificate is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The file it is in.
    pub file: PathBuf,
    /// Until when it is good.
    pub at: Timestamp,
}

impl Expiry {
    /// How long before its end a certificate is worth a word.
    pub const NOTICE: Duration = Duration::from_hours(30 * 24);

    /// How it is renewed.
    pub const RENEW: &str = "make a new one, upload it to the app registration's `Certificates & secrets`, and put it in the \
                             place of the old one (docs/sign-in-bots.md has the commands)";

    /// From when on it is.
    pub fn notice_at(&self) -> Timestamp {
        self.at.checked_sub(Self::NOTICE).unwrap_or(Timestamp::MIN)
    }
}

/// What is known of an account's certificate.
#[derive(Debug)]
pub(super) struct Watch(Mutex<Option<Noted>>);

#[derive(Debug)]
struct Noted {
    file: PathBuf,
    certificate: Certificate,
}

impl Watch {
    /// What can be known before the first token.
    pub(super) fn new(auth: &Auth) -> Self {
        let watch = Self(Mutex::new(None));
        if let Auth::ClientCertificate { certificate, .. } = auth {
            watch.look(certificate);
        }
        watch
    }

    /// It signs in with this one.
    pub(super) fn note(&self, file: &Path, certificate: &Certificate) {
        *self.noted() = Some(Noted { file: file.to_owned(), certificate: certificate.clone() });
    }

    /// Until when it is good.
    pub(super) fn expiry(&self) -> Option<Expiry> {
        self.noted().as_ref().map(|noted| Expiry { file: noted.file.clone(), at: noted.certificate.not_after })
    }

    /// Looks whether one that is nearly over was replaced, while no new token is needed yet.
    pub(super) fn look_again(&self, auth: &Auth, now: &Now) {
        if let Auth::ClientCertificate { certificate, .. } = auth
            && self.expiry().is_none_or(|expiry| expiry.notice_at() <= now.wall)
        {
            self.look(certificate);
        }
    }

    /// Notes the first certificate of the file, unless the one that is noted is still in it. A file that cannot be read says
    /// nothing: the next token will.
    fn look(&self, file: &Path) {
        let read = || {
            let bytes = secret::file(file, Readers::Anyone, "the certificate").ok()?;
            credential::certificates(&credential::blocks(&bytes, "the certificate", "").ok()?, file).ok()
        };
        let Some(certificates) = read() else { return };
        let is_there = |noted: &Noted| certificates.contains(&noted.certificate);
        let (Some(first), false) = (certificates.first(), self.noted().as_ref().is_some_and(is_there)) else { return };
        self.note(file, first);
    }

    fn noted(&self) -> MutexGuard<'_, Option<Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
