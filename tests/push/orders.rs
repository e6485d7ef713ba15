//! Orders: probes are switched and run on hosts at any depth, over push channels and over HTTP.

use std::fs;

use serde_json::Value;

use crate::{
    events::Events,
    fleet::{
        allow, client, free_port, open_master, takes_clients, uuid, wait_alive, wait_entry,
        wait_seen, wait_status, waiting,
    },
    harness::{Agent, Home, says, wait_for, wait_until},
    http::{self, Reply},
};

/// Longer than any test: a probe that runs only when it is told to, but for the first time.
const RARELY: u32 = 86_400;

/// Lets callers of this agent's API change probes.
fn allow_writes(home: &mut Home) {
    home.change("[Http]\n", "[Http]\nAllowWriteActions = true\n");
}

/// Lets the masters of this agent change probes.
fn allow_control(home: &mut Home) {
    home.change("[PushClient]\n", "[PushClient]\nAllowRemoteControl = true\n");
}

fn post(agent: &Agent, path: &str) -> Reply {
    http::ask(agent.address(), "POST", path, &["Host: localhost", "X-Wigo-Request: 1"])
}

/// A change that is done at once.
fn done(agent: &Agent, path: &str) -> Value {
    let reply = post(agent, path);
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

fn refused(agent: &Agent, path: &str, status: u16, part: &str) {
    let reply = post(agent, path);
    assert_eq!((reply.status, reply.text().contains(part)), (status, true), "{}", reply.text());
}

/// The probe in a schedule.
fn scheduled(schedule: &Value, probe: &str) -> Value {
    let probes = schedule["Probes"].as_array().unwrap();
    probes.iter().find(|one| one["Name"] == probe).cloned().unwrap_or(Value::Null)
}

fn order(agent: &Agent, id: &Value) -> Value {
    let orders = agent.json("/api/orders");
    orders.as_array().unwrap().iter().find(|order| order["Id"] == *id).cloned().unwrap()
}

fn wait_order(agent: &Agent, id: &Value, state: &str) -> Value {
    wait_for(&format!("the order is {state}"), || {
        Some(order(agent, id)).filter(|order| order["State"] == state)
    })
}

/// How, what and with which outcome, of the changes in the audit log of an agent, in order.
fn audited(agent: &Agent) -> Vec<String> {
    let rows = agent.json("/api/audit")["Items"].as_array().unwrap().clone();
    let short = |row: &Value| {
        let text = |field: &str| row[field].as_str().unwrap().to_owned();
        let outcome = text("Outcome").split(':').next().unwrap().to_owned();
        format!("{} {} {outcome}", text("How"), text("Action"))
    };
    rows.iter().rev().map(short).collect()
}

/// A master that gives orders.
fn commander(name: &str) -> (Agent, u16) {
    let (mut home, port) = (Home::named(name), free_port());
    takes_clients(&mut home, port, "AutoAcceptClients = true");
    allow_writes(&mut home);
    (home.start(), port)
}

/// A client that takes orders, with a probe that counts its runs in the file `runs`.
fn soldier(name: &str, port: u16) -> Home {
    let mut home = client(name, &[port]);
    allow_control(&mut home);
    counting(&home, "true");
    home
}

fn counting(home: &Home, more: &str) {
    let runs = home.path("runs");
    let script = format!("echo >> {}\n{more}\n{}", runs.display(), says(100, "counted"));
    home.probe(RARELY, "counter", &script);
}

fn runs(home: &Home) -> usize {
    fs::read_to_string(home.path("runs")).unwrap_or_default().lines().count()
}

#[test]
fn probes_are_switched_and_run_two_levels_down() {
    let (top, port) = commander("top");
    let (mut home, below) = (client("middle", &[port]), free_port());
    takes_clients(&mut home, below, "AutoAcceptClients = true");
    allow_control(&mut home);
    let middle = home.start();
    let leaf = soldier("leaf", below).start();
    let id = uuid(&leaf);
    wait_status(&top, &id, "puppet", 100);
    wait_status(&top, &id, "counter", 100);
    let seen = wait_seen(&top, &id, "it may be controlled", |it| it["RemoteControl"] == "control");
    assert_eq!(seen["LocalHost"]["DisabledProbes"], serde_json::json!({}));

    let schedule = top.json("/api/hosts/leaf/schedule");
    assert_eq!(
        (&schedule["Hostname"], &scheduled(&schedule, "puppet")["Interval"]),
        (&"leaf".into(), &2.into())
    );

    // Run: a fresh result, of a run after the order.
    let before = runs(&leaf.home);
    let result = done(&top, &format!("/api/hosts/{id}/probes/counter/run"));
    assert_eq!((&result["Status"], &result["Message"]), (&100.into(), &"counted".into()));
    assert_eq!(runs(&leaf.home), before + 1);

    // Disable: the reason is known at once on all levels.
    let why = "reason=the%20disk%20is%20replaced&for=4h";
    let schedule = done(&top, &format!("/api/hosts/leaf/probes/puppet/disable?{why}"));
    let record = &schedule["DisableRecords"][0];
    assert_eq!((&record["Probe"], &record["Interval"]), (&"puppet".into(), &2.into()));
    assert_eq!(record["Reason"], "the disk is replaced");
    assert_eq!(scheduled(&schedule, "puppet")["Directory"], "examples");
    let seen = wait_seen(&top, &id, "the probe is gone and the reason known", |it| {
        let host = &it["LocalHost"];
        host["Probes"]["puppet"].is_null()
            && host["DisabledProbes"]["puppet"]["Until"] != 0
            && host["DisabledProbes"]["puppet"]["Reason"] == "the disk is replaced"
    });
    let author = seen["LocalHost"]["DisabledProbes"]["puppet"]["Author"].as_str().unwrap();
    assert!(author.ends_with("by way of top, middle)"), "{author}");
    let rows = top.json("/api/disabled?q=DISK");
    assert_eq!((&rows["Total"], &rows["Items"][0]["HostName"]), (&1.into(), &"leaf".into()));
    assert_eq!(middle.json("/api/disabled")["Total"], 1);
    let entry = wait_entry(&top, "ordered", "disabled it for 14400 s: the disk is replaced");
    assert_eq!((&entry["Host"], &entry["Probe"]), (&"leaf".into(), &"puppet".into()));
    refused(&top, "/api/hosts/leaf/probes/puppet/run", 409, "give it an interval");

    // And on again, at another interval.
    let schedule = done(&top, "/api/hosts/leaf/probes/puppet/interval?seconds=3");
    assert_eq!(scheduled(&schedule, "puppet")["Interval"], 3);
    assert_eq!(schedule["DisableRecords"], serde_json::json!([]));
    wait_status(&top, &id, "puppet", 100);
    wait_until("nothing is disabled", || top.json("/api/disabled")["Total"] == 0);

    // One row at each end: over HTTP where it was asked for, by its order where it was carried out.
    let expected =
        ["probe.run done", "probe.disable done", "probe.run refused", "probe.interval done"];
    assert_eq!(audited(&top), expected.map(|row| format!("anonymous {row}")));
    assert_eq!(audited(&leaf), expected.map(|row| format!("order {row}")));
    assert!(audited(&middle).is_empty());
    let row = leaf.json("/api/audit?action=probe.disable")["Items"][0].clone();
    assert_eq!(
        (&row["Target"], &row["Detail"]["ByWayOf"]),
        (&"leaf/puppet".into(), &"top, middle".into())
    );
    assert_eq!((&row["Before"]["Interval"], &row["After"]["Interval"]), (&2.into(), &Value::Null));
    let there = top.json("/api/audit?action=probe.disable")["Items"][0].clone();
    assert_eq!(there["Detail"]["Order"], row["Detail"]["Order"]);
    assert_eq!((&there["Target"], &there["Before"]), (&row["Target"], &row["Before"]));

    let orders = top.json("/api/orders");
    let states: Vec<_> = orders.as_array().unwrap().iter().map(|it| it["State"].as_str()).collect();
    assert_eq!(states, [Some("done"), Some("refused"), Some("done"), Some("done")]);
    refused(&top, "/api/hosts/leaf/probes/nobody/run", 404, "no probe `nobody`");
    refused(&top, "/api/hosts/leaf/probes/..%2F..%2Frun/disable", 404, "there can be no probe");
    refused(&top, "/api/hosts/leaf/probes/puppet/interval?seconds=1", 400, "2 to 86400 s");
}

#[test]
fn orders_go_by_push_and_pull_in_turn() {
    let (top, port) = commander("top");
    let mut home = soldier("leaf", free_port());
    home.change("Enabled = true", "Enabled = false");
    allow_writes(&mut home);
    let leaf = home.start();
    let mut home = client("middle", &[port]);
    allow_control(&mut home);
    home.add(&format!("[RemoteWigos]\nCheckInterval = 1\nList = [\"{}\"]\n", leaf.address()));
    let middle = home.start();
    let id = uuid(&leaf);
    wait_status(&top, &id, "puppet", 100);
    wait_status(&top, &id, "counter", 100);
    let before = runs(&leaf.home);
    let result = done(&top, "/api/hosts/leaf/probes/counter/run");
    assert_eq!((&result["Message"], runs(&leaf.home)), (&"counted".into(), before + 1));
    assert_eq!(top.json("/api/hosts/leaf/schedule")["Hostname"], "leaf");
    done(&top, "/api/hosts/leaf/probes/puppet/disable?reason=slow");
    wait_until("it is known above", || top.json("/api/disabled")["Total"] == 1);
    let author = top.json("/api/disabled")["Items"][0]["Author"].as_str().unwrap().to_owned();
    assert!(author.contains("by way of top, middle"), "{author}");
    wait_entry(&top, "ordered", "disabled it: slow");
    drop(middle);
}

#[test]
fn every_gate_on_the_way_can_refuse() {
    let (top, port) = open_master("top");
    let leaf = client("leaf", &[port]).start();
    let id = uuid(&leaf);
    wait_status(&top, &id, "puppet", 100);
    let path = "/api/hosts/leaf/probes/puppet/disable";
    refused(
        &top,
        path,
        403,
        "`top` takes no changes of probes over its API: set AllowWriteActions",
    );
    refused(&top, "/api/probes/any/run", 403, "AllowWriteActions");
    let mut home = top.stop();
    allow_writes(&mut home);
    let top = home.start();
    wait_alive(&top, &id);
    refused(
        &top,
        path,
        403,
        "`leaf` takes no orders from the instances that it pushes to: set AllowRemoteControl",
    );
    // To look is allowed.
    assert_eq!(top.json("/api/hosts/leaf/schedule")["WriteActionsAllowed"], false);
    wait_seen(&top, &id, "it says what it allows", |it| it["RemoteControl"] == "read");
    let entry = wait_entry(&top, "ordered", "refused to");
    assert!(["top", "leaf"].contains(&entry["Host"].as_str().unwrap()));
    assert_eq!(leaf.json("/api/hosts/leaf/probes/puppet")["Status"], 100);
    // And without the header of a program nothing is changed at all.
    let reply = http::ask(top.address(), "POST", path, &["Host: localhost"]);
    assert_eq!(reply.status, 403);
}

#[test]
fn an_order_waits_for_a_host_that_is_away_also_over_a_restart_of_the_master() {
    let (top, port) = commander("top");
    let leaf = soldier("leaf", port).start();
    let id = uuid(&leaf);
    wait_status(&top, &id, "counter", 100);
    let home = leaf.kill();
    let before = runs(&home);
    let give = |path: &str| {
        let reply = post(&top, path);
        assert_eq!(reply.status, 202, "{}", reply.text());
        let order = reply.json();
        assert_eq!((&order["State"], &order["HostName"]), (&"waiting".into(), &"leaf".into()));
        order
    };
    let run = give("/api/hosts/leaf/probes/counter/run?expires=30m");
    let age = run["ExpiresAt"].as_i64().unwrap() - run["CreatedAt"].as_i64().unwrap();
    assert_eq!(age, 1_800);
    let disable = give("/api/hosts/leaf/probes/puppet/disable?reason=later");
    assert_eq!(disable["Parameters"]["Reason"], "later");
    let never = give("/api/hosts/leaf/probes/counter/interval?seconds=5");
    let cancel = format!("/api/orders/{}/cancel", never["Id"].as_str().unwrap());
    assert_eq!(done(&top, &cancel)["State"], "cancelled");
    refused(&top, &cancel, 409, "it is cancelled");
    assert_eq!(top.get("/api/hosts/leaf/schedule").status, 503, "reading does not wait");
    refused(&top, "/api/hosts/leaf/probes/counter/run?expires=8d", 400, "604800 s");

    let top = top.restart();
    assert_eq!(order(&top, &run["Id"])["State"], "waiting");
    let leaf = home.start();
    wait_order(&top, &run["Id"], "done");
    wait_order(&top, &disable["Id"], "done");
    // Once by itself after its start, once by the order.
    wait_until("it ran by itself and by the order", || runs(&leaf.home) == before + 2);
    wait_until("it is disabled", || top.json("/api/disabled")["Total"] == 1);
    assert_eq!(scheduled(&leaf.json("/api/probes"), "counter")["Interval"], RARELY);
    assert_eq!(order(&top, &never["Id"])["State"], "cancelled");
    // That they wait is one row, what came of them another.
    let mut rows = Vec::new();
    wait_until("what came of them is in the audit log", || {
        rows = audited(&top);
        rows.iter().filter(|row| row.starts_with("order ")).count() == 2
    });
    assert_eq!(
        rows[..6],
        [
            "anonymous probe.run waiting",
            "anonymous probe.disable waiting",
            "anonymous probe.interval waiting",
            "anonymous order.cancel done",
            "anonymous order.cancel refused",
            "anonymous probe.run refused",
        ]
    );
    assert_eq!(rows[6..], ["order probe.run done", "order probe.disable done"]);
    assert_eq!(audited(&leaf), rows[6..]);
}

#[test]
fn who_reads_is_told_which_lists_have_changed() {
    let (mut home, port) = (Home::named("top"), free_port());
    takes_clients(&mut home, port, "");
    allow_writes(&mut home);
    let top = home.start();
    let mut news = Events::open(&top, "?scope=none", &[]);
    news.named("hello");
    let token = done(&top, "/api/authority/tokens?uses=1");
    news.changed("authority");
    let path = format!("/api/authority/tokens/{}/drop", token["Id"].as_str().unwrap());
    assert_eq!(post(&top, &path).status, 200);
    news.changed("authority");

    let mut home = soldier("leaf", port);
    allow_writes(&mut home);
    let leaf = home.start();
    let id = uuid(&leaf);
    wait_until("it waits", || waiting(&top).contains(&id));
    news.changed("authority");
    let home = leaf.kill();
    let is_away = || {
        let waiting = top.json("/api/authority/hosts")["details"]["waiting"].clone();
        waiting[0]["Connected"] == false
    };
    // Told to who reads before anybody else has looked.
    news.changed("authority");
    wait_until("it is gone", is_away);
    let leaf = home.start();
    news.changed("authority");
    allow(&top, &id);
    wait_status(&top, &id, "puppet", 100);

    // On another host, and not by an order of this one.
    let mut news = Events::open(&top, "?scope=none", &[]);
    news.named("hello");
    done(&leaf, "/api/probes/puppet/disable?reason=slow");
    news.changed("disabled");
    assert_eq!(top.json("/api/disabled")["Total"], 1);
    done(&leaf, "/api/probes/puppet/interval?seconds=5");
    news.changed("disabled");

    let home = leaf.kill();
    let order = post(&top, "/api/hosts/leaf/probes/counter/run?expires=30m");
    assert_eq!(order.status, 202, "{}", order.text());
    news.changed("orders");
    let _leaf = home.start();
    news.changed("orders");
    assert_eq!(wait_order(&top, &order.json()["Id"], "done")["HostName"], "leaf");
}

#[test]
fn a_run_that_ends_the_agent_is_not_repeated() {
    let (top, port) = commander("top");
    let home = soldier("leaf", port);
    let armed = home.path("armed");
    let armed = armed.display();
    counting(&home, &format!("if [ -e {armed} ]; then rm {armed}; kill -9 $PPID; sleep 60; fi"));
    let leaf = home.start();
    let id = uuid(&leaf);
    wait_status(&top, &id, "counter", 100);
    fs::write(leaf.home.path("armed"), "").unwrap();
    let before = runs(&leaf.home);
    let reply = post(&top, "/api/hosts/leaf/probes/counter/run");
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(runs(&leaf.home), before + 1);
    let leaf = leaf.kill().start();
    let order = wait_order(&top, &reply.json()["Id"], "refused");
    assert!(order["Answer"].as_str().unwrap().contains("ended while"), "{order}");
    leaf.wait_status("counter", 100);
    wait_until("it ran by itself", || runs(&leaf.home) > before + 1);
    assert_eq!(runs(&leaf.home), before + 2, "only by itself after the restart");
}

#[test]
fn a_probe_comes_back_when_its_time_is_over_also_after_a_restart() {
    let mut home = Home::named("alone");
    allow_writes(&mut home);
    home.probe(2, "puppet", &says(100, "as told"));
    let agent = home.start();
    agent.wait_status("puppet", 100);
    done(&agent, "/api/probes/puppet/disable?reason=a%20while&for=4s");
    // A file that lay there itself is kept.
    assert!(agent.home.path("probes/examples/puppet").is_file());
    assert!(!agent.home.path("probes/2/puppet").exists());
    let agent = agent.restart();
    agent.wait_status("puppet", 100);
    assert!(agent.home.path("probes/2/puppet").is_symlink());
    assert_eq!(agent.json("/api/disabled")["Total"], 0);
    wait_entry(&agent, "ordered", "runs again every 2 s");
    // What somebody switches on by hand is not disabled any more.
    done(&agent, "/api/probes/puppet/disable");
    assert_eq!(agent.json("/api/disabled")["Items"][0]["Until"], 0);
    std::os::unix::fs::symlink("../examples/puppet", agent.home.interval(3).join("puppet"))
        .unwrap();
    agent.wait_status("puppet", 100);
    wait_until("the record is gone", || agent.json("/api/disabled")["Total"] == 0);
}

#[test]
fn names_that_lead_elsewhere_change_nothing() {
    let mut home = Home::named("alone");
    allow_writes(&mut home);
    home.probe(2, "$(touch x); 'a b' \"c\"", &says(100, "as told"));
    let agent = home.start();
    for name in
        ["..", "%2e%2e%2f60%2fputs", "examples%2Fpuppet", "%00", "a%0ab", "wigo", ".wigo-new-link"]
    {
        for what in ["disable", "interval?seconds=60", "run"] {
            let reply = post(&agent, &format!("/api/probes/{name}/{what}"));
            assert_eq!(reply.status, 404, "{name}/{what}: {}", reply.text());
        }
    }
    let strange = "%24%28touch%20x%29%3B%20%27a%20b%27%20%22c%22";
    agent.wait_status("$(touch x); 'a b' \"c\"", 100);
    let schedule = done(&agent, &format!("/api/probes/{strange}/interval?seconds=4"));
    assert_eq!(schedule["Probes"][0]["Interval"], 4);
    assert_eq!(done(&agent, &format!("/api/probes/{strange}/run"))["Status"], 100);
    let mut places: Vec<_> = fs::read_dir(agent.home.path("probes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    places.sort();
    assert_eq!(places, ["2", "4", "examples"]);
}

#[test]
fn a_change_on_a_name_that_two_hosts_have_goes_to_none_of_them() {
    let (top, port) = commander("top");
    let leaves = [soldier("leaf", port).start(), soldier("leaf", port).start()];
    let ids = leaves.each_ref().map(uuid);
    for id in &ids {
        wait_status(&top, id, "counter", 100);
    }
    let before = leaves.each_ref().map(|leaf| runs(&leaf.home));
    for id in &ids {
        refused(&top, "/api/hosts/leaf/probes/counter/run", 409, id);
    }
    assert_eq!(leaves.each_ref().map(|leaf| runs(&leaf.home)), before);
    done(&top, &format!("/api/hosts/{}/probes/counter/run", ids[1]));
    assert_eq!(runs(&leaves[1].home), before[1] + 1);
}
