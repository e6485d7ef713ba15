//! What happens between two steps of a login, on a stream that holds nothing back but what a test wants.

use std::{fs, path::Path, time::SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use uuid::Uuid;

use super::*;
use crate::{
    connections::Connections,
    hub::{Changes, Hub, Journal, Ledger},
    push::{
        Authority,
        protocol::{Pool, hello::PlainIdentity, transport::Traffic},
        server::{Live, Pressure},
    },
    store::{self, Store},
    task::Tasks,
    tree::{Instance, Tree},
    trust::{
        Ca, ClientCertificate, ClientKey,
        generate::{KeyKind, Plan, generate},
    },
};

const OWN: Uuid = Uuid::from_u128(1);
const CLIENT: Uuid = Uuid::from_u128(2);

struct Nowhere;

impl Journal for Nowhere {
    fn record(&self, _: Changes) {}
}

impl Pressure for Nowhere {
    fn waiting(&self) -> f64 {
        0.0
    }
}

/// A master without TLS, and one client that is allowed.
struct Fixture {
    host: Arc<Host>,
    key: ClientKey,
    certificate: ClientCertificate,
    stop: Stop,
    _tasks: Tasks,
    _store: Store,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Fixture {
        crate::trust::install_provider();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let now = SystemTime::now();
        let made = generate(&Plan {
            hosts: vec!["localhost".into()],
            authority: true,
            key: KeyKind::P256,
            not_before: now - Duration::from_secs(3_600),
            not_after: now + Duration::from_secs(86_400),
        });
        let made = made.unwrap();
        fs::write(path("ca.crt"), made.certificate_pem).unwrap();
        fs::write(path("ca.key"), made.key_pem).unwrap();
        let ca = Arc::new(Ca::load(&path("ca.crt"), &path("ca.key"), "localhost").unwrap());
        let settings = store::Settings { path: path("wigo.db"), origin: OWN, keep_days: 1 };
        let store = Store::open(settings).store;
        let me = Instance::new(OWN, "Wigo v1", crate::tree::Host::new("master", ""));
        let hub = Arc::new(Hub::new(Tree::new(me), Ledger::default(), Box::new(Nowhere)));
        let allowed = path("allowed");
        let text = format!(
            "[PushServer]\nAllowedClientsFile = \"{}\"\nAutoAcceptClients = true\n",
            allowed.display()
        );
        let settings = crate::config::parse(&text, Path::new("w")).unwrap().config.push_server;
        let authority =
            Authority::open(&settings, ca.clone(), store.admission(), hub.clone()).unwrap();
        let key = ClientKey::load_or_make(&path("client.key")).unwrap();
        let request = EnrolRequest {
            uuid: CLIENT,
            host: "leaf".into(),
            group: String::new(),
            version: "Wigo v1".into(),
            csr: key.csr(CLIENT, "leaf"),
            token: None,
            address: [192, 0, 2, 1].into(),
        };
        let Enrolment::Granted(signed) = authority.enrol(request).await else { panic!() };
        let host = Host {
            uuid: OWN,
            version: "Wigo v1",
            ca,
            authority,
            hub,
            pressure: Arc::new(Nowhere),
            encrypted: false,
            alive_timeout: Box::new(|| Duration::from_secs(60)),
            live: Live::default(),
            pool: Pool::default(),
            traffic: Arc::new(Traffic::default()),
        };
        let mut tasks = Tasks::default();
        let mut stop = None;
        tasks.spawn("test", |given| {
            stop = Some(given);
            async {}
        });
        Fixture {
            host: Arc::new(host),
            key,
            certificate: ClientCertificate::from_pem(&signed.certificate_pem).unwrap(),
            stop: stop.unwrap(),
            _tasks: tasks,
            _store: store,
            _folder: folder,
        }
    }

    /// A connection on whose way back only a byte has room.
    fn connect(&self) -> DuplexStream {
        let (below, above) = duplex(1);
        let address = SocketAddr::from(([192, 0, 2, 1], 4_000));
        let stranger = Connections::new(1, 1).admit(address.ip()).unwrap();
        tokio::spawn(serve(above, address, self.host.clone(), stranger, self.stop.clone()));
        below
    }

    async fn introduced(&self, stream: &mut DuplexStream) -> (Introduction, Vec<u8>) {
        let version = greeting::greet(stream).await.unwrap();
        let ours = [7; 32];
        send(stream, &Opening { uuid: CLIENT, nonce: ours }).await.unwrap();
        let met: Introduction = receive(stream, GREETING_LIMIT).await.unwrap();
        let authority = *self.host.ca.fingerprint().as_bytes();
        let sign = |role| challenge(role, CLIENT, OWN, &authority, &ours, &met.nonce, version);
        // The proof is made for this client.
        let proof = met.proof.clone().unwrap();
        assert!(verify_signature(self.host.ca.certificate_der(), &sign(Role::Server), &proof));
        let signed = sign(Role::Client);
        (met, signed)
    }

    /// Says who it is; what is answered is not read yet.
    async fn log_in(&self) -> DuplexStream {
        let mut stream = self.connect();
        let (_, signed) = self.introduced(&mut stream).await;
        let identity = PlainIdentity {
            chain: self.certificate.chain.iter().map(|one| one.to_vec()).collect(),
            proof: self.key.sign(&signed),
        };
        let login = Login {
            uuid: CLIENT,
            version: "Wigo v1".into(),
            host: "leaf".into(),
            heartbeat_ms: 10_000,
            journal_highest: 0,
            identity: Some(identity),
        };
        send(&mut stream, &Hello::Report(login)).await.unwrap();
        stream
    }

    fn knows_client(&self) -> bool {
        self.host.hub.read(|tree| tree.get(CLIENT).is_some())
    }
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_is_revoked_while_logging_in_stays_out() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.log_in().await;
    // The first byte of the welcome is there: it was admitted.
    let first = stream.read_u8().await.unwrap();
    fixture.host.authority.revoke(CLIENT).await.unwrap();
    let mut rest = vec![first];
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(!fixture.knows_client());
    until(|| fixture.host.live.count() == 0).await;
}

#[tokio::test]
async fn who_is_gone_before_it_is_welcome_leaves_its_place() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.log_in().await;
    stream.read_u8().await.unwrap();
    assert_eq!(fixture.host.live.count(), 1, "the place is taken before it is welcome");
    drop(stream);
    until(|| fixture.host.live.count() == 0).await;
    assert!(!fixture.knows_client());
}

#[tokio::test]
async fn a_connection_whose_predecessor_has_just_gone_is_taken() {
    let live = Live::default();
    let address = SocketAddr::from(([192, 0, 2, 1], 4_000));
    let enter = |replaces| live.enter(CLIENT, address, AgentLink::new(), replaces);
    let (first, mut closed) = enter(None).unwrap();
    assert!(enter(None).is_none(), "one of the same client is there");
    let (second, _) = enter(Some(first)).unwrap();
    assert_eq!(*closed.borrow_and_update(), Some(crate::push::server::live::Close::Replaced));
    assert!(!live.leave(CLIENT, first) && live.leave(CLIENT, second));
    assert!(enter(Some(second)).is_some());
}

#[tokio::test]
async fn a_token_is_refused_without_tls() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.connect();
    fixture.introduced(&mut stream).await;
    let enrol = Enrol {
        uuid: CLIENT,
        version: "Wigo v1".into(),
        host: "leaf".into(),
        group: String::new(),
        csr: fixture.key.csr(CLIENT, "leaf"),
        token: Some("token".into()),
    };
    send(&mut stream, &Hello::Enrol(enrol)).await.unwrap();
    let answer: Answer = receive(&mut stream, GREETING_LIMIT).await.unwrap();
    assert_eq!(answer, Answer::Refused { why: TOKEN_NEEDS_TLS.to_owned(), retry: false });
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_message_is_a_sign_of_life() {
    let fixture = Fixture::new().await;
    let identity = fixture.host.ca.verify_client(&fixture.certificate.chain, SystemTime::now());
    let shared = Session::new(fixture.host.clone(), identity.unwrap()).shared();
    let (mut below, above) = duplex(10);
    let mut heard = Heard::new(above, shared.clone());
    let before = shared.heard();
    tokio::time::advance(Duration::from_secs(5)).await;
    below.write_all(&[0]).await.unwrap();
    heard.read_u8().await.unwrap();
    assert_eq!(shared.heard() - before, Duration::from_secs(5));
}
