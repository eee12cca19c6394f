//! systemd: how its service manager is asked, how log lines get into its journal, and the socket it passes.
//!
//! Leaves to others: the units that presenced installs (`service`), and reading the journal (`logs`).

pub(super) mod activation;
pub(super) mod journal;
pub(super) mod systemctl;
