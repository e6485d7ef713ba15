//! Masters, clients, and what one can see of the other.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::Instant,
};

use serde_json::Value;

use crate::{
    harness::{Agent, Home, LIMIT, POLL, says, text_of, wait_for, wait_until},
    http::{self, Reply},
};

/// Below the ports that systems give out by themselves, so that a master can come back on its own.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port on which nobody listens, for a master that will be restarted.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16;
    for _ in 0..PORTS.len() {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + first.wrapping_mul(61).wrapping_add(step) % (PORTS.len() as u16);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// What a master says of its authority.
pub struct Authority {
    pub fingerprint: String,
}

/// Lets `home` take push clients on `port`, with an authority of its own; `more` are further lines of
/// `[PushServer]`.
pub fn takes_clients(home: &mut Home, port: u16, more: &str) -> Authority {
    let authority = make_authority(home);
    let root = home.path("");
    let root = root.display();
    home.add(&format!(
        "[PushServer]\nEnabled = true\nAddress = \"127.0.0.1\"\nPort = {port}\n\
         SslCert = \"{root}wigo.crt\"\nSslKey = \"{root}wigo.key\"\n\
         AllowedClientsFile = \"{root}allowed\"\n{more}"
    ));
    authority
}

/// Makes an authority, or another one.
pub fn make_authority(home: &Home) -> Authority {
    let mut command = Command::new(env!("CARGO_BIN_EXE_generate_cert"));
    command.args(["-ca", "-host", "127.0.0.1", "-force"]).current_dir(home.path(""));
    let output = command.output().unwrap();
    let text = text_of(&output);
    assert!(output.status.success(), "{text}");
    let (_, rest) = text.split_once("SHA-256 ").unwrap();
    Authority { fingerprint: rest.lines().next().unwrap().to_owned() }
}

/// Lets `home` report to the masters on `ports`, with a sign of life each second; `more` are further
/// lines of `[PushClient]`.
pub fn reports_to(home: &mut Home, ports: &[u16], more: &str) {
    let addresses: Vec<_> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    let (addresses, root) = (addresses.join(", "), home.path(""));
    let root = root.display();
    let interval = if more.contains("PushInterval") { "" } else { "PushInterval = 1\n" };
    home.add(&format!(
        "[PushClient]\nEnabled = true\nAddress = [{addresses}]\n{interval}\
         SslCert = \"{root}master.crt\"\nUuidSig = \"{root}uuid.sig\"\n{more}"
    ));
}

/// A running master that takes everybody, and the port on which it does.
pub fn open_master(name: &str) -> (Agent, u16) {
    let (mut home, port) = (Home::named(name), free_port());
    takes_clients(&mut home, port, "AutoAcceptClients = true");
    (home.start(), port)
}

/// The files of a client of the masters on `ports`, with a puppet called `puppet` that says 100.
pub fn client(name: &str, ports: &[u16]) -> Home {
    let mut home = Home::named(name);
    home.probe(2, "puppet", &says(100, "as told"));
    reports_to(&mut home, ports, "");
    home
}

pub fn uuid(agent: &Agent) -> String {
    agent.json("/api")["Uuid"].as_str().unwrap().to_owned()
}

pub fn push_address(agent: &Agent) -> SocketAddr {
    wait_for("the push server says where it listens", || {
        let log = agent.log();
        let (_, rest) = log.split_once("taking push clients on ")?;
        rest.lines().next()?.trim().parse().ok()
    })
}

/// Every place in which an instance stands in the tree.
fn places(tree: &Value, uuid: &str, found: &mut Vec<Value>) {
    if tree["Uuid"] == uuid {
        found.push(tree.clone());
    }
    let below = tree["RemoteWigos"].as_object().into_iter().flatten();
    below.for_each(|(_, below)| places(below, uuid, found));
}

/// An instance as `agent` sees it; it may stand in the tree once.
pub fn seen(agent: &Agent, uuid: &str) -> Option<Value> {
    let mut found = Vec::new();
    places(&agent.json("/api"), uuid, &mut found);
    assert!(found.len() <= 1, "{uuid} stands in the tree {} times: {found:#?}", found.len());
    found.pop()
}

/// Waits until an instance is seen as `wanted`.
pub fn wait_seen(agent: &Agent, uuid: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = seen(agent, uuid);
        if let Some(found) = found.as_ref().filter(|found| wanted(found)) {
            return found.clone();
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}; last: {found:#?}");
        thread::sleep(POLL);
    }
}

pub fn wait_alive(agent: &Agent, uuid: &str) -> Value {
    wait_seen(agent, uuid, "it is alive", |seen| seen["IsAlive"] == true)
}

/// Waits until an instance that is alive is seen with a probe of this status.
pub fn wait_status(agent: &Agent, uuid: &str, probe: &str, status: u32) -> Value {
    wait_seen(agent, uuid, &format!("`{probe}` is {status}"), |seen| {
        seen["IsAlive"] == true && seen["LocalHost"]["Probes"][probe]["Status"] == status
    })
}

pub fn wait_gone(agent: &Agent, uuid: &str) {
    wait_until("it is gone", || seen(agent, uuid).is_none());
}

/// Lets the puppet of an agent say something else, at once.
pub fn tell(home: &Home, status: u32, message: &str) {
    home.probe(2, "puppet", &says(status, message));
}

/// Changes what the puppet of a client says, and waits until the master sees it.
pub fn wait_change(client: &Agent, master: &Agent, status: u32) {
    tell(&client.home, status, "as told");
    wait_status(master, &uuid(client), "puppet", status);
}

/// What an operator on the host of `master` does.
pub fn operate(master: &Agent, uuid: &str, what: &str) -> Reply {
    let path = format!("/api/authority/hosts/{uuid}/{what}");
    http::ask(master.address(), "POST", &path, &["Host: localhost", "X-Wigo-Request: 1"])
}

pub fn allow(master: &Agent, uuid: &str) {
    wait_until("the client waits", || waiting(master).iter().any(|waiting| waiting == uuid));
    let reply = operate(master, uuid, "allow");
    assert_eq!(reply.status, 200, "{}", reply.text());
}

pub fn revoke(master: &Agent, uuid: &str) {
    let reply = operate(master, uuid, "revoke");
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// The uuids of the clients that wait to be allowed.
pub fn waiting(master: &Agent) -> Vec<String> {
    let listing = master.json("/api/authority/hosts");
    listing["waiting"].as_object().into_iter().flatten().map(|(uuid, _)| uuid.clone()).collect()
}

/// The kinds of entries about `host` (or of any, if that is empty), in order.
pub fn kinds(agent: &Agent, host: &str) -> Vec<String> {
    let about = |entry: &&Value| host.is_empty() || entry["Host"] == host;
    let logs = agent.logs();
    logs.iter().filter(about).map(|entry| entry["Kind"].as_str().unwrap().to_owned()).collect()
}

/// Waits for an entry of this kind whose message has `part` in it.
pub fn wait_entry(agent: &Agent, kind: &str, part: &str) -> Value {
    wait_for(&format!("an entry {kind} with `{part}`"), || {
        agent.logs().into_iter().find(|entry| {
            entry["Kind"] == kind && entry["Message"].as_str().unwrap().contains(part)
        })
    })
}

/// Fails if any of these kinds is in the log of `agent` about `host`.
pub fn assert_never(agent: &Agent, host: &str, forbidden: &[&str]) {
    let kinds = kinds(agent, host);
    let bad = kinds.iter().any(|kind| forbidden.contains(&kind.as_str()));
    assert!(!bad, "one of {forbidden:?} about {host} in {kinds:?}");
}

/// What an entry says wherever it is kept.
fn essence(entry: &Value) -> String {
    let fields =
        ["OriginId", "Kind", "Group", "Host", "Probe", "Was", "Now", "Timestamp", "Message"];
    fields.map(|field| entry[field].to_string()).join(" ")
}

/// What `agent` knows of the journal of `origin`, in its own order.
pub fn journal_of(agent: &Agent, origin: &str) -> Vec<String> {
    let logs = agent.logs();
    logs.iter().filter(|entry| entry["Origin"] == origin).map(essence).collect()
}

/// Waits until `master` knows all of the journal of `client`, each entry once, in order.
pub fn wait_same_journal(client: &Agent, master: &Agent) {
    let origin = uuid(client);
    let deadline = Instant::now() + LIMIT;
    let (own, told) = loop {
        let (own, told) = (journal_of(client, &origin), journal_of(master, &origin));
        if !own.is_empty() && own == told {
            return;
        }
        if Instant::now() > deadline {
            break (own, told);
        }
        thread::sleep(POLL);
    };
    let only = |these: &[String], those: &[String]| {
        let only: Vec<_> = these.iter().filter(|one| !those.contains(one)).cloned().collect();
        only.join("\n  ")
    };
    panic!(
        "journals differ: {} entries at the client, {} at the master\nonly at the client:\n  {}\n\
         only at the master:\n  {}",
        own.len(),
        told.len(),
        only(&own, &told),
        only(&told, &own)
    );
}

/// A copy of these files of one agent for another.
pub fn copy_files(from: &Home, to: &Home, names: &[&str]) {
    for name in names {
        fs::copy(from.path(name), to.path(name)).unwrap();
    }
}
