//! Notices that the tables of users, sessions and tokens have changed, also by another process.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use rusqlite::{Connection, OpenFlags};

use super::{AccessTables, REVISION, number};
use crate::store::database::connect;

/// Tells cheaply whether the tables may have changed: a connection that is kept, and two numbers.
#[derive(Default)]
pub struct AccessWatch {
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    /// Device and inode, to notice that another file took its place.
    file: (u64, u64),
    /// Of any commit, by anybody else.
    data_version: i64,
    revision: Option<i64>,
}

impl AccessWatch {
    /// Whether the tables may have changed since this was last asked; the first time they have. Blocks for
    /// a moment.
    pub fn have_changed(&mut self, tables: &AccessTables) -> bool {
        match self.look(tables.direct.path()) {
            Ok(changed) => changed,
            Err(_) => {
                // Damaged, replaced or gone: whoever loads it finds out.
                self.open = None;
                true
            }
        }
    }

    fn look(&mut self, path: &Path) -> rusqlite::Result<bool> {
        let found = fs::metadata(path).map(|file| (file.dev(), file.ino()));
        let file = found.map_err(|_| rusqlite::Error::InvalidPath(path.to_owned()))?;
        let Some(open) = self.open.as_mut().filter(|open| open.file == file) else {
            let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let data_version = data_version(&connection)?;
            let revision = number(&connection, REVISION)?;
            self.open = Some(Open { connection, file, data_version, revision });
            return Ok(true);
        };
        let data_version = data_version(&open.connection)?;
        if data_version == open.data_version {
            return Ok(false);
        }
        open.data_version = data_version;
        let revision = number(&open.connection, REVISION)?;
        Ok(std::mem::replace(&mut open.revision, revision) != revision)
    }
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}
