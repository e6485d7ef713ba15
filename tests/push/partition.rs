//! A line that swallows everything for a while.

use serde_json::Value;

use crate::{
    fleet::{client, open_master, uuid, wait_alive, wait_same_journal, wait_seen, wait_status},
    harness::{Agent, wait_until},
    relay::Relay,
};

/// How many services of one probe change at once.
const SERVICES: usize = 30;

/// Lets all services say this state (0 or 2), in one run of one probe.
fn say(leaf: &Agent, state: u32) {
    let lines: String =
        (1..=SERVICES).map(|n| format!("echo '{state} service{n:02} - told {state}'\n")).collect();
    leaf.home.probe(60, "many", &lines);
}

fn changes(agent: &Agent) -> Vec<Value> {
    let logs = agent.logs();
    let about = |entry: &Value| {
        entry["Kind"] == "probe_changed" && entry["Probe"].as_str().unwrap().starts_with("many/")
    };
    logs.into_iter().filter(about).collect()
}

#[test]
fn what_happened_meanwhile_is_told_once_in_order_with_its_own_times() {
    let (master, port) = open_master("master");
    let relay = Relay::to(([127, 0, 0, 1], port).into());
    let leaf = client("leaf", &[relay.port()]).start();
    let me = uuid(&leaf);
    say(&leaf, 0);
    wait_status(&master, &me, "many/service30", 100);
    relay.cut();
    say(&leaf, 2);
    wait_until("all of it happened at the client", || changes(&leaf).len() == SERVICES);
    wait_seen(&master, &me, "it is down", |seen| seen["GlobalStatus"] == 999);
    let healed = jiff::Timestamp::now().as_second();
    assert!(changes(&master).is_empty(), "nothing gets through a cut line");
    relay.heal();
    wait_alive(&master, &me);
    wait_status(&master, &me, "many/service30", 300);
    wait_same_journal(&leaf, &master);
    let (own, told) = (changes(&leaf), changes(&master));
    assert_eq!((own.len(), told.len()), (SERVICES, SERVICES));
    for (own, told) in own.iter().zip(&told) {
        assert_eq!(own["Probe"], told["Probe"]);
        assert_eq!(own["Timestamp"], told["Timestamp"], "when it happened");
        assert!(told["Timestamp"].as_i64().unwrap() <= healed);
        assert!(told["Learned"].as_i64().unwrap() >= healed, "when the master knew: {told}");
    }
    // It goes on as if nothing had been.
    say(&leaf, 0);
    wait_until("it goes on", || changes(&leaf).len() == 2 * SERVICES);
    wait_same_journal(&leaf, &master);
    wait_status(&master, &me, "many/service30", 100);
}
