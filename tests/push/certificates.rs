//! Certificates that end: a client's that has expired, one that is halfway there, and a master's authority
//! that was replaced.

use std::time::{Duration, SystemTime};

use wigo::trust::{ClientCertificate, ClientKey, Existing, Readers, write};

use crate::{
    fleet::{client, make_authority, open_master, uuid, wait_alive, wait_change},
    harness::{Home, wait_until},
    stranger::{DAY, authority},
};

fn certificate(home: &Home) -> ClientCertificate {
    ClientCertificate::load(&home.path("uuid.sig")).unwrap().unwrap()
}

/// Gives a client the certificate that it would have got as long ago as `age`.
fn age_certificate(client: &Home, master: &Home, age: Duration) {
    let key = ClientKey::load_or_make(&client.path("uuid.sig.key")).unwrap();
    let uuid = certificate(client).uuid;
    let ca = authority(master);
    let signed = ca.sign_client(&key.csr(uuid, "leaf"), uuid, SystemTime::now() - age).unwrap();
    let pem = signed.certificate_pem;
    write(&client.path("uuid.sig"), pem.as_bytes(), Readers::Owner, Existing::Replace).unwrap();
}

#[test]
fn an_expired_client_enrols_again_by_itself() {
    let (master, port) = open_master("master");
    let leaf = client("leaf", &[port]).start();
    let me = uuid(&leaf);
    wait_alive(&master, &me);
    let leaf = leaf.stop();
    age_certificate(&leaf, &master.home, 40 * DAY);
    assert!(certificate(&leaf).expired(SystemTime::now()));
    let leaf = leaf.start();
    leaf.wait_log("it has expired");
    wait_alive(&master, &me);
    wait_change(&leaf, &master, 250);
    assert!(!certificate(&leaf.home).wants_renewal(SystemTime::now()));
}

#[test]
fn a_certificate_is_renewed_on_the_connection_that_is_open() {
    let (master, port) = open_master("master");
    let leaf = client("leaf", &[port]).start();
    wait_alive(&master, &uuid(&leaf));
    let leaf = leaf.stop();
    age_certificate(&leaf, &master.home, 20 * DAY);
    let old = certificate(&leaf);
    assert!(old.wants_renewal(SystemTime::now()) && !old.expired(SystemTime::now()));
    let leaf = leaf.start();
    leaf.wait_log("our certificate was renewed");
    let new = certificate(&leaf.home);
    assert!(new.not_after > old.not_after + 10 * DAY && new.key == old.key);
    wait_change(&leaf, &master, 250);
    assert_eq!(leaf.log().matches("reporting to the master").count(), 1, "{}", leaf.log());
    // It is good for the next connection.
    let leaf = leaf.restart();
    wait_change(&leaf, &master, 100);
    assert!(!leaf.log().contains("enrolling"), "{}", leaf.log());
}

#[test]
fn an_authority_that_was_replaced_is_not_believed() {
    let (master, port) = open_master("master");
    let leaf = client("leaf", &[port]).start();
    let me = uuid(&leaf);
    wait_alive(&master, &me);
    let master = master.stop();
    let authority = make_authority(&master);
    let master = master.start();
    leaf.wait_log("SslCert");
    assert!(leaf.log().contains("remove"), "it says what to do: {}", leaf.log());
    wait_until("it is not called well", || {
        let seen = crate::fleet::seen(&master, &me);
        seen.is_none_or(|seen| seen["IsAlive"] == false)
    });
    // What it says.
    std::fs::remove_file(leaf.home.path("master.crt")).unwrap();
    wait_alive(&master, &me);
    assert!(leaf.log().contains(&authority.fingerprint), "{}", leaf.log());
    wait_change(&leaf, &master, 250);
}
