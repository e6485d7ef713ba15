//! The uuid of this instance: made once, then read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use thiserror::Error;
use uuid::Uuid;

/// The file of the uuid cannot be used.
#[derive(Debug, Error)]
pub enum NoIdentity {
    #[error("the uuid file `{path}` cannot be read or made: see [Global] UuidFile")]
    File { path: PathBuf, source: io::Error },
    #[error(
        "`{path}` should hold a uuid, and holds something else: put the uuid back, or remove the file and this host gets a new identity"
    )]
    Content { path: PathBuf },
    #[error(
        "another agent with this identity is running: end it, or give this one a [Global] UuidFile \
         and a Database of its own (`{path}`)"
    )]
    Taken { path: PathBuf },
}

/// Who this instance is. While this is held, no other agent can take the same identity.
pub struct Identity {
    pub uuid: Uuid,
    _locked: File,
}

/// Reads the uuid, or makes one where there is none, and locks it.
pub fn take(path: &Path) -> Result<Identity, NoIdentity> {
    let failed = |source| NoIdentity::File { path: path.into(), source };
    let uuid = read_or_make(path)?;
    let locked = File::open(path).map_err(failed)?;
    match flock(&locked, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(NoIdentity::Taken { path: path.into() }),
        // A file system without locks must not keep anybody from monitoring.
        _ => Ok(Identity { uuid, _locked: locked }),
    }
}

/// Reads the uuid, or makes one where there is none.
fn read_or_make(path: &Path) -> Result<Uuid, NoIdentity> {
    let failed = |source| NoIdentity::File { path: path.into(), source };
    match fs::read_to_string(path) {
        Ok(text) => {
            Uuid::try_parse(text.trim()).map_err(|_| NoIdentity::Content { path: path.into() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn make(path: &Path) -> io::Result<Uuid> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let uuid = Uuid::new_v4();
    // Under another name first, so that no crash leaves half an identity.
    let begun = path.with_extension("new");
    let _ = fs::remove_file(&begun);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&begun)?;
    file.write_all(uuid.to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(&begun, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/uuid");
        let made = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), made);
        fs::write(&path, format!(" {made}\n")).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), made, "white space is not part of it");
        fs::write(&path, "nonsense").unwrap();
        assert!(matches!(read_or_make(&path), Err(NoIdentity::Content { .. })));
    }

    #[test]
    fn an_identity_is_taken_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uuid");
        let held = take(&path).unwrap();
        assert!(matches!(take(&path), Err(NoIdentity::Taken { .. })));
        let uuid = held.uuid;
        drop(held);
        assert_eq!(take(&path).unwrap().uuid, uuid);
    }
}
