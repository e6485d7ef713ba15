//! What is behind something that is down, and what we cannot see ourselves.

use super::*;
use crate::notify::rules::{Backoff, Dependency, Repeat};

#[test]
fn what_is_behind_a_host_that_is_down_is_not_told() {
    let mut sim = Sim::new(rules());
    sim.below("leaf", &["gate"]);
    assert_eq!(sim.host("gate", What::HostDown), ["mail problem: gate is down"]);
    assert_eq!(sim.host("leaf", What::HostDown), [""; 0]);
    assert_eq!(sim.why(), "Waiting Parent: it is behind gate, which is down");
    assert_eq!(sim.set("leaf", "disk", CRIT), [""; 0]);
    assert_eq!(sim.policy.behind(&sim.world), [("leaf".to_owned(), "gate".to_owned())]);
    assert_eq!(sim.pass(minutes(60)), [""; 0]);
}

#[test]
fn children_are_looked_at_once_before_they_page() {
    let mut sim = Sim::new(rules());
    let on = vec!["switch".to_owned()];
    let dependency = Dependency { group: None, host: Some("web*".to_owned()), on };
    sim.policy.set_rules(Rules { dependencies: vec![dependency], ..rules() });
    sim.set("web1", "ping", OK);
    sim.set("web2", "ping", OK);
    sim.set("switch", "ping", OK);
    sim.host("switch", What::HostDown);
    sim.set("web1", "ping", CRIT);
    sim.set("web2", "ping", CRIT);
    sim.pass(minutes(10));
    assert_eq!(
        sim.host("switch", What::HostUp),
        ["mail recovered: switch is up again after 10 min"]
    );
    // One is well at its next run, the other is not.
    sim.pass(seconds(30));
    sim.silently("web1", "ping", OK);
    let said = sim.pass(minutes(3));
    assert_eq!(said, ["mail problem: web2 / ping is CRIT: said 300"]);
    assert_eq!(sim.pass(minutes(60)), [""; 0]);
    assert_eq!(sim.set("web2", "ping", OK).len(), 1);
    assert!(check_all(&sim.all).is_empty());
}

#[test]
fn an_old_result_that_comes_late_is_not_judged_after_the_return() {
    let mut sim = Sim::new(rules());
    sim.host("db1", What::HostDown);
    sim.pass(minutes(5));
    let late = sim.change("db1", "disk", CRIT);
    sim.pass(minutes(5));
    sim.silently("db1", "disk", OK);
    sim.host("db1", What::HostUp);
    assert_eq!(sim.handle(&[late]), [""; 0]);
    assert!(sim.why().starts_with("Waiting Rechecked"), "{}", sim.why());
    assert_eq!(sim.pass(minutes(10)), [""; 0]);
}

#[test]
fn what_a_child_was_told_of_is_taken_back_after_it_was_looked_at() {
    let mut sim = Sim::new(rules());
    sim.below("leaf", &["gate"]);
    assert_eq!(sim.set("leaf", "disk", CRIT).len(), 1);
    sim.host("gate", What::HostDown);
    assert_eq!(sim.set("leaf", "disk", OK), [""; 0]);
    sim.pass(minutes(10));
    sim.host("gate", What::HostUp);
    let said = sim.pass(minutes(3));
    assert_eq!(said, ["mail recovered: leaf / disk is OK again after 11 min"]);
    assert!(check_all(&sim.all).is_empty());
}

#[test]
fn a_host_behind_another_that_does_not_come_back_is_down_then() {
    let mut sim = Sim::new(rules());
    sim.below("leaf", &["gate"]);
    sim.below("leaf2", &["gate"]);
    sim.host("gate", What::HostDown);
    sim.host("leaf", What::HostDown);
    sim.host("leaf2", What::HostDown);
    sim.pass(minutes(10));
    sim.host("gate", What::HostUp);
    sim.world.places.get_mut("leaf2").unwrap().is_reached = true;
    let said = sim.pass(minutes(3));
    assert_eq!(said, ["mail problem: leaf is down"]);
}

#[test]
fn nobody_is_reminded_of_what_cannot_be_seen() {
    let backoff = Backoff::None;
    let repeat = Repeat { interval: minutes(60), backoff, limit: 0, raise: false };
    let mut sim = Sim::new(Rules { repeat: Some(repeat), group_window: seconds(5), ..rules() });
    sim.below("leaf", &["gate"]);
    sim.set("leaf", "disk", CRIT);
    sim.pass(minutes(30));
    sim.host("gate", What::HostDown);
    let said = sim.pass(minutes(89));
    assert_eq!(said, ["mail reminder: gate is still down for 1 h"]);
    sim.host("gate", What::HostUp);
    let said = sim.pass(minutes(2));
    assert_eq!(said.len(), 1, "after it was seen again: {said:?}");
    assert!(said[0].starts_with("mail reminder: leaf / disk"), "{said:?}");
}

#[test]
fn a_blind_monitor_says_so_and_judges_nothing() {
    let mut sim = Sim::new(rules());
    sim.silence(Scope::All, minutes(600));
    for (host, number) in [("a", OK), ("b", OK)] {
        sim.set(host, "ping", number);
    }
    let (_, said) = sim.command(Command::Blind { blind: true });
    assert_eq!(
        said,
        ["mail notice: master: this monitor is blind: none of its witnesses is reached"]
    );
    assert!(sim.policy.is_blind());
    sim.command(Command::Lift { id: 1, author: "alice".to_owned() });
    sim.set("a", "ping", CRIT);
    assert_eq!(sim.set("b", "ping", CRIT), [""; 0]);
    assert_eq!(sim.why(), "Waiting Blind: this monitor is cut off, so nothing is known");
    assert_eq!(sim.command(Command::Blind { blind: true }).1, [""; 0]);
    assert_eq!(sim.pass(minutes(30)), [""; 0]);
    sim.set("b", "ping", OK);
    sim.pass(minutes(5));
    let (_, said) = sim.command(Command::Blind { blind: false });
    assert_eq!(said, ["mail notice: master: this monitor was blind for 35 min and sees again"]);
    assert_eq!(sim.pass(minutes(3)), ["mail problem: a / ping is CRIT: said 300"]);
    assert_eq!(sim.pass(minutes(60)), [""; 0]);
}
