//! The call signal made of all that tells of calls: the call-state files and the microphone.

use super::{Call, CallState, Reading};

/// What the call-state files and the microphone say together: the stronger state counts, and the files where both say the
/// same, since they name the program that is in the call.
///
/// A known call is a call whatever the other would say; idle is only known when both know it. What the microphone could
/// say at most is in-call, and a file that says so or more is not made unknown by it. A file that is unknown might say
/// more than the microphone: that much is known is claimed all the same, as between two files.
pub fn strongest(files: Reading<Call>, microphone: Reading<Call>) -> Reading<Call> {
    match (files, microphone) {
        (Reading::Off, other) | (other, Reading::Off) => other,
        (Reading::Known(files), Reading::Known(microphone)) => {
            Reading::Known(if microphone.state > files.state { microphone } else { files })
        }
        (Reading::Known(call), Reading::Unknown) | (Reading::Unknown, Reading::Known(call))
            if call.state > CallState::Idle =>
        {
            Reading::Known(call)
        }
        (Reading::Known(_) | Reading::Unknown, Reading::Known(_) | Reading::Unknown) => Reading::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reading written as the report shows it; the program's name says who told of it.
    fn reading(word: &str, app: &str) -> Reading<Call> {
        match word {
            "off" => Reading::Off,
            "unknown" => Reading::Unknown,
            state => Reading::Known(Call { state: state.parse().unwrap(), app: Some(app.to_owned()) }),
        }
    }

    #[test]
    fn every_pair_has_one_meaning() {
        // Files, microphone, both, and who is named.
        let table = [
            ("off", "off", "off", ""),
            ("off", "unknown", "unknown", ""),
            ("off", "idle", "idle", "microphone"),
            ("off", "in-call", "in-call", "microphone"),
            ("unknown", "off", "unknown", ""),
            ("unknown", "unknown", "unknown", ""),
            ("unknown", "idle", "unknown", ""),
            ("unknown", "in-call", "in-call", "microphone"),
            ("idle", "off", "idle", "files"),
            ("idle", "unknown", "unknown", ""),
            ("idle", "idle", "idle", "files"),
            ("idle", "in-call", "in-call", "microphone"),
            ("in-call", "off", "in-call", "files"),
            ("in-call", "unknown", "in-call", "files"),
            ("in-call", "idle", "in-call", "files"),
            ("in-call", "in-call", "in-call", "files"),
            ("conference", "off", "conference", "files"),
            ("conference", "unknown", "conference", "files"),
            ("conference", "idle", "conference", "files"),
            ("conference", "in-call", "conference", "files"),
            ("presenting", "off", "presenting", "files"),
            ("presenting", "unknown", "presenting", "files"),
            ("presenting", "idle", "presenting", "files"),
            ("presenting", "in-call", "presenting", "files"),
        ];
        for (files, microphone, both, named) in table {
            let call = strongest(reading(files, "files"), reading(microphone, "microphone"));
            assert_eq!(call, reading(both, named), "{files} and {microphone}");
        }
    }
}
