use std::path::Path;

use axum::http::{HeaderName, HeaderValue};

use super::*;

const LOGIN: &str = "Login = \"me\"\nPassword = \"secret\"";
const HERE: &str = "127.0.0.1";
const MARKED: (&str, &str) = ("x-wigo-request", "1");
const LOCAL: (&str, &str) = ("host", "localhost:4000");

/// What becomes of a change under this [Http], from this address, with these headers.
fn change(http: &str, peer: &str, headers: &[(&str, &str)]) -> Result<(), Refused> {
    let config = crate::config::parse(&format!("[Http]\n{http}"), Path::new("w")).unwrap().config;
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect();
    may_change(&config.http, &headers, peer.parse().ok())
}

fn authorization(text: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(text))
}

#[track_caller]
fn forbidden(result: Result<(), Refused>) -> &'static str {
    match result {
        Err(Refused::Forbidden(why)) => why,
        other => panic!("not forbidden: {other:?}"),
    }
}

#[test]
fn without_a_login_only_programs_on_this_machine_change_anything() {
    for peer in [HERE, "::1", "::ffff:127.0.0.1"] {
        for host in ["localhost:4000", "127.0.0.1:4000", "[::1]:4000", "LOCALHOST"] {
            assert_eq!(change("", peer, &[MARKED, ("host", host)]), Ok(()), "{peer} {host}");
        }
    }
    assert!(forbidden(change("", "192.0.2.1", &[MARKED, LOCAL])).contains("this machine"));
    assert!(forbidden(change("", "unknown", &[MARKED, LOCAL])).contains("this machine"));
    assert!(forbidden(change("", HERE, &[LOCAL])).contains("X-Wigo-Request"));
    for proxy in PROXY_HEADERS {
        let headers = [MARKED, LOCAL, (proxy, "192.0.2.1")];
        assert!(forbidden(change("", HERE, &headers)).contains("this machine"), "{proxy}");
    }
}

#[test]
fn a_name_that_was_bent_to_this_machine_changes_nothing() {
    for host in ["evil.example:4000", "localhost.evil.example", "127.0.0.1.evil.example", "", "a b"]
    {
        forbidden(change("", HERE, &[MARKED, ("host", host)]));
    }
    forbidden(change("", HERE, &[MARKED]));
}

#[test]
fn with_a_login_it_is_needed_from_anywhere() {
    let good = authorization("me:secret");
    let bad = authorization("me:guess");
    assert_eq!(change(LOGIN, "192.0.2.1", &[("authorization", &good)]), Ok(()));
    assert_eq!(
        change(LOGIN, HERE, &[("authorization", &bad), MARKED, LOCAL]),
        Err(Refused::NoLogin)
    );
    assert_eq!(change(LOGIN, HERE, &[MARKED, LOCAL]), Err(Refused::NoLogin));
    let readonly = format!("{LOGIN}\nAnonymousRole = \"readonly\"");
    assert_eq!(change(&readonly, HERE, &[MARKED, LOCAL]), Err(Refused::NoLogin));
}

#[test]
fn a_wrong_login_is_refused_even_where_none_would_do() {
    let http = format!("{LOGIN}\nAnonymousRole = \"operator\"");
    assert_eq!(change(&http, HERE, &[MARKED, LOCAL]), Ok(()));
    assert_eq!(change(&http, "192.0.2.1", &[MARKED, LOCAL]), Err(Refused::NoLogin));
    let bad = authorization("me:guess");
    let headers = [MARKED, LOCAL, ("authorization", bad.as_str())];
    assert_eq!(change(&http, HERE, &headers), Err(Refused::NoLogin));
}

#[test]
fn who_may_only_look_is_told_what_is_needed() {
    for role in ["readonly", "none"] {
        let why = change(&format!("AnonymousRole = \"{role}\""), HERE, &[MARKED, LOCAL]);
        assert!(forbidden(why).contains("Login and Password"));
    }
}

#[test]
fn a_foreign_page_changes_nothing_even_with_the_login_of_its_reader() {
    let good = authorization("me:secret");
    let with = |more: &[(&'static str, &'static str)]| {
        let login = ("authorization", good.as_str());
        let headers: Vec<(&str, &str)> = [login, MARKED, ("host", "wigo.example:4000")]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        change(LOGIN, "192.0.2.1", &headers)
    };
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://wigo.example:4001"),
        ("origin", "http://wigo.example:4000.evil.example"),
        ("referer", "https://evil.example/wigo.example:4000"),
    ] {
        assert!(forbidden(with(&[foreign])).contains("another site"), "{foreign:?}");
    }
    for own in [
        ("sec-fetch-site", "same-origin"),
        ("origin", "http://wigo.example:4000"),
        ("origin", "https://WIGO.example:4000"),
        ("referer", "http://wigo.example:4000/authority"),
    ] {
        assert_eq!(with(&[own]), Ok(()), "{own:?}");
    }
}
