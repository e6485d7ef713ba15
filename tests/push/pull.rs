//! Pull: an agent that asks others over HTTP, be they agents, originals, or masters of push clients.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use rcgen::CertifiedKey;
use serde_json::{Value, json};
use wigo::trust::Fingerprint;

use crate::{
    fleet::{
        assert_never, client, free_port, journal_of, kinds, open_master, seen, takes_clients, tell,
        uuid, wait_alive, wait_change, wait_entry, wait_gone, wait_same_journal, wait_seen,
        wait_status,
    },
    harness::{Agent, Home, says, set_mode, wait_for, wait_until},
};

/// Lets `home` ask the remotes at `addresses` each second; `more` are further lines of `[RemoteWigos]`.
fn asks(home: &mut Home, addresses: &[SocketAddr], more: &str) {
    let list = list(addresses);
    home.add(&format!("[RemoteWigos]\nCheckInterval = 1\n{list}{more}"));
}

fn list(addresses: &[SocketAddr]) -> String {
    let quoted: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("List = [{}]\n", quoted.join(", "))
}

/// A running agent that asks the remotes at `addresses`.
fn asker(addresses: &[SocketAddr], more: &str) -> Agent {
    let mut home = Home::named("asker");
    asks(&mut home, addresses, more);
    home.start()
}

/// The files of an agent with a puppet that says 100, which answers on `port` also after a restart.
fn remote(name: &str, port: u16) -> Home {
    let mut home = Home::named(name);
    home.probe(2, "puppet", &says(100, "as told"));
    home.change("Port = 0", &format!("Port = {port}"));
    home
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Changes the configuration of a running agent.
fn reconfigure(agent: &mut Agent, from: &str, to: &str) {
    agent.home.change(from, to);
    agent.hang_up();
}

/// The uuid of an agent that is not to be asked for it.
fn uuid_file(home: &Home) -> String {
    fs::read_to_string(home.path("uuid")).unwrap().trim().to_owned()
}

/// Waits until the page of a host directly below says that this is wrong.
fn wait_problem(agent: &Agent, part: &str) -> Value {
    wait_for(&format!("a host with the problem `{part}`"), || {
        let tree = agent.json("/api");
        let below = tree["RemoteWigos"].as_object().unwrap();
        below.values().find(|host| host["Problem"].as_str().unwrap().contains(part)).cloned()
    })
}

fn count_hosts(agent: &Agent) -> usize {
    agent.json("/api/hosts").as_array().unwrap().len()
}

fn wait_global(agent: &Agent, status: u32) {
    wait_until(&format!("the whole tree is {status}"), || {
        agent.json("/api")["GlobalStatus"] == status
    });
}

#[test]
fn what_a_remote_has_and_remembers_is_taken_over_once() {
    let leaf = remote("leaf", free_port()).start();
    leaf.wait_status("puppet", 100);
    let asker = asker(&[leaf.address()], "");
    let me = uuid(&leaf);
    let found = wait_status(&asker, &me, "puppet", 100);
    assert_eq!((&found["Hostname"], &found["GlobalMessage"]), (&"leaf".into(), &"OK".into()));
    assert_eq!(found["LocalHost"]["Group"], "testers");
    assert_eq!(found["LocalHost"]["Probes"]["puppet"]["Message"], "as told");
    assert_eq!(
        (&found["Via"], &found["Contact"]["Kind"]),
        (&Value::from(me.as_str()), &"pull".into())
    );
    assert_eq!((count_hosts(&asker), &found["Problem"]), (2, &"".into()));
    wait_change(&leaf, &asker, 250);
    wait_global(&asker, 250);
    wait_same_journal(&leaf, &asker);
    // Nothing is told again after a restart, and nothing is missed meanwhile.
    let asker_home = asker.stop();
    tell(&leaf.home, 300, "as told");
    leaf.wait_status("puppet", 300);
    let asker = asker_home.start();
    wait_status(&asker, &me, "puppet", 300);
    wait_change(&leaf, &asker, 100);
    wait_same_journal(&leaf, &asker);
    let changes =
        journal_of(&asker, &me).iter().filter(|entry| entry.contains("probe_changed")).count();
    assert_eq!(changes, 3);
    assert_never(&asker, "leaf", &["instance_down", "instance_gone"]);
    assert_eq!(kinds(&asker, "leaf").iter().filter(|kind| *kind == "instance_seen").count(), 1);
}

#[test]
fn a_remote_that_is_silent_is_down_until_it_answers_again() {
    let leaf = remote("leaf", free_port()).start();
    let mut home = Home::named("asker");
    home.change("[Global]\n", "[Global]\nAliveTimeout = 3\n");
    asks(&mut home, &[leaf.address()], "");
    let asker = home.start();
    let me = uuid(&leaf);
    wait_status(&asker, &me, "puppet", 100);
    let leaf_home = leaf.kill();
    let down = wait_seen(&asker, &me, "it is down and says why", |seen| {
        seen["GlobalStatus"] == 999 && seen["Problem"].as_str().unwrap().contains("cannot connect")
    });
    assert_eq!((&down["IsAlive"], &down["GlobalMessage"]), (&false.into(), &"DOWN".into()));
    let probe = &down["LocalHost"]["Probes"]["puppet"];
    assert_eq!((&probe["Status"], &probe["Stale"]), (&100.into(), &true.into()), "kept as old");
    wait_global(&asker, 999);
    let entry = wait_entry(&asker, "instance_down", "silent for");
    assert_eq!((&entry["Host"], &entry["Now"]), (&"leaf".into(), &999.into()));
    let leaf = leaf_home.start();
    wait_entry(&asker, "instance_up", "");
    // That the connection of before is closed is noticed at once.
    assert!(!asker.log().contains("not answered in full"), "{}", asker.log());
    let back = wait_seen(&asker, &me, "nothing is wrong any more", |seen| {
        seen["IsAlive"] == true && seen["Problem"] == ""
    });
    assert_eq!(back["Hostname"], "leaf");
    wait_change(&leaf, &asker, 250);
    wait_same_journal(&leaf, &asker);
    assert_eq!(count_hosts(&asker), 2);
}

#[test]
fn a_remote_that_was_never_reached_is_shown_and_becomes_the_host_it_is() {
    let port = free_port();
    let asker = asker(&[local(port)], "");
    let missing = wait_problem(&asker, "cannot connect");
    assert_eq!(missing["Hostname"], local(port).to_string());
    assert_eq!(missing["IsAlive"], false);
    let leaf = remote("leaf", port).start();
    wait_status(&asker, &uuid(&leaf), "puppet", 100);
    wait_gone(&asker, missing["Uuid"].as_str().unwrap());
    assert_eq!(count_hosts(&asker), 2);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_until_its_fingerprint_is_given() {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let mut home = remote("leaf", free_port());
    let (crt, key) = (home.path("http.crt"), home.path("http.key"));
    fs::write(&crt, cert.pem()).unwrap();
    fs::write(&key, signing_key.serialize_pem()).unwrap();
    set_mode(&key, 0o600);
    let (crt, key) = (crt.display(), key.display());
    home.add(&format!("SslEnabled = true\nSslCert = \"{crt}\"\nSslKey = \"{key}\""));
    let leaf = home.start();
    let me = uuid_file(&leaf.home);

    let mut asker = asker(&[leaf.address()], "SslEnabled = true\n");
    let advice = format!("CertFingerprint = \"{}\"", Fingerprint::of_certificate(cert.der()));
    wait_problem(&asker, &advice);
    asker.wait_log(&advice);
    assert!(seen(&asker, &me).is_none(), "it must not be believed");

    let wrong = format!("CertFingerprint = \"{}\"\n", "ab".repeat(32));
    reconfigure(&mut asker, "CheckInterval = 1\n", &format!("CheckInterval = 1\n{wrong}"));
    wait_problem(&asker, &format!("expected was {}", "ab".repeat(32)));
    assert!(seen(&asker, &me).is_none(), "it must not be believed");

    reconfigure(&mut asker, wrong.trim(), &advice);
    let found = wait_status(&asker, &me, "puppet", 100);
    assert_eq!(found["Contact"]["Encrypted"], true);
    wait_seen(&asker, &me, "nothing is wrong", |seen| seen["Problem"] == "");
    assert_eq!(count_hosts(&asker), 2);
}

#[test]
fn a_remote_with_a_login_wants_the_right_one() {
    let mut home = remote("leaf", free_port());
    home.add("Login = \"eye\"\nPassword = \"open sesame\"");
    let leaf = home.start();
    let me = uuid_file(&leaf.home);
    let mut asker = asker(&[leaf.address()], "");
    wait_problem(&asker, "wants a login");
    let wrong = "Login = \"eye\"\nPassword = \"sesame\"\n";
    reconfigure(&mut asker, "CheckInterval = 1\n", &format!("CheckInterval = 1\n{wrong}"));
    wait_problem(&asker, "refuses the login");
    assert!(seen(&asker, &me).is_none());
    reconfigure(&mut asker, "\"sesame\"", "\"open sesame\"");
    wait_status(&asker, &me, "puppet", 100);
    assert!(!asker.log().contains("sesame"), "a password in the log: {}", asker.log());
}

const HUB: &str = "5f0d6c1e-8a3b-4c57-9f21-0b7e6a4d1c32";
const EDGE: &str = "c4a9e2d7-1b60-4e8f-8d35-7f2b9c5e0a14";

/// What an original answers that watches another one, which is down.
fn original(disks: u32) -> Value {
    json!({
        "Uuid": HUB, "Version": "Wigo v0.73.31", "IsAlive": true, "GlobalStatus": disks,
        "GlobalMessage": "OK",
        "LocalHost": { "Name": "hub.example.net", "Group": "core", "Status": disks, "Probes": {
            "hardware_disks": {
                "Name": "hardware_disks", "Version": "0.10", "Value": "WARN",
                "Message": "disk / is 91% full", "ProbeDate": "2025-03-04T09:15:02.3182 (CET)",
                "Timestamp": 1_741_076_102,
                "Metrics": [{ "Tags": { "Partition": "/dev/vda1", "MountPoint": "/" }, "Value": 91 }],
                "Detail": { "/dev/vda1": { "Size": "40G", "Percentage": "91%" } },
                "Status": disks, "ExitCode": 0
            }
        }},
        "RemoteWigos": { EDGE: {
            "Uuid": EDGE, "Version": "Wigo v0.73.31", "IsAlive": false, "GlobalStatus": 999,
            "GlobalMessage": "DOWN",
            "LocalHost": { "Name": "edge1.example.net", "Group": "edge", "Status": 999, "Probes": {
                "check_process": {
                    "Name": "check_process", "Version": "", "Value": null,
                    "Message": "Probe timeout", "ProbeDate": "2025-03-04T09:14:58 (CET)",
                    "Timestamp": 1_741_076_098, "Metrics": null, "Detail": "", "Status": 500,
                    "ExitCode": -1
                }
            }},
            "RemoteWigos": {}, "Hostname": "edge1.example.net", "LastUpdate": 1_741_076_105
        }},
        "Hostname": "hub.example.net", "LastUpdate": 0
    })
}

/// A server that knows `/api` alone, and answers as the original does: without any tag.
struct Original {
    address: SocketAddr,
    document: Arc<Mutex<Value>>,
    /// What it was asked.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Original {
    fn start() -> Original {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let document = Arc::new(Mutex::new(original(250)));
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (answers, questions) = (document.clone(), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(path) = asked_for(&stream) else { continue };
                let body = answers.lock().unwrap().to_string();
                let (status, body) = match path.as_str() {
                    "/api" => ("200 OK", body),
                    _ => ("404 Not Found", "404 page not found".to_owned()),
                };
                questions.lock().unwrap().push(path);
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n\
                     Content-Length: {}\r\n\r\n",
                    body.len()
                );
                // Who asked may be gone.
                let _ = (&stream).write_all((head + &body).as_bytes());
            }
        });
        Original { address, document, asked }
    }
}

/// The path of a request without a body, read to its end.
fn asked_for(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let rest = lines.map_while(Result::ok);
    let _ = rest.take_while(|line| !line.is_empty()).count();
    first.split(' ').nth(1).map(ToOwned::to_owned)
}

#[test]
fn an_original_and_what_it_watches_are_in_the_tree() {
    let old = Original::start();
    let asker = asker(&[old.address], "");
    let hub = wait_status(&asker, HUB, "hardware_disks", 250);
    assert_eq!(
        (&hub["Hostname"], &hub["LocalHost"]["Group"]),
        (&"hub.example.net".into(), &"core".into())
    );
    let disks = &hub["LocalHost"]["Probes"]["hardware_disks"];
    assert_eq!((&disks["Value"], &disks["Metrics"][0]["Value"]), (&"WARN".into(), &91.into()));
    assert_eq!(disks["Timestamp"], 1_741_076_102);
    let edge = &hub["RemoteWigos"][EDGE];
    assert_eq!((&edge["IsAlive"], &edge["GlobalStatus"]), (&false.into(), &999.into()));
    assert_eq!((&edge["GlobalMessage"], &edge["Via"]), (&"DOWN".into(), &HUB.into()));
    assert_eq!(edge["LocalHost"]["Probes"]["check_process"]["Status"], 500);
    assert_eq!(asker.json("/api/hosts/edge1.example.net")["Uuid"], EDGE);
    wait_global(&asker, 999);

    // It has no journal that could be read: what changes is told by comparing.
    *old.document.lock().unwrap() = original(300);
    wait_status(&asker, HUB, "hardware_disks", 300);
    let change = wait_for("the change is in the log", || {
        asker
            .logs()
            .into_iter()
            .find(|entry| entry["Kind"] == "probe_changed" && entry["Now"] == 300)
    });
    assert_eq!((&change["Host"], &change["Was"]), (&"hub.example.net".into(), &250.into()));

    let mut healed = original(100);
    let edge = &mut healed["RemoteWigos"][EDGE];
    (edge["IsAlive"], edge["GlobalStatus"], edge["GlobalMessage"]) =
        (true.into(), 100.into(), "UP".into());
    edge["LocalHost"]["Status"] = 100.into();
    edge["LocalHost"]["Probes"]["check_process"]["Status"] = 100.into();
    *old.document.lock().unwrap() = healed;
    wait_status(&asker, EDGE, "check_process", 100);
    wait_until("the tree is well", || asker.json("/api")["GlobalStatus"].as_u64().unwrap() < 200);
    let asked = old.asked.lock().unwrap();
    assert!(asked.iter().all(|path| path == "/api"), "{asked:?}");
}

#[test]
fn a_remote_that_is_not_configured_any_more_is_gone_without_an_alarm() {
    let (stays, goes) = (remote("stays", free_port()).start(), remote("goes", free_port()).start());
    let both = [stays.address(), goes.address()];
    let mut asker = asker(&both, "");
    let gone = uuid(&goes);
    tell(&goes.home, 300, "as told");
    wait_status(&asker, &uuid(&stays), "puppet", 100);
    wait_status(&asker, &gone, "puppet", 300);
    reconfigure(&mut asker, &list(&both), &list(&both[..1]));
    wait_gone(&asker, &gone);
    wait_entry(&asker, "instance_gone", "removed from the configuration");
    // The other one has noticed nothing.
    wait_change(&stays, &asker, 250);
    wait_global(&asker, 250);
    assert_eq!(count_hosts(&asker), 2);
    let asker = asker.restart();
    wait_status(&asker, &uuid(&stays), "puppet", 250);
    assert!(seen(&asker, &gone).is_none(), "it came back with the restart");
    assert_never(&asker, "goes", &["instance_down"]);
    assert_never(&asker, "stays", &["instance_down", "instance_gone"]);
}

#[test]
fn who_is_heard_through_a_master_and_directly_stands_once() {
    let (middle, push_port) = open_master("middle");
    let leaf = client("leaf", &[push_port]).start();
    let mut asker = asker(&[middle.address()], "");
    let (me, above) = (uuid(&leaf), uuid(&middle));
    let found = wait_status(&asker, &me, "puppet", 100);
    assert_eq!((&found["Via"], &found["Alternatives"]), (&Value::from(above.as_str()), &json!([])));
    assert_eq!(asker.json("/api")["RemoteWigos"][&above]["RemoteWigos"][&me]["Hostname"], "leaf");
    wait_change(&leaf, &asker, 250);
    wait_same_journal(&leaf, &asker);

    let (one, both) = ([middle.address()], [middle.address(), leaf.address()]);
    reconfigure(&mut asker, &list(&one), &list(&both));
    wait_seen(&asker, &me, "it is heard directly, and through the middle too", |seen| {
        seen["Via"] == *me && seen["Alternatives"] == json!([above])
    });
    wait_change(&leaf, &asker, 300);
    wait_same_journal(&leaf, &asker);
    wait_until("no stand-in is left", || count_hosts(&asker) == 3);

    // Not asked any more, it is where it was before.
    reconfigure(&mut asker, &list(&both), &list(&one));
    wait_seen(&asker, &me, "it is heard through the middle", |seen| {
        seen["IsAlive"] == true && seen["Via"] == *above && seen["Alternatives"] == json!([])
    });
    wait_change(&leaf, &asker, 100);
    wait_same_journal(&leaf, &asker);
    assert_never(&asker, "", &["instance_down"]);
}

#[test]
fn two_that_ask_each_other_each_stand_once() {
    let ports = [free_port(), free_port()];
    let start = |n: usize| {
        let mut home = remote(["one", "two"][n], ports[n]);
        asks(&mut home, &[local(ports[1 - n])], "");
        home.start()
    };
    let (one, two) = (start(0), start(1));
    let pairs = [(&one, &two), (&two, &one)];
    for (this, other) in pairs {
        wait_status(this, &uuid(other), "puppet", 100);
        wait_until("only the two are left", || count_hosts(this) == 2);
    }
    // What is bad here is bad there, and does not come back as an echo when it is well again.
    for (this, other) in pairs {
        for status in [300, 100] {
            wait_change(this, other, status);
            [this, other].into_iter().for_each(|agent| wait_global(agent, status));
        }
        assert_eq!((count_hosts(this), count_hosts(other)), (2, 2));
    }
    for (this, other) in pairs {
        wait_same_journal(this, other);
        assert!(seen(this, &uuid(this)).is_some(), "it sees itself, once");
        assert_never(this, "", &["instance_down", "instance_gone"]);
        wait_alive(this, &uuid(other));
    }
}

#[test]
fn a_master_shows_what_it_asks_for_beside_what_reports_to_it() {
    let asked = remote("asked", free_port()).start();
    let (mut home, port) = (Home::named("master"), free_port());
    takes_clients(&mut home, port, "AutoAcceptClients = true");
    asks(&mut home, &[asked.address()], "");
    let master = home.start();
    let reporter = client("reporter", &[port]).start();
    for leaf in [&asked, &reporter] {
        wait_change(leaf, &master, 250);
        wait_same_journal(leaf, &master);
    }
    assert_eq!(count_hosts(&master), 3);
}
