//! Hours in which messages wait.

use jiff::Timestamp;

use super::engine::Policy;
use crate::status::Status;

impl Policy {
    /// Until when messages about something this bad wait.
    pub(super) fn quiet_for(&self, status: Status, now: Timestamp) -> Option<Timestamp> {
        let quiet = self.rules.quiet.as_ref()?;
        match quiet.min_level {
            Some(level) if status >= level => None,
            _ => quiet.until(now),
        }
    }
}
