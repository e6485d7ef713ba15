//! A provider for tests: it checks what a real one checks, and lies as it is told.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use ring::{
    digest::{SHA256, digest},
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use rsa::{pkcs8::EncodePrivateKey, traits::PublicKeyParts};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Answer, Person, Sessions};
use crate::config::{self, OpenIdConnect, Secret};

const CLIENT: &str = "wigo";
pub const SECRET: &str = "planted-client-secret";
/// Longer than anybody waits in these tests.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// What the provider does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    None,
    Nonce,
    NoNonce,
    Audience,
    Issuer,
    Expired,
    /// Signed with a key it does not name.
    OtherKey,
    /// Signed with another key than the one it names.
    Signature,
    /// `alg` is `none`.
    NotSigned,
    /// Signed with the client's secret.
    Hmac,
    NoIdToken,
    AccessTokenHash,
    /// Its userinfo is that of somebody else.
    OtherSubject,
    HugeToken,
    SlowToken,
    RedirectToken,
    HugeDiscovery,
    SlowDiscovery,
    OtherIssuerInDiscovery,
    PlainEndpoint,
}

/// What was given out for a code.
struct Grant {
    nonce: String,
    challenge: String,
    redirect: String,
}

pub struct Told {
    pub lie: Lie,
    /// Claims of the person in the ID token, besides those of the protocol.
    pub claims: Value,
    /// What userinfo adds.
    pub more: Value,
    pub userinfo_asked: usize,
    pub discovered: usize,
    grants: HashMap<String, Grant>,
    key: Key,
}

enum Key {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair, Value),
}

/// Sessions that are only written down, and the names of those who were turned away.
#[derive(Default)]
pub struct Begun(pub Mutex<Vec<(Person, Option<IpAddr>)>>, pub Mutex<Vec<String>>);

impl Sessions for Begun {
    fn begin(&self, person: Person, from: Option<IpAddr>) -> Answer<Result<Secret, String>> {
        let is_unwritten = person.name == "oidc:unwritten";
        self.0.lock().unwrap().push((person, from));
        Box::pin(async move {
            match is_unwritten {
                true => Err("the disk is full".into()),
                false => Ok(Secret::new("planted-session")),
            }
        })
    }

    fn turned_away(&self, person: Person, _: Option<IpAddr>) -> Answer<()> {
        self.1.lock().unwrap().push(person.name);
        Box::pin(async {})
    }
}

#[derive(Clone)]
pub struct Fake {
    pub issuer: String,
    told: Arc<Mutex<Told>>,
}

impl Fake {
    pub async fn start() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let told = Told {
            lie: Lie::None,
            claims: json!({"preferred_username": "ada", "groups": ["ops"]}),
            more: json!({}),
            userinfo_asked: 0,
            discovered: 0,
            grants: HashMap::new(),
            key: Key::ec(),
        };
        let issuer = format!("http://{address}");
        let fake = Fake { issuer, told: Arc::new(Mutex::new(told)) };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    /// What is configured for this provider, with more `keys`.
    pub fn settings(&self, keys: &str, secret: &str) -> OpenIdConnect {
        let text = format!(
            "[OpenIdConnect]\nEnabled = true\nIssuer = \"{}\"\nClientId = \"{CLIENT}\"\n\
             ClientSecret = \"{secret}\"\nPublicUrl = \"https://wigo.example\"\n{keys}",
            self.issuer
        );
        config::parse(&text, Path::new("wigo.conf")).unwrap().config.oidc
    }

    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    pub fn lie(&self, lie: Lie) {
        self.told().lie = lie;
    }

    pub fn use_rsa(&self) {
        self.told().key = Key::rsa();
    }

    pub fn change_key(&self) {
        self.told().key = Key::ec();
    }

    /// A person agrees at the address to which Wigo has sent the browser: the code and the state.
    pub fn agree(&self, address: &str) -> (String, String) {
        let parameters = query(address);
        let get = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        assert_eq!((get("response_type"), get("client_id")), ("code".into(), CLIENT.into()));
        assert_eq!(get("code_challenge_method"), "S256");
        assert!(get("scope").split(' ').any(|scope| scope == "openid"));
        let grant = Grant {
            nonce: get("nonce"),
            challenge: get("code_challenge"),
            redirect: get("redirect_uri"),
        };
        let code = format!("code-{}", uuid::Uuid::new_v4());
        self.told().grants.insert(code.clone(), grant);
        (code, get("state"))
    }
}

/// The parameters of an address.
pub fn query(address: &str) -> HashMap<String, String> {
    pairs(address.split_once('?').unwrap().1)
}

fn pairs(text: &str) -> HashMap<String, String> {
    let address = format!("/?{text}").parse().unwrap();
    Query::try_from_uri(&address).unwrap().0
}

impl Key {
    fn ec() -> Key {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Key::Ec(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap())
    }

    fn rsa() -> Key {
        let private = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2_048).unwrap();
        let jwk = json!({
            "kty": "RSA", "use": "sig", "kid": "k", "alg": "RS256",
            "n": text(&private.n().to_bytes_be()), "e": text(&private.e().to_bytes_be()),
        });
        let document = private.to_pkcs8_der().unwrap();
        Key::Rsa(RsaKeyPair::from_pkcs8(document.as_bytes()).unwrap(), jwk)
    }

    fn jwk(&self) -> Value {
        match self {
            Key::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at(32);
                json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "kid": "k", "alg": "ES256",
                    "x": text(x), "y": text(y),
                })
            }
            Key::Rsa(_, jwk) => jwk.clone(),
        }
    }

    /// An ID token of these claims.
    fn sign(&self, kid: &str, claims: &Value) -> String {
        let random = SystemRandom::new();
        let algorithm = if matches!(self, Key::Ec(_)) { "ES256" } else { "RS256" };
        let signed = unsigned(&json!({"alg": algorithm, "kid": kid}), claims);
        let signature = match self {
            Key::Ec(pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Key::Rsa(pair, _) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{signed}.{}", text(&signature))
    }
}

fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn unsigned(head: &Value, claims: &Value) -> String {
    format!("{}.{}", text(head.to_string().as_bytes()), text(claims.to_string().as_bytes()))
}

async fn discovery(State(fake): State<Fake>) -> Response {
    let lie = {
        let mut told = fake.told();
        told.discovered += 1;
        told.lie
    };
    if lie == Lie::SlowDiscovery {
        tokio::time::sleep(FOR_EVER).await;
    }
    let issuer = &fake.issuer;
    let claimed = if lie == Lie::OtherIssuerInDiscovery { "https://evil.example" } else { issuer };
    let tokens = match lie {
        Lie::PlainEndpoint => "http://192.0.2.1/token".to_owned(),
        _ => format!("{issuer}/token"),
    };
    let mut document = json!({
        "issuer": claimed,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": tokens,
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
    });
    if lie == Lie::HugeDiscovery {
        document["padding"] = "x".repeat(2 << 20).into();
    }
    Json(document).into_response()
}

async fn keys(State(fake): State<Fake>) -> Json<Value> {
    Json(json!({ "keys": [fake.told().key.jwk()] }))
}

fn refuse(error: &str) -> Response {
    let body = json!({"error": error, "error_description": "because\nof this"});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

async fn token(State(fake): State<Fake>, headers: HeaderMap, body: String) -> Response {
    let form = pairs(&body);
    let lie = fake.told().lie;
    match lie {
        Lie::SlowToken => tokio::time::sleep(FOR_EVER).await,
        Lie::HugeToken => return Bytes::from(vec![b' '; 2 << 20]).into_response(),
        Lie::RedirectToken => return Redirect::temporary("/elsewhere").into_response(),
        _ => {}
    }
    let login = BASE64_STANDARD.encode(format!("{CLIENT}:{SECRET}"));
    if headers.get(header::AUTHORIZATION).is_none_or(|given| given != &format!("Basic {login}")) {
        return refuse("invalid_client");
    }
    let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let Some(grant) = fake.told().grants.remove(get("code")) else {
        return refuse("invalid_grant");
    };
    let challenge = text(digest(&SHA256, get("code_verifier").as_bytes()).as_ref());
    if challenge != grant.challenge || get("redirect_uri") != grant.redirect {
        return refuse("invalid_grant");
    }
    Json(fake.tokens(lie, &grant)).into_response()
}

impl Fake {
    fn tokens(&self, lie: Lie, grant: &Grant) -> Value {
        let access = "planted-access-token";
        let now = Timestamp::now().as_second();
        let hash = text(&digest(&SHA256, access.as_bytes()).as_ref()[..16]);
        let told = self.told();
        let mut claims = json!({
            "iss": self.issuer, "sub": "4711", "aud": CLIENT, "nonce": grant.nonce, "at_hash": hash,
            "iat": now, "exp": now + 300,
        });
        let more = told.claims.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(more);
        match lie {
            Lie::Nonce => claims["nonce"] = "another".into(),
            Lie::NoNonce => drop(claims.as_object_mut().unwrap().remove("nonce")),
            Lie::Audience => claims["aud"] = "somebody else".into(),
            Lie::Issuer => claims["iss"] = "https://evil.example".into(),
            Lie::Expired => claims["exp"] = (now - 60).into(),
            Lie::AccessTokenHash => claims["at_hash"] = text(&[7; 16]).into(),
            _ => {}
        }
        let id = match lie {
            Lie::OtherKey => Key::ec().sign("other", &claims),
            Lie::Signature => Key::ec().sign("k", &claims),
            Lie::NotSigned => format!("{}.", unsigned(&json!({"alg": "none"}), &claims)),
            Lie::Hmac => {
                let signed = unsigned(&json!({"alg": "HS256"}), &claims);
                let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
                format!("{signed}.{}", text(hmac::sign(&key, signed.as_bytes()).as_ref()))
            }
            _ => told.key.sign("k", &claims),
        };
        let mut tokens = json!({"access_token": access, "token_type": "Bearer", "expires_in": 60});
        if lie != Lie::NoIdToken {
            tokens["id_token"] = id.into();
        }
        tokens
    }
}

async fn userinfo(State(fake): State<Fake>, headers: HeaderMap) -> Response {
    let bearer = headers.get(header::AUTHORIZATION);
    if bearer.is_none_or(|given| given != "Bearer planted-access-token") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut told = fake.told();
    told.userinfo_asked += 1;
    let mut claims = told.more.clone();
    claims["sub"] = if told.lie == Lie::OtherSubject { "666" } else { "4711" }.into();
    Json(claims).into_response()
}
