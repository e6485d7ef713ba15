//! What the web page and its API cost over a large fleet: for the master, and in a real browser.

use std::{process::Command, time::Instant};

use crate::{
    Outcome,
    fleet::Says,
    load::Scene,
    report::{line, times, title},
    span,
};

/// Requests of each kind.
const REQUESTS: usize = 50;
/// What the page asks for, and which hosts and probes it asks about.
const QUESTIONS: [&str; 6] = [
    "/api/summary",
    "/api/summary/problems?limit=100",
    "/api/summary/hosts?limit=100",
    "/api/summary/hosts?limit=100&q=0123&sort=name",
    "/api/summary/hosts/host00000",
    "/api/search?q=host0012",
];

/// The page of a master of so many clients.
pub fn page(clients: usize) -> Outcome {
    title(&format!("the web page over {clients} hosts x 20 probes, 1 % change each 10 s"));
    let mut scene = Scene::new(clients, None)?;
    scene.fleet.run_probes(Some(Says::Changes));
    for path in QUESTIONS {
        ask(&scene, path)?;
    }
    let (before, started) = (scene.wigo.usage()?, Instant::now());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/frontend/bench/page.mjs");
    let seconds = span().as_secs().to_string();
    let url = format!("http://127.0.0.1:{}/", scene.place.http);
    let status = Command::new("node").args([script, &url, &seconds]).status()?;
    if !status.success() {
        return Err(format!("`{script}` failed: {status}").into());
    }
    let after = scene.wigo.usage()?;
    let cpu = (after.cpu - before.cpu).as_secs_f64() / started.elapsed().as_secs_f64() * 100.0;
    line("master meanwhile: CPU of one core", format!("{cpu:.1} %"), "");
    line("master afterwards: memory", format!("{:.1} MiB", after.rss_kib as f64 / 1024.0), "");
    Ok(())
}

/// Asks while the fleet changes, so that little can be kept from one answer to the next.
fn ask(scene: &Scene, path: &str) -> Outcome {
    let mut seconds = Vec::new();
    let (mut bytes, before) = (0, scene.wigo.usage()?);
    for number in 0..REQUESTS {
        scene.fleet.flip(number * 7, number);
        let asked = Instant::now();
        bytes = scene.wigo.http.get(path)?.len();
        seconds.push(asked.elapsed().as_secs_f64());
    }
    let cpu = (scene.wigo.usage()?.cpu - before.cpu).as_secs_f64() / REQUESTS as f64 * 1e3;
    times(&format!("{path}: p50/p99/most ({bytes} bytes, {cpu:.1} ms CPU)"), seconds, "");
    Ok(())
}
