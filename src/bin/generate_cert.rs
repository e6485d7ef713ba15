//! `generate_cert`: makes the certificate and the key of a server or of an authority.

use std::{env, fs, io, path::Path, process::ExitCode, time::SystemTime};

use anyhow::{Context, Result, bail};
use wigo::trust::{
    Existing, Readers,
    generate::{Command, Made, Plan, generate, parse},
    write,
};

const CERTIFICATE: &str = "wigo.crt";
const KEY: &str = "wigo.key";
/// The command line cannot be understood, as in the original.
const EXIT_USAGE: u8 = 1;

const HELP: &str = "\
Makes a certificate that signs itself, `wigo.crt`, and its key, `wigo.key`, in the current folder.
Flags may have one dash or two, and their value after a blank or `=`.

Usage: generate_cert -host NAMES [FLAGS]

  -host NAMES        names and addresses of the server, with commas between (needed)
  -ca                may sign others: for a push server
  -duration TIME     how long it is valid, like 8760h or 876000h0m0s [default: 8760h]
  -start-date DATE   when that begins, like `Jan 2 15:04:05 2026` or 2026-01-02T15:04:05Z [default: now]
  -ecdsa-curve NAME  P256 or P384 [default: P256]
  -rsa-bits N        an RSA key instead, of 2048, 3072 or 4096 bits; the original reads no other kind
  -force             replace the files if they are there
  -help, -version

Example, for a push server: generate_cert -ca -duration 87600h -host master.example,192.0.2.7
";

fn main() -> ExitCode {
    let mut arguments = Vec::new();
    for argument in env::args_os().skip(1) {
        match argument.into_string() {
            Ok(argument) => arguments.push(argument),
            Err(argument) => return usage(&format!("{argument:?} is no text")),
        }
    }
    match parse(arguments, SystemTime::now()) {
        Err(bad) => usage(&bad.to_string()),
        Ok(Command::Help) => print(HELP),
        Ok(Command::Version) => print(concat!("generate_cert ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Make { plan, force }) => match make(&plan, force) {
            Ok(text) => print(&text),
            Err(error) => {
                eprintln!("generate_cert: {error:#}");
                ExitCode::FAILURE
            }
        },
    }
}

fn make(plan: &Plan, force: bool) -> Result<String> {
    let existing = if force { Existing::Replace } else { Existing::Keep };
    if !force {
        // Before a key is made, which takes a while; writing looks again.
        for file in [CERTIFICATE, KEY] {
            if fs::symlink_metadata(file).is_ok() {
                bail!("`{file}` is there already: use --force to replace it, or another folder");
            }
        }
    }
    let made = generate(plan)?;
    let written = |file: &str, result: io::Result<()>| {
        result.with_context(|| format!("cannot write `{file}` in the current folder"))
    };
    let key = made.key_pem.as_bytes();
    written(KEY, write(Path::new(KEY), key, Readers::Owner, existing))?;
    let certificate = made.certificate_pem.as_bytes();
    written(CERTIFICATE, write(Path::new(CERTIFICATE), certificate, Readers::Everybody, existing))?;
    Ok(report(plan, &made))
}

fn report(plan: &Plan, made: &Made) -> String {
    let fingerprint = made.fingerprint;
    let next = if plan.authority {
        format!(
            "On the push server, put both files where SslCert and SslKey of [PushServer] say\n\
             (/etc/wigo/ssl/) and keep the key secret. On each client, put wigo.crt where SslCert\n\
             of [PushClient] says, or write CaFingerprint = \"{fingerprint}\"\n"
        )
    } else {
        "Put both files where SslCert and SslKey of [Http] say and keep the key secret.\n"
            .to_owned()
    };
    format!(
        "written {CERTIFICATE}\nwritten {KEY}\nfor {}\nSHA-256 {fingerprint}\n\n{next}",
        plan.hosts.join(", ")
    )
}

fn usage(why: &str) -> ExitCode {
    eprintln!("generate_cert: {why}; see `generate_cert -help`");
    ExitCode::from(EXIT_USAGE)
}

/// Prints all of `text`; a reader that went away is the only way to fail.
fn print(text: &str) -> ExitCode {
    match io::Write::write_all(&mut io::stdout().lock(), text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
