//! What was set for one user or one account through the socket, and what that makes of the machine's readings for it.
//!
//! What was set for it comes before the machine's reading of the same name. What was not set, or has ended, leaves the
//! machine's reading as it is.

use std::collections::BTreeMap;

use crate::fill::Fill as _;
use crate::kept::{Kept, Lasting, Life, Restored};
use crate::policy::{Call, CallState, Claim, Named, Override, Reading, Snapshot};
use crate::time::{Instant, Now};

use super::super::kept::Word;
use crate::status::users::{CALL, UserChange};

/// How many signals may be set for one user.
const MAX_SIGNALS: usize = 32;

/// What is set.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Own {
    manual: Option<Lasting<Claim>>,
    call: Option<Lasting<CallState>>,
    /// Usually one or two; a map would take 1 kB for each user.
    named: Vec<(String, Lasting<Word>)>,
}

impl Own {
    /// Takes in a change. `writer` is the program that makes it. The error is a sentence for the client.
    pub(in crate::daemon) fn apply(
        &mut self,
        change: &UserChange,
        writer: Option<&str>,
        now: &Now,
    ) -> Result<(), String> {
        self.named.retain(|(_, signal)| signal.is_in_force(now));
        match change {
            UserChange::SetOverride(claim, ttl) => self.manual = Some(Lasting::new(*claim, *ttl, now)),
            UserChange::ClearOverride => self.manual = None,
            UserChange::SetCall(state, ttl) => self.call = Some(Lasting::new(*state, *ttl, now)),
            UserChange::ClearCall => {
                self.call.take().ok_or("no call state is set there")?;
            }
            UserChange::SetSignal(name, value, ttl) => {
                let word = Word { value: value.clone(), writer: writer.map(str::to_owned) };
                let signal = Lasting::new(word, *ttl, now);
                match self.place(name) {
                    Some(place) => self.named[place].1 = signal,
                    None if self.named.len() >= MAX_SIGNALS => {
                        return Err(format!("{MAX_SIGNALS} signals are set there already; unset one first"));
                    }
                    None => {
                        self.named.reserve_exact(1);
                        self.named.push((name.clone(), signal));
                    }
                }
            }
            UserChange::ClearSignal(name) => {
                let place = self.place(name).ok_or_else(|| format!("no signal `{name}` is set there"))?;
                self.named.remove(place);
            }
        }
        Ok(())
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.named.iter().position(|(known, _)| known == name)
    }

    /// Whether nothing is set.
    pub(in crate::daemon) fn is_empty(&self) -> bool {
        self.manual.is_none() && self.call.is_none() && self.named.is_empty()
    }

    /// The readings with what is set.
    pub(in crate::daemon) fn over(&self, machine: &Snapshot, now: &Now) -> Snapshot {
        let mut readings = machine.clone();
        if let Some(call) = self.call.as_ref().filter(|call| call.is_in_force(now)) {
            readings.call = Reading::Known(Call { state: call.value, app: None });
        }
        for (name, signal) in self.named.iter().filter(|(_, signal)| signal.is_in_force(now)) {
            let named = Named { value: signal.value.value.clone(), until: signal.ends_at(now) };
            readings.signals.insert(name.clone(), named);
        }
        if let Some(manual) = self.manual.as_ref().filter(|manual| manual.is_in_force(now)) {
            readings.manual = Some(Override { claim: manual.value, until: manual.ends_at(now) });
        }
        readings
    }

    /// The first end after `now` of something that is set.
    pub(in crate::daemon) fn next_end(&self, now: &Now) -> Option<Instant> {
        let ends = [self.manual.as_ref().and_then(|it| it.until), self.call.as_ref().and_then(|it| it.until)];
        let named = self.named.iter().filter_map(|(_, signal)| signal.until);
        ends.into_iter().flatten().chain(named).filter(|end| *end > now.instant).min()
    }

    /// What is set and in force, to be kept over a restart.
    pub(in crate::daemon) fn kept(own: Option<&Self>, life: &Life, now: &Now) -> Kept<Word> {
        let mut kept =
            Kept { life: life.clone(), instant: now.instant, wall: now.wall, manual: None, signals: BTreeMap::new() };
        let Some(own) = own else { return kept };
        kept.manual = own.manual.clone().filter(|manual| manual.is_in_force(now));
        let call = own.call.as_ref().map(|call| {
            let word = Word { value: call.value.to_string(), writer: None };
            (CALL.to_owned(), Lasting { value: word, until: call.until })
        });
        let named = own.named.iter().cloned();
        kept.signals = named.chain(call).filter(|(_, signal)| signal.is_in_force(now)).fill();
        kept
    }

    /// What still holds after a restart.
    pub(in crate::daemon) fn restored(
        Restored { manual, mut signals, outdated: _, differs: _ }: Restored<Word>,
    ) -> Self {
        let call = signals.remove(CALL);
        let call = call.and_then(|call| Some(Lasting { value: call.value.value.parse().ok()?, until: call.until }));
        Self { manual, call, named: signals.into_iter().collect() }
    }

    /// What is set and in force, by name, for people.
    pub(in crate::daemon) fn words(&self, now: &Now) -> BTreeMap<String, String> {
        let call = self
            .call
            .as_ref()
            .filter(|call| call.is_in_force(now))
            .map(|call| ("call".to_owned(), call.value.to_string()));
        let manual = self.manual.as_ref().filter(|manual| manual.is_in_force(now));
        let manual = manual.map(|manual| ("override".to_owned(), manual.value.to_string()));
        let named = self.named.iter().filter(|(_, signal)| signal.is_in_force(now));
        let named = named.map(|(name, signal)| (format!("signal.{name}"), signal.value.value.clone()));
        call.into_iter().chain(manual).chain(named).fill()
    }
}
