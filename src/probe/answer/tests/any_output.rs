//! Whatever a program prints and however it ends, what is made of it is valid and bounded.

use std::io;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::probe::run::MAX_STDOUT;

/// Pieces from which output is made that goes deep into the parsers.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u001b",
    "'",
    "''",
    "=",
    ";",
    "|",
    "~",
    "@",
    "-",
    "P",
    "\"Status\":",
    "\"status\":",
    "\"Message\":",
    "\"Metrics\":",
    "\"Detail\":",
    "\"Value\":",
    "null",
    "true",
    "100",
    "998.5",
    "-1",
    "1e999",
    "1e-3",
    "\"200\"",
    "0 ",
    "1 a ",
    "2 \"a b\" ",
    "P x a=1;2:3;4",
    " - ",
    "a=1",
    "'b c'=2%;1;2",
    "U",
    "OK",
    "é",
    "\u{feff}",
    "\0",
    "\u{1b}",
    "\n",
    "\r\n",
    "\t",
    " ",
    "..",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        vec(select(PIECES), 0..40).prop_map(|pieces| pieces.concat().into_bytes()),
        (vec(select(PIECES), 0..8), vec(any::<u8>(), 0..4), vec(select(PIECES), 0..8)).prop_map(
            |(before, between, after)| {
                [before.concat().as_bytes(), &between, after.concat().as_bytes()].concat()
            }
        ),
        // A little, very often.
        (vec(select(PIECES), 1..4), 1..5_000usize)
            .prop_map(|(pieces, times)| pieces.concat().repeat(times).into_bytes()),
    ]
    .prop_map(|mut bytes| {
        bytes.truncate(MAX_STDOUT);
        bytes
    })
}

fn end() -> impl Strategy<Value = i32> {
    prop_oneof![4 => Just(0), 4 => 0..=14, 1 => 0..=255]
}

/// What holds of every answer.
fn check_answer(answer: Answer, code: i32) -> Result<(), TestCaseError> {
    let Answer::Results { dialect, results, advice } = answer else {
        prop_assert!(code == EXIT_DISABLED || code == EXIT_SKIPPED);
        return Ok(());
    };
    prop_assert!((1..=MAX_SERVICES + 1).contains(&results.len()));
    prop_assert!(advice.iter().all(|advice| advice.len() < MAX_MESSAGE));
    prop_assert!(advice.len() <= 10 + results.len());
    prop_assert_eq!(results[0].name.as_str(), "probe");
    prop_assert!(dialect == Dialect::Checkmk || results.len() == 1);
    if dialect == Dialect::Failure {
        prop_assert_eq!(results[0].status, Status::ERROR);
    }
    for (index, result) in results.iter().enumerate() {
        let name = result.name.as_str();
        prop_assert!(index == 0 || result.name.is_service_of(&results[0].name));
        prop_assert_eq!(ProbeName::parse(name), Ok(result.name.clone()));
        prop_assert!(!results[..index].iter().any(|other| other.name == result.name));
        prop_assert!((Status::OK..=Status::WORST_OF_PROBE).contains(&result.status));
        for text in [&result.message, &result.version] {
            prop_assert!(text.len() <= MAX_MESSAGE);
            prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        }
        let bounds = [
            (&result.value, MAX_DETAIL),
            (&result.detail, MAX_DETAIL),
            (&result.metrics, MAX_METRICS_BYTES),
        ];
        for (json, most) in bounds {
            prop_assert!(json.as_str().len() <= most);
            prop_assert!(Json::parse(json.as_str()).is_some());
        }
        let metrics = result.metrics.to_value();
        prop_assert!(metrics.as_array().is_none_or(|list| list.len() <= MAX_METRICS));
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_exit(stdout in bytes(), stderr in bytes(), code in end(), dropped in 0..2u64) {
        let mut run = exited(code, stdout, stderr);
        run.stdout.dropped = dropped;
        check_answer(answer_to(&run), code)?;
    }

    #[test]
    fn any_other_end(stdout in bytes(), stderr in bytes(), signal in 1..=64, which in 0..3) {
        let end = match which {
            0 => End::Signaled(signal),
            1 => End::TimedOut(Duration::from_secs(59)),
            _ => End::Flooded,
        };
        check_answer(answer_to(&ended(end, &stdout, &stderr)), -1)?;
    }

    #[test]
    fn any_error_of_starting(number in 1..134) {
        let run = Ended::not_started(io::Error::from_raw_os_error(number));
        check_answer(answer_to(&run), -1)?;
    }

    /// A status on the scale that is well written is the one that is shown.
    #[test]
    fn any_good_status(number in 100..=998u16, message in "[a-z ]{0,20}[a-z]") {
        let written = serde_json::json!({"Status": number, "Message": message}).to_string();
        let read = good(&written);
        prop_assert_eq!((read.status(), &read.own().message), (number, &message));
        prop_assert!(read.advice.is_empty());
    }

    /// No exit code but 0 makes anything better than what it stands for.
    #[test]
    fn no_failure_is_hidden(stdout in bytes(), code in 1..=255) {
        prop_assume!(code != EXIT_DISABLED && code != EXIT_SKIPPED);
        let least = nagios::status(code).unwrap_or(Status::ERROR);
        prop_assert!(read(&exited(code, stdout, "")).own().status >= least);
    }
}
