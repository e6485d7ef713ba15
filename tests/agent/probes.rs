//! Probes: which of the files in the folders are run, how, and what becomes of what they print and
//! leave behind.

use std::{collections::BTreeSet, fs, os::unix::fs::symlink};

use serde_json::{Value, json};

use crate::harness::{Agent, Home, make_folder, says, set_mode, wait_for, wait_until};

fn schedule_row(agent: &Agent, name: &str) -> Option<Value> {
    let schedule = agent.json("/api/probes");
    let rows = schedule["Probes"].as_array().unwrap();
    rows.iter().find(|row| row["Name"] == name && row["Interval"] != 0).cloned()
}

/// Why a file is not run, if that is said of a path that ends like this.
fn why_not_run(agent: &Agent, end: &str) -> Option<String> {
    let schedule = agent.json("/api/probes");
    let list = schedule["NotRun"].as_array().unwrap();
    let one = list.iter().find(|one| one["Path"].as_str().unwrap().ends_with(end))?;
    Some(one["Why"].as_str().unwrap().to_owned())
}

fn message(result: &Value) -> &str {
    result["Message"].as_str().unwrap()
}

#[test]
fn what_lies_in_the_folders_is_what_runs() {
    let home = Home::new();
    home.probe(60, "first", &says(100, "there from the start"));
    home.probe(60, "renamed", &says(200, "under its old name"));
    home.probe(2, "replaced", &says(100, "old"));
    home.probe(2, "edited", &says(100, "old"));
    home.probe(2, "twice", &says(100, "every 2 s"));
    home.probe(60, "twice", &says(200, "every 60 s"));
    home.probe(60, "wigo", &says(300, "not the agent"));
    home.probe(60, "notes.bak", &says(300, "a backup copy"));
    home.probe(60, ".hidden", &says(300, "hidden"));
    home.probe_file(60, "no-program", b"just text", 0o644);
    let examples = home.path("probes").join("examples");
    make_folder(&examples);
    fs::write(examples.join("idle"), "#!/bin/sh\n").unwrap();
    set_mode(&examples.join("idle"), 0o755);
    let agent = home.start();
    let home = &agent.home;
    for name in ["first", "renamed", "replaced", "edited", "twice", "wigo"] {
        agent.wait_probe(name, |_| true);
    }
    assert_eq!(message(&agent.probe("twice").unwrap()), "every 2 s", "the smallest interval wins");
    assert_eq!(why_not_run(&agent, "60/twice").unwrap(), "`twice` runs every 2 s already");
    assert!(why_not_run(&agent, "60/wigo").unwrap().contains("rename"));
    assert!(why_not_run(&agent, "notes.bak").is_some() && why_not_run(&agent, ".hidden").is_some());
    assert!(why_not_run(&agent, "no-program").unwrap().contains("chmod +x"));
    for name in ["notes.bak", ".hidden", "no-program", "idle"] {
        assert_eq!(agent.probe(name), None, "{name}");
    }
    assert_eq!(agent.log().matches("`twice` runs every 2 s already").count(), 1, "said once");

    // Everything below happens while it runs.
    home.probe(60, "added", &says(101, "new"));
    home.probe(90, "in-a-new-folder", &says(102, "new"));
    fs::rename(home.interval(60).join("renamed"), home.interval(60).join("after")).unwrap();
    home.probe(2, "replaced", &says(300, "new"));
    let edited = home.interval(2).join("edited");
    let text = fs::read_to_string(&edited).unwrap().replace("100", "200");
    fs::write(&edited, text).unwrap();
    symlink("../examples/idle", home.interval(60).join("idle")).unwrap();
    set_mode(&home.interval(60).join("no-program"), 0o755);
    agent.wait_status("added", 101);
    agent.wait_status("in-a-new-folder", 102);
    agent.wait_status("after", 200);
    agent.wait_gone("renamed");
    agent.wait_status("replaced", 300);
    agent.wait_status("edited", 200);
    agent.wait_probe("idle", |_| true);
    // Text without an interpreter: now that it may be run, that it cannot be is its result.
    let result = agent.wait_status("no-program", 500);
    assert!(message(&result).contains("#!"), "{result}");

    fs::remove_file(home.interval(2).join("twice")).unwrap();
    set_mode(&home.interval(60).join("first"), 0o644);
    fs::rename(home.path("probes").join("90"), home.path("probes").join("95")).unwrap();
    agent.wait_status("twice", 200);
    agent.wait_gone("first");
    wait_until("the folder was renamed", || {
        schedule_row(&agent, "in-a-new-folder").is_some_and(|row| row["Interval"] == 95)
    });
    set_mode(&home.interval(60).join("first"), 0o755);
    agent.wait_status("first", 100);

    // A whole folder at once: nothing of it is left, and the host is as good as what remains.
    fs::remove_dir_all(home.interval(2)).unwrap();
    fs::remove_file(home.interval(60).join("no-program")).unwrap();
    for name in ["replaced", "edited", "no-program"] {
        agent.wait_gone(name);
    }
    wait_until("the host has recovered", || agent.get("/api/status").text() == "200");
    assert_eq!(agent.json("/api/hosts/testhost/probes/twice")["Message"], "every 60 s");
}

#[test]
fn codes_12_and_13_switch_a_probe_off_until_its_file_changes() {
    let home = Home::new();
    let count = "echo x >> \"$WIGO_PROBE_STATE/runs\"";
    home.probe(2, "off", &format!("{count}; {}; exit 12", says(300, "ignored")));
    home.probe(2, "elsewhere", &format!("{count}; exit 13"));
    home.probe(2, "steady", &says(100, "fine"));
    let agent = home.start();
    let listed = |list: &str| agent.json("/api/probes")[list].clone();
    wait_until("12 is listed", || listed("DisabledByConfiguration") == json!(["off"]));
    wait_until("13 is listed", || listed("SkippedProbes") == json!(["elsewhere"]));
    agent.wait_rerun("steady");
    agent.wait_rerun("steady");
    for name in ["off", "elsewhere"] {
        assert_eq!(agent.probe(name), None);
        let runs = agent.home.path("probe-state").join(name).join("runs");
        assert_eq!(fs::read_to_string(runs).unwrap(), "x\n", "`{name}` is not run again");
    }
    agent.home.probe(2, "off", &says(200, "on again"));
    agent.wait_status("off", 200);
    assert_eq!(listed("DisabledByConfiguration"), json!([]));
    // A result that was known goes when the probe switches itself off.
    agent.home.probe(2, "off", "exit 13");
    agent.wait_gone("off");
    agent.hang_up();
    agent.home.probe(2, "elsewhere", &says(100, "here after all"));
    agent.wait_status("elsewhere", 100);
}

#[test]
fn four_ways_of_answering_and_the_ways_of_failing() {
    let home = Home::new();
    home.probe(
        60,
        "json",
        r#"echo warned >&2
           echo '{"status": "210", "Message": "m", "Version": 1.5, "Value": "v", "Extra": 1,
                  "Metrics": [{"Tags": {"a": "b"}, "Value": 3}], "Detail": {"deep": [1, "x"]}}'"#,
    );
    home.probe(60, "plugin", "echo 'LOAD ok | load1=0.5;1;2;0 '; echo 'more'; exit 1");
    home.probe(60, "plugin_unknown", "echo 'cannot tell'; exit 3");
    home.probe(2, "local", "cat \"$WIGO_PROBE_CONFIG_ROOT/services\"");
    let services = home.path("conf.d").join("services");
    fs::write(&services, "0 one - fine\nP two value=7;5;10 computed\n2 three - bad\n").unwrap();
    home.probe(60, "silent", "exit 2");
    home.probe(60, "quiet", ":");
    home.probe(60, "code", "echo 'half a result'; echo 'no such table' >&2; exit 77");
    home.probe(60, "broke_after", &format!("{}; echo why >&2; exit 4", says(100, "kept")));
    home.probe(60, "bad_json", "echo '{\"Status\": 100, '");
    home.probe(60, "signal", "kill -SEGV $$");
    home.probe_file(60, "no_interpreter", b"#!/nowhere/perl\n", 0o755);
    home.probe_file(60, "windows", b"#!/bin/sh\r\necho\r\n", 0o755);
    home.probe_file(60, "empty", b"", 0o755);
    let mut foreign = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x15\0".to_vec();
    foreign.resize(200, 0);
    home.probe_file(60, "foreign", &foreign, 0o755);
    symlink("/nowhere/at/all", home.interval(60).join("dangling")).unwrap();
    let agent = home.start();

    let json = agent.wait_status("json", 210);
    assert_eq!(
        (message(&json), &json["Version"], &json["Value"]),
        ("m", &json!("1.5"), &json!("v"))
    );
    assert_eq!(json["Metrics"], json!([{ "Tags": { "a": "b" }, "Value": 3 }]));
    assert_eq!(json["Detail"], json!({ "deep": [1, "x"] }), "stderr spoils nothing");
    let plugin = agent.wait_status("plugin", 200);
    assert_eq!((message(&plugin), &plugin["ExitCode"]), ("LOAD ok", &json!(1)));
    assert_eq!(plugin["Metrics"][0]["Value"], 0.5);
    assert_eq!(agent.wait_status("plugin_unknown", 500)["ExitCode"], 3);
    assert_eq!(agent.wait_status("silent", 300)["ExitCode"], 2);
    assert_eq!(message(&agent.wait_status("quiet", 100)), "nothing printed, exit code 0");

    agent.wait_status("local/three", 300);
    agent.wait_status("local/two", 200);
    agent.wait_status("local", 100);
    fs::write(&services, "0 one - fine\n").unwrap();
    agent.wait_gone("local/three");
    assert!(agent.probe("local/two").is_none() && agent.probe("local/one").is_some());

    let fails = |name: &str, code: i32, parts: &[&str]| {
        let result = agent.wait_status(name, 500);
        assert_eq!(result["ExitCode"], code, "{result}");
        for part in parts {
            assert!(message(&result).contains(part), "`{part}` is not in {result}");
        }
        result
    };
    let code = fails("code", 77, &["error: exit status 77", "no such table"]);
    assert!(code["Detail"].to_string().contains("half a result"), "{code}");
    let after = fails("broke_after", 4, &["exit status 4", "kept"]);
    assert!(after["Detail"].to_string().contains("why"), "{after}");
    fails("bad_json", 0, &["invalid JSON", "{\"Status\": 100,"]);
    fails("signal", -1, &["error: signal: segmentation fault"]);
    fails("no_interpreter", -1, &["error starting command", "`/nowhere/perl` does not exist"]);
    fails("windows", -1, &["Windows line break"]);
    fails("empty", -1, &["the file is empty"]);
    fails("foreign", -1, &["another architecture"]);
    fails("dangling", -1, &["not run", "`/nowhere/at/all`"]);
}

#[test]
fn a_probe_gets_a_clean_environment() {
    let mut home = Home::new();
    home.add("[ProbeEnvironment]\nSITE = \"lab $(id)\"");
    home.probe(
        60,
        "env",
        "cd \"$WIGO_PROBE_STATE\"\nenv > env; umask > umask; ls /proc/self/fd > fds\n\
         if read line; then echo \"stdin says $line\"; exit 1; fi; stat -c %a . > mode",
    );
    home.probe(60, "cwd", "pwd");
    let agent = home.start();
    agent.wait_status("env", 100);
    assert_eq!(message(&agent.wait_status("cwd", 100)), "/");
    let state = agent.home.path("probe-state").join("env");
    let read = |name: &str| fs::read_to_string(state.join(name)).unwrap();
    let environment = read("env");
    let value = |name: &str| {
        let line = environment.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no {name} in {environment}")).to_owned()
    };
    assert_eq!(value("WIGO_PROBE_CONFIG_ROOT"), agent.home.path("conf.d").to_str().unwrap());
    assert_eq!(value("WIGO_PROBE_NAME"), "env");
    assert_eq!(value("WIGO_PROBE_INTERVAL"), "60");
    assert_eq!(value("WIGO_PROBE_STATE"), state.to_str().unwrap());
    assert_eq!(value("SITE"), "lab $(id)");
    assert!(value("PATH").contains("/usr/sbin"));
    let names: BTreeSet<&str> =
        environment.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let expected = [
        "HOME",
        "LANG",
        "PATH",
        "SITE",
        "TZ",
        "WIGO_PROBE_CONFIG_ROOT",
        "WIGO_PROBE_INTERVAL",
        "WIGO_PROBE_NAME",
        "WIGO_PROBE_RUN",
        "WIGO_PROBE_STATE",
    ];
    // Those that a shell sets by itself.
    let of_the_shell = ["OLDPWD", "PWD", "SHLVL", "_"];
    let strange: Vec<_> = names
        .iter()
        .filter(|name| !expected.contains(name) && !of_the_shell.contains(name))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    assert_eq!(read("umask").trim(), "0077");
    assert_eq!(read("mode").trim(), "700");
    // The three streams, the folder that `ls` itself has open, and what this test was started with.
    let fds = read("fds");
    let own = fds.split_whitespace().filter(|fd| !inherited().contains(*fd)).count();
    assert!(own <= 4, "{fds}");
}

/// The descriptors that every program has which this test starts, streams apart.
fn inherited() -> BTreeSet<String> {
    const CLOSE_ON_EXEC: u32 = 0o2000000;
    let is_passed_on = |text: &str| {
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
        Some(u32::from_str_radix(flags.trim(), 8).ok()? & CLOSE_ON_EXEC == 0)
    };
    let entries = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let passed_on = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let text = fs::read_to_string(entry.path()).ok()?;
        (name.parse::<u32>().ok()? > 2 && is_passed_on(&text)?).then_some(name)
    });
    passed_on.collect()
}

#[test]
fn what_others_may_write_is_refused() {
    let home = Home::new();
    let open = home.probe(60, "open_to_all", &says(100, "hostile"));
    set_mode(&open, 0o757);
    home.probe(70, "in_open_folder", &says(100, "hostile"));
    set_mode(&home.interval(70), 0o777);
    let aside = home.path("aside");
    make_folder(&aside);
    fs::write(aside.join("target"), "#!/bin/sh\n").unwrap();
    set_mode(&aside.join("target"), 0o755);
    set_mode(&aside, 0o777);
    symlink(aside.join("target"), home.interval(60).join("link_to_open_folder")).unwrap();
    home.probe(2, "fine", &says(100, "well"));
    let root = rustix::process::geteuid().is_root();
    if root {
        let of_group = home.probe(60, "of_group", &says(100, "hostile"));
        std::os::unix::fs::chown(&of_group, None, Some(4_242)).unwrap();
        set_mode(&of_group, 0o775);
        let of_other = home.probe(60, "of_other", &says(100, "hostile"));
        std::os::unix::fs::chown(of_other, Some(4_242), None).unwrap();
    }
    let agent = home.start();
    let refused = |name: &str, part: &str| {
        let result = agent.wait_status(name, 500);
        assert!(message(&result).starts_with("not run: "), "{result}");
        assert!(message(&result).contains(part), "{result}");
        assert!(schedule_row(&agent, name).unwrap()["Refused"].is_string());
    };
    refused("open_to_all", "chmod o-w");
    refused("in_open_folder", "chmod o-w");
    refused("link_to_open_folder", "chmod o-w");
    if root {
        refused("of_group", "group 4242");
        refused("of_other", "user 4242");
    }
    agent.wait_status("fine", 100);
    // Opened to all while it runs: noticed before its next run.
    set_mode(&agent.home.interval(2).join("fine"), 0o757);
    agent.wait_status("fine", 500);
    set_mode(&agent.home.interval(2).join("fine"), 0o755);
    agent.wait_status("fine", 100);
    set_mode(&open, 0o755);
    agent.home.probe(2, "open_to_all", &says(101, "mended"));
    agent.wait_status("open_to_all", 101);
}

#[test]
fn nothing_of_a_probe_outlives_it() {
    let mut home = Home::new();
    home.add("[ProbeTimeouts]\nslow = 1\ndeaf = 1\nescaped_and_slow = 1");
    home.probe(60, "idle", &says(100, "fine"));
    let agent = home.start();
    agent.wait_probe("idle", |_| true);
    agent.json("/api/logs");
    wait_until("no probe runs", || agent.offspring().is_empty());
    let before = wait_for("the answers are through", || {
        let one = agent.descriptors();
        (one == agent.descriptors()).then_some(one)
    });

    let home = &agent.home;
    home.probe(60, "slow", "echo begun; sleep 1000");
    home.probe(60, "deaf", "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & sleep 1000; while :; do sleep 1; done");
    home.probe(60, "daemon", "setsid sh -c 'sleep 1000' & echo 'fine | a=1'");
    home.probe(60, "quiet_daemon", "setsid -f sleep 1000 >/dev/null 2>&1 </dev/null; echo fine");
    home.probe(
        60,
        "twice_forked",
        "(setsid sh -c 'trap \"\" TERM HUP; (sleep 1000 & sleep 1000) & exit' >/dev/null 2>&1 &) ; echo fine",
    );
    home.probe(60, "escaped_and_slow", "setsid -f sleep 1000; sleep 1000");
    home.probe(60, "background", "sleep 1000 & echo fine");
    for name in ["daemon", "quiet_daemon", "twice_forked", "background"] {
        let result = agent.wait_status(name, 100);
        assert!(message(&result).starts_with("fine"), "{result}");
    }
    for name in ["slow", "deaf", "escaped_and_slow"] {
        let result = agent.wait_status(name, 500);
        assert!(message(&result).starts_with("Probe timeout"), "{result}");
        assert_eq!(result["ExitCode"], -1);
    }
    wait_until("all that they started is gone", || agent.offspring().is_empty());
    wait_until("no descriptor is left open", || agent.descriptors() <= before);
    let escaped = agent.probe("wigo").unwrap();
    assert_eq!(escaped["Status"], 100, "{escaped}");
}

#[test]
fn stopping_ends_the_probes_that_run() {
    let home = Home::new();
    home.probe(
        60,
        "long",
        "setsid -f sleep 987654 >/dev/null 2>&1; touch \"$WIGO_PROBE_STATE/up\"; sleep 1000",
    );
    let mut agent = home.start();
    let up = agent.home.path("probe-state").join("long").join("up");
    wait_until("the probe runs", || up.exists());
    assert!(!agent.offspring().is_empty());
    agent.end(rustix::process::Signal::TERM);
    // Marked with the number of the process that is gone.
    assert_eq!(agent.offspring(), Vec::<String>::new());
}

#[test]
fn a_descriptor_that_the_agent_was_given_does_not_reach_its_probes() {
    let home = Home::new();
    home.probe(60, "fds", "readlink /proc/self/fd/9 || echo none");
    home.write_config();
    // As an init script or a shell with an open file starts it.
    let mut child = std::process::Command::new("sh")
        .args(["-c", "exec 9</etc/passwd; exec \"$0\" --config \"$1\""])
        .arg(env!("CARGO_BIN_EXE_wigo"))
        .arg(home.config_path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // Read from the database, since the port is not known here.
    let said = || -> rusqlite::Result<String> {
        let database = rusqlite::Connection::open(home.path("wigo.db"))?;
        let question = "SELECT message FROM journal WHERE probe = 'fds'";
        database.query_row(question, [], |row| row.get(0))
    };
    wait_until("the probe has run", || said().is_ok());
    let said = said();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said.unwrap(), "none");
}
