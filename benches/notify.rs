//! How soon people are told, and how much at once.
//!
//! `make bench` runs all; a word as argument (`alone`, `chain`, `policy`, `outbox`) runs that part.
//! `WIGO_BENCH_SECONDS` shortens or lengthens the measured spans (60 by default).
//!
//! The times are from the last act of a probe, which prints what time it is, to the arrival at a receiver
//! over HTTP on this machine: with the end of the shell, and with the journal entry and the outbox on the
//! disk before anything leaves.

#[path = "../tests/push/fleet.rs"]
#[allow(dead_code)]
mod fleet;
#[path = "../tests/notify/receiver.rs"]
#[allow(dead_code)]
mod receiver;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use support::{harness, http};
use uuid::Uuid;
use wigo::{
    notify::{
        Effects, Kind, Message, Policy, Rules, Subject,
        channel::{Channel, Delivery as Sent, Receipt, Sending},
        delivery::{Delivery, Outlet},
        desk::test_message,
        policy::{Fact, Place, Run, What, World},
        rules::{self, Confirm, GroupBy, Matcher},
    },
    status::Status,
    store::{Commit, Settings, Store},
    tree::ProbeName,
};

use harness::Home;
use receiver::{Act, Receiver};

type Outcome = Result<(), Box<dyn Error>>;

/// Probes that change with each run, every two seconds.
const PROBES: usize = 20;
/// Prints another status each time, and when.
const RESTLESS: &str = "flag=\"${TMPDIR:-/tmp}/wigo-bench-$PPID-$WIGO_PROBE_NAME\"\n\
     if [ -e \"$flag\" ]; then rm \"$flag\"; status=100; else : > \"$flag\"; status=300; fi\n\
     echo \"{\\\"Status\\\": $status, \\\"Message\\\": \\\"$(date +%s%N)\\\"}\"";

fn main() -> Outcome {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    type Part = fn() -> Outcome;
    let parts: [(&str, Part); 4] =
        [("alone", alone), ("chain", chain), ("policy", policy), ("outbox", outbox)];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            part()?;
        }
    }
    Ok(())
}

fn span() -> Duration {
    let seconds = std::env::var("WIGO_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

fn tells(home: &mut Home, receiver: &Receiver) {
    home.add(
        "[Notifications]\nOnProbeChange = true\nMinLevelToSend = 101\nFlapDetection = false\n\
         GroupWindow = 0",
    );
    home.add(&receiver.channel("sink", ""));
}

fn restless(home: &Home) {
    for number in 0..PROBES {
        home.probe(2, &format!("restless{number}"), RESTLESS);
    }
}

/// From the probe to the receiver, on one host.
fn alone() -> Outcome {
    let receiver = Receiver::new(Act::Take);
    let mut home = Home::named("alone");
    tells(&mut home, &receiver);
    restless(&home);
    let agent = home.start();
    measure("probe → receiver, agent alone", &receiver);
    drop(agent);
    Ok(())
}

/// From the probe of a leaf to the receiver that the master at the top tells.
fn chain() -> Outcome {
    let receiver = Receiver::new(Act::Take);
    let (mut top, top_port) = (Home::named("top"), fleet::free_port());
    fleet::takes_clients(&mut top, top_port, "AutoAcceptClients = true");
    tells(&mut top, &receiver);
    let top = top.start();
    let (mut middle, middle_port) = (Home::named("middle"), fleet::free_port());
    fleet::takes_clients(&mut middle, middle_port, "AutoAcceptClients = true");
    fleet::reports_to(&mut middle, &[top_port], "");
    let middle = middle.start();
    let leaf = fleet::client("leaf", &[middle_port]);
    restless(&leaf);
    let leaf = leaf.start();
    measure("probe → receiver, agent → master → master", &receiver);
    drop((leaf, middle, top));
    Ok(())
}

fn measure(what: &str, receiver: &Receiver) {
    // What happens at the start is not what is measured.
    receiver.wait_taken(PROBES);
    let begin = receiver.arrivals().len();
    thread::sleep(span());
    let mut took: Vec<Duration> = receiver.arrivals()[begin..]
        .iter()
        .filter_map(|arrival| {
            let said = stamp(&arrival.body)?;
            Some(Duration::from_nanos(arrival.wall.checked_sub(said)?))
        })
        .collect();
    took.sort();
    let at = |share: f64| {
        let place = ((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1));
        took.get(place).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    };
    println!(
        "{what}: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms, of {}",
        at(0.5),
        at(0.99),
        at(1.0),
        took.len()
    );
}

/// The time that the probe printed last, in nanoseconds: a recovery also tells what it said before. Numbers
/// may follow the code of a character, such as `%22`.
fn stamp(body: &str) -> Option<u64> {
    let numbers = body.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| {
        let from = digits.len().checked_sub(19).filter(|from| *from <= 2)?;
        digits[from..].parse().ok()
    });
    numbers.max()
}

/// A world in which every host is there.
struct Flat;

impl World for Flat {
    fn host(&self, _: &str) -> Option<Place> {
        Some(Place { group: "group".into(), is_reached: true, ..Place::default() })
    }

    fn last_run(&self, _: &Subject) -> Option<Run> {
        None
    }
}

fn rules() -> Rules {
    Rules {
        sender: "here".into(),
        page_url: String::new(),
        min_level: Status::WARN,
        on_probe_change: true,
        on_host_change: true,
        rescue_only: false,
        flapping: None,
        confirm: vec![Confirm { matches: Matcher::default(), runs: 1, of: 1 }],
        group_by: GroupBy::Host,
        group_wait: Duration::ZERO,
        group_window: Duration::from_secs(30),
        repeat: None,
        escalate_after: Duration::ZERO,
        quiet: None,
        dependencies: vec![],
        channels: vec![rules::Channel {
            name: "sink".into(),
            matches: Matcher::default(),
            min_level: Status::OK,
            escalation: false,
            reminders_only: false,
            only_fallback: false,
            hours: None,
            per_minute: 6_000,
        }],
        expire: Duration::from_secs(3600),
        has_witnesses: false,
    }
}

/// Facts that the policy judges in a second, on one core.
fn policy() -> Outcome {
    const HOSTS: u64 = 1_000;
    const BATCH: u64 = 100;
    let mut policy = Policy::new(rules(), Uuid::from_u128(1), Default::default());
    let begin = Timestamp::now();
    let (mut entry, mut messages, mut decisions) = (0_u64, 0_usize, 0_usize);
    let disk = ProbeName::new("disk")?;
    let clock = Instant::now();
    while clock.elapsed() < span() / 6 {
        // Each host breaks and is well again, a second apart for each batch.
        let now = begin + Duration::from_millis(entry * 10);
        let facts: Vec<Fact> = (entry..entry + BATCH)
            .map(|entry| {
                let (well, bad) = (Status::OK, Status::CRIT);
                let is_bad = (entry / HOSTS).is_multiple_of(2);
                let (was, now_is) = if is_bad { (well, bad) } else { (bad, well) };
                Fact {
                    entry,
                    origin: Uuid::from_u128(u128::from(entry % HOSTS) + 2),
                    origin_id: entry,
                    at: now,
                    subject: Subject::probe(format!("host{}", entry % HOSTS), disk.clone()),
                    group: "group".into(),
                    what: What::Status { was: Some(was), now: now_is },
                    message: "95 % used".into(),
                }
            })
            .collect();
        let mut out = Effects::default();
        policy.handle(&facts, &Flat, now, &mut out);
        policy.take_changed();
        entry += BATCH;
        messages += out.messages.len();
        decisions += out.decisions.len();
    }
    let each = |count: f64| count / clock.elapsed().as_secs_f64();
    println!(
        "policy, one core: {:.0} facts/s, {:.0} decisions/s, {:.0} messages/s",
        each(entry as f64),
        each(decisions as f64),
        each(messages as f64)
    );
    Ok(())
}

/// A receiver that takes everything at once.
#[derive(Default)]
struct Sink(AtomicUsize);

impl Channel for Sink {
    fn send<'a>(&'a self, _: &'a Sent) -> Sending<'a> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(Receipt("taken".into())) })
    }
}

/// Messages that are put into the outbox, delivered and noted in a second.
fn outbox() -> Outcome {
    const AT_A_TIME: u128 = 100;
    let folder = tempfile::tempdir()?;
    let settings =
        Settings { path: folder.path().join("wigo.db"), origin: Uuid::from_u128(1), keep_days: 30 };
    let store = Store::open(settings).store;
    store.flush()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sink = Arc::new(Sink::default());
    let _entered = runtime.enter();
    let delivery = Delivery::new(store.notify(), Arc::new(Timestamp::now));
    delivery.set(vec![Outlet {
        name: "sink".into(),
        kind: "test".into(),
        channel: sink.clone(),
        render: Arc::new(|message, _, _| (message.title.clone(), message.output.clone())),
        limit: Duration::from_secs(10),
        fallback: None,
        escalation: false,
        reminders_only: false,
        whom: String::new(),
    }]);
    let now = Timestamp::now();
    let template = test_message("sink", "here".into(), Uuid::nil(), now);
    let mut told = 0_u128;
    let mut number = 0;
    let clock = Instant::now();
    while clock.elapsed() < span() / 6 {
        let messages: Vec<Message> = (told..told + AT_A_TIME)
            .map(|n| Message {
                key: format!("{n}"),
                kind: Kind::Problem,
                incident: Some(Uuid::from_u128(n)),
                labels: BTreeMap::new(),
                expires: now + Duration::from_secs(3600),
                ..template.clone()
            })
            .collect();
        told += AT_A_TIME;
        number += 1;
        store.notify().commit(&Commit { process: 1, number, messages, ..Commit::default() })?;
        delivery.wake(["sink"]);
        // No more waits than a few batches.
        while (sink.0.load(Ordering::Relaxed) as u128) + 4 * AT_A_TIME < told {
            thread::sleep(Duration::from_micros(200));
        }
    }
    while store.notify().channel_count("sink")?.waiting > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    println!(
        "outbox, put in and delivered: {:.0} messages/s",
        told as f64 / clock.elapsed().as_secs_f64()
    );
    runtime.block_on(delivery.stop());
    Ok(())
}
