use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn name(name: &str) -> ProbeName {
    ProbeName::new(name).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn set(schedule: &mut Schedule, wanted: &[(&str, u64)], now: Duration) {
    let wanted: Vec<_> =
        wanted.iter().map(|(text, interval)| (name(text), seconds(*interval))).collect();
    schedule.set(wanted.iter().map(|(name, interval)| (name, *interval)), 7, now);
}

fn one(interval: u64) -> (Schedule, ProbeName, Duration) {
    let mut schedule = Schedule::default();
    set(&mut schedule, &[("a", interval)], Duration::ZERO);
    let first = schedule.next().unwrap();
    (schedule, name("a"), first)
}

#[test]
fn the_tenth_run_is_due_ten_intervals_after_the_first_however_long_runs_take() {
    let (mut schedule, a, first) = one(60);
    for run in 0..=10 {
        let due = schedule.next().unwrap();
        assert_eq!(due, first + seconds(60) * run);
        // Begun late and long, but never as long as the interval.
        let begun = due + Duration::from_millis(u64::from(run) * 731);
        let taken = schedule.take(begun).unwrap();
        assert_eq!(taken, Due { name: a.clone(), late: begun - due });
        schedule.finished(&a, begun + Duration::from_millis(50_000 - u64::from(run)));
    }
    assert_eq!(schedule.skipped(), 0);
}

#[test]
fn nothing_is_due_before_its_time_or_while_it_runs() {
    let (mut schedule, a, first) = one(10);
    assert_eq!(schedule.take(first - Duration::from_nanos(1)), None);
    assert!(schedule.take(first).is_some());
    assert_eq!(schedule.next(), None);
    assert_eq!(schedule.take(first + seconds(1_000)), None);
    assert!(!schedule.take_now(&a));
}

#[test]
fn points_that_pass_during_a_run_are_skipped_and_counted() {
    let (mut schedule, a, first) = one(10);
    schedule.take(first);
    schedule.finished(&a, first + seconds(35));
    assert_eq!(schedule.of(&a), Some((first + seconds(40), 3)));
    assert_eq!(schedule.take(first + seconds(39)), None);
    // A run that ends exactly when the next is due has missed nothing.
    schedule.take(first + seconds(40));
    schedule.finished(&a, first + seconds(50));
    assert_eq!(schedule.of(&a), Some((first + seconds(50), 3)));
}

#[test]
fn points_that_pass_while_nobody_has_time_are_skipped_and_counted() {
    let (mut schedule, a, first) = one(10);
    let taken = schedule.take(first + seconds(25)).unwrap();
    assert_eq!(taken.late, seconds(25));
    schedule.finished(&a, first + seconds(26));
    assert_eq!(schedule.of(&a), Some((first + seconds(30), 2)));
}

#[test]
fn a_run_out_of_turn_leaves_the_rhythm_as_it_is() {
    let (mut schedule, a, first) = one(100);
    assert!(schedule.take_now(&a));
    assert!(!schedule.take_now(&a));
    assert_eq!(schedule.take(first + seconds(1)), None);
    schedule.finished(&a, first - Duration::from_nanos(1));
    assert_eq!(schedule.next(), Some(first));
    assert_eq!(schedule.skipped(), 0);
    assert!(!schedule.take_now(&name("unknown")));
}

#[test]
fn first_runs_are_spread_and_the_same_at_each_start() {
    let names: Vec<String> = (0..30).map(|number| format!("probe{number}")).collect();
    let wanted: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 60)).collect();
    let start = |seed| {
        let mut schedule = Schedule::default();
        let wanted: Vec<_> = wanted.iter().map(|(text, _)| name(text)).collect();
        schedule.set(wanted.iter().map(|name| (name, seconds(60))), seed, seconds(100));
        wanted.iter().map(|name| schedule.of(name).unwrap().0).collect::<Vec<_>>()
    };
    let dues = start(1);
    assert_eq!(dues, start(1));
    assert_ne!(dues, start(2));
    let (first, last) = (dues.iter().min().unwrap(), dues.iter().max().unwrap());
    // 30 × 200 ms.
    assert!(*first >= seconds(100) && *last < seconds(106), "{first:?} to {last:?}");
    assert!(*last - *first > seconds(3), "bunched: {first:?} to {last:?}");
}

#[test]
fn the_spread_is_bounded_and_never_longer_than_the_interval() {
    let names: Vec<ProbeName> = (0..1000).map(|number| name(&format!("{number}"))).collect();
    let mut schedule = Schedule::default();
    let interval = |index: usize| seconds(if index.is_multiple_of(2) { 2 } else { 86_400 });
    schedule.set(names.iter().enumerate().map(|(at, name)| (name, interval(at))), 3, seconds(5));
    for (index, name) in names.iter().enumerate() {
        let due = schedule.of(name).unwrap().0 - seconds(5);
        assert!(due < interval(index).min(seconds(10)), "{due:?}");
    }
    let mut alone = Schedule::default();
    set(&mut alone, &[("a", 86_400)], Duration::ZERO);
    assert!(alone.next().unwrap() < seconds(1));
}

#[test]
fn what_is_known_keeps_its_rhythm_when_others_come_and_go() {
    let (mut schedule, a, first) = one(60);
    set(&mut schedule, &[("a", 60), ("b", 60)], first + seconds(3));
    assert_eq!(schedule.of(&a), Some((first, 0)));
    set(&mut schedule, &[("a", 60)], first + seconds(4));
    assert!(!schedule.contains(&name("b")));
    assert_eq!(schedule.next(), Some(first));
}

#[test]
fn removed_and_added_again_while_running_is_run_once_at_a_time() {
    let (mut schedule, a, first) = one(60);
    schedule.take(first);
    set(&mut schedule, &[], first);
    set(&mut schedule, &[("a", 30)], first);
    assert_eq!(schedule.take(first + seconds(20)), None, "the run before is not over");
    assert!(!schedule.take_now(&a));
    schedule.finished(&a, first + seconds(1));
    let due = schedule.next().unwrap();
    assert!(schedule.take(due).is_some());
    assert_eq!(schedule.take(due + seconds(1_000)), None);
}

#[test]
fn removed_while_running_is_forgotten_when_it_ends() {
    let (mut schedule, a, first) = one(60);
    schedule.take(first);
    set(&mut schedule, &[], first);
    schedule.finished(&a, first + seconds(1));
    assert_eq!(schedule.next(), None);
    set(&mut schedule, &[("a", 60)], first + seconds(2));
    assert!(schedule.next().is_some());
}

#[test]
fn the_count_of_skipped_runs_survives_the_probe() {
    let (mut schedule, a, first) = one(10);
    schedule.take(first + seconds(20));
    schedule.finished(&a, first + seconds(20));
    set(&mut schedule, &[], seconds(100));
    assert_eq!(schedule.skipped(), 2);
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Take,
    TakeNow(usize),
    Finish(usize),
    Set(Vec<(usize, u64)>),
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_u64..20_000).prop_map(Step::Wait),
        4 => Just(Step::Take),
        1 => (0..NAMES.len()).prop_map(Step::TakeNow),
        4 => (0..NAMES.len()).prop_map(Step::Finish),
        1 => prop::collection::vec((0..NAMES.len(), prop::sample::select(vec![2_u64, 5, 60])), 0..5)
            .prop_map(Step::Set),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn whatever_happens_a_probe_runs_once_at_a_time_and_on_its_points(steps in steps()) {
        let mut schedule = Schedule::default();
        let mut now = Duration::ZERO;
        let mut running: HashSet<ProbeName> = HashSet::new();
        // Interval, and a point of the rhythm.
        let mut known: BTreeMap<ProbeName, (u64, Duration)> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Wait(milliseconds) => now += Duration::from_millis(milliseconds),
                Step::Take => {
                    let expected = schedule.next().filter(|due| *due <= now);
                    let taken = schedule.take(now);
                    prop_assert_eq!(taken.as_ref().map(|due| now - due.late), expected);
                    if let Some(Due { name, .. }) = taken {
                        prop_assert!(known.contains_key(&name), "a run after removal");
                        prop_assert!(running.insert(name), "a second copy");
                    }
                }
                Step::TakeNow(index) => {
                    let name = name(NAMES[index]);
                    let free = known.contains_key(&name) && !running.contains(&name);
                    prop_assert_eq!(schedule.take_now(&name), free);
                    if free {
                        running.insert(name);
                    }
                }
                Step::Finish(index) => {
                    let name = name(NAMES[index]);
                    if running.remove(&name) {
                        schedule.finished(&name, now);
                    }
                }
                Step::Set(wanted) => {
                    let wanted: BTreeMap<ProbeName, u64> =
                        wanted.into_iter().map(|(index, n)| (name(NAMES[index]), n)).collect();
                    schedule.set(wanted.iter().map(|(name, n)| (name, seconds(*n))), 1, now);
                    known.retain(|name, (interval, _)| wanted.get(name) == Some(interval));
                    for (name, interval) in wanted {
                        let due = schedule.of(&name).unwrap().0;
                        known.entry(name).or_insert((interval, due));
                    }
                }
            }
            // Everything known waits or runs, and stands on a point of its rhythm.
            let waiting: HashSet<&ProbeName> = schedule.queue.iter().map(|(_, name)| name).collect();
            prop_assert_eq!(waiting.len(), schedule.queue.len());
            for (name, (interval, point)) in &known {
                let (due, _) = schedule.of(name).unwrap();
                let rest = (due.as_nanos() as i128 - point.as_nanos() as i128)
                    .rem_euclid(seconds(*interval).as_nanos() as i128);
                prop_assert_eq!(rest, 0);
                prop_assert_ne!(waiting.contains(name), running.contains(name));
            }
            prop_assert!(waiting.iter().all(|name| known.contains_key(*name)));
        }
    }
}
