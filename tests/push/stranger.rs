//! Peers that are not what they say, made from the library's own protocol.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};
use uuid::Uuid;
use wigo::{
    push::protocol::{
        channel::{self, Agent, MasterClient},
        greeting,
        hello::{Answer, Hello, Introduction, Login, receive, send},
        transport::Traffic,
        wire::{Farewell, Order, Outcome},
    },
    trust::{Ca, ClientCertificate, ClientKey, ServerTrust, push_client_config},
};

use crate::harness::{Home, LIMIT};

/// A day.
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// Runs what needs a runtime.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// The authority of a master, for who has stolen it, or is a test.
pub fn authority(home: &Home) -> Ca {
    Ca::load(&home.path("wigo.crt"), &home.path("wigo.key"), "stranger").unwrap()
}

/// A client's key and certificate.
pub struct Papers {
    pub uuid: Uuid,
    pub key: ClientKey,
    pub certificate: ClientCertificate,
}

impl Papers {
    /// Those of a new client, signed as long ago as `age`.
    pub fn signed_by(ca: &Ca, folder: &Path, uuid: Uuid, age: Duration) -> Papers {
        let key = ClientKey::load_or_make(&folder.join(format!("{uuid}.key"))).unwrap();
        let signed = ca.sign_client(&key.csr(uuid, "stranger"), uuid, SystemTime::now() - age);
        let certificate = ClientCertificate::from_pem(&signed.unwrap().certificate_pem).unwrap();
        Papers { uuid, key, certificate }
    }

    /// Those that an authority would never sign, though it is its key that did: with these alternative
    /// names and for this use.
    pub fn forged(
        home: &Home,
        uuid: Uuid,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
    ) -> Papers {
        let pair = KeyPair::generate().unwrap();
        let file = home.path("").join(format!("{uuid}.forged"));
        fs::write(&file, pair.serialize_pem()).unwrap();
        crate::harness::set_mode(&file, 0o600);
        let ca_key = fs::read_to_string(home.path("wigo.key")).unwrap();
        let ca_key = KeyPair::from_pem(&ca_key).unwrap();
        let ca = certificate_of(home);
        let issuer = Issuer::from_ca_cert_der(&ca, ca_key).unwrap();
        let mut params = CertificateParams::default();
        let names = names.iter().map(|name| SanType::URI(name.as_str().try_into().unwrap()));
        params.subject_alt_names = names.collect();
        params.extended_key_usages = vec![usage];
        let made = params.signed_by(&pair, &issuer).unwrap();
        let key = ClientKey::load_or_make(&file).unwrap();
        let now = SystemTime::now();
        let certificate = ClientCertificate {
            chain: vec![made.der().clone()],
            uuid,
            key: key.fingerprint(),
            not_before: now - DAY,
            not_after: now + DAY,
        };
        Papers { uuid, key, certificate }
    }
}

pub fn certificate_of(home: &Home) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(home.path("wigo.crt")).unwrap()
}

/// How a master is met.
pub struct Meeting {
    pub address: SocketAddr,
    /// Its authority's certificate.
    pub ca: CertificateDer<'static>,
    /// From which of the many addresses of this machine.
    pub from: SocketAddr,
}

impl Meeting {
    pub fn with(home: &Home, address: SocketAddr) -> Meeting {
        // Strangers are counted by address: not by that of the good clients.
        let from = "127.0.0.9:0".parse().unwrap();
        Meeting { address, ca: certificate_of(home), from }
    }

    pub async fn tcp(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(self.from).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// TLS, with these papers or none. With TLS 1.3 a refusal shows only afterwards.
    pub async fn tls(&self, papers: Option<&Papers>) -> TlsStream<TcpStream> {
        let identity = papers.map(|papers| (&papers.certificate, &papers.key));
        let trust = ServerTrust::Pinned(vec![self.ca.clone()]);
        let config = push_client_config(trust, identity).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(config).connect(name, self.tcp().await).await.unwrap()
    }

    /// TLS and the hello, up to the answer; or how it ended before.
    pub async fn log_in(
        &self,
        papers: Option<&Papers>,
        says: Uuid,
    ) -> Result<(TlsStream<TcpStream>, Answer), String> {
        let mut stream = self.tls(papers).await;
        let met = async {
            greeting::greet(&mut stream).await?;
            let _: Introduction = receive(&mut stream, LIMIT).await?;
            send(&mut stream, &Hello::Report(login(says))).await?;
            receive(&mut stream, LIMIT).await
        };
        let answer = met.await.map_err(|error| error.to_string())?;
        Ok((stream, answer))
    }

    /// A client that is taken, and the future that drives its connection to the end.
    pub async fn client(
        &self,
        papers: &Papers,
    ) -> (MasterClient, impl Future<Output = Result<(), channel::Ended>> + use<>) {
        let (stream, answer) = self.log_in(Some(papers), papers.uuid).await.unwrap();
        assert!(matches!(answer, Answer::Welcome { .. }), "{answer:?}");
        channel::connect(stream, Deaf, Arc::<Traffic>::default())
    }
}

pub fn login(uuid: Uuid) -> Login {
    Login {
        uuid,
        version: "Wigo v1.0.0".to_owned(),
        host: "stranger".to_owned(),
        heartbeat_ms: 15_000,
        journal_highest: 0,
        identity: None,
    }
}

/// Does not listen to what the master says.
#[derive(Clone)]
struct Deaf;

impl Agent for Deaf {
    async fn ping(self, _: tarpc::context::Context) {}
    async fn close(self, _: tarpc::context::Context, _: Farewell) {}
    async fn order(self, _: tarpc::context::Context, _: Order) -> Outcome {
        Outcome::Away("deaf".to_owned())
    }
}
