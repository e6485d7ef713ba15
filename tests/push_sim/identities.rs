//! One authority for all masters of all simulations, and an enrolled identity for each node.

use std::{
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use uuid::Uuid;
use wigo::{
    config::{Endpoint, PushClient, PushServer, Secret},
    hub::{Changes, Hub, Journal, Ledger},
    push::{
        Authority,
        authority::{EnrolRequest, Enrolment},
    },
    store::{Settings, Store},
    tree::{Host, Instance, Tree},
    trust::{
        Ca, ClientKey,
        generate::{KeyKind, Plan, generate},
        install_provider,
    },
};

use crate::{network::Index, random::Random};

/// The nodes of the largest simulation.
const NODES: Index = 5;
/// A client says something this often.
const PUSH_INTERVAL: Duration = Duration::from_secs(3);

pub struct Identities {
    folder: TempDir,
    pub ca: Arc<Ca>,
    pub authority: Arc<Authority>,
}

pub static IDENTITIES: LazyLock<Identities> = LazyLock::new(Identities::make);

struct Nowhere;

impl Journal for Nowhere {
    fn record(&self, _: Changes) {}
}

pub fn uuid(node: Index) -> Uuid {
    // Spread, and in another order than the nodes are.
    let mut random = Random::new(node as u64);
    Uuid::from_u128(u128::from(random.within(1..u64::MAX)) << 64 | (node as u128 + 1))
}

pub fn endpoint(master: Index) -> Endpoint {
    Endpoint { host: format!("node{master}"), port: 4001 }
}

impl Identities {
    fn make() -> Identities {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let now = SystemTime::now();
        let made = generate(&Plan {
            hosts: vec!["masters".into()],
            authority: true,
            key: KeyKind::P256,
            not_before: now - Duration::from_secs(60),
            not_after: now + Duration::from_secs(86_400),
        })
        .unwrap();
        std::fs::write(path("ca.crt"), &made.certificate_pem).unwrap();
        std::fs::write(path("ca.key"), &made.key_pem).unwrap();
        let ca = Arc::new(Ca::load(&path("ca.crt"), &path("ca.key"), "masters").unwrap());
        let store = Store::open(Settings {
            path: path("wigo.db"),
            origin: Uuid::from_u128(1),
            keep_days: 1,
        })
        .store;
        let me = Instance::new(Uuid::from_u128(1), "Wigo v1", Host::new("authority", ""));
        let hub = Arc::new(Hub::new(Tree::new(me), Ledger::default(), Box::new(Nowhere)));
        let settings = PushServer {
            enabled: true,
            address: String::new(),
            port: 0,
            ssl_enabled: false,
            ssl_cert: path("ca.crt"),
            ssl_key: path("ca.key"),
            allowed_clients_file: path("allowed"),
            auto_accept_clients: true,
            max_waiting_clients: 0,
        };
        let authority = Authority::open(&settings, ca.clone(), store.admission(), hub).unwrap();
        let identities = Identities { folder, ca, authority };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        (0..NODES).for_each(|node| runtime.block_on(identities.enrol(node, &made.certificate_pem)));
        identities
    }

    fn file(&self, node: Index, name: &str) -> PathBuf {
        self.folder.path().join(format!("{node}.{name}"))
    }

    /// Writes what a client would have after it was let in by any of the masters.
    async fn enrol(&self, node: Index, ca: &str) {
        let key = ClientKey::load_or_make(&self.file(node, "sig.key")).unwrap();
        let request = EnrolRequest {
            uuid: uuid(node),
            host: format!("node{node}"),
            group: String::new(),
            version: "Wigo v1".into(),
            csr: key.csr(uuid(node), "node"),
            token: None,
            address: IpAddr::from([192, 0, 2, 1]),
        };
        let Enrolment::Granted(signed) = self.authority.enrol(request).await else {
            panic!("node {node} was not let in");
        };
        let further = (0..NODES).map(|master| format!(".node{master}_4001"));
        for suffix in further.chain([String::new()]) {
            let written = [("sig", signed.certificate_pem.as_str()), ("ca", ca)];
            for (name, text) in written {
                std::fs::write(self.file(node, &format!("{name}{suffix}")), text).unwrap();
            }
        }
    }

    pub fn client(&self, node: Index, masters: &[Index]) -> PushClient {
        PushClient {
            enabled: true,
            addresses: masters.iter().copied().map(endpoint).collect(),
            ssl_enabled: false,
            ssl_cert: self.file(node, "ca"),
            uuid_sig: self.file(node, "sig"),
            push_interval: PUSH_INTERVAL,
            allow_remote_control: false,
            ca_fingerprints: Vec::new(),
            join_token: Secret::default(),
            require_fingerprint: false,
        }
    }
}
