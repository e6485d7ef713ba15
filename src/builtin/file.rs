//! Reading files of `/proc`, `/sys` and `/etc`, never more than a stated number of bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::Failure;

/// Most that is read of a file in `/proc` or `/sys`, in bytes: a mount table of 20,000 lines.
const MAX_PROC_BYTES: u64 = 4 * 1024 * 1024;

/// The start of a file, at most `limit` bytes.
///
/// Asks for no size first: files in `/proc` do not have any.
pub(super) fn read_start(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::with_capacity(4096);
    File::open(path)?.take(limit).read_to_end(&mut content)?;
    Ok(content)
}

/// A file of the kernel as it is.
pub(super) fn read_proc_bytes(path: &str) -> Result<Vec<u8>, Failure> {
    read_start(path.as_ref(), MAX_PROC_BYTES).map_err(|source| Failure::File {
        action: "read",
        path: path.into(),
        source,
    })
}

/// A file of the kernel as text; bytes that are not UTF-8 are replaced.
pub(super) fn read_proc(path: &str) -> Result<String, Failure> {
    Ok(lossy(read_proc_bytes(path)?))
}

/// Text; bytes that are not UTF-8 are replaced.
pub(super) fn lossy(content: Vec<u8>) -> String {
    match String::from_utf8(content) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}
