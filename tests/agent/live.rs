//! `GET /api/events`, and the short answers that pages are made of.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::{
    events::{Event, Events},
    harness::{Home, says, wait_until},
    http,
};

fn is_probe(event: &Event, name: &str, status: u32) -> bool {
    event.name == "probe" && event.data["Name"] == name && event.data["Status"] == status
}

fn is_log(event: &Event, name: &str, status: u32) -> bool {
    event.name == "log" && event.data["Probe"] == name && event.data["Now"] == status
}

#[test]
fn what_changes_is_told_to_who_reads_it() {
    let home = Home::new();
    home.puppet(2, "door", 100);
    let agent = home.start();
    agent.wait_status("door", 100);
    let mut all = Events::open(&agent, "", &[]);
    let mut host = Events::open(&agent, "?scope=host&host=testhost", &[]);
    let mut overview = Events::open(&agent, "?scope=overview", &[]);
    let mut logs = Events::open(&agent, "?scope=logs&probe=door", &[]);
    let mut none = Events::open(&agent, "?scope=none", &[]);
    for stream in [&mut all, &mut host, &mut overview, &mut logs, &mut none] {
        let hello = stream.next().unwrap();
        assert_eq!(hello.name, "hello");
        assert_eq!(hello.data["Caller"]["Role"], "operator");
        assert!(hello.data["Version"].as_str().unwrap().starts_with("Wigo v"));
        assert_eq!(stream.next().unwrap().name, "counts");
    }
    assert_eq!(overview.named("summary").data["Problems"], json!([]));
    // Every run is told to who looks at the host.
    host.until(|event| is_probe(event, "door", 100));

    agent.home.tell("door", 300, "open <b>wide</b>");
    for stream in [&mut all, &mut host] {
        let (before, event) = stream.until(|event| is_probe(event, "door", 300));
        assert_eq!(event.data["Message"], "open <b>wide</b>");
        assert_eq!(event.data["Host"], "testhost");
        let row = before.iter().rfind(|event| event.name == "host");
        let row = row.map_or_else(|| stream.named("host"), Clone::clone);
        assert_eq!((&row.data["Status"], &row.data["WorstProbe"]), (&json!(300), &json!("door")));
    }
    all.until(|event| is_log(event, "door", 300));
    logs.until(|event| is_log(event, "door", 300));
    let is_there =
        |event: &Event| event.name == "summary" && event.data["Problems"][0]["Probe"] == "door";
    let (before, shown) = overview.until(is_there);
    // What has just happened is in the list of it at once.
    let recent = &shown.data["Recent"][0];
    assert_eq!((&recent["Probe"], &recent["Now"]), (&json!("door"), &json!(300)), "{recent}");
    // That there is an incident is told to everybody.
    let others = ["summary", "counts", "time", "incident"];
    assert!(before.iter().all(|event| others.contains(&&*event.name)), "{before:?}");
    let (before, _) =
        none.until(|event| event.name == "counts" && event.data["Probes"]["Crit"] == 1);
    let others = ["counts", "time", "incident"];
    assert!(before.iter().all(|event| others.contains(&&*event.name)), "{before:?}");

    fs::remove_file(agent.home.interval(2).join("door")).unwrap();
    let gone = all.named("probe_gone");
    assert_eq!(gone.data, json!({ "Host": "testhost", "Name": "door" }));
}

#[test]
fn who_comes_back_misses_nothing_and_gets_nothing_twice() {
    let home = Home::new();
    home.puppet(2, "door", 100);
    home.puppet(2, "lamp", 100);
    home.puppet(60, "still", 100);
    let agent = home.start();
    for probe in ["door", "lamp", "still"] {
        agent.wait_status(probe, 100);
    }
    let mut first = Events::open(&agent, "?scope=host&host=testhost", &[]);
    agent.home.tell("door", 300, "open");
    let (before, event) = first.until(|event| is_log(event, "door", 300));
    let last = before.into_iter().chain([event]).next_back().unwrap();
    drop(first);

    agent.home.tell("door", 200, "ajar");
    agent.wait_status("door", 200);
    fs::remove_file(agent.home.interval(2).join("lamp")).unwrap();
    agent.wait_gone("lamp");
    wait_until("the log has it all", || {
        let logs = agent.logs();
        logs.iter().any(|entry| entry["Kind"] == "probe_gone")
    });
    let id = format!("Last-Event-ID: {}", last.id);
    let mut second = Events::open(&agent, "?scope=host&host=testhost", &[&id]);
    let mut seen = vec![second.named("hello")];
    let is_gone = |event: &Event| event.name == "probe_gone" && event.data["Name"] == "lamp";
    let is_over = |event: &Event| event.name == "log" && event.data["Kind"] == "probe_gone";
    let (before, end) = second.until(is_over);
    seen.extend(before.into_iter().chain([end]));
    assert!(seen.iter().any(is_gone), "{seen:?}");
    assert!(seen.iter().any(|event| is_probe(event, "door", 200)), "{seen:?}");
    assert!(!seen.iter().any(|event| event.name == "reset"), "{seen:?}");
    let logs = |status| seen.iter().filter(|event| is_log(event, "door", status)).count();
    assert_eq!((logs(300), logs(200)), (0, 1), "{seen:?}");

    // After a restart nobody can tell, and says so.
    let agent = agent.restart();
    let query = format!("?scope=all&last_event_id={}", last.id);
    Events::open(&agent, &query, &[]).named("reset");
    Events::open(&agent, "?scope=all&last_event_id=nonsense", &[]).named("reset");
}

#[test]
fn streams_end_when_the_server_stops() {
    let home = Home::new();
    let mut agent = home.start();
    let mut streams: Vec<Events> =
        (0..20).map(|_| Events::open(&agent, "?scope=all", &[])).collect();
    streams.iter_mut().for_each(|stream| assert_eq!(stream.next().unwrap().name, "hello"));
    agent.end(Signal::TERM);
    assert!(!agent.log().contains("did not end within"), "{}", agent.log());
    for stream in &mut streams {
        stream.named("bye");
        assert!(stream.next().is_none());
    }
}

#[test]
fn who_never_reads_costs_nobody_else() {
    let home = Home::new();
    let long = "x".repeat(400);
    for number in 0..100 {
        // Says something else each time.
        let script = format!("echo \"{{\\\"Status\\\":100,\\\"Message\\\":\\\"$$ {long}\\\"}}\"");
        home.probe(2, &format!("chatty{number}"), &script);
    }
    home.puppet(2, "door", 100);
    let agent = home.start();
    agent.wait_status("door", 100);
    let mut reading = Events::open(&agent, "?scope=all", &[]);
    let deaf: Vec<Events> = (0..100).map(|_| Events::open(&agent, "?scope=all", &[])).collect();
    let streams = || agent.json("/api/about")["Http"]["Streams"].as_u64().unwrap();
    wait_until("all streams are open", || streams() == 101);
    agent.home.tell("door", 300, "open");
    reading.until(|event| is_probe(event, "door", 300));
    for round in 0..5 {
        agent.home.tell("door", 200 + round, "more");
        reading.until(|event| is_probe(event, "door", 200 + round));
    }
    assert!(agent.peak_kib() < 200 << 10, "{} KiB", agent.peak_kib());
    drop(deaf);
    wait_until("the streams of those who left are gone", || streams() == 1);
}

#[test]
fn streams_are_refused_to_foreign_pages_and_in_excess() {
    let agent = Home::new().start();
    let get = |path: &str, headers: &[&str]| http::get(agent.address(), path, headers);
    for foreign in ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"] {
        assert_eq!(get("/api/events", &[foreign]).status, 403, "{foreign}");
    }
    assert_eq!(get("/api/events?scope=some", &[]).status, 400);
    assert_eq!(get("/api/events?scope=group", &[]).status, 400);
    assert_eq!(get("/api/events?scope=host&host=nobody", &[]).status, 404);
}

#[test]
fn pages_get_short_answers() {
    let home = Home::new();
    home.probe(2, "fine", &says(100, "well"));
    home.probe(2, "sick", &says(300, "ill"));
    let agent = home.start();
    for probe in ["fine", "sick", "wigo"] {
        agent.wait_probe(probe, |_| true);
    }
    let summary = agent.json("/api/summary");
    assert_eq!(summary["Hosts"]["Crit"], 1);
    assert_eq!(summary["Probes"]["Total"], 3);
    assert_eq!(summary["Problems"][0]["Message"], "ill");
    assert_eq!(summary["Instance"]["Key"], "testhost");
    assert_eq!(summary["Groups"][0]["Name"], "testers");
    wait_until("the start is in the log", || {
        let recent = agent.json("/api/summary")["Recent"].clone();
        recent.as_array().unwrap().iter().any(|entry| entry["Kind"] == "agent_started")
    });
    let host = agent.json("/api/summary/hosts/testhost");
    assert_eq!(host["ProbeRows"][0]["Name"], "sick");
    assert_eq!((&host["Name"], &host["Path"]), (&json!("testhost"), &json!([])));
    assert_eq!(agent.json("/api/summary/hosts?q=TEST&level=warn")["Total"], 1);
    assert_eq!(agent.json("/api/summary/problems")["Items"][0]["Probe"], "sick");
    assert_eq!(agent.json("/api/summary/groups")["Items"][0]["Status"], 300);
    assert_eq!(agent.json("/api/search?q=sic")["Probes"][0]["Name"], "sick");
    for path in
        ["/api/summary?problems=x", "/api/summary/hosts?level=x", "/api/summary/problems?after=x"]
    {
        assert_eq!(agent.get(path).status, 400, "{path}");
    }
    assert_eq!(agent.get("/api/summary/hosts/nobody").status, 404);
    let about = agent.json("/api/about");
    assert_eq!(about["Uuid"], summary["Instance"]["Uuid"]);
    assert!(about["Probes"]["Runs"].as_u64().unwrap() >= 2, "{about}");
    assert!(about["Memory"]["ResidentBytes"].as_u64().unwrap() > 1 << 20, "{about}");
    assert!(about["Http"]["Connections"].as_u64().unwrap() >= 1, "{about}");
    assert_eq!(about["Troubles"], json!([]));
    assert_eq!(about["Push"]["Enabled"], false);
    wait_until("the log is on the disk", || {
        agent.json("/api/about")["Database"]["JournalEntries"].as_u64() >= Some(1)
    });
}
