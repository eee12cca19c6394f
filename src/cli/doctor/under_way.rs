//! Which checks are still under way, for the line that shows on the terminal meanwhile.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::cli::terminal::progress::Progress;

/// The checks that are under way. The line is there as long as this lives.
pub(super) struct UnderWay {
    names: RefCell<BTreeSet<&'static str>>,
    progress: Progress,
}

impl UnderWay {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { names: RefCell::default(), progress: Progress::new("Looking") }
    }

    /// Does `work`, which is called `name`.
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
        self.progress.change(format!("Looking at {}", names.join(", ")));
    }
}
