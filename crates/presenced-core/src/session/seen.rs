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
pub enum Winner {
    /// A preferred presence, because no session can hide a stronger one.
    Preferred,
    /// Another session or a preferred presence.
    SessionOrPreferred,
    /// The asserted preferred presence was replaced or cleared later.
    LaterChoice,
}

/// What wins over `ours`, the asserted availability and activity, if others see `seen`. `ours_is_preferred` says that it is
/// asserted as the preferred presence, which nothing else hides. `None` if nothing wins, or if that is unknown.
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
    fn the_winner_is_named_only_if_it_is_known() {
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
    fn the_ranks_agree_with_those_of_presences() {
        for one in crate::presence::Presence::ALL {
            for two in crate::presence::Presence::ALL {
                let order = rank(one.availability()).cmp(&rank(two.availability()));
                assert_eq!(order, one.precedence().cmp(&two.precedence()));
            }
        }
    }
}
