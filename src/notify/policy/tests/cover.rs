//! What people hold back, and what they hear afterwards.

use super::*;
use crate::notify::{Schedule, Suppression, Window};

fn all() -> Scope {
    Scope::All
}

fn held(sim: &Sim) -> u64 {
    let silences = sim.policy.suppressions().map(|it| match it {
        Suppression::Ack(ack) => ack.held,
        Suppression::Silence(silence) => silence.held,
    });
    silences.sum::<u64>() + sim.policy.windows().map(|window| window.held).sum::<u64>()
}

fn window(sim: &mut Sim, schedule: Schedule) -> u64 {
    let window = Window {
        id: 0,
        name: "night work".to_owned(),
        scope: Scope::All,
        schedule,
        author: "alice".to_owned(),
        reason: String::new(),
        created: Timestamp::UNIX_EPOCH,
        ends: None,
        held: 0,
    };
    match sim.command(Command::SetWindow { window }).0 {
        Answer::Done(ids) => ids[0],
        Answer::Refused(why) => panic!("{why}"),
    }
}

#[test]
fn an_acknowledgement_covers_how_bad_it_was() {
    let mut sim = Sim::new(rules());
    assert!(matches!(sim.acknowledge(probe("db1", "disk")).0, Answer::Refused(_)));
    sim.set("db1", "disk", WARN);
    assert_eq!(sim.acknowledge(probe("db1", "disk")).0, Answer::Done(vec![1]));
    assert!(sim.policy.incidents().next().unwrap().ack.is_some());
    assert_eq!(sim.set("db1", "disk", CRIT).len(), 1);
    assert_eq!(sim.policy.suppressions().count(), 0, "it is worse than what bob knows");
    sim.acknowledge(probe("db1", "disk"));
    assert_eq!(sim.set("db1", "disk", WARN), [""; 0]);
    assert_eq!(sim.why(), "Held Acknowledged: acknowledged by bob: on it");
    assert_eq!(held(&sim), 1);
    assert_eq!(sim.set("db1", "disk", OK).len(), 1);
    assert_eq!(sim.policy.suppressions().count(), 0);
    assert_eq!(sim.set("db1", "disk", WARN).len(), 1);
}

#[test]
fn who_is_worse_than_acknowledged_is_told_even_if_others_are_worse_still() {
    let mut sim = Sim::new(rules());
    sim.set("db1", "a", ERROR);
    sim.set("db1", "b", WARN);
    sim.pass(minutes(5));
    sim.acknowledge(probe("db1", "b"));
    assert_eq!(sim.set("db1", "b", CRIT).len(), 1);
    assert_eq!(sim.set("db1", "b", ERROR), [""; 0]);
}

#[test]
fn the_acknowledgement_of_a_host_covers_its_probes() {
    let mut sim = Sim::new(rules());
    sim.set("db1", "a", CRIT);
    sim.set("db1", "b", WARN);
    sim.acknowledge(Subject::host("db1"));
    assert_eq!(sim.pass(minutes(5)), [""; 0], "nothing of who joined");
    assert_eq!(sim.set("db1", "b", CRIT), [""; 0]);
    assert_eq!(sim.set("db1", "b", ERROR).len(), 1);
    assert_eq!(sim.policy.suppressions().count(), 0);
}

#[test]
fn an_incident_is_acknowledged_with_all_its_members() {
    let mut sim = Sim::new(rules());
    sim.set("db1", "a", CRIT);
    sim.set("db1", "b", WARN);
    sim.pass(minutes(5));
    let id = sim.policy.incidents().next().unwrap().id;
    let (author, reason) = ("bob".to_owned(), String::new());
    let command = Command::AcknowledgeIncident { id, author, reason, until: None };
    assert_eq!(sim.command(command).0, Answer::Done(vec![1, 2]));
    assert!(sim.policy.incident(id).unwrap().ack.is_some());
    sim.set("db1", "c", WARN);
    assert!(sim.policy.incident(id).unwrap().ack.is_none() || sim.policy.incidents().count() == 2);
}

#[test]
fn after_a_silence_it_is_looked_at_again_and_told_once() {
    let mut sim = Sim::new(rules());
    sim.silence(all(), minutes(60));
    for host in ["a", "b", "c"] {
        assert_eq!(sim.set(host, "disk", CRIT), [""; 0]);
        sim.pass(seconds(7));
    }
    assert_eq!(sim.why(), "Held Silenced: alice until 2026-03-04T13:00:00Z: work");
    assert_eq!(held(&sim), 3);
    sim.pass(minutes(50));
    sim.set("c", "disk", OK);
    let end = at("2026-03-04T13:00:00Z").duration_since(sim.now());
    assert_eq!(sim.pass(end.unsigned_abs()), [""; 0], "first it is looked at");
    let said = sim.pass(minutes(2));
    assert_eq!(said, ["mail summary: After silence by alice: 2 incidents, the worst CRIT"]);
    let message = sim.all.messages.last().unwrap();
    assert_eq!((message.lines.len(), message.total), (2, 2));
    assert_eq!(sim.pass(minutes(600)), [""; 0]);
    // They were told, so they hear the end.
    assert_eq!(sim.set("a", "disk", OK).len(), 1);
}

#[test]
fn one_incident_after_a_silence_is_a_problem_like_others() {
    let mut sim = Sim::new(rules());
    let id = sim.silence(Scope::Subject(Subject::host("a")), minutes(60));
    sim.set("a", "disk", CRIT);
    sim.pass(seconds(607));
    let (_, said) = sim.command(Command::Lift { id, author: "alice".to_owned() });
    assert_eq!(said, [""; 0]);
    assert_eq!(sim.pass(minutes(2)), ["mail problem: a / disk is CRIT: said 300"]);
}

#[test]
fn after_a_silence_nothing_is_said_if_all_is_well_or_known() {
    let mut sim = Sim::new(rules());
    sim.set("a", "disk", CRIT);
    sim.silence(all(), minutes(60));
    sim.set("b", "disk", CRIT);
    sim.pass(minutes(30));
    sim.set("b", "disk", OK);
    assert_eq!(sim.pass(minutes(600)), [""; 0]);
    assert_eq!(sim.policy.suppressions().count(), 0);
}

#[test]
fn what_recovers_just_after_a_silence_is_not_told() {
    let mut sim = Sim::new(rules());
    sim.silence(all(), seconds(3_607));
    sim.set("a", "disk", CRIT);
    sim.pass(seconds(3_607));
    // The run that is waited for says so, whether its fact comes or not.
    sim.silently("a", "disk", OK);
    assert_eq!(sim.pass(minutes(5)), [""; 0]);
    assert_eq!(sim.policy.incidents().count(), 0);
}

#[test]
fn a_recovery_of_what_was_sent_goes_out_even_inside_a_silence() {
    let mut sim = Sim::new(rules());
    sim.set("a", "disk", CRIT);
    sim.silence(all(), minutes(60));
    assert_eq!(sim.set("a", "disk", OK).len(), 1);
    assert_eq!(sim.set("a", "disk", CRIT), [""; 0]);
    assert_eq!(sim.set("a", "disk", OK), [""; 0], "that was not sent");
    assert!(check_all(&sim.all).is_empty());
}

#[test]
fn an_expired_silence_never_comes_back() {
    let mut sim = Sim::new(rules());
    sim.silence(Scope::Group { group: "prod".to_owned(), probe: None }, minutes(60));
    let while_it_lasts = sim.stored();
    sim.pass(minutes(61));
    assert_eq!(sim.policy.suppressions().count(), 0);
    // The clock is set back, and it starts again.
    sim.world.now -= SignedDuration::from_mins(30);
    sim.restart();
    assert_eq!(sim.set("a", "disk", CRIT).len(), 1);
    // An older state is loaded after its end.
    sim.world.now += SignedDuration::from_mins(31);
    sim.policy = Policy::new(rules(), MASTER, while_it_lasts);
    assert_eq!(sim.set("b", "disk", CRIT).len(), 1);
    assert_eq!(sim.policy.suppressions().count(), 0);
    // One that was lifted is gone as well.
    let id = sim.silence(all(), minutes(60));
    sim.command(Command::Lift { id, author: "alice".to_owned() });
    sim.restart();
    assert_eq!(sim.set("c", "disk", CRIT).len(), 1);
}

#[test]
fn silences_cover_what_they_name() {
    let mut sim = Sim::new(rules());
    let labels = BTreeMap::from([("role".to_owned(), "db".to_owned())]);
    let place = Place { labels: labels.clone(), is_reached: true, ..Place::default() };
    sim.world.places.insert("db1".to_owned(), place);
    let disk = Some(ProbeName::new("disk").unwrap());
    sim.silence(Scope::Labels { labels, probe: disk.clone() }, minutes(60));
    sim.silence(Scope::Group { group: "other".to_owned(), probe: None }, minutes(60));
    assert_eq!(sim.set("db1", "disk", CRIT), [""; 0]);
    assert_eq!(sim.set("db2", "disk", CRIT).len(), 1);
    assert_eq!(sim.set("db1", "load", CRIT).len(), 1);
    let scope = Scope::Group { group: "other".to_owned(), probe: None };
    let author = "alice".to_owned();
    assert_eq!(
        sim.command(Command::Unsuppress { scope: scope.clone(), author: author.clone() }).0,
        Answer::Done(vec![2])
    );
    assert!(matches!(sim.command(Command::Unsuppress { scope, author }).0, Answer::Refused(_)));
}

#[test]
fn recurring_windows_make_no_rows() {
    let mut sim = Sim::new(rules());
    let schedule = Schedule::Week {
        days: vec![1, 2, 3, 4, 5, 6, 7],
        at: "02:00".parse().unwrap(),
        seconds: 3_600,
        zone: "Europe/Paris".to_owned(),
    };
    window(&mut sim, schedule);
    let rows = sim.stored().pieces.len();
    sim.pass(minutes(60 * 24 * 60));
    assert_eq!(sim.stored().pieces.len(), rows);
    assert_eq!(sim.policy.windows().count(), 1);
}

#[test]
fn problems_in_a_window_wait_for_its_end() {
    let mut sim = Sim::new(rules());
    let (from, to) = (at("2026-03-04T14:00:00Z"), at("2026-03-04T15:00:00Z"));
    let id = window(&mut sim, Schedule::Once { from, to });
    sim.set("z", "disk", CRIT);
    sim.pass(minutes(130));
    assert_eq!(sim.set("a", "disk", CRIT), [""; 0]);
    assert_eq!(sim.why(), "Held Maintenance: window `night work` until 2026-03-04T15:00:00Z");
    assert_eq!(held(&sim), 1);
    sim.pass(minutes(10));
    assert_eq!(sim.set("z", "disk", OK).len(), 1, "that was sent before");
    let said = sim.pass(minutes(60));
    assert_eq!(said, ["mail problem: a / disk is CRIT: said 300"]);
    // What happens once does not come back, whatever the clock says.
    assert_eq!(sim.policy.windows().count(), 0);
    let author = "alice".to_owned();
    assert!(matches!(sim.command(Command::RemoveWindow { id, author }).0, Answer::Refused(_)));
}

#[test]
fn what_changes_all_the_time_is_said_once_and_has_a_last_word() {
    let flapping = crate::notify::rules::Flapping { window: minutes(60), threshold: 4 };
    let mut sim = Sim::new(Rules { flapping: Some(flapping), ..rules() });
    let mut said = Vec::new();
    for n in 0..21 {
        said.extend(sim.set("a", "disk", if n % 2 == 0 { CRIT } else { OK }));
        said.extend(sim.pass(minutes(2)));
    }
    // Problem, recovered, problem; then it flaps.
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!(
        said[3],
        "mail flapping: a / disk changes all the time, nothing more until it is calm"
    );
    assert_eq!(sim.policy.flapping(), [probe("a", "disk")]);
    let said = sim.pass(minutes(120));
    assert_eq!(said, ["mail calm: a / disk is CRIT, and does not change all the time any more"]);
    assert_eq!(sim.set("a", "disk", OK).len(), 1);
    assert!(check_all(&sim.all).is_empty());
}

#[test]
fn flapping_never_hides_the_last_recovery() {
    let flapping = crate::notify::rules::Flapping { window: minutes(60), threshold: 4 };
    let mut sim = Sim::new(Rules { flapping: Some(flapping), ..rules() });
    for n in 0..20 {
        sim.set("a", "disk", if n % 2 == 0 { CRIT } else { OK });
        sim.pass(minutes(2));
    }
    assert_eq!(sim.policy.incidents().count(), 1, "it lasts until it is calm");
    let said = sim.pass(minutes(120));
    assert_eq!(said, ["mail recovered: a / disk is OK again after 1 h 30 min"]);
    assert_eq!(sim.policy.incidents().count(), 0);
    assert_eq!(sim.pass(minutes(600)), [""; 0]);
    assert_eq!(sim.policy.deadline(), None);
    assert!(check_all(&sim.all).is_empty());
}

#[test]
fn flapping_that_calmed_in_a_silence_has_its_last_word_when_it_ends() {
    let flapping = crate::notify::rules::Flapping { window: minutes(60), threshold: 4 };
    let mut sim = Sim::new(Rules { flapping: Some(flapping), ..rules() });
    for n in 0..7 {
        sim.set("a", "disk", if n % 2 == 0 { CRIT } else { OK });
        sim.pass(minutes(2));
    }
    sim.silence(Scope::Subject(probe("a", "disk")), minutes(180));
    let said = sim.pass(minutes(179));
    assert_eq!(said, [""; 0], "it is silenced");
    let said = sim.pass(minutes(30));
    assert_eq!(said, ["mail calm: a / disk is CRIT, and does not change all the time any more"]);
    assert_eq!(sim.set("a", "disk", OK).len(), 1);
    assert!(check_all(&sim.all).is_empty());
}
