//! How a client becomes one, and stops being one.

use std::{fs, os::unix::fs::PermissionsExt};

use x509_parser::{extensions::GeneralName, pem::parse_x509_pem};

use crate::{
    fleet::{
        allow, assert_never, client, free_port, kinds, operate, push_address, reports_to, revoke,
        seen, takes_clients, uuid, wait_alive, wait_change, wait_entry, wait_gone, waiting,
    },
    harness::{Agent, Home, wait_until},
};

fn mode(home: &Home, name: &str) -> u32 {
    fs::metadata(home.path(name)).unwrap().permissions().mode() & 0o777
}

/// A master that asks its operator about everybody.
fn careful_master(more: &str) -> (Agent, u16, String) {
    let (mut home, port) = (Home::named("master"), free_port());
    let authority = takes_clients(&mut home, port, more);
    (home.start(), port, authority.fingerprint)
}

fn waits(client: &Agent, master: &Agent) {
    client.wait_log("waiting to be admitted");
    let me = uuid(client);
    wait_until("it is in the waiting list", || waiting(master).contains(&me));
}

#[test]
fn a_client_waits_for_an_operator_and_is_then_known_for_good() {
    let (master, port, fingerprint) = careful_master("");
    let leaf = client("leaf", &[port]).start();
    let me = uuid(&leaf);
    waits(&leaf, &master);
    assert!(seen(&master, &me).is_none(), "nobody is in the tree who was not allowed");

    // The authority is pinned, and what people have to compare is in both logs.
    let pinned = fs::read_to_string(leaf.home.path("master.crt")).unwrap();
    let authority = fs::read_to_string(master.home.path("wigo.crt")).unwrap();
    assert_eq!(
        pinned.split_whitespace().collect::<String>(),
        authority.split_whitespace().collect::<String>()
    );
    assert_eq!((mode(&leaf.home, "master.crt"), mode(&leaf.home, "uuid.sig.key")), (0o644, 0o600));
    assert!(!leaf.home.path("uuid.sig").exists());
    assert!(leaf.log().contains(&fingerprint), "{}", leaf.log());
    assert_eq!(master.json("/api/authority/hosts")["ca"], fingerprint.as_str());
    let (_, key) = leaf
        .log()
        .split_once("SHA-256 of our key ")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let key = key.lines().next().unwrap().trim().to_owned();
    assert!(master.log().contains(&key), "{key} is not in {}", master.log());

    let reply = operate(&master, "4b3d6a6e-3f0c-4a5e-9a57-8d9f0d1c2b3a", "allow");
    assert_ne!(reply.status, 200, "nobody waits with that uuid");
    allow(&master, &me);
    wait_alive(&master, &me);
    wait_change(&leaf, &master, 250);
    assert_eq!(mode(&leaf.home, "uuid.sig"), 0o600);
    let pem = fs::read(leaf.home.path("uuid.sig")).unwrap();
    let (_, pem) = parse_x509_pem(&pem).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap().value;
    assert_eq!(names.general_names, [GeneralName::URI(&format!("urn:uuid:{me}"))]);
    let allowed = fs::read_to_string(master.home.path("allowed")).unwrap();
    assert_eq!(allowed, format!("{me} leaf\n"));

    // From now on nobody is asked again, whoever restarts.
    let (master, leaf) = (master.restart(), leaf.restart());
    wait_alive(&master, &me);
    wait_change(&leaf, &master, 100);
    assert!(!leaf.log().contains("waiting") && !leaf.log().contains("not known"), "{}", leaf.log());
    let about: Vec<_> =
        kinds(&master, "master").into_iter().filter(|kind| kind.starts_with("client_")).collect();
    assert_eq!(about, ["client_waiting", "client_allowed"]);
}

#[test]
fn a_fingerprint_closes_the_window_of_the_first_contact() {
    let (master, port, right) = careful_master("AutoAcceptClients = true");
    let wrong = "ab".repeat(32);
    let make = |name: &str, more: &str| {
        let mut home = Home::named(name);
        reports_to(&mut home, &[port], more);
        home.start()
    };
    let informed =
        make("informed", &format!("CaFingerprint = \"{right}\"\nRequireFingerprint = true"));
    let misled = make("misled", &format!("CaFingerprint = \"{wrong}\""));
    let careful = make("careful", "RequireFingerprint = true");
    wait_alive(&master, &uuid(&informed));
    misled.wait_log("cannot report to the master");
    assert!(misled.log().contains(&right) && misled.log().contains(&wrong), "{}", misled.log());
    careful.wait_log("RequireFingerprint is set");
    assert!(careful.log().contains("CaFingerprint"), "it says what to do: {}", careful.log());
    for refused in [&misled, &careful] {
        assert!(!refused.home.path("master.crt").exists(), "nothing is pinned");
        assert!(seen(&master, &uuid(refused)).is_none());
    }
    // What helps.
    let mut careful = careful;
    careful.home.add(&format!("CaFingerprint = \"{right}\""));
    careful.home.write_config();
    careful.hang_up();
    wait_alive(&master, &uuid(&careful));
}

#[test]
fn the_waiting_list_is_bounded() {
    let (master, port, _) = careful_master("MaxWaitingClients = 1");
    let first = client("first", &[port]).start();
    waits(&first, &master);
    let second = client("second", &[port]).start();
    second.wait_log("MaxWaitingClients");
    assert_eq!(waiting(&master), [uuid(&first)]);
    wait_entry(&master, "client_refused", "second");
    allow(&master, &uuid(&first));
    // There is room now.
    allow(&master, &uuid(&second));
    wait_alive(&master, &uuid(&first));
    wait_alive(&master, &uuid(&second));
}

#[test]
fn a_revoked_client_is_cut_off_at_once_and_may_ask_again() {
    let (master, port, _) = careful_master("");
    // One with a host below it, which goes with it.
    let mut middle = client("middle", &[port]);
    let below = free_port();
    takes_clients(&mut middle, below, "AutoAcceptClients = true");
    // `[PushServer]` comes after `[PushClient]`, and both are there.
    let middle = middle.start();
    let leaf = client("leaf", &[below]).start();
    let (me, under) = (uuid(&middle), uuid(&leaf));
    allow(&master, &me);
    wait_alive(&master, &under);

    revoke(&master, &me);
    wait_gone(&master, &me);
    wait_gone(&master, &under);
    middle.wait_log("not allowed any more");
    waits(&middle, &master);
    assert!(seen(&master, &me).is_none());
    assert_eq!(fs::read_to_string(master.home.path("allowed")).unwrap(), "");
    wait_entry(&master, "client_revoked", "middle");
    assert_never(&master, "middle", &["instance_down"]);
    assert_never(&master, "leaf", &["instance_down"]);
    allow(&master, &me);
    wait_alive(&master, &me);
    wait_alive(&master, &under);

    // The same by hand.
    fs::write(master.home.path("allowed"), "# nobody\n").unwrap();
    wait_gone(&master, &me);
    wait_gone(&master, &under);
    wait_until("it waits again", || waiting(&master).contains(&me));
    // Who was revoked needs more than a line, which anybody with the same uuid could use.
    allow(&master, &me);
    wait_alive(&master, &me);
    wait_alive(&master, &under);
    assert_never(&master, "middle", &["instance_down"]);
    assert!(push_address(&master).port() == port);
}
