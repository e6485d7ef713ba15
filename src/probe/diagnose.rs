//! Why a program could not be started, in words that help its author.

use std::{io, path::Path};

use rustix::fs::{Access, access};

use super::run::head_of;

/// How much of a script is read to find its interpreter, in bytes (the kernel reads 256).
const HEAD_BYTES: u64 = 256;

/// How an ELF file begins.
const ELF: &[u8] = b"\x7fELF";

/// The machine number in an ELF header of what this agent runs on; 0 if it is not known here.
const OUR_MACHINE: u16 = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => 62,
    b"aarch64" => 183,
    b"arm" => 40,
    b"x86" => 3,
    b"riscv64" => 243,
    b"powerpc64" => 21,
    b"s390x" => 22,
    b"loongarch64" => 258,
    _ => 0,
};

/// The error of a failed start, with what can be seen in the file.
pub fn explain(program: &Path, error: &io::Error) -> String {
    let reason = match error.kind() {
        io::ErrorKind::NotFound if program.symlink_metadata().is_err() => {
            Some("the file is gone".to_owned())
        }
        io::ErrorKind::NotFound if !program.exists() => {
            let target = std::fs::read_link(program).unwrap_or_default();
            Some(format!("it is a link to `{}`, which does not exist", target.display()))
        }
        io::ErrorKind::PermissionDenied if access(program, Access::EXEC_OK).is_err() => Some(
            "the agent's user may not execute it, or its file system is mounted with `noexec`"
                .to_owned(),
        ),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => interpreter_of(program),
        io::ErrorKind::ExecutableFileBusy => {
            Some("it is open for writing: copy it under another name, then rename it".to_owned())
        }
        _ => format_of(program, error),
    };
    match reason {
        Some(reason) => format!("{error}: {reason}"),
        None => error.to_string(),
    }
}

/// What is wrong with the program that the file names as the one to run it.
fn interpreter_of(program: &Path) -> Option<String> {
    let head = head_of(program, HEAD_BYTES).ok()?;
    if head.starts_with(ELF) {
        return Some("the loader it was linked for is not installed (another C library?)".into());
    }
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    if line.ends_with(b"\r") {
        return Some("its first line ends in a Windows line break (dos2unix)".into());
    }
    let line = String::from_utf8_lossy(line);
    let interpreter = line.split_whitespace().next().unwrap_or("");
    let state =
        if Path::new(interpreter).exists() { "cannot be executed" } else { "does not exist" };
    Some(format!("its interpreter `{interpreter}` {state}"))
}

/// What is wrong with a file whose format the kernel does not know.
fn format_of(program: &Path, error: &io::Error) -> Option<String> {
    const ENOEXEC: i32 = 8;
    if error.raw_os_error() != Some(ENOEXEC) {
        return None;
    }
    let head = head_of(program, HEAD_BYTES).ok()?;
    if head.is_empty() {
        return Some("the file is empty".into());
    }
    if head.starts_with(ELF) {
        return Some(match machine(&head) {
            Some(machine) if machine != OUR_MACHINE && OUR_MACHINE != 0 => format!(
                "it was built for another architecture (ELF machine {machine}, this host is {})",
                std::env::consts::ARCH
            ),
            _ => "it is a damaged ELF file".into(),
        });
    }
    Some("it has no `#!` line that names its interpreter, such as `#!/bin/sh`".into())
}

/// The machine number in an ELF header.
fn machine(head: &[u8]) -> Option<u16> {
    const BIG_ENDIAN: u8 = 2;
    let bytes = [*head.get(18)?, *head.get(19)?];
    Some(match head[5] {
        BIG_ENDIAN => u16::from_be_bytes(bytes),
        _ => u16::from_le_bytes(bytes),
    })
}

#[cfg(test)]
mod tests;
