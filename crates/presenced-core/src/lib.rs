//! The core of presenced: which presence a user should have, until when, and when to tell Microsoft Graph.
//!
//! Nothing in this crate reads a file, a socket, a clock or the environment. Time comes in as an argument, and what has to be sent
//! comes out as a value. The crate has no runtime among its dependencies, and its `clippy.toml` bans the parts of the standard
//! library that do I/O.
//!
//! There is one exception. A named time zone (`Europe/Berlin`) is looked up in the system's zone files by `jiff`. The zone of the
//! machine itself is never looked up: it arrives in [`time::Now`].
//!
//! | module | what it answers |
//! |---|---|
//! | [`presence`] | which presences exist: the five pairs that Graph accepts, and the expiration |
//! | [`calendar`] | what do these calendar files say about a moment, and until when? |
//! | [`policy`] | what do the signals mean together? |
//! | [`failure`] | what can go wrong with a request, and what happens then? |
//! | [`session`] | what must be sent to Graph next, and when? |
//! | [`pacer`] | whose request goes to Graph next, so that nobody fades and nothing is throttled? |
//! | [`kept`] | what of that which was set through the socket still holds after a restart? |
//! | [`sleep_watch`] | when must logind be asked whether sleep is over? |
//! | [`certificate`] | what is in this certificate? |
//! | [`local_request`] | was this HTTP request meant for this machine? |
//! | [`time`] | what is a point in time, and which clock does it come from? |
//! | [`finding`] | what is wrong with a text, and where in it? |
//! | [`warning`] | which warnings exist? |
//! | [`words`](mod@words) | closed lists of words, with text and parser |
//! | [`fill`] | how is a small ordered map filled? |
//! | [`suggest`] | which word did the user probably mean? |
//!
//! `simulation` exists in tests only. It runs thousands of days through the policy and the session.
//!
//! This is the library behind the program `presenced`, not a stable API.

pub mod calendar;
pub mod certificate;
pub mod failure;
pub mod fill;
pub mod finding;
pub mod kept;
pub mod local_request;
pub mod pacer;
pub mod policy;
pub mod presence;
pub mod session;
#[cfg(test)]
mod simulation;
pub mod sleep_watch;
pub mod suggest;
pub mod time;
pub mod warning;
pub mod words;
