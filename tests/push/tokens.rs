//! Join tokens: clients that are let in without an operator, as often and as long as was said.

use crate::{
    fleet::{free_port, reports_to, seen, takes_clients, uuid, wait_alive, wait_entry, waiting},
    harness::{Agent, Home, text_of, wait_until},
};

fn master() -> (Agent, u16) {
    let (mut home, port) = (Home::named("master"), free_port());
    takes_clients(&mut home, port, "");
    (home.start(), port)
}

/// What `wigo token join` prints, run beside the running master.
fn token(master: &Agent, arguments: &[&str]) -> String {
    let output = master.home.wigo(&[&["token", "join"], arguments].concat());
    assert!(output.status.success(), "{}", text_of(&output));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = printed.split_whitespace().find(|word| word.starts_with("wigo-join_"));
    found.unwrap_or_else(|| panic!("no token in {printed}")).to_owned()
}

fn joins(name: &str, port: u16, token: &str) -> Agent {
    let mut home = Home::named(name);
    reports_to(&mut home, &[port], &format!("RequireFingerprint = true\nJoinToken = \"{token}\""));
    home.start()
}

/// It was not let in by its token, and an operator is told why.
fn is_left_waiting(client: &Agent, master: &Agent, why: &str) {
    let me = uuid(client);
    wait_until("it waits", || waiting(master).contains(&me));
    let entry = wait_entry(master, "client_waiting", &me);
    assert!(entry["Message"].as_str().unwrap().contains(why), "{entry}");
    assert!(seen(master, &me).is_none());
}

#[test]
fn a_token_lets_in_as_many_as_it_is_for() {
    let (master, port) = master();
    let token = token(&master, &["--uses", "2"]);
    // It holds the fingerprint of the authority, so that nothing is believed at first contact.
    let (one, two) = (joins("one", port, &token), joins("two", port, &token));
    wait_alive(&master, &uuid(&one));
    wait_alive(&master, &uuid(&two));
    let three = joins("three", port, &token);
    is_left_waiting(&three, &master, "used up");
    for agent in [&one, &master] {
        assert!(!agent.log().contains(&token), "a token is a secret");
    }
}

#[test]
fn a_token_is_for_its_group_its_time_and_its_master() {
    let (master, port) = master();
    let foreign = token(&master, &["--group", "others"]);
    let short = token(&master, &["--for", "1s"]);
    wait_until("its time is over", || {
        let list = master.home.wigo(&["token", "list"]);
        let text = text_of(&list);
        assert!(list.status.success(), "{text}");
        text.contains("expired")
    });
    is_left_waiting(&joins("stranger", port, &foreign), &master, "another group");
    is_left_waiting(&joins("late", port, &short), &master, "expired");
    // One of another master names another authority: not even asked.
    let (other, _) = self::master();
    let misled = joins("misled", port, &token(&other, &[]));
    misled.wait_log("somebody is in between");
    assert!(seen(&master, &uuid(&misled)).is_none());
    assert!(!waiting(&master).contains(&uuid(&misled)));
    assert!(!misled.home.path("master.crt").exists());
}

#[test]
fn two_that_race_for_the_last_use_do_not_both_win() {
    let (master, port) = master();
    let token = token(&master, &[]);
    let both = [joins("one", port, &token), joins("two", port, &token)];
    let uuids = both.each_ref().map(uuid);
    let is_in = |uuid: &String| seen(&master, uuid).is_some_and(|seen| seen["IsAlive"] == true);
    wait_until("one is in and the other waits", || {
        let waits = waiting(&master);
        let (inside, outside): (Vec<&String>, Vec<&String>) =
            uuids.iter().partition(|uuid| is_in(uuid));
        inside.len() == 1 && outside.iter().all(|uuid| waits.contains(uuid))
    });
    let kinds = crate::fleet::kinds(&master, "master");
    assert_eq!(kinds.iter().filter(|kind| *kind == "client_allowed").count(), 1, "{kinds:?}");
}
