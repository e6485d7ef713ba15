//! Which probes there are: what lies in the interval folders, and why something in them is not run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use thiserror::Error;

use super::ownership;
use crate::tree::ProbeName;

/// Shortest and longest interval, in seconds.
pub const INTERVALS: std::ops::RangeInclusive<u32> = 2..=86_400;
/// Most probes of one host.
pub const MAX_PROBES: usize = 1_000;
/// Most entries of one folder that are looked at.
pub const MAX_FILES: usize = 10_000;
/// Most interval folders.
pub const MAX_FOLDERS: usize = 100;
/// Most things that are told as not run.
pub const MAX_NOT_RUN: usize = 1_000;
/// Where probes lie that are installed and perhaps not enabled.
pub const EXAMPLES: &str = "examples";
/// The executable behind the built-in probes, which is none itself.
pub const BUILTIN: &str = "wigo-probe";
/// The name under which the agent reports about itself.
pub const SELF_PROBE: &str = "wigo";

/// A probe that is due every `interval` seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it is called: a file or a link in an interval folder.
    pub path: PathBuf,
    pub interval: u32,
    /// Why it may not be run; that is then its result.
    pub refused: Option<String>,
    /// Changes when the file behind it is replaced or edited.
    pub version: Option<Version>,
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

/// Something in the probes folder that is not run, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotRun {
    pub path: PathBuf,
    pub why: String,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    pub entries: BTreeMap<ProbeName, Entry>,
    pub not_run: BTreeSet<NotRun>,
    /// Executables in `examples/` that no interval folder holds.
    pub disabled: BTreeSet<String>,
    /// Folders in which a change matters.
    pub folders: BTreeSet<PathBuf>,
}

/// The probes folder itself cannot be read.
#[derive(Debug, Error)]
#[error(
    "the probes folder `{path}` cannot be read: make it, or name another as [Global] ProbesDirectory"
)]
pub struct NoProbes {
    pub path: PathBuf,
    pub source: io::Error,
}

impl Catalog {
    /// Reads the folders below `root`, an absolute path.
    pub fn read(root: &Path) -> Result<Catalog, NoProbes> {
        let no_probes = |source| NoProbes { path: root.into(), source };
        let mut catalog = Catalog { folders: BTreeSet::from([root.into()]), ..Catalog::default() };
        let mut installed = BTreeSet::new();
        let mut folders = BTreeSet::new();
        for entry in fs::read_dir(root).map_err(no_probes)?.flatten().take(MAX_FILES) {
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            match interval_of(name) {
                _ if name == EXAMPLES => installed = executables_in(&path),
                Some(Ok(_)) if folders.len() == MAX_FOLDERS => {
                    catalog.not_run(&path, format!("more than {MAX_FOLDERS} interval folders"));
                }
                Some(Ok(interval)) => {
                    folders.insert((interval, path));
                }
                Some(Err(())) => catalog.not_run(&path, "an interval is 2 to 86400 seconds"),
                None => {}
            }
        }
        // Shortest first, so that it owns a name that stands in several.
        for (interval, path) in folders {
            catalog.read_folder(&path, interval);
        }
        catalog.disabled = installed
            .into_iter()
            .filter(|name| !catalog.entries.contains_key(name.as_str()))
            .collect();
        Ok(catalog)
    }

    fn not_run(&mut self, path: &Path, why: impl Into<String>) {
        if self.not_run.len() < MAX_NOT_RUN {
            self.not_run.insert(NotRun { path: path.into(), why: why.into() });
        }
    }

    fn read_folder(&mut self, path: &Path, interval: u32) {
        match fs::metadata(path) {
            Ok(folder) if folder.is_dir() => {}
            Ok(_) => return self.not_run(path, "it is not a folder"),
            Err(error) => return self.not_run(path, format!("it cannot be opened: {error}")),
        }
        self.folders.insert(path.into());
        let refused = ownership::check_way(path).err();
        let files = match fs::read_dir(path) {
            Ok(files) => files,
            Err(error) => return self.not_run(path, format!("it cannot be read: {error}")),
        };
        let mut files: Vec<_> = files.flatten().take(MAX_FILES + 1).collect();
        if files.len() > MAX_FILES {
            files.truncate(MAX_FILES);
            self.not_run(path, format!("of more than {MAX_FILES} files in it some are not run"));
        }
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            self.read_file(&file, interval, refused.clone());
        }
    }

    fn read_file(&mut self, file: &fs::DirEntry, interval: u32, refused: Option<String>) {
        let path = file.path();
        if file.file_type().is_ok_and(|kind| kind.is_dir()) {
            return;
        }
        let name = file.file_name();
        let name = match name.to_str().ok_or("its name is not UTF-8".to_owned()) {
            Ok(name) if is_leftover(name) => {
                return self.not_run(&path, "hidden files and backup copies are not run");
            }
            Ok(SELF_PROBE) => {
                return self.not_run(&path, "this name is the agent's own: rename the probe");
            }
            Ok(name) => ProbeName::new(name).map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        let name = match name {
            Ok(name) => name,
            Err(why) => return self.not_run(&path, why),
        };
        if let Some(owner) = self.entries.get(name.as_str()) {
            let why = format!("`{name}` runs every {} s already", owner.interval);
            return self.not_run(&path, why);
        }
        if self.entries.len() == MAX_PROBES {
            return self.not_run(&path, format!("more than {MAX_PROBES} probes"));
        }
        let found = look_at(&path);
        // Where a link leads is watched as long as there is nothing to run: what is missing may come,
        // or be made executable. Not longer, since watching costs a wake-up for each run.
        let runs = matches!(&found, Ok(Found::Program { refused: None, .. }));
        if !runs && file.file_type().is_ok_and(|kind| kind.is_symlink()) {
            self.folders.extend(target_folder(&path));
        }
        match found {
            Ok(Found::Gone) => {}
            Ok(Found::Program { version, refused: own }) => {
                let entry =
                    Entry { path, interval, refused: refused.or(own), version: Some(version) };
                self.entries.insert(name, entry);
            }
            Ok(Found::NotAProgram { why }) => self.not_run(&path, why),
            Err(why) => {
                let entry = Entry { path, interval, refused: Some(why), version: None };
                self.entries.insert(name, entry);
            }
        }
    }
}

enum Found {
    Program {
        version: Version,
        refused: Option<String>,
    },
    NotAProgram {
        why: String,
    },
    /// Removed since its folder was read.
    Gone,
}

/// The interval that the name of a folder means, `Err` if it is too short or too long; `None` if the
/// name is no number.
fn interval_of(name: &str) -> Option<Result<u32, ()>> {
    let digits = name.strip_prefix(['+', '-']).unwrap_or(name);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(name.parse().ok().filter(|interval| INTERVALS.contains(interval)).ok_or(()))
}

/// The interval of an interval folder; `None` if the name is not that of one.
pub(super) fn valid_interval(name: &str) -> Option<u32> {
    interval_of(name)?.ok()
}

/// Whether a file of this name may be a probe.
pub(super) fn may_be_probe(name: &str) -> bool {
    ![SELF_PROBE, BUILTIN].contains(&name) && !is_leftover(name) && ProbeName::new(name).is_ok()
}

/// The folder of the file that a link leads to, or would lead to.
fn target_folder(link: &Path) -> Option<PathBuf> {
    let target = match fs::canonicalize(link) {
        Ok(target) => target,
        Err(_) => link.parent()?.join(fs::read_link(link).ok()?),
    };
    target.parent()?.canonicalize().ok()
}

/// What a path in an interval folder leads to. `Err` if that should be seen as a failing probe.
fn look_at(path: &Path) -> Result<Found, String> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(_) if is_gone(path) => return Ok(Found::Gone),
        Err(error) => return Err(unseen(path, &error)),
    };
    let why = if metadata.is_dir() {
        "it is a link to a folder"
    } else if !metadata.is_file() {
        "it is neither a file nor a link to one"
    } else if metadata.permissions().mode() & 0o111 == 0 {
        "it is not executable (chmod +x)"
    } else {
        let version = Version::of(&metadata);
        return Ok(Found::Program { version, refused: ownership::check_way(path).err() });
    };
    Ok(Found::NotAProgram { why: why.into() })
}

fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Why a file cannot be looked at, with the aim of a link.
fn unseen(path: &Path, error: &io::Error) -> String {
    match fs::read_link(path) {
        Ok(aim) => format!("it is a link to `{}`: {error}", aim.display()),
        Err(_) => format!("it cannot be looked at: {error}"),
    }
}

impl Version {
    fn of(metadata: &fs::Metadata) -> Version {
        Version {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Looks at a program and everything above it, as the catalog does.
    pub fn check_whole(path: &Path) -> Result<Version, String> {
        match look_at(path)? {
            Found::Gone => Err("there is no such file".into()),
            Found::Program { refused: Some(why), .. } => Err(why),
            Found::Program { version, refused: None } => Ok(version),
            Found::NotAProgram { why } => Err(why),
        }
    }

    /// Looks at a program right before it is run, where a look at the file itself is enough: that the
    /// folders above are in order was seen when the catalog was read.
    pub fn check(path: &Path) -> Result<Version, String> {
        let metadata = fs::metadata(path).map_err(|error| unseen(path, &error))?;
        ownership::check_metadata(path, &metadata)?;
        Ok(Version::of(&metadata))
    }
}

/// What editors, packages and version control leave behind.
fn is_leftover(name: &str) -> bool {
    const ENDINGS: [&str; 9] =
        ["~", ".swp", ".bak", ".orig", ".rej", ".dpkg-old", ".dpkg-new", ".dpkg-dist", ".rpmsave"];
    name.starts_with('.') || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn executables_in(folder: &Path) -> BTreeSet<String> {
    let Ok(files) = fs::read_dir(folder) else { return BTreeSet::new() };
    let is_program = |path: &Path| {
        fs::metadata(path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    files
        .flatten()
        .filter(|file| is_program(&file.path()))
        .filter_map(|file| file.file_name().into_string().ok())
        .filter(|name| may_be_probe(name))
        .collect()
}

#[cfg(test)]
mod tests;
