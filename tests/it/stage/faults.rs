//! What goes wrong in an emulated Graph or sign-in service, and how an emulator is set up.

use std::collections::BTreeMap;
use std::time::Duration;

use presenced_emulator::{Call, Fault, Matches, Options, Then};

pub(crate) fn respond(status: u16, headers: &[(&str, &str)]) -> Then {
    let headers: BTreeMap<_, _> = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Then::Respond { status, headers, body: None }
}

pub(crate) fn on(call: Call, then: Then) -> Fault {
    Fault::new(Matches::Only(call), then)
}

pub(crate) fn once(fault: Fault) -> Fault {
    Fault { times: Some(1), ..fault }
}

pub(crate) fn unauthorized(code: &str) -> Then {
    let body = serde_json::json!({"error": {"code": code, "message": "An error has occurred."}});
    Then::Respond { status: 401, headers: BTreeMap::new(), body: Some(body) }
}

/// An emulator in which nobody waits long for a sign-in.
pub(crate) fn quick_sign_in() -> Options {
    let mut options = Options::default();
    options.device.interval = Duration::from_secs(1);
    options
}
