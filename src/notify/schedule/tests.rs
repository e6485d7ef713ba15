use super::*;

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn weekly(days: &[i8], time: &str, seconds: u32) -> Schedule {
    let zone = "Europe/Paris".to_owned();
    Schedule::Week { days: days.to_vec(), at: time.parse().unwrap(), seconds, zone }
}

fn monthly(days: &[i8], time: &str, seconds: u32) -> Schedule {
    let zone = "Europe/Paris".to_owned();
    Schedule::Month { days: days.to_vec(), at: time.parse().unwrap(), seconds, zone }
}

fn starts(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    schedule.next(at(after), count).into_iter().map(|(from, _)| from.to_string()).collect()
}

#[test]
fn a_weekly_window_keeps_local_time_when_clocks_change() {
    let schedule = weekly(&[6, 7], "22:00", 3_600);
    assert_eq!(
        starts(&schedule, "2026-03-27T00:00:00Z", 3),
        ["2026-03-28T21:00:00Z", "2026-03-29T20:00:00Z", "2026-04-04T20:00:00Z"]
    );
    assert_eq!(
        starts(&schedule, "2026-10-24T00:00:00Z", 2),
        ["2026-10-24T20:00:00Z", "2026-10-25T21:00:00Z"]
    );
}

#[test]
fn a_window_in_the_hour_that_is_skipped_opens_after_it() {
    let schedule = weekly(&[7], "02:30", 1_800);
    let open = (at("2026-03-29T01:00:00Z"), at("2026-03-29T01:30:00Z"));
    assert_eq!(schedule.next(at("2026-03-28T00:00:00Z"), 1), [open]);
    assert_eq!(schedule.open_at(at("2026-03-29T01:10:00Z")), Some(open));
    assert_eq!(schedule.open_at(at("2026-03-29T00:59:59Z")), None);
}

#[test]
fn a_window_in_the_hour_that_comes_twice_opens_once() {
    let schedule = weekly(&[7], "02:30", 600);
    assert_eq!(
        starts(&schedule, "2026-10-24T12:00:00Z", 2),
        ["2026-10-25T00:30:00Z", "2026-11-01T01:30:00Z"]
    );
    assert_eq!(schedule.open_at(at("2026-10-25T01:35:00Z")), None);
}

#[test]
fn an_end_belongs_to_what_comes_after_it() {
    let schedule = weekly(&[1], "23:00", 7_200);
    assert_eq!(
        schedule.open_at(at("2026-03-02T22:00:00Z")).map(|(_, to)| to),
        Some(at("2026-03-03T00:00:00Z"))
    );
    assert_eq!(schedule.open_at(at("2026-03-03T00:00:00Z")), None);
    let once = Schedule::Once { from: at("2026-03-02T22:00:00Z"), to: at("2026-03-02T23:00:00Z") };
    assert!(once.open_at(at("2026-03-02T22:30:00Z")).is_some());
    assert_eq!(once.open_at(at("2026-03-02T23:00:00Z")), None);
    assert_eq!(once.next(at("2026-03-02T22:00:00Z"), 5), []);
    assert_eq!(once.next(at("2026-03-02T21:00:00Z"), 5).len(), 1);
}

#[test]
fn the_last_day_of_a_month_is_whichever_it_is() {
    let schedule = monthly(&[15, -1], "12:00", 3_600);
    assert_eq!(
        starts(&schedule, "2028-02-01T00:00:00Z", 4),
        [
            "2028-02-15T11:00:00Z",
            "2028-02-29T11:00:00Z",
            "2028-03-15T11:00:00Z",
            "2028-03-31T10:00:00Z"
        ]
    );
    // Months that have no 31st are left out.
    assert_eq!(
        starts(&monthly(&[31], "12:00", 60), "2026-01-31T12:00:00Z", 3),
        ["2026-03-31T10:00:00Z", "2026-05-31T10:00:00Z", "2026-07-31T10:00:00Z"]
    );
}

#[test]
fn a_schedule_that_never_comes_ends() {
    for never in [weekly(&[], "12:00", 60), weekly(&[9], "12:00", 60), monthly(&[32], "12:00", 60)]
    {
        assert_eq!(never.next(at("2026-03-02T22:00:00Z"), usize::MAX), []);
        assert_eq!(never.open_at(at("2026-03-02T22:00:00Z")), None);
        assert!(never.check().is_err());
    }
    // At the end of all times too.
    assert_eq!(weekly(&[1], "12:00", 60).next(Timestamp::MAX, 5), []);
    assert_eq!(weekly(&[1], "12:00", 60).open_at(Timestamp::MIN), None);
}

#[test]
fn what_cannot_be_is_refused_with_a_sentence() {
    let refused = |schedule: Schedule| schedule.check().unwrap_err();
    assert_eq!(weekly(&[1], "12:00", 60).check(), Ok(()));
    assert_eq!(monthly(&[1, -1], "12:00", 86_400).check(), Ok(()));
    assert!(refused(weekly(&[1, -1], "12:00", 60)).contains("-1 is no day"));
    assert!(refused(weekly(&[1], "12:00", 59)).contains("at least a minute"));
    assert!(refused(monthly(&[1], "12:00", 29 * 86_400)).contains("at most 28 days"));
    let zone = "Europe/Pari".to_owned();
    let bad = Schedule::Week { days: vec![1], at: "12:00".parse().unwrap(), seconds: 60, zone };
    assert!(refused(bad).contains("no time zone"));
    let (from, to) = (at("2026-03-02T22:00:00Z"), at("2028-03-02T22:00:00Z"));
    assert!(refused(Schedule::Once { from: to, to: from }).contains("before it begins"));
    assert!(refused(Schedule::Once { from, to }).contains("at most a year"));
}

#[test]
fn a_window_does_not_come_back_after_its_end() {
    let window = Window {
        id: 1,
        name: String::new(),
        scope: crate::notify::Scope::All,
        schedule: weekly(&[1, 2, 3, 4, 5, 6, 7], "12:00", 3_600),
        author: String::new(),
        reason: String::new(),
        created: Timestamp::UNIX_EPOCH,
        ends: Some(at("2026-03-03T11:30:00Z")),
        held: 0,
    };
    assert_eq!(window.next(at("2026-03-01T23:00:00Z"), 5).len(), 2);
    assert!(window.open_at(at("2026-03-03T11:45:00Z")).is_some(), "what has begun goes on");
    assert_eq!(window.open_at(at("2026-03-04T11:45:00Z")), None);
}
