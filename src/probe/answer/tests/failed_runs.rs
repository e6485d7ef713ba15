use std::io;

use serde_json::json;

use super::*;

/// A run that ended by other means than an exit code of its own.
#[track_caller]
fn check_end(end: End, message: &str) {
    let read = read(&ended(end, b"first words\nmore\n", b""));
    assert_eq!((read.dialect, read.status()), (Dialect::Failure, 500));
    assert_eq!(read.own().message, message);
    assert_eq!((read.own().exit_code, &read.own().value), (-1, &Json::string("ERROR")));
    assert_eq!(read.detail(), json!({"Stdout": "first words\nmore\n"}));
}

#[test]
fn disabled_and_skipped_whatever_was_printed() {
    for stdout in ["", "{\"Status\":300}", "{", "0 a - x", "text", "\0"] {
        for stderr in ["", "oops"] {
            assert_eq!(answer_to(&exited(12, stdout, stderr)), Answer::Disabled);
            assert_eq!(answer_to(&exited(13, stdout, stderr)), Answer::Skipped);
        }
    }
}

#[test]
fn silence() {
    let nothing = |code: i32| format!("nothing printed, exit code {code}");
    for (code, status) in [(0, 100), (1, 200), (2, 300), (3, 500)] {
        check(("", "", code), (Dialect::Silence, status, &nothing(code)));
        check(("\n \0\t\r\n", "\n", code), (Dialect::Silence, status, &nothing(code)));
    }
    for code in [4, 11, 14, 126, 127, 255] {
        check(("", "", code), (Dialect::Failure, 500, &format!("error: exit status {code}")));
    }
}

#[test]
fn last_words_without_a_result() {
    let stderr = "Traceback (most recent call last):\n  File x\nKeyError: 'a'\n\n";
    for code in [1, 2, 3, 4, 255] {
        let message = format!("error: exit status {code}: `KeyError: 'a'`");
        let read = check(("", stderr, code), (Dialect::Failure, 500, &message));
        assert_eq!(read.detail(), json!({ "Stderr": stderr }));
    }
    // It says itself that it is well.
    let read = check(("", "note\n", 0), (Dialect::Silence, 100, "nothing printed, exit code 0"));
    assert!(read.advises("it is dropped: `note`"));
}

#[test]
fn other_exit_codes() {
    check(("all fine\n", "", 4), (Dialect::Failure, 500, "error: exit status 4: `all fine`"));
    let read =
        check(("out\n", "a\nb\n", 255), (Dialect::Failure, 500, "error: exit status 255: `b`"));
    assert_eq!(read.detail(), json!({"Stdout": "out\n", "Stderr": "a\nb\n"}));
    assert_eq!(read.own().value, Json::string("ERROR"));
}

#[test]
fn signals() {
    check_end(End::Signaled(11), "error: signal: segmentation fault: `first words`");
    check_end(End::Signaled(15), "error: signal: terminated: `first words`");
    check_end(End::Signaled(64), "error: signal: number 64: `first words`");
    let killed = read(&ended(End::Signaled(9), b"", b""));
    assert!(killed.own().message.starts_with("error: signal: killed"));
    assert_eq!(killed.detail(), "");
}

#[test]
fn ended_by_the_agent() {
    let limit = Duration::from_secs(59);
    check_end(End::TimedOut(limit), "Probe timeout after 59 s: `first words`");
    check_end(End::Flooded, "error: killed after printing more than 16 MiB: `first words`");
    // A good answer does not help who never ends.
    let read = read(&ended(End::TimedOut(limit), b"{\"Status\":100}", b""));
    assert_eq!((read.dialect, read.status()), (Dialect::Failure, 500));
}

#[test]
fn not_started() {
    let error = io::Error::from_raw_os_error(2);
    let read = read(&Ended::not_started(error));
    assert_eq!((read.dialect, read.status(), read.own().exit_code), (Dialect::Failure, 500, -1));
    assert_eq!(
        read.own().message,
        "error starting command: No such file or directory (os error 2): the file is gone"
    );
    assert!(read.own().detail.is_null());
}

#[test]
fn refused_with_the_reason() {
    let name = ProbeName::new("probe").unwrap();
    let about = About { name: &name, interval: INTERVAL, date: Timestamp::UNIX_EPOCH };
    let Answer::Results { dialect, results, .. } = refused(&about, "others may write it\u{1b}")
    else {
        panic!("no result");
    };
    assert_eq!(dialect, Dialect::Failure);
    assert_eq!(results[0].message, "not run: others may write it\u{fffd}");
    assert_eq!((results[0].status, results[0].exit_code), (Status::ERROR, -1));
}

#[test]
fn both_streams_fit_in_the_detail() {
    for byte in [b'x', b'"', b'\\', b'\n', 0xff, 0] {
        let stream = vec![byte; 1 << 20];
        let read = read(&exited(9, &stream, &stream));
        assert!(read.own().detail.as_str().len() <= MAX_DETAIL, "{byte}");
        assert!(read.own().message.len() <= MAX_MESSAGE, "{byte}");
        for name in ["Stdout", "Stderr"] {
            assert!(read.detail()[name].as_str().unwrap().len() > MAX_STREAM / 2, "{byte}");
        }
    }
}

#[test]
fn quotes_are_short_and_on_one_line() {
    let stderr = format!("\u{1b}[31m{}\n", "é\t".repeat(1000));
    let read = read(&exited(9, "", stderr));
    let quoted = read.own().message.strip_prefix("error: exit status 9: ").unwrap();
    assert!(quoted.starts_with("`\u{fffd}[31mé é ") && quoted.ends_with("…`"), "{quoted}");
    assert_eq!(quoted.chars().count(), QUOTED_CHARS + 3);
}

#[test]
fn advice_on_how_it_ran() {
    let mut run = exited(0, "fine", "");
    run.left_open = true;
    run.stdout.dropped = 3;
    let read = read(&run);
    assert!(read.advises("still holding its output open"));
    assert!(read.advises("cut after 4 bytes, 3 more were dropped"));
}
