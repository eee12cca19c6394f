//! Busy classes: how strongly an event blocks its time, and which of its properties decide that.

use std::fmt;

use jiff::Timestamp;

use crate::words;

words! {
    /// An event's busy class, weakest first. If events overlap, the strongest class wins.
    pub enum BusyClass {
        /// Does not block any time.
        Free = "free",
        /// Working at another place than usual.
        WorkingElsewhere = "working-elsewhere",
        /// Not certain.
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
    /// The strongest class of all current events; free if there are none.
    pub class: BusyClass,
    /// Whether an event of that class is an online meeting.
    pub online: bool,
    /// When this state next changes; `None` if it does not change within the schedule's window.
    pub until: Option<Timestamp>,
}

impl fmt::Display for BusyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.class.fmt(f)
    }
}

/// The user's written participation status, `PARTSTAT` (RFC 5545, 3.2.12), weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Participation {
    /// Declined, or delegated to another person.
    Declined,
    /// Accepted tentatively, or not answered yet.
    Open,
    /// Accepted. Statuses that are not listed here count as this one.
    Accepted,
}

impl Participation {
    /// The status that is written; `None` if nothing is. The RFC's default for that, NEEDS-ACTION, is not an answer: Outlook
    /// and Google leave PARTSTAT out of the exports of meetings that the user has accepted.
    pub(super) fn of(written: &[u8]) -> Option<Self> {
        match written.trim_ascii().to_ascii_uppercase().as_slice() {
            b"" => None,
            b"DECLINED" | b"DELEGATED" => Some(Self::Declined),
            b"TENTATIVE" | b"NEEDS-ACTION" => Some(Self::Open),
            _ => Some(Self::Accepted),
        }
    }
}

/// The properties of an event that decide its busy class.
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BusyProperties {
    /// `STATUS:CANCELLED`, also in its American spelling, or METHOD:CANCEL (RFC 5546, 3.2.5).
    pub(super) cancelled: bool,
    /// `STATUS:TENTATIVE`.
    pub(super) tentative: bool,
    /// The user's participation status, if it is written.
    pub(super) participation: Option<Participation>,
    /// Whether the event has an organizer, and whether the user is it.
    pub(super) is_organized: bool,
    pub(super) user_organizes: bool,
    /// `X-MICROSOFT-CDO-BUSYSTATUS`.
    pub(super) busy_status: Option<BusyClass>,
    /// `X-MICROSOFT-CDO-INTENDEDSTATUS`.
    pub(super) intended_status: Option<BusyClass>,
    /// `TRANSP`; true for TRANSPARENT.
    pub(super) transparent: Option<bool>,
}

impl BusyProperties {
    /// The class of the event; `None` if the event is cancelled or declined and does not count at all.
    pub(super) fn class(self, whole_days: bool) -> Option<BusyClass> {
        // Organizers need not answer their own meetings.
        let participation = self.participation.filter(|_| !self.user_organizes);
        if self.cancelled || participation == Some(Participation::Declined) {
            return None;
        }
        // Outlook's own status already takes the answer into account.
        if let Some(class) = self.busy_status {
            return Some(class);
        }
        let class = self.intended_status.unwrap_or_else(|| self.class_by_transparency(whole_days));
        let is_open = participation == Some(Participation::Open) && self.is_organized;
        Some(if is_open { class.min(BusyClass::Tentative) } else { class })
    }

    fn class_by_transparency(self, whole_days: bool) -> BusyClass {
        match (self.transparent, whole_days) {
            (Some(true), _) | (None, true) => BusyClass::Free,
            (Some(false), _) | (None, false) if self.tentative => BusyClass::Tentative,
            (Some(false), _) | (None, false) => BusyClass::Busy,
        }
    }
}

/// The class for a value of `X-MICROSOFT-CDO-BUSYSTATUS` or `X-MICROSOFT-CDO-INTENDEDSTATUS` (MS-OXCICAL). Some programs write
/// the number of Outlook's `OlBusyStatus`, or spaces between the words.
pub(super) fn microsoft_class(value: &str) -> Option<BusyClass> {
    const NAMES: [(&str, &str, BusyClass); 6] = [
        ("FREE", "0", BusyClass::Free),
        ("TENTATIVE", "1", BusyClass::Tentative),
        ("BUSY", "2", BusyClass::Busy),
        ("OOF", "3", BusyClass::OutOfOffice),
        ("OUTOFOFFICE", "3", BusyClass::OutOfOffice),
        ("WORKINGELSEWHERE", "4", BusyClass::WorkingElsewhere),
    ];
    let is_separator = |character: char| character.is_whitespace() || matches!(character, '-' | '_');
    let word: String = value.chars().filter(|character| !is_separator(*character)).collect();
    NAMES.iter().find(|row| word.eq_ignore_ascii_case(row.0) || word == row.1).map(|row| row.2)
}

/// The class for a `FBTYPE` (RFC 5545, 3.2.9): BUSY if it is absent or not known.
pub(super) fn free_busy_class(fbtype: Option<&[u8]>) -> BusyClass {
    match fbtype.unwrap_or_default().trim_ascii().to_ascii_uppercase().as_slice() {
        b"FREE" => BusyClass::Free,
        b"BUSY-TENTATIVE" => BusyClass::Tentative,
        b"BUSY-UNAVAILABLE" => BusyClass::OutOfOffice,
        _ => BusyClass::Busy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelled_and_declined_events_do_not_count() {
        let busy = BusyProperties { busy_status: Some(BusyClass::Busy), ..BusyProperties::default() };
        assert_eq!(BusyProperties { cancelled: true, ..busy }.class(false), None);
        assert_eq!(BusyProperties { participation: Some(Participation::Declined), ..busy }.class(false), None);
        assert_eq!(busy.class(false), Some(BusyClass::Busy));
    }

    #[test]
    fn a_written_open_answer_is_tentative_unless_outlook_or_the_organizer_says_more() {
        let open = BusyProperties {
            participation: Some(Participation::Open),
            is_organized: true,
            ..BusyProperties::default()
        };
        assert_eq!(open.class(false), Some(BusyClass::Tentative));
        assert_eq!(BusyProperties { participation: None, ..open }.class(false), Some(BusyClass::Busy));
        assert_eq!(BusyProperties { is_organized: false, ..open }.class(false), Some(BusyClass::Busy));
        assert_eq!(BusyProperties { user_organizes: true, ..open }.class(false), Some(BusyClass::Busy));
        for (status, by_status, by_intended) in [
            (BusyClass::Busy, BusyClass::Busy, BusyClass::Tentative),
            (BusyClass::OutOfOffice, BusyClass::OutOfOffice, BusyClass::Tentative),
            (BusyClass::Free, BusyClass::Free, BusyClass::Free),
        ] {
            assert_eq!(BusyProperties { busy_status: Some(status), ..open }.class(false), Some(by_status));
            assert_eq!(BusyProperties { intended_status: Some(status), ..open }.class(false), Some(by_intended));
        }
        let declined = BusyProperties { participation: Some(Participation::Declined), ..open };
        assert_eq!(declined.class(false), None);
        assert_eq!(BusyProperties { user_organizes: true, ..declined }.class(false), Some(BusyClass::Busy));
    }

    #[test]
    fn an_answer_counts_only_if_it_is_written() {
        assert_eq!(Participation::of(b""), None);
        assert_eq!(Participation::of(b" needs-action "), Some(Participation::Open));
        assert_eq!(Participation::of(b"X-SEEN"), Some(Participation::Accepted));
        assert!(Participation::of(b"DECLINED") > None);
    }

    #[test]
    fn a_status_is_read_in_all_its_spellings() {
        for (written, class) in [
            ("busy", Some(BusyClass::Busy)),
            ("Working Elsewhere", Some(BusyClass::WorkingElsewhere)),
            ("OUT OF OFFICE", Some(BusyClass::OutOfOffice)),
            ("0", Some(BusyClass::Free)),
            ("4", Some(BusyClass::WorkingElsewhere)),
            ("5", None),
            ("", None),
        ] {
            assert_eq!(microsoft_class(written), class, "{written}");
        }
    }

    #[test]
    fn microsofts_status_wins_over_transparency() {
        let both = BusyProperties {
            busy_status: Some(BusyClass::OutOfOffice),
            transparent: Some(true),
            ..BusyProperties::default()
        };
        assert_eq!(both.class(true), Some(BusyClass::OutOfOffice));
        let intended =
            BusyProperties { intended_status: Some(BusyClass::WorkingElsewhere), ..BusyProperties::default() };
        assert_eq!(intended.class(true), Some(BusyClass::WorkingElsewhere));
        assert_eq!(
            BusyProperties { busy_status: Some(BusyClass::Free), ..intended }.class(false),
            Some(BusyClass::Free)
        );
    }

    #[test]
    fn all_day_events_are_free_unless_they_say_otherwise() {
        let plain = BusyProperties::default();
        assert_eq!(plain.class(true), Some(BusyClass::Free));
        assert_eq!(plain.class(false), Some(BusyClass::Busy));
        assert_eq!(BusyProperties { transparent: Some(false), ..plain }.class(true), Some(BusyClass::Busy));
        assert_eq!(BusyProperties { transparent: Some(true), ..plain }.class(false), Some(BusyClass::Free));
        assert_eq!(BusyProperties { tentative: true, ..plain }.class(false), Some(BusyClass::Tentative));
    }
}
