//! Whether an event is an online meeting, from its properties and texts.
//!
//! Leaves to others: what that means for the presence (`policy/`).

use super::property::Property;

/// Hosts of online meetings, split at their first dot. Their subdomains count too.
const HOSTS: [(&str, &str); 18] = [
    ("teams", "microsoft.com"),
    ("teams", "live.com"),
    ("teams", "microsoft.us"),
    ("zoom", "us"),
    ("zoom", "com"),
    ("zoomgov", "com"),
    ("meet", "google.com"),
    ("webex", "com"),
    ("gotomeeting", "com"),
    ("meet", "goto.com"),
    ("meet", "jit.si"),
    ("8x8", "vc"),
    ("whereby", "com"),
    ("bluejeans", "com"),
    ("chime", "aws"),
    ("join", "skype.com"),
    ("meet", "lync.com"),
    ("v", "ringcentral.com"),
];

/// Whether this property makes its event an online meeting.
pub(super) fn says_online(name: &[u8], property: &Property<'_>) -> bool {
    match name {
        b"X-MICROSOFT-SKYPETEAMSMEETINGURL"
        | b"X-MICROSOFT-ONLINEMEETINGCONFLINK"
        | b"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK"
        | b"X-GOOGLE-CONFERENCE" => !property.value.trim_ascii().is_empty(),
        // RFC 7986, 5.11. A telephone number alone is not an online meeting.
        b"CONFERENCE" => {
            let value = property.value.trim_ascii();
            !value.is_empty() && !value.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"tel:"))
        }
        b"URL" | b"LOCATION" | b"DESCRIPTION" => names_meeting_host(property.value),
        _ => false,
    }
}

/// Whether a text contains one of the hosts, and not just as part of another name.
fn names_meeting_host(text: &[u8]) -> bool {
    // Most dots end a sentence.
    let goes_on = |dot: &usize| text.get(dot + 1).is_some_and(u8::is_ascii_alphanumeric);
    memchr::memchr_iter(b'.', text).filter(goes_on).any(|dot| {
        let (before, after) = (&text[..dot], &text[dot + 1..]);
        HOSTS.iter().any(|(first, rest)| {
            let start = before.len().checked_sub(first.len());
            start.is_some_and(|start| {
                before[start..].eq_ignore_ascii_case(first.as_bytes()) && begins_host(&before[..start])
            }) && after.get(..rest.len()).is_some_and(|found| found.eq_ignore_ascii_case(rest.as_bytes()))
                && ends_host(&after[rest.len()..])
        })
    })
}

/// Whether a host may begin after `before`. It may not begin inside a word, except after an escaped line break or an encoded
/// slash.
fn begins_host(before: &[u8]) -> bool {
    let Some(last) = before.last() else { return true };
    let within_a_word = last.is_ascii_alphanumeric() || matches!(last, b'-' | b'_' | b'@');
    !within_a_word
        || before.ends_with(b"\\n")
        || before.ends_with(b"\\N")
        || (before.len() >= 3 && before[before.len() - 3..].eq_ignore_ascii_case(b"%2f"))
}

/// Whether a host may end before `after`. A dot ends it only if no further label follows.
fn ends_host(after: &[u8]) -> bool {
    match after {
        [b'.', next, ..] => !next.is_ascii_alphanumeric(),
        [next, ..] => !(next.is_ascii_alphanumeric() || matches!(next, b'-' | b'_')),
        [] => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meeting_hosts_are_found_in_texts() {
        for text in [
            "https://teams.microsoft.com/l/meetup-join/19%3a",
            "Join: HTTPS://US02WEB.ZOOM.US/j/123",
            "Microsoft Teams Meeting\\nmeet.google.com/abc-defg-hij",
            "acme.webex.com",
            "See zoom.us.",
            "https://nam02.safelinks.protection.outlook.com/?url=https%3A%2F%2Fteams.microsoft.com%2Fl",
        ] {
            assert!(names_meeting_host(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn similar_names_are_not_meeting_hosts() {
        for text in [
            "",
            "Room 4.02",
            "https://notzoom.us/j/1",
            "https://zoom.us.example.org/",
            "mail to someone@zoom.us",
            "https://teams.microsoft.community/",
            "zoom",
        ] {
            assert!(!names_meeting_host(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn vendor_properties_count_unless_they_are_empty() {
        let says = |line: &str| {
            let property = Property::parse(line.as_bytes()).unwrap();
            says_online(property.upper_name(&mut [0; 40]).unwrap(), &property)
        };
        assert!(says("X-MICROSOFT-SKYPETEAMSMEETINGURL:https://teams.microsoft.com/l/1"));
        assert!(!says("X-MICROSOFT-SKYPETEAMSMEETINGURL:"));
        assert!(says("X-GOOGLE-CONFERENCE:https://meet.google.com/abc"));
        assert!(says("CONFERENCE;VALUE=URI;FEATURE=VIDEO:https://video.example.org/room"));
        assert!(!says("CONFERENCE;VALUE=URI;FEATURE=PHONE:tel:+1-412-555-0123"));
        assert!(!says("SUMMARY:zoom.us"));
    }
}
