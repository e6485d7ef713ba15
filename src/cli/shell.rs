//! Who works at the command line, for the audit log.

use std::{env, fmt::Display};

use crate::store::{Audit, AuditRow, StoreError};

/// Makes a change, written down before and with its outcome afterwards.
pub fn audited<T, E: From<StoreError> + Display>(
    audit: &Audit,
    action: &str,
    target: &str,
    after: Option<serde_json::Value>,
    change: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let mut row = AuditRow {
        who: user(),
        role: "operator".into(),
        how: "shell".into(),
        action: action.into(),
        target: target.into(),
        after,
        outcome: "begun".into(),
        ..AuditRow::default()
    };
    let id = audit.record(&row)?;
    let outcome = change();
    row.outcome = match &outcome {
        Ok(_) => "done".into(),
        Err(error) => format!("refused: {error}"),
    };
    // The change itself is made or refused; without this the row says that it was begun.
    let _ = audit.finish(id, &row);
    outcome
}

/// The name of the user, as far as it is known: whoever may write to the database could say anything.
pub fn user() -> String {
    let named = ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(|name| env::var(name).ok());
    let named = named.filter(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
