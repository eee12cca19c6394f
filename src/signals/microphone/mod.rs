//! The microphone signal: a user who records is in a call. The reading comes from `PulseAudio`, or from `PipeWire` in its place,
//! which report every stream that begins, pauses or ends.
//!
//! `pulse` speaks the native protocol on the event loop, `pulse_message` checks each message before the crate `pulseaudio`
//! parses it, `stream` says which streams may be a call, and `debounce` what has lasted long enough to count. While no sound
//! server answers, the signal is unknown. The return of a server is noticed by its socket, or at the next retry. Leaves to
//! others: what the call-state files say (`call`), and which of the two counts (`daemon/`).

mod debounce;
mod pulse;
mod pulse_message;
mod stream;

use std::convert::Infallible;
use std::{io, iter};

use crate::config;
use crate::policy::{Call, CallState, Reading};
use crate::signals::backoff::{Backoff, until};
use crate::signals::batch::Batch;
use crate::signals::{Context, Observation, Publisher, Update, unwatched};
use crate::time::{Clock, Instant};
use crate::warning::{Code, Warning};
use debounce::Debounce;
use pulse::{Pulse, ServerError};
use stream::{Counts, counts, name};

/// Follows who records. Never returns.
pub async fn run(config: config::Microphone, context: Context) {
    let clock = &*context.clock;
    let mut watch = context.file_watcher.subscribe();
    let mut backoff = Backoff::new();
    let mut microphone = Microphone {
        debounce: Debounce::new(config.settle),
        config,
        publisher: Publisher::new(context.updates, Update::Microphone),
        program: None,
    };
    loop {
        // Before the attempt, so that a server that starts right afterwards is not missed.
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
    debounce: Debounce,
    /// The program that recorded last.
    program: Option<String>,
}

impl Microphone {
    /// Follows who records on a new connection until that is lost.
    async fn follow(&mut self, clock: &dyn Clock, backoff: &mut Backoff) -> Result<Infallible, ServerError> {
        let mut server = Pulse::connect(&self.config.socket, &self.config.cookies, clock).await?;
        let mut batch = Batch::default();
        loop {
            // A user who moves a volume slider changes a stream many times a second.
            if let Some(end) = batch.collects_until(clock.now().instant) {
                clock.sleep_until(end).await;
            }
            batch.note(clock.now().instant);
            let program = self.recording_program(&mut server).await?;
            *backoff = Backoff::new();
            let is_recording = program.is_some();
            self.program = program.or(self.program.take());
            loop {
                let counts_at = self.publish_recording(is_recording, clock).await;
                tokio::select! {
                    changed = server.changed() => break changed?,
                    () = until(clock, counts_at) => {}
                }
            }
        }
    }

    /// The program that is in a call, according to the server. Of several, the one that was named before counts, so that the
    /// name does not flicker.
    async fn recording_program(&self, server: &mut Pulse<'_>) -> Result<Option<String>, ServerError> {
        let streams = server.recorders().await?;
        let mut candidates: Vec<_> = streams
            .iter()
            .map(|stream| (name(stream), counts(stream, &self.config), stream.source_index))
            .filter(|(_, counts, _)| *counts != Counts::Never)
            .collect();
        candidates.sort_by_key(|(name, ..)| self.program.as_ref() != Some(name));
        for (name, counts, source) in candidates {
            // A stream without a source waits for a microphone to be plugged in.
            let Some(is_monitor) = server.is_monitor(source).await? else { continue };
            if !is_monitor || counts == Counts::FromAnywhere {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Publishes what counts while a program is or is not recording; returns when something else will count.
    async fn publish_recording(&mut self, is_recording: bool, clock: &dyn Clock) -> Option<Instant> {
        let reading = match self.debounce.update(is_recording, clock.now().instant) {
            Some(true) => Reading::Known(Call {
                state: CallState::InCall,
                app: self.program.as_ref().map(|program| format!("{program} records")),
            }),
            Some(false) => Reading::Known(Call { state: CallState::Idle, app: None }),
            None => Reading::Unknown,
        };
        self.publish(reading, Vec::new()).await;
        self.debounce.counts_at()
    }

    /// Publishes that nothing is known, and why. `unwatched`: why the return of the server cannot be seen either.
    async fn lost(&mut self, lost: &ServerError, unwatched: Vec<Warning>) {
        self.debounce.interrupt();
        let socket = self.config.socket.display();
        let warning = Warning {
            code: Code::MicrophoneUnavailable,
            text: format!("Use of the microphone cannot be seen at {socket}: {lost}."),
            hint: hint(lost).to_owned(),
        };
        self.publish(Reading::Unknown, iter::once(warning).chain(unwatched).collect()).await;
    }

    async fn publish(&mut self, reading: Reading<Call>, warnings: Vec<Warning>) {
        let source = self.config.socket.display().to_string();
        self.publisher.publish(Observation { reading, source, warnings, watched: None }).await;
    }
}

fn hint(lost: &ServerError) -> &'static str {
    match lost {
        ServerError::Denied => {
            "Set $PULSE_COOKIE for presenced to the server's cookie, which is in ~/.config/pulse/cookie of the user who runs it."
        }
        ServerError::Absent(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "Run presenced as the user who owns the sound server."
        }
        ServerError::Absent(_) | ServerError::Closed | ServerError::Broken(_) | ServerError::NoAnswer => {
            "Start it (`systemctl --user start pipewire-pulse`, or `pulseaudio --start`), or remove [signals.microphone] from \
             the configuration."
        }
        ServerError::Refused(_) | ServerError::Garbage(_) => {
            "See what answers there with `pactl info`, and set $PULSE_SERVER for presenced if the sound server is elsewhere."
        }
    }
}
