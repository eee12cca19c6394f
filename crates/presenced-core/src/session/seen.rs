//! What others see, as Graph reads it, and what follows from that beside what is asserted.
//!
//! Source: Graph API reference, `presence` resource type, and `Manage presence state using the Microsoft Graph API` for the
//! order in which sessions are aggregated.

/// The words that Graph's reference has for availability and activity. Another is passed on as it came.
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

/// A presence as others see it: more than an application may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Availability.
    pub availability: String,
    /// Activity.
    pub activity: String,
}

impl Seen {
    /// What Graph answered. Words that are known get their known spelling, whatever their case.
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

/// Why others see something else than what is asserted, as far as that can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winner {
    /// Only a preferred presence can do that: no session can hide a stronger one.
    Preferred,
    /// Another session does, or a preferred presence.
    SessionOrPreferred,
    /// The preferred presence that is asserted was replaced or taken back since.
    LaterChoice,
}

/// Who wins over `ours`, an availability and activity that is asserted, when others see `seen`. `ours_is_preferred`: it is
/// asserted as the preferred presence, above which there is nothing. `None`: nobody does, or that cannot be told.
pub fn winner(seen: (&str, &str), ours: (&str, &str), ours_is_preferred: bool) -> Option<Winner> {
    if seen.0.eq_ignore_ascii_case(ours.0) && seen.1.eq_ignore_ascii_case(ours.1) {
        return None;
    }
    if ours_is_preferred {
        return Some(Winner::LaterChoice);
    }
    let (seen, ours) = (rank(seen.0)?, rank(ours.0)?);
    Some(if seen < ours { Winner::Preferred } else { Winner::SessionOrPreferred })
}

/// The rank of an availability among sessions, weakest first; `None`: it is not a word of the reference.
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
    fn known_words_are_spelt_and_unknown_ones_pass() {
        assert_eq!(Seen::new("donotdisturb", "INAMEETING"), Seen::new("DoNotDisturb", "InAMeeting"));
        let unknown = Seen::new("Dreaming", "On\u{1b}[31mMars");
        assert_eq!((unknown.availability.as_str(), unknown.activity.as_str()), ("Dreaming", "On[31mMars"));
        assert_eq!(Seen::new(&"x".repeat(1000), "").availability.len(), MAX_WORD_CHARS);
    }

    #[test]
    fn who_wins_is_said_only_where_it_is_known() {
        use Winner::{LaterChoice, Preferred, SessionOrPreferred};
        let away = ("Away", "Away");
        let call = ("Busy", "InACall");
        for (seen, ours, ours_is_preferred, expected) in [
            (call, call, false, None),
            (("busy", "inacall"), call, false, None),
            (("Available", "Available"), away, false, Some(SessionOrPreferred)),
            (("AvailableIdle", "Inactive"), away, false, Some(SessionOrPreferred)),
            (("DoNotDisturb", "Presenting"), call, false, Some(SessionOrPreferred)),
            (("Busy", "InAMeeting"), call, false, Some(SessionOrPreferred)),
            (("BeRightBack", "BeRightBack"), call, false, Some(Preferred)),
            (("Offline", "OffWork"), away, false, Some(Preferred)),
            (away, away, true, None),
            (("Busy", "Busy"), away, true, Some(LaterChoice)),
            (("PresenceUnknown", "PresenceUnknown"), away, false, None),
            (("Dreaming", "OnMars"), call, false, None),
        ] {
            assert_eq!(winner(seen, ours, ours_is_preferred), expected, "{seen:?} beside {ours:?}");
        }
    }

    #[test]
    fn the_order_is_that_of_the_presences_that_can_be_set() {
        for one in crate::presence::Presence::ALL {
            for two in crate::presence::Presence::ALL {
                let order = rank(one.availability()).cmp(&rank(two.availability()));
                assert_eq!(order, one.precedence().cmp(&two.precedence()));
            }
        }
    }
}
