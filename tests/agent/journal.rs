//! The log: what is in it, how it is asked, and what is left of it after a restart or a crash.

use std::{
    fs, thread,
    time::{Duration, SystemTime},
};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Agent, Home, says, text_of, wait_until};

fn kinds(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["Kind"].as_str().unwrap()).collect()
}

fn of_probe<'a>(entries: &'a [Value], probe: &str) -> Vec<&'a Value> {
    entries.iter().filter(|entry| entry["Probe"] == probe).collect()
}

/// The statuses that a probe went through.
fn path_of(entries: &[Value], probe: &str) -> Vec<Value> {
    of_probe(entries, probe).iter().map(|entry| entry["Now"].clone()).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn the_log_says_what_happened_to_whom() {
    let home = Home::new();
    home.puppet(2, "flip", 100);
    home.probe(60, "other", &says(250, "middling"));
    let began = now();
    let agent = home.start();
    agent.wait_status("flip", 100);
    agent.home.tell("flip", 300, "it broke");
    agent.wait_status("flip", 300);
    agent.home.tell("flip", 300, "it is still broken");
    agent.wait_probe("flip", |probe| probe["Message"] == "it is still broken");
    agent.home.tell("flip", 200, "better");
    agent.wait_status("flip", 200);
    agent.wait_status("other", 250);
    wait_until("all is in the log", || {
        let entries = agent.logs();
        of_probe(&entries, "flip").len() == 3 && of_probe(&entries, "other").len() == 1
    });
    let entries = agent.logs();
    entries_of(&entries);
    filters(&agent, &entries, began);
    timeline(&agent, began);
    in_the_terminal(&agent);
}

fn entries_of(entries: &[Value]) {
    assert_eq!(kinds(entries)[0], "agent_started");
    assert_eq!(path_of(entries, "flip"), [100, 300, 200], "another message is no change");
    let ids: Vec<u64> = entries.iter().map(|entry| entry["Id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let broke = of_probe(entries, "flip")[1];
    assert_eq!((&broke["Was"], &broke["Kind"]), (&json!(100), &json!("probe_changed")));
    assert_eq!(broke["Message"], "Probe flip switched from 100 to 300 : it broke");
    assert_eq!((&broke["Host"], &broke["Group"]), (&json!("testhost"), &json!("testers")));
    assert_eq!(broke["Level"], 6, "CRITICAL");
    assert!(broke["Date"].as_str().unwrap().ends_with(')'));
    assert!(broke["Learned"].as_u64() >= broke["Timestamp"].as_u64());
    assert_eq!(
        (&broke["OriginId"], broke["Origin"].as_str().map(str::len)),
        (&broke["Id"], Some(36))
    );
}

fn filters(agent: &Agent, entries: &[Value], began: u64) {
    let ask = |path: &str| agent.json(path).as_array().unwrap().clone();
    let probes = |path: &str| -> Vec<String> {
        ask(path).iter().map(|entry| entry["Probe"].as_str().unwrap().to_owned()).collect()
    };
    // Without `after` the newest comes first.
    let newest = ask("/api/logs?probe=flip");
    assert_eq!(path_of(&newest, "flip"), [200, 300, 100]);
    assert_eq!(path_of(&ask("/api/logs?probe=flip&limit=1"), "flip"), [200]);
    assert_eq!(path_of(&ask("/api/logs?probe=flip&limit=1&offset=1"), "flip"), [300]);
    assert_eq!(ask("/api/logs?probe=flip&offset=3"), Vec::<Value>::new());
    assert_eq!(ask("/api/logs?limit=nonsense&offset=-1&probe=flip").len(), 3, "the defaults");
    assert_eq!(ask("/api/logs?limit=0"), Vec::<Value>::new());
    let first = of_probe(entries, "flip")[0]["Id"].clone();
    assert_eq!(path_of(&ask(&format!("/api/logs?probe=flip&after={first}")), "flip"), [300, 200]);
    assert_eq!(ask(&format!("/api/logs?until={began}")), Vec::<Value>::new());
    assert_eq!(ask(&format!("/api/logs?since={}", now() + 100)), Vec::<Value>::new());
    assert_eq!(ask(&format!("/api/logs?since={began}&probe=flip")).len(), 3);
    assert_eq!(probes("/api/logs?hostname=testhost&group=testers&probe=other"), ["other"]);
    assert_eq!(probes("/api/logs?group=nobody"), [""; 0]);

    // Where we are beats what is asked for.
    let routes = [
        "/api/probes/other/logs?probe=flip",
        "/api/hosts/testhost/probes/other/logs?probe=flip&hostname=nobody",
        "/api/groups/testers/probes/other/logs?group=nobody&probe=flip",
    ];
    for route in routes {
        assert_eq!(probes(route), ["other"], "{route}");
    }
    assert_eq!(probes("/api/hosts/testhost/logs?probe=other"), ["other"]);
    assert_eq!(probes("/api/groups/testers/logs?probe=other"), ["other"]);
    assert_eq!(ask("/api/groups/nobody/logs"), Vec::<Value>::new());

    let indexes = agent.json("/api/logs/indexes");
    assert_eq!(indexes["groups"], json!(["testers"]));
    assert_eq!(indexes["hosts"], json!(["testhost"]));
    assert_eq!(indexes["probes"], json!(["", "flip", "other", "wigo"]));
}

fn timeline(agent: &Agent, began: u64) {
    let ask = |query: &str| agent.json(&format!("/api/hosts/testhost/timeline?{query}"));
    let whole = ask(&format!("since={}", began - 100));
    assert_eq!((&whole["Host"], &whole["StatusAtStart"]), (&json!("testhost"), &json!(-1)));
    assert_eq!(whole["HistoryDays"], 30);
    let changes = whole["Changes"].as_array().unwrap();
    assert_eq!(path_of(changes, "flip"), [100, 300, 200]);
    assert_eq!(changes[0]["Kind"], "agent_started");
    let one = ask(&format!("since={}&probe=other", began - 100));
    assert_eq!(path_of(one["Changes"].as_array().unwrap(), "other"), [250]);
    assert_eq!(path_of(one["Changes"].as_array().unwrap(), "flip"), [0; 0]);
    // After everything: what holds then is the start.
    let (since, until) = (now() + 100, now() + 200);
    let later = ask(&format!("since={since}&until={until}"));
    assert_eq!((&later["StatusAtStart"], &later["Changes"]), (&json!(250), &json!([])));
    assert_eq!((&later["Since"], &later["Until"]), (&json!(since), &json!(until)));
    let later = ask(&format!("since={since}&until={until}&probe=flip"));
    assert_eq!((&later["StatusAtStart"], &later["Probe"]), (&json!(200), &json!("flip")));
}

fn in_the_terminal(agent: &Agent) {
    let lines = |arguments: &[&str]| -> Vec<String> {
        let output = agent.wigocli(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    };
    let flip = lines(&["logs", "--probe", "flip"]);
    assert_eq!(flip.len(), 3);
    assert!(
        flip[1].contains("CRITICAL") && flip[1].contains("it broke"),
        "the oldest first: {flip:?}"
    );
    assert_eq!(lines(&["logs", "--probe", "flip", "--limit", "1"]), flip[2..]);
    assert_eq!(
        lines(&["logs", "--host", "testhost", "--group", "testers", "--probe", "other"]).len(),
        1
    );
    let json: Value =
        serde_json::from_str(&lines(&["--json", "logs", "--probe", "flip"]).concat()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3);
    let output = agent.wigocli(&["logs", "--host", "nobody"]);
    assert_eq!(output.status.code(), Some(3), "{}", text_of(&output));
    assert!(text_of(&output).contains("Remote wigo nobody not found"), "{}", text_of(&output));
}

/// Waits for permission, so that a test can see what is shown until it has run.
const HELD: &str = "while [ ! -e \"$WIGO_PROBE_CONFIG_ROOT/go\" ]; do sleep 0.1; done; \
                    cat \"$WIGO_PROBE_CONFIG_ROOT/$WIGO_PROBE_NAME.says\"";

#[test]
fn a_restart_remembers_and_makes_no_news() {
    let home = Home::new();
    let go = home.path("conf.d").join("go");
    fs::write(&go, "").unwrap();
    for (name, status) in [("same", 300), ("better", 300), ("removed", 200)] {
        home.tell(name, status, "before");
        home.probe(60, name, HELD);
    }
    let agent = home.start();
    agent.wait_status("better", 300);
    agent.wait_status("removed", 200);
    let since = agent.wait_status("same", 300)["Since"].clone();
    agent.json("/api/logs");
    let home = agent.stop();

    fs::remove_file(&go).unwrap();
    fs::remove_file(home.interval(60).join("removed")).unwrap();
    home.tell("better", 100, "mended");
    home.tell("same", 300, "after");
    let agent = home.start();
    let shown = agent.probe("same").expect("what was known is there from the first answer on");
    assert_eq!((&shown["Message"], &shown["Stale"]), (&json!("before"), &json!(true)));
    assert_eq!((&shown["Status"], &shown["Since"]), (&json!(300), &since));
    assert_eq!(agent.get("/api/status").text(), "300");
    assert_eq!(agent.probe("removed"), None);
    let output = agent.wigocli(&["probe", "same"]);
    assert!(text_of(&output).contains("not confirmed since the restart"), "{}", text_of(&output));

    fs::write(&go, "").unwrap();
    let shown = agent.wait_probe("same", |probe| probe["Stale"] == false);
    assert_eq!((&shown["Message"], &shown["Since"]), (&json!("after"), &since));
    agent.wait_status("better", 100);
    wait_until("the change is in the log", || path_of(&agent.logs(), "better") == [300, 100]);
    let entries = agent.logs();
    assert_eq!(path_of(&entries, "same"), [300], "nothing happened to it");
    assert_eq!(kinds(&entries).iter().filter(|kind| **kind == "agent_started").count(), 2);
    let stopped: Vec<_> = entries.iter().filter(|entry| entry["Kind"] == "agent_stopped").collect();
    assert_eq!(stopped.len(), 1);
    assert!(stopped[0]["Message"].as_str().unwrap().contains("SIGTERM"), "{stopped:?}");
    let gone = of_probe(&entries, "removed");
    assert_eq!(gone.len(), 2);
    assert_eq!((&gone[1]["Kind"], &gone[1]["Was"]), (&json!("probe_gone"), &json!(200)));
    assert!(gone[1]["Message"].as_str().unwrap().contains("while the agent was not running"));
}

#[test]
fn killed_again_and_again_it_loses_its_place_never() {
    const KILLS: usize = 10;
    let mut home = Home::new();
    for number in 0..20 {
        // Another status at each run.
        let script =
            "cd \"$WIGO_PROBE_STATE\"; if [ -e on ]; then rm on; exit 2; fi; touch on; exit 0";
        home.probe(2, &format!("restless{number}"), script);
    }
    let path = home.path("wigo.db");
    for _ in 0..KILLS {
        let agent = home.start();
        // Any moment will do.
        let moment = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        thread::sleep(Duration::from_millis(u64::from(moment.subsec_micros() % 1_200)));
        home = agent.kill();
    }
    let agent = home.start();
    wait_until("the last start is in the log", || {
        agent.logs().iter().any(|entry| entry["Kind"] == "agent_started")
    });
    agent.wait_rerun("restless0");
    let entries = agent.logs();
    let ids: Vec<u64> = entries.iter().map(|entry| entry["Id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    // What the agent says of itself alternates: each end that nobody told was found at the next start.
    let own: Vec<&str> =
        kinds(&entries).into_iter().filter(|kind| kind.starts_with("agent_")).collect();
    let expected = ["agent_started", "agent_stopped"].into_iter().cycle().take(own.len());
    assert_eq!(own, expected.collect::<Vec<_>>());
    assert_eq!(own.len() % 2, 1, "the last one is running");
    let backfilled = entries.iter().filter(|entry| {
        entry["Kind"] == "agent_stopped"
            && entry["Message"].as_str().unwrap().contains("without saying so")
    });
    assert_eq!(backfilled.count(), own.len() / 2);
    let notes = agent.log();
    assert!(!notes.contains("damaged") && !notes.contains("ERROR"), "{notes}");
    let _home = agent.stop();

    let connection = Connection::open(path).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let (rows, places): (i64, i64) = connection
        .query_row(
            "SELECT count(*), count(DISTINCT hex(origin) || origin_id) FROM journal",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(rows, places, "an entry is there twice");
}
