//! The microphone signal: somebody who records is in a call. Asked of `PulseAudio`, or of `PipeWire` in its place, which tell
//! of every stream that begins, pauses or ends.
//!
//! While no sound server answers it is unknown. A server that comes back is noticed by its socket, and at the latest by
//! the next try. Leaves to others: which streams are no calls (`stream`), what lasts long enough to count
//! (`debounce`), and what the call-state files say (`call`).

mod debounce;
mod pulse;
mod pulse_message;
mod stream;

use std::convert::Infallible;
use std::{io, iter};

use crate::config;
use crate::policy::{Call, CallState, Reading};
use crate::signals::backoff::{Backoff, until};
use crate::signals::batch::Burst;
use crate::signals::{Context, Observation, Publisher, Update, unwatched};
use crate::time::{Clock, Instant};
use crate::warning::{Code, Warning};
use debounce::Settled;
use pulse::{Lost, Pulse};
use stream::{Counts, counts, name};

/// Follows who records. Never returns.
pub async fn run(config: config::Microphone, context: Context) {
    let clock = &*context.clock;
    let mut watch = context.file_watcher.subscribe();
    let mut backoff = Backoff::new();
    let mut microphone = Microphone {
        settled: Settled::new(config.settle),
        config,
        publisher: Publisher::new(context.updates, Update::Microphone),
        who: None,
    };
    loop {
        // Before it is tried, so that a server that comes right after is not missed.
        watch.resolve(&microphone.config.socket);
        let Err(lost) = microphone.follow(clock, &mut backoff).await;
        tracing::debug!(%lost, "sound server");
        microphone.lost(&lost, unwatched(&watch)).await;
        tokio::select! {
            _ = watch.changed(clock) => {}
            () = backoff.wait(clock) => {}
        }
    }
}

struct Microphone {
    config: config::Microphone,
    publisher: Publisher<Call>,
    settled: Settled,
    /// Who recorded last.
    who: Option<String>,
}

impl Microphone {
    /// Follows who records on a new connection until that is lost.
    async fn follow(&mut self, clock: &dyn Clock, backoff: &mut Backoff) -> Result<Infallible, Lost> {
        let mut server = Pulse::connect(&self.config.socket, &self.config.cookies, clock).await?;
        let mut burst = Burst::default();
        loop {
            // Somebody who draws a volume up and down changes a stream many times a second.
            if let Some(gathered) = burst.gathers_until(clock.now().instant) {
                clock.sleep_until(gathered).await;
            }
            burst.note(clock.now().instant);
            let who = self.who_records(&mut server).await?;
            *backoff = Backoff::new();
            let is_recording = who.is_some();
            self.who = who.or(self.who.take());
            loop {
                let counts_at = self.show(is_recording, clock).await;
                tokio::select! {
                    changed = server.changed() => break changed?,
                    () = until(clock, counts_at) => {}
                }
            }
        }
    }

    /// Who is in a call by what the server says; of several whoever was named before, so that the name does not flicker.
    async fn who_records(&self, server: &mut Pulse<'_>) -> Result<Option<String>, Lost> {
        let streams = server.recorders().await?;
        let mut candidates: Vec<_> = streams
            .iter()
            .map(|stream| (name(stream), counts(stream, &self.config), stream.source_index))
            .filter(|(_, counts, _)| *counts != Counts::Never)
            .collect();
        candidates.sort_by_key(|(name, ..)| self.who.as_ref() != Some(name));
        for (name, counts, source) in candidates {
            // A stream without a source waits for a microphone to be plugged in.
            let Some(is_monitor) = server.is_monitor(source).await? else { continue };
            if !is_monitor || counts == Counts::FromAnywhere {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Publishes what counts when somebody is seen to record or nobody is; says when something else will count.
    async fn show(&mut self, is_recording: bool, clock: &dyn Clock) -> Option<Instant> {
        let reading = match self.settled.see(is_recording, clock.now().instant) {
            Some(true) => Reading::Known(Call {
                state: CallState::InCall,
                app: self.who.as_ref().map(|who| format!("{who} records")),
            }),
            Some(false) => Reading::Known(Call { state: CallState::Idle, app: None }),
            None => Reading::Unknown,
        };
        self.publish(reading, Vec::new()).await;
        self.settled.counts_at()
    }

    /// Publishes that nothing is known, and why. `unwatched`: the server's return is not seen either.
    async fn lost(&mut self, lost: &Lost, unwatched: Vec<Warning>) {
        self.settled.lose();
        let socket = self.config.socket.display();
        let warning = Warning {
            code: Code::MicrophoneUnavailable,
            text: format!("Who records from the microphone cannot be seen at {socket}: {lost}."),
            hint: hint(lost).to_owned(),
        };
        self.publish(Reading::Unknown, iter::once(warning).chain(unwatched).collect()).await;
    }

    async fn publish(&mut self, reading: Reading<Call>, warnings: Vec<Warning>) {
        let source = self.config.socket.display().to_string();
        self.publisher.publish(Observation { reading, source, warnings }).await;
    }
}

fn hint(lost: &Lost) -> &'static str {
    match lost {
        Lost::Denied => {
            "Set $PULSE_COOKIE for presenced to the server's cookie, which is in ~/.config/pulse/cookie of whoever runs it."
        }
        Lost::Absent(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "Run presenced as the user whose sound server it is."
        }
        Lost::Absent(_) | Lost::Closed | Lost::Broken(_) | Lost::Silent => {
            "Start it (`systemctl --user start pipewire-pulse`, or `pulseaudio --start`), or take [signals.microphone] out \
             of the configuration."
        }
        Lost::Refused(_) | Lost::Garbage(_) => {
            "See what answers there with `pactl info`, and set $PULSE_SERVER for presenced if the sound server is elsewhere."
        }
    }
}
