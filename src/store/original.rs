//! Takes over the log of an original Wigo: the table `logs` in a file of the same name. The table stays
//! as it is.

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use uuid::Uuid;

use super::{Entry, journal::Inserter};
use crate::{
    status::Status,
    tree::{Kind, ProbeName, Transition},
};

/// The most rows taken over, the newest ones.
const MAX_IMPORTED: usize = 100_000;
/// The most of a message that is taken over, in bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// The most of the name of a host or group that is taken over, in bytes.
const MAX_TEXT_BYTES: usize = 255;

/// Copies the rows to the journal of the instance `origin`. Returns how many were copied, and how many
/// were not because their date or texts make no sense.
pub(super) fn import(
    connection: &Connection,
    origin: Uuid,
    now: Timestamp,
) -> rusqlite::Result<(u64, u64)> {
    // The original wrote each row from a task of its own, so its ids need not follow time.
    let sql = format!(
        "SELECT date, level, grp, host, probe, message FROM \
             (SELECT rowid AS place, * FROM logs ORDER BY rowid DESC LIMIT {MAX_IMPORTED}) \
         ORDER BY date, place"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut copied, mut skipped) = (0, 0);
    let mut journal = Inserter::new(connection)?;
    while let Some(row) = rows.next()? {
        match read(row) {
            Some(transition) => {
                copied += 1;
                // Retention goes by this, so it must not be in the future.
                let (id, learned) = (copied, transition.at.min(now));
                let entry = Entry { id, origin, origin_id: id, learned, transition };
                journal.insert(&entry)?;
            }
            None => skipped += 1,
        }
    }
    Ok((copied, skipped))
}

fn read(row: &Row<'_>) -> Option<Transition> {
    let text = |column, most| {
        let bytes = row.get_ref(column).ok()?.as_bytes_or_null().ok()?.unwrap_or_default();
        Some(cut(&String::from_utf8_lossy(bytes), most).to_owned())
    };
    let at = Timestamp::from_second(row.get::<_, i64>(0).ok()?).ok()?;
    let level = row.get::<_, i64>(1).unwrap_or_default();
    let probe = text(4, MAX_TEXT_BYTES)?;
    let message = text(5, MAX_MESSAGE_BYTES)?;
    let (was, now) = match switch(&message, &probe) {
        Some((was, now)) => (was, now),
        None => (None, status_of_level(level)),
    };
    Some(Transition {
        kind: Kind::Imported,
        at,
        group: text(2, MAX_TEXT_BYTES)?,
        host: text(3, MAX_TEXT_BYTES)?,
        probe: ProbeName::parse(&probe).ok(),
        was,
        now,
        message,
    })
}

/// The statuses in `Probe <p> switched from <a> to <b> : <text>`. A status off the scale (the original
/// gave 0 to a probe that failed) is `None`.
fn switch(message: &str, probe: &str) -> Option<(Option<Status>, Option<Status>)> {
    let rest = message.strip_prefix("Probe ")?.strip_prefix(probe)?;
    let rest = rest.strip_prefix(" switched from ")?;
    let (was, rest) = rest.split_once(" to ")?;
    let (now, _) = rest.split_once(" : ")?;
    Some((Status::new(was.parse().ok()?), Status::new(now.parse().ok()?)))
}

/// The least status that the original logged at this level.
fn status_of_level(level: i64) -> Option<Status> {
    Status::new(match level {
        2 => 100,
        3 => 150,
        5 => 200,
        6 => 300,
        4 => 500,
        _ => return None,
    })
}

fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_out_of_messages() {
        let status = Status::new;
        let message = "Probe load switched from 100 to 300 : load is 12 to 13 : high";
        assert_eq!(switch(message, "load"), Some((status(100), status(300))));
        assert_eq!(
            switch("Probe a to b switched from 0 to 500 : x", "a to b"),
            Some((None, status(500)))
        );
        assert_eq!(switch("Probe load switched from ? to 300 : x", "load"), None);
        assert_eq!(switch("Wigo host DOWN", ""), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }
}
