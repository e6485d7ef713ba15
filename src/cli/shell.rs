//! Who works at the command line, for the audit log.

use std::env;

use crate::store::AuditRow;

/// A row that says what was done at the command line.
pub fn row(action: &str, target: &str, after: Option<serde_json::Value>) -> AuditRow {
    AuditRow {
        who: user(),
        role: "operator".into(),
        how: "shell".into(),
        action: action.into(),
        target: target.into(),
        after,
        outcome: "done".into(),
        ..AuditRow::default()
    }
}

/// The name of the user, as far as it is known: whoever may write to the database could say anything.
fn user() -> String {
    let named = ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(|name| env::var(name).ok());
    let named = named.filter(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
