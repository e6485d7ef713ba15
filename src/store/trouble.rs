//! Why the database cannot be used, sorted by what follows from it, and put so that a person can act.

use std::{io, path::Path};

use rusqlite::ErrorCode;

/// A reason why the database cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// What is in the file makes no sense: it has to be set aside. Holds what was found.
    Damaged(String),
    /// It may pass; the sentence says what to do about it.
    Passing { sentence: String, cause: Cause },
}

/// What kind of trouble it is that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Another process holds a lock.
    Locked,
    /// The disk is full, or the database has grown to its limit.
    Full,
    /// The disk failed: the file has to be looked over before anything is written again, since a failed
    /// write may have left anything behind.
    Disk,
    /// Something else.
    Other,
}

impl Trouble {
    /// Sorts an error of SQLite that came up while `doing` something (`write to`, `open`).
    pub fn of(doing: &str, path: &Path, error: &rusqlite::Error) -> Trouble {
        let code = error.sqlite_error_code();
        if matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) {
            return Trouble::Damaged(error.to_string());
        }
        let cause = cause(error);
        let advice = advice(cause, code);
        let path = path.display();
        let sentence = format!("cannot {doing} the database `{path}`: {error}; {advice}");
        Trouble::Passing { sentence, cause }
    }

    /// An error of the file system.
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Trouble {
        Trouble::passing(format!(
            "cannot {doing} `{}`: {error}; the folder must exist and the user that runs wigo must be \
             able to write in it",
            path.display()
        ))
    }

    /// Whether it may pass and has this cause.
    pub fn is(&self, wanted: Cause) -> bool {
        matches!(self, Trouble::Passing { cause, .. } if *cause == wanted)
    }

    /// Trouble that may pass, in words.
    pub fn passing(sentence: String) -> Trouble {
        Trouble::Passing { sentence, cause: Cause::Other }
    }
}

fn cause(error: &rusqlite::Error) -> Cause {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    // The index of the log is made larger before it is used, so nothing was written by halves.
    if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
        return Cause::Full;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) => Cause::Locked,
        Some(ErrorCode::DiskFull) => Cause::Full,
        Some(ErrorCode::SystemIoFailure) => Cause::Disk,
        _ => Cause::Other,
    }
}

fn advice(cause: Cause, code: Option<ErrorCode>) -> &'static str {
    match cause {
        Cause::Full => {
            "free space on that disk, or keep fewer days if it is the database that has grown too \
             large; writing goes on by itself then"
        }
        Cause::Locked => {
            "another process holds it (`fuser -v` on the file shows which); writing goes on when it \
             lets go"
        }
        Cause::Disk => {
            "the disk or its file system fails (the kernel log says more); it is tried again"
        }
        Cause::Other => match code {
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                "the file and its folder must exist and the user that runs wigo must be able to \
                 write them, on a disk that is not read-only"
            }
            _ => "it is tried again",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32) -> Trouble {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        Trouble::of("write to", Path::new("/x/wigo.db"), &error)
    }

    #[test]
    fn errors_are_sorted_by_what_follows_from_them() {
        assert!(matches!(of(rusqlite::ffi::SQLITE_CORRUPT), Trouble::Damaged(_)));
        assert!(matches!(of(rusqlite::ffi::SQLITE_NOTADB), Trouble::Damaged(_)));
        assert!(of(rusqlite::ffi::SQLITE_IOERR_FSYNC).is(Cause::Disk));
        assert!(of(rusqlite::ffi::SQLITE_IOERR_SHMSIZE).is(Cause::Full));
        assert!(of(rusqlite::ffi::SQLITE_FULL).is(Cause::Full));
        assert!(of(rusqlite::ffi::SQLITE_BUSY).is(Cause::Locked));
        assert!(of(rusqlite::ffi::SQLITE_READONLY).is(Cause::Other));
    }

    #[test]
    fn a_sentence_says_what_where_why_and_what_to_do() {
        let Trouble::Passing { sentence, .. } = of(rusqlite::ffi::SQLITE_FULL) else { panic!() };
        assert!(sentence.starts_with("cannot write to the database `/x/wigo.db`: "), "{sentence}");
        assert!(sentence.contains("full"), "{sentence}");
        assert!(sentence.contains("free space"), "{sentence}");
    }
}
