//! The presence that others see, as Graph reports it, and why it differs from the asserted presence.
//!
//! Source: Graph API reference, `presence` resource type, and "Manage presence state using the Microsoft Graph API" for the
//! order in which sessions are aggregated.

/// The words for availability and activity in Graph's reference. Other words are passed on unchanged.
const WORDS: [&str; 19] = [
    "Available",
    "AvailableIdle",
    "AvailableInactive",
    "Away",
    "BeRightBack",
    "Busy",
    "BusyIdle",
    "DoNotDisturb",
    "Focusing",
    "InACall",
    "InAConferenceCall",
    "InAMeeting",
    "Inactive",
    "Offline",
    "OffWork",
    "OutOfOffice",
    "PresenceUnknown",
    "Presenting",
    "UrgentInterruptionsOnly",
];

/// The longest word that is passed on, in characters.
const MAX_WORD_CHARS: usize = 64;

/// A presence as others see it. There are more of these than an application may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Availability.
    pub availability: String,
    /// Activity.
    pub activity: String,
}

impl Seen {
    /// Graph's answer. Known words get the spelling of the reference; unknown ones are cut to 64 visible ASCII characters.
    pub fn new(availability: &str, activity: &str) -> Self {
        Self { availability: spelt(availability), activity: spelt(activity) }
    }
}

fn spelt(word: &str) -> String {
    match WORDS.into_iter().find(|known| known.eq_ignore_ascii_case(word)) {
        Some(known) => known.to_owned(),
        None => word.chars().filter(char::is_ascii_graphic).take(MAX_WORD_CHARS).collect(),
    }
}

/// Why others see something other than the asserted presence, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// `Offline/Offline`: no session is in effect. It was lost or never applied.
    NotInEffect,
    /// `Available/AvailableInactive`: the session has faded.
    Faded,
    /// `Away/Away` instead of Available: the session has faded, or somebody prefers Away.
    FadedOrPreferred,
    /// `PresenceUnknown`: Graph does not know the user's presence.
    UnknownUser,
    /// `Offline/OffWork`: the user chose to appear offline.
    AppearsOffline,
    /// The asserted availability, to which Exchange adds that the user is out of office.
    OutOfOffice,
    /// A preferred presence, because no session can hide a stronger one.
    Preferred,
    /// Another session or a preferred presence.
    SessionOrPreferred,
    /// The asserted preferred presence was replaced or cleared later.
    LaterChoice,
}

impl Difference {
    /// Whether the session may have been lost, so that setting it again may help.
    pub const fn is_perhaps_lost(self) -> bool {
        matches!(self, Self::NotInEffect | Self::Faded | Self::FadedOrPreferred)
    }
}

/// Why others see `seen` instead of `ours`, the asserted availability and activity. `ours_is_preferred` says that it is asserted
/// as the preferred presence, which nothing else hides. `None` if there is no difference, or if the reason is unknown.
///
/// Source: "Manage presence state using the Microsoft Graph API", the table of permutations.
pub fn difference(seen: (&str, &str), ours: (&str, &str), ours_is_preferred: bool) -> Option<Difference> {
    let is_seen = |availability: &str, activity: &str| {
        seen.0.eq_ignore_ascii_case(availability) && seen.1.eq_ignore_ascii_case(activity)
    };
    if is_seen(ours.0, ours.1) {
        None
    } else if seen.0.eq_ignore_ascii_case("PresenceUnknown") {
        Some(Difference::UnknownUser)
    } else if is_seen("Offline", "Offline") {
        Some(Difference::NotInEffect)
    } else if is_seen("Offline", "OffWork") {
        Some(Difference::AppearsOffline)
    } else if is_seen(ours.0, "OutOfOffice") {
        Some(Difference::OutOfOffice)
    } else if ours_is_preferred {
        Some(Difference::LaterChoice)
    } else if is_seen("Available", "AvailableInactive") && rank(ours.0) >= rank("Available") {
        Some(Difference::Faded)
    } else if is_seen("Away", "Away") && ours.0.eq_ignore_ascii_case("Available") {
        Some(Difference::FadedOrPreferred)
    } else {
        let (seen, ours) = (rank(seen.0)?, rank(ours.0)?);
        Some(if seen < ours { Difference::Preferred } else { Difference::SessionOrPreferred })
    }
}

/// The rank of an availability among sessions, weakest first; `None` if it is not in the reference.
fn rank(availability: &str) -> Option<u8> {
    let ranks: [&[&str]; 6] = [
        &["Offline"],
        &["Away"],
        &["BeRightBack"],
        &["Available", "AvailableIdle"],
        &["Busy", "BusyIdle"],
        &["DoNotDisturb"],
    ];
    let is_of = |words: &&[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(availability));
    ranks.iter().zip(0..).find_map(|(words, rank)| is_of(words).then_some(rank))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_get_their_spelling_and_unknown_ones_pass() {
        assert_eq!(Seen::new("donotdisturb", "INAMEETING"), Seen::new("DoNotDisturb", "InAMeeting"));
        let unknown = Seen::new("Dreaming", "On\u{1b}[31mMars");
        assert_eq!((unknown.availability.as_str(), unknown.activity.as_str()), ("Dreaming", "On[31mMars"));
        assert_eq!(Seen::new(&"x".repeat(1000), "").availability.len(), MAX_WORD_CHARS);
    }

    #[test]
    fn a_difference_is_named_only_if_its_reason_is_known() {
        use Difference::{
            AppearsOffline, Faded, FadedOrPreferred, LaterChoice, NotInEffect, OutOfOffice, Preferred,
            SessionOrPreferred, UnknownUser,
        };
        let (away, call, available) = (("Away", "Away"), ("Busy", "InACall"), ("Available", "Available"));
        for (seen, ours, ours_is_preferred, expected) in [
            (call, call, false, None),
            (("busy", "inacall"), call, false, None),
            (("Offline", "Offline"), call, false, Some(NotInEffect)),
            (("Offline", "Offline"), away, true, Some(NotInEffect)),
            (("Available", "AvailableInactive"), available, false, Some(Faded)),
            (("Available", "AvailableInactive"), call, false, Some(Faded)),
            (("Available", "AvailableInactive"), away, false, Some(SessionOrPreferred)),
            (away, available, false, Some(FadedOrPreferred)),
            (away, call, false, Some(Preferred)),
            (("PresenceUnknown", "PresenceUnknown"), away, false, Some(UnknownUser)),
            (("Offline", "OffWork"), away, false, Some(AppearsOffline)),
            (("Available", "OutOfOffice"), available, false, Some(OutOfOffice)),
            (("Busy", "OutOfOffice"), call, false, Some(OutOfOffice)),
            (available, away, false, Some(SessionOrPreferred)),
            (("AvailableIdle", "Inactive"), away, false, Some(SessionOrPreferred)),
            (("DoNotDisturb", "Presenting"), call, false, Some(SessionOrPreferred)),
            (("Busy", "InAMeeting"), call, false, Some(SessionOrPreferred)),
            (("BeRightBack", "BeRightBack"), call, false, Some(Preferred)),
            (away, away, true, None),
            (("Busy", "Busy"), away, true, Some(LaterChoice)),
            (("Dreaming", "OnMars"), call, false, None),
        ] {
            assert_eq!(difference(seen, ours, ours_is_preferred), expected, "{seen:?} beside {ours:?}");
        }
    }

    #[test]
    fn the_ranks_agree_with_those_of_presences() {
        for one in crate::presence::Presence::ALL {
            for two in crate::presence::Presence::ALL {
                let order = rank(one.availability()).cmp(&rank(two.availability()));
                assert_eq!(order, one.precedence().cmp(&two.precedence()));
            }
        }
    }
}
