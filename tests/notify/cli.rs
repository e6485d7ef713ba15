//! What people see and do from a terminal: incidents, why, what holds messages back.

use std::process::Output;

use serde_json::Value;

use crate::{
    harness::{Agent, Home, text_of, wait_for, wait_until},
    receiver::{Act, Receiver},
    support::{events::Events, http},
};

const TOLD: &str = "AllowWriteActions = true\n[Notifications]\nOnProbeChange = true\n\
                    MinLevelToSend = 101\nFlapDetection = false\nGroupWindow = 0";

fn start(receiver: &Receiver, told: &str) -> Agent {
    let mut home = Home::new();
    home.add(told);
    home.add(&receiver.channel("sink", ""));
    for probe in ["load", "disk"] {
        home.puppet(2, probe, 100);
    }
    let agent = home.start();
    for probe in ["load", "disk"] {
        agent.wait_status(probe, 100);
    }
    agent
}

fn breaks(agent: &Agent, probe: &str) {
    agent.home.tell(probe, 300, "95 % used");
    agent.wait_status(probe, 300);
}

fn asked(agent: &Agent, line: &[&str]) -> Output {
    agent.wigocli(line)
}

/// What is shown, which must have worked.
fn shown(agent: &Agent, line: &[&str]) -> String {
    let output = asked(agent, line);
    assert_eq!(output.status.code(), Some(0), "{line:?}: {}", text_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until what is shown has this part.
fn shows(agent: &Agent, line: &[&str], part: &str) -> String {
    wait_for(&format!("{line:?} shows `{part}`"), || {
        Some(shown(agent, line)).filter(|text| text.contains(part))
    })
}

#[test]
fn an_incident_is_shown_explained_and_looked_after() {
    let receiver = Receiver::new(Act::Take);
    let agent = start(&receiver, TOLD);
    assert_eq!(shown(&agent, &["incidents"]), "no incidents\n");
    breaks(&agent, "load");
    receiver.wait_taken(1);
    let list = shows(&agent, &["incidents"], "told sink");
    assert!(list.starts_with("CRIT  ") && list.contains("testhost / load is CRIT"), "{list}");
    let id = list.split_whitespace().nth(1).unwrap().to_owned();
    let one = shown(&agent, &["incidents", &id]);
    for part in ["\nBroken : 1 of 1\n", "95 % used", "opened", "sink problem: delivered"] {
        assert!(one.contains(part), "{part} in {one}");
    }
    let why = shows(&agent, &["why", "testhost", "load"], "delivered after");
    for part in ["sink is told", "yes  enough runs confirm it", "message 1: "] {
        assert!(why.contains(part), "{part} in {why}");
    }
    // By its id, by its beginning, or by the host.
    let acked = shown(&agent, &["ack", &id, "--reason", "on it", "--for", "1h"]);
    assert!(acked.contains("testhost load is acknowledged until "), "{acked}");
    let list = shown(&agent, &["incidents"]);
    assert!(list.contains("acked by anonymous, told sink"), "{list}");
    let held = shown(&agent, &["held"]);
    assert!(held.contains("acked at CRIT  testhost load") && held.contains("on it"), "{held}");
    let audit = shown(&agent, &["audit"]);
    assert!(audit.contains("incident.ack") && audit.contains("testhost / load"), "{audit}");
    assert!(shown(&agent, &["unsilence", "testhost", "load"]).contains("is lifted"));
    assert_eq!(shown(&agent, &["held"]), "nothing is held back\n");
    agent.home.tell("load", 100, "fine");
    receiver.wait_taken(2);
    shows(&agent, &["incidents", "--closed"], "testhost / load was CRIT");
    assert_eq!(shown(&agent, &["incidents"]), "no incidents\n");
}

#[test]
fn a_silence_is_the_answer_to_why_nobody_was_told_and_is_lifted() {
    let receiver = Receiver::new(Act::Take);
    let agent = start(&receiver, TOLD);
    let made =
        shown(&agent, &["silence", "testhost", "disk", "--for", "1h", "--reason", "new disk"]);
    assert!(made.contains("testhost disk is silenced until "), "{made}");
    breaks(&agent, "disk");
    let why = shows(&agent, &["why", "testhost", "disk"], "NO   nobody silenced it");
    assert!(why.contains("nobody is told") && why.contains("new disk"), "{why}");
    let held = shown(&agent, &["held"]);
    assert!(held.contains("silence  testhost disk") && held.contains("held 1"), "{held}");
    assert!(receiver.arrivals().is_empty());
    assert!(shown(&agent, &["unsilence", "testhost", "disk"]).contains("is lifted"));
    // It is looked at again first, and then told.
    receiver.wait_taken(1);
    let again = asked(&agent, &["unsilence", "testhost", "disk"]);
    assert_eq!(again.status.code(), Some(3), "{}", text_of(&again));
    assert!(text_of(&again).contains("nothing holds messages about this back"));
    let labels = ["--labels", "env=prod,role=db"];
    shown(&agent, &["silence", labels[0], labels[1], "--for", "2h", "--reason", "move"]);
    assert!(shown(&agent, &["held"]).contains("labels env=prod,role=db"));
    let turned = shown(&agent, &["unsilence", "--labels", "role=db,env=prod"]);
    assert!(turned.contains("is lifted"), "{turned}");
}

#[test]
fn windows_are_previewed_made_and_removed() {
    let receiver = Receiver::new(Act::Take);
    let agent = start(&receiver, TOLD);
    let window: Vec<&str> = "kernel --host testhost --every week --days mon,sun --at 02:00 \
                             --for 2h --zone Europe/Paris --reason patches"
        .split_whitespace()
        .collect();
    let preview = shown(&agent, &[&["maintenance", "preview"], &window[..]].concat());
    assert_eq!(preview.lines().count(), 6, "{preview}");
    assert_eq!(shown(&agent, &["maintenance"]), "no maintenance windows\n");
    let made = shown(&agent, &[&["maintenance", "add"], &window[..]].concat());
    let id = made.split_whitespace().next().unwrap();
    let list = shown(&agent, &["maintenance", "list"]);
    assert!(list.contains("every week mon,sun 02:00 Europe/Paris for 2h"), "{list}");
    assert_eq!(shown(&agent, &["maintenance", "remove", id]), format!("{id} is removed\n"));
    let again = asked(&agent, &["maintenance", "remove", id]);
    assert_eq!(again.status.code(), Some(3), "{}", text_of(&again));
    // One that is open now holds back what breaks.
    shown(&agent, &["maintenance", "add", "work", "--all", "--for", "1h"]);
    breaks(&agent, "load");
    shows(&agent, &["why", "testhost", "load"], "NO   no maintenance window is open");
    assert!(receiver.arrivals().is_empty());
}

#[test]
fn messages_are_listed_and_sent_again_under_their_key() {
    let receiver = Receiver::new(Act::Refuse(400));
    let agent = start(&receiver, TOLD);
    breaks(&agent, "load");
    let dead = shows(&agent, &["notifications", "--dead"], "given up after 1 attempts");
    assert!(dead.contains("sink") && dead.contains("testhost / load"), "{dead}");
    assert_eq!(shown(&agent, &["notifications", "--sent"]), "no messages\n");
    receiver.does(Act::Take);
    let again = shown(&agent, &["resend", "1"]);
    assert!(again.contains("1 is tried again over sink"), "{again}");
    receiver.wait_taken(1);
    shows(&agent, &["notifications", "--sent"], "delivered");
    let keys: Vec<String> = receiver.arrivals().into_iter().map(|one| one.key).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    let unknown = asked(&agent, &["resend", "99"]);
    assert!(text_of(&unknown).contains("there is no message 99"), "{}", text_of(&unknown));
}

#[test]
fn holding_back_needs_the_hosts_word_too() {
    let receiver = Receiver::new(Act::Take);
    let told = TOLD.replace("AllowWriteActions = true\n", "");
    let agent = start(&receiver, &told);
    breaks(&agent, "load");
    let post = |path: &str| {
        let headers = ["Host: localhost", "X-Wigo-Request: 1"];
        http::ask(agent.address(), "POST", path, &headers)
    };
    for path in [
        "/api/hosts/testhost/ack?probe=load",
        "/api/hosts/testhost/silence?for=1h",
        "/api/hosts/testhost/unsuppress",
        "/api/groups/testers/silence?for=1h",
        "/api/groups/testers/unsuppress",
        "/api/silences?labels=a=b&for=1h",
        "/api/suppressions/1/lift",
        "/api/maintenance?name=x&all=true&for=1h",
        "/api/maintenance/1/remove",
    ] {
        let reply = post(path);
        assert_eq!(reply.status, 403, "{path}: {}", reply.text());
        assert!(reply.text().contains("AllowWriteActions"), "{path}: {}", reply.text());
    }
    let held = agent.json("/api/suppressions");
    assert_eq!(held["WriteActionsAllowed"], false);
    assert_eq!(held["Suppressions"], Value::Array(Vec::new()));
    // Nor is a channel tried, or a message sent again.
    for path in ["/api/channels/sink/test", "/api/notifications/1/resend"] {
        let reply = post(path);
        assert_eq!(reply.status, 403, "{path}: {}", reply.text());
    }
}

#[test]
fn pages_hear_of_incidents_and_of_what_is_held_back() {
    let receiver = Receiver::new(Act::Take);
    let agent = start(&receiver, TOLD);
    let mut events = Events::open(&agent, "?scope=none", &[]);
    events.until(|event| event.name == "counts");
    breaks(&agent, "load");
    let (_, opened) = events.until(|event| event.name == "incident");
    assert_eq!((&opened.data["State"], &opened.data["Status"]), (&"open".into(), &300.into()));
    shown(&agent, &["ack", "testhost", "load"]);
    events.until(|event| event.name == "suppressions");
    agent.home.tell("load", 100, "fine");
    let (_, closed) =
        events.until(|event| event.name == "incident" && event.data["State"] == "closed");
    assert_eq!(closed.data["Id"], opened.data["Id"]);
    // It is the same over HTTP, also by the page after one.
    let id = opened.data["Id"].as_str().unwrap();
    let page = agent.json("/api/incidents?state=closed&host=testhost&probe=load");
    assert_eq!(page["Incidents"][0]["Id"], *id);
    let rest = agent.json(&format!("/api/incidents?before={id}"));
    assert_eq!((&rest["Open"], rest["Incidents"].as_array().unwrap().len()), (&0.into(), 0));
    wait_until("the whole incident is told", || {
        let whole = agent.json(&format!("/api/incidents/{id}"));
        whole["Notifications"].as_array().unwrap().len() == 2
    });
}
