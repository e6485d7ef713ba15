use serde_json::json;

use super::*;

/// One line makes one service with this name, status and message.
#[track_caller]
fn check_line(line: &str, name: &str, status: u16, message: &str) -> ProbeResult {
    let read = check((line, "", 0), (Dialect::Checkmk, 100, "1 services"));
    let service = read.results[1].clone();
    assert_eq!(
        (service.name.as_str(), service.status.number(), &*service.message),
        (&*format!("probe/{name}"), status, message)
    );
    assert_eq!(service.value, Json::string(service.status.level().word()));
    service
}

/// The status that `P` comes to with these metrics.
#[track_caller]
fn check_computed(metrics: &str, status: u16) {
    check_line(&format!("P name {metrics} text"), "name", status, "text");
}

/// Text that is none of this: read as a Nagios plugin's.
#[track_caller]
fn check_text(text: &str) {
    check((text, "", 0), (Dialect::Nagios, 100, text));
}

fn names(read: &Read) -> Vec<&str> {
    read.results.iter().map(|result| result.name.as_str()).collect()
}

#[test]
fn states() {
    check_line("0 name - all fine", "name", 100, "all fine");
    check_line("1 name - text", "name", 200, "text");
    check_line("2 name - text", "name", 300, "text");
    check_line("3 name - text", "name", 500, "text");
    check_line("P name - text", "name", 100, "text");
}

#[test]
fn names_and_texts() {
    check_line("0 \"My service\" - a  b", "My service", 100, "a  b");
    check_line("0 'My service' - text", "My service", 100, "text");
    check_line("0 \"it's\" - text", "it's", 100, "text");
    check_line("0\tname\t-\ttext\r\n", "name", 100, "text");
    check_line("  0  name  -  text  ", "name", 100, "text");
    check_line("0 name -", "name", 100, "");
    check_line("0 C:\\data - text", "C:\\data", 100, "text");
    check_line("0 /var - text", "_var", 100, "text");
    check_line("0 a\u{1b}b - c\u{1b}d", "a_b", 100, "c\u{fffd}d");
    check_line(r"0 name - one\ntwo", "name", 100, "one\ntwo");
}

#[test]
fn metrics() {
    let service = check_line("0 name a=1;2;3;0;9|b=2.5s text | more", "name", 100, "text | more");
    assert_eq!(
        service.metrics.to_value(),
        json!([
            {"Tags": {"metric": "a"}, "Value": 1},
            {"Tags": {"metric": "b", "unit": "s"}, "Value": 2.5},
        ])
    );
    assert!(check_line("0 name - text", "name", 100, "text").metrics.is_null());
    // The state is given, so a metric that cannot be read changes nothing.
    assert!(check_line("1 name a=x text", "name", 200, "text").metrics.is_null());
}

#[test]
fn computed_states() {
    check_computed("a=1", 100);
    check_computed("a=29;30;50", 100);
    check_computed("a=30;30;50", 200);
    check_computed("a=50;30;50", 300);
    check_computed("a=28;50:100;0:200", 200);
    check_computed("a=50;50:100;0:200", 100);
    check_computed("a=100;50:100;0:200", 200);
    check_computed("a=-1;50:100;0:200", 300);
    check_computed("a=200;50:100;0:200", 300);
    check_computed("a=5;;4", 300);
    check_computed("a=5;10:;", 200);
    check_computed("a=1;2;3|b=2;2;3|c=0", 200);
    check_computed("a=1;2;3|b=3;2;3", 300);
    check_computed("a=45%;30;50", 200);
}

#[test]
fn a_state_that_cannot_be_computed_is_an_error() {
    let message = "no status can be computed from `a=x;1;2`: text";
    check_line("P name a=x;1;2 text", "name", 500, message);
    check_line(
        "P name a=1|b=U text",
        "name",
        500,
        "no status can be computed from `a=1|b=U`: text",
    );
}

#[test]
fn several_services() {
    let read = check(
        ("0 a - one\n\n2 b - two\n1 \"c d\" x=1 three\n", "", 0),
        (Dialect::Checkmk, 100, "3 services"),
    );
    assert_eq!(names(&read), ["probe", "probe/a", "probe/b", "probe/c d"]);
    assert_eq!(read.own().value, Json::string("OK"));
}

#[test]
fn the_last_of_the_same_name_wins() {
    let read =
        check(("0 a - first\n0 b - x\n2 a - last\n", "", 0), (Dialect::Checkmk, 100, "2 services"));
    assert_eq!(names(&read), ["probe", "probe/b", "probe/a"]);
    assert_eq!(read.results[2].message, "last");
}

#[test]
fn a_bad_line_hides_no_other() {
    let unread = |count, line| {
        format!("2 services; {count} lines not understood, or too many (at most 200): `{line}`")
    };
    let bad_between = "0 a - x\nwhat is this\n2 b - y\n";
    let read = check((bad_between, "", 0), (Dialect::Checkmk, 500, &unread(1, "what is this")));
    assert_eq!(names(&read), ["probe", "probe/a", "probe/b"]);
    assert_eq!(read.own().value, Json::string("ERROR"));
    let bad_first = "Warning: old library\n0 a - x\n0 b - y\n";
    check((bad_first, "", 0), (Dialect::Checkmk, 500, &unread(1, "Warning: old library")));
    let bad_state = "4 c - z\n0 a - x\n0 b - y\n7 d -\n0 b -";
    check((bad_state, "", 0), (Dialect::Checkmk, 500, &unread(2, "4 c - z")));
}

#[test]
fn a_name_that_cannot_be_is_a_bad_line() {
    for name in [".", ".."] {
        let read = good(format!("0 {name} - x\n0 a - y\n"));
        assert_eq!((names(&read), read.status()), (vec!["probe", "probe/a"], 500));
    }
}

#[test]
fn too_many_services() {
    let lines = |count: usize| {
        let lines: Vec<String> = (0..count).map(|n| format!("0 s{n} - x")).collect();
        good(lines.join("\n"))
    };
    let fits = lines(MAX_SERVICES);
    assert_eq!((fits.results.len(), fits.status()), (MAX_SERVICES + 1, 100));
    let many = lines(50_000);
    assert_eq!((many.results.len(), many.status()), (MAX_SERVICES + 1, 500));
    assert_eq!(
        many.own().message,
        "200 services; 49800 lines not understood, or too many (at most 200): `0 s200 - x`"
    );
}

#[test]
fn output_that_was_cut_says_so() {
    let mut ended = exited(0, "0 a - x\n0 b load=1", "");
    ended.stdout.dropped = 7;
    let read = read(&ended);
    // Half a line may be a wrong value.
    assert_eq!(names(&read), ["probe", "probe/a"]);
    assert_eq!(read.status(), 500);
    assert_eq!(read.own().message, "1 services; what was printed after 1 MiB is lost");
}

#[test]
fn text_that_looks_a_little_like_it() {
    check_text("0 errors found");
    check_text("1 of 3 down");
    check_text("2 users - 3 sessions".replace('-', "and").as_str());
    check_text("0");
    check_text("0 name");
    check_text("P");
    check_text("0 \"open - text");
    check_text("0 \"\" - text");
    check_text("4 name - text");
    check_text("OK name - text");
    check_text("00 name - text");
}

#[test]
fn a_failed_run_is_not_read_as_services() {
    check(("0 a - x\n", "", 4), (Dialect::Failure, 500, "error: exit status 4: `0 a - x`"));
    check(("2 CRITICAL - x\n", "", 2), (Dialect::Nagios, 300, "2 CRITICAL - x"));
}
