use axum::http::{HeaderName, HeaderValue};

use super::*;

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    list.iter()
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn proxy() -> TrustedProxy {
    TrustedProxy {
        addresses: vec!["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        user_header: "x-user".into(),
        groups_header: "x-groups".into(),
        operator_groups: vec!["ops".into()],
        readonly_groups: vec!["staff".into()],
        role: Role::None,
    }
}

fn at(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn the_last_that_is_no_proxy_of_ours_has_asked() {
    let from = |peer, chain| {
        origin(&proxy(), &headers(&[("x-forwarded-for", chain)]), at(peer), false).address
    };
    assert_eq!(from("127.0.0.1", "6.6.6.6, 192.0.2.7, 10.1.1.1"), at("192.0.2.7"));
    assert_eq!(from("127.0.0.1", "192.0.2.7:4711"), at("192.0.2.7"));
    assert_eq!(from("127.0.0.1", "[2001:db8::1]:80"), at("2001:db8::1"));
    assert_eq!(from("127.0.0.1", "6.6.6.6, nonsense, 10.1.1.1"), at("10.1.1.1"));
    assert_eq!(from("127.0.0.1", ""), at("127.0.0.1"));
    assert_eq!(from("192.0.2.9", "6.6.6.6"), at("192.0.2.9"), "no proxy of ours");
}

#[test]
fn only_a_trusted_proxy_says_that_the_way_is_encrypted() {
    let is_secure = |peer| {
        origin(&proxy(), &headers(&[("x-forwarded-proto", "https")]), at(peer), false).is_secure
    };
    assert!(is_secure("10.0.0.1") && !is_secure("192.0.2.9"));
    let plain = headers(&[("x-forwarded-proto", "https, http")]);
    assert!(!origin(&proxy(), &plain, at("10.0.0.1"), false).is_secure);
    assert!(origin(&proxy(), &plain, at("192.0.2.9"), true).is_secure);
}

#[test]
fn only_a_trusted_proxy_says_who_asks() {
    let eve = [("x-user", "eve"), ("x-groups", "staff,  ops")];
    let said = told(&proxy(), &headers(&eve), at("::ffff:10.0.0.1")).unwrap().unwrap();
    assert_eq!((&*said.name, said.role), ("eve", Role::Operator));
    assert_eq!(told(&proxy(), &headers(&eve), at("192.0.2.9")), Ok(None));
    assert_eq!(told(&proxy(), &headers(&eve), None), Ok(None));
    assert_eq!(told(&proxy(), &headers(&[("x-user", " ")]), at("10.0.0.1")), Ok(None));
    let twice = headers(&[("x-user", "eve"), ("x-user", "adam")]);
    assert_eq!(told(&proxy(), &twice, at("10.0.0.1")), Err(Unusable));
    assert_eq!(told(&proxy(), &twice, at("192.0.2.9")), Ok(None));
    let long = headers(&[("x-user", &*"e".repeat(MAX_NAME + 1))]);
    assert_eq!(told(&proxy(), &long, at("10.0.0.1")), Err(Unusable));
    let off = TrustedProxy { user_header: String::new(), ..proxy() };
    assert_eq!(told(&off, &headers(&eve), at("10.0.0.1")), Ok(None));
}
