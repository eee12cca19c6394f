//! The call signal: programs say in a call-state file, or each in its own file of a folder, what call they are in. The strongest
//! state counts.
//!
//! A missing file means idle, unless files can be stale. A file that cannot be read makes the signal unknown, unless another file says
//! that there is a call: that is still known. A state ends at the time that its file names, or with the process that its file names.
//! `owners` follows a folder that has a file for each user or each account. presenced creates none of these files. `file` reads them
//! without trusting them, `state` parses them, and `claim` remembers what each last said. Leaves to others: what recording programs
//! say about calls (`microphone`), and which of the two counts (`daemon/`).

mod claim;
mod file;
pub mod owners;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::select_all;

use crate::config;
use crate::file_watch::{Changes, FileWatch};
use crate::off_the_loop::{LATE_AFTER, off_the_loop_or_late};
use crate::policy::{Call, CallState, Reading};
use crate::signals::backoff::{Backoff, until, until_wall};
use crate::signals::{Context, Observation, Publisher, Update, Watched, unwatched};
use crate::time::{Clock, Instant, Now};
use crate::warning::{Code, Warning};
use claim::{Claim, invalid, nothing_written, unread_warning};
use file::MAX_FILES;

/// Follows the call state at the configured path. Never returns.
pub async fn run(config: config::Call, context: Context) {
    let clock = &*context.clock;
    let mut publisher = Publisher::new(context.updates, Update::Call);
    let mut watch = context.file_watcher.subscribe().with_looks();
    let path = config.path;
    let mut claims = Claims { path: path.clone(), stale_after: config.stale_after, ..Claims::default() };
    let mut backoff = Backoff::new();
    let mut changes = Some(Changes::Everything);
    loop {
        if let Some(changes) = changes {
            let now = clock.now();
            if watch.may_wait() {
                let late = late(&path, claims.watched);
                let look = move || {
                    claims.look(&changes, &mut watch, &now);
                    (claims, watch)
                };
                (claims, watch) = off_the_loop_or_late(look, publisher.publish(late)).await;
            } else {
                claims.look(&changes, &mut watch, &now);
            }
        }
        let now = clock.now();
        publisher.publish(claims.observe(&now)).await;
        let retry = if claims.unwatched.is_empty() {
            backoff = Backoff::new();
            None
        } else {
            Some(backoff.next(now.instant))
        };
        changes = claims.wait(&mut watch, clock, &now, retry).await;
    }
}

/// All call-state files.
#[derive(Default)]
struct Claims {
    path: PathBuf,
    stale_after: Option<Duration>,
    files: BTreeMap<PathBuf, Claim>,
    /// Why the path itself cannot be used.
    trouble: Option<Warning>,
    too_many: usize,
    /// Folders that could not be watched.
    unwatched: Vec<Warning>,
    /// How changes are noticed.
    watched: Option<Watched>,
}

impl Claims {
    /// Reads the files that changed, and those that were not seen before.
    fn look(&mut self, changes: &Changes, watch: &mut FileWatch, now: &Now) {
        let listing = watch.scan(|| {
            let mut listing = file::list(&self.path);
            (std::mem::take(&mut listing.watch_set), listing)
        });
        (self.unwatched, self.watched) = (unwatched(watch), Some(watch.watched()));
        self.trouble = listing.trouble.map(|trouble| unread_warning(&self.path, &trouble));
        self.too_many = listing.too_many;
        let mut before = std::mem::take(&mut self.files);
        for path in listing.files {
            let known = before.remove(&path);
            let reread = match changes {
                Changes::Everything => true,
                Changes::Paths(paths) => known.is_none() || paths.iter().any(|changed| path.starts_with(changed)),
            };
            let mut claim = known.unwrap_or_else(|| Claim::new(matches!(changes, Changes::Paths(_))));
            if !reread || claim.read(&path, self.stale_after, now) {
                self.files.insert(path, claim);
            }
        }
    }

    /// What all files say together.
    fn observe(&self, now: &Now) -> Observation<Call> {
        let mut strongest: (CallState, Option<&str>) = (CallState::Idle, None);
        let mut warnings: Vec<Warning> = self.trouble.iter().cloned().collect();
        for claim in self.files.values() {
            match claim.at(now) {
                Ok(claimed) if claimed.0 > strongest.0 => strongest = claimed,
                Ok(_) => {}
                Err(warning) => warnings.push(warning.clone()),
            }
        }
        let missing = self.stale_after.filter(|_| self.files.is_empty() && self.trouble.is_none());
        warnings.extend(missing.map(|stale_after| nothing_written(&self.path, stale_after)));
        let (state, app) = strongest;
        let unknown = state == CallState::Idle && !warnings.is_empty();
        if self.too_many > 0 {
            let text = format!(
                "The folder {} has {} more call-state files than the {MAX_FILES} that are read.",
                self.path.display(),
                self.too_many
            );
            warnings
                .push(Warning { hint: "Delete the ones that no program writes any more.".to_owned(), ..invalid(text) });
        }
        warnings.extend(self.unwatched.iter().cloned());
        let reading =
            if unknown { Reading::Unknown } else { Reading::Known(Call { state, app: app.map(str::to_owned) }) };
        Observation { reading, source: self.path.display().to_string(), warnings, watched: self.watched }
    }

    /// Waits until something may have changed. `None`: not a file, but what one of them says expires, or its process has ended.
    async fn wait(
        &mut self,
        watch: &mut FileWatch,
        clock: &dyn Clock,
        now: &Now,
        retry: Option<Instant>,
    ) -> Option<Changes> {
        let hold = self.files.values().filter_map(|claim| claim.hold_ends(now)).min();
        let expires = self.files.values().filter_map(|claim| claim.expires(now)).min();
        let ended = tokio::select! {
            changes = watch.changed(clock) => return Some(changes),
            () = until(clock, retry) => return Some(Changes::Everything),
            // The last reading may have been in the middle of a write, whose end nothing reports.
            () = until(clock, hold) => return (self.watched == Some(Watched::Polled)).then_some(Changes::Everything),
            () = until_wall(clock, expires) => None,
            path = one_ended(&self.files) => Some(path),
        };
        if let Some(claim) = ended.and_then(|path| self.files.get_mut(&path)) {
            claim.process_ended();
        }
        None
    }
}

/// What the signal says while its files are being read for so long that their file system may not answer: a call may have begun or
/// ended.
fn late(path: &Path, watched: Option<Watched>) -> Observation<Call> {
    let warning = Warning {
        code: Code::CallStateUnreadable,
        text: format!(
            "Reading the call state in {} takes longer than {} seconds, because its file system does not answer or is slow.",
            path.display(),
            LATE_AFTER.as_secs()
        ),
        hint: "If it is on another machine, check that it responds. presenced continues by itself.".to_owned(),
    };
    Observation { reading: Reading::Unknown, source: path.display().to_string(), warnings: vec![warning], watched }
}

/// The file whose process ends first.
async fn one_ended<Name: Clone>(files: &BTreeMap<Name, Claim>) -> Name {
    let running = files.iter().filter_map(|(path, claim)| Some((path, claim.process()?)));
    let ends: Vec<_> = running
        .map(|(path, process)| {
            Box::pin(async move {
                process.ended().await;
                path.clone()
            })
        })
        .collect();
    if ends.is_empty() {
        return std::future::pending().await;
    }
    select_all(ends).await.0
}
