//! Why a program could not be started, in words that help its author.

use std::{io, path::Path};

use super::run::head_of;

/// How much of a script is read to find its interpreter, in bytes (the kernel reads 256).
const HEAD_BYTES: u64 = 256;

/// The machine number in an ELF header of what this agent runs on.
const OUR_MACHINE: u16 = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => 62,
    b"aarch64" => 183,
    b"arm" => 40,
    b"x86" => 3,
    b"riscv64" => 243,
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

fn interpreter_of(program: &Path) -> Option<String> {
    let head = head_of(program, HEAD_BYTES).ok()?;
    let line = String::from_utf8_lossy(head.strip_prefix(b"#!")?).into_owned();
    let line = line.lines().next().unwrap_or("").to_owned();
    let interpreter = line.split_whitespace().next().unwrap_or("");
    if line.contains('\r') || head.windows(2).any(|pair| pair == b"\r\n") {
        return Some("its first line ends in a Windows line break (dos2unix)".into());
    }
    let state =
        if Path::new(interpreter).exists() { "cannot be executed" } else { "does not exist" };
    Some(format!("its interpreter `{interpreter}` {state}"))
}

fn format_of(program: &Path, error: &io::Error) -> Option<String> {
    const ENOEXEC: i32 = 8;
    if error.raw_os_error() != Some(ENOEXEC) {
        return None;
    }
    let head = head_of(program, HEAD_BYTES).ok()?;
    if head.is_empty() {
        return Some("the file is empty".into());
    }
    if head.starts_with(b"\x7fELF") {
        let machine = head.get(18..20).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
        return Some(match machine {
            Some(machine) if machine != OUR_MACHINE => format!(
                "it was built for another architecture (ELF machine {machine}, this host is {})",
                std::env::consts::ARCH
            ),
            _ => "it is a damaged ELF file".into(),
        });
    }
    Some("it has no `#!` line that names its interpreter, such as `#!/bin/sh`".into())
}
