//! Who else can read a file with a secret. Leaves to others: reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// The mode of a file that others can read; `None`: only its reader can.
pub(crate) fn shown_to_others(metadata: &Metadata) -> Option<u32> {
    let mode = metadata.mode() & 0o777;
    (mode & forbidden(metadata.uid(), rustix::process::geteuid().as_raw()) != 0).then_some(mode)
}

/// The permission bits that must not be set on a file of `owner` that `reader` reads.
///
/// Root may let a group read its file, and is trusted to choose the group: Kubernetes (`fsGroup`) passes secrets this way to a
/// container that runs as another user, and `PostgreSQL` has the same rule for its keys.
fn forbidden(owner: u32, reader: u32) -> u32 {
    if owner == 0 && reader != 0 { 0o037 } else { 0o077 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_may_read_only_what_root_hands_to_others() {
        let shown = |mode: u32, owner, reader| mode & forbidden(owner, reader) != 0;
        for mode in [0o400, 0o600, 0o440, 0o640] {
            assert!(!shown(mode, 0, 65532), "{mode:o}");
        }
        for mode in [0o404, 0o444, 0o460, 0o450, 0o602] {
            assert!(shown(mode, 0, 65532), "{mode:o}");
        }
        // The reader's own file, also root's own, and another person's.
        for (owner, reader) in [(1000, 1000), (0, 0), (1001, 1000)] {
            assert!(shown(0o440, owner, reader) && !shown(0o600, owner, reader), "{owner}");
        }
    }
}
