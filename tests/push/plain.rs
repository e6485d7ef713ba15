//! Without TLS, inside a network that is protected otherwise: the same proofs, and loud about it.

use std::net::TcpStream;

use uuid::Uuid;
use wigo::push::protocol::{
    greeting,
    hello::{
        Answer, Hello, Introduction, Login, Opening, PlainIdentity, Role, challenge, receive, send,
    },
};

use crate::{
    fleet::{
        allow, client, free_port, push_address, reports_to, seen, takes_clients, uuid, wait_alive,
        wait_change,
    },
    harness::{Agent, Home, LIMIT, says, wait_until},
    stranger::{Meeting, Papers, authority, login, run},
};

fn plain_master() -> (Agent, u16) {
    let (mut home, port) = (Home::named("master"), free_port());
    takes_clients(&mut home, port, "SslEnabled = false");
    (home.start(), port)
}

fn plain_client(port: u16) -> Agent {
    let mut leaf = Home::named("leaf");
    leaf.probe(2, "puppet", &says(100, "as told"));
    reports_to(&mut leaf, &[port], "SslEnabled = false");
    leaf.start()
}

#[test]
fn it_works_and_is_warned_about_on_both_sides() {
    let (master, port) = plain_master();
    let leaf = plain_client(port);
    allow(&master, &uuid(&leaf));
    wait_alive(&master, &uuid(&leaf));
    wait_change(&leaf, &master, 250);
    master.wait_log("SslEnabled is off in [PushServer]");
    leaf.wait_log("SslEnabled is off in [PushClient]");
    let leaf = leaf.restart();
    wait_change(&leaf, &master, 100);
    assert!(!leaf.log().contains("waiting to be admitted"), "{}", leaf.log());
}

/// Logs in with papers whose key signs `proof_for` instead of what is asked.
async fn prove(meeting: &Meeting, papers: &Papers, says: Uuid, honest: bool) -> Answer {
    let mut stream = meeting.tcp().await;
    let version = greeting::greet(&mut stream).await.unwrap();
    let ours = [7; 32];
    send(&mut stream, &Opening { uuid: says, nonce: ours }).await.unwrap();
    let met: Introduction = receive(&mut stream, LIMIT).await.unwrap();
    // A proof for another connection, as somebody would have who listened to one.
    let theirs = if honest { met.nonce } else { [9; 32] };
    let shown = met.certificate.unwrap().into();
    let authority = wigo::trust::Fingerprint::of_certificate(&shown);
    let authority = authority.as_bytes();
    let signed = challenge(Role::Client, says, met.uuid, authority, &ours, &theirs, version);
    let chain = papers.certificate.chain.iter().map(|one| one.to_vec()).collect();
    let identity = Some(PlainIdentity { chain, proof: papers.key.sign(&signed) });
    send(&mut stream, &Hello::Report(Login { identity, ..login(says) })).await.unwrap();
    receive(&mut stream, LIMIT).await.unwrap()
}

#[test]
fn a_wrong_proof_is_refused() {
    let (master, port) = plain_master();
    let leaf = plain_client(port);
    let me = uuid(&leaf);
    allow(&master, &me);
    wait_alive(&master, &me);
    let leaf_uuid: Uuid = me.parse().unwrap();
    let ca = authority(&master.home);
    let folder = tempfile::tempdir().unwrap();
    let other = Papers::signed_by(&ca, folder.path(), Uuid::new_v4(), std::time::Duration::ZERO);
    // The leaf's certificate is no secret, its key is.
    let mut thief = Papers::signed_by(&ca, folder.path(), leaf_uuid, std::time::Duration::ZERO);
    let key = wigo::trust::ClientKey::load_or_make(&folder.path().join("thief.key")).unwrap();
    thief.key = key;
    let meeting = Meeting::with(&master.home, push_address(&master));
    run(async {
        let answer = prove(&meeting, &thief, leaf_uuid, true).await;
        assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");
        let answer = prove(&meeting, &other, other.uuid, false).await;
        assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");
        // Good papers, of somebody else.
        let answer = prove(&meeting, &other, leaf_uuid, true).await;
        assert!(matches!(answer, Answer::Refused { .. } | Answer::Unknown { .. }), "{answer:?}");
        // Proved, and not allowed.
        let answer = prove(&meeting, &other, other.uuid, true).await;
        let Answer::Unknown { why } = answer else { panic!("{answer:?}") };
        assert!(why.contains("allowed list"), "{why}");
    });
    assert!(seen(&master, &other.uuid.to_string()).is_none());
    wait_change(&leaf, &master, 250);
}

#[test]
fn one_side_with_tls_and_the_other_without_say_what_to_do() {
    let (plain, plain_port) = plain_master();
    let tls_leaf = client("tls-leaf", &[plain_port]).start();
    tls_leaf.wait_log("cannot report to the master");
    wait_until("both say what to do", || {
        tls_leaf.log().contains("SslEnabled") && plain.log().contains("it speaks TLS")
    });

    let (mut home, port) = (Home::named("master"), free_port());
    takes_clients(&mut home, port, "");
    let encrypted = home.start();
    let leaf = plain_client(port);
    leaf.wait_log("it speaks TLS where none is expected; set SslEnabled");
    encrypted.wait_log("push connection from 127.0.0.1");
    // Nobody is harmed.
    drop(TcpStream::connect(push_address(&encrypted)).unwrap());
    assert!(seen(&encrypted, &uuid(&leaf)).is_none());
}
