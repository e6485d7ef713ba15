//! `check_readonly_filesystem`: a file system that turned read-only, as Linux does with a broken disk.
//!
//! Writes the time into a file on each and reads it back. The file is opened without following a
//! link, and only a file that this probe wrote is ever written again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use serde::Deserialize;

use super::{Answer, Call, Failure, settings};
use crate::status::Status;

/// Longest content that can be a time, in bytes.
const MAX_TIME_BYTES: u64 = 32;

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Settings {
    /// A file on each file system; the probe makes it.
    files: Vec<PathBuf>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { files: vec!["/.wigo_fs_check".into()] }
    }
}

pub(super) fn run(call: &Call) -> Result<Answer, Failure> {
    let settings: Settings = settings::load(call)?.unwrap_or_default();
    if settings.files.is_empty() {
        return Err(Failure::NotApplicable("nothing configured: `files` is empty".into()));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(judge(settings.files.iter().map(|path| (path.as_path(), check(path, now)))))
}

fn judge<'a>(files: impl Iterator<Item = (&'a Path, Result<(), String>)>) -> Answer {
    let mut answer = Answer::new("");
    let mut problems = Vec::new();
    for (path, outcome) in files {
        let name = path.to_string_lossy();
        match outcome {
            Ok(()) => answer.note(&name, "OK"),
            Err(problem) => {
                problems.push(format!("cannot write `{name}`: {problem}"));
                answer.raise(Status::CRIT);
                answer.note(&name, problem);
            }
        }
    }
    answer.say(match problems.is_empty() {
        true => "all file systems are writable".to_owned(),
        false => problems.join("; "),
    });
    answer
}

/// Writes `now` and reads it back.
fn check(path: &Path, now: u64) -> Result<(), String> {
    if !path.is_absolute() {
        return Err("the path must begin with `/`".to_owned());
    }
    match write_and_read(path, now) {
        Ok(()) => Ok(()),
        Err(error) => match last_written(path) {
            Some(then) => Err(format!("{error}; written last {} s ago", now.saturating_sub(then))),
            None => Err(error.to_string()),
        },
    }
}

fn write_and_read(path: &Path, now: u64) -> io::Result<()> {
    let mut file = open(path, OpenOptions::new().read(true).write(true).create(true).mode(0o600))?;
    if read_time(&mut file)?.is_none() {
        return Err(io::Error::other("this file is not from this probe; name one that is free"));
    }
    let text = format!("{now}\n");
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    // A broken disk shows when the data goes to it, not when it goes to the cache.
    file.sync_data()?;
    file.rewind()?;
    match read_time(&mut file)? {
        Some(Some(read)) if read == now => Ok(()),
        _ => Err(io::Error::other("other data came back than was written")),
    }
}

/// When this probe wrote the file, in seconds since 1970.
fn last_written(path: &Path) -> Option<u64> {
    read_time(&mut open(path, OpenOptions::new().read(true)).ok()?).ok()??
}

/// Opens a regular file that has one name, through no link, without waiting for anybody.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = options.custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    match found.is_file() && found.nlink() == 1 {
        true => Ok(file),
        false => Err(io::Error::other("it is not a plain file with one name")),
    }
}

/// The time in the file: `Some(None)` when it is empty, `None` when it holds something else.
fn read_time(file: &mut File) -> io::Result<Option<Option<u64>>> {
    let mut content = Vec::new();
    file.take(MAX_TIME_BYTES + 1).read_to_end(&mut content)?;
    if content.is_empty() {
        return Ok(Some(None));
    }
    // The original writes fractions of a second, some versions without a line end.
    let text = String::from_utf8(content).unwrap_or_default();
    let seconds = text.trim().parse::<f64>().ok();
    Ok(seconds.filter(|seconds| *seconds >= 0.0).map(|seconds| Some(seconds as u64)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_shipped_file_says_the_defaults() {
        settings::assert_shipped_is_default::<Settings>("check_readonly_filesystem");
    }

    #[test]
    fn a_writable_place_is_fine_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("check");
        assert_eq!(check(&path, 1000), Ok(()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "1000\n");
        assert_eq!(check(&path, 99), Ok(()));
        assert_eq!(last_written(&path), Some(99));
    }

    #[test]
    fn what_this_probe_did_not_write_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        assert!(check(&victim, 1).unwrap_err().contains("not from this probe"));
        let link = folder.path().join("link");
        symlink(&victim, &link).unwrap();
        assert!(check(&link, 1).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");

        let first = folder.path().join("first");
        fs::write(&first, "5\n").unwrap();
        fs::hard_link(&first, folder.path().join("second")).unwrap();
        assert!(check(&first, 1).unwrap_err().contains("one name"));
    }

    #[test]
    fn what_cannot_be_written_says_why() {
        assert!(check(Path::new("/proc/wigo"), 1).is_err());
        assert!(check(Path::new("relative"), 1).unwrap_err().contains("begin with"));
        let folder = tempfile::tempdir().unwrap();
        assert!(check(folder.path(), 1).is_err());
    }

    #[test]
    fn each_bad_file_is_named() {
        let bad = Err("read-only".to_owned());
        let files = [(Path::new("/a"), Ok(())), (Path::new("/b"), bad)];
        let answer = judge(files.into_iter());
        assert_eq!(answer.status(), Status::CRIT);
        assert_eq!(answer.message(), "cannot write `/b`: read-only");
        assert_eq!(answer.detail("/a").unwrap(), "OK");
        assert_eq!(answer.detail("/b").unwrap(), "read-only");
        let answer = judge([(Path::new("/a"), Ok(()))].into_iter());
        assert_eq!(
            (answer.status(), answer.message()),
            (Status::OK, "all file systems are writable")
        );
    }
}
