use serde_json::json;

use super::*;

/// The status that is read from `{"Status": …, "Message": "m"}`, and the message.
#[track_caller]
fn check_status(written: &str, status: u16, message: &str) {
    let printed = format!(r#"{{"Status":{written},"Message":"m"}}"#);
    check((&printed, "", 0), (Dialect::Wigo, status, message));
}

#[track_caller]
fn check_message(written: &str, message: &str) {
    let printed = format!(r#"{{"Status":100,"Message":{written}}}"#);
    check((&printed, "", 0), (Dialect::Wigo, 100, message));
}

/// Not JSON that can be read, at exit 0: the message begins like this and quotes what was printed.
#[track_caller]
fn check_invalid(printed: &str, message: &str) {
    let read = good(printed);
    assert_eq!((read.dialect, read.status()), (Dialect::Failure, 500));
    assert!(read.own().message.starts_with(message), "{}", read.own().message);
    let begins: String = printed.chars().take(QUOTED_CHARS).collect();
    assert!(read.own().message.contains(&begins.replace(['\n', '\t'], " ")));
    assert_eq!(read.own().value, Json::string("ERROR"));
    assert!(read.detail()["Stdout"].as_str().unwrap().starts_with(&begins));
}

#[test]
fn all_fields() {
    let read = check(
        (
            r#"{"Name":"other","Version":"0.11","Value":"OK","Message":"fine","Status":100,"ExitCode":9,
                "ProbeDate":"never","Timestamp":1,"More":true,
                "Metrics":[{"Tags":{"metric":"load"},"Value":0.5}],"Detail":{"a":[1,null]}}"#,
            "",
            0,
        ),
        (Dialect::Wigo, 100, "fine"),
    );
    assert_eq!(read.own().version, "0.11");
    assert_eq!(read.own().value, Json::string("OK"));
    assert_eq!(read.metrics(), json!([{"Tags": {"metric": "load"}, "Value": 0.5}]));
    assert_eq!(read.detail(), json!({"a": [1, null]}));
    assert_eq!(read.advice, [""; 0]);
}

#[test]
fn names_in_any_case() {
    check((r#"{"status":200,"MESSAGE":"m"}"#, "", 0), (Dialect::Wigo, 200, "m"));
    // The exact name wins.
    check((r#"{"STATUS":100,"Status":300,"status":200}"#, "", 0), (Dialect::Wigo, 300, ""));
}

#[test]
fn a_status_on_the_scale() {
    check_status("100", 100, "m");
    check_status("101", 101, "m");
    check_status("998", 998, "m");
    check_status("100.0", 100, "m");
    check_status("2e2", 200, "m");
    check_status(r#""200""#, 200, "m");
    check_status(r#"" 200 ""#, 200, "m");
    check_status("100.5", 100, "Status 100.5 is not whole: m");
    check_status("998.9", 998, "Status 998.9 is not whole: m");
}

#[test]
fn a_status_off_the_scale() {
    let off = |written| format!("Status `{written}` is not a number from 100 to 998: m");
    for written in [
        "-1",
        "0",
        "99",
        "99.9",
        "999",
        "70000",
        "-9223372036854775808",
        "18446744073709551615",
        "true",
        "[]",
        r#""""#,
        r#""OK""#,
        r#""NaN""#,
        r#""inf""#,
        r#""1e999""#,
    ] {
        check_status(written, 500, &off(written));
    }
    check_status("100000000000000000000000", 500, &off("1e+23"));
    check_status("null", 500, "the answer has no Status: m");
    check(("{}", "", 0), (Dialect::Wigo, 500, "the answer has no Status"));
    check((r#"{"Message":"m"}"#, "", 0), (Dialect::Wigo, 500, "the answer has no Status: m"));
}

#[test]
fn a_number_without_end_is_no_json() {
    check_invalid(r#"{"Status":1e999}"#, "invalid JSON: number out of range at line 1 column 1");
    check_invalid(r#"{"Status":100,"Value":-1e999}"#, "invalid JSON: number out of range");
    check_invalid(r#"{"Status":NaN}"#, "invalid JSON: expected value at line 1 column 11");
}

#[test]
fn a_message_of_any_kind() {
    check_message("null", "");
    check_message("12", "12");
    check_message("true", "true");
    check_message(r#"{"a":[1]}"#, r#"{"a":[1]}"#);
    check_message(r#""two\nlines\r\nhere\n\n""#, "two\nlines\nhere");
    check_message(
        r#""a\u001b[31mred\u0000\u0007\u009b""#,
        "a\u{fffd}[31mred\u{fffd}\u{fffd}\u{fffd}",
    );
    check_message(r#""日本 é 🎉""#, "日本 é 🎉");
    assert!(good(r#"{"Status":100,"Message":{"a":1}}"#).advises("Message should be text"));
    assert_eq!(good(r#"{"Status":100,"Version":1.5}"#).own().version, "1.5");
}

#[test]
fn value_metrics_and_detail_of_any_kind() {
    for any in ["null", "1", "-0.5", "true", r#""text""#, "[]", "[1,[2]]", r#"{"a":{"b":null}}"#] {
        let read =
            good(format!(r#"{{"Status":100,"Value":{any},"Metrics":{any},"Detail":{any}}}"#));
        assert_eq!((read.dialect, read.status()), (Dialect::Wigo, 100));
        for json in [&read.own().value, &read.own().metrics, &read.own().detail] {
            assert_eq!(json.as_str(), any);
        }
    }
}

#[test]
fn a_failure_after_a_readable_answer() {
    let printed = r#"{"Status":200,"Message":"half full","Value":"WARN","Detail":{"Disk":"sda"}}"#;
    let read = check((printed, "", 1), (Dialect::Wigo, 500, "error: exit status 1: half full"));
    assert_eq!(read.detail(), json!({"Disk": "sda"}));
    let read =
        check((printed, "oops\n", 255), (Dialect::Wigo, 500, "error: exit status 255: half full"));
    assert_eq!(read.detail(), json!({"Disk": "sda", "Stderr": "oops\n"}));
    // What was on stderr is in the detail, so nothing is said of dropping it.
    let said =
        "it ended with 255, so its own Status 200 does not count: exit with 0 after the answer";
    assert_eq!(read.advice, [said]);
    check((r#"{"Status":100}"#, "", 2), (Dialect::Wigo, 500, "error: exit status 2"));
}

#[test]
fn standard_error_finds_its_place_in_the_detail() {
    let detail = |detail: &str, stderr: &[u8]| {
        read(&exited(1, format!(r#"{{"Status":100,"Detail":{detail}}}"#), stderr))
            .own()
            .detail
            .clone()
    };
    assert_eq!(detail("null", b"oops").as_str(), r#"{"Stderr":"oops"}"#);
    assert_eq!(detail(r#""""#, b"oops").as_str(), r#"{"Stderr":"oops"}"#);
    assert_eq!(detail(r#""own words""#, b"oops").as_str(), r#""own words""#);
    assert_eq!(detail("[1]", b"oops").as_str(), "[1]");
    // A detail without room for more is kept as it is.
    let big = json!({"Text": "x".repeat(MAX_DETAIL - 100)}).to_string();
    assert_eq!(detail(&big, &[b'e'; 64 << 10]).as_str(), big);
}

#[test]
fn standard_error_does_not_spoil_a_good_answer() {
    let read = check((r#"{"Status":100}"#, "a warning", 0), (Dialect::Wigo, 100, ""));
    assert!(read.own().detail.is_null());
    assert!(
        read.advises("standard error is not part of a good result, it is dropped: `a warning`")
    );
}

#[test]
fn marks_and_blanks_around_the_object() {
    for printed in ["\u{feff}{}", "\n\t {}\r\n\n", "\0{}\0\0", " \u{feff}\0{}"] {
        check((printed, "", 0), (Dialect::Wigo, 500, "the answer has no Status"));
    }
}

#[test]
fn what_is_no_object() {
    check_invalid(
        r#"{"Status":100} done"#,
        "invalid JSON: trailing characters at line 1 column 16: `{",
    );
    check_invalid(
        "{\"Status\":100}\n{\"Status\":100}",
        "invalid JSON: trailing characters at line 2",
    );
    check_invalid(
        r#"{"Status":100"#,
        "invalid JSON: EOF while parsing an object at line 1 column 13",
    );
    check_invalid("{'Status':100}", "invalid JSON: key must be a string at line 1 column 2");
    check_invalid("[]", "invalid JSON: an object is wanted, such as {");
    check_invalid(r#"[{"Status":100}]"#, "invalid JSON: an object is wanted");
    check_invalid("[1, 2]", "invalid JSON: an object is wanted");
    check_invalid("[true]", "invalid JSON: an object is wanted");
    check_invalid(r#"[{"Status":"#, "invalid JSON: EOF while parsing");
    check_invalid("{\"Message\":\"a\tb\"}", "invalid JSON: control character");
}

#[test]
fn what_is_no_object_when_the_probe_failed() {
    let read = check(
        ("{\"Status\":", "Traceback\nKeyError: 'x'\n\n", 1),
        (Dialect::Failure, 500, "error: exit status 1: `KeyError: 'x'`"),
    );
    assert!(read.advises("no JSON that can be read: EOF while parsing"));
    assert_eq!(read.detail()["Stdout"], "{\"Status\":");
}

#[test]
fn nesting_has_a_bound() {
    let nested = |depth: usize| {
        format!(r#"{{"Status":100,"Detail":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(good(nested(MAX_NESTING - 1)).status(), 100);
    let too_deep = "invalid JSON: nested deeper than 32 levels";
    check_invalid(&nested(MAX_NESTING), too_deep);
    check_invalid(&nested(100_000), too_deep);
    check_invalid(&"[".repeat(100_000), too_deep);
    check_invalid(&"{\"a\":".repeat(100_000), too_deep);
    // Brackets in a string do not nest.
    let text = format!(r#"{{"Status":100,"Message":"\"{}"}}"#, "[".repeat(100));
    assert_eq!(good(text).status(), 100);
}

#[test]
fn bytes_that_are_no_text() {
    let read = good(b"{\"Status\":100,\"Message\":\"a\xff\xc3b\"}");
    assert_eq!((read.status(), &*read.own().message), (100, "a\u{fffd}\u{fffd}b"));
    assert!(read.advises("not UTF-8"));
    // A byte 0 within JSON is an error of JSON.
    let read = good(b"{\"Status\":\0 100}");
    assert_eq!((read.dialect, read.status()), (Dialect::Failure, 500));
    assert!(read.own().message.ends_with("`{\"Status\":\u{fffd} 100}`"), "{}", read.own().message);
}

#[test]
fn a_long_message_is_cut_between_characters() {
    for letter in ["x", "é", "日", "🎉", "\u{1}"] {
        let printed = json!({"Status": 100, "Message": letter.repeat(1 << 18)}).to_string();
        let message = good(printed).own().message.clone();
        assert!(message.len() <= MAX_MESSAGE && message.len() > MAX_MESSAGE - 8);
        assert!(message.ends_with('…'));
    }
    let fits = "x".repeat(MAX_MESSAGE);
    check_message(&format!("\"{fits}\""), &fits);
}

#[test]
fn a_big_detail_becomes_its_beginning() {
    let fits = "x".repeat(MAX_DETAIL - 2);
    let detail = |text: &str| good(json!({"Status": 100, "Detail": text}).to_string());
    assert_eq!(detail(&fits).detail(), fits);
    for letter in ["x", "\"", "\\", "日"] {
        let read = detail(&letter.repeat(MAX_DETAIL));
        assert!(read.own().detail.as_str().len() <= MAX_DETAIL);
        assert!(read.detail().as_str().unwrap().starts_with("too big ("), "{letter}");
        assert!(read.advises("bytes of JSON in one field"));
        assert_eq!(read.status(), 100);
    }
}

#[test]
fn metrics_are_bounded_in_number_and_size() {
    let metrics = |count: usize, tag: &str| {
        let one = json!({"Tags": {"metric": tag}, "Value": 1});
        good(json!({"Status": 100, "Metrics": vec![one; count]}).to_string())
    };
    let count = |read: &Read| read.metrics().as_array().unwrap().len();
    let fits = metrics(MAX_METRICS, "m");
    assert_eq!((count(&fits), fits.advice.len()), (MAX_METRICS, 0));
    let many = metrics(MAX_METRICS + 1, "m");
    assert_eq!(count(&many), MAX_METRICS);
    assert!(many.advises("1001 metrics: only the first 1000 are kept"));
    let big = metrics(900, &"m".repeat(1 << 10));
    assert!((200..300).contains(&count(&big)));
    assert!(big.own().metrics.as_str().len() <= MAX_METRICS_BYTES);
    assert!(big.advises("900 metrics: only the first "));
    assert_eq!(count(&metrics(1, &"m".repeat(1 << 19))), 0);
    let odd = good(json!({"Status": 100, "Metrics": {"a": "m".repeat(1 << 19)}}).to_string());
    assert!(odd.own().metrics.as_str().len() <= MAX_DETAIL);
}

#[test]
fn json_that_was_cut_says_so() {
    let mut ended = exited(0, r#"{"Status":100,"Message":"and so "#, "");
    ended.stdout.dropped = 5_000_000;
    let read = read(&ended);
    assert_eq!((read.dialect, read.status()), (Dialect::Failure, 500));
    assert!(read.own().message.starts_with("invalid JSON: it is longer than 1 MiB: `{"));
    assert!(read.advises("5000000 more were dropped"));
}
