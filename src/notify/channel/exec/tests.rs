//! Programs that behave, and programs that do not.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, thread, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::notify::channel::tests::{delivery, hostile};

/// A folder with a script in it.
fn script(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tell");
    fs::write(&path, format!("#!/bin/sh\ncd {}\n{text}\n", folder.path().display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

async fn run(path: &Path, arguments: &[&str], delivery: &Delivery) -> Result<Receipt, Failed> {
    let words = [path.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
    let command = words.map(Secret::new).collect();
    Exec::new(Settings { command, timeout: Duration::from_secs(20) }).send(delivery).await
}

#[tokio::test]
async fn a_program_gets_the_message_and_a_clean_environment() {
    let (folder, path) = script("cat > input; env > environment; echo taken by \"$1\"");
    let delivery = delivery();
    let receipt = run(&path, &["the $HOME; desk"], &delivery).await.unwrap();
    assert_eq!(receipt.0, "ended with 0: taken by …");
    let input: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("input")).unwrap()).unwrap();
    assert_eq!(input["key"], delivery.message.key);
    assert_eq!((&input["title"], &input["body"]), (&json!(delivery.title), &json!(delivery.body)));
    assert_eq!((&input["level"], &input["status"]), (&json!("CRIT"), &json!(300)));
    let environment = fs::read_to_string(folder.path().join("environment")).unwrap();
    let value = |name: &str| {
        environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    assert_eq!(value("WIGO_KEY"), Some(&*delivery.message.key));
    assert_eq!((value("WIGO_KIND"), value("WIGO_STATUS")), (Some("problem"), Some("300")));
    assert_eq!((value("WIGO_HOST"), value("WIGO_PROBE")), (Some("db1"), Some("disk")));
    assert_eq!(value("CARGO_MANIFEST_DIR"), None, "{environment}");
}

#[tokio::test]
async fn its_exit_code_says_whether_to_try_again() {
    for (end, retry) in [
        ("exit 75", Retry::Later),
        ("exit 64", Retry::Never),
        ("exit 65", Retry::Never),
        ("exit 78", Retry::Never),
        ("exit 79", Retry::Later),
        ("exit 1", Retry::Later),
        ("kill -9 $$", Retry::Later),
    ] {
        let (_folder, path) = script(&format!("echo one; echo no room >&2; {end}"));
        let failed = run(&path, &[], &delivery()).await.unwrap_err();
        assert_eq!(failed.retry, retry, "{end}: {failed}");
        assert!(failed.why.ends_with(": no room"), "{failed}");
    }
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_all_it_started() {
    let (folder, path) =
        script("sleep 1000 & echo $! > started; trap '' TERM; sleep 1000; sleep 1000");
    let command = vec![Secret::new(path.to_str().unwrap())];
    let exec = Exec::new(Settings { command, timeout: Duration::from_secs(1) });
    let failed = exec.send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Later);
    assert!(failed.why.contains("did not end within 1 s"), "{failed}");
    let started = fs::read_to_string(folder.path().join("started")).unwrap();
    let status = format!("/proc/{}/stat", started.trim());
    let lives = || fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z "));
    while lives() {
        thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn a_program_that_prints_without_end_is_ended() {
    let (_folder, path) = script("exec yes");
    let failed = run(&path, &[], &delivery()).await.unwrap_err();
    assert!(failed.why.contains("printed too much"), "{failed}");
}

#[tokio::test]
async fn a_program_need_not_read_what_it_is_given() {
    let (_folder, path) = script("exit 0");
    assert_eq!(run(&path, &[], &hostile()).await.unwrap().0, "ended with 0");
}

#[tokio::test]
async fn what_a_program_leaves_running_holds_nobody_up() {
    let (_folder, path) = script("sleep 1000 & echo done");
    assert_eq!(run(&path, &[], &delivery()).await.unwrap().0, "ended with 0: done");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_with_what_to_do() {
    let failed = run(Path::new("/nonexistent/tell"), &[], &delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Never);
    assert!(failed.why.contains("`/nonexistent/tell` cannot be started: "), "{failed}");
    assert!(failed.why.contains("install it"), "{failed}");
}

#[tokio::test]
async fn arguments_are_told_to_nobody() {
    let (_folder, path) = script("echo \"bad token $1\" >&2; exit 1");
    let failed = run(&path, &["s3cr3t-t0ken"], &delivery()).await.unwrap_err();
    assert!(failed.why.contains("bad token …") && !failed.why.contains("s3cr3t"), "{failed}");
}
