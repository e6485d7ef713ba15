//! Quiet hours: they delay and never lose.

use super::*;
use crate::notify::rules::{Backoff, Quiet, Repeat};

fn quiet(from: &str, to: &str) -> Rules {
    let quiet = Quiet {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        zone: jiff::tz::TimeZone::get("Europe/Paris").unwrap(),
        min_level: Some(status(ERROR)),
    };
    Rules { quiet: Some(quiet), ..rules() }
}

#[test]
fn what_lasts_is_told_when_the_quiet_ends() {
    let mut sim = Sim::starting(quiet("22:00", "06:00"), "2026-03-04T22:00:00Z");
    assert_eq!(sim.set("a", "disk", CRIT), [""; 0]);
    assert_eq!(sim.why(), "Waiting Quiet: quiet hours until 2026-03-05T05:00:00Z");
    assert_eq!(sim.set("b", "disk", ERROR).len(), 1, "that is bad enough");
    assert_eq!(sim.pass(minutes(419)), [""; 0]);
    assert_eq!(sim.pass(minutes(1)), ["mail problem: a / disk is CRIT: said 300"]);
    assert_eq!(sim.pass(minutes(60)), [""; 0]);
}

#[test]
fn what_came_and_went_is_told_in_one_summary() {
    let mut sim = Sim::starting(quiet("22:00", "06:00"), "2026-03-04T22:00:00Z");
    sim.pass(minutes(130));
    sim.set("a", "disk", CRIT);
    sim.pass(minutes(55));
    assert_eq!(sim.set("a", "disk", OK), [""; 0]);
    let said = sim.pass(minutes(600));
    assert_eq!(
        said,
        ["mail summary: In quiet hours: a / disk was CRIT: from 01:10 to 02:05, over: said 300"]
    );
    assert_eq!(sim.pass(minutes(600)), [""; 0]);
    for host in ["a", "b", "c"] {
        sim.set(host, "disk", CRIT);
        sim.set(host, "disk", OK);
    }
    let said = sim.pass(minutes(1_440));
    assert_eq!(said, ["mail summary: In quiet hours: 3 incidents came and went"]);
}

#[test]
fn a_recovery_waits_for_the_end_of_the_quiet_and_comes_once() {
    let mut sim = Sim::starting(quiet("22:00", "06:00"), "2026-03-04T20:30:00Z");
    assert_eq!(sim.set("a", "disk", CRIT).len(), 1);
    sim.pass(minutes(60));
    assert_eq!(sim.set("a", "disk", OK), [""; 0]);
    assert_eq!(sim.policy.incidents().count(), 0);
    sim.restart();
    let said = sim.pass(minutes(600));
    assert_eq!(said, ["mail recovered: a / disk is OK again after 8 h 30 min"]);
    assert!(check_all(&sim.all).is_empty());
}

#[test]
fn reminders_wait_for_the_end_of_the_quiet() {
    let mut rules = quiet("22:00", "06:00");
    let backoff = Backoff::None;
    rules.repeat = Some(Repeat { interval: minutes(60), backoff, limit: 0, raise: false });
    let mut sim = Sim::starting(rules, "2026-03-04T20:30:00Z");
    sim.set("a", "disk", CRIT);
    assert_eq!(sim.pass(minutes(510 - 1)), [""; 0]);
    assert_eq!(sim.pass(minutes(1)).len(), 1);
}

#[test]
fn a_notice_in_quiet_hours_is_not_lost() {
    let mut sim = Sim::starting(quiet("22:00", "06:00"), "2026-03-04T22:00:00Z");
    let what = What::Notice(status(WARN));
    let fact = sim.fact(origin("m"), Subject::host("m"), what, "New client db9 waits");
    assert_eq!(sim.handle(&[fact]), [""; 0]);
    let said = sim.pass(minutes(600));
    assert_eq!(said, ["mail summary: In quiet hours: m was WARN: at 23:00: New client db9 waits"]);
}

#[test]
fn local_times_hold_when_clocks_change() {
    let night = |from: &str, to: &str| quiet(from, to).quiet.unwrap();
    for (from, to, time, until) in [
        // In spring the night is an hour shorter, in autumn an hour longer.
        ("22:00", "06:00", "2026-03-28T21:30:00Z", Some("2026-03-29T04:00:00Z")),
        ("22:00", "06:00", "2026-03-29T04:00:00Z", None),
        ("22:00", "06:00", "2026-10-24T20:30:00Z", Some("2026-10-25T05:00:00Z")),
        ("22:00", "06:00", "2026-10-25T05:00:00Z", None),
        // 02:30 does not come: it begins when clocks are set forward.
        ("02:30", "05:00", "2026-03-29T00:59:59Z", None),
        ("02:30", "05:00", "2026-03-29T01:00:00Z", Some("2026-03-29T03:00:00Z")),
        ("01:00", "02:30", "2026-03-29T00:30:00Z", Some("2026-03-29T01:00:00Z")),
        // 02:30 comes twice: from the first, to the second.
        ("02:30", "05:00", "2026-10-25T00:29:59Z", None),
        ("02:30", "05:00", "2026-10-25T00:30:00Z", Some("2026-10-25T04:00:00Z")),
        ("01:00", "02:30", "2026-10-25T01:00:00Z", Some("2026-10-25T01:30:00Z")),
        ("06:00", "06:00", "2026-10-25T01:00:00Z", None),
    ] {
        assert_eq!(night(from, to).until(at(time)), until.map(at), "{from}–{to} at {time}");
    }
}

#[test]
fn quiet_hours_across_a_change_of_the_clock_end_when_people_get_up() {
    for (start, up) in [
        ("2026-03-28T22:00:00Z", "2026-03-29T04:00:00Z"),
        ("2026-10-24T22:00:00Z", "2026-10-25T05:00:00Z"),
    ] {
        let mut sim = Sim::starting(quiet("22:00", "06:00"), start);
        sim.set("a", "disk", CRIT);
        let night = at(up).duration_since(at(start)).unsigned_abs();
        assert_eq!(sim.pass(night - seconds(1)), [""; 0]);
        assert_eq!(sim.pass(seconds(1)).len(), 1);
    }
}
