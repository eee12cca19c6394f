//! The call signal, combined from its two sources: the call-state files and the microphone.

use super::{Call, CallState, Reading};

/// Combines the call-state files with the microphone. The stronger state wins. If both say the same, the files win, because
/// they name the program that is in the call.
///
/// If one source is unknown, a call in the other one still counts, but idle does not: the unknown source may have a call. An
/// unknown microphone never hides a stronger state than a call in the files, as it says no more than in-call. Unknown files may
/// hide one; the call that is known is still claimed.
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

    /// A reading from the word in the report. `app` says which source the reading came from.
    fn reading(word: &str, app: &str) -> Reading<Call> {
        match word {
            "off" => Reading::Off,
            "unknown" => Reading::Unknown,
            state => Reading::Known(Call { state: state.parse().unwrap(), app: Some(app.to_owned()) }),
        }
    }

    #[test]
    fn every_pair_of_readings_has_one_meaning() {
        // Files, microphone, the result, and its source.
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
