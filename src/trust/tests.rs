//! Handshakes in memory: who believes whom.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use rcgen::CertificateParams;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{ClientConfig, HandshakeKind, ServerConfig, version::TLS13},
};
use uuid::Uuid;

use super::{
    generate::{KeyKind, Made, Plan, generate},
    *,
};

pub(super) const DAY: Duration = Duration::from_secs(86_400);
/// Bytes on the way in each direction.
const PIPE: usize = 64 << 10;
pub(super) const HOST: &str = "master.example";

/// A plan for a certificate for [`HOST`] and 192.0.2.7.
pub(super) fn plan(authority: bool) -> Plan {
    let not_before = SystemTime::now() - DAY;
    Plan {
        hosts: vec![HOST.into(), "192.0.2.7".into()],
        authority,
        key: KeyKind::P256,
        not_before,
        not_after: not_before + 1_000 * DAY,
    }
}

pub(super) fn load(certificate: &str, key: &str) -> Result<Ca, BadCertificate> {
    let folder = TempDir::new().unwrap();
    let (crt, private) = (folder.path().join("wigo.crt"), folder.path().join("wigo.key"));
    fs::write(&crt, certificate).unwrap();
    fs::write(&private, key).unwrap();
    Ca::load(&crt, &private, "this-host")
}

pub(super) fn authority(plan: &Plan) -> Ca {
    let made = generate(plan).unwrap();
    load(&made.certificate_pem, &made.key_pem).unwrap()
}

/// A client's key, in a folder that may go.
pub(super) fn key() -> ClientKey {
    let folder = TempDir::new().unwrap();
    ClientKey::load_or_make(&folder.path().join("uuid.key")).unwrap()
}

/// A client that is enrolled.
pub(super) fn enrolled(ca: &Ca, uuid: Uuid) -> (ClientCertificate, ClientKey) {
    let key = key();
    let signed = ca.sign_client(&key.csr(uuid, "web1"), uuid, SystemTime::now()).unwrap();
    (ClientCertificate::from_pem(&signed.certificate_pem).unwrap(), key)
}

pub(super) fn pinned(ca: &Ca) -> ServerTrust {
    ServerTrust::Pinned(vec![ca.certificate_der().clone()])
}

/// What the server knows after a handshake.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) kind: HandshakeKind,
}

/// One connection: what each side says of it, after a byte in each direction.
pub(super) async fn connect(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    name: &str,
) -> (io::Result<Accepted>, io::Result<()>) {
    let (near, far) = duplex(PIPE);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let serve = async {
        let mut stream = TlsAcceptor::from(server).accept(far).await?;
        stream.write_all(b"s").await?;
        stream.read_u8().await?;
        let connection = stream.get_ref().1;
        Ok(Accepted {
            chain: connection.peer_certificates().unwrap_or_default().to_vec(),
            kind: connection.handshake_kind().unwrap(),
        })
    };
    let ask = async {
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        stream.read_u8().await?;
        stream.write_all(b"c").await?;
        stream.shutdown().await
    };
    tokio::join!(serve, ask)
}

/// A server that shows `chain`, whatever it is, with `key`.
fn server(chain: Vec<CertificateDer<'static>>, key_pem: &str) -> Arc<ServerConfig> {
    let private = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
    let signer = crypto::ring::sign::any_supported_type(&private).unwrap();
    let certified = rustls::sign::CertifiedKey::new(chain, signer);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![ALPN.to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A server that shows the one certificate that was made, as the original does.
fn original(made: &Made) -> Arc<ServerConfig> {
    server(vec![der(made)], &made.key_pem)
}

fn der(made: &Made) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(made.certificate_pem.as_bytes()).unwrap()
}

/// Why the client did not believe the server.
async fn refusal(server: Arc<ServerConfig>, client: Arc<ClientConfig>, name: &str) -> Untrusted {
    let (accepted, asked) = connect(server, client, name).await;
    assert!(accepted.is_err(), "the server has a connection: {accepted:?}");
    let error = asked.unwrap_err();
    untrusted(&error).unwrap_or_else(|| panic!("{error:?}")).clone()
}

fn anonymous(trust: ServerTrust) -> Arc<ClientConfig> {
    push_client_config(trust, None).unwrap()
}

#[tokio::test]
async fn an_enrolled_client_is_known_and_its_session_is_resumed() {
    for authority_flag in [true, false] {
        let ca = authority(&plan(authority_flag));
        let uuid = Uuid::new_v4();
        let (certificate, key) = enrolled(&ca, uuid);
        let client = push_client_config(pinned(&ca), Some((&certificate, &key))).unwrap();
        for (name, kind) in [
            (HOST, HandshakeKind::Full),
            (HOST, HandshakeKind::Resumed),
            ("192.0.2.7", HandshakeKind::Full),
            (HOST, HandshakeKind::Resumed),
        ] {
            let (accepted, asked) = connect(ca.server_config(), client.clone(), name).await;
            asked.unwrap();
            let accepted = accepted.unwrap();
            assert_eq!(accepted.kind, kind, "{name}");
            let identity = ca.verify_client(&accepted.chain, SystemTime::now()).unwrap();
            assert_eq!((identity.uuid, identity.key), (uuid, key.fingerprint()));
            // A session that is older than its certificate.
            let later = ca.verify_client(&accepted.chain, SystemTime::now() + 31 * DAY);
            assert_eq!(later, Err(BadPeer::Date));
        }
    }
}

#[tokio::test]
async fn sessions_outlive_the_servers_certificate() {
    let ca = authority(&plan(true));
    let client = anonymous(pinned(&ca));
    let before = ca.server_config();
    connect(before.clone(), client.clone(), HOST).await.0.unwrap();
    let now = SystemTime::now();
    assert!(Arc::ptr_eq(&before, &ca.server_config_at(now + 44 * DAY)), "made again too early");
    let after = ca.server_config_at(now + 46 * DAY);
    assert!(!Arc::ptr_eq(&before, &after), "not renewed in time");
    assert!(Arc::ptr_eq(&after, &ca.server_config_at(now + 47 * DAY)));
    let (accepted, asked) = connect(after, client, HOST).await;
    asked.unwrap();
    assert_eq!(accepted.unwrap().kind, HandshakeKind::Resumed);
    // The clock was wrong and is set back: a certificate of the future is of no use.
    connect(ca.server_config(), anonymous(pinned(&ca)), HOST).await.1.unwrap();
}

#[tokio::test]
async fn a_pinned_server_is_believed_for_its_names_alone() {
    let made = generate(&plan(true)).unwrap();
    let ca = load(&made.certificate_pem, &made.key_pem).unwrap();
    let plain = generate(&plan(false)).unwrap();
    // The chain of ours, and the bare certificate that the original shows, authority or not.
    for (server, trusted) in [
        (ca.server_config(), ca.certificate_der().clone()),
        (original(&made), der(&made)),
        (original(&plain), der(&plain)),
    ] {
        let client = anonymous(ServerTrust::Pinned(vec![trusted]));
        for name in [HOST, "192.0.2.7"] {
            let (accepted, asked) = connect(server.clone(), client.clone(), name).await;
            asked.unwrap();
            assert!(accepted.unwrap().chain.is_empty());
        }
        for name in ["other.example", "192.0.2.8"] {
            let why = refusal(server.clone(), client.clone(), name).await;
            assert!(matches!(&why.why, Refusal::Name(names) if names.len() == 2), "{why}");
            assert!(why.to_string().contains("for `master.example`, `192.0.2.7` only"), "{why}");
        }
        let stranger = anonymous(pinned(&authority(&plan(true))));
        let why = refusal(server, stranger, HOST).await;
        assert!(matches!(why.why, Refusal::Unknown | Refusal::Other(_)), "{why:?}");
    }
}

#[tokio::test]
async fn a_pinned_certificate_has_its_dates() {
    let now = SystemTime::now();
    for authority in [true, false] {
        let over = Plan { not_after: now - DAY / 2, ..plan(authority) };
        let early = Plan { not_before: now + DAY, ..plan(authority) };
        for (plan, expected) in [(over, "is over"), (early, "not valid yet")] {
            let made = generate(&plan).unwrap();
            let client = anonymous(ServerTrust::Pinned(vec![der(&made)]));
            let why = refusal(original(&made), client, HOST).await;
            assert!(why.to_string().contains(expected), "{why}");
        }
    }
}

#[tokio::test]
async fn tls_1_2_and_other_protocols_are_refused_for_push() {
    let ca = authority(&plan(true));
    let roots = RemoteTrust::Pinned(ca.fingerprint());
    let http = remote_client_config(roots).unwrap();
    let (accepted, asked) = connect(ca.server_config(), http, HOST).await;
    assert!(accepted.unwrap_err().to_string().contains("peer doesn't support any known protocol"));
    asked.unwrap_err();
    let old = verify::client_builder(
        verify::Rule::anchors(vec![ca.certificate_der().clone()]).unwrap(),
        &[&rustls::version::TLS12],
    );
    let (accepted, asked) =
        connect(ca.server_config(), Arc::new(old.with_no_client_auth()), HOST).await;
    assert!(accepted.is_err() && asked.is_err());
}

#[tokio::test]
async fn the_first_contact_learns_the_authority() {
    let ca = authority(&plan(true));
    let plain = generate(&plan(false)).unwrap();
    for (server, expected) in
        [(ca.server_config(), ca.certificate_der().clone()), (original(&plain), der(&plain))]
    {
        let fingerprint = Fingerprint::of_certificate(&expected);
        let stranger = Fingerprint::of_key(b"");
        for allowed in [vec![], vec![fingerprint], vec![stranger, fingerprint]] {
            let contact = Arc::new(FirstContact::new(allowed));
            let client = anonymous(ServerTrust::FirstContact(contact.clone()));
            assert_eq!(contact.learned(), None);
            connect(server.clone(), client.clone(), HOST).await.1.unwrap();
            assert_eq!(contact.learned(), Some(expected.clone()));
            // From now on it is pinned.
            let other = authority(&plan(true)).server_config();
            let why = refusal(other, client, HOST).await;
            assert!(matches!(why.why, Refusal::Fingerprint(_)), "{why}");
            assert_eq!(contact.learned(), Some(expected.clone()));
        }
    }
}

#[tokio::test]
async fn the_first_contact_refuses_what_is_not_consistent() {
    let made = generate(&plan(true)).unwrap();
    let ca = load(&made.certificate_pem, &made.key_pem).unwrap();
    let contact = |expected| {
        let contact = Arc::new(FirstContact::new(expected));
        (contact.clone(), anonymous(ServerTrust::FirstContact(contact)))
    };
    let (first, client) = contact(vec![]);
    let why = refusal(ca.server_config(), client, "other.example").await;
    assert!(matches!(why.why, Refusal::Name(_)), "{why}");
    assert_eq!(first.learned(), None);

    let expected = Fingerprint::of_key(b"");
    let (first, client) = contact(vec![expected]);
    let why = refusal(ca.server_config(), client, HOST).await.to_string();
    assert!(why.contains(&ca.fingerprint().to_string()), "{why}");
    assert!(why.contains(&expected.to_string()), "{why}");
    assert_eq!(first.learned(), None);

    // A server of its own behind somebody else's authority.
    let liar = generate(&plan(false)).unwrap();
    let (first, client) = contact(vec![ca.fingerprint()]);
    let chain = vec![der(&liar), ca.certificate_der().clone()];
    refusal(server(chain, &liar.key_pem), client, HOST).await;
    assert_eq!(first.learned(), None);

    // The right certificate without its key.
    let (first, client) = contact(vec![ca.fingerprint()]);
    let (_, asked) = connect(server(vec![der(&made)], &liar.key_pem), client, HOST).await;
    asked.unwrap_err();
    assert_eq!(first.learned(), None, "learned before the key was shown");
}

#[tokio::test]
async fn a_remote_is_believed_by_its_fingerprint_or_its_authority() {
    let now = SystemTime::now();
    let made = generate(&Plan { not_after: now - DAY / 2, ..plan(true) }).unwrap();
    let exact = |fingerprint| remote_client_config(RemoteTrust::Pinned(fingerprint)).unwrap();
    // For any name, at any time.
    connect(original(&made), exact(made.fingerprint), "other.example").await.1.unwrap();
    let also = remote_client_config(RemoteTrust::SystemOr(der(&made))).unwrap();
    connect(original(&made), also, "other.example").await.1.unwrap();
    let other = generate(&plan(true)).unwrap();
    let why = refusal(original(&other), exact(made.fingerprint), HOST).await;
    assert_eq!(why.fingerprint, other.fingerprint);
    assert!(matches!(&why.why, Refusal::Fingerprint(expected) if *expected == [made.fingerprint]));
    // The same certificate without its key.
    let stolen = server(vec![der(&made)], &other.key_pem);
    connect(stolen, exact(made.fingerprint), HOST).await.1.unwrap_err();

    let why = refusal(original(&other), remote_client_config(RemoteTrust::System).unwrap(), HOST);
    let why = why.await;
    assert_eq!(why.fingerprint, other.fingerprint, "nothing to pin");
    assert!(why.to_string().contains(&other.fingerprint.to_string()), "{why}");

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");
    let both = format!("{}{}", made.certificate_pem, other.certificate_pem);
    fs::write(&file, both).unwrap();
    let client = remote_client_config(RemoteTrust::Authority(file)).unwrap();
    connect(original(&other), client.clone(), HOST).await.1.unwrap();
    let why = refusal(original(&other), client, "other.example").await;
    assert!(matches!(why.why, Refusal::Name(_)), "{why}");
    let missing = remote_client_config(RemoteTrust::Authority(folder.path().join("no")));
    assert!(matches!(missing, Err(BadCertificate::Read { .. })), "{missing:?}");
}

#[tokio::test]
async fn hostile_names_are_harmless_on_a_screen() {
    let mut params = CertificateParams::default();
    params.subject_alt_names = (0..50)
        .map(|i| {
            rcgen::SanType::DnsName(format!("\x1b[31m{i}{}", "x".repeat(500)).try_into().unwrap())
        })
        .collect();
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let cert = params.self_signed(&signing_key).unwrap();
    let der = cert.der().clone();
    let server = server(vec![der.clone()], &signing_key.serialize_pem());
    let why = refusal(server, anonymous(ServerTrust::Pinned(vec![der])), HOST).await.to_string();
    assert!(why.contains("\\u{1b}[31m0") && !why.contains('\x1b'), "{why:?}");
    assert!(why.len() < 2_000, "{}", why.len());
}

#[test]
fn a_key_is_made_once_and_its_certificate_is_read_back() {
    let folder = TempDir::new().unwrap();
    let (path, file) = (folder.path().join("ssl/uuid.key"), folder.path().join("ssl/uuid.sig"));
    let key = ClientKey::load_or_make(&path).unwrap();
    assert_eq!(ClientKey::load_or_make(&path).unwrap().fingerprint(), key.fingerprint());
    assert_eq!(ClientCertificate::load(&file).unwrap(), None);
    // The original's signature.
    fs::write(&file, [0x80; 256]).unwrap();
    assert_eq!(ClientCertificate::load(&file).unwrap(), None);

    let (ca, uuid, now) = (authority(&plan(true)), Uuid::new_v4(), SystemTime::now());
    let signed = ca.sign_client(&key.csr(uuid, &"h".repeat(300)), uuid, now).unwrap();
    assert_eq!(signed.key, key.fingerprint());
    write(&file, signed.certificate_pem.as_bytes(), Readers::Owner, Existing::Replace).unwrap();
    let certificate = ClientCertificate::load(&file).unwrap().unwrap();
    assert_eq!((certificate.uuid, certificate.key), (uuid, key.fingerprint()));
    assert!(!certificate.wants_renewal(now) && !certificate.wants_renewal(now + 14 * DAY));
    assert!(certificate.wants_renewal(now + 15 * DAY) && !certificate.expired(now + 29 * DAY));
    assert!(certificate.expired(now + 30 * DAY));
    let other = self::key();
    let pair = push_client_config(pinned(&ca), Some((&certificate, &other)));
    assert!(matches!(pair, Err(BadCertificate::ClientPair(_))), "{pair:?}");

    fs::write(&file, &signed.certificate_pem[..200]).unwrap();
    let cut = ClientCertificate::load(&file);
    assert!(matches!(cut, Err(BadCertificate::Pem { .. })), "{cut:?}");
    fs::write(&file, ca.certificate_pem()).unwrap();
    let wrong = ClientCertificate::load(&file);
    assert!(matches!(wrong, Err(BadCertificate::Identity { .. })), "{wrong:?}");
    fs::write(&path, "nonsense").unwrap();
    let broken = ClientKey::load_or_make(&path);
    assert!(matches!(broken, Err(BadCertificate::Pem { .. })), "{broken:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense", "a broken key is not replaced");
}

#[test]
fn a_signed_message_is_nothing_else() {
    let ca = authority(&plan(true));
    let (certificate, key) = enrolled(&ca, Uuid::new_v4());
    let leaf = &certificate.chain[0];
    let message = b"nonce";
    for (certificate, signature) in
        [(ca.certificate_der(), ca.sign(message)), (leaf, key.sign(message))]
    {
        assert!(verify_signature(certificate, message, &signature));
        assert!(!verify_signature(certificate, b"other", &signature));
        assert!(!verify_signature(certificate, message, &signature[1..]));
        assert!(!verify_signature(&CertificateDer::from(vec![0; 9]), message, &signature));
        // What is signed is never the bare message: that could be a certificate.
        let bare = webpki::EndEntityCert::try_from(certificate).unwrap();
        let bare = bare.verify_signature(webpki::ring::ECDSA_P256_SHA256, message, &signature);
        assert!(bare.is_err());
    }
    assert!(!verify_signature(leaf, message, &ca.sign(message)));
    assert!(!verify_signature(ca.certificate_der(), message, &key.sign(message)));
}

#[test]
fn a_key_does_not_show_in_debug_text() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key");
    let key = ClientKey::load_or_make(Path::new(&path)).unwrap();
    let pem = fs::read_to_string(path).unwrap();
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let shown = format!("{key:?}");
    assert!(shown.contains(&key.fingerprint().to_string()));
    assert!(shown.len() < 150 && !shown.contains(&format!("{:?}", &der.secret_der()[40..50])));
}
