//! Orders in the audit log that nobody asks this instance for just now: those of a master, and those that have
//! waited. What is asked for over HTTP is written down by the API.

use std::sync::Arc;

use crate::{
    access::Access,
    orders::{Record, Recorder},
    store::AuditRow,
};

/// Writes what came of orders to the audit log.
pub(super) struct AuditedOrders(pub Arc<Access>);

impl Recorder for AuditedOrders {
    fn record(&self, record: Record) {
        let row = AuditRow {
            at: record.at,
            who: record.author.name.clone(),
            role: record.author.role.word().into(),
            how: "order".into(),
            from: record.author.address.clone(),
            action: record.action.into(),
            target: record.target,
            detail: record.detail,
            before: record.before,
            after: record.after,
            outcome: record.outcome,
            ..AuditRow::default()
        };
        if let Err(error) = self.0.audit().record(&row) {
            tracing::warn!(
                "{} did {}, which is not in the audit log: {error}",
                row.who,
                row.action
            );
        }
    }
}
