//! One thing breaks, and what people hear of it.

use super::*;
use crate::notify::{
    Outcome, Reason,
    rules::{Backoff, Confirm, Hours, Repeat},
};

#[test]
fn a_problem_and_its_end_are_told_once_each() {
    let mut sim = Sim::new(rules());
    assert_eq!(sim.set("db1", "disk", OK), [""; 0]);
    assert_eq!(sim.set("db1", "disk", CRIT), ["mail problem: db1 / disk is CRIT: said 300"]);
    assert_eq!(sim.pass(minutes(12)), [""; 0]);
    assert_eq!(sim.set("db1", "disk", OK), ["mail recovered: db1 / disk is OK again after 12 min"]);
    assert_eq!(sim.pass(minutes(600)), [""; 0]);
    assert_eq!(sim.policy.incidents().count(), 0);
    // Of a subject that is simply well nothing is remembered.
    assert!(sim.stored.keys().all(|(kind, _)| kind != "subject" && kind != "incident"));
}

#[test]
fn a_message_is_complete() {
    let mut sim = Sim::new(rules());
    let place = Place {
        group: "prod".to_owned(),
        labels: BTreeMap::from([("env".to_owned(), "live".to_owned())]),
        is_reached: true,
        runbooks: BTreeMap::from([("*".to_owned(), "https://run.example/db".to_owned())]),
        above: Vec::new(),
    };
    sim.world.places.insert("db1".to_owned(), place);
    sim.set("db1", "disk", CRIT);
    sim.set("db1", "load", WARN);
    sim.pass(minutes(1));
    let [first, joined] = &sim.all.messages[..] else { panic!("{:?}", sim.all.messages) };
    let id = first.incident.unwrap();
    assert_eq!(first.key, format!("{id}:1:mail"));
    assert_eq!(first.link, Some(format!("https://wigo.example/incidents/{id}")));
    assert_eq!(first.runbook.as_deref(), Some("https://run.example/db"));
    assert_eq!(first.labels["env"], "live");
    assert!(first.is_first);
    assert_eq!(
        (joined.kind, &joined.thread, joined.is_first),
        (Kind::Joined, &first.thread, false)
    );
    assert_eq!((joined.bad, joined.total), (2, 2));
    assert_eq!(joined.title, "db1 / disk is CRIT, and more broke (2 of 2)");
    assert_eq!(joined.lines[0].subject, probe("db1", "load"));
    assert_eq!(joined.expires, joined.at + SignedDuration::from_hours(24));
}

#[test]
fn what_is_worse_or_better_is_told_from_the_level_on() {
    let mut rules = rules();
    rules.channels[0].min_level = status(CRIT);
    let mut sim = Sim::new(rules);
    assert_eq!(sim.set("db1", "disk", WARN), [""; 0]);
    assert_eq!(sim.why(), "Held Level: 200 is below 300");
    assert_eq!(sim.set("db1", "disk", CRIT), ["mail problem: db1 / disk is CRIT: said 300"]);
    assert_eq!(
        sim.set("db1", "disk", ERROR),
        ["mail worsened: db1 / disk is ERROR, it was CRIT: said 500"]
    );
    assert_eq!(
        sim.set("db1", "disk", WARN),
        ["mail improved: db1 / disk is WARN, it was ERROR: said 200"]
    );
    assert_eq!(sim.set("db1", "disk", OK).len(), 1);
}

#[test]
fn what_is_below_the_level_of_all_messages_opens_nothing_and_keeps_nothing_open() {
    let mut rules = rules();
    rules.min_level = status(CRIT);
    let mut sim = Sim::new(rules);
    assert_eq!(sim.set("db1", "victim", WARN), [""; 0]);
    assert_eq!(sim.policy.incidents().count(), 0);
    assert_eq!(sim.set("db1", "disk", CRIT), ["mail problem: db1 / disk is CRIT: said 300"]);
    sim.set("db1", "load", WARN);
    assert_eq!(sim.set("db1", "disk", WARN).len(), 1);
    assert_eq!(sim.policy.incidents().count(), 0);
    assert_eq!(sim.pass(minutes(600)), [""; 0]);
}

#[test]
fn what_is_said_of_one_member_is_not_how_bad_another_is() {
    let mut sim = Sim::new(rules());
    sim.set("db1", "disk", WARN);
    assert_eq!(
        sim.set("db1", "web", CRIT),
        ["mail worsened: db1 / web is CRIT: said 300 (2 of 2)"]
    );
    sim.set("db1", "load", WARN);
    assert_eq!(sim.pass(minutes(2)), ["mail joined: db1 / web is CRIT, and more broke (3 of 3)"]);
    let last = sim.all.messages.last().unwrap();
    assert_eq!(
        (&last.subject, last.status, &*last.output),
        (&probe("db1", "web"), status(CRIT), "said 300")
    );
}

#[test]
fn a_recovery_without_a_problem_is_never_told() {
    let mut rules = rules();
    rules.channels[0].min_level = status(CRIT);
    let mut sim = Sim::new(rules);
    sim.set("db1", "disk", WARN);
    assert_eq!(sim.set("db1", "disk", OK), [""; 0]);
    assert_eq!(sim.why(), "Held Told: it was not told that anything broke");
    // It was bad before we ever looked.
    let what = What::Status { was: Some(status(CRIT)), now: status(OK) };
    let fact = sim.fact(origin("db2"), probe("db2", "disk"), what, "");
    assert_eq!(sim.handle(&[fact]), [""; 0]);
    assert_eq!(sim.why(), "Held Incident: it is in no incident: nobody was told of it");
}

#[test]
fn what_is_switched_off_is_an_incident_all_the_same() {
    let mut sim = Sim::new(Rules { on_probe_change: false, ..rules() });
    assert_eq!(sim.set("db1", "disk", CRIT), [""; 0]);
    assert_eq!(sim.why(), "Held Enabled: OnProbeChange is switched off");
    assert_eq!(sim.policy.incidents().count(), 1);
    assert_eq!(sim.host("db2", What::HostDown), ["mail problem: db2 is down"]);
    assert_eq!(sim.host("db2", What::HostUp), ["mail recovered: db2 is up again after 0 s"]);
    sim.policy.set_rules(Rules { on_host_change: false, on_probe_change: false, ..rules() });
    assert_eq!(sim.host("db2", What::HostDown), [""; 0]);
}

#[test]
fn only_recoveries_go_out_where_only_they_are_wanted() {
    let mut sim = Sim::new(Rules { rescue_only: true, ..rules() });
    assert_eq!(sim.set("db1", "disk", CRIT), [""; 0]);
    assert_eq!(sim.why(), "Held RescueOnly: only recoveries are sent");
    assert_eq!(sim.set("db1", "disk", OK), ["mail recovered: db1 / disk is OK again after 0 s"]);
}

#[test]
fn a_change_counts_when_enough_runs_say_so() {
    let confirm = Confirm { matches: Matcher::default(), runs: 2, of: 3 };
    let mut sim = Sim::new(Rules { confirm: vec![confirm], ..rules() });
    assert_eq!(sim.set("db1", "disk", CRIT), [""; 0]);
    assert_eq!(sim.why(), "Waiting Confirmed: 1 of 3 runs, 2 are needed");
    assert_eq!(sim.policy.standing(&probe("db1", "disk")).unwrap().shown, status(CRIT));
    sim.pass(seconds(59));
    assert_eq!(sim.pass(seconds(1)), ["mail problem: db1 / disk is CRIT: said 300"]);
    // The second run back is needed as well.
    sim.pass(seconds(60));
    assert_eq!(sim.set("db1", "disk", OK), [""; 0]);
    sim.pass(seconds(30));
    assert_eq!(sim.pass(seconds(30)).len(), 1);
    // A blip is none, and two within three runs are.
    sim.pass(minutes(30));
    assert!(sim.policy.standing(&probe("db1", "disk")).is_none());
    assert_eq!(sim.set("db1", "disk", CRIT), [""; 0]);
    sim.pass(seconds(59));
    sim.world.now += SignedDuration::from_secs(1);
    assert_eq!(sim.set("db1", "disk", OK), [""; 0]);
    assert_eq!(sim.why(), "Held Confirmed: it is OK as before");
    sim.pass(seconds(59));
    sim.world.now += SignedDuration::from_secs(1);
    assert_eq!(sim.set("db1", "disk", CRIT).len(), 1);
}

#[test]
fn the_incident_began_when_the_first_run_was_bad() {
    let confirm = Confirm { matches: Matcher::default(), runs: 3, of: 5 };
    let mut sim = Sim::new(Rules { confirm: vec![confirm], ..rules() });
    let began = sim.now();
    sim.set("db1", "disk", CRIT);
    assert_eq!(sim.pass(minutes(2)).len(), 1);
    let incident = sim.policy.incidents().next().unwrap();
    assert_eq!(incident.opened, began);
    assert_eq!(sim.all.messages[0].since, began);
}

#[test]
fn five_probes_of_one_host_are_one_incident_and_two_messages() {
    let mut sim = Sim::new(rules());
    let mut said = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        said.extend(sim.set("db1", name, CRIT));
        sim.world.now += SignedDuration::from_secs(1);
    }
    said.extend(sim.pass(minutes(5)));
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[1], "mail joined: db1 / a is CRIT, and more broke (5 of 5)");
    for name in ["a", "b", "c", "d"] {
        assert_eq!(sim.set("db1", name, OK), [""; 0]);
    }
    assert_eq!(
        sim.set("db1", "e", OK),
        ["mail recovered: db1 / a is OK again after 5 min (all 5)"]
    );
    // Much later it is another one.
    assert_eq!(sim.set("db1", "a", CRIT), ["mail problem: db1 / a is CRIT: said 300"]);
    sim.pass(minutes(1));
    assert_eq!(sim.set("db1", "b", CRIT).len(), 1);
    assert_eq!(sim.policy.incidents().count(), 2);
    check_all(&sim.all);
}

#[test]
fn what_breaks_again_in_an_open_incident_is_bad_in_it_again() {
    let mut sim = Sim::new(rules());
    sim.set("db1", "a", CRIT);
    sim.set("db1", "b", CRIT);
    sim.pass(minutes(5));
    sim.set("db1", "b", OK);
    assert_eq!(sim.set("db1", "b", CRIT), [""; 0]);
    let incident = sim.policy.incidents().next().unwrap();
    assert_eq!(incident.count(), (2, 2));
    sim.set("db1", "a", OK);
    assert_eq!(sim.set("db1", "b", OK).len(), 1);
}

#[test]
fn the_first_message_waits_for_more_if_told_so() {
    let mut sim = Sim::new(Rules { group_wait: seconds(10), ..rules() });
    assert_eq!(sim.set("db1", "a", CRIT), [""; 0]);
    assert!(sim.why().starts_with("Grouped Grouping: told with what joins until"), "{}", sim.why());
    sim.set("db1", "b", WARN);
    let said = sim.pass(minutes(1));
    assert_eq!(said, ["mail problem: db1 / a is CRIT: said 300 (2 of 2)"]);
    // What is over within the wait is not told at all.
    sim.set("db2", "a", CRIT);
    sim.set("db2", "a", OK);
    assert_eq!(sim.pass(minutes(1)), [""; 0]);
}

#[test]
fn channels_are_told_what_is_for_them() {
    let mut rules = rules();
    let mut disks = channel("disks");
    disks.matches.probes = vec!["dis*".to_owned()];
    disks.matches.groups = vec!["PROD".to_owned()];
    let mut office = channel("office");
    office.hours = Some(Hours {
        days: vec![1, 2, 3, 4, 5],
        from: "08:00".parse().unwrap(),
        to: "18:00".parse().unwrap(),
        zone: jiff::tz::TimeZone::UTC,
    });
    let mut spare = channel("spare");
    spare.only_fallback = true;
    rules.channels = vec![disks, office, spare];
    rules.group_window = Duration::ZERO;
    let mut sim = Sim::starting(rules, "2026-03-04T17:59:00Z");
    assert_eq!(sim.set("db1", "load", CRIT), ["office problem: db1 / load is CRIT: said 300"]);
    assert_eq!(sim.set("db1", "disk", CRIT).len(), 2);
    sim.pass(minutes(2));
    // After hours: who was told hears the end, and nothing new.
    assert_eq!(sim.set("db1", "load", OK).len(), 1);
    assert_eq!(sim.set("db1", "mem", CRIT), [""; 0]);
    assert!(sim.all.decisions.iter().all(|it| it.reason().is_some()));
    sim.pass(minutes(24 * 60));
    assert_eq!(sim.set("db1", "mem", OK), [""; 0]);
    check_all(&sim.all);
}

#[test]
fn reminders_come_at_growing_intervals_and_say_how_long() {
    let mut rules = rules();
    let backoff = Backoff::Linear;
    rules.repeat = Some(Repeat { interval: minutes(60), backoff, limit: 2, raise: true });
    let mut sim = Sim::new(rules);
    sim.host("db1", What::HostDown);
    assert_eq!(sim.pass(minutes(59)), [""; 0]);
    assert_eq!(sim.pass(minutes(1)), ["mail reminder: db1 is still down for 1 h"]);
    assert_eq!(sim.pass(minutes(119)), [""; 0]);
    assert_eq!(sim.pass(minutes(1)), ["mail reminder: db1 is still down for 3 h"]);
    assert_eq!(sim.pass(minutes(120)).len(), 1);
    let reminders: Vec<_> = sim.all.messages.iter().map(|it| (it.reminder, it.priority)).collect();
    use crate::notify::Priority::{High, Normal};
    assert_eq!(reminders, [(0, Normal), (1, High), (2, High), (3, High)]);
    sim.acknowledge(Subject::host("db1"));
    assert_eq!(sim.pass(minutes(6_000)), [""; 0]);
    assert_eq!(sim.host("db1", What::HostUp).len(), 1);
    assert_eq!(sim.policy.deadline(), None);
}

#[test]
fn who_is_told_only_reminders_hears_nothing_else() {
    let mut rules = rules();
    let backoff = Backoff::None;
    rules.repeat = Some(Repeat { interval: minutes(60), backoff, limit: 0, raise: false });
    rules.channels[0].reminders_only = true;
    let mut sim = Sim::new(rules);
    assert_eq!(sim.set("db1", "disk", CRIT), [""; 0]);
    assert_eq!(sim.pass(minutes(120)).len(), 2);
    assert_eq!(sim.set("db1", "disk", OK), [""; 0]);
    assert_eq!(sim.pass(minutes(600)), [""; 0]);
}

#[test]
fn what_lasts_is_told_further() {
    let mut rules = rules();
    let mut boss = channel("boss");
    boss.escalation = true;
    rules.channels.push(boss);
    rules.escalate_after = minutes(30);
    let mut sim = Sim::new(rules);
    assert_eq!(sim.set("db1", "disk", CRIT).len(), 1);
    assert_eq!(sim.pass(minutes(29)), [""; 0]);
    assert_eq!(sim.pass(minutes(1)), ["boss problem: db1 / disk is CRIT: said 300"]);
    assert_eq!(sim.all.messages[1].priority, crate::notify::Priority::High);
    assert_eq!(sim.set("db1", "disk", OK).len(), 2);
    // Not what somebody looks after, until he does not any more.
    sim.set("db2", "disk", CRIT);
    sim.acknowledge(probe("db2", "disk"));
    assert_eq!(sim.pass(minutes(60)), [""; 0]);
    let scope = Scope::Subject(Subject::host("db2"));
    let (_, said) = sim.command(Command::Unsuppress { scope, author: "bob".to_owned() });
    assert_eq!(said, ["boss problem: db2 / disk is CRIT: said 300"]);
    check_all(&sim.all);
}

#[test]
fn what_is_gone_is_over() {
    let mut sim = Sim::new(rules());
    sim.set("db1", "disk", CRIT);
    let fact = sim.fact(origin("db1"), probe("db1", "disk"), What::Gone, "");
    assert_eq!(sim.handle(&[fact]), ["mail recovered: db1 / disk is gone after 0 s"]);
    sim.set("db1", "disk", CRIT);
    sim.set("db1", "load", CRIT);
    let fact = sim.fact(MASTER, Subject::host("db1"), What::HostGone, "");
    assert_eq!(sim.handle(&[fact]).len(), 1);
    assert_eq!(sim.policy.incidents().count(), 0);
    check_all(&sim.all);
}

#[test]
fn a_notice_goes_to_whom_it_is_for_and_opens_nothing() {
    let mut sim = Sim::new(rules());
    let what = What::Notice(status(WARN));
    let fact = sim.fact(origin("m"), Subject::host("m"), what, "New client db9 waits");
    assert_eq!(sim.handle(&[fact]), ["mail notice: m: New client db9 waits"]);
    assert_eq!(sim.policy.incidents().count(), 0);
    let decision = sim.all.decisions.last().unwrap();
    assert_eq!(
        (decision.outcome, decision.reason().unwrap().reason),
        (Outcome::Sent, Reason::RateLimit)
    );
}

#[test]
fn two_masters_give_one_incident_one_id() {
    let (mut one, mut two) = (Sim::new(rules()), Sim::new(rules()));
    let other = Uuid::from_u128(2);
    two.policy = Policy::new(rules(), other, Stored::default());
    let mut ids = Vec::new();
    for (n, sim) in [&mut one, &mut two].into_iter().enumerate() {
        // Each has heard something the other has not, and numbers by itself.
        let own = if n == 0 { MASTER } else { other };
        sim.entry = 1_000 * n as u64;
        sim.world.numbers.insert(own, 77 * n as u64);
        sim.set("db1", "disk", OK);
        sim.set("db1", "disk", CRIT);
        sim.world.now += SignedDuration::from_secs(60 + n as i64);
        for what in [What::HostDown, What::HostUp, What::HostDown] {
            let fact = sim.fact(own, Subject::host("db1"), what, "");
            sim.handle(&[fact]);
            sim.pass(minutes(10));
        }
        ids.push(sim.all.messages.iter().map(|it| (it.kind, it.incident)).collect::<Vec<_>>());
    }
    assert_eq!(ids[0], ids[1]);
    let different: BTreeSet<_> = ids[0].iter().map(|(_, id)| *id).collect();
    assert_eq!(different.len(), 3, "{:?}", one.all.messages);
}

#[test]
fn a_later_incident_that_is_over_hides_no_earlier_one() {
    let mut sim = Sim::new(Rules { group_window: minutes(5), group_by: GroupBy::Group, ..rules() });
    sim.set("db1", "disk", CRIT);
    sim.pass(minutes(4));
    let late = sim.change("db3", "disk", CRIT);
    sim.pass(minutes(2));
    sim.set("db2", "disk", CRIT);
    sim.set("db2", "disk", OK);
    assert_eq!(sim.policy.incidents().count(), 1);
    sim.handle(&[late]);
    assert_eq!(sim.policy.incidents().next().unwrap().count(), (2, 2));
}

#[test]
fn what_a_channel_is_owed_waits_though_the_incident_ends_with_something_else() {
    let mut rules = rules();
    let mut disks = channel("disks");
    disks.matches.probes = vec!["disk".to_owned()];
    rules.channels = vec![disks];
    rules.quiet = Some(crate::notify::rules::Quiet {
        from: "13:00".parse().unwrap(),
        to: "15:00".parse().unwrap(),
        zone: jiff::tz::TimeZone::UTC,
        min_level: None,
    });
    let mut sim = Sim::new(rules);
    assert_eq!(sim.set("db1", "disk", CRIT).len(), 1);
    sim.set("db1", "load", CRIT);
    sim.pass(minutes(70));
    assert_eq!(sim.set("db1", "disk", OK), [""; 0]);
    assert_eq!(sim.set("db1", "load", OK), [""; 0]);
    assert_eq!(sim.pass(minutes(120)).len(), 1);
    assert!(check_all(&sim.all).is_empty());
}
