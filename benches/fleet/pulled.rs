//! A master that asks: many remotes in this process that answer as `wigo` does.

use std::{
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use wigo::{
    api::views,
    app::VERSION,
    tree::{Event, Host, Instance, Now, Tree},
};

use crate::{
    Outcome,
    fleet::{PROBES, identities, probe, result, within},
    master::{Duties, Place},
    report::{line, title},
    span,
};

/// For the master to have heard of all remotes.
const FIRST_ANSWERS: Duration = Duration::from_secs(60);
/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Asks each remote every 10 s; each answer differs from the one before, as it mostly does.
pub fn pull(remotes: usize) -> Outcome {
    title(&format!("{remotes} remotes x {PROBES} probes, each asked every 10 s"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut ports = Vec::new();
    for (uuid, name) in identities(remotes) {
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        ports.push(listener.local_addr()?.port());
        let mut tree = Tree::new(Instance::new(uuid, VERSION, Host::new(name, "remotes")));
        run_probes(&mut tree);
        runtime.spawn(remote(listener, tree));
    }
    let folder = tempfile::tempdir()?;
    let duties = Duties { remotes: ports, ..Duties::default() };
    let place = Place::new(folder.path().join("master"), "master", &duties)?;
    let master = place.start(None)?;
    let started = Instant::now();
    while master.http.counts()?.alive <= remotes as u64 {
        within(started, FIRST_ANSWERS, "all remotes had answered")?;
        thread::sleep(Duration::from_millis(50));
    }
    line("all have answered", format!("{:.1} s", started.elapsed().as_secs_f64()), "");
    let (before, started) = (master.usage()?, Instant::now());
    thread::sleep(span());
    let (after, seconds) = (master.usage()?, started.elapsed().as_secs_f64());
    let used = (after.cpu - before.cpu).as_secs_f64();
    line("CPU of one core", format!("{:.2} %", used / seconds * 100.0), "");
    let answers = seconds * remotes as f64 / 10.0;
    line("CPU of one answer", format!("{:.2} ms", used / answers * 1e3), "");
    line("memory", format!("{:.1} MiB", after.rss_kib as f64 / 1024.0), "");
    Ok(())
}

fn run_probes(tree: &mut Tree) {
    let now = Now { wall: Timestamp::now(), boot: Duration::ZERO };
    for number in 0..PROBES {
        let probe = probe(number);
        let results = vec![result(&probe, false, None)];
        tree.apply(Event::Ran { probe, results, complete: true }, now);
    }
}

/// One remote: answers who asks, for ever.
async fn remote(listener: TcpListener, mut tree: Tree) {
    while let Ok((stream, _)) = listener.accept().await {
        // One master, one connection.
        let _ = answer(stream, &mut tree).await;
    }
}

async fn answer(mut stream: TcpStream, tree: &mut Tree) -> Outcome {
    let mut head = Vec::new();
    let mut step = [0; 1024];
    loop {
        let more = stream.read(&mut step).await?;
        head.extend_from_slice(&step[..more]);
        if more == 0 || head.len() > MAX_HEAD_BYTES {
            return Ok(());
        }
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let body = match head.starts_with(b"GET /api/logs") {
            true => b"[]".to_vec(),
            false => {
                run_probes(tree);
                let view = tree.view();
                serde_json::to_vec(&views::Wigo::new(&view, view.me()))?
            }
        };
        let head_of_answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: W/\"{}\"\r\n\
             Content-Length: {}\r\n\r\n",
            tree.revision(),
            body.len()
        );
        stream.write_all(&[head_of_answer.as_bytes(), &body].concat()).await?;
        head.clear();
    }
}
