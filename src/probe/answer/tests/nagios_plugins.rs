use serde_json::json;

use super::*;
use crate::probe::answer::nagios::{Measured, parse_performance};

#[track_caller]
fn check_data(data: &str, measured: &[(&str, f64, &str, &[&str])]) {
    let mut advice = Vec::new();
    let read = parse_performance(data, &mut advice);
    let expected: Vec<Measured> = measured
        .iter()
        .map(|&(label, value, unit, limits)| Measured {
            label: label.into(),
            value,
            unit: unit.into(),
            limits: limits.iter().map(|&limit| limit.into()).collect(),
        })
        .collect();
    assert_eq!(read, expected, "{data}");
    assert_eq!(advice, [""; 0], "{data}");
}

/// `data` holds this many items that can be read, and some that cannot: that is said once.
#[track_caller]
fn check_junk(data: &str, readable: usize) {
    let mut advice = Vec::new();
    assert_eq!(parse_performance(data, &mut advice).len(), readable, "{data}");
    assert_eq!(advice.len(), 1, "{data}");
}

#[test]
fn exit_codes() {
    check(("OK - all fine\n", "", 0), (Dialect::Nagios, 100, "OK - all fine"));
    check(("WARNING - slow\n", "", 1), (Dialect::Nagios, 200, "WARNING - slow"));
    check(("CRITICAL: gone\n", "", 2), (Dialect::Nagios, 300, "CRITICAL: gone"));
    let read = check(("UNKNOWN: eh?\n", "", 3), (Dialect::Nagios, 500, "UNKNOWN: eh?"));
    assert_eq!(read.own().value, Json::string("ERROR"));
    let read = check(("x\n", "", 1), (Dialect::Nagios, 200, "x"));
    assert_eq!(read.own().value, Json::string("WARN"));
    assert!(read.own().metrics.is_null() && read.own().detail.is_null());
}

#[test]
fn text_in_brackets_is_no_json() {
    check(("[OK] all fine | a=1\n", "", 0), (Dialect::Nagios, 100, "[OK] all fine"));
    check(("[1/3] down\n", "", 2), (Dialect::Nagios, 300, "[1/3] down"));
    check(("[2026-01-01 10:00] up\n", "", 0), (Dialect::Nagios, 100, "[2026-01-01 10:00] up"));
}

#[test]
fn standard_error_is_dropped() {
    let read = check(("CRIT\n", "warning: x", 2), (Dialect::Nagios, 300, "CRIT"));
    assert!(read.advises("it is dropped: `warning: x`"));
}

#[test]
fn one_line_with_performance_data() {
    let read = check(
        ("PING ok - loss = 0% | time=12.5ms;100;500;0;2000 loss=0%;5\n", "", 0),
        (Dialect::Nagios, 100, "PING ok - loss = 0%"),
    );
    assert_eq!(
        read.metrics(),
        json!([
            {"Tags": {"metric": "time", "unit": "ms"}, "Value": 12.5},
            {"Tags": {"metric": "loss", "unit": "%"}, "Value": 0},
        ])
    );
    assert_eq!(
        read.detail()["Performance"],
        json!({
            "time": {"Value": 12.5, "Unit": "ms", "Warn": "100", "Crit": "500", "Min": "0", "Max": "2000"},
            "loss": {"Value": 0, "Unit": "%", "Warn": "5"},
        })
    );
}

#[test]
fn several_lines() {
    let read = check(
        (
            "DISK OK | /=2643MB;5948;5958;0;5968\r\n/ 15272 MB (77%);\r\n\r\n/boot 68 MB (69%);|/boot=68MB\r\n/home=69357MB 'a b'=1\r\n",
            "",
            0,
        ),
        (Dialect::Nagios, 100, "DISK OK"),
    );
    let labels: Vec<_> =
        read.metrics().as_array().unwrap().iter().map(|m| m["Tags"]["metric"].clone()).collect();
    assert_eq!(labels, ["/", "/boot", "/home", "a b"]);
    assert_eq!(read.detail()["Output"], "/ 15272 MB (77%);\n/boot 68 MB (69%);");
    assert_eq!(read.advice, [""; 0]);
}

#[test]
fn long_output_only() {
    let read = check(("first\nsecond\nthird\n", "", 2), (Dialect::Nagios, 300, "first"));
    assert_eq!(read.detail(), json!({"Output": "second\nthird"}));
    assert!(read.own().metrics.is_null());
}

#[test]
fn performance_data_only() {
    let read = check(("| a=1\n", "", 0), (Dialect::Nagios, 100, ""));
    assert_eq!(read.metrics()[0]["Value"], 1.0);
}

#[test]
fn labels() {
    check_data("a=1 b=2", &[("a", 1.0, "", &[]), ("b", 2.0, "", &[])]);
    check_data("  a=1\t\tb=2 ", &[("a", 1.0, "", &[]), ("b", 2.0, "", &[])]);
    check_data("'free space'=1 'b'=2", &[("free space", 1.0, "", &[]), ("b", 2.0, "", &[])]);
    check_data("'it''s'=1", &[("it's", 1.0, "", &[])]);
    check_data("'''quoted'''=1", &[("'quoted'", 1.0, "", &[])]);
    check_data("it's=1 b=2", &[("it's", 1.0, "", &[]), ("b", 2.0, "", &[])]);
    check_data("a=b=1", &[("a=b", 1.0, "", &[])]);
    check_data(
        "/=1 C:\\=2 é=3",
        &[("/", 1.0, "", &[]), ("C:\\", 2.0, "", &[]), ("é", 3.0, "", &[])],
    );
    check_data("'a\u{1b}b'=1", &[("a\u{fffd}b", 1.0, "", &[])]);
    check_data("'a\tb'=1", &[("a b", 1.0, "", &[])]);
}

#[test]
fn values_and_units() {
    check_data(
        "a=-1.5 b=+2 c=.5 d=3.",
        &[("a", -1.5, "", &[]), ("b", 2.0, "", &[]), ("c", 0.5, "", &[]), ("d", 3.0, "", &[])],
    );
    for unit in ["s", "us", "ms", "%", "B", "KB", "MB", "TB", "c", "e", "E", "°C", "req/s"] {
        check_data(&format!("a=5{unit}"), &[("a", 5.0, unit, &[])]);
    }
    check_data(
        "a=1e3 b=1.5E-2s c=2e+1B",
        &[("a", 1000.0, "", &[]), ("b", 0.015, "s", &[]), ("c", 20.0, "B", &[])],
    );
    check_data("a=0,25s;1,5", &[("a", 0.25, "s", &["1,5"])]);
    // Could not be measured.
    check_data("a=U b=1 c=U;;;0;100", &[("b", 1.0, "", &[])]);
    check_data("", &[]);
}

#[test]
fn limits_are_kept_as_written() {
    check_data("a=5;10;20;0;100", &[("a", 5.0, "", &["10", "20", "0", "100"])]);
    check_data("a=5;10:20;@5:~;~:10", &[("a", 5.0, "", &["10:20", "@5:~", "~:10"])]);
    check_data("a=5;;;;", &[("a", 5.0, "", &["", "", "", ""])]);
    check_data("a=5;1;2;3;4;5;6", &[("a", 5.0, "", &["1", "2", "3", "4"])]);
}

#[test]
fn junk_is_skipped() {
    check_junk("words without sense", 0);
    check_junk("a b=1 c", 1);
    check_junk("=1", 0);
    check_junk("''=1", 0);
    check_junk("a=", 0);
    check_junk("a=;1;2", 0);
    check_junk("a=x b=1", 1);
    check_junk("a=- b=1", 1);
    check_junk("a=1.2.3 b=1", 1);
    check_junk("a=1.234,5 b=1", 1);
    check_junk("a=1e999 b=1", 1);
    check_junk("a=nan b=inf c=1", 1);
    check_junk("a = 1 b=2", 1);
    check_junk("'open=1 b=2 c", 2);
}

#[test]
fn junk_leaves_message_and_status() {
    let read = check(("a | b | c\n", "", 1), (Dialect::Nagios, 200, "a"));
    assert!(read.advises("performance data `b` is not"));
    assert!(read.own().metrics.is_null());
}

#[test]
fn much_is_bounded() {
    let kept = |read: &Read| read.metrics().as_array().unwrap().len();
    let many = good(format!("ok |{}", " a=1".repeat(250_000)));
    assert_eq!(kept(&many), MAX_METRICS);
    assert!(many.advises("only the first 1000 items"));
    // Junk is not listed, however much there is.
    assert_eq!(good(format!("ok |{}", " a".repeat(500_000))).advice.len(), 2);
    assert_eq!(good(format!("ok |{}", " '".repeat(500_000))).advice.len(), 2);
    let label = good(format!("ok | {}=1", "a".repeat(1 << 19)));
    assert!(label.own().metrics.as_str().len() <= MAX_METRICS_BYTES);
    assert!(label.own().detail.as_str().len() <= MAX_DETAIL);
    let long = good(format!("ok\n{}", "line\n".repeat(200_000)));
    let output = long.detail()["Output"].as_str().unwrap().to_owned();
    assert!(output.starts_with("line\nline\n") && output.ends_with('…'));
    let message = good("x".repeat(1 << 20));
    assert_eq!(message.own().message.len(), MAX_MESSAGE);
}

#[test]
fn bytes_that_are_no_text() {
    let read = good(b"\x1b[32mOK\x1b[0m \xff\xfe\x00|\xff=1");
    assert_eq!(read.own().message, "\u{fffd}[32mOK\u{fffd}[0m \u{fffd}\u{fffd}\u{fffd}");
    assert_eq!(read.metrics()[0]["Tags"]["metric"], "\u{fffd}");
    assert!(read.advises("not UTF-8"));
}
