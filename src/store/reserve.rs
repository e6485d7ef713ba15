//! Space set aside beside the database, so that old entries can be deleted when the disk is full:
//! deleting writes, too, and so does opening.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::database::beside;

/// How much is set aside.
pub(super) const RESERVE_BYTES: u64 = 1024 * 1024;
/// It is set aside where this many times as much is free: a small disk is not filled by it, and it does
/// not come and go while others fill the disk.
const ROOM_FACTOR: u64 = 4;

/// The file that takes the space.
pub(super) struct Reserve {
    path: PathBuf,
    /// It is there, or was tried to be made.
    settled: bool,
}

impl Reserve {
    /// The reserve of the database at `database`, as it is.
    pub fn of(database: &Path) -> Reserve {
        let path = beside(database, ".reserve");
        let settled = fs::symlink_metadata(&path).is_ok_and(|file| file.len() == RESERVE_BYTES);
        Reserve { path, settled }
    }

    /// Sets the space aside if it is not and the disk has room. Best effort: it is for bad days.
    pub fn keep(&mut self) {
        if self.settled || !self.has_room() {
            return;
        }
        self.settled = true;
        if self.make().is_err() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives the space back to the disk. Returns whether there was any.
    pub fn release(&mut self) -> bool {
        self.settled = false;
        fs::remove_file(&self.path).is_ok()
    }

    fn has_room(&self) -> bool {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        rustix::fs::statvfs(folder.unwrap_or(Path::new("."))).is_ok_and(|disk| {
            disk.f_bavail.saturating_mul(disk.f_frsize) >= ROOM_FACTOR * RESERVE_BYTES
        })
    }

    fn make(&self) -> std::io::Result<()> {
        // One that has another size; that it is missing is as well.
        let _ = fs::remove_file(&self.path);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)?;
        file.write_all(&vec![0; RESERVE_BYTES as usize])
    }
}
