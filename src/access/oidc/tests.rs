use serde_json::json;

use super::{
    fake::{Begun, Fake, Lie, SECRET, query},
    *,
};

struct World {
    fake: Fake,
    oidc: Arc<Oidc>,
    sessions: Arc<Begun>,
}

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

impl World {
    async fn new() -> World {
        World::with("OperatorGroups = [\"ops\"]\nReadonlyGroups = [\"staff\"]", SECRET).await
    }

    async fn with(keys: &str, secret: &str) -> World {
        let fake = Fake::start().await;
        let sessions = Arc::new(Begun::default());
        let http = Http::with_limit(None, Duration::from_secs(2)).unwrap();
        let oidc = Oidc::with_http(
            fake.settings(keys, secret),
            BasePath::default(),
            sessions.clone(),
            http,
        );
        World { fake, oidc, sessions }
    }

    /// A browser is sent away, and somebody agrees: what it comes back with.
    async fn agreed(&self) -> Callback {
        let sent = self.oidc.begin("/hosts/a?b=c").await.unwrap();
        let (code, state) = self.fake.agree(&sent.to);
        let (code, state) = (Some(code), Some(state));
        Callback { code, state, cookie: Some(content(&sent.cookies[0])), ..Callback::default() }
    }

    /// The whole way.
    async fn sign_in(&self) -> Result<Sent, Refused> {
        let callback = self.agreed().await;
        self.oidc.finish(Callback { from: Some(LOOPBACK), ..callback }).await
    }

    async fn refused(&self) -> Refused {
        let refused = self.sign_in().await.err().unwrap();
        assert!(self.sessions.0.lock().unwrap().is_empty());
        refused
    }

    fn people(&self) -> Vec<(String, Role)> {
        let begun = self.sessions.0.lock().unwrap();
        begun.iter().map(|(person, _)| (person.name.clone(), person.role)).collect()
    }
}

/// What a browser keeps of a `Set-Cookie`.
fn content(cookie: &str) -> String {
    let (name, rest) = cookie.split_once('=').unwrap();
    assert_eq!(name, COOKIE);
    rest.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn somebody_signs_in() {
    let world = World::new().await;
    let sent = world.sign_in().await.unwrap();
    assert_eq!(sent.to, "/hosts/a?b=c");
    let session =
        "wigo_session=planted-session; HttpOnly; SameSite=Strict; Path=/; Max-Age=604800; Secure";
    assert_eq!(sent.cookies[0], session);
    assert!(sent.cookies[1].starts_with("wigo_oidc=; ") && sent.cookies[1].contains("Max-Age=0"));
    let begun = world.sessions.0.lock().unwrap();
    let ada = Person { name: "oidc:ada".into(), role: Role::Operator, subject: "4711".into() };
    assert_eq!(*begun, [(ada, Some(LOOPBACK))]);
}

#[tokio::test]
async fn a_provider_that_signs_with_rsa_will_do() {
    let world = World::new().await;
    world.fake.use_rsa();
    world.sign_in().await.unwrap();
    assert_eq!(world.people(), [("oidc:ada".to_owned(), Role::Operator)]);
}

#[tokio::test]
async fn the_browser_is_sent_with_all_that_binds_the_answer_to_it() {
    let world = World::new().await;
    let (one, two) = (world.oidc.begin("/").await.unwrap(), world.oidc.begin("/").await.unwrap());
    assert!(one.to.starts_with(&format!("{}/authorize?", world.fake.issuer)), "{}", one.to);
    let (first, second) = (query(&one.to), query(&two.to));
    for random in ["state", "nonce", "code_challenge"] {
        assert!(first[random].len() >= 22, "{random}");
        assert_ne!(first[random], second[random], "{random}");
    }
    assert_eq!(first["redirect_uri"], "https://wigo.example/api/oidc/callback");
    assert_eq!(first["scope"], "openid profile email");
    let cookie = &one.cookies[0];
    for part in
        ["; Path=/api/oidc;", "; Max-Age=600;", "; HttpOnly;", "; SameSite=Lax;", "; Secure"]
    {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(&first["state"]));
    // What the provider says of itself was fetched once.
    assert_eq!(world.fake.told().discovered, 1);
}

#[tokio::test]
async fn a_word_that_is_not_the_providers_for_us_and_now_is_not_believed() {
    for (lie, refused) in [
        (Lie::Nonce, Refused::Untrusted),
        (Lie::NoNonce, Refused::Untrusted),
        (Lie::Audience, Refused::Untrusted),
        (Lie::Issuer, Refused::Untrusted),
        (Lie::Expired, Refused::Clock),
        (Lie::OtherKey, Refused::Untrusted),
        (Lie::Signature, Refused::Untrusted),
        (Lie::NotSigned, Refused::Untrusted),
        (Lie::Hmac, Refused::Untrusted),
        (Lie::NoIdToken, Refused::Untrusted),
        (Lie::AccessTokenHash, Refused::Untrusted),
        (Lie::HugeToken, Refused::NoProvider),
        (Lie::SlowToken, Refused::NoProvider),
        (Lie::RedirectToken, Refused::NoProvider),
    ] {
        let world = World::new().await;
        world.fake.lie(lie);
        assert_eq!(world.refused().await, refused, "{lie:?}");
        // Nothing sticks: the next attempt is a good one.
        world.fake.lie(Lie::None);
        world.sign_in().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_provider_says_of_itself_has_bounds() {
    for lie in [Lie::HugeDiscovery, Lie::SlowDiscovery, Lie::OtherIssuerInDiscovery] {
        let world = World::new().await;
        world.fake.lie(lie);
        assert_eq!(world.oidc.begin("/").await.err().unwrap(), Refused::NoProvider, "{lie:?}");
        world.fake.lie(Lie::None);
        world.sign_in().await.unwrap();
    }
    let world = World::new().await;
    world.fake.lie(Lie::PlainEndpoint);
    assert_eq!(world.refused().await, Refused::NoProvider);
}

#[tokio::test]
async fn a_code_is_good_for_the_browser_and_the_attempt_it_was_given_for() {
    let world = World::new().await;
    let (mine, other) = (world.agreed().await, world.agreed().await);
    let refused = async |callback: Callback| world.oidc.finish(callback).await.err().unwrap();
    // A foreign page sends a browser here with a code of its own.
    let without = Callback { cookie: None, ..mine.clone() };
    assert_eq!(refused(without).await, Refused::OtherBrowser);
    let crossed = Callback { cookie: other.cookie.clone(), ..mine.clone() };
    assert_eq!(refused(crossed).await, Refused::OtherBrowser);
    let made_up = Callback { cookie: Some("AAAA".into()), ..mine.clone() };
    assert_eq!(refused(made_up).await, Refused::OtherBrowser);
    let no_state = Callback { state: None, ..mine.clone() };
    assert_eq!(refused(no_state).await, Refused::OtherBrowser);
    // The code of another attempt: its PKCE verifier is not ours.
    let injected = Callback { code: other.code.clone(), ..mine.clone() };
    assert_eq!(refused(injected).await, Refused::UsedCode);
    let mixed_up = Callback { issuer: Some("https://evil.example".into()), ..mine.clone() };
    assert_eq!(refused(mixed_up).await, Refused::Untrusted);
    assert!(world.people().is_empty());
    let named = Callback { issuer: Some(world.fake.issuer.clone()), ..mine.clone() };
    world.oidc.finish(named).await.unwrap();
    assert_eq!(refused(mine).await, Refused::UsedCode, "the code was used");
    assert_eq!(world.people().len(), 1);
}

#[tokio::test]
async fn an_attempt_ends_after_ten_minutes() {
    let world = World::new().await;
    let (callback, now) = (world.agreed().await, Timestamp::now());
    let after = |seconds| {
        let later = now + jiff::SignedDuration::from_secs(seconds);
        world.oidc.recognise(callback.clone(), later).map(drop).map_err(|(refused, _)| refused)
    };
    assert_eq!(after(ATTEMPT_SECONDS - 5), Ok(()));
    assert_eq!(after(ATTEMPT_SECONDS + 5), Err(Refused::TooLate));
}

#[tokio::test]
async fn the_providers_refusals_are_told_apart() {
    let world = World::new().await;
    let said = async |error: &str| {
        let error = Some(error.to_owned());
        let callback = Callback { code: None, error, ..world.agreed().await };
        world.oidc.finish(callback).await.err().unwrap()
    };
    assert_eq!(said("access_denied").await, Refused::Denied);
    assert_eq!(said("unauthorized_client").await, Refused::WrongClient);
    let nothing = Callback { code: None, ..world.agreed().await };
    assert_eq!(world.oidc.finish(nothing).await.err().unwrap(), Refused::Untrusted);
    let world = World::with("DefaultRole = \"readonly\"", "wrong").await;
    assert_eq!(world.refused().await, Refused::WrongClient);
}

#[tokio::test]
async fn groups_become_roles() {
    let world = World::new().await;
    for (groups, role) in [
        (json!(["staff"]), Some(Role::Readonly)),
        (json!(["staff", "ops"]), Some(Role::Operator)),
        (json!([]), None),
    ] {
        world.sessions.0.lock().unwrap().clear();
        world.fake.told().claims["groups"] = groups;
        match role {
            Some(role) => {
                world.sign_in().await.unwrap();
                assert_eq!(world.people(), [("oidc:ada".to_owned(), role)]);
            }
            None => {
                assert_eq!(world.refused().await, Refused::NoRole);
                assert_eq!(*world.sessions.1.lock().unwrap(), ["oidc:ada"]);
            }
        }
    }
    assert_eq!(world.fake.told().userinfo_asked, 0);
}

#[tokio::test]
async fn what_the_id_token_lacks_is_asked_for() {
    let world = World::new().await;
    world.fake.told().claims = json!({});
    world.fake.told().more = json!({"preferred_username": "bob", "groups": ["staff"]});
    world.sign_in().await.unwrap();
    assert_eq!(world.people(), [("oidc:bob".to_owned(), Role::Readonly)]);
    assert_eq!(world.fake.told().userinfo_asked, 1);
    // What the provider has signed counts.
    world.fake.told().claims = json!({"preferred_username": "ada"});
    world.sign_in().await.unwrap();
    assert_eq!(world.people()[1], ("oidc:ada".to_owned(), Role::Readonly));
    world.sessions.0.lock().unwrap().clear();
    world.fake.lie(Lie::OtherSubject);
    assert_eq!(world.refused().await, Refused::NoProvider);
}

#[tokio::test]
async fn new_keys_of_the_provider_are_fetched() {
    let world = World::new().await;
    world.sign_in().await.unwrap();
    world.fake.change_key();
    // The old ones were fetched just now, so they are not fetched again for each wrong signature.
    assert_eq!(world.sign_in().await.err().unwrap(), Refused::Untrusted);
    assert_eq!(world.fake.told().discovered, 1);
    world.oidc.provider.age(Duration::from_secs(31));
    world.sign_in().await.unwrap();
    assert_eq!(world.fake.told().discovered, 2);
}

#[tokio::test]
async fn a_session_that_cannot_be_written_down_is_none() {
    let world = World::new().await;
    world.fake.told().claims["preferred_username"] = "unwritten".into();
    assert_eq!(world.sign_in().await.err().unwrap(), Refused::NoSession);
}

#[test]
fn each_refusal_has_a_word_and_says_what_to_do() {
    let words: std::collections::BTreeSet<_> = Refused::ALL.map(Refused::word).into();
    assert_eq!(words.len(), Refused::ALL.len());
    for refused in Refused::ALL {
        assert!(refused.to_string().contains(": "), "{refused}");
    }
}
