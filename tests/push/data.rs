//! What a master sees of those below it, however many levels there are and however they are connected.

use serde_json::Value;

use crate::{
    fleet::{
        assert_never, client, free_port, open_master, reports_to, seen, takes_clients, tell, uuid,
        wait_alive, wait_entry, wait_gone, wait_same_journal, wait_seen, wait_status,
    },
    harness::{Agent, Home, says},
};

/// A host that takes clients and reports to the masters on `above`.
fn middle(name: &str, above: &[u16]) -> (Agent, u16) {
    let (mut home, port) = (Home::named(name), free_port());
    takes_clients(&mut home, port, "AutoAcceptClients = true");
    reports_to(&mut home, above, "");
    (home.start(), port)
}

fn probe(seen: &Value, name: &str) -> Value {
    seen["LocalHost"]["Probes"][name].clone()
}

#[test]
fn three_levels_are_one_picture_at_the_top() {
    let (top, top_port) = open_master("top");
    let (middle, middle_port) = middle("middle", &[top_port]);
    let mut leaf = client("leaf", &[middle_port]);
    leaf.change("[PushClient]", "[Labels]\nrole = \"db\"\n[PushClient]");
    leaf.probe(
        2,
        "full",
        "echo '{\"Status\": 210, \"Message\": \"careful\", \"Value\": 17.5, \
         \"Version\": \"0.9\", \"Metrics\": [{\"Tags\": {\"a\": \"b\"}, \"Value\": 3}], \
         \"Detail\": {\"deep\": [1, {\"er\": \"é\"}]}}'",
    );
    let leaf = leaf.start();
    let (me, over) = (uuid(&leaf), uuid(&middle));
    let seen_leaf = wait_status(&top, &me, "full", 210);
    for field in ["Message", "Value", "Version", "Metrics", "Detail", "Status", "Interval"] {
        let own = leaf.wait_probe("full", |_| true)[field].clone();
        assert_eq!(probe(&seen_leaf, "full")[field], own, "{field}");
    }
    assert_eq!(seen_leaf["Hostname"], "leaf");
    assert_eq!(seen_leaf["LocalHost"]["Group"], "testers");
    assert_eq!(seen_leaf["LocalHost"]["Labels"]["role"], "db");
    assert!(
        seen(&top, &over).unwrap()["RemoteWigos"][&me].is_object(),
        "it stands below its middle"
    );
    assert_eq!(top.json("/api/hosts/leaf/probes/full")["Value"], 17.5);

    // The worst status wins all the way up.
    wait_status(&top, &me, "puppet", 100);
    tell(&leaf.home, 480, "on fire");
    wait_status(&top, &me, "puppet", 480);
    for above in [&uuid(&top), &over, &me] {
        wait_seen(&top, above, "it is as bad as its worst", |seen| seen["GlobalStatus"] == 480);
    }
    wait_entry(&top, "probe_changed", "on fire");

    // The same result again moves its time and nothing else.
    let before = wait_status(&top, &me, "full", 210);
    let later = wait_seen(&top, &me, "the time of a result that stays the same moves on", |seen| {
        probe(seen, "full")["Timestamp"].as_i64() > probe(&before, "full")["Timestamp"].as_i64()
    });
    assert_eq!(probe(&later, "full")["Since"], probe(&before, "full")["Since"]);

    std::fs::remove_file(leaf.home.interval(2).join("full")).unwrap();
    wait_seen(&top, &me, "the probe is gone", |seen| probe(seen, "full").is_null());
    wait_entry(&top, "probe_gone", "full");
    wait_same_journal(&leaf, &top);
    wait_same_journal(&middle, &top);
}

#[test]
fn two_masters_get_the_same() {
    let ((one, one_port), (other, other_port)) = (open_master("one"), open_master("other"));
    let leaf = client("leaf", &[one_port, other_port]).start();
    let me = uuid(&leaf);
    for status in [100, 250, 100] {
        tell(&leaf.home, status, "as told");
        wait_status(&one, &me, "puppet", status);
        wait_status(&other, &me, "puppet", status);
    }
    // One of them going does not matter to the other.
    drop(one);
    tell(&leaf.home, 300, "as told");
    wait_status(&other, &me, "puppet", 300);
    wait_same_journal(&leaf, &other);
}

#[test]
fn two_that_report_to_each_other_see_each_host_once() {
    let (one_port, other_port) = (free_port(), free_port());
    let make = |name: &str, port: u16, above: u16| {
        let mut home = Home::named(name);
        home.probe(2, "puppet", &says(100, "as told"));
        takes_clients(&mut home, port, "AutoAcceptClients = true");
        reports_to(&mut home, &[above], "");
        home.start()
    };
    let one = make("one", one_port, other_port);
    let other = make("other", other_port, one_port);
    let leaf = client("leaf", &[one_port]).start();
    let (a, b, below) = (uuid(&one), uuid(&other), uuid(&leaf));
    wait_alive(&one, &b);
    wait_alive(&other, &a);
    for status in [210, 220, 230, 100] {
        tell(&one.home, status, "as told");
        wait_status(&other, &a, "puppet", status);
        tell(&leaf.home, status, "as told");
        // Below the one, and through it at the other.
        wait_status(&one, &below, "puppet", status);
        wait_status(&other, &below, "puppet", status);
    }
    for agent in [&one, &other] {
        // `seen` fails for who stands there twice.
        [&a, &b, &below].iter().for_each(|uuid| drop(seen(agent, uuid).unwrap()));
        let names = agent.json("/api/hosts");
        assert_eq!(names.as_array().unwrap().len(), 3, "{names}");
        assert_never(agent, "", &["instance_down"]);
    }
    wait_same_journal(&leaf, &one);
    wait_same_journal(&leaf, &other);
    // News of both are in both journals once, and go round no more.
    wait_same_journal(&one, &other);
    wait_same_journal(&other, &one);
}

#[test]
fn a_host_below_two_middles_stands_once_and_moves_without_an_alarm() {
    let (top, top_port) = open_master("top");
    let ((left, left_port), (right, right_port)) =
        (middle("left", &[top_port]), middle("right", &[top_port]));
    let leaf = client("leaf", &[left_port, right_port]).start();
    let (me, over) = (uuid(&leaf), [uuid(&left), uuid(&right)]);
    wait_alive(&left, &me);
    wait_alive(&right, &me);
    wait_alive(&top, &me);
    let below = |uuid: &str| seen(&top, uuid).unwrap()["RemoteWigos"][&me].is_object();
    let chosen = over.iter().position(|uuid| below(uuid)).unwrap();
    let (gone, stays) = if chosen == 0 { (left, right) } else { (right, left) };
    wait_seen(&top, &me, "the other way is shown", |seen| {
        seen["Alternatives"] == serde_json::json!([over[1 - chosen]])
    });
    wait_same_journal(&leaf, &stays);
    gone.kill();
    wait_seen(&top, &over[1 - chosen], "it stands below the other", |seen| {
        seen["RemoteWigos"][&me]["IsAlive"] == true
    });
    wait_seen(&top, &over[chosen], "the other middle is down", |seen| seen["GlobalStatus"] == 999);
    tell(&leaf.home, 260, "as told");
    wait_status(&top, &me, "puppet", 260);
    wait_same_journal(&leaf, &top);
    assert_never(&top, "leaf", &["instance_down"]);
    drop(leaf);
    // Now it is heard by no way.
    wait_seen(&top, &me, "it is down", |seen| seen["IsAlive"] == false);
}

#[test]
fn an_instance_that_left_below_leaves_above_too() {
    let (top, top_port) = open_master("top");
    let (middle, middle_port) = middle("middle", &[top_port]);
    let mut leaf = client("leaf", &[middle_port]).start();
    let me = uuid(&leaf);
    wait_alive(&top, &me);
    leaf.home.change("Enabled = true\nAddress = [", "Enabled = false\nAddress = [");
    leaf.hang_up();
    wait_gone(&middle, &me);
    wait_gone(&top, &me);
    assert_never(&top, "leaf", &["instance_down"]);
}
