use super::*;
use crate::{notify::Kind, status::Status};

fn said(at: i64, thread: &str, kind: Kind) -> Said {
    Said {
        at: Timestamp::from_second(at).unwrap(),
        channel: "mail".into(),
        kind,
        thread: thread.into(),
        subject: Subject::host("db1"),
        status: Status::CRIT,
        title: format!("{thread} at {at}"),
    }
}

/// What differs, in words.
fn compared(old: Vec<Said>, new: Vec<Said>) -> Vec<String> {
    let mut compare = Compare::default();
    old.into_iter().for_each(|said| compare.take(Side::Old, said));
    new.into_iter().for_each(|said| compare.take(Side::New, said));
    let (mut found, _) = compare.end();
    found.sort_by_key(Difference::at);
    let words = found.iter().map(|difference| match difference {
        Difference::Appears(said) => format!("+ {}", said.title),
        Difference::Vanishes(said) => format!("- {}", said.title),
        Difference::Moves(said, to) => format!("{} to {}", said.title, to.as_second()),
    });
    words.collect()
}

#[test]
fn what_both_say_at_once_is_no_difference() {
    let all = || vec![said(10, "a", Kind::Problem), said(20, "a", Kind::Recovered)];
    assert_eq!(compared(all(), all()), Vec::<String>::new());
}

#[test]
fn messages_appear_vanish_and_move() {
    let old = vec![said(10, "a", Kind::Problem), said(9_000, "b", Kind::Problem)];
    let new = vec![said(70, "a", Kind::Problem), said(20_000, "c", Kind::Flapping)];
    let expected = ["a at 10 to 70", "- b at 9000", "+ c at 20000"];
    assert_eq!(compared(old, new), expected);
}

#[test]
fn a_message_of_one_incident_moves_by_hours_and_one_about_the_same_by_minutes() {
    let hours = 8 * 3_600;
    let of = |at, thread| vec![said(at, thread, Kind::Problem)];
    assert_eq!(compared(of(0, "a"), of(hours, "a")), [format!("a at 0 to {hours}")]);
    assert_eq!(compared(of(0, "a"), of(600, "b")), ["a at 0 to 600"]);
    let apart = ["- a at 0".to_owned(), format!("+ b at {hours}")];
    assert_eq!(compared(of(0, "a"), of(hours, "b")), apart);
}

#[test]
fn of_reminders_that_become_rarer_the_others_stay() {
    let reminders = |hours: &[i64]| {
        hours.iter().map(|hour| said(hour * 3_600, "a", Kind::Reminder)).collect::<Vec<_>>()
    };
    let expected = ["- a at 3600", "- a at 10800"];
    assert_eq!(compared(reminders(&[1, 2, 3, 4]), reminders(&[2, 4])), expected);
}

#[test]
fn what_differs_is_told_once_it_can_have_no_counterpart() {
    let mut compare = Compare::default();
    compare.take(Side::Old, said(0, "a", Kind::Problem));
    let day = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
    assert_eq!(compare.settle(day(1)), vec![]);
    assert_eq!(compare.settle(day(3)).len(), 1);
    assert_eq!(compare.settle(day(4)), vec![]);
    let (rest, counts) = compare.end();
    assert_eq!((rest.len(), counts["mail"]), (0, Counts { old: 1, new: 0 }));
}

#[test]
fn what_waits_is_bounded() {
    let mut compare = Compare::default();
    let more = 10;
    for number in 0..MAX_WAITING + more {
        compare.take(Side::New, said(number as i64 * 2, &format!("{number}"), Kind::Problem));
    }
    assert_eq!(compare.new.said.len(), MAX_WAITING);
    assert_eq!(compare.settle(Timestamp::UNIX_EPOCH).len(), more);
}
