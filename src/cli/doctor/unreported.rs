//! Files of which the kernel does not report every change: presenced finds them by looking, which is slower. That is not a fault.

use super::check::{Check, Verdict};
use super::text::{Text, path, text};
use crate::file_watch::Unreported;

/// The same check of files that are fine, which also says why changes of them may count late.
pub(super) fn noted(check: Check, unreported: Option<&Unreported>) -> Check {
    match unreported {
        Some(unreported) if check.verdict == Verdict::Ok => {
            let found = check.found.clone().then("; ").join(meaning(unreported));
            Check { found, ..check }
        }
        Some(_) | None => check,
    }
}

fn meaning(unreported: &Unreported) -> Text {
    match unreported {
        Unreported::FileSystem(folder, name) => text![
            path(folder),
            " is on ",
            *name,
            ", where the kernel may not report each change, so presenced also checks it once a minute; changes count at once on a \
             local disk"
        ],
        Unreported::Mounted(file) => text![
            path(file),
            " is mounted by itself, so the kernel may not report each change, and presenced also checks it once a minute; changes \
             count at once if its folder is mounted"
        ],
        Unreported::Rename(folder) => text![
            path(folder),
            " may not be read, so the kernel does not report if it is renamed, and presenced also checks once a minute"
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Group;
    use super::*;

    #[test]
    fn the_folder_and_its_file_system_are_named_where_nothing_is_wrong() {
        let nas = Unreported::FileSystem("/mnt/nas".into(), "NFS");
        let noted = noted(Check::ok(Group::Calendars, "calendar", "1 file, 3 events"), Some(&nas));
        assert_eq!(noted.verdict, Verdict::Ok);
        let found = noted.found.to_string();
        assert!(
            found.starts_with("1 file, 3 events; /mnt/nas is on NFS, where the kernel may not report each"),
            "{found}"
        );
        let failed = Check::failed(Group::Calendars, "calendar", "it cannot be read");
        assert_eq!(super::noted(failed, Some(&nas)).found.to_string(), "it cannot be read");
    }
}
