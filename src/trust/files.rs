//! Files with keys and certificates, read within a limit and written in one piece.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{BadCertificate, Fingerprint};

/// The longest file with certificates or a key, in bytes: a system's list of authorities is half of it.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Characters in a line of PEM (RFC 7468).
const PEM_COLUMNS: usize = 64;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Readers {
    /// Its owner alone, from the first moment on: keys.
    Owner,
    Everybody,
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Existing {
    /// It stays as it is, and writing fails with [`io::ErrorKind::AlreadyExists`].
    Keep,
    Replace,
}

/// Writes a file that is there whole and on the disk, or not at all; missing folders are made.
pub fn write(path: &Path, contents: &[u8], readers: Readers, existing: Existing) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Everybody => 0o644,
    };
    // A name of its own, made with O_EXCL: nobody else has the file open.
    let mut begun = tempfile::Builder::new()
        .prefix(".wigo-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    // Whatever the umask is.
    begun.as_file().set_permissions(Permissions::from_mode(mode))?;
    begun.write_all(contents)?;
    begun.as_file().sync_all()?;
    match existing {
        Existing::Keep => begun.persist_noclobber(path)?,
        Existing::Replace => begun.persist(path)?,
    };
    File::open(folder)?.sync_all()
}

/// Reads a whole file, if it is not absurdly long.
pub(super) fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, BadCertificate> {
    read_bounded(path).map_err(|source| BadCertificate::Read { what, path: path.into(), source })
}

pub(super) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(contents)
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, BadCertificate> {
    certificates_of(&read("certificate", path)?)
        .map_err(|why| BadCertificate::pem("certificate", path, why))
}

/// The SHA-256 of the first certificate of a PEM file: what clients of that authority compare.
pub fn certificate_fingerprint(path: &Path) -> Result<Fingerprint, BadCertificate> {
    certificates(path).map(|chain| Fingerprint::of_certificate(&chain[0]))
}

/// The certificates in a PEM text, at least one.
pub(super) fn certificates_of(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    if chain.is_empty() { Err("nothing found".into()) } else { Ok(chain) }
}

/// The PEM form of something in DER.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(PEM_COLUMNS) {
        pem.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

/// Whether users that are neither the owner nor of the group may read the file.
pub(super) fn everybody_may_read(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// A certificate in PEM form.
pub fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    pem("CERTIFICATE", certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_for_its_owner_and_is_replaced_only_on_demand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/wigo.key");
        write(&path, b"one", Readers::Owner, Existing::Keep).unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"one".to_vec(), 0o600));
        let error = write(&path, b"two", Readers::Owner, Existing::Keep).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        // What was open to all before is not afterwards.
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        write(&path, b"two", Readers::Owner, Existing::Replace).unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), 0o600));
        let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1, "something was left behind");
    }

    #[test]
    fn a_link_is_replaced_and_what_it_points_at_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, b"key", Readers::Owner, Existing::Keep).unwrap_err();
        write(&link, b"key", Readers::Owner, Existing::Replace).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert_eq!(fs::read(&link).unwrap(), b"key");
    }

    #[test]
    fn an_endless_file_is_not_read() {
        let error = read("certificate", Path::new("/dev/zero")).unwrap_err();
        assert!(matches!(error, BadCertificate::Read { .. }), "{error:?}");
    }
}
