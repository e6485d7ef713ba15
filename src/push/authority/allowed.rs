//! The file with the clients that were admitted: one `uuid hostname` a line, as it always was.
//!
//! People edit it while we run, so it is looked at again and again, and what we do not understand in it
//! stays where it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read as _},
    mem,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use uuid::Uuid;

use crate::trust::{self, Existing, Readers};

/// The longest file that is read, in bytes: room for far more than [`super::MAX_CLIENTS`].
const MAX_FILE_BYTES: u64 = 16 << 20;
/// The longest name that is kept, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Lines of one file that are complained about.
const MAX_COMPLAINTS: usize = 10;
/// Characters of a bad line that are shown.
const SHOWN_CHARACTERS: usize = 80;

/// The file as it was when we last read or wrote it. Reading and writing block.
pub struct AllowedFile {
    path: PathBuf,
    lines: Vec<Line>,
    /// The state of the file that `lines` came from.
    applied: Option<Stamp>,
    /// Its state at the last look.
    seen: Option<Stamp>,
    /// Who was removed by us and is in the file still.
    unwritten: BTreeSet<Uuid>,
}

enum Line {
    Client {
        uuid: Uuid,
        name: String,
    },
    /// A comment, an empty line, or what we do not understand: kept as it is.
    Other(Vec<u8>),
}

/// What differs after each change of a file: when it was changed, its size, and which file it is.
#[derive(Clone, Copy, PartialEq)]
struct Stamp(SystemTime, u64, u64);

impl AllowedFile {
    /// Reads the file. One that is missing is empty.
    pub fn open(path: &Path) -> io::Result<AllowedFile> {
        let applied = stamp(path)?;
        let lines = applied.map_or(Ok(Vec::new()), |_| read(path))?;
        Ok(AllowedFile {
            path: path.into(),
            lines,
            applied,
            seen: applied,
            unwritten: BTreeSet::new(),
        })
    }

    /// Whether the file was there when it was last read or written.
    pub fn exists(&self) -> bool {
        self.applied.is_some()
    }

    /// Who is in it, with the names. A uuid without a name has itself as its name.
    pub fn clients(&self) -> BTreeMap<Uuid, String> {
        let client = |line: &Line| match line {
            Line::Client { uuid, name } if name.is_empty() => Some((*uuid, uuid.to_string())),
            Line::Client { uuid, name } => Some((*uuid, name.clone())),
            Line::Other(_) => None,
        };
        self.lines.iter().filter_map(client).collect()
    }

    /// Takes over what somebody else has changed in the file; whether there was anything.
    ///
    /// A change counts when two looks have found the same file: an editor that empties the file before
    /// it writes it must not revoke everybody. For the same reason a file that is gone changes nothing.
    pub fn look(&mut self) -> io::Result<bool> {
        let found = stamp(&self.path)?;
        let settled = mem::replace(&mut self.seen, found) == found;
        if found == self.applied || !settled {
            return Ok(false);
        }
        // A file that cannot be read is complained about once, not at each look.
        self.applied = found;
        if found.is_none() {
            let gone = "it is gone; who was in it stays admitted until the next start";
            return Err(io::Error::new(io::ErrorKind::NotFound, gone));
        }
        self.lines = read(&self.path)?;
        let is_removed = |line: &Line| matches!(line, Line::Client { uuid, .. } if self.unwritten.contains(uuid));
        if self.lines.iter().any(is_removed) {
            self.lines.retain(|line| !is_removed(line));
            if let Err(error) = self.write() {
                tracing::error!("`{}` cannot be written: {error}", self.path.display());
            }
        }
        Ok(true)
    }

    /// Whether the file is as we know it. If not somebody is editing it, and it is not to be written until
    /// [`AllowedFile::look`] has taken the edit over.
    pub fn is_as_known(&self) -> io::Result<bool> {
        Ok(stamp(&self.path)? == self.applied)
    }

    /// Adds a client and writes the file.
    pub fn add(&mut self, uuid: Uuid, name: &str) -> io::Result<()> {
        self.lines.push(Line::Client { uuid, name: clean(name) });
        self.write().inspect_err(|_| drop(self.lines.pop()))
    }

    /// Removes a client and writes the file, or leaves that to the next look if somebody is editing it. If
    /// that fails the client is in the file still, though not in [`AllowedFile::clients`].
    pub fn remove(&mut self, uuid: Uuid) -> io::Result<()> {
        let is_it = |line: &Line| matches!(line, Line::Client { uuid: held, .. } if *held == uuid);
        if self.lines.iter().any(is_it) {
            self.lines.retain(|line| !is_it(line));
            self.unwritten.insert(uuid);
        }
        match self.unwritten.is_empty() || !self.is_as_known()? {
            true => Ok(()),
            false => self.write(),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let mut text = Vec::new();
        for line in &self.lines {
            match line {
                Line::Client { uuid, name } if name.is_empty() => {
                    text.extend_from_slice(uuid.to_string().as_bytes());
                }
                Line::Client { uuid, name } => {
                    text.extend_from_slice(format!("{uuid} {name}").as_bytes());
                }
                Line::Other(line) => text.extend_from_slice(line),
            }
            text.push(b'\n');
        }
        // A link to the file stays one.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        trust::write(&path, &text, Readers::Owner, Existing::Replace)?;
        self.applied = stamp(&self.path)?;
        self.seen = self.applied;
        self.unwritten.clear();
        Ok(())
    }
}

fn stamp(path: &Path) -> io::Result<Option<Stamp>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(Stamp(found.modified()?, found.len(), found.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<Vec<Line>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut complaints = 0;
    let lines = text.split(|byte| *byte == b'\n').enumerate().map(|(index, line)| {
        parse(line).unwrap_or_else(|| {
            complaints += 1;
            if complaints <= MAX_COMPLAINTS {
                complain(path, index + 1, line);
            }
            Line::Other(line.to_vec())
        })
    });
    Ok(lines.collect())
}

/// A line, or nothing if it is neither a client nor meant to be ignored.
fn parse(line: &[u8]) -> Option<Line> {
    let text = line.trim_ascii();
    if text.is_empty() || text.starts_with(b"#") {
        return Some(Line::Other(line.to_vec()));
    }
    let text = String::from_utf8_lossy(text);
    let (uuid, name) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
    let uuid = Uuid::try_parse(uuid).ok().filter(|uuid| !uuid.is_nil())?;
    Some(Line::Client { uuid, name: clean(name) })
}

fn complain(path: &Path, number: usize, line: &[u8]) {
    let line: String = String::from_utf8_lossy(line).chars().take(SHOWN_CHARACTERS).collect();
    tracing::warn!(
        "line {number} of `{}` is skipped, it is not `uuid hostname`: `{}`",
        path.display(),
        line.escape_debug()
    );
}

/// A name that fits on one line, whatever a client has sent.
pub fn clean(name: &str) -> String {
    let mut clean = String::new();
    for c in name.trim().chars() {
        let c = if c.is_control() || is_invisible(c) { '_' } else { c };
        if clean.len() + c.len_utf8() > MAX_NAME_BYTES {
            break;
        }
        clean.push(c);
    }
    clean
}

/// Characters that break a line or turn its order round without being seen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
