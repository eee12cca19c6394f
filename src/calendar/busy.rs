//! Busy classes: how strongly an event claims its time, and which of its properties decide that.

use std::fmt;

use jiff::Timestamp;

use crate::words::words;

words! {
    /// An event's busy class, weakest first: of overlapping events the strongest counts.
    pub enum BusyClass {
        /// Claims no time.
        Free = "free",
        /// Working, but not at the usual place.
        WorkingElsewhere = "working-elsewhere",
        /// Perhaps.
        Tentative = "tentative",
        /// Busy.
        Busy = "busy",
        /// Out of office.
        OutOfOffice = "out-of-office",
    }
}

/// The busy state at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyState {
    /// The strongest class of all events now; free when there is none.
    pub class: BusyClass,
    /// Whether an event of that class is an online meeting.
    pub online: bool,
    /// When this state next changes, as far as the known window reaches; `None`: not within it.
    pub until: Option<Timestamp>,
}

impl fmt::Display for BusyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.class.fmt(f)
    }
}

/// The user's own answer to an invitation (RFC 5545, 3.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Accepted, or somebody else's business.
    Accepted,
    /// Perhaps, or not given yet.
    Open,
    /// Declined, or handed on to somebody else.
    Declined,
}

/// What an event says of its busy class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claims {
    /// `STATUS:CANCELLED`.
    pub(super) cancelled: bool,
    /// `STATUS:TENTATIVE`.
    pub(super) tentative: bool,
    /// The user's answer, when the user is among the attendees.
    pub(super) answer: Option<Answer>,
    /// `X-MICROSOFT-CDO-BUSYSTATUS`.
    pub(super) shown: Option<BusyClass>,
    /// `X-MICROSOFT-CDO-INTENDEDSTATUS`.
    pub(super) intended: Option<BusyClass>,
    /// `TRANSP`: whether it is TRANSPARENT.
    pub(super) transparent: Option<bool>,
}

impl Claims {
    /// The class of an event; `None` when the event is nothing: cancelled or declined.
    pub(super) fn class(self, whole_days: bool) -> Option<BusyClass> {
        if self.cancelled || self.answer == Some(Answer::Declined) {
            return None;
        }
        let by_transparency = || match (self.transparent, whole_days) {
            (Some(true), _) | (None, true) => BusyClass::Free,
            (Some(false), _) | (None, false) if self.tentative => BusyClass::Tentative,
            (Some(false), _) | (None, false) => BusyClass::Busy,
        };
        let class = self.shown.or(self.intended).unwrap_or_else(by_transparency);
        // An open invitation claims less than it would; one that is shown as free claims nothing either way.
        let open = self.answer == Some(Answer::Open) && class > BusyClass::Tentative;
        Some(if open { BusyClass::Tentative } else { class })
    }
}

/// The class that a value of Microsoft's properties names.
pub(super) fn microsoft_class(value: &str) -> Option<BusyClass> {
    const NAMES: [(&str, BusyClass); 5] = [
        ("FREE", BusyClass::Free),
        ("WORKINGELSEWHERE", BusyClass::WorkingElsewhere),
        ("TENTATIVE", BusyClass::Tentative),
        ("BUSY", BusyClass::Busy),
        ("OOF", BusyClass::OutOfOffice),
    ];
    NAMES.iter().find(|(name, _)| value.eq_ignore_ascii_case(name)).map(|(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelled_and_declined_events_are_nothing() {
        let busy = Claims { shown: Some(BusyClass::Busy), ..Claims::default() };
        assert_eq!(Claims { cancelled: true, ..busy }.class(false), None);
        assert_eq!(Claims { answer: Some(Answer::Declined), ..busy }.class(false), None);
        assert_eq!(busy.class(false), Some(BusyClass::Busy));
    }

    #[test]
    fn an_open_invitation_is_tentative_unless_it_is_free_anyway() {
        let open = Claims { answer: Some(Answer::Open), ..Claims::default() };
        assert_eq!(open.class(false), Some(BusyClass::Tentative));
        for (shown, class) in [
            (BusyClass::Busy, BusyClass::Tentative),
            (BusyClass::OutOfOffice, BusyClass::Tentative),
            (BusyClass::Free, BusyClass::Free),
        ] {
            assert_eq!(Claims { shown: Some(shown), ..open }.class(false), Some(class));
        }
    }

    #[test]
    fn microsofts_status_wins_over_transparency() {
        let both = Claims { shown: Some(BusyClass::OutOfOffice), transparent: Some(true), ..Claims::default() };
        assert_eq!(both.class(true), Some(BusyClass::OutOfOffice));
        let intended = Claims { intended: Some(BusyClass::WorkingElsewhere), ..Claims::default() };
        assert_eq!(intended.class(true), Some(BusyClass::WorkingElsewhere));
        assert_eq!(Claims { shown: Some(BusyClass::Free), ..intended }.class(false), Some(BusyClass::Free));
    }

    #[test]
    fn whole_days_are_free_unless_they_say_otherwise() {
        let plain = Claims::default();
        assert_eq!(plain.class(true), Some(BusyClass::Free));
        assert_eq!(plain.class(false), Some(BusyClass::Busy));
        assert_eq!(Claims { transparent: Some(false), ..plain }.class(true), Some(BusyClass::Busy));
        assert_eq!(Claims { transparent: Some(true), ..plain }.class(false), Some(BusyClass::Free));
        assert_eq!(Claims { tentative: true, ..plain }.class(false), Some(BusyClass::Tentative));
    }
}
