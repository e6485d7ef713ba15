//! Who is there, who is down, who left, and what of that is an alarm.

use rustix::process::Signal;

use crate::{
    fleet::{
        assert_never, client, kinds, open_master, seen, uuid, wait_alive, wait_change, wait_entry,
        wait_gone, wait_seen, wait_status,
    },
    harness::Agent,
};

/// So patient that a busy machine is never taken for a silent client.
const PATIENT: (&str, &str) = ("PushInterval = 1\n", "PushInterval = 15\n");

fn patient_client(name: &str, port: u16) -> Agent {
    let mut home = client(name, &[port]);
    home.change(PATIENT.0, PATIENT.1);
    home.start()
}

#[test]
fn a_client_that_is_killed_is_down_until_it_is_back() {
    let (master, port) = open_master("master");
    let leaf = client("leaf", &[port]).start();
    let me = uuid(&leaf);
    wait_change(&leaf, &master, 250);
    let leaf = leaf.kill();
    let down = wait_seen(&master, &me, "it is down", |seen| seen["GlobalStatus"] == 999);
    assert_eq!(down["IsAlive"], false);
    assert_eq!(down["GlobalMessage"], "DOWN");
    let probe = &down["LocalHost"]["Probes"]["puppet"];
    assert_eq!((&probe["Status"], &probe["Stale"]), (&250.into(), &true.into()), "kept as old");
    assert_eq!(master.json("/api")["GlobalStatus"], 999);
    let entry = wait_entry(&master, "instance_down", "broke");
    assert_eq!((&entry["Host"], &entry["Now"]), (&"leaf".into(), &999.into()));
    let leaf = leaf.start();
    wait_alive(&master, &me);
    wait_change(&leaf, &master, 100);
    wait_entry(&master, "instance_up", "");
    let of_leaf = kinds(&master, "leaf");
    let count = |wanted: &str| of_leaf.iter().filter(|kind| *kind == wanted).count();
    assert_eq!((count("instance_seen"), count("instance_down"), count("instance_up")), (1, 1, 1));
    assert_ne!(master.json("/api")["GlobalStatus"], 999);
}

#[test]
fn a_client_that_is_frozen_is_down_after_its_silence_and_stays_one_host() {
    let (master, port) = open_master("master");
    let leaf = client("leaf", &[port]).start();
    let me = uuid(&leaf);
    wait_alive(&master, &me);
    leaf.signal(Signal::STOP);
    wait_seen(&master, &me, "it is down", |seen| seen["GlobalStatus"] == 999);
    wait_entry(&master, "instance_down", "");
    leaf.signal(Signal::CONT);
    wait_alive(&master, &me);
    wait_entry(&master, "instance_up", "");
    wait_change(&leaf, &master, 250);
    let names = master.json("/api/hosts");
    assert_eq!(names.as_array().unwrap().len(), 2, "{names}");
}

#[test]
fn a_client_that_stops_in_order_is_stopped_and_not_down() {
    let (master, port) = open_master("master");
    let leaf = patient_client("leaf", port);
    let me = uuid(&leaf);
    wait_change(&leaf, &master, 250);
    let leaf = leaf.stop();
    let stopped =
        wait_seen(&master, &me, "it is stopped", |seen| seen["GlobalMessage"] == "STOPPED");
    assert_eq!(stopped["IsAlive"], false);
    assert_ne!(stopped["GlobalStatus"], 999);
    assert_eq!(stopped["LocalHost"]["Probes"]["puppet"]["Stale"], true);
    // Its own last word came along.
    wait_entry(&master, "agent_stopped", "SIGTERM");
    let leaf = leaf.start();
    wait_alive(&master, &me);
    wait_change(&leaf, &master, 100);
    assert_never(&master, "leaf", &["instance_down", "instance_up"]);
}

#[test]
fn a_client_without_its_master_in_the_configuration_is_gone() {
    let (master, port) = open_master("master");
    let mut leaf = patient_client("leaf", port);
    let me = uuid(&leaf);
    wait_alive(&master, &me);
    leaf.home.change("Enabled = true\nAddress = [", "Enabled = false\nAddress = [");
    leaf.hang_up();
    wait_gone(&master, &me);
    wait_entry(&master, "instance_gone", "goodbye");
    assert_never(&master, "leaf", &["instance_down"]);
    // A new master: what was known of the client is forgotten on the disk too.
    let master = master.restart();
    assert!(seen(&master, &me).is_none());
    leaf.home.change("Enabled = false\nAddress = [", "Enabled = true\nAddress = [");
    leaf.hang_up();
    wait_change(&leaf, &master, 250);
}

#[test]
fn a_master_that_restarts_calls_nobody_down() {
    let (mut master, port) = open_master("master");
    let leaves = ["one", "two"].map(|name| patient_client(name, port));
    // One that will not be back when the master is.
    let absent = patient_client("absent", port);
    let away = uuid(&absent);
    for leaf in leaves.iter().chain([&absent]) {
        wait_change(leaf, &master, 250);
    }
    absent.signal(Signal::STOP);
    for orderly in [true, false] {
        master = if orderly { master.restart() } else { master.kill().start() };
        let known = seen(&master, &away).expect("it is known from the disk");
        assert_eq!(
            (&known["GlobalMessage"], &known["IsAlive"]),
            (&"UNKNOWN".into(), &false.into())
        );
        assert_ne!(known["GlobalStatus"], 999);
        let probe = &known["LocalHost"]["Probes"]["puppet"];
        assert_eq!((&probe["Status"], &probe["Stale"]), (&250.into(), &true.into()));
        for leaf in &leaves {
            wait_alive(&master, &uuid(leaf));
            wait_status(&master, &uuid(leaf), "puppet", 250);
        }
        assert_never(&master, "", &["instance_down", "instance_up"]);
    }
    absent.signal(Signal::CONT);
    wait_change(&absent, &master, 100);
    for leaf in &leaves {
        wait_change(leaf, &master, 100);
    }
    assert_never(&master, "", &["instance_down", "instance_up"]);
    let seen_once = kinds(&master, "").into_iter().filter(|kind| kind == "instance_seen").count();
    assert_eq!(seen_once, 3);
}
