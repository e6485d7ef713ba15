//! The same uuid twice: with another key, and a machine that was copied as a whole.

use crate::{
    fleet::{
        client, copy_files, kinds, open_master, seen, uuid, wait_alive, wait_change, wait_entry,
    },
    harness::Home,
};

/// Two homes with the same uuid, the second not started yet; `files` are the same too.
fn twins(port: u16, files: &[&str]) -> (crate::harness::Agent, Home) {
    let leaf = client("leaf", &[port]).start();
    leaf.wait_log("reporting to the master");
    let copy = client("copy", &[port]);
    copy_files(&leaf.home, &copy, &["uuid"]);
    copy_files(&leaf.home, &copy, files);
    (leaf, copy)
}

fn refused_once(master: &crate::harness::Agent) {
    let kinds = kinds(master, "master");
    let count = |wanted: &str| kinds.iter().filter(|kind| *kind == wanted).count();
    assert_eq!((count("client_refused"), count("client_allowed")), (1, 1), "{kinds:?}");
}

#[test]
fn another_key_with_the_same_uuid_is_refused() {
    let (master, port) = open_master("master");
    let (leaf, copy) = twins(port, &[]);
    let me = uuid(&leaf);
    wait_alive(&master, &me);
    let copy = copy.start();
    copy.wait_log("belongs to a client with the key");
    wait_entry(&master, "client_refused", &me);
    wait_change(&leaf, &master, 250);
    assert_eq!(seen(&master, &me).unwrap()["Hostname"], "leaf");
    refused_once(&master);
}

#[test]
fn a_copied_machine_is_refused_while_the_first_stays() {
    let (master, port) = open_master("master");
    let (leaf, copy) = twins(port, &["uuid.sig", "uuid.sig.key", "master.crt"]);
    let me = uuid(&leaf);
    wait_alive(&master, &me);
    let copy = copy.start();
    copy.wait_log("a copied machine?");
    wait_entry(&master, "client_refused", &me);
    wait_change(&leaf, &master, 250);
    assert_eq!(seen(&master, &me).unwrap()["Hostname"], "leaf");
    assert!(!copy.log().contains("reporting to the master"), "{}", copy.log());
    refused_once(&master);
}
