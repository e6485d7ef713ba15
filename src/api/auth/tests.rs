use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use axum::http::HeaderName;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use tempfile::TempDir;

use super::*;
use crate::store::{Settings, Store};

const LOGIN: &str = "Login = \"me\"\nPassword = \"secret\"";
const HERE: &str = "127.0.0.1";
const MARKED: (&str, &str) = ("x-wigo-request", "1");
const LOCAL: (&str, &str) = ("host", "localhost:4000");

fn header_map(headers: &[(&str, &str)]) -> HeaderMap {
    headers
        .iter()
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

/// What becomes of a request under this [Http], from this address, with these headers.
async fn ask(
    http: &str,
    peer: &str,
    headers: &[(&str, &str)],
    needed: Role,
    is_change: bool,
) -> Result<Caller, No> {
    let text = format!("[Global]\nHostname = \"web1.example.org\"\n[Http]\n{http}");
    let config = crate::config::parse(&text, Path::new("w")).unwrap().config;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("wigo.db");
    let settings = Settings { path, origin: uuid::Uuid::from_u128(1), keep_days: 30 };
    let store = Store::open(settings).store;
    let access = Access::open(&store, Arc::new(ArcSwap::from_pointee(config.clone())));
    let headers = header_map(headers);
    let peer = peer.parse().ok();
    let asked = Asked { headers: &headers, peer, is_change, needed };
    let origin = access::origin(&config.http.proxy, &headers, peer, false);
    asked.pass(&access, &config, &origin).await
}

/// What becomes of a change.
async fn change(http: &str, peer: &str, headers: &[(&str, &str)]) -> Result<(), No> {
    ask(http, peer, headers, Role::Operator, true).await.map(drop)
}

fn authorization(text: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(text))
}

#[track_caller]
fn forbidden(result: Result<(), No>) -> String {
    match result {
        Err(No::Forbidden(why)) => why,
        other => panic!("not forbidden: {other:?}"),
    }
}

#[track_caller]
fn misdirected(result: Result<(), No>) {
    assert!(
        matches!(&result, Err(No::Misdirected(why)) if why.contains("HostNames")),
        "{result:?}"
    );
}

#[tokio::test]
async fn without_a_login_only_programs_on_this_machine_change_anything() {
    for peer in [HERE, "::1", "::ffff:127.0.0.1"] {
        for host in ["localhost:4000", "127.0.0.1:4000", "[::1]:4000", "LOCALHOST"] {
            let headers = [MARKED, ("host", host)];
            assert_eq!(change("", peer, &headers).await, Ok(()), "{peer} {host}");
        }
    }
    let strange = forbidden(change("", "192.0.2.1", &[MARKED, LOCAL]).await);
    assert!(strange.contains("this machine"));
    let unknown = forbidden(change("", "unknown", &[MARKED, LOCAL]).await);
    assert!(unknown.contains("this machine"));
    assert!(forbidden(change("", HERE, &[LOCAL]).await).contains("X-Wigo-Request"));
    for proxy in PROXY_HEADERS {
        let headers = [MARKED, LOCAL, (proxy, "192.0.2.1")];
        let why = forbidden(change("", HERE, &headers).await);
        assert!(why.contains("this machine"), "{proxy}");
    }
}

#[tokio::test]
async fn a_name_that_was_bent_to_this_machine_changes_and_reads_nothing() {
    for host in ["evil.example:4000", "localhost.evil.example", "127.0.0.1.evil.example", "", "a b"]
    {
        misdirected(change("", HERE, &[MARKED, ("host", host)]).await);
        let read = ask("", "192.0.2.1", &[("host", host)], Role::Readonly, false).await;
        misdirected(read.map(drop));
    }
    for host in ["web1:4000", "web1.example.org", "192.0.2.7"] {
        forbidden(change("", HERE, &[MARKED, ("host", host)]).await);
        let read = ask("", "192.0.2.1", &[("host", host)], Role::Readonly, false).await;
        assert_eq!(read.map(drop), Ok(()), "{host}");
    }
    forbidden(change("", HERE, &[MARKED]).await);
    let evil = [("host", "evil.example")];
    let open = ask("", HERE, &evil, Role::None, false).await;
    assert_eq!(open.map(drop), Ok(()), "what everybody may ask");
    let listed = ask("HostNames = [\"evil.example\"]", HERE, &evil, Role::Readonly, false).await;
    assert_eq!(listed.map(drop), Ok(()));
}

#[tokio::test]
async fn with_a_login_it_is_needed_from_anywhere() {
    let good = authorization("me:secret");
    let bad = authorization("me:guess");
    let foreign_name = [("authorization", &*good), ("host", "other.example")];
    assert_eq!(change(LOGIN, "192.0.2.1", &foreign_name).await, Ok(()));
    let wrong = [("authorization", &*bad), MARKED, LOCAL];
    assert_eq!(change(LOGIN, HERE, &wrong).await, Err(No::Login));
    assert_eq!(change(LOGIN, HERE, &[MARKED, LOCAL]).await, Err(No::Login));
    let readonly = format!("{LOGIN}\nAnonymousRole = \"readonly\"");
    assert_eq!(change(&readonly, HERE, &[MARKED, LOCAL]).await, Err(No::Login));
}

#[tokio::test]
async fn a_wrong_login_is_refused_even_where_none_would_do() {
    let http = format!("{LOGIN}\nAnonymousRole = \"operator\"");
    assert_eq!(change(&http, HERE, &[MARKED, LOCAL]).await, Ok(()));
    assert_eq!(change(&http, "192.0.2.1", &[MARKED, LOCAL]).await, Err(No::Login));
    let bad = authorization("me:guess");
    let headers = [MARKED, LOCAL, ("authorization", bad.as_str())];
    assert_eq!(change(&http, HERE, &headers).await, Err(No::Login));
}

#[tokio::test]
async fn who_may_only_look_is_told_what_is_needed() {
    for role in ["readonly", "none"] {
        let http = format!("AnonymousRole = \"{role}\"");
        let why = forbidden(change(&http, HERE, &[MARKED, LOCAL]).await);
        assert!(why.contains("Login and Password"));
    }
    let hash = access::password::hash(&crate::config::Secret::new("correct horse"));
    let user = format!(
        "[[Http.Users]]\nName = \"adam\"\nRole = \"readonly\"\nPasswordHash = \"{}\"",
        hash.expose()
    );
    let adam = authorization("adam:correct horse");
    let headers = [("authorization", &*adam)];
    assert!(forbidden(change(&user, HERE, &headers).await).contains("role is readonly"));
    let read = ask(&user, HERE, &headers, Role::Readonly, false).await.unwrap();
    assert_eq!((&*read.name, read.role), ("adam", Role::Readonly));
}

#[tokio::test]
async fn a_foreign_page_changes_nothing_even_with_the_login_of_its_reader() {
    let good = authorization("me:secret");
    let with = async |more: (&'static str, &'static str)| {
        let login = ("authorization", good.as_str());
        change(LOGIN, "192.0.2.1", &[login, MARKED, ("host", "wigo.example:4000"), more]).await
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
        assert!(forbidden(with(foreign).await).contains("another site"), "{foreign:?}");
    }
    for own in [
        ("sec-fetch-site", "same-origin"),
        ("origin", "http://wigo.example:4000"),
        ("origin", "https://WIGO.example:4000"),
        ("referer", "http://wigo.example:4000/authority"),
    ] {
        assert_eq!(with(own).await, Ok(()), "{own:?}");
    }
}

#[tokio::test]
async fn a_proxy_is_believed_from_its_address_under_our_names_and_with_the_header() {
    let http = "TrustedProxies = [\"10.0.0.1\"]\nProxyUserHeader = \"X-User\"\n\
                ProxyGroupsHeader = \"X-Groups\"\nProxyOperatorGroups = [\"ops\"]\n\
                AnonymousRole = \"none\"";
    let eve = [("x-user", "eve"), ("x-groups", "ops"), ("x-forwarded-for", "192.0.2.9")];
    let with = |more: &[(&'static str, &'static str)]| [&eve[..], more].concat();
    let caller =
        ask(http, "10.0.0.1", &with(&[MARKED, LOCAL]), Role::Operator, true).await.unwrap();
    assert_eq!((&*caller.name, caller.how), ("eve", How::Proxy));
    assert_eq!(caller.from, "192.0.2.9".parse().ok());
    let why = forbidden(change(http, "10.0.0.1", &with(&[LOCAL])).await);
    assert!(why.contains("X-Wigo-Request"));
    misdirected(change(http, "10.0.0.1", &with(&[MARKED, ("host", "evil.example")])).await);
    assert_eq!(change(http, "10.0.0.2", &with(&[MARKED, LOCAL])).await, Err(No::Login));
    let nobody = [("x-user", "adam"), LOCAL];
    let why = ask(http, "10.0.0.1", &nobody, Role::Readonly, false).await.map(drop);
    assert!(forbidden(why).contains("somebody has to give you a role"));
}

#[test]
fn the_browser_asks_for_a_login_only_where_our_page_cannot() {
    let asks = |headers: &[(&str, &str)]| {
        let response = ask_for_login(&header_map(headers), true);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        response.headers().contains_key(header::WWW_AUTHENTICATE)
    };
    assert!(asks(&[]) && asks(&[("sec-fetch-dest", "document")]));
    assert!(!asks(&[("sec-fetch-dest", "empty")]) && !asks(&[MARKED]));
}

#[tokio::test]
async fn a_page_that_has_taken_our_place_tries_no_passwords() {
    let at = async |http: &str, peer: &str, more: &[(&str, &str)]| {
        let headers = [&[MARKED, ("host", "wigo.example")], more].concat();
        ask(http, peer, &headers, Role::None, true).await.map(drop)
    };
    misdirected(at(LOGIN, HERE, &[]).await);
    let listed = format!("{LOGIN}\nHostNames = [\"wigo.example\"]");
    assert_eq!(at(&listed, HERE, &[]).await, Ok(()));
    let by_proxy = format!("{LOGIN}\nTrustedProxies = [\"192.0.2.9\"]");
    let secure = [("x-forwarded-proto", "https")];
    assert_eq!(at(&by_proxy, "192.0.2.9", &secure).await, Ok(()), "it has a certificate");
    misdirected(at(&by_proxy, "192.0.2.8", &secure).await);
}
