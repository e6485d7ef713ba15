//! What clients cost that are connected: memory, CPU, bytes; and what it costs to show them.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    Outcome,
    fleet::{Fleet, Says, admit, payload},
    master::{Duties, Place, Usage, Wigo},
    report::{line, quantile, title},
    span,
};

/// The aims of the issue, at 10,000 clients.
const MAX_CPU: &str = "25 %";
const MAX_MEMORY: &str = "32 KiB";
const MAX_BYTES: &str = "100";
/// After all have connected, until nothing of it is left to do.
const SETTLING: Duration = Duration::from_secs(5);
/// Sizes below the one that is asked for, as parts of it.
const GROWTH: [usize; 3] = [100, 10, 1];
/// Requests of each kind; full ones of a large tree take a while.
const REQUESTS: usize = 50;

/// A master with clients that are connected.
pub struct Scene {
    pub fleet: Fleet,
    pub wigo: Wigo,
    pub place: Place,
    /// The master before the first client.
    pub empty: Usage,
    pub connected_in: Duration,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub fn new(clients: usize, core: Option<usize>) -> Outcome<Scene> {
        let folder = tempfile::tempdir()?;
        let place = Place::new(folder.path().join("master"), "master", &Duties::default())?;
        admit(&place, clients)?;
        let fleet = Fleet::new(clients)?;
        let wigo = place.start(core)?;
        let empty = wigo.usage()?;
        let connected_in = fleet.connect(&place, &wigo)?;
        thread::sleep(SETTLING);
        Ok(Scene { fleet, wigo, place, empty, connected_in, _folder: folder })
    }

    /// KiB for each client.
    fn memory(&self, clients: usize) -> Outcome<f64> {
        let more = self.wigo.usage()?.rss_kib.saturating_sub(self.empty.rss_kib);
        Ok(more as f64 / clients as f64)
    }
}

/// What the master used in a span of time.
struct Cost {
    /// Of one core, in percent.
    cpu: f64,
    /// Per client and second.
    bytes: Option<(f64, f64)>,
}

fn measure(scene: &mut Scene, clients: usize, says: Option<Says>) -> Outcome<Cost> {
    scene.fleet.run_probes(says);
    // The first heartbeats tell of more than the later ones.
    thread::sleep(SETTLING);
    let (before, bytes, started) = (scene.wigo.usage()?, payload(scene.place.push), Instant::now());
    thread::sleep(span());
    let (after, seconds) = (scene.wigo.usage()?, started.elapsed().as_secs_f64());
    let per_client = |more: u64| more as f64 / clients as f64 / seconds;
    let bytes = bytes
        .zip(payload(scene.place.push))
        .map(|(before, after)| (per_client(after.0 - before.0), per_client(after.1 - before.1)));
    Ok(Cost { cpu: (after.cpu - before.cpu).as_secs_f64() / seconds * 100.0, bytes })
}

fn show(what: &str, cost: &Cost, aims: (&str, &str)) {
    line(&format!("{what}: CPU of one core"), format!("{:.1} %", cost.cpu), aims.0);
    let bytes = cost.bytes.map_or("no `ss`".into(), |(up, down)| format!("{up:.0} + {down:.0}"));
    line(&format!("{what}: bytes per client and second, to + from"), bytes, aims.1);
}

/// Everything about connected clients.
pub fn steady(clients: usize) -> Outcome {
    title(&format!("{clients} clients, 20 probes a minute each, heartbeats each 10 s"));
    let mut scene = Scene::new(clients, None)?;
    line("all connected", format!("{:.1} s", scene.connected_in.as_secs_f64()), "");
    line("memory per client", format!("{:.1} KiB", scene.memory(clients)?), MAX_MEMORY);
    let silent = measure(&mut scene, clients, None)?;
    show("no probe runs", &silent, ("", ""));
    let idle = measure(&mut scene, clients, Some(Says::Same))?;
    show("nothing but time stamps", &idle, ("", MAX_BYTES));
    let changes = measure(&mut scene, clients, Some(Says::Changes))?;
    show("1 % change status each 10 s", &changes, (MAX_CPU, ""));
    let news = measure(&mut scene, clients, Some(Says::News))?;
    show("the same, and other numbers with each run", &news, ("", ""));
    line("memory per client afterwards", format!("{:.1} KiB", scene.memory(clients)?), MAX_MEMORY);
    Ok(())
}

/// The same for a hundredth, a tenth, and all of the clients.
pub fn grow(clients: usize) -> Outcome {
    title("growth: 1 % of the results change status each 10 s");
    for clients in GROWTH.map(|part| clients / part) {
        let mut scene = Scene::new(clients, None)?;
        let idle = measure(&mut scene, clients, Some(Says::Same))?;
        let changes = measure(&mut scene, clients, Some(Says::Changes))?;
        let all = format!("{clients} clients");
        let connected = scene.connected_in.as_secs_f64();
        line(&format!("{all}: all connected"), format!("{connected:.1} s"), "");
        let memory = format!("{:.1} KiB", scene.memory(clients)?);
        line(&format!("{all}: memory per client"), memory, MAX_MEMORY);
        show(&format!("{all}, idle"), &idle, ("", MAX_BYTES));
        show(&format!("{all}, changing"), &changes, (MAX_CPU, ""));
    }
    Ok(())
}

/// The whole tree over HTTP.
pub fn api(clients: usize) -> Outcome {
    title(&format!("GET /api of {clients} hosts x 20 probes, {REQUESTS} requests each"));
    let scene = Scene::new(clients, None)?;
    let (_, tag, text) = scene.wigo.http.ask("/api", None)?;
    line("bytes of the answer", format!("{}", text.len()), "");
    drop(text);
    requests(&scene, "whole, unchanged", None, false)?;
    requests(&scene, "304, unchanged", Some(&tag), false)?;
    requests(&scene, "whole, after one change each", None, true)?;
    requests(&scene, "one host, after one change each", Some("host"), true)
}

/// `held`: the tag of what we have, or `host` for one host instead of all.
fn requests(scene: &Scene, what: &str, held: Option<&str>, changes: bool) -> Outcome {
    let mut times = Vec::new();
    let before = scene.wigo.usage()?;
    for number in 0..REQUESTS {
        if changes {
            let (path, wanted) = scene.fleet.flip(number, number);
            let asked = Instant::now();
            while scene.wigo.http.get(&path)?.trim() != wanted.to_string() {
                crate::fleet::within(asked, SETTLING, "the master had the change")?;
            }
        }
        let asked = Instant::now();
        match held {
            Some("host") => _ = scene.wigo.http.get("/api/hosts/host00000")?,
            held => _ = scene.wigo.http.ask("/api", held)?,
        }
        times.push(asked.elapsed().as_secs_f64());
    }
    let cpu = (scene.wigo.usage()?.cpu - before.cpu).as_secs_f64() / REQUESTS as f64;
    let (middle, most) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    line(
        &format!("{what}: p50 / p99 / CPU of the master"),
        format!("{:.2}/{:.2}/{:.2} ms", middle * 1e3, most * 1e3, cpu * 1e3),
        "",
    );
    Ok(())
}
