//! What is said about keys that nobody reads.

use std::path::Path;

use crate::config::parse;

fn check(text: &str, expected: &str) {
    let loaded = parse(text, Path::new("f")).unwrap();
    let lines: Vec<_> = loaded.warnings.iter().map(std::string::ToString::to_string).collect();
    assert_eq!(lines, [expected]);
}

#[test]
fn misspelled_names_are_recognised() {
    check("[Http]\nProt = 1", "f:2: unknown key `Prot` in [Http]; did you mean `Port`?");
    check("[Htpp]\nPort = 1", "f:1: unknown section `Htpp`; did you mean `Http`?");
    let expected = "f:2: unknown key `alive_timeout` in [Global]; did you mean `AliveTimeout`?";
    check("[Global]\nalive_timeout = 1", expected);
    let expected = "f:3: unknown key `Hostnam` in [AdvancedList]; did you mean `Hostname`?";
    check("[[AdvancedList]]\nHostname = \"a\"\nHostnam = \"b\"", expected);
}

#[test]
fn names_of_other_sections_are_sent_there() {
    check(
        "[PushServer]\nGzip = true",
        "f:2: unknown key `Gzip` in [PushServer]; it belongs in [Http]",
    );
    check(
        "OnProbeChange = true",
        "f:1: unknown key `OnProbeChange` outside any section; it belongs in [Notifications]",
    );
    check(
        "[Notifications.Tags]",
        "f:1: unknown section `Notifications.Tags`; it belongs in [OpenTSDB]",
    );
}

#[test]
fn names_that_mean_nothing_are_only_named() {
    check("[Http]\nQuux = 1", "f:2: unknown key `Quux` in [Http]");
    let name = "x".repeat(1_000);
    check(&format!("[Http]\n{name} = 1"), &format!("f:2: unknown key `{name}` in [Http]"));
}

#[test]
fn the_same_key_twice_is_noticed() {
    let expected =
        "f:3: `port` is ignored: it is there twice, in other capitals; remove one of the two";
    check("[Http]\nPort = 1\nport = 2", expected);
}

#[test]
fn retired_keys_name_what_replaces_them() {
    for (key, section, help) in [
        ("ListenPort", "Global", "write `Port` in [Http] instead"),
        ("ListenAddress", "Global", "write `Address` in [Http] instead"),
        ("OpenTSDBEnabled", "Global", "write `Enabled` in [OpenTSDB] instead"),
        ("OpenTSDBAddress", "Global", "write `Address` in [OpenTSDB] instead"),
        ("OpenTSDBPort", "Global", "write the port into `Address` in [OpenTSDB], as \"host:port\""),
        ("OpenTSDBMetricPrefix", "Global", "write `MetricPrefix` in [OpenTSDB] instead"),
        ("RemoteWigosCheckInterval", "Global", "write `CheckInterval` in [RemoteWigos] instead"),
        ("ConfigFile", "Global", "give the path with `--config` instead"),
    ] {
        let expected = format!("f:2: `{key}` is retired and has no effect; {help}");
        check(&format!("[{section}]\n{key} = 1"), &expected);
    }
    let text = "[[AdvancedList]]\nHostname = \"a\"\nCheckRemotes = 1";
    let help = "write `CheckRemotesDepth` in [[AdvancedList]] instead";
    check(text, &format!("f:3: `CheckRemotes` is retired and has no effect; {help}"));
}
