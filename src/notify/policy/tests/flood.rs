//! Too much at once.

use super::*;
use crate::notify::{incident::MAX_MEMBERS, message::MAX_LINES};

#[test]
fn ten_thousand_transitions_in_a_second_are_bounded_and_one_digest() {
    const HOSTS: usize = 10_000;
    let mut rules = rules();
    rules.channels[0].per_minute = 30;
    let mut sim = Sim::new(rules);
    let mut facts: Vec<_> =
        (0..HOSTS).map(|n| sim.change(&format!("host{n}"), "ping", CRIT)).collect();
    let said = sim.handle(&facts);
    assert_eq!(said.len(), 30);
    assert_eq!(sim.all.decisions.len(), HOSTS, "each is explained");
    let later = sim.pass(minutes(1));
    assert_eq!(later, ["mail digest: 9970 messages in one, the worst CRIT"]);
    let digest = sim.all.messages.last().unwrap();
    assert_eq!((digest.lines.len(), digest.total), (MAX_LINES, 9_970));
    // The end of all of it: who was told hears it, in a digest too.
    facts = (0..HOSTS).map(|n| sim.change(&format!("host{n}"), "ping", OK)).collect();
    let said = [sim.handle(&facts), sim.pass(minutes(2))].concat();
    assert!(said.len() <= 61, "{}", said.len());
    assert_eq!(sim.policy.incidents().count(), 0);
    assert!(sim.stored.keys().all(|(kind, _)| !["subject", "incident"].contains(&&**kind)));
    let told = sim.all.messages.iter().filter(|it| it.incident.is_some()).count();
    let in_digests =
        sim.all.messages.iter().filter(|it| it.kind == Kind::Digest).map(|it| it.total);
    assert_eq!(told + in_digests.sum::<u32>() as usize, 2 * HOSTS, "nothing is lost");
}

#[test]
fn an_incident_with_very_many_members_lists_some() {
    let mut sim = Sim::new(rules());
    let count = MAX_MEMBERS + 50;
    let facts: Vec<_> = (0..count).map(|n| sim.change("db1", &format!("p{n}"), CRIT)).collect();
    let mut said = sim.handle(&facts);
    said.extend(sim.pass(minutes(5)));
    assert_eq!(said.len(), 2);
    assert_eq!(sim.all.messages[1].total as usize, count);
    let incident = sim.policy.incidents().next().unwrap();
    assert_eq!((incident.members.len(), incident.unlisted), (MAX_MEMBERS, 50));
    let facts: Vec<_> = (0..count).map(|n| sim.change("db1", &format!("p{n}"), OK)).collect();
    assert_eq!(sim.handle(&facts).len(), 1);
    assert_eq!(sim.policy.incidents().count(), 0);
}

#[test]
fn reminders_give_way_to_what_is_new() {
    let mut rules = rules();
    rules.channels[0].per_minute = 4;
    let backoff = crate::notify::rules::Backoff::None;
    rules.repeat = Some(crate::notify::rules::Repeat {
        interval: minutes(60),
        backoff,
        limit: 0,
        raise: false,
    });
    let mut sim = Sim::new(rules);
    for n in 0..4 {
        assert_eq!(sim.set(&format!("host{n}"), "ping", CRIT).len(), 1);
    }
    sim.pass(minutes(59));
    let said = sim.pass(minutes(1));
    assert!(said.len() < 4, "{said:?}");
    assert_eq!(sim.set("host9", "ping", CRIT).len(), 1);
}
