//! Makes file permissions apply to a test that runs as root, as continuous integration does. Without it such a test would
//! prove nothing there.

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// Gives up, for this thread and those that it starts, root's power to read and search everything.
pub(crate) fn obey_permissions() {
    let mut sets = capabilities(None).expect("every process may ask for its capabilities");
    sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
    set_capabilities(None, sets).expect("a capability may always be given up");
}
