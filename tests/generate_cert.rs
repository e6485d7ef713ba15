//! The program `generate_cert`, with the commands that the original documents.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tempfile::TempDir;
use wigo::trust::{Ca, Fingerprint};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_generate_cert"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Runs it with success, and gives what it printed.
fn made(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

fn certificate(folder: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join("wigo.crt")).unwrap()
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> X509Certificate<'a> {
    x509_parser::parse_x509_certificate(der).unwrap().1
}

fn seconds_valid(certificate: &X509Certificate<'_>) -> i64 {
    let validity = certificate.validity();
    validity.not_after.timestamp() - validity.not_before.timestamp()
}

fn key(folder: &Path) -> String {
    fs::read_to_string(folder.join("wigo.key")).unwrap()
}

#[test]
fn the_documented_command_makes_an_authority() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    // The original's documentation has 4096 bits, which take long to find.
    let line =
        ["-ca=true", "-duration=876000h0m0s", "-host", "192.0.2.7,a.example", "--rsa-bits=2048"];
    let printed = made(folder, &line);
    let der = certificate(folder);
    let fingerprint = Fingerprint::of_certificate(&der).to_string();
    for part in ["written wigo.crt", "written wigo.key", &fingerprint, "[PushServer]"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("wigo.key"), 0o600);
    assert_eq!(mode("wigo.crt") & 0o400, 0o400);
    assert!(key(folder).starts_with("-----BEGIN RSA PRIVATE KEY-----\n"), "not for the original");

    let parsed = parse(&der);
    assert!(parsed.is_ca());
    assert_eq!(seconds_valid(&parsed), 876_000 * 3_600);
    let names = parsed.subject_alternative_name().unwrap().unwrap().value;
    let names = &names.general_names[..];
    assert_eq!(names, [GeneralName::IPAddress(&[192, 0, 2, 7]), GeneralName::DNSName("a.example")]);
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && usage.key_cert_sign() && usage.crl_sign());
    assert!(parsed.extended_key_usage().unwrap().unwrap().value.server_auth);
    let common = parsed.subject().iter_common_name().next().unwrap().as_str();
    assert_eq!(common.unwrap(), "192.0.2.7");
    parsed.verify_signature(None).unwrap();
    let ca = Ca::load(&folder.join("wigo.crt"), &folder.join("wigo.key"), "here").unwrap();
    assert_eq!(ca.fingerprint().to_string(), fingerprint);
}

#[test]
fn without_flags_it_makes_a_servers_certificate() {
    let folder = TempDir::new().unwrap();
    for (flags, bytes) in [(&["--force"][..], 65), (&["-force", "-ecdsa-curve", "P384"], 97)] {
        let printed = made(folder.path(), &[flags, &["-host=localhost"]].concat());
        assert!(printed.contains("[Http]"), "{printed}");
        let der = certificate(folder.path());
        let parsed = parse(&der);
        assert!(!parsed.is_ca());
        assert_eq!(seconds_valid(&parsed), 8_760 * 3_600);
        assert_eq!(parsed.public_key().subject_public_key.data.len(), bytes);
        assert!(key(folder.path()).starts_with("-----BEGIN PRIVATE KEY-----\n"));
    }
}

#[test]
fn it_begins_when_it_is_told_to() {
    let folder = TempDir::new().unwrap();
    let line = ["-host=a", "--start-date", "Jan 2 15:04:05 2040", "-duration", "90000h"];
    made(folder.path(), &line);
    let der = certificate(folder.path());
    let validity = parse(&der).validity().clone();
    assert_eq!(validity.not_before.to_string(), "Jan  2 15:04:05 2040 +00:00");
    // UTCTime ends with 2049.
    assert_eq!(validity.not_after.to_string(), "Apr  9 15:04:05 2050 +00:00");
}

#[test]
fn nothing_is_overwritten_unless_it_is_said() {
    for there in ["wigo.crt", "wigo.key"] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(there), "precious").unwrap();
        let output = run(folder.path(), &["-host=a"]);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output);
        assert!(said.contains(there) && said.contains("--force"), "{said}");
        assert_eq!(fs::read_to_string(folder.path().join(there)).unwrap(), "precious");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "half of it was written");
        made(folder.path(), &["-host=a", "--force"]);
        assert_ne!(fs::read_to_string(folder.path().join(there)).unwrap(), "precious");
    }
}

#[test]
fn mistakes_end_with_1_and_leave_nothing() {
    let folder = TempDir::new().unwrap();
    for (line, part) in [
        (&[][..], "`-host` is missing"),
        (&["-host"], "needs a value"),
        (&["-host=a", "-colour=red"], "no flag"),
        (&["-host=a b"], "neither a host name nor an address"),
        (&["-host=a", "-ecdsa-curve=P521"], "P256 and P384"),
        (&["-host=a", "-rsa-bits=1024"], "2048, 3072 or 4096"),
        (&["-host=a", "-duration=99999999h"], "9999"),
    ] {
        let output = run(folder.path(), line);
        assert_eq!(output.status.code(), Some(1), "{line:?}");
        assert!(text(&output).contains(part), "{line:?}: {}", text(&output));
        assert!(output.stdout.is_empty(), "{line:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(made(folder.path(), &["--help"]).contains("-start-date"));
    assert!(made(folder.path(), &["--version"]).contains(env!("CARGO_PKG_VERSION")));
}
