//! systemd: runs systemctl, writes to the journal, and takes the socket that systemd passes.
//!
//! Leaves to others: the units that presenced installs (`service`), and reading the journal (`logs`).

pub(super) mod activation;
pub(super) mod journal;
pub(super) mod systemctl;
