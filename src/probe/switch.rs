//! Switches probes on and off, and gives them other intervals: by moving links in the probes folder, which
//! alone says what runs.
//!
//! Nothing is ever deleted but links, and nothing is overwritten. What is new is there before what is old
//! goes, so that whoever dies in between leaves a probe that runs; but a file that lies in an interval folder
//! and cannot have a second name has to leave before its link is there. Names are those of files that are there
//! already; no name, and no link, comes from anywhere else.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags};
use thiserror::Error;

use super::catalog::{self, EXAMPLES, INTERVALS, Version};
use crate::tree::ProbeName;

/// Mode of the folders that are made here: what is in them is for everybody to see.
const FOLDER_MODE: u32 = 0o755;
/// Names that are tried for a file whose own name is taken in `examples/`.
const MAX_NAMES: u32 = 100;
/// What a link is called until it takes its place. One that a crash leaves is replaced by the next.
const NEW_LINK: &str = ".wigo-new-link";

/// How a probe ran before it was switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// Seconds.
    pub interval: u32,
    /// Where its link pointed to, as seen from an interval folder; empty if that is its own name in
    /// `examples/`.
    pub target: PathBuf,
    /// Where files went that lay in interval folders themselves.
    pub moved: Vec<PathBuf>,
}

/// Why a probe cannot be switched.
#[derive(Debug, Error)]
pub enum CannotSwitch {
    #[error(
        "there is no probe `{probe}` in an interval folder or in examples/ of `{}`: only what is \
         installed there can be switched", root.display()
    )]
    NotInstalled { probe: ProbeName, root: PathBuf },
    #[error("the probe `{probe}` is in no interval folder: it is switched off already")]
    OffAlready { probe: ProbeName },
    #[error("an interval of {seconds} s cannot be set: it is {} to {} s", INTERVALS.start(), INTERVALS.end())]
    Interval { seconds: u32 },
    #[error("the probe `{probe}` would not be run: {why}")]
    Refused { probe: ProbeName, why: String },
    #[error(
        "cannot {what} `{}`: {source}; may the agent's user write there?", path.display()
    )]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("there is no free name for `{}` in examples/: clear up there", path.display())]
    NoName { path: PathBuf },
}

/// A place in an interval folder that has the name of a probe.
struct Place {
    interval: u32,
    path: PathBuf,
    is_link: bool,
}

/// Takes the probe out of every interval folder. What lies there itself goes to `examples/`.
pub fn disable(root: &Path, probe: &ProbeName) -> Result<Before, CannotSwitch> {
    let (places, mut before) = present(root, probe)?;
    for (number, place) in places.iter().enumerate() {
        if let Some(name) = put_away(root, place)? {
            if number == 0 {
                before.target = link_to(&name, probe);
            }
            before.moved.push(name);
        }
    }
    Ok(before)
}

/// How the probe runs now.
pub fn before(root: &Path, probe: &ProbeName) -> Result<Before, CannotSwitch> {
    present(root, probe).map(|(_, before)| before)
}

fn present(root: &Path, probe: &ProbeName) -> Result<(Vec<Place>, Before), CannotSwitch> {
    let places = places(root, probe)?;
    let Some(first) = places.first() else {
        return Err(match is_example(root, probe) {
            true => CannotSwitch::OffAlready { probe: probe.clone() },
            false => not_installed(root, probe),
        });
    };
    let (interval, target) = (first.interval, aim(root, first, probe)?);
    Ok((places, Before { interval, target, moved: Vec::new() }))
}

/// Makes the probe run every `seconds`, and at no other interval. One that is off gets a link to where
/// `target` says ([`Before::target`]). Returns where files went that lay in interval folders themselves.
pub fn schedule(
    root: &Path,
    probe: &ProbeName,
    seconds: u32,
    target: Option<&Path>,
) -> Result<Vec<PathBuf>, CannotSwitch> {
    if !INTERVALS.contains(&seconds) {
        return Err(CannotSwitch::Interval { seconds });
    }
    let places = places(root, probe)?;
    let refused = |why| CannotSwitch::Refused { probe: probe.clone(), why };
    let mut target = match places.first() {
        Some(first) => aim(root, first, probe)?,
        None => target.unwrap_or(Path::new("")).to_owned(),
    };
    if places.is_empty() && target.as_os_str().is_empty() && !is_example(root, probe) {
        return Err(not_installed(root, probe));
    }
    let mut moved = Vec::new();
    for (number, place) in places.iter().enumerate().filter(|(_, place)| !place.is_link) {
        let name = keep(root, &place.path)?;
        if number == 0 {
            target = link_to(&name, probe);
        }
        moved.push(name);
    }
    let folder = root.join(seconds.to_string());
    let link = match target.as_os_str().is_empty() {
        true => Path::new("..").join(EXAMPLES).join(probe.as_str()),
        false => target,
    };
    Version::check_whole(&seen_from_beside(root, &folder, &link)).map_err(refused)?;
    make_folder(&folder)?;
    let path = folder.join(probe.as_str());
    put_link(&link, &folder, &path)?;
    for place in places.iter().filter(|place| place.path != path) {
        remove(&place.path)?;
    }
    Ok(moved)
}

/// Whether an interval folder holds something of this name.
pub fn is_scheduled(root: &Path, probe: &ProbeName) -> bool {
    places(root, probe).is_ok_and(|places| !places.is_empty())
}

fn not_installed(root: &Path, probe: &ProbeName) -> CannotSwitch {
    CannotSwitch::NotInstalled { probe: probe.clone(), root: root.to_owned() }
}

/// Where the probe stands, the shortest interval first: that one runs. Empty if it is off.
fn places(root: &Path, probe: &ProbeName) -> Result<Vec<Place>, CannotSwitch> {
    if !catalog::may_be_probe(probe.as_str()) {
        return Err(not_installed(root, probe));
    }
    let failed = |source| CannotSwitch::Io { what: "read", path: root.to_owned(), source };
    let mut places = Vec::new();
    for entry in fs::read_dir(root).map_err(failed)?.flatten().take(catalog::MAX_FILES) {
        let Some(interval) = entry.file_name().to_str().and_then(catalog::valid_interval) else {
            continue;
        };
        let path = entry.path().join(probe.as_str());
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() || found.is_file() => {
                places.push(Place { interval, path, is_link: found.is_symlink() });
            }
            _ => {}
        }
    }
    places.sort_by(|one, other| (one.interval, &one.path).cmp(&(other.interval, &other.path)));
    Ok(places)
}

fn is_example(root: &Path, probe: &ProbeName) -> bool {
    root.join(EXAMPLES).join(probe.as_str()).is_file()
}

/// [`Before::target`] of a link; empty for a file.
fn aim(root: &Path, place: &Place, probe: &ProbeName) -> Result<PathBuf, CannotSwitch> {
    if !place.is_link {
        return Ok(PathBuf::new());
    }
    let failed = |source| CannotSwitch::Io { what: "read", path: place.path.clone(), source };
    let aim = fs::read_link(&place.path).map_err(failed)?;
    let folder = place.path.parent().unwrap_or(root);
    if lexical(&folder.join(&aim)) == root.join(EXAMPLES).join(probe.as_str()) {
        return Ok(PathBuf::new());
    }
    // From a folder that is a link itself, what is relative leads elsewhere.
    match aim.is_relative() && folder.is_symlink() {
        true => fs::canonicalize(folder).map(|folder| folder.join(aim)).map_err(failed),
        false => Ok(aim),
    }
}

/// The link to a file in `examples/`; empty if that has the name of the probe.
fn link_to(kept: &Path, probe: &ProbeName) -> PathBuf {
    match kept.file_name() {
        Some(name) if name != probe.as_str() => Path::new("..").join(EXAMPLES).join(name),
        _ => PathBuf::new(),
    }
}

/// Where a link in `folder` would lead, which may not be there yet: all these folders lie side by side.
fn seen_from_beside(root: &Path, folder: &Path, link: &Path) -> PathBuf {
    let examples = root.join(EXAMPLES);
    match examples.is_dir() && !examples.is_symlink() {
        true => examples.join(link),
        false => lexical(&folder.join(link)),
    }
}

/// A path without `..`, which is not looked for on the disk.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// Takes away a link, or moves a file to `examples/` and says where it is there.
fn put_away(root: &Path, place: &Place) -> Result<Option<PathBuf>, CannotSwitch> {
    let kept = match place.is_link {
        true => None,
        false => Some(keep(root, &place.path)?),
    };
    remove(&place.path)?;
    Ok(kept)
}

fn remove(path: &Path) -> Result<(), CannotSwitch> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(CannotSwitch::Io { what: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Sees to it that a file is in `examples/` too, under its name or, where another file has that, one like
/// it. Returns where.
fn keep(root: &Path, file: &Path) -> Result<PathBuf, CannotSwitch> {
    let examples = root.join(EXAMPLES);
    make_folder(&examples)?;
    let failed = |what, path: &Path, source| CannotSwitch::Io { what, path: path.into(), source };
    let own = fs::symlink_metadata(file).map_err(|source| failed("look at", file, source))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for number in 1..=MAX_NAMES {
        let path = match number {
            1 => examples.join(&name),
            number => examples.join(format!("{name}-{number}")),
        };
        match fs::symlink_metadata(&path) {
            // Since somebody died in the middle of this.
            Ok(held) if (held.dev(), held.ino()) == (own.dev(), own.ino()) => return Ok(path),
            Ok(_) => continue,
            Err(_) => {}
        }
        match fs::hard_link(file, &path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            // Not every file system, and not every file, allows a second name.
            Err(_) => {}
        }
        match rustix::fs::renameat_with(CWD, file, CWD, &path, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(path),
            Err(rustix::io::Errno::EXIST) => continue,
            Err(error) => return Err(failed("move to examples/ the file", file, error.into())),
        }
    }
    Err(CannotSwitch::NoName { path: file.to_owned() })
}

fn make_folder(path: &Path) -> Result<(), CannotSwitch> {
    let made = match fs::DirBuilder::new().mode(FOLDER_MODE).create(path) {
        // The process keeps what it makes to itself otherwise.
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    };
    made.map_err(|source| CannotSwitch::Io { what: "make the folder", path: path.into(), source })
}

/// Puts a link in its place at once, whatever was there.
fn put_link(target: &Path, folder: &Path, path: &Path) -> Result<(), CannotSwitch> {
    let new = folder.join(NEW_LINK);
    remove(&new)?;
    std::os::unix::fs::symlink(target, &new)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|source| CannotSwitch::Io { what: "link", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
