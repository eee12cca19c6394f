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

/// The user's participation status, `PARTSTAT` (RFC 5545, 3.2.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Participation {
    /// Accepted. Statuses that are not listed here count as this one.
    Accepted,
    /// Accepted tentatively, or not answered yet.
    Open,
    /// Declined, or delegated to another person.
    Declined,
}

/// The properties of an event that decide its busy class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BusyProperties {
    /// `STATUS:CANCELLED`.
    pub(super) cancelled: bool,
    /// `STATUS:TENTATIVE`.
    pub(super) tentative: bool,
    /// The user's participation status, if the user is an attendee.
    pub(super) participation: Option<Participation>,
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
        if self.cancelled || self.participation == Some(Participation::Declined) {
            return None;
        }
        let by_transparency = || match (self.transparent, whole_days) {
            (Some(true), _) | (None, true) => BusyClass::Free,
            (Some(false), _) | (None, false) if self.tentative => BusyClass::Tentative,
            (Some(false), _) | (None, false) => BusyClass::Busy,
        };
        let class = self.busy_status.or(self.intended_status).unwrap_or_else(by_transparency);
        // An open invitation is at most tentative.
        let open = self.participation == Some(Participation::Open) && class > BusyClass::Tentative;
        Some(if open { BusyClass::Tentative } else { class })
    }
}

/// The class for a value of `X-MICROSOFT-CDO-BUSYSTATUS` or `X-MICROSOFT-CDO-INTENDEDSTATUS` (MS-OXCICAL).
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
    fn cancelled_and_declined_events_do_not_count() {
        let busy = BusyProperties { busy_status: Some(BusyClass::Busy), ..BusyProperties::default() };
        assert_eq!(BusyProperties { cancelled: true, ..busy }.class(false), None);
        assert_eq!(BusyProperties { participation: Some(Participation::Declined), ..busy }.class(false), None);
        assert_eq!(busy.class(false), Some(BusyClass::Busy));
    }

    #[test]
    fn an_open_invitation_is_tentative_unless_it_is_free_anyway() {
        let open = BusyProperties { participation: Some(Participation::Open), ..BusyProperties::default() };
        assert_eq!(open.class(false), Some(BusyClass::Tentative));
        for (busy_status, class) in [
            (BusyClass::Busy, BusyClass::Tentative),
            (BusyClass::OutOfOffice, BusyClass::Tentative),
            (BusyClass::Free, BusyClass::Free),
        ] {
            assert_eq!(BusyProperties { busy_status: Some(busy_status), ..open }.class(false), Some(class));
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
