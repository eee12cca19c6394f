//! What the tests stand on: the emulated Graph with a daemon beside it, private buses, displays and sound servers, and programs
//! that stand in for the rest of a desktop. It holds no tests, only what they share.

pub(crate) mod bus;
pub(crate) mod canned;
#[cfg(feature = "wayland")]
pub(crate) mod compositor;
#[cfg(feature = "wayland")]
pub(crate) mod compositor_stub;
pub(crate) mod desk;
pub(crate) mod display_server;
pub(crate) mod entra;
pub(crate) mod fake_daemon;
pub(crate) mod faults;
#[cfg_attr(not(feature = "wayland"), expect(dead_code, reason = "without displays only loopback is flooded"))]
pub(crate) mod flood;
pub(crate) mod folder;
pub(crate) mod hooks;
pub(crate) mod house;
pub(crate) mod http_client;
pub(crate) mod idle;
pub(crate) mod keyring;
pub(crate) mod lapse;
pub(crate) mod listener;
pub(crate) mod lock;
pub(crate) mod login1;
pub(crate) mod mounts;
pub(crate) mod mutter;
pub(crate) mod odd_file;
pub(crate) mod openssl;
pub(crate) mod privilege;
pub(crate) mod reports;
pub(crate) mod saver;
pub(crate) mod schema;
pub(crate) mod signal_bench;
#[cfg(feature = "pulse")]
pub(crate) mod sound;
#[cfg(feature = "pulse")]
pub(crate) mod sound_stub;
pub(crate) mod stand_ins;
pub(crate) mod task_limit;
pub(crate) mod terminal;
#[cfg_attr(not(feature = "x11"), expect(dead_code, reason = "without x11 only the screen is used"))]
pub(crate) mod x_server;
