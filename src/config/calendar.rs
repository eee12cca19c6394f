//! Where calendars come from: the schema of `[signals.calendar]`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::OwnersPath;

/// The calendar signal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// The sources. An empty list is allowed, but has no effect.
    pub sources: Vec<CalendarSource>,
    /// The user's e-mail addresses, to find the user among an event's attendees. ASCII case is ignored.
    pub identity: Vec<String>,
}

impl Calendar {
    /// Whether a source is everybody's.
    pub fn is_shared(&self) -> bool {
        self.sources.iter().any(|source| !matches!(source.place, CalendarPlace::Owners(_)))
    }
}

/// One source of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarSource {
    /// Where it is.
    pub place: CalendarPlace,
    /// Whether the calendar is known without it, whatever is wrong with it.
    pub optional: bool,
}

/// Where a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalendarPlace {
    /// A file, or a folder that is searched for `*.ics`.
    Path(PathBuf),
    /// A file or folder for each user or each account.
    Owners(OwnersPath),
    /// A published calendar, fetched at intervals.
    Subscription(Subscription),
}

impl From<CalendarPlace> for CalendarSource {
    /// A source that is needed.
    fn from(place: CalendarPlace) -> Self {
        Self { place, optional: false }
    }
}

impl fmt::Display for CalendarPlace {
    /// For people: the path, or the subscription's host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) | Self::Owners(OwnersPath { path, .. }) => path.display().fmt(f),
            Self::Subscription(subscription) => write!(f, "subscription at {}", subscription.url),
        }
    }
}

/// A calendar that is fetched over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Where it is published: `https`, or `http` on loopback.
    pub url: SecretUrl,
    /// How long after a fetch the next one is due: 1 minute to 24 hours.
    pub refresh: Duration,
}

impl Subscription {
    /// The default `refresh`.
    pub const REFRESH: Duration = Duration::from_mins(15);
    /// The shortest `refresh`.
    pub const REFRESH_MIN: Duration = Duration::from_mins(1);
    /// The longest `refresh`.
    pub const REFRESH_MAX: Duration = Duration::from_hours(24);
}

/// An address that is itself a secret, as calendar services create them: anyone who knows it can read the calendar. It shows
/// only its host; the rest must be asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Keeps `url` without its fragment, which is never sent.
    pub fn new(mut url: Url) -> Self {
        url.set_fragment(None);
        Self(url)
    }

    /// The address itself, for a request. Never show it.
    pub fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_more_of_an_address_than_its_host() {
        let url =
            SecretUrl::new("https://me:hunter2@cal.example/hunter2/basic.ics?key=hunter2#hunter2".parse().unwrap());
        let subscription = Subscription { url, refresh: Subscription::REFRESH };
        let source = CalendarPlace::Subscription(subscription);
        assert_eq!(source.to_string(), "subscription at cal.example");
        let debug = format!("{source:?}");
        assert!(debug.contains("cal.example") && !debug.contains("hunter2"), "{debug}");
    }
}
