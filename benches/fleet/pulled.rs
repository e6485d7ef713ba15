//! A master that asks: many remotes in this process that answer as `wigo` does.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;
use wigo::app::VERSION;

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
        runtime.spawn(remote(listener, uuid, name));
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

/// What `GET /api` of a remote answers just after all its probes have run.
fn document(uuid: Uuid, name: &str) -> Value {
    let probe = |number| {
        let result = result(&probe(number), false, None);
        json!({
            "Name": result.name, "Version": result.version, "Value": result.value.to_value(),
            "Message": result.message, "ProbeDate": "", "Timestamp": result.date.as_second(),
            "Metrics": result.metrics.to_value(), "Detail": null, "Status": result.status,
            "ExitCode": 0, "Interval": result.interval, "Since": result.date.as_second(),
            "Stale": false,
        })
    };
    let probes: Vec<Value> = (0..PROBES).map(probe).collect();
    let named = probes.into_iter().map(|one| (one["Name"].as_str().unwrap_or("").to_owned(), one));
    let probes: Map<String, Value> = named.collect();
    json!({
        "Uuid": uuid, "Version": VERSION, "IsAlive": true, "GlobalStatus": 100,
        "GlobalMessage": "OK",
        "LocalHost": {
            "Name": name, "Group": "remotes", "Status": 100, "Probes": probes, "Labels": {},
        },
        "RemoteWigos": {}, "Hostname": name, "LastUpdate": 0,
    })
}

/// One remote: answers who asks, for ever.
async fn remote(listener: TcpListener, uuid: Uuid, name: String) {
    while let Ok((stream, _)) = listener.accept().await {
        // One master, one connection.
        let _ = answer(stream, uuid, &name).await;
    }
}

async fn answer(mut stream: TcpStream, uuid: Uuid, name: &str) -> Outcome {
    let mut head = Vec::new();
    let (mut step, mut answers) = ([0; 1024], 0);
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
                answers += 1;
                serde_json::to_vec(&document(uuid, name))?
            }
        };
        let head_of_answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: W/\"{}\"\r\n\
             Content-Length: {}\r\n\r\n",
            answers,
            body.len()
        );
        stream.write_all(&[head_of_answer.as_bytes(), &body].concat()).await?;
        head.clear();
    }
}
