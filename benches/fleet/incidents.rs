//! How fast news travel, and what happens when somebody dies.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;

use crate::{
    Outcome,
    fleet::{Fleet, Says, admit, within},
    load::Scene,
    master::{Duties, Http, Place, Wigo, usage},
    report::{line, times, title},
};

/// Changes that are followed.
const SAMPLES: usize = 200;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(20);
/// For one change to arrive.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);
/// For a fleet to come back.
const RETURN_LIMIT: Duration = Duration::from_secs(120);
/// Longer than a master waits before it calls somebody down, and writes it.
const AFTERMATH: Duration = Duration::from_secs(5);
/// For somebody who is dead or silent to be noticed.
const NOTICE_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// From a change at a client until masters show it.
pub fn latency(clients: usize) -> Outcome {
    title(&format!("change at one of {clients} clients until it is seen, p50/p99/longest"));
    let folder = tempfile::tempdir()?;
    let top = Place::new(folder.path().join("top"), "top", &Duties::default())?;
    let duties = Duties { above: Some(&top), ..Duties::default() };
    let middle = Place::new(folder.path().join("middle"), "middle", &duties)?;
    admit(&middle, clients)?;
    let mut fleet = Fleet::new(clients)?;
    let near = middle.start(None)?;
    fleet.connect(&middle, &near)?;
    // Others change meanwhile, as they do.
    fleet.run_probes(Some(Says::Changes));
    times("at its master", follow(&fleet, &near)?, "p99 < 50 ms");
    let far = top.start(None)?;
    let started = Instant::now();
    while far.http.counts()?.alive < clients as u64 + 2 {
        within(started, RETURN_LIMIT, "the top had all")?;
        thread::sleep(LOOK_EVERY);
    }
    times("through three levels, at the top", follow(&fleet, &far)?, "p99 < 150 ms");
    Ok(())
}

fn follow(fleet: &Fleet, master: &Wigo) -> Outcome<Vec<f64>> {
    let mut seconds = Vec::new();
    for number in 0..SAMPLES {
        thread::sleep(PAUSE);
        let changed = Instant::now();
        // Each of another client and probe; a prime, so that they are far from each other.
        let (path, wanted) = fleet.flip(number * 7919, number);
        while master.http.get(&path)?.trim() != wanted.to_string() {
            within(changed, ARRIVAL_LIMIT, "the change arrived")?;
        }
        seconds.push(changed.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

/// The master is killed and started again at once.
pub fn restart(clients: usize) -> Outcome {
    title(&format!("kill -9 and restart of the master of {clients} clients"));
    let mut scene = Scene::new(clients, None)?;
    scene.fleet.run_probes(Some(Says::Changes));
    thread::sleep(AFTERMATH);
    let before = scene.wigo.http.counts()?;
    let before_downs = downs(&scene.place)?;
    let ours = usage(std::process::id())?;
    let killed = Instant::now();
    scene.wigo.kill()?;
    line("it is gone", format!("{:.2} s", killed.elapsed().as_secs_f64()), "");
    let place = &scene.place;
    scene.wigo = place.start(None)?;
    let listening = killed.elapsed();
    let done = AtomicBool::new(false);
    let http = scene.wigo.http.clone();
    let (back, gap) = thread::scope(|scope| {
        let asking = scope.spawn(|| longest_gap(&http, &done));
        // All that was there, its own probe (which runs once a minute) not counted.
        let came = loop {
            match scene.wigo.http.counts() {
                Ok(now) if now.alive >= before.alive && now.stale <= 1 => {
                    break Ok(killed.elapsed());
                }
                Ok(now) if killed.elapsed() > RETURN_LIMIT => break Err(format!("{now:?}")),
                _ => thread::sleep(LOOK_EVERY * 10),
            }
        };
        done.store(true, Relaxed);
        (came, asking.join().unwrap_or_default())
    });
    let back = back
        .map_or_else(|why| format!("never: {why}"), |time| format!("{:.1} s", time.as_secs_f64()));
    line("it listens again", format!("{:.2} s", listening.as_secs_f64()), "");
    line("all back with their whole state", back, "15 s");
    line("longest wait for /api/status meanwhile", format!("{:.0} ms", gap * 1e3), "");
    let per_client = |used: Duration| used.as_secs_f64() * 1e3 / clients as f64;
    let cpu = per_client(scene.wigo.usage()?.cpu);
    line("CPU of the master for each client that comes back", format!("{cpu:.2} ms"), "");
    let cpu = per_client(usage(std::process::id())?.cpu - ours.cpu);
    line("CPU of each client, on the same cores", format!("{cpu:.2} ms"), "");
    thread::sleep(AFTERMATH);
    line("called DOWN meanwhile", (downs(place)? - before_downs).to_string(), "0");
    Ok(())
}

/// The longest time in which a small question was not answered.
fn longest_gap(http: &Http, done: &AtomicBool) -> f64 {
    let (mut longest, mut answered) = (0.0_f64, Instant::now());
    while !done.load(Relaxed) {
        if http.get("/api/status").is_ok() {
            longest = longest.max(answered.elapsed().as_secs_f64());
            answered = Instant::now();
        }
        thread::sleep(LOOK_EVERY);
        // The pause is not the master's.
        answered += LOOK_EVERY;
    }
    longest
}

/// How often the master's journal says that somebody is down.
fn downs(place: &Place) -> Outcome<u64> {
    let path = place.folder.join("wigo.db");
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let question = "SELECT count(*) FROM journal WHERE kind = 'instance_down'";
    Ok(database.query_row(question, [], |row| row.get::<_, i64>(0))? as u64)
}

/// One client is killed, another one stopped.
pub fn down(_: usize) -> Outcome {
    title("a client dies, with the default intervals, until it is in the master's log");
    let folder = tempfile::tempdir()?;
    let top = Place::new(folder.path().join("top"), "top", &Duties::default())?;
    let duties = Duties { above: Some(&top), ..Duties::default() };
    let places = ["killed", "silent"]
        .map(|name| Place::new(folder.path().join(name), name, &duties).map(|place| (name, place)));
    let master = top.start(None)?;
    let started = Instant::now();
    let mut running = Vec::new();
    for place in places {
        let (name, place) = place?;
        running.push((name, place.start(None)?));
    }
    while master.http.counts()?.alive < 3 {
        within(started, NOTICE_LIMIT, "both had connected")?;
        thread::sleep(LOOK_EVERY);
    }
    for ((name, client), (signal, aim)) in
        running.iter().zip([(Signal::KILL, "1 s"), (Signal::STOP, "15 s")])
    {
        let gone = Instant::now();
        client.signal(signal)?;
        let path = format!("/api/hosts/{name}/logs?limit=5");
        while !master.http.get(&path)?.contains("instance_down") {
            within(gone, NOTICE_LIMIT, &format!("{name} was noticed"))?;
            thread::sleep(LOOK_EVERY);
        }
        line(name, format!("{:.2} s", gone.elapsed().as_secs_f64()), aim);
    }
    // What the master thought of it, for the curious.
    let log = fs::read_to_string(top.folder.join("wigo.log")).unwrap_or_default();
    log.lines().filter(|line| line.contains("is silent")).for_each(|line| println!("    {line}"));
    Ok(())
}
