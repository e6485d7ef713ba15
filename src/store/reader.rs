//! Questions to the database: a read-only connection of their own, so that they never wait for the
//! writer nor the writer for them, and a limit to the time that one may take.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{QUERY_TIME, StoreError, database::connect};

/// SQLite looks at the clock after this many of its steps, well under a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 1_000;

/// The connection for questions, opened with the first one. One question at a time: the disk is one.
pub(super) struct Reader {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl Reader {
    pub fn new(path: PathBuf) -> Reader {
        Reader { path, connection: Mutex::new(None) }
    }

    /// Puts a question. `what` names it in errors.
    pub fn ask<T>(
        &self,
        what: &'static str,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out: whatever goes wrong, the next question starts with a new connection.
        let answer = slot.take().map_or_else(|| self.connect(), Ok).and_then(|mut connection| {
            let deadline = Instant::now() + QUERY_TIME;
            let late = move || Instant::now() >= deadline;
            connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(late))?;
            let answer = question(&connection)?;
            *slot = Some(connection);
            Ok(answer)
        });
        answer.map_err(|source| {
            let path = self.path.clone();
            match source.sqlite_error_code() {
                Some(ErrorCode::OperationInterrupted) => StoreError::TooSlow { what, path },
                _ => StoreError::Query { what, path, source },
            }
        })
    }

    /// Lets go of the file, because another one takes its place.
    pub fn forget(&self) {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }
}
