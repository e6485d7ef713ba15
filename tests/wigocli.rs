//! wigocli as its users meet it: the program itself, asking a small real server.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

const TREE: &str = r#"{"Uuid":"a","Version":"Wigo v1.0.0","Hostname":"hub","IsAlive":true,"GlobalStatus":250,
"LocalHost":{"Name":"hub","Status":100,"Probes":{"load":{"Status":100,"Message":"fine"}}},"RemoteWigos":{
"b":{"Uuid":"b","Version":"Wigo v1.0.0","Hostname":"edge","IsAlive":true,"GlobalStatus":250,"LocalHost":{
"Name":"edge","Status":250,"Probes":{"ntp":{"Status":250,"Message":"late \u001b[2J"},"load":{"Status":100}}}},
"c":{"Uuid":"c","Version":"Wigo v1.0.0","Hostname":"gone","IsAlive":false,"GlobalStatus":999}}}"#;

const CLIENTS: &str = r#"{"allowed":{"a-1":"web1"},"waiting":{"b-1":"new\u001b[2J","b-2":"web2"},"ca":"AA:BB","details":{"waiting":[{"Uuid":"b-2","Fingerprint":"3344"}]}}"#;

/// What the fake agent answers to a request line such as `GET /api HTTP/1.1`: status and body.
type Answer = dyn Fn(&str) -> (u16, String) + Send + Sync;

/// A fake agent; it answers until the test ends.
fn agent(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer: Arc<Answer> = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || serve(stream.unwrap(), &*answer));
        }
    });
    url
}

fn serve(mut stream: TcpStream, answer: &Answer) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(mut request)) = lines.next() else { return };
    let headers = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
    for header in headers.map(|header| header.to_ascii_lowercase()) {
        // Beside the request line only what a change has to carry.
        if header.starts_with("x-wigo-request:") || header.starts_with("authorization:") {
            request += &format!(" | {header}");
        }
    }
    let (status, body) = answer(&request);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let _ = stream.write_all((head + &body).as_bytes()); // a client that was interrupted is gone
}

fn wigocli(url: &str, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wigocli"));
    command.args(["--url", url]).args(line.split_whitespace());
    command.env_remove("CLICOLOR_FORCE").env("TZ", "UTC");
    command
}

fn run(url: &str, line: &str) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = wigocli(url, line).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Starts wigocli and reads its output line by line.
fn start(url: &str, line: &str) -> (Child, std::io::Lines<BufReader<ChildStdout>>) {
    let mut child =
        wigocli(url, line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// Presses Ctrl-C and gives the exit code.
fn interrupt(child: &mut Child) -> Option<i32> {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
    child.wait().unwrap().code()
}

#[test]
fn every_form_shows_its_thing_and_judges_it() {
    let url = agent(|_| (200, TREE.into()));
    let check = |line: &str, code: i32, part: &str| {
        let (seen, stdout, stderr) = run(&url, line);
        assert_eq!((seen, &*stderr), (Some(code), ""), "{line}: {stdout}");
        assert!(stdout.contains(part), "{line}: {stdout}");
        assert!(!stdout.contains('\x1b'), "{line}: {stdout}");
    };
    check(
        "",
        1,
        "\nedge ( edge ) - Wigo v1.0.0: \n\tntp                       : 250  late \\u{1b}[2J\n",
    );
    check("detail", 1, "\tload                      : 100  fine\n");
    check("probe load", 0, "Probe load : \n\n Status         : 100\n");
    check("remote edge", 1, "Wigo v1.0.0 running on edge \n");
    check("remote b detail", 1, "\tload                      : 100\n");
    check("remote edge probe ntp", 1, " Status         : 250\n");
    check("remote localhost probe load", 0, " Message        : fine\n");
    check("remote gone", 2, "gone DOWN : \n");
    check("--json", 1, &format!("{TREE}\n"));
    check("tree", 1, "├─ gone  DOWN      0\n└─ edge  WARN    250  1 probe not well\n");
    check("tree --json", 1, &format!("{TREE}\n"));
    check("remote edge probe ntp --json", 1, "{\"Status\":250,\"Message\":\"late \\u001b[2J\"}\n");
}

#[test]
fn what_cannot_be_told_ends_with_3_and_a_reason() {
    let url = agent(|request| match request {
        "GET /api HTTP/1.1" => (200, TREE.into()),
        "GET /other/api HTTP/1.1" => (200, "{}".into()),
        _ => (401, "Not Authorized\x1b[2J".into()),
    });
    let check = |url: &str, line: &str, part: &str| {
        let (code, stdout, stderr) = run(url, line);
        assert_eq!((code, &*stdout), (Some(3), ""), "{line}: {stderr}");
        assert!(stderr.contains(part), "{line}: {stderr}");
        assert!(!stderr.contains("panicked") && !stderr.contains('\x1b'), "{line}: {stderr}");
    };
    check(&url, "probe ntp", "the host `hub` has no probe `ntp`");
    check(&url, "remote nobody", "knows no host `nobody`");
    check(&url, "remote edge probe none", "the host `edge` has no probe `none`");
    check(&url, "nonsense", "unrecognized subcommand 'nonsense'");
    check(&url, "--config /nowhere/wigo.conf", "`/nowhere/wigo.conf` (make one");
    check(&format!("{url}/login"), "", "asks for a login");
    check(&format!("{url}/other"), "", "not of a wigo");
    check("nonsense", "", "begin with http");
}

#[test]
fn a_change_is_asked_for_once_for_each_client() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let url = agent(move |request| {
        if request == "GET /api/authority/hosts HTTP/1.1" {
            return (200, CLIENTS.into());
        }
        seen.lock().unwrap().push(request.to_owned());
        (200, "OK".into())
    });
    let check = |line: &str, stdout: &str, changes: &[&str]| {
        asked.lock().unwrap().clear();
        assert_eq!(run(&url, line), (Some(0), stdout.into(), String::new()), "{line}");
        let changes: Vec<String> = changes
            .iter()
            .map(|path| format!("POST {path} HTTP/1.1 | x-wigo-request: 1"))
            .collect();
        assert_eq!(*asked.lock().unwrap(), changes, "{line}");
    };
    check(
        "authority allow web2",
        "web2 ( b-2 ) is allowed now, key 3344\n",
        &["/api/authority/hosts/b-2/allow?key=3344"],
    );
    check(
        "authority allow b-1",
        "new\\u{1b}[2J ( b-1 ) is allowed now\n",
        &["/api/authority/hosts/b-1/allow"],
    );
    check(
        "authority allow --all --json",
        "[\"b-1\",\"b-2\"]\n",
        &["/api/authority/hosts/b-1/allow", "/api/authority/hosts/b-2/allow?key=3344"],
    );
    check(
        "authority revoke web1",
        "web1 ( a-1 ) is revoked\n",
        &["/api/authority/hosts/a-1/revoke"],
    );
    check("forget old/host", "old/host is forgotten\n", &["/api/hosts/old%2Fhost/forget"]);
    check("authority list --json", &format!("{CLIENTS}\n"), &[]);
    let (code, stdout, _) = run(&url, "authority list");
    assert_eq!(code, Some(0));
    assert!(stdout.contains("\tnew\\u{1b}[2J ( b-1 )\n"), "{stdout}");
}

#[test]
fn a_change_that_is_refused_ends_with_3_and_the_reason() {
    let refuse = |status: u16, why: &'static str| {
        agent(move |request| match request.starts_with("GET ") {
            true => (200, CLIENTS.into()),
            false => (status, why.into()),
        })
    };
    let check = |url: &str, line: &str, part: &str| {
        let (code, stdout, stderr) = run(url, line);
        assert_eq!((code, &*stdout), (Some(3), ""), "{line}: {stderr}");
        assert!(stderr.contains(part), "{line}: {stderr}");
        assert!(!stderr.contains("panicked") && !stderr.contains('\x1b'), "{line}: {stderr}");
    };
    let url = refuse(403, r#""it has to come\u001b from this machine""#);
    check(&url, "authority allow web2", "403 Forbidden: it has to come\\u{1b} from this machine");
    check(&url, "authority allow nobody", "`nobody` is no client that waits");
    check(&url, "authority allow --all --watch", "leave it out here");
    check(&url.replace("http://", "http://me:wrong@"), "forget edge", "403");
    check(&refuse(401, "Not Authorized"), "forget edge", "asks for a login");
    let url = refuse(401, "Not Authorized").replace("http://", "http://me:wrong@");
    check(&url, "forget edge", "refused the login");
    check(
        &refuse(404, r#""Remote wigo edge not found""#),
        "forget edge",
        "Remote wigo edge not found",
    );
    check(&refuse(404, "404 page not found"), "forget edge", "too old for this");
    check(
        &refuse(409, r#""edge reports: revoke it""#),
        "forget edge",
        "409 Conflict: edge reports",
    );
    let url = agent(|_| (404, r#""Push server is not started""#.into()));
    check(&url, "authority list", "set Enabled in [PushServer]");
}

#[test]
fn help_and_version_are_fine() {
    let (code, stdout, _) = run("http://nobody", "--help");
    assert_eq!(code, Some(0));
    assert!(stdout.contains("Exit code"), "{stdout}");
    let (code, stdout, _) = run("http://nobody", "--version");
    assert_eq!((code, stdout), (Some(0), format!("wigocli {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (closed, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let url = agent(move |_| {
        wait.lock().unwrap().recv().unwrap();
        (200, TREE.into())
    });
    let (mut child, stdout) = start(&url, "");
    drop(stdout);
    closed.send(()).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), &*stderr), (Some(1), ""));
}

#[test]
fn watching_shows_each_change_and_ends_with_the_last_exit_code() {
    let now = Arc::new(Mutex::new((200, TREE.to_owned())));
    let seen = now.clone();
    let url = agent(move |_| seen.lock().unwrap().clone());
    let (mut child, mut lines) = start(&url, "remote edge probe ntp --json --watch");
    assert!(lines.next().unwrap().unwrap().contains("\"Status\":250"));
    now.lock().unwrap().1 =
        TREE.replace("\"Status\":250,\"Message\"", "\"Status\":400,\"Message\"");
    assert!(lines.next().unwrap().unwrap().contains("\"Status\":400"));
    now.lock().unwrap().0 = 503;
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(errors.next().unwrap().unwrap().contains("answered 503"));
    *now.lock().unwrap() = (200, TREE.into());
    assert!(lines.next().unwrap().unwrap().contains("\"Status\":250"));
    assert_eq!(interrupt(&mut child), Some(1));
}

#[test]
fn logs_are_shown_oldest_first() {
    let url = agent(|request| {
        assert_eq!(request, "GET /api/logs?limit=2&hostname=hub HTTP/1.1");
        let entry =
            |second| format!(r#"{{"Timestamp":{second},"Level":6,"Host":"hub","Message":"m"}}"#);
        (200, format!("[{},{}]", entry(60), entry(1)))
    });
    let expected = "1970-01-01T00:00:01 (UTC)  CRITICAL   hub  m\n\
                    1970-01-01T00:01:00 (UTC)  CRITICAL   hub  m\n";
    assert_eq!(run(&url, "logs --host hub --limit 2"), (Some(0), expected.into(), String::new()));
    let (code, stdout, _) = run(&url, "logs --host hub --limit 2 --json");
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with(r#"[{"Timestamp":60,"#) && stdout.ends_with("]\n"), "{stdout}");
}

#[test]
fn the_log_is_followed_from_the_last_entry_on() {
    let entry =
        |id: i64| format!(r#"{{"Id":{id},"Timestamp":1,"Level":2,"Host":"hub","Message":"m"}}"#);
    let url = agent(move |request| match request {
        "GET /api/logs?limit=100 HTTP/1.1" => (200, format!("[{},{}]", entry(7), entry(4))),
        "GET /api/logs?limit=100&after=7 HTTP/1.1" => (200, format!("[{},{}]", entry(8), entry(9))),
        "GET /api/logs?limit=100&after=9 HTTP/1.1" => (200, format!("[{}]", entry(10))),
        _ => (500, "the database is gone".into()),
    });
    let (mut child, mut lines) = start(&url, "logs --follow --json");
    for id in [4, 7, 8, 9, 10] {
        assert_eq!(lines.next().unwrap().unwrap(), entry(id));
    }
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(errors.next().unwrap().unwrap().contains("the database is gone"));
    interrupt(&mut child);
}

#[test]
fn an_agent_that_does_not_number_its_log_cannot_be_followed() {
    let url = agent(|_| (200, r#"[{"Timestamp":1,"Level":2,"Host":"hub","Message":"m"}]"#.into()));
    let (code, stdout, stderr) = run(&url, "logs --follow");
    assert_eq!((code, &*stdout), (Some(3), ""));
    assert!(stderr.contains("does not number its entries"), "{stderr}");
}
