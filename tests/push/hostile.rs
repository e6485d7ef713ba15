//! Who means no good, or talks nonsense, is cut off or refused, and the others do not notice.

use std::{net::SocketAddr, time::Duration};

use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::JoinSet,
    time::timeout,
};
use uuid::Uuid;
use wigo::push::protocol::{
    channel::deadline,
    greeting,
    hello::{Answer, Introduction, receive},
    wire::{Account, Entry, Header, News, Probe, Receipt, Report},
};

use crate::{
    fleet::{
        allow, client, free_port, make_authority, push_address, seen, takes_clients, uuid,
        wait_alive, wait_change, wait_entry, wait_same_journal,
    },
    harness::{Agent, Home, LIMIT, says, wait_until},
    stranger::{DAY, Meeting, Papers, authority, run},
};

/// A master with one good client, and somebody else who is allowed to report too.
struct Scene {
    master: Agent,
    good: Agent,
    evil: Papers,
    meeting: Meeting,
    port: u16,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let (mut home, port) = (Home::named("master"), free_port());
        takes_clients(&mut home, port, "");
        let evil = Uuid::new_v4();
        std::fs::write(home.path("allowed"), format!("{evil} evil\n")).unwrap();
        let master = home.start();
        let good = client("good", &[port]).start();
        allow(&master, &uuid(&good));
        wait_alive(&master, &uuid(&good));
        let folder = tempfile::tempdir().unwrap();
        let ca = authority(&master.home);
        let evil = Papers::signed_by(&ca, folder.path(), evil, Duration::ZERO);
        let meeting = Meeting::with(&master.home, push_address(&master));
        Scene { master, good, evil, meeting, port, folder }
    }

    /// The good client is served as if nothing were.
    fn good_is_served(&self, status: u32) {
        wait_change(&self.good, &self.master, status);
    }
}

/// Waits for the other side to end a connection; what it says before does not matter.
async fn is_cut_off(stream: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = [0; 4 << 10];
    let end = async { while matches!(stream.read(&mut bytes).await, Ok(1..)) {} };
    timeout(LIMIT, end).await.expect("the connection is not ended");
}

/// Says something, however much of it is taken.
async fn say(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
}

#[test]
fn wrong_papers_are_refused() {
    let scene = Scene::new();
    let Scene { master, good, evil, meeting, folder, .. } = &scene;
    let (ca, folder) = (authority(&master.home), folder.path());
    let other_home = Home::new();
    make_authority(&other_home);
    let other_ca = authority(&other_home);
    let new = Uuid::new_v4;
    let urn = |uuid: Uuid| uuid.urn().to_string();
    let forged = |names: &[String], usage| {
        let mut papers = Papers::forged(&master.home, new(), names, usage);
        papers.uuid = evil.uuid;
        papers
    };
    // What the handshake or the login must not let through, and as whom they would like to come.
    let refused = [
        ("no papers", None),
        ("expired", Some(Papers::signed_by(&ca, folder, new(), 40 * DAY))),
        ("of another authority", Some(Papers::signed_by(&other_ca, folder, new(), Duration::ZERO))),
        ("not allowed", Some(Papers::signed_by(&ca, folder, new(), Duration::ZERO))),
        ("for a server", Some(forged(&[urn(evil.uuid)], ServerAuth))),
        ("for two", Some(forged(&[urn(evil.uuid), urn(new())], ClientAuth))),
        ("for nobody", Some(forged(&[], ClientAuth))),
        ("for no uuid", Some(forged(&["urn:uuid:evil".to_owned()], ClientAuth))),
    ];
    run(async {
        for (what, papers) in &refused {
            let says = papers.as_ref().map_or(evil.uuid, |papers| papers.uuid);
            if let Ok((mut stream, answer)) = meeting.log_in(papers.as_ref(), says).await {
                assert!(matches!(answer, Answer::Unknown { .. }), "{what}: {answer:?}");
                is_cut_off(&mut stream).await;
            }
            assert!(seen(master, &says.to_string()).is_none(), "{what}");
        }
        // Good papers, and they say that they are somebody else.
        let (mut stream, answer) =
            meeting.log_in(Some(evil), uuid(good).parse().unwrap()).await.unwrap();
        assert!(matches!(answer, Answer::Refused { retry: false, .. }), "{answer:?}");
        is_cut_off(&mut stream).await;
        // Good papers of an honest peer: it is not that everybody is refused.
        let (_stream, answer) = meeting.log_in(Some(evil), evil.uuid).await.unwrap();
        assert!(matches!(answer, Answer::Welcome { .. }), "{answer:?}");
    });
    wait_entry(master, "client_refused", &uuid(good));
    scene.good_is_served(250);
    wait_same_journal(good, master);
}

#[test]
fn bytes_that_make_no_sense_end_a_connection() {
    let scene = Scene::new();
    let Scene { evil, meeting, .. } = &scene;
    let garbage: Vec<u8> =
        (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let huge = [0xff; 64];
    run(async {
        for said in [
            &garbage,
            b"GET / HTTP/1.1\r\nHost: master\r\n\r\n".as_slice(),
            b"WIGO\0\x01\0\x01",
            &[0; 9],
        ] {
            let mut stream = meeting.tcp().await;
            say(&mut stream, said).await;
            is_cut_off(&mut stream).await;
            for papers in [None, Some(evil)] {
                let mut stream = meeting.tls(papers).await;
                say(&mut stream, said).await;
                is_cut_off(&mut stream).await;
            }
        }
        // Versions that nobody speaks.
        let mut stream = meeting.tls(Some(evil)).await;
        say(&mut stream, b"WIGO\xff\x00\xff\xff").await;
        is_cut_off(&mut stream).await;
        // A message of 4 GB, where a small hello is expected…
        let mut stream = meeting.tls(Some(evil)).await;
        greeting::greet(&mut stream).await.unwrap();
        let _: Introduction = receive(&mut stream, LIMIT).await.unwrap();
        say(&mut stream, &huge).await;
        is_cut_off(&mut stream).await;
        // …and where news are.
        let (mut stream, answer) = meeting.log_in(Some(evil), evil.uuid).await.unwrap();
        assert!(matches!(answer, Answer::Welcome { .. }), "{answer:?}");
        say(&mut stream, &huge).await;
        is_cut_off(&mut stream).await;
        // Garbage of a length that is fine.
        let (mut stream, answer) = meeting.log_in(Some(evil), evil.uuid).await.unwrap();
        assert!(matches!(answer, Answer::Welcome { .. }), "{answer:?}");
        say(&mut stream, &[&1_000_u32.to_be_bytes(), &garbage[..1_000]].concat()).await;
        is_cut_off(&mut stream).await;
    });
    scene.good_is_served(250);
    assert!(scene.master.peak_kib() < 300 << 10, "{} KiB", scene.master.peak_kib());
}

#[test]
fn who_sends_a_million_messages_is_cut_off() {
    let scene = Scene::new();
    let Scene { evil, meeting, .. } = &scene;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (client, driver) = runtime.block_on(meeting.client(evil));
    let flood = runtime.spawn(async move {
        let mut senders = JoinSet::new();
        for _ in 0..8 {
            let client = client.clone();
            senders.spawn(async move {
                let mut sent = 0;
                while sent < 1_000_000 / 8
                    && client.report(deadline(LIMIT), News::default()).await.is_ok()
                {
                    sent += 1;
                }
                sent
            });
        }
        drop(client);
        let ended = timeout(2 * LIMIT, driver).await.expect("the flood is not ended");
        let sent: usize = senders.join_all().await.into_iter().sum();
        (sent, ended)
    });
    scene.good_is_served(250);
    scene.good_is_served(100);
    let (sent, ended) = runtime.block_on(flood).unwrap();
    assert!(sent < 1_000_000, "all were taken: {ended:?}");
    scene.master.wait_log("messages a second");
    scene.good_is_served(260);
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let scene = Scene::new();
    let Scene { master, meeting, .. } = &scene;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let other: SocketAddr = "127.0.0.10:0".parse().unwrap();
    let secret = Meeting { from: other, ca: meeting.ca.clone(), address: meeting.address };
    let mut silent = runtime.block_on(async {
        let mut silent = JoinSet::new();
        for _ in 0..200 {
            let mut stream = meeting.tcp().await;
            silent.spawn(async move { is_cut_off(&mut stream).await });
        }
        for _ in 0..20 {
            let mut stream = secret.tls(None).await;
            silent.spawn(async move { is_cut_off(&mut stream).await });
        }
        silent
    });
    scene.good_is_served(250);
    let new = client("new", &[scene.port]).start();
    allow(master, &uuid(&new));
    wait_alive(master, &uuid(&new));
    runtime.block_on(async {
        while let Some(done) = silent.join_next().await {
            done.unwrap();
        }
    });
    scene.good_is_served(100);
}

fn header(parent: Option<Uuid>, name: &str) -> Option<Box<Header>> {
    Some(Box::new(Header {
        parent,
        version: "Wigo v1.0.0".to_owned(),
        name: name.to_owned(),
        group: String::new(),
        labels: Vec::new(),
        presence: "alive".to_owned(),
        since: None,
        last_update: None,
        problem: None,
        disabled: Vec::new(),
        remote_control: "unknown".to_owned(),
    }))
}

fn probe(name: &str, status: u16) -> Probe {
    Probe {
        name: name.to_owned(),
        version: String::new(),
        value: "null".to_owned(),
        message: "claimed by somebody".to_owned(),
        date: 1_700_000_000_000,
        metrics: "null".to_owned(),
        detail: "null".to_owned(),
        status,
        exit_code: 0,
        interval: 60,
        since: 1_700_000_000_000,
        stale: false,
    }
}

fn account(uuid: Uuid, header: Option<Box<Header>>, probes: Vec<Probe>) -> Account {
    Account { uuid, header, probes, complete: true, ran: Vec::new(), gone: Vec::new() }
}

fn news(accounts: Vec<Account>, entries: Vec<Entry>) -> News {
    let report = Report { begins: true, ends: true, accounts, gone: Vec::new() };
    let position = entries.last().map(|entry| entry.origin_id);
    News { sequence: 1, report: Some(Box::new(report)), entries, position }
}

#[test]
fn what_makes_no_sense_in_news_is_left_out_and_said_once() {
    let scene = Scene::new();
    let Scene { master, evil, meeting, .. } = &scene;
    let me = evil.uuid;
    let bad = [
        news(vec![account(me, header(None, "evil"), vec![probe("p", 7)])], vec![]),
        news(vec![account(me, header(None, "two\nlines"), vec![])], vec![]),
        news(vec![account(me, header(None, "evil"), vec![probe("../p", 100)])], vec![]),
        news(vec![], vec![entry(me, 1, "two\nlines")]),
    ];
    for (number, news) in bad.into_iter().enumerate() {
        run(async {
            let (client, driver) = meeting.client(evil).await;
            let driver = tokio::spawn(driver);
            let _ = client.report(deadline(LIMIT), news).await.expect("it is not cut off");
            drop(client);
            let _ = timeout(LIMIT, driver).await;
        });
        wait_until("the master says what", || {
            master.log().matches("This is left out").count() == number + 1
        });
        if number == 0 {
            // What the probe said is not known, so that is what is shown.
            wait_until("an error in its place", || {
                seen(master, &me.to_string())
                    .is_some_and(|host| host["LocalHost"]["Probes"]["p"]["Status"] == 500)
            });
        }
    }
    scene.good_is_served(250);
}

fn entry(origin: Uuid, origin_id: u64, host: &str) -> Entry {
    Entry {
        origin,
        origin_id,
        kind: "probe_changed".to_owned(),
        at_ms: 1_700_000_000_000,
        group: String::new(),
        host: host.to_owned(),
        probe: Some("puppet".to_owned()),
        was: Some(100),
        now: Some(500),
        message: "claimed by somebody".to_owned(),
    }
}

#[test]
fn what_one_client_claims_of_another_changes_nothing() {
    let scene = Scene::new();
    let Scene { master, good, evil, meeting, .. } = &scene;
    let (me, victim, top) = (evil.uuid, uuid(good), uuid(master));
    scene.good_is_served(250);
    let victim_uuid: Uuid = victim.parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (client, driver) = runtime.block_on(meeting.client(evil));
    runtime.spawn(driver);
    let claims = news(
        vec![
            account(me, header(None, "evil"), vec![probe("own", 100)]),
            account(victim_uuid, header(Some(me), "claimed"), vec![probe("puppet", 499)]),
            account(top.parse().unwrap(), header(Some(me), "claimed"), vec![probe("x", 499)]),
        ],
        vec![
            entry(victim_uuid, u64::MAX / 2, "good"),
            entry(top.parse().unwrap(), u64::MAX / 2, "master"),
        ],
    );
    let receipt = runtime.block_on(client.report(deadline(LIMIT), claims)).unwrap();
    assert_eq!(receipt, Receipt::Taken);
    wait_alive(master, &me.to_string());
    let tree = master.json("/api");
    let kept = &tree["RemoteWigos"][&victim];
    assert_eq!((&kept["Hostname"], &kept["IsAlive"]), (&"good".into(), &true.into()), "{kept:#}");
    assert_eq!(kept["LocalHost"]["Probes"]["puppet"]["Status"], 250);
    assert_eq!(tree["Hostname"], "master");
    assert!(tree["LocalHost"]["Probes"]["x"].is_null());
    let names = master.json("/api/hosts").to_string();
    assert!(!names.contains("claimed"), "{names}");
    good.home.probe(2, "more", &says(100, "well"));
    scene.good_is_served(100);
    wait_same_journal(good, master);
    let logs = master.logs();
    assert!(logs.iter().all(|entry| entry["Message"] != "claimed by somebody"), "{logs:#?}");
}

#[test]
fn a_client_that_is_away_cannot_be_given_a_false_past() {
    let Scene { master, good, evil, meeting, .. } = Scene::new();
    let victim: Uuid = uuid(&good).parse().unwrap();
    let good = good.stop();
    run(async {
        let (client, driver) = meeting.client(&evil).await;
        tokio::spawn(driver);
        let own = account(evil.uuid, header(None, "evil"), vec![]);
        let claimed = account(victim, header(Some(evil.uuid), "good"), vec![]);
        let claims = news(vec![own, claimed], vec![entry(victim, u64::MAX / 2, "good")]);
        client.report(deadline(LIMIT), claims).await.unwrap();
    });
    let good = good.start();
    wait_change(&good, &master, 250);
    // Neither is the claim believed, nor does its number keep out what really happened.
    wait_same_journal(&good, &master);
}
