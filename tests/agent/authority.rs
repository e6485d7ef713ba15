//! Who may push, as operators decide it: over HTTP, in the file, by tokens.

use std::{
    fs,
    process::{Command, Output},
};

use crate::{
    harness::{Agent, Home, wait_for, wait_until},
    http::{Reply, ask},
};

/// What a program on this machine sends with a change where no login is configured.
const MARK: &str = "X-Wigo-Request: 1";

/// An agent that takes push clients, on a free port.
fn master(more: &str) -> Home {
    let mut home = Home::new();
    let made = Command::new(env!("CARGO_BIN_EXE_generate_cert"))
        .args(["-ca", "-host", "localhost,127.0.0.1"])
        .current_dir(home.path(""))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let (crt, key) = (home.path("wigo.crt"), home.path("wigo.key"));
    home.add(&format!(
        "{more}\n[PushServer]\nEnabled = true\nAddress = \"127.0.0.1\"\nPort = 0\n\
         SslCert = \"{}\"\nSslKey = \"{}\"\nAllowedClientsFile = \"{}\"",
        crt.display(),
        key.display(),
        home.path("allowed").display()
    ));
    home
}

/// Where it takes them.
fn port(master: &Agent) -> u16 {
    wait_for("the push server listens", || {
        let log = master.log();
        let (_, rest) = log.split_once("taking push clients on 127.0.0.1:")?;
        rest.split_once('\n')?.0.trim().parse().ok()
    })
}

fn client(port: u16, more: &str) -> Home {
    let mut home = Home::new();
    home.config = home.config.replace("testhost", "pusher");
    let (crt, sig) = (home.path("master.crt"), home.path("uuid.sig"));
    home.add(&format!(
        "[PushClient]\nEnabled = true\nAddress = \"127.0.0.1\"\nPort = {port}\nPushInterval = 1\n\
         SslCert = \"{}\"\nUuidSig = \"{}\"\n{more}",
        crt.display(),
        sig.display()
    ));
    home
}

fn post(agent: &Agent, path: &str, headers: &[&str]) -> Reply {
    let local = ["Host: localhost", "Content-Length: 0"];
    ask(agent.address(), "POST", path, &[&local[..], headers].concat())
}

/// The only uuid in one of the two lists.
fn only(agent: &Agent, list: &str) -> Option<String> {
    agent.json("/api/authority/hosts")[list].as_object()?.keys().next().cloned()
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_client_waits_is_allowed_pushes_and_is_revoked() {
    let master = master("").start();
    let pusher = client(port(&master), "").start();
    let uuid = wait_for("the client waits", || only(&master, "waiting"));
    let lists = master.json("/api/authority/hosts");
    assert_eq!(lists["waiting"][&uuid], "pusher");
    let details = &lists["details"]["waiting"][0];
    let fingerprint = details["Fingerprint"].as_str().unwrap();
    assert_eq!((details["Address"].as_str(), fingerprint.len()), (Some("127.0.0.1"), 64));
    pusher.wait_log(lists["ca"].as_str().unwrap());

    let allow = format!("/api/authority/hosts/{uuid}/allow");
    let reply = post(&master, &allow, &[]);
    assert_eq!(reply.status, 403, "{}", reply.text());
    let other = format!("{allow}?key={}", "0".repeat(64));
    let reply = post(&master, &other, &[MARK]);
    assert_eq!(reply.status, 409, "{}", reply.text());
    let reply = post(&master, &format!("{allow}?key=nonsense"), &[MARK]);
    assert_eq!(reply.status, 400, "{}", reply.text());
    let reply = post(&master, &format!("{allow}?key={fingerprint}"), &[MARK]);
    assert_eq!((reply.status, reply.text().as_str()), (200, "OK"));
    wait_until("the client reports", || {
        let reply = master.get("/api/hosts/pusher");
        reply.status == 200 && reply.json()["IsAlive"] == true
    });
    assert_eq!(
        fs::read_to_string(master.home.path("allowed")).unwrap(),
        format!("{uuid} pusher\n")
    );
    let reply = post(&master, "/api/hosts/pusher/forget", &[MARK]);
    assert_eq!(reply.status, 409, "{}", reply.text());

    let reply = post(&master, &format!("/api/authority/hosts/{uuid}/revoke"), &[MARK]);
    assert_eq!((reply.status, reply.text().as_str()), (200, "OK"));
    wait_until("its part of the tree is gone", || master.get("/api/hosts/pusher").status == 404);
    assert_eq!(fs::read_to_string(master.home.path("allowed")).unwrap(), "");
}

#[test]
fn a_join_token_admits_without_an_operator_and_only_once() {
    let master = master("").start();
    let (token, explanation) = text(&master.home.wigo(&["token", "join", "--group", "testers"]));
    assert!(token.starts_with("wigo-join_") && token.lines().count() == 1, "{token}");
    assert!(explanation.contains("[PushClient]"));
    assert!(!explanation.contains(token.trim()), "it may end up in a log");
    let join = format!("JoinToken = \"{}\"\nRequireFingerprint = true", token.trim());
    let _pusher = client(port(&master), &join).start();
    wait_for("the client is allowed", || only(&master, "allowed"));
    let (list, _) = text(&master.home.wigo(&["token", "list"]));
    assert!(list.contains("used up") && list.contains("group testers"), "{list}");

    let _second = client(port(&master), &join).start();
    wait_for("the second one waits", || only(&master, "waiting"));
    let note = &master.json("/api/authority/hosts")["details"]["waiting"][0]["Note"];
    assert_eq!(note, "its join token is used up");
    let (id, _) = list.lines().nth(1).unwrap().split_once(' ').unwrap();
    assert!(master.home.wigo(&["token", "drop", id]).status.success());
    assert_eq!(text(&master.home.wigo(&["token", "list"])).0, "");
}

#[test]
fn a_line_in_the_file_admits_and_its_removal_revokes() {
    let master = master("").start();
    let file = master.home.path("allowed");
    let _pusher = client(port(&master), "").start();
    let uuid = wait_for("the client waits", || only(&master, "waiting"));
    fs::write(&file, format!("# by hand\n{uuid}\n")).unwrap();
    wait_until("the client reports", || master.get("/api/hosts/pusher").status == 200);
    fs::write(&file, "# by hand\n").unwrap();
    wait_until("it is gone", || master.get("/api/hosts/pusher").status == 404);
}

#[test]
fn changes_need_an_operator() {
    let master = master("Login = \"me\"\nPassword = \"secret\"").start();
    let uuid = "0b4f6f0e-5a0f-4f4e-9c1e-1f1f1f1f1f1f";
    let allow = format!("/api/authority/hosts/{uuid}/allow");
    let login = "Authorization: Basic bWU6c2VjcmV0";
    for headers in [&[MARK][..], &["Authorization: Basic bWU6Z3Vlc3M="]] {
        let reply = post(&master, &allow, headers);
        assert_eq!(reply.status, 401);
        // Our own page, which sends the mark, asks its user itself.
        assert_eq!(reply.header("www-authenticate").is_none(), headers == [MARK]);
    }
    let reply = post(&master, &allow, &[login, "Origin: http://evil.example"]);
    assert_eq!(reply.status, 403, "{}", reply.text());
    let reply = post(&master, &allow, &[login]);
    assert_eq!(
        (reply.status, reply.json()),
        (404, format!("Authority : Invalid uuid {uuid}").into())
    );
    assert_eq!(ask(master.address(), "GET", &allow, &[login]).status, 404);
    let reply = post(&master, "/api/hosts/nobody/forget", &[login]);
    assert_eq!((reply.status, reply.json()), (404, "Remote wigo nobody not found".into()));
    let reply = post(&master, "/api/hosts/testhost/forget", &[login]);
    assert_eq!(reply.status, 409, "{}", reply.text());
}

#[test]
fn without_a_push_server_there_is_no_authority() {
    let agent = Home::new().start();
    let said = "Push server is not started";
    let reply = agent.get("/api/authority/hosts");
    assert_eq!((reply.status, reply.json()), (404, said.into()));
    let reply = post(&agent, "/api/authority/hosts/x/revoke", &[MARK]);
    assert_eq!((reply.status, reply.json()), (404, said.into()));
}
