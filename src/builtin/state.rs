//! What a probe remembers from one run to the next, in a folder that nobody else can write.
//!
//! State is a cache: what cannot be read or understood is a first run. It is written beside its place
//! and then renamed, so that a killed run leaves the old one.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Call, Failure, file};

/// Longest state read, in bytes.
const MAX_STATE_BYTES: u64 = 4 * 1024 * 1024;

/// Where the state of one probe is kept.
pub(super) struct State {
    folder: PathBuf,
    name: String,
}

impl State {
    /// The folder that the agent gave, else a private one of ours in a place that a restart empties.
    pub(super) fn open(call: &Call) -> Result<State, Failure> {
        let name = call.name.clone();
        if let Some(folder) = call.state_root.clone() {
            return Ok(State { folder, name });
        }
        let base = std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty());
        let base = base.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        let user = rustix::process::geteuid().as_raw();
        let folder = base.join(format!("wigo-probe-{user}"));
        make_private(&folder, user)?;
        Ok(State { folder, name })
    }

    /// What the last run left; `None` at a first run.
    pub(super) fn load<T: DeserializeOwned>(&self) -> Option<T> {
        let content = file::read_start(&self.path(), MAX_STATE_BYTES).ok()?;
        serde_json::from_slice(&content).ok()
    }

    /// Keeps `state` for the next run.
    pub(super) fn save<T: Serialize>(&self, state: &T) -> Result<(), Failure> {
        let fail =
            |path: &Path, source| Failure::File { action: "write", path: path.into(), source };
        let content = serde_json::to_vec(state).expect("numbers and string keys always serialise");
        let new = self.folder.join(format!(".{}.new", self.name));
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(no_link)
            .open(&new)
            .and_then(|mut file| file.write_all(&content))
            .map_err(|source| fail(&new, source))?;
        fs::rename(&new, self.path()).map_err(|source| fail(&self.path(), source))
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }
}

/// Makes the folder, or makes sure that it is ours: in `/tmp` somebody else may have been first.
fn make_private(folder: &Path, user: u32) -> Result<(), Failure> {
    let path = || folder.to_path_buf();
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => {
            return Err(Failure::File { action: "create the folder", path: path(), source });
        }
    }
    let found = fs::symlink_metadata(folder).map_err(|source| Failure::File {
        action: "look at",
        path: path(),
        source,
    })?;
    let refuse = |reason| Err(Failure::StateFolder { path: path(), reason });
    if !found.is_dir() {
        refuse("it is not a folder")
    } else if found.uid() != user {
        refuse("it belongs to somebody else")
    } else if found.mode() & 0o077 != 0 {
        refuse("others may use it too")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_was_saved_comes_back_and_rubbish_is_a_first_run() {
        let folder = tempfile::tempdir().unwrap();
        let state = State { folder: folder.path().into(), name: "ifstat".into() };
        assert_eq!(state.load::<Vec<u64>>(), None);
        state.save(&vec![1u64, 2]).unwrap();
        assert_eq!(state.load::<Vec<u64>>(), Some(vec![1, 2]));
        fs::write(state.path(), "[1,").unwrap();
        assert_eq!(state.load::<Vec<u64>>(), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_the_way_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, folder.path().join(".ifstat.new")).unwrap();
        let state = State { folder: folder.path().into(), name: "ifstat".into() };
        assert!(state.save(&vec![1u64]).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn a_folder_that_others_can_use_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        let folder = base.path().join("mine");
        make_private(&folder, user).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        make_private(&folder, user).unwrap();
        assert!(make_private(&folder, user + 1).is_err());
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(make_private(&folder, user).is_err());
        let link = base.path().join("link");
        symlink(base.path(), &link).unwrap();
        assert!(make_private(&link, user).is_err());
    }
}
