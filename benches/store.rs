//! What the database of a master takes: entries and results a second, and how long its questions take
//! when a million entries are in it.
//!
//! `cargo bench --bench store`. Each figure is of the whole way: handed in, written, synced. The journal
//! is filled in three ways, since what an entry costs depends on how many places of the indexes a
//! transaction changes.

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use uuid::Uuid;
use wigo::{
    hub::{Changes, Entry, Journal, LastResult},
    json::Json,
    status::Status,
    store::{LogQuery, Settings, Store, Subject},
    tree::{Kind, ProbeName, ProbeResult, Transition},
};

type Outcome = Result<(), Box<dyn Error>>;

/// Entries of one filling, and how many are handed in at a time.
const ENTRIES: u64 = 1_000_000;
const AT_A_TIME: u64 = 100;
const HOSTS: u64 = 10_000;
const PROBES: u64 = 20;
/// Hands in no more while this many wait: it is the writer that is measured.
const MOST_WAITING: usize = 50_000;

fn main() -> Outcome {
    println!("store: {ENTRIES} entries, {HOSTS} hosts of {PROBES} probes");
    let here = std::env::var_os("WIGO_BENCH_FOLDER");
    let folder = match here {
        Some(path) => tempfile::tempdir_in(path)?,
        None => tempfile::tempdir()?,
    };
    fill("  entries/s of one host", &folder.path().join("one"), |n| (0, n % PROBES))?;
    fill("  entries/s, hosts one after the other", &folder.path().join("runs"), |n| {
        (n / AT_A_TIME % HOSTS, n % PROBES)
    })?;
    let mixed = folder.path().join("mixed");
    fill("  entries/s, hosts all mixed", &mixed, |n| {
        (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % HOSTS, n % PROBES)
    })?;
    results(&mixed)?;
    questions(&mixed)
}

fn open(folder: &Path) -> Store {
    let settings =
        Settings { path: folder.join("wigo.db"), origin: Uuid::from_u128(1), keep_days: 30 };
    Store::open(settings).store
}

fn uuid(host: u64) -> Uuid {
    // Spread over the index as random ones are.
    Uuid::from_u64_pair(host.wrapping_mul(0x9e37_79b9_7f4a_7c15), host)
}

fn entry(id: u64, host: u64, probe: u64) -> Entry {
    let at = Timestamp::now();
    Entry {
        id,
        origin: uuid(host),
        origin_id: id,
        learned: at,
        transition: Transition {
            kind: Kind::ProbeChanged,
            at,
            group: "web".into(),
            host: format!("host{host}.example.org"),
            probe: ProbeName::new(&format!("probe{probe}")).ok(),
            was: Some(Status::OK),
            now: Some(Status::CRIT),
            message: "load average is 17.20, more than 16 on 8 cores".into(),
        },
    }
}

fn fill(what: &str, folder: &Path, of: impl Fn(u64) -> (u64, u64)) -> Outcome {
    let store = open(folder);
    store.flush()?;
    let before = store.health().commits;
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    for first in (1..=ENTRIES).step_by(AT_A_TIME as usize) {
        let entries = (first..first + AT_A_TIME).map(|id| {
            let (host, probe) = of(id);
            entry(id, host, probe)
        });
        store.record(Changes { entries: entries.collect(), ..Changes::default() });
        let (mut commits, mut since) = (store.health().commits, Instant::now());
        while store.health().waiting > MOST_WAITING {
            std::thread::sleep(Duration::from_millis(1));
            if store.health().commits != commits {
                slowest = slowest.max(since.elapsed());
                (commits, since) = (store.health().commits, Instant::now());
            }
        }
    }
    store.flush()?;
    let took = start.elapsed().as_secs_f64();
    let health = store.health();
    println!(
        "{what}: {:.0} ({} transactions, the slowest {} ms, {:.0} bytes an entry)",
        ENTRIES as f64 / took,
        health.commits - before,
        slowest.as_millis(),
        health.bytes as f64 / ENTRIES as f64,
    );
    assert_eq!(health.lost, 0, "entries were dropped: the figure is wrong");
    store.close(Duration::from_secs(60))?;
    Ok(())
}

fn results(folder: &Path) -> Outcome {
    let store = open(folder);
    let result = |probe: u64| -> Result<Arc<ProbeResult>, Box<dyn Error>> {
        Ok(Arc::new(ProbeResult {
            name: ProbeName::new(&format!("probe{probe}"))?,
            version: "1.0".into(),
            value: Json::parse("17.2").unwrap_or_default(),
            message: "load average is 17.20, more than 16 on 8 cores".into(),
            date: Timestamp::now(),
            metrics: Json::parse(r#"[{"Tags":{"load":"1"},"Value":17.2}]"#).unwrap_or_default(),
            detail: Json::parse(r#"{"cores":8,"load1":17.2,"load5":3.1}"#).unwrap_or_default(),
            status: Status::CRIT,
            exit_code: 0,
            interval: 60,
        }))
    };
    let all: Vec<_> = (0..PROBES).map(result).collect::<Result<_, _>>()?;
    for round in ["new", "again"] {
        let start = Instant::now();
        for host in 0..HOSTS {
            let last = |result: &Arc<ProbeResult>| LastResult {
                instance: uuid(host),
                result: Arc::clone(result),
                since: Timestamp::now(),
            };
            let results = all.iter().map(last).collect();
            store.record(Changes { results, ..Changes::default() });
        }
        store.flush()?;
        let rate = (HOSTS * PROBES) as f64 / start.elapsed().as_secs_f64();
        println!("  results/s, {round}: {rate:.0}");
    }
    store.close(Duration::from_secs(60))?;
    Ok(())
}

fn questions(folder: &Path) -> Outcome {
    let time = |what: &str, question: &dyn Fn() -> Outcome| -> Outcome {
        let start = Instant::now();
        question()?;
        println!("  {what}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
        Ok(())
    };
    let start = Instant::now();
    let settings =
        Settings { path: folder.join("wigo.db"), origin: Uuid::from_u128(1), keep_days: 30 };
    let opened = Store::open(settings);
    println!(
        "  start with {} results and {} origins: {:.0} ms",
        opened.restored.len(),
        opened.told.len(),
        start.elapsed().as_secs_f64() * 1e3
    );
    let store = opened.store;
    let host =
        |limit| LogQuery { host: Some("host77.example.org".into()), limit, ..LogQuery::default() };
    time("1,000 entries after the middle", &|| {
        assert_eq!(store.journal_after(ENTRIES / 2, 1_000)?.len(), 1_000);
        Ok(())
    })?;
    time("the id before the newest 100,000", &|| {
        assert_eq!(store.id_before_newest(100_000)?, ENTRIES - 100_000);
        Ok(())
    })?;
    time("the newest 100 entries", &|| {
        assert_eq!(store.logs(&LogQuery { limit: 100, ..LogQuery::default() })?.len(), 100);
        Ok(())
    })?;
    time("the newest 100 entries of one of the hosts", &|| {
        store.logs(&host(100))?;
        Ok(())
    })?;
    time("the timeline of one of the hosts", &|| {
        let host = "host77.example.org".to_owned();
        let subject = Subject { host, origins: vec![uuid(77)] };
        store.timeline(&subject, None, Timestamp::UNIX_EPOCH, Timestamp::now())?;
        Ok(())
    })?;
    time("the names in the log", &|| {
        store.indexes()?;
        Ok(())
    })?;
    store.close(Duration::from_secs(60))?;

    let one = open(&folder.with_file_name("one"));
    time("the newest 100 entries of the only host", &|| {
        let query =
            LogQuery { host: Some("host0.example.org".into()), limit: 100, ..LogQuery::default() };
        assert_eq!(one.logs(&query)?.len(), 100);
        Ok(())
    })?;
    one.close(Duration::from_secs(60))?;
    Ok(())
}
