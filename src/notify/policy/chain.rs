//! The questions on the way to a message, written down as they are asked.

use crate::notify::{Reason, Step};

/// Questions until the first that did not let pass; what is asked afterwards is not written down.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    pub steps: Vec<Step>,
    is_over: bool,
}

impl Chain {
    /// Writes an answer down, and says whether all passed so far.
    pub(super) fn ask(&mut self, reason: Reason, passed: bool, detail: impl Into<String>) -> bool {
        if !self.is_over {
            self.steps.push(Step { reason, passed, detail: detail.into() });
            self.is_over = !passed;
        }
        !self.is_over
    }

    pub(super) fn passes(&mut self, reason: Reason, detail: impl Into<String>) {
        self.ask(reason, true, detail);
    }

    pub(super) fn stops(&mut self, reason: Reason, detail: impl Into<String>) {
        self.ask(reason, false, detail);
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}
