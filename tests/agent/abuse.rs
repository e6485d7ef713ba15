//! Probes that do all that a probe should not. What the user sees of each, and that nobody else notices.

use std::{fs, os::unix::fs::symlink, process::Command};

use serde_json::Value;

use crate::harness::{Home, make_folder, says, set_mode, text_of, wait_until};

/// The agent may never need more, in KiB.
const MOST_MEMORY: u64 = 64 << 10;

/// What a probe does, and what is to be seen of it.
struct Abuse {
    name: &'static str,
    script: &'static str,
    status: u32,
    /// Part of the message.
    says: &'static str,
}

const fn abuse(name: &'static str, script: &'static str, status: u32, says: &'static str) -> Abuse {
    Abuse { name, script, status, says }
}

/// These may run for two seconds.
const SHORT: &str = "[ProbeTimeouts]\ndrip = 2\ndeaf = 2\nshut = 2\nstopped = 2\n";

const ABUSES: [Abuse; 37] = [
    abuse("gigabyte", "head -c 1000000000 /dev/zero", 500, "printing more than 16 MiB"),
    abuse("endless", "yes", 500, "printing more than 16 MiB"),
    abuse("endless_errors", "yes >&2", 500, "printing more than 16 MiB"),
    abuse("endless_line", "tr '\\0' '{' < /dev/zero", 500, "printing more than 16 MiB"),
    abuse("drip", "while :; do echo x; sleep 0.1; done", 500, "Probe timeout after 2 s"),
    abuse("deaf", "trap '' TERM INT HUP; while :; do sleep 1; done", 500, "Probe timeout"),
    abuse("shut", "exec >&- 2>&-; sleep 1000", 500, "Probe timeout"),
    abuse("stopped", "kill -STOP $$", 500, "Probe timeout"),
    abuse("keeps_stdout", "sleep 1000 & echo fine", 100, "fine"),
    abuse("not_utf8", "printf '{\"Status\": 100, \"Message\": \"a\\377b\"}'", 100, "a\u{fffd}b"),
    abuse("plain_not_utf8", "printf 'a\\377\\033[2Jb'", 100, "a\u{fffd}\u{fffd}[2Jb"),
    abuse("zeros", "printf '\\000\\000\\000'", 100, "nothing printed"),
    abuse("zero_inside", "printf 'a\\000b'", 100, "a\u{fffd}b"),
    abuse(
        "zero_in_json",
        "printf '{\"Status\": 100, \"Message\": \"a\\000b\"}'",
        500,
        "invalid JSON",
    ),
    abuse("deep", "head -c 100000 /dev/zero | tr '\\0' '['", 500, "nested deeper than 32"),
    abuse(
        "deep_and_closed",
        "printf '{\"Status\":100,\"Detail\":'; head -c 100000 /dev/zero | tr '\\0' '['; \
         head -c 100000 /dev/zero | tr '\\0' ']'; printf '}'",
        500,
        "nested deeper than 32",
    ),
    abuse(
        "just_deep_enough",
        "echo '{\"Status\":100,\"Message\":\"m\",\"Detail\":[[[[[[1]]]]]]}'",
        100,
        "m",
    ),
    abuse("infinite", "echo '{\"Status\": 1e999}'", 500, "invalid JSON"),
    abuse("infinite_value", "echo '{\"Status\": 100, \"Value\": 1e999}'", 500, "invalid JSON"),
    abuse("not_a_number", "echo '{\"Status\": NaN}'", 500, "invalid JSON"),
    abuse(
        "minus_one",
        "echo '{\"Status\": -1, \"Message\": \"mine\"}'",
        500,
        "Status `-1` is not a number from 100 to 998: mine",
    ),
    abuse("ninety_nine", "echo '{\"Status\": 99}'", 500, "`99` is not"),
    abuse("seventy_thousand", "echo '{\"Status\": 70000}'", 500, "`70000` is not"),
    abuse("down", "echo '{\"Status\": 999}'", 500, "`999` is not"),
    abuse("as_text", "echo '{\"Status\": \"200\", \"Message\": \"text\"}'", 200, "text"),
    abuse(
        "null",
        "echo '{\"Status\": null, \"Message\": \"m\"}'",
        500,
        "the answer has no Status: m",
    ),
    abuse("missing", "echo '{\"Message\": \"m\"}'", 500, "the answer has no Status: m"),
    abuse("object", "echo '{\"Status\": {\"a\": 1}}'", 500, "is not a number"),
    abuse("true", "echo '{\"Status\": true}'", 500, "`true` is not a number"),
    abuse("list", "echo '[1, 2, 3]'", 500, "an object is wanted"),
    abuse("two_objects", "echo '{\"Status\": 100}{\"Status\": 100}'", 500, "invalid JSON"),
    abuse(
        "long_message",
        "printf '{\"Status\": 100, \"Message\": \"'; head -c 100000 /dev/zero | tr '\\0' x; printf '\"}'",
        100,
        "xxxx",
    ),
    abuse(
        "big_detail",
        "printf '{\"Status\": 100, \"Message\": \"m\", \"Detail\": \"'; head -c 900000 /dev/zero | tr '\\0' x; printf '\"}'",
        100,
        "m",
    ),
    abuse(
        "many_services",
        "i=0; while [ $i -lt 5000 ]; do echo \"0 s$i - fine\"; i=$((i+1)); done",
        500,
        "200 services; 4800 lines not understood, or too many",
    ),
    abuse("one_long_line", "head -c 1000000 /dev/zero | tr '\\0' a", 100, "aaaa"),
    abuse("errors_first", "head -c 2000000 /dev/zero >&2; echo fine", 100, "fine"),
    abuse(
        "fork_crowd",
        "i=0; while [ $i -lt 100 ]; do sleep 1000 & i=$((i+1)); done; echo fine",
        100,
        "fine",
    ),
];

#[test]
fn each_abuse_is_seen_and_hurts_nobody_else() {
    let mut home = Home::new();
    home.add(SHORT);
    for one in &ABUSES {
        home.probe(60, one.name, one.script);
    }
    home.probe(2, "steady", &says(100, "still here"));
    let agent = home.start();
    for one in &ABUSES {
        let result = agent.wait_status(one.name, one.status);
        let message = result["Message"].as_str().unwrap();
        assert!(message.contains(one.says), "{}: {}", one.name, &message[..message.len().min(300)]);
        assert!(message.len() <= 4 << 10, "{}: {} bytes", one.name, message.len());
        let whole = result.to_string();
        assert!(whole.len() < 128 << 10, "{}: {} bytes", one.name, whole.len());
    }
    agent.wait_rerun("steady");
    assert!(agent.peak_kib() < MOST_MEMORY, "{} KiB", agent.peak_kib());
    wait_until("nothing of them is left", || {
        let left = agent.offspring();
        left.iter().all(|stat| !stat.contains("(sleep)") && !stat.contains(" Z "))
    });
    // What is shown of all this can be read.
    let output = agent.wigocli(&["detail"]);
    assert_eq!(output.status.code(), Some(2), "{}", text_of(&output));
    let shown = text_of(&output);
    assert!(shown.contains("gigabyte") && !shown.contains('\u{1b}') && !shown.contains('\0'));
    let level = &agent.probe("wigo").unwrap();
    assert!(!level["Message"].as_str().unwrap().contains("die"), "{level}");
}

#[test]
fn strange_files_in_the_folders() {
    let home = Home::new();
    let long = "n".repeat(255);
    let names =
        ["a b", "it's \"so\"", "a..b", "..c", "-v", "$(touch gone)", "日本", "%2e%2e", &long];
    // A name with a dot first counts as hidden.
    let good: Vec<&str> = names.into_iter().filter(|name| !name.starts_with('.')).collect();
    for name in names {
        home.probe(60, name, &says(100, "named"));
    }
    home.probe(60, "line\nbreak", &says(100, "named"));
    home.probe(60, "escape\u{1b}[2J", &says(100, "named"));
    home.probe(2, "steady", &says(100, "still here"));
    let folder = home.interval(60);
    let fifo = Command::new("mkfifo").args(["-m", "755"]).arg(folder.join("fifo")).status();
    assert!(fifo.unwrap().success());
    symlink("/dev/zero", folder.join("device")).unwrap();
    symlink("/", folder.join("folder")).unwrap();
    symlink("round", folder.join("round")).unwrap();
    make_folder(&folder.join("a_folder"));
    let probes = home.path("probes");
    symlink("7", probes.join("7")).unwrap();
    symlink(".", probes.join("8")).unwrap();
    fs::write(probes.join("9"), "a file").unwrap();
    for odd in ["1", "0", "86401", "99999999999999999999", "-5", "x", "12s"] {
        make_folder(&probes.join(odd));
        fs::write(probes.join(odd).join("never"), "#!/bin/sh\n").unwrap();
        set_mode(&probes.join(odd).join("never"), 0o755);
    }
    let agent = home.start();
    for name in &good {
        let result = agent.wait_status(name, 100);
        assert_eq!(
            (&result["Message"], &result["Name"]),
            (&Value::from("named"), &Value::from(*name))
        );
    }
    let schedule = agent.json("/api/probes");
    let not_run = schedule["NotRun"].as_array().unwrap();
    let check = |end: &str, why: &str| {
        let found = not_run.iter().find(|one| one["Path"].as_str().unwrap().ends_with(end));
        let found = found.unwrap_or_else(|| panic!("`{end}` is not in {not_run:?}"));
        assert!(found["Why"].as_str().unwrap().contains(why), "{found}");
    };
    check("/..c", "hidden");
    check("line\nbreak", "control character");
    check("escape\u{1b}[2J", "control character");
    check("60/fifo", "neither a file nor a link to one");
    check("60/device", "neither a file nor a link to one");
    check("60/folder", "a link to a folder");
    check("probes/7", "symbolic links");
    check("probes/9", "not a folder");
    check("probes/1", "2 to 86400 seconds");
    check("probes/0", "2 to 86400 seconds");
    check("probes/86401", "2 to 86400 seconds");
    let round = agent.wait_status("round", 500);
    assert!(round["Message"].as_str().unwrap().contains("it is a link to `round`"), "{round}");
    assert!(agent.probe("never").is_none() && agent.probe("a_folder").is_none());
    agent.wait_rerun("steady");
    assert!(!agent.home.path("gone").exists() && !std::path::Path::new("/gone").exists());
    // The log has each on one line, and cannot draw on a terminal.
    assert!(!agent.log().contains('\u{1b}'), "an escape sequence is in the log");
    let list = agent.home.wigo(&["probe", "list"]);
    assert_eq!(list.status.code(), Some(0), "{}", text_of(&list));
    assert!(!text_of(&list).contains('\u{1b}'), "{}", text_of(&list));
}
