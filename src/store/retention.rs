//! Deleting old entries, in small steps, and keeping what history has to begin with.
//!
//! The newest entry of a probe stays, however old: a probe whose status has not changed for longer than
//! entries are kept still has that status. So does the newest entry that says whether the host is
//! watched. Of a host that left for good nothing stays.
//!
//! A name is not a host: others may use it. So entries count for each other only if they are of one
//! origin. That a host left is said by the one above it, so it is believed of us, and of anybody about
//! an instance that is not below us any more.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::journal::PRESENCE;

/// A place in the order in which entries are looked at: when it was learned (Unix milliseconds), its id.
pub(super) type Place = (i64, i64);

/// Before all entries.
pub(super) const BEGINNING: Place = (i64::MIN, i64::MIN);

/// What one step did.
pub(super) struct Purged {
    pub deleted: usize,
    /// Where to go on; `None` if those were the last.
    pub next: Option<Place>,
}

/// Looks at no more than `step` entries that were learned before `cutoff` (Unix milliseconds), those
/// after `from` in order, and deletes those that nothing needs. `me`: the uuid of this instance.
pub(super) fn purge(
    connection: &Connection,
    cutoff: i64,
    from: Place,
    step: usize,
    me: Uuid,
) -> rusqlite::Result<Purged> {
    let sql = "SELECT learned, id FROM journal INDEXED BY journal_learned \
               WHERE (learned, id) > (?1, ?2) AND learned < ?3 ORDER BY learned, id \
               LIMIT 1 OFFSET ?4";
    let next: Option<Place> = connection
        .prepare_cached(sql)?
        .query_row(params![from.0, from.1, cutoff, step as i64 - 1], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let end = next.unwrap_or((cutoff, i64::MIN));
    let deleted = connection.prepare_cached(&delete())?.execute(params![
        from.0,
        from.1,
        end.0,
        end.1,
        me.as_bytes()
    ])?;
    Ok(Purged { deleted, next })
}

/// What nothing needs: all that says no status, and of the rest whatever is not the newest of its probe
/// or of its host (by the time it happened, as history has it), or is of a host that left later. The end
/// of a probe or of a host goes last, or what came before it would be the newest again.
fn delete() -> String {
    let later = "new.host = old.host AND (new.at, new.id) > (old.at, old.id)";
    let other = "other.host = old.host AND other.id <> old.id";
    // That the instance `about` has left. We are in no table of those below us.
    let believed = |said_by: &str, about: &str| {
        format!(
            "({said_by} IN ({about}, ?5)
              OR {about} <> ?5 AND {about} NOT IN (SELECT uuid FROM instance))"
        )
    };
    let (of_this, of_other) =
        (believed("new.origin", "old.origin"), believed("old.origin", "other.origin"));
    format!(
        "DELETE FROM journal WHERE id IN (
            SELECT id FROM journal AS old INDEXED BY journal_learned
            WHERE (learned, id) > (?1, ?2) AND (learned, id) <= (?3, ?4) AND CASE
                WHEN kind NOT IN ('probe_seen', 'probe_changed', 'probe_gone', {PRESENCE}) THEN TRUE
                WHEN EXISTS (
                    SELECT 1 FROM journal AS new WHERE {later} AND new.probe = old.probe
                    AND new.origin = old.origin AND (new.probe <> '' AND new.kind <> 'ordered'
                         OR new.kind IN ({PRESENCE})))
                THEN TRUE
                WHEN kind = 'probe_gone' THEN NOT EXISTS (
                    SELECT 1 FROM journal AS other WHERE {other} AND other.probe = old.probe
                    AND other.origin = old.origin)
                WHEN kind = 'instance_gone' THEN NOT EXISTS (
                    SELECT 1 FROM journal AS other WHERE {other}
                    AND (other.at, other.id) < (old.at, old.id) AND {of_other})
                ELSE EXISTS (
                    SELECT 1 FROM journal AS new WHERE {later} AND new.probe = ''
                    AND new.kind = 'instance_gone' AND {of_this})
            END
        )"
    )
}
