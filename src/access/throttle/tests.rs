use super::*;

fn address(last: u16) -> Option<IpAddr> {
    Some(Ipv6Addr::new(0x2001, 0xdb8, 0, last, 0, 0, 0, 1).into())
}

fn fail(throttle: &mut Throttle, name: &str, from: Option<IpAddr>, now: Instant, times: u32) {
    for _ in 0..times {
        assert_eq!(throttle.admit(name, from, now), Ok(()));
        throttle.failed(name, from, now);
    }
}

#[test]
fn the_sixth_try_of_an_account_or_an_address_waits_and_ever_longer() {
    let mut throttle = Throttle::default();
    let mut now = Instant::now();
    fail(&mut throttle, "eve", address(1), now, MAX_FAILURES);
    assert_eq!(throttle.admit("eve", address(2), now), Err(FIRST_PAUSE), "the account");
    assert_eq!(throttle.admit("adam", address(1), now), Err(FIRST_PAUSE), "the address");
    assert_eq!(throttle.admit("adam", address(2), now), Ok(()));
    assert_eq!((throttle.take_turned_away(), throttle.take_turned_away()), (2, 0));
    for pause in [120, 240, 480, 900, 900].map(Duration::from_secs) {
        now += LONGEST_PAUSE;
        fail(&mut throttle, "eve", address(1), now, MAX_FAILURES);
        assert_eq!(throttle.admit("eve", address(1), now), Err(pause));
    }
    now += MEMORY + WINDOW;
    fail(&mut throttle, "eve", address(1), now, MAX_FAILURES);
    assert_eq!(throttle.admit("eve", address(1), now), Err(FIRST_PAUSE), "it was long ago");
}

#[test]
fn a_few_failures_now_and_then_do_no_harm() {
    let mut throttle = Throttle::default();
    let mut now = Instant::now();
    for _ in 0..10 {
        fail(&mut throttle, "eve", address(1), now, MAX_FAILURES - 1);
        now += WINDOW + Duration::from_secs(1);
    }
}

#[test]
fn strangers_do_not_lock_out_whom_we_know() {
    let mut throttle = Throttle::default();
    let now = Instant::now();
    throttle.succeeded("eve", address(1), now);
    for from in 2..5 {
        fail(&mut throttle, "other", address(from), now, 1);
    }
    fail(&mut throttle, "eve", address(9), now, MAX_FAILURES);
    assert!(throttle.admit("eve", address(2), now).is_err());
    assert_eq!(throttle.admit("eve", address(1), now), Ok(()));
}

#[test]
fn one_network_is_one_address() {
    let one: IpAddr = "2001:db8:0:1::1".parse().unwrap();
    let two: IpAddr = "2001:db8:0:1:ffff::2".parse().unwrap();
    assert_eq!(network(Some(one)), network(Some(two)));
    let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    assert_eq!(network(Some(mapped)), "192.0.2.1".parse::<IpAddr>().unwrap());
}

#[test]
fn memory_is_bounded() {
    let mut throttle = Throttle::default();
    let mut now = Instant::now();
    for number in 0..MAX_REMEMBERED + 10 {
        now += Duration::from_micros(1);
        throttle.failed(&number.to_string(), address(number as u16), now);
    }
    assert!(throttle.accounts.len() <= MAX_REMEMBERED);
    assert!(throttle.addresses.len() <= MAX_REMEMBERED);
    assert!(!throttle.accounts.contains_key(&account("0")), "the oldest went");
    assert_eq!(
        throttle.take_turned_away(),
        (MAX_REMEMBERED + 10) as u64 - u64::from(LISTED_AT_ONCE)
    );
}

#[test]
fn few_of_those_who_were_turned_away_are_listed() {
    let mut throttle = Throttle::default();
    let now = Instant::now();
    let listed = (0..100).filter(|_| throttle.is_listed(now)).count();
    assert_eq!((listed as u32, throttle.take_turned_away()), (LISTED_AT_ONCE, 40));
    let later = now + 2 * LISTED_EACH;
    assert_eq!((0..9).filter(|_| throttle.is_listed(later)).count(), 2);
    let much_later = later + 10_000 * LISTED_EACH;
    assert_eq!((0..100).filter(|_| throttle.is_listed(much_later)).count() as u32, LISTED_AT_ONCE);
}
