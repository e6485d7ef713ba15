//! Start and stop, and the commands around the agent: `wigo probe`, `wigocli`.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Home, make_folder, says, set_mode, text_of, wait_until};

#[test]
fn both_signals_stop_it_cleanly() {
    let mut home = Home::new();
    home.probe(2, "fine", &says(100, "well"));
    let mut uuid = None;
    for (signal, word) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let mut agent = home.start();
        agent.wait_probe("fine", |_| true);
        // A connection that is open and says nothing keeps nobody.
        let _idle = crate::http::connect(agent.address());
        let held = agent.json("/api")["Uuid"].clone();
        assert_eq!(*uuid.get_or_insert_with(|| held.clone()), held, "the identity stays");
        agent.end(signal);
        agent.wait_log("stopped: ");
        home = agent.home;
        let connection = Connection::open(home.path("wigo.db")).unwrap();
        let (kind, message): (String, String) = connection
            .query_row("SELECT kind, message FROM journal ORDER BY id DESC LIMIT 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(kind, "agent_stopped");
        assert!(message.contains(word), "{message}");
    }
    let uuid_file = fs::read_to_string(home.path("uuid")).unwrap();
    assert_eq!(uuid.unwrap(), uuid_file.as_str());
}

#[test]
fn what_keeps_it_from_starting_is_said() {
    let agent = Home::new().start();
    let port = agent.address().port();
    let fails = |home: &Home, parts: &[&str]| {
        let output = home.wigo(&[]);
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in {text}");
        }
    };
    let mut home = Home::new();
    home.change("Port = 0", &format!("Port = {port}"));
    fails(&home, &[&format!("`127.0.0.1:{port}`"), "[Http]", "in use"]);

    let mut home = Home::new();
    fs::write(home.path("file"), "").unwrap();
    home.change("/uuid\"", "/file/uuid\"");
    fails(&home, &["file/uuid", "[Global] UuidFile"]);

    let home = Home::new();
    fs::write(home.path("uuid"), "nonsense").unwrap();
    fails(&home, &["/uuid", "should hold a uuid"]);

    let home = Home::new();
    fs::remove_dir(home.path("probes")).unwrap();
    fails(&home, &["/probes", "[Global] ProbesDirectory"]);
}

#[test]
fn versions_and_help() {
    for program in [env!("CARGO_BIN_EXE_wigo"), env!("CARGO_BIN_EXE_wigocli")] {
        let run = |argument| Command::new(program).arg(argument).output().unwrap();
        let version = run("--version");
        assert!(version.status.success());
        assert!(text_of(&version).contains(env!("CARGO_PKG_VERSION")));
        assert!(run("--help").status.success());
        assert_ne!(run("--nonsense").status.code(), Some(0));
    }
}

#[test]
fn a_probe_can_be_tried_before_it_is_installed() {
    let mut home = Home::new();
    home.add("[ProbeTimeouts]\nslow = 1");
    let examples = home.path("probes").join("examples");
    make_folder(&examples);
    let script = |name: &str, body: &str| {
        let path = examples.join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        set_mode(&path, 0o755);
        path.to_str().unwrap().to_owned()
    };
    let json = script("json", "echo careful >&2; echo '{\"Status\": 100, \"Message\": \"well\"}'");
    script("plugin", "echo 'slow | time=3s;1;2'; exit 1");
    script("local", "echo '0 a - fine'; echo '2 b - bad'");
    script("silent", "exit 0");
    script("broken", "exec /nowhere/program");
    script("off", "exit 12");
    script("elsewhere", "exit 13");
    script("slow", "sleep 1000");
    let open = script("open", "exit 0");
    set_mode(open.as_ref(), 0o757);
    let check = |probe: &str, code: i32, parts: &[&str]| {
        let output = home.wigo(&["probe", "run", probe]);
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in {text}");
        }
    };
    check(
        "json",
        0,
        &["Wigo JSON", "100 OK", "well", "standard error is not part", "peak memory", "CPU"],
    );
    check(&json, 0, &["Wigo JSON"]);
    check("plugin", 1, &["Nagios plugin output", "200 WARN", "slow", "\"Value\": 3"]);
    check("local", 2, &["Checkmk local lines", "local/a", "local/b", "300 CRIT"]);
    check("silent", 0, &["silence with an exit code", "100 OK"]);
    check("broken", 2, &["a failure", "500 ERROR", "exit status 127", "/nowhere/program"]);
    check("off", 0, &["exit 12", "switched off"]);
    check("elsewhere", 0, &["exit 13", "does not apply"]);
    check("slow", 2, &["Probe timeout after 1 s"]);
    check("open", 2, &["not run", "chmod o-w"]);
    check("missing", 3, &["`missing`", "wigo probe list"]);
    check("./missing", 2, &["not run"]);
}

#[test]
fn probes_are_listed_with_and_without_the_agent() {
    let mut home = Home::new();
    home.probe(60, "good", &says(100, "well"));
    home.probe(2, "off", "exit 12");
    home.probe(2, "elsewhere", "exit 13");
    let refused = home.probe(60, "open", "exit 0");
    set_mode(&refused, 0o757);
    home.probe_file(60, "text", b"no program", 0o644);
    let examples = home.path("probes").join("examples");
    make_folder(&examples);
    symlink(home.interval(60).join("good"), examples.join("installed")).unwrap();
    // A port at which nobody listens: one that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    home.change("Port = 0", &format!("Port = {free}"));
    let output = home.wigo(&["probe", "list"]);
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let row = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("no `{name}` in {text}")).to_owned()
    };
    assert!(row(&text, "good").contains("60 s"), "{text}");
    assert!(row(&text, "installed").contains("disabled"), "{text}");
    assert!(row(&text, "open").contains("refused") && text.contains("chmod o-w"), "{text}");
    assert!(text.contains("60/text") && text.contains("chmod +x"), "{text}");
    assert!(text.contains("the agent did not answer"), "{text}");

    home.change(&format!("Port = {free}"), "Port = 0");
    let agent = home.start();
    agent.wait_probe("good", |_| true);
    wait_until("12 and 13 are known", || {
        let schedule = agent.json("/api/probes");
        schedule["SkippedProbes"][0] == "elsewhere"
            && schedule["DisabledByConfiguration"][0] == "off"
    });
    let config = agent.home.path("with-port.conf");
    let port = format!("Port = {}", agent.address().port());
    fs::write(&config, agent.home.config.replace("Port = 0", &port)).unwrap();
    let mut list = Command::new(env!("CARGO_BIN_EXE_wigo"));
    let output = list.arg("--config").arg(&config).args(["probe", "list"]).output().unwrap();
    let text = text_of(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(!text.contains("did not answer"), "{text}");
    assert!(row(&text, "good").contains("(in ") && row(&text, "good").contains(" ms"), "{text}");
    assert!(row(&text, "off").contains("exit 12"), "{text}");
    assert!(row(&text, "elsewhere").contains("exit 13"), "{text}");
    assert!(row(&text, "installed").contains("disabled"), "{text}");
}

#[test]
fn wigocli_is_a_check_and_a_live_view() {
    let home = Home::new();
    home.puppet(2, "flip", 100);
    let agent = home.start();
    agent.wait_status("flip", 100);
    let code = |arguments: &[&str]| {
        let output = agent.wigocli(arguments);
        (output.status.code(), text_of(&output))
    };
    assert_eq!(code(&[]).0, Some(0));
    let (watch, lines) = {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wigocli"));
        command.args(["--url", &agent.url(), "--watch", "detail"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (told, lines) = mpsc::channel();
        let output = child.stdout.take().unwrap();
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| {
                let _ = told.send(line);
            });
        });
        (Watching(child), lines)
    };
    let drawn = |part: &str| {
        wait_until(&format!("`{part}` is drawn"), || {
            lines.try_iter().any(|line| line.contains(part))
        });
    };
    drawn("as told");
    agent.home.tell("flip", 250, "warned");
    agent.wait_status("flip", 250);
    drawn("warned");
    let (warn, text) = code(&[]);
    assert_eq!(warn, Some(1), "{text}");
    assert!(text.contains("Global Status\t: 250") && text.contains("warned"), "{text}");
    assert_eq!(code(&["remote", "testhost", "probe", "flip"]).0, Some(1));
    assert_eq!(code(&["probe", "wigo"]).0, Some(0));
    assert_eq!(code(&["probe", "none"]).0, Some(3));
    assert_eq!(code(&["remote", "nobody"]).0, Some(3));
    let (_, json) = code(&["--json", "probe", "flip"]);
    assert!(json.contains("\"Status\":250"), "{json}");

    agent.home.tell("flip", 500, "broken down");
    agent.wait_status("flip", 500);
    assert_eq!(code(&[]).0, Some(2));
    drawn("broken down");
    assert_eq!(watch.interrupt(), Some(2), "the last code counts");

    let url = agent.url();
    agent.stop();
    let output =
        Command::new(env!("CARGO_BIN_EXE_wigocli")).args(["--url", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text_of(&output));
    assert!(text_of(&output).contains("is wigo running"), "{}", text_of(&output));
}

/// A running wigocli; ended when dropped.
struct Watching(std::process::Child);

impl Watching {
    /// Presses Ctrl-C and gives the exit code.
    fn interrupt(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_interrupted_trial_leaves_nothing_running() {
    let home = Home::new();
    let script = home.path("slow");
    let pid_file = home.path("pid");
    let body = format!("#!/bin/sh\necho $$ > {}\nexec sleep 1000\n", pid_file.display());
    fs::write(&script, body).unwrap();
    set_mode(&script, 0o755);
    home.write_config();
    let mut trial = Command::new(env!("CARGO_BIN_EXE_wigo"))
        .arg("--config")
        .arg(home.config_path())
        .args(["probe", "run", "--interval", "3600"])
        .arg(&script)
        .spawn()
        .unwrap();
    let pid = || fs::read_to_string(&pid_file).unwrap_or_default().trim().parse::<u32>().ok();
    wait_until("the probe runs", || pid().is_some());
    let ours = Pid::from_child(&trial);
    kill_process(ours, Signal::INT).unwrap();
    assert_eq!(trial.wait().unwrap().code(), Some(3));
    // Gone, or a zombie that waits for whoever adopts orphans here.
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid().unwrap())).unwrap_or_default();
    wait_until("the probe is dead", || state().is_empty() || state().contains(") Z "));
}

#[test]
fn two_agents_with_one_identity_do_not_run_at_once() {
    let home = Home::new();
    let agent = home.start();
    let second = agent.home.wigo(&[]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text_of(&second).contains("another agent with this identity is running"));
    assert_eq!(agent.get("/healthz").status, 200);
}
