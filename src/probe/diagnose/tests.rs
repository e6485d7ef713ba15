use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;

use super::*;

/// What is said of a program with this content after the kernel refused to start it.
fn refusal(content: &[u8]) -> String {
    let folder = TempDir::new().unwrap();
    let program = write(&folder, content, 0o755);
    start(&program)
}

fn write(folder: &TempDir, content: &[u8], mode: u32) -> PathBuf {
    let program = folder.path().join("probe");
    fs::write(&program, content).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
    program
}

/// Tries to start it, as the agent does, and explains the error.
fn start(program: &Path) -> String {
    loop {
        match Command::new(program).spawn() {
            // Another test forked while the file was still open for writing here.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::yield_now();
            }
            Err(error) => return explain(program, &error),
            Ok(mut child) => panic!("it started, and ended with {:?}", child.wait()),
        }
    }
}

#[track_caller]
fn check(content: &[u8], explained: &str) {
    let refusal = refusal(content);
    assert!(refusal.ends_with(explained), "{refusal}");
}

/// An ELF header for a machine, without anything behind it.
fn elf(machine: u16, big_endian: bool) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..4].copy_from_slice(ELF);
    header[4..7].copy_from_slice(&[2, if big_endian { 2 } else { 1 }, 1]);
    let bytes = if big_endian { machine.to_be_bytes() } else { machine.to_le_bytes() };
    header[18..20].copy_from_slice(&bytes);
    header
}

#[test]
fn interpreters() {
    let gone = "(os error 2): its interpreter `/no/such/python` does not exist";
    check(b"#!/no/such/python\nprint(1)\n", gone);
    check(b"#! /no/such/python -u\nprint(1)\n", gone);
    check(b"#!/no/such/python", gone);
    // A Windows line break further down is not why.
    check(b"#!/no/such/python\nprint(1)\r\n", gone);
    check(b"#!/dev/null\n", "(os error 13): its interpreter `/dev/null` cannot be executed");
}

#[test]
fn windows_line_breaks() {
    let dos = "(os error 2): its first line ends in a Windows line break (dos2unix)";
    check(b"#!/bin/sh\r\necho fine\r\n", dos);
    check(b"#!/no/such/python\r\n", dos);
}

#[test]
fn formats_that_cannot_run() {
    let no_line =
        "(os error 8): it has no `#!` line that names its interpreter, such as `#!/bin/sh`";
    check(b"echo fine\n", no_line);
    check(b" #!/bin/sh\necho fine\n", no_line);
    check(b"\xef\xbb\xbf#!/bin/sh\n", no_line);
    check(b"", "(os error 8): the file is empty");
}

/// What is said of an ELF file when starting it fails with this error. None is started: a host that
/// emulates other machines would run it.
#[track_caller]
fn check_elf(content: &[u8], errno: i32, explained: &str) {
    let folder = TempDir::new().unwrap();
    let program = write(&folder, content, 0o755);
    let explanation = explain(&program, &io::Error::from_raw_os_error(errno));
    assert!(explanation.ends_with(explained), "{explanation}");
}

#[test]
fn programs_for_another_host() {
    let other = if OUR_MACHINE == 243 { 183 } else { 243 };
    let foreign = |machine| {
        let ours = std::env::consts::ARCH;
        format!("another architecture (ELF machine {machine}, this host is {ours})")
    };
    check_elf(&elf(other, false), 8, &foreign(other));
    check_elf(&elf(2, true), 8, &foreign(2));
    check_elf(&elf(OUR_MACHINE, false), 8, "it is a damaged ELF file");
    check_elf(ELF, 8, "it is a damaged ELF file");
    let no_loader = "the loader it was linked for is not installed (another C library?)";
    check_elf(&elf(OUR_MACHINE, false), 2, no_loader);
}

#[test]
fn files_that_are_gone() {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("probe");
    assert!(start(&program).ends_with("(os error 2): the file is gone"));
    symlink("/no/such/target", &program).unwrap();
    let dangling = "it is a link to `/no/such/target`, which does not exist";
    assert!(start(&program).ends_with(dangling));
}

#[test]
fn files_that_may_not_be_run() {
    let folder = TempDir::new().unwrap();
    let program = write(&folder, b"#!/bin/sh\n", 0o644);
    assert!(start(&program).contains("(os error 13): the agent's user may not execute it"));
}

#[test]
fn other_errors_stand_for_themselves() {
    let explained = explain(Path::new("/bin/sh"), &io::Error::from_raw_os_error(12));
    assert_eq!(explained, "Cannot allocate memory (os error 12)");
}
