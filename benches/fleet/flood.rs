//! How much one core of the master takes: connections that send full results as fast as they are taken.

use std::{
    path::PathBuf,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{net::TcpStream, sync::watch, time::sleep};
use tokio_rustls::TlsConnector;
use uuid::Uuid;
use wigo::{
    app::VERSION,
    orders::NoOrders,
    push::{
        client::Told,
        protocol::{
            channel::{self, MAX_DEADLINE, MasterClient, deadline},
            greeting::{self, GREETING_LIMIT},
            hello::{Answer, Hello, Introduction, Login, receive, send},
            wire::{Account, Entry, Header, News, Probe, Receipt, Report},
        },
    },
    tree,
    trust::{ClientCertificate, ClientKey, ServerTrust, push_client_config},
};

use crate::{
    Outcome,
    fleet::{PROBES, admit, identities, probe, result},
    master::{Duties, Place, pin, usage},
    report::{line, title},
    span,
};

/// Parts of the results that are transitions, in percent.
const CHANGING: [u64; 3] = [1, 10, 100];
/// Entries that a connection keeps back before it waits until the master takes them.
const MAX_PENDING: usize = 1_000;
/// Until all are connected and send.
const WARM_UP: Duration = Duration::from_secs(3);
/// The core of the master; clients have the others.
const MASTER_CORE: usize = 0;

/// What was taken.
#[derive(Default)]
struct Taken {
    results: AtomicU64,
    entries: AtomicU64,
    slow: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

/// Full results from many connections, of which a part are transitions.
pub fn flood(connections: usize) -> Outcome {
    title(&format!("results taken per second on one core, {connections} connections"));
    let folder = tempfile::tempdir()?;
    let place = Place::new(folder.path().join("master"), "master", &Duties::default())?;
    admit(&place, connections)?;
    for changing in CHANGING {
        let master = place.start(Some(MASTER_CORE))?;
        let cores = thread::available_parallelism()?.get();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads((cores - 1).max(1))
            .on_thread_start(move || {
                if cores > 1 {
                    let _ = pin(cores - 1);
                }
            })
            .enable_all()
            .build()?;
        let taken = Arc::new(Taken::default());
        for (uuid, name) in identities(connections) {
            let way = Way { place: place.folder.clone(), port: place.push, uuid, name };
            let taken = taken.clone();
            runtime.spawn(async move {
                let sent = match way.connect().await {
                    Ok(client) => way.talk(client, changing, &taken).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = sent
                    && taken.failed.fetch_add(1, Relaxed) == 0
                {
                    println!("    first connection lost: {error:#}");
                }
            });
        }
        thread::sleep(WARM_UP);
        let now = || -> Outcome<_> {
            let counted = (taken.results.load(Relaxed), taken.entries.load(Relaxed));
            Ok((counted, master.usage()?.cpu, usage(std::process::id())?.cpu, Instant::now()))
        };
        let (before, master_before, ours_before, started) = now()?;
        thread::sleep(span() / 2);
        let (after, master_after, ours_after, ended) = now()?;
        let seconds = (ended - started).as_secs_f64();
        let share = |used: Duration| used.as_secs_f64() / seconds * 100.0;
        let per_second = (after.0 - before.0) as f64 / seconds;
        let entries = (after.1 - before.1) as f64 / seconds;
        taken.stop.store(true, Relaxed);
        let what = format!("{changing} % transitions");
        line(&format!("{what}: results/s"), format!("{per_second:.0}"), "100000");
        let busy = share(master_after - master_before);
        line(
            &format!("{what}: master / clients"),
            format!("{busy:.0} % / {:.0} %", share(ours_after - ours_before)),
            "",
        );
        let on_full_core = per_second / busy * 100.0;
        line(&format!("{what}: results/s if it had a full core"), format!("{on_full_core:.0}"), "");
        line(&format!("{what}: journal entries/s"), format!("{entries:.0}"), "");
        let (slow, failed) = (taken.slow.load(Relaxed), taken.failed.load(Relaxed));
        line(&format!("{what}: told to wait / connections lost"), format!("{slow} / {failed}"), "");
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
    Ok(())
}

/// How a connection reaches the master.
struct Way {
    place: PathBuf,
    port: u16,
    uuid: Uuid,
    name: String,
}

impl Way {
    /// Says hello as a client does that is admitted.
    async fn connect(&self) -> Result<MasterClient> {
        let certificate = self.place.join("clients").join(&self.name);
        let key = ClientKey::load_or_make(&certificate.with_extension("key"))?;
        let certificate = ClientCertificate::load(&certificate)?.context("no certificate")?;
        let authority = CertificateDer::from_pem_file(self.place.join("ca.crt"))?;
        let trust = ServerTrust::Pinned(vec![authority]);
        let config = push_client_config(trust, Some((&certificate, &key)))?;
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("127.0.0.1")?;
        let mut stream = Box::pin(TlsConnector::from(config).connect(name, stream).await?);
        greeting::greet(&mut stream).await?;
        let _: Introduction = receive(&mut stream, GREETING_LIMIT).await?;
        let login = Login {
            uuid: self.uuid,
            version: VERSION.to_owned(),
            host: self.name.clone(),
            heartbeat_ms: 10_000,
            journal_highest: 0,
            identity: None,
        };
        send(&mut stream, &Hello::Report(login)).await?;
        match receive(&mut stream, GREETING_LIMIT).await? {
            Answer::Welcome { .. } => {}
            other => bail!("no welcome: {other:?}"),
        }
        let told = Told { farewell: watch::channel(None).0, orders: Arc::new(NoOrders) };
        let (client, driver) = channel::connect(stream, told, Arc::default());
        tokio::spawn(driver);
        Ok(client)
    }

    /// Sends all results again and again, of which `changing` percent are transitions.
    async fn talk(&self, client: MasterClient, changing: u64, taken: &Taken) -> Result<()> {
        // Numbers go on from one master to the next, which is the same instance.
        let mut origin_id = Timestamp::now().as_microsecond() as u64;
        let (mut bad, mut at, mut pending) = ([false; PROBES], 0, Vec::new());
        for sequence in 1.. {
            if taken.stop.load(Relaxed) {
                break;
            }
            let mut probes = Vec::with_capacity(PROBES);
            for (number, bad) in bad.iter_mut().enumerate() {
                at += changing;
                let changes = at >= 100 && sequence > 1;
                if changes {
                    at -= 100;
                    *bad = !*bad;
                    origin_id += 1;
                    pending.push(self.entry(origin_id, number, *bad));
                }
                probes.push(self.probe(number, *bad));
            }
            let news = News {
                sequence,
                report: Some(Box::new(self.report(probes, sequence == 1))),
                entries: pending.clone(),
                position: (!pending.is_empty()).then_some(origin_id),
            };
            match client.report(deadline(MAX_DEADLINE), news).await? {
                Receipt::Taken => {
                    taken.entries.fetch_add(pending.len() as u64, Relaxed);
                    pending.clear();
                }
                Receipt::Slow { pause_ms } => {
                    taken.slow.fetch_add(1, Relaxed);
                    if pending.len() > MAX_PENDING {
                        sleep(Duration::from_millis(pause_ms.into())).await;
                    }
                }
                Receipt::Resync => bail!("the master has lost count"),
            }
            taken.results.fetch_add(PROBES as u64, Relaxed);
        }
        Ok(())
    }

    fn report(&self, probes: Vec<Probe>, first: bool) -> Report {
        let header = Header {
            parent: None,
            version: VERSION.to_owned(),
            name: self.name.clone(),
            group: "flood".to_owned(),
            labels: Vec::new(),
            presence: "alive".to_owned(),
            since: None,
            last_update: None,
            problem: None,
            disabled: Vec::new(),
            remote_control: "read".to_owned(),
        };
        let account = Account {
            uuid: self.uuid,
            header: first.then(|| Box::new(header)),
            probes,
            complete: first,
            ran: Vec::new(),
            gone: Vec::new(),
        };
        Report { begins: first, ends: first, accounts: vec![account], gone: Vec::new() }
    }

    fn probe(&self, number: usize, bad: bool) -> Probe {
        let (result, now) = (&RESULTS[number][usize::from(bad)], Timestamp::now());
        Probe { date: now.as_millisecond(), since: now.as_millisecond(), ..result.clone() }
    }

    fn entry(&self, origin_id: u64, number: usize, bad: bool) -> Entry {
        let (was, now) = if bad { (100, 300) } else { (300, 100) };
        Entry {
            origin: self.uuid,
            origin_id,
            kind: "probe_changed".to_owned(),
            at_ms: Timestamp::now().as_millisecond(),
            group: "flood".to_owned(),
            host: self.name.clone(),
            probe: Some(RESULTS[number][0].name.clone()),
            was: Some(was),
            now: Some(now),
            message: RESULTS[number][usize::from(bad)].message.clone(),
        }
    }
}

/// What each probe says when it is well and when it is not.
static RESULTS: LazyLock<[[Probe; 2]; PROBES]> = LazyLock::new(|| {
    std::array::from_fn(|number| {
        [false, true].map(|bad| {
            let result = Arc::new(result(&probe(number), bad, None));
            let since = result.date;
            Probe::from(&tree::Probe { result, since, stale: false })
        })
    })
});
