//! How the program is called, and what its end means. With the real one: see `tests/notify`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use tempfile::TempDir;

use super::*;
use crate::notify::channel::tests::{delivery, hostile, recovery};

/// A stand-in that writes down how it was called, an argument a line, and fails for addresses with `bad`.
fn stand_in() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apprise");
    let calls = folder.path().display();
    let script = format!(
        "#!/bin/sh\nfor word; do last=\"$word\"; done\n\
         {{ printf '%s\\n' \"$@\"; echo stdin: $(wc -c); echo .; }} >> {calls}/calls.${{last##*/}}\n\
         case \"$last\" in *usage*) exit 2;; *bad*) [ -e {calls}/well ] || {{\n\
         echo \"Failed to send to $last as s3cr3t-user\"; exit 1; }};; esac\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn apprise(folder: &Path, urls: &[&str]) -> Apprise {
    let urls = urls.iter().map(|url| Secret::new(*url)).collect();
    Apprise::new(Settings { program: folder.join("apprise"), urls })
}

fn calls(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(format!("calls.{name}"))).unwrap_or_default()
}

#[tokio::test]
async fn each_address_has_a_call_of_its_own() {
    let folder = stand_in();
    let apprise = apprise(folder.path(), &["x://h/one", "y://h/two"]);
    apprise.send(&delivery()).await.unwrap();
    let expected = "-v\n-t\ndb1 / disk is CRIT: 95 % used\n-b\nSince 03:03\n95 % used\nx://h/one\nstdin: 0\n.\n";
    assert_eq!(calls(&folder, "one"), expected);
    assert_eq!(calls(&folder, "two"), expected.replace("x://h/one", "y://h/two"));
}

#[tokio::test]
async fn only_the_address_that_failed_is_tried_again() {
    let folder = stand_in();
    let apprise = apprise(folder.path(), &["x://h/one", "x://s3cr3t-user:pw@h/bad"]);
    let failed = apprise.send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Later);
    assert!(failed.why.contains("1 of 2 have it; x://…: apprise ended with 1"), "{failed}");
    assert!(!failed.why.contains("s3cr3t"), "{failed}");
    fs::write(folder.path().join("well"), "").unwrap();
    apprise.send(&delivery()).await.unwrap();
    assert_eq!(calls(&folder, "one").matches("stdin").count(), 1);
    assert_eq!(calls(&folder, "bad").matches("stdin").count(), 2);
    // Another message is for all of them.
    apprise.send(&recovery()).await.unwrap();
    assert_eq!(calls(&folder, "one").matches("stdin").count(), 2);
}

#[tokio::test]
async fn a_long_text_does_not_go_through_the_arguments() {
    let folder = stand_in();
    apprise(folder.path(), &["x://h/one"]).send(&hostile()).await.unwrap();
    let calls = calls(&folder, "one");
    assert!(!calls.contains("\n-b\n"), "the body is no argument");
    let read = calls.rsplit_once("stdin: ").unwrap().1;
    assert!(read.trim_end_matches("\n.\n").parse::<usize>().unwrap() > 50_000, "{read}");
}

#[tokio::test]
async fn a_call_that_is_refused_is_not_repeated() {
    let folder = stand_in();
    let failed = apprise(folder.path(), &["x://h/usage"]).send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Never);
}

#[tokio::test]
async fn without_the_program_it_says_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let failed = apprise(folder.path(), &["x://h/one"]).send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Never);
    assert!(failed.why.contains("/apprise` cannot be started"), "{failed}");
    assert!(failed.why.contains("pip install apprise"), "{failed}");
}
