use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::store::{Settings, Store};

fn store(folder: &TempDir) -> Store {
    let path = folder.path().join("wigo.db");
    Store::open(Settings { path, origin: uuid::Uuid::from_u128(1), keep_days: 30 }).store
}

fn row(who: &str, action: &str, target: &str) -> AuditRow {
    AuditRow {
        who: who.into(),
        role: "operator".into(),
        how: "password".into(),
        from: "192.0.2.1".into(),
        action: action.into(),
        target: target.into(),
        detail: json!({"a": 1}),
        outcome: "begun".into(),
        ..AuditRow::default()
    }
}

#[test]
fn rows_are_completed_and_found_by_each_filter() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder);
    let audit = store.audit();
    let seen = audit.changes();
    let first = audit.record(&row("eve", "probe.disable", "web1/load")).unwrap();
    let second = audit.record(&row("adam", "probed", "DB1'; DROP TABLE audit; --")).unwrap();
    assert!(second > first && seen.has_changed().unwrap());
    let done = AuditRow {
        after: Some(json!(null)),
        outcome: "done".into(),
        ..row("x", "probe.disable", "t")
    };
    audit.finish(first, &done).unwrap();
    let [newest, oldest] = &audit.newest()[..] else { panic!() };
    assert_eq!((newest.id, oldest.id), (second, first));
    assert_eq!((&*oldest.who, &*oldest.target, &*oldest.outcome), ("eve", "t", "done"));
    assert_eq!((&oldest.before, &oldest.after), (&None, &Some(json!(null))));

    let ids = |query: AuditQuery| {
        let (rows, total) = audit.rows(&AuditQuery { limit: 10, ..query }).unwrap();
        assert!(total >= rows.len());
        rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let all = AuditQuery::default;
    assert_eq!(ids(all()), [second, first]);
    assert_eq!(ids(AuditQuery { after: Some(second), ..all() }), [first]);
    assert_eq!(ids(AuditQuery { who: Some("eve".into()), ..all() }), [first]);
    assert_eq!(ids(AuditQuery { action: Some("probe".into()), ..all() }), [first]);
    assert_eq!(ids(AuditQuery { action: Some("probe.disable".into()), ..all() }), [first]);
    assert_eq!(ids(AuditQuery { target: Some("db1'".into()), ..all() }), [second]);
    let later = Timestamp::now() + SignedDuration::from_secs(60);
    assert!(ids(AuditQuery { since: Some(later), ..all() }).is_empty());
    assert_eq!(ids(AuditQuery { until: Some(later), ..all() }), [second, first]);
    let (page, total) = audit.rows(&AuditQuery { limit: 1, ..all() }).unwrap();
    assert_eq!((page.len(), total), (1, 2));
}

#[test]
fn what_is_too_old_or_too_large_goes() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder);
    let audit = store.audit();
    let huge =
        AuditRow { detail: json!("x".repeat(10_000)), ..row(&"é".repeat(10_000), "a", "t") };
    let id = audit.record(&huge).unwrap();
    let kept = &audit.newest()[0];
    assert!(kept.who.len() <= MAX_TEXT && kept.detail == json!("(too large to be kept)"));
    let purge_at = |newest, now| {
        audit.direct.write("purge", |connection| purge(connection, newest, now)).unwrap();
        audit.newest().len()
    };
    assert_eq!(purge_at(id, Timestamp::now()), 1);
    assert_eq!(purge_at(id, Timestamp::now() + AUDIT_AGE + AUDIT_AGE), 0);
    let id = audit.record(&row("eve", "a", "t")).unwrap();
    assert_eq!(purge_at(id + MAX_AUDIT_ROWS - 1, Timestamp::now()), 1);
    assert_eq!(purge_at(id + MAX_AUDIT_ROWS, Timestamp::now()), 0);
}

#[test]
fn making_place_does_not_look_at_every_row() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder);
    let plan = |sql: &str| {
        store.audit().direct.read("explain", |connection| {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let steps = statement.query_map([1, 1], |row| row.get::<_, String>(3))?;
            Ok(steps.collect::<Result<Vec<_>, _>>()?.join("; "))
        })
    };
    for sql in [PURGE_SURPLUS, PURGE_OLD] {
        let plan = plan(sql).unwrap();
        assert!(!plan.contains("SCAN audit"), "{plan}");
    }
}
