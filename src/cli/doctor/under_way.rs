//! Shows on the terminal which checks are still under way.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::cli::terminal::progress::Progress;

/// The checks that are under way. The line is shown until this is dropped.
pub(super) struct UnderWay {
    names: RefCell<BTreeSet<&'static str>>,
    progress: Progress,
}

impl UnderWay {
    /// Starts with no checks.
    pub(super) fn new() -> Self {
        Self { names: RefCell::default(), progress: Progress::new("Checking") }
    }

    /// Runs `work` under the name `name`.
    pub(super) async fn of<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        self.names.borrow_mut().insert(name);
        self.show();
        let outcome = work.await;
        self.names.borrow_mut().remove(name);
        self.show();
        outcome
    }

    fn show(&self) {
        let names: Vec<&str> = self.names.borrow().iter().copied().collect();
        self.progress.change(format!("Checking {}", names.join(", ")));
    }
}
