use std::path::Path;

use axum::http::{HeaderName, HeaderValue};
use tempfile::TempDir;

use super::*;
use crate::store::{MAX_AUDIT_PAGE, Settings, UserChange};

/// The parts of one agent that say who may.
struct Place {
    access: Arc<Access>,
    config: Arc<ArcSwap<Config>>,
    _store: Store,
    folder: TempDir,
}

fn place(http: &str) -> Place {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("wigo.db");
    let settings = Settings { path, origin: uuid::Uuid::from_u128(1), keep_days: 30 };
    let store = Store::open(settings).store;
    let config = Arc::new(ArcSwap::from_pointee(parsed(http)));
    let access = Access::open(&store, config.clone());
    Place { access, config, _store: store, folder }
}

fn parsed(http: &str) -> Config {
    crate::config::parse(&format!("[Http]\n{http}"), Path::new("w")).unwrap().config
}

fn provider(keys: &str) -> OpenIdConnect {
    let text = format!("[OpenIdConnect]\n{keys}");
    crate::config::parse(&text, Path::new("w")).unwrap().config.oidc
}

fn here() -> Option<IpAddr> {
    Some(IpAddr::from([127, 0, 0, 1]))
}

fn headers(list: &[(&str, &str)]) -> axum::http::HeaderMap {
    list.iter()
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect()
}

fn basic(name: &str, password: &str) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

impl Place {
    async fn ask(&self, list: &[(&str, &str)]) -> Result<Caller, Refused> {
        self.access.identify(&headers(list), here(), here()).await
    }

    async fn add(&self, name: &'static str, role: Role, password: &str) {
        let hash = password::hash(&Secret::new(password));
        let added = self.access.change(move |tables| tables.add_user(name, role, &hash)).await;
        assert_eq!(added.unwrap(), UserChange::Done);
    }

    async fn token(&self, role: Role) -> Secret {
        let token = new_token();
        let hash = token_hash(token.expose()).unwrap();
        let made =
            self.access.change(move |tables| tables.add_token(hash, "ci", role, "eve", None));
        made.await.unwrap().unwrap();
        token
    }

    async fn cookie(&self, name: &str, password: &str) -> String {
        let signed_in = self.access.sign_in(name, Secret::new(password), here()).await.unwrap();
        let (caller, secret) = signed_in.unwrap();
        assert_eq!((&*caller.name, caller.how), (name, How::Session));
        format!("{SESSION_COOKIE}={}", secret.expose())
    }
}

#[tokio::test]
async fn the_first_user_locks_the_door() {
    let place = place("");
    assert_eq!(place.access.anonymous_role(), Role::Operator);
    // What a master sends to all it asks means nothing where nobody has a login.
    let stray = basic("any", "thing");
    assert_eq!(place.ask(&[("authorization", &stray)]).await.unwrap().how, How::Anonymous);
    place.add("eve", Role::Readonly, "correct horse").await;
    assert_eq!(place.access.anonymous_role(), Role::None);
    assert_eq!(place.ask(&[("authorization", &stray)]).await, Err(Refused::Wrong));
    place.config.store(Arc::new(parsed("AnonymousRole = \"readonly\"")));
    assert_eq!(place.access.anonymous_role(), Role::Readonly);
    place.config.store(Arc::new(parsed("")));
    place.access.change(|tables| tables.remove_user("eve")).await.unwrap();
    assert_eq!(place.access.anonymous_role(), Role::Operator);
    place.access.set_provider(Some(&provider("")));
    assert_eq!(place.access.anonymous_role(), Role::None);
    assert_eq!(place.ask(&[("authorization", &stray)]).await, Err(Refused::Wrong));
    place.config.store(Arc::new(parsed("AnonymousRole = \"readonly\"")));
    assert_eq!(place.ask(&[("authorization", &stray)]).await, Err(Refused::Wrong));
}

#[tokio::test]
async fn a_login_by_proxy_locks_the_door() {
    let keys = "TrustedProxies = [\"127.0.0.1\"]\nProxyUserHeader = \"X-User\"\n\
                ProxyGroupsHeader = \"X-Groups\"\nProxyOperatorGroups = [\"ops\"]";
    let place = place(keys);
    let adam = place.ask(&[("x-user", "adam"), ("x-groups", "ops")]).await.unwrap();
    assert_eq!((adam.role, adam.how), (Role::Operator, How::Proxy));
    let nobody = place.ask(&[]).await.unwrap();
    assert_eq!((nobody.role, nobody.how), (Role::None, How::Anonymous));
    let mut twice = headers(&[("x-user", "adam")]);
    twice.append("x-user", HeaderValue::from_static("eve"));
    assert_eq!(place.access.identify(&twice, here(), here()).await, Err(Refused::Wrong));
}

#[tokio::test]
async fn each_credential_is_known_and_a_wrong_one_refused() {
    let hash = password::hash(&Secret::new("configured pw"));
    let place = place(&format!(
        "Login = \"me\"\nPassword = \"se:cret\"\nAnonymousRole = \"readonly\"\n[[Http.Users]]\n\
         Name = \"adam\"\nRole = \"readonly\"\nPasswordHash = \"{}\"",
        hash.expose()
    ));
    place.add("eve", Role::Operator, "correct horse").await;
    for (name, password, role) in [
        ("me", "se:cret", Role::Operator),
        ("adam", "configured pw", Role::Readonly),
        ("eve", "correct horse", Role::Operator),
    ] {
        let caller = place.ask(&[("authorization", &basic(name, password))]).await.unwrap();
        assert_eq!((&*caller.name, caller.role, caller.how), (name, role, How::Password));
        assert!(place.access.still(&caller));
    }
    let token = place.token(Role::Readonly).await;
    let bearer = format!("Bearer {}", token.expose());
    for header in [("authorization", &*bearer), ("x-wigo-token", token.expose())] {
        let caller = place.ask(&[header]).await.unwrap();
        assert_eq!((&*caller.name, caller.role, caller.how), ("ci", Role::Readonly, How::Token));
    }
    let used = place.access.accounts().tokens.into_values().next().unwrap().used;
    assert!(used.is_some());
    let other = format!("Bearer {}", new_token().expose());
    let unhashed = basic("eve", "");
    for wrong in [&*other, "Bearer", "Basic", "Basic !!!", "Negotiate abc", &unhashed] {
        assert_eq!(place.ask(&[("authorization", wrong)]).await, Err(Refused::Wrong), "{wrong}");
    }
    // The first that is presented counts.
    let both = [("authorization", &*other), ("x-wigo-token", token.expose())];
    assert_eq!(place.ask(&both).await, Err(Refused::Wrong));
    let stale = place.ask(&[("cookie", "wigo_session=stale")]).await.unwrap();
    assert_eq!((stale.how, stale.role), (How::Anonymous, Role::Readonly));
}

#[tokio::test]
async fn a_session_ends_by_each_cause() {
    let place = place("");
    place.add("eve", Role::Operator, "correct horse").await;
    let how = async |cookie: &str| place.ask(&[("cookie", cookie)]).await.unwrap().how;
    let begin = async || {
        let cookie = place.cookie("eve", "correct horse").await;
        let caller = place.ask(&[("cookie", &cookie)]).await.unwrap();
        assert!(caller.how == How::Session && place.access.still(&caller));
        (cookie, caller)
    };
    let (cookie, caller) = begin().await;
    let mut changes = place.access.changes();
    changes.mark_unchanged();
    assert!(place.access.end_session(&caller).await.unwrap(), "logout");
    assert!(changes.has_changed().unwrap() && !place.access.still(&caller));
    assert_eq!(how(&cookie).await, How::Anonymous);

    let (cookie, caller) = begin().await;
    place.access.change(|tables| tables.set_role("eve", Role::Readonly)).await.unwrap();
    assert!(how(&cookie).await == How::Anonymous && !place.access.still(&caller), "role");

    let (cookie, caller) = begin().await;
    let hash = password::hash(&Secret::new("battery staple"));
    place.access.change(move |tables| tables.set_password("eve", &hash)).await.unwrap();
    assert!(how(&cookie).await == How::Anonymous && !place.access.still(&caller), "password");

    let cookie = place.cookie("eve", "battery staple").await;
    place.access.change(|tables| tables.remove_user("eve")).await.unwrap();
    assert_eq!(how(&cookie).await, How::Anonymous, "removed");
}

#[tokio::test]
async fn a_session_ends_by_time() {
    let place = place("Login = \"me\"\nPassword = \"secret\"");
    let cookie = place.cookie("me", "secret").await;
    let set = |change: fn(&mut Session)| {
        place.access.state().accounts.sessions.values_mut().for_each(change);
    };
    let ago = |time: SignedDuration| Timestamp::now() - time;
    assert_eq!(place.ask(&[("cookie", &cookie)]).await.unwrap().how, How::Session);
    set(|session| session.used = Timestamp::now() - IDLE);
    assert_eq!(place.ask(&[("cookie", &cookie)]).await.unwrap().how, How::Anonymous, "idle");
    set(|session| session.used = Timestamp::now());
    assert_eq!(place.ask(&[("cookie", &cookie)]).await.unwrap().how, How::Session);
    set(|session| session.expires = Timestamp::now());
    assert_eq!(place.ask(&[("cookie", &cookie)]).await.unwrap().how, How::Anonymous, "7 days");
    let session = place.access.accounts().sessions.into_values().next().unwrap();
    assert!(session.created > ago(LONGEST_SESSION));
    // Another password in the configuration ends it as well.
    let cookie = place.cookie("me", "secret").await;
    place.config.store(Arc::new(parsed("Login = \"me\"\nPassword = \"other\"")));
    assert_eq!(place.ask(&[("cookie", &cookie)]).await.unwrap().how, How::Anonymous);
}

#[tokio::test]
async fn a_session_of_a_provider_needs_no_account_but_the_provider() {
    let place = place("");
    let keys = "OperatorGroups = [\"ops\"]";
    place.access.set_provider(Some(&provider(keys)));
    let begun = place.access.begin_session("eve", Role::Readonly, "oidc", here()).await.unwrap();
    let cookie = format!("a=b; {SESSION_COOKIE}={}", begun.expose());
    let caller = place.ask(&[("cookie", &cookie)]).await.unwrap();
    assert_eq!((&*caller.name, caller.role, caller.how), ("eve", Role::Readonly, How::Session));
    assert!(place.access.still(&caller));
    place.access.set_provider(Some(&provider("OperatorGroups = [\"sre\"]")));
    assert!(!place.access.still(&caller), "other groups");
    assert_eq!(place.ask(&[("cookie", &cookie)]).await.unwrap().how, How::Anonymous);
    place.access.set_provider(Some(&provider(keys)));
    assert!(place.access.still(&caller));
    place.access.set_provider(None);
    assert!(!place.access.still(&caller));
    assert_eq!(place.ask(&[("cookie", &cookie)]).await.unwrap().how, How::Anonymous);
}

#[tokio::test]
async fn guesses_are_throttled_and_written_down_without_what_was_guessed() {
    let place = place("");
    place.add("eve", Role::Operator, "correct horse").await;
    let from = Some(IpAddr::from([192, 0, 2, 1]));
    let try_it = |name: &'static str, password: &'static str| {
        place.access.sign_in(name, Secret::new(password), from)
    };
    for name in ["eve", "hunter2-in-the-wrong-field", "eve", "eve", "eve"] {
        assert_eq!(try_it(name, "planted-guess").await.unwrap().unwrap_err(), Refused::Wrong);
    }
    let refused = try_it("eve", "correct horse").await.unwrap().unwrap_err();
    assert!(matches!(refused, Refused::TooOften(_)), "{refused:?}");
    let rows = place.access.audit().newest();
    assert_eq!(rows.len(), 5, "{rows:?}");
    assert!(rows.len() < MAX_AUDIT_PAGE);
    assert!(rows.iter().all(|row| row.action == "login" && row.from == "192.0.2.1"));
    assert_eq!((&*rows[3].who, &*rows[3].outcome), ("", "refused: no such user"));
    assert_eq!((&*rows[4].who, &*rows[4].outcome), ("eve", "refused: wrong password"));
    let text = format!("{rows:?}");
    assert!(!text.contains("hunter2") && !text.contains("planted"), "{text}");
}

#[tokio::test]
async fn a_token_is_good_until_it_is_revoked() {
    let place = place("");
    let token = place.token(Role::Operator).await;
    let caller = place.ask(&[("x-wigo-token", token.expose())]).await.unwrap();
    assert!(place.access.still(&caller));
    place.access.change(|tables| tables.revoke_token(1)).await.unwrap();
    assert!(!place.access.still(&caller));
    assert_eq!(place.ask(&[("x-wigo-token", token.expose())]).await, Err(Refused::Wrong));
}

#[tokio::test]
async fn each_cookie_of_the_name_is_tried() {
    let place = place("Login = \"me\"\nPassword = \"secret\"");
    let cookie = place.cookie("me", "secret").await;
    let planted =
        format!("{SESSION_COOKIE}=planted; {SESSION_COOKIE}={}; {cookie}", "x".repeat(43));
    assert_eq!(place.ask(&[("cookie", &planted)]).await.unwrap().how, How::Session);
}

#[tokio::test]
async fn the_sessions_of_a_name_are_ended_however_they_began() {
    let place = place("Login = \"me\"\nPassword = \"secret\"");
    place.access.set_provider(Some(&provider("")));
    let of_provider = place.access.begin_session("me", Role::Operator, "oidc", here());
    let of_provider = format!("{SESSION_COOKIE}={}", of_provider.await.unwrap().expose());
    let cookie = place.cookie("me", "secret").await;
    let ended = place.access.change(|tables| tables.end_sessions_of("me")).await;
    assert_eq!(ended.unwrap(), 2);
    for cookie in [cookie, of_provider] {
        assert_eq!(place.ask(&[("cookie", &cookie)]).await.unwrap().how, How::Anonymous);
    }
}

#[tokio::test]
async fn what_cannot_be_written_down_begins_no_session() {
    let place = place("Login = \"me\"\nPassword = \"secret\"");
    let other = rusqlite::Connection::open(place.folder.path().join("wigo.db")).unwrap();
    other.execute_batch("ALTER TABLE audit RENAME TO away").unwrap();
    assert!(place.access.sign_in("me", Secret::new("secret"), here()).await.is_err());
    assert_eq!(place.access.tables.load().unwrap().sessions.len(), 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_to_be_so_and_what_was_known_stays() {
    let place = place("");
    let token = place.token(Role::Readonly).await;
    let other = rusqlite::Connection::open(place.folder.path().join("wigo.db")).unwrap();
    other.execute_batch("ALTER TABLE session RENAME TO away").unwrap();
    assert!(!place.access.load(), "to be tried again");
    assert!(place.ask(&[("x-wigo-token", token.expose())]).await.is_ok());
    other.execute_batch("ALTER TABLE away RENAME TO session").unwrap();
    assert!(place.access.load());
}

#[tokio::test]
async fn a_damaged_database_opens_no_door() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("wigo.db");
    let config = Arc::new(ArcSwap::from_pointee(parsed("")));
    std::fs::write(&path, "no database at all".repeat(1_000)).unwrap();
    let settings = Settings { path, origin: uuid::Uuid::from_u128(1), keep_days: 30 };
    let store = Store::open(settings).store;
    let access = Access::open(&store, config.clone());
    assert_eq!(access.anonymous_role(), Role::None);
    assert!(access.problem().unwrap().contains("wigo user add"), "{:?}", access.problem());
    config.store(Arc::new(parsed("AnonymousRole = \"readonly\"")));
    assert_eq!(access.anonymous_role(), Role::Readonly);
    config.store(Arc::new(parsed("")));
    let hash = Secret::new("phc");
    access.change(move |tables| tables.add_user("eve", Role::Operator, &hash)).await.unwrap();
    access.change(|tables| tables.remove_user("eve")).await.unwrap();
    assert_eq!((access.problem(), access.anonymous_role()), (None, Role::Operator));
}
