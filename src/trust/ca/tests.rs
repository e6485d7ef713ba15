//! Who is let in, and what is signed.

use rcgen::{BasicConstraints, KeyPair, PublicKeyData as _};
use tokio_rustls::rustls::{self, ClientConfig};

use super::*;
use crate::trust::{
    generate::generate,
    push_client_config,
    tests::{DAY, HOST, authority, connect, enrolled, key, load, pinned, plan},
};

/// One end of a connection that shows `chain`, whatever it is.
fn client(ca: &Ca, chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Arc<ClientConfig> {
    let mut config = (*push_client_config(pinned(ca), None).unwrap()).clone();
    let der = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let signer = rustls::crypto::ring::sign::any_supported_type(&der).unwrap();
    config.client_auth_cert_resolver =
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, signer)));
    Arc::new(config)
}

/// What a client's certificate should be; each test spoils one thing.
fn right() -> CertificateParams {
    let (mut params, _) = template(SystemTime::now(), CLIENT_CERTIFICATE_DAYS);
    params.subject_alt_names = vec![uri(&Uuid::new_v4().urn().to_string())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn spoilt(spoil: impl Fn(&mut CertificateParams)) -> CertificateParams {
    let mut params = right();
    spoil(&mut params);
    params
}

/// Tries a certificate that this authority has signed. `Err`: not even the handshake succeeds.
async fn try_signed(ca: &Ca, params: CertificateParams) -> Result<Result<Uuid, BadPeer>, String> {
    let key = KeyPair::generate().unwrap();
    let chain = vec![params.signed_by(&key, &ca.issuer).unwrap().into()];
    try_chain(ca, chain, &key).await
}

async fn try_chain(
    ca: &Ca,
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
) -> Result<Result<Uuid, BadPeer>, String> {
    let identity = ca.verify_client(&chain, SystemTime::now()).map(|identity| identity.uuid);
    let (accepted, asked) = connect(ca.server_config(), client(ca, chain, key), HOST).await;
    match accepted {
        Ok(accepted) => {
            asked.unwrap();
            let known = client_identity(&accepted.chain).map(|identity| identity.uuid);
            assert_eq!(identity, known, "with TLS and without disagree");
            Ok(known)
        }
        Err(error) => {
            asked.unwrap_err();
            let without = identity.expect_err("refused with TLS only");
            assert!(!matches!(without, BadPeer::Name), "{without}");
            Err(error.to_string())
        }
    }
}

#[tokio::test]
async fn wrong_clients_do_not_get_through_the_handshake() {
    let now = SystemTime::now();
    for ca in [authority(&plan(true)), authority(&plan(false))] {
        try_signed(&ca, right()).await.unwrap().unwrap();
        let table = [
            ("expired", spoilt(|p| p.not_after = (now - DAY / 48).into())),
            ("not yet valid", spoilt(|p| p.not_before = (now + DAY).into())),
            (
                "a server's certificate",
                spoilt(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            ),
            ("an authority", spoilt(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))),
        ];
        for (what, params) in table {
            let tried = try_signed(&ca, params).await;
            assert!(tried.is_err(), "{what}: {tried:?}");
        }
    }
}

#[tokio::test]
async fn strangers_do_not_get_through_the_handshake() {
    let ca = authority(&plan(true));
    let (key, thief) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let alone = right().self_signed(&key).unwrap();
    try_chain(&ca, vec![alone.into()], &key).await.unwrap_err();
    // Another authority, which calls itself the same, with the real one's certificate behind.
    let other = authority(&plan(true));
    let foreign = right().signed_by(&key, &other.issuer).unwrap();
    let chain = vec![foreign.into(), ca.certificate_der().clone()];
    try_chain(&ca, chain, &key).await.unwrap_err();
    // A client that signs for others.
    let parent = right().signed_by(&key, &ca.issuer).unwrap();
    let issuer = Issuer::from_ca_cert_der(parent.der(), &key).unwrap();
    let child = right().signed_by(&thief, &issuer).unwrap();
    try_chain(&ca, vec![child.into(), parent.clone().into()], &thief).await.unwrap_err();
    // Somebody else's certificate with one's own key.
    let stolen = client(&ca, vec![parent.into()], &thief);
    connect(ca.server_config(), stolen, HOST).await.0.unwrap_err();
    // No certificate: let in, to enrol, and nobody.
    let nobody = push_client_config(pinned(&ca), None).unwrap();
    let accepted = connect(ca.server_config(), nobody, HOST).await.0.unwrap();
    assert_eq!(ca.verify_client(&accepted.chain, SystemTime::now()), Err(BadPeer::Missing));
    assert_eq!(client_identity(&[]), Err(BadPeer::Missing));
}

#[tokio::test]
async fn a_certificate_names_one_instance_and_nothing_else() {
    let ca = authority(&plan(true));
    let urn = Uuid::new_v4().urn().to_string();
    let host = || SanType::DnsName("a.example".try_into().unwrap());
    let upper = urn.to_uppercase().replace("URN:UUID", "urn:uuid");
    let names = [
        ("two", vec![uri(&urn), uri(&Uuid::new_v4().urn().to_string())]),
        ("twice the same", vec![uri(&urn), uri(&urn)]),
        ("a host too", vec![uri(&urn), host()]),
        ("a host", vec![host()]),
        ("as a host", vec![SanType::DnsName(urn.as_str().try_into().unwrap())]),
        ("no uuid", vec![uri("urn:uuid:web1")]),
        ("empty", vec![uri("urn:uuid:")]),
        ("a wildcard", vec![uri("urn:uuid:*")]),
        ("without dashes", vec![uri(&urn.replace('-', ""))]),
        ("capitals", vec![uri(&upper)]),
        ("something behind", vec![uri(&format!("{urn}/x"))]),
        ("another scheme", vec![uri(&urn.replace("urn:", "urm:"))]),
        ("in the common name only", vec![]),
    ];
    for (what, names) in names {
        let params = spoilt(|params| {
            params.subject_alt_names = names.clone();
            params.distinguished_name.push(DnType::CommonName, urn.as_str());
        });
        assert_eq!(try_signed(&ca, params).await, Ok(Err(BadPeer::Name)), "{what}");
    }
}

#[test]
fn of_a_request_only_the_key_is_used() {
    let ca = authority(&plan(true));
    let (uuid, now) = (Uuid::new_v4(), SystemTime::now());
    let key = KeyPair::generate().unwrap();
    let mut greedy = CertificateParams::default();
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    greedy.subject_alt_names =
        vec![uri(&Uuid::new_v4().urn().to_string()), SanType::DnsName(HOST.try_into().unwrap())];
    greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    greedy.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let csr = greedy.serialize_request(&key).unwrap().pem().unwrap();
    let signed = ca.sign_client(&csr, uuid, now).unwrap();
    let fingerprint = Fingerprint::of_key(&key.subject_public_key_info());
    assert_eq!((request::csr_key(&csr), signed.key), (Ok(fingerprint), fingerprint));

    let chain = files::certificates_of(signed.certificate_pem.as_bytes()).unwrap();
    let identity = ca.verify_client(&chain, now).unwrap();
    assert_eq!((identity.uuid, identity.key), (uuid, fingerprint));
    let ends = now + 30 * DAY;
    assert_eq!(signed.not_after, ends);
    assert!(ends.duration_since(identity.not_after).unwrap() < Duration::from_secs(1));
    assert!(identity.not_before <= now - CLOCK_SKEW);
    let parsed = identity::parse(&chain[0]).unwrap();
    assert!(!parsed.is_ca());
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    assert_eq!(parsed.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 1);
    let again = ca.sign_client(&csr, uuid, now).unwrap();
    let again = files::certificates_of(again.certificate_pem.as_bytes()).unwrap();
    let again = identity::parse(&again[0]).unwrap();
    assert_ne!(parsed.raw_serial(), again.raw_serial());
}

#[test]
fn requests_that_are_not_what_they_should_be_are_refused() {
    let ca = authority(&plan(true));
    let (uuid, now) = (Uuid::new_v4(), SystemTime::now());
    let good = key().csr(uuid, "web1");
    let der = rustls_pki_types::pem::PemObject::from_pem_slice(good.as_bytes());
    let der: rustls_pki_types::CertificateSigningRequestDer<'_> = der.unwrap();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = der.to_vec();
        change(&mut bytes);
        files::pem("CERTIFICATE REQUEST", &bytes)
    };
    let refused = |csr: &str| {
        let refused = ca.sign_client(csr, uuid, now).unwrap_err();
        assert_eq!(request::csr_key(csr), Err(refused), "before signing it is said too");
        request::csr_key(csr).unwrap_err()
    };
    assert!(matches!(refused(""), BadRequest::Pem(_)));
    assert!(matches!(refused(&ca.certificate_pem()), BadRequest::Pem(_)));
    assert!(matches!(refused(&good.repeat(100)), BadRequest::TooLong(_)));
    assert_eq!(refused(&changed(&|b| b.push(0))), BadRequest::Unreadable);
    assert_eq!(refused(&changed(&|b| b.truncate(b.len() / 2))), BadRequest::Unreadable);
    // Another name than the one that was signed.
    let swap = changed(&|bytes| {
        let at = bytes.windows(4).position(|four| four == b"web1").unwrap();
        bytes[at + 3] = b'2';
    });
    assert_eq!(refused(&swap), BadRequest::Signature);
    // Whatever byte is changed, nothing panics and no other key is signed. What its signature does not
    // cover can be changed without harm: how it is packed.
    let fingerprint = request::csr_key(&good).unwrap();
    let signed = (0..der.len())
        .filter_map(|at| ca.sign_client(&changed(&|bytes| bytes[at] ^= 1), uuid, now).ok())
        .inspect(|signed| assert_eq!(signed.key, fingerprint));
    assert!(signed.count() < 4);
}

#[tokio::test]
async fn authorities_from_elsewhere_are_used_as_they_are() {
    macro_rules! fixture {
        ($name:literal) => {
            (
                $name,
                include_str!(concat!("fixtures/", $name, ".crt")),
                include_str!(concat!("fixtures/", $name, ".key")),
            )
        };
    }
    // Made by openssl: as it does by default, as the original's program did, and with other keys.
    let fixtures = [
        (fixture!("rsa"), HOST),
        (fixture!("original"), HOST),
        (fixture!("original-ca"), "192.0.2.7"),
        (fixture!("sec1"), HOST),
        (fixture!("ed25519"), "10.0.0.1"),
    ];
    for ((what, certificate, private), name) in fixtures {
        let ca = load(certificate, private).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(ca.certificate_pem(), certificate, "{what}");
        let uuid = Uuid::new_v4();
        let (certificate, key) = enrolled(&ca, uuid);
        let client = push_client_config(pinned(&ca), Some((&certificate, &key))).unwrap();
        let (accepted, asked) = connect(ca.server_config(), client, name).await;
        asked.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let identity = ca.verify_client(&accepted.unwrap().chain, SystemTime::now()).unwrap();
        assert_eq!(identity.uuid, uuid, "{what}");
        let signature = ca.sign(b"nonce");
        assert!(
            super::super::verify_signature(ca.certificate_der(), b"nonce", &signature),
            "{what}"
        );
    }
    // A subject that cannot be written again the same way would make an issuer that nobody knows.
    let (_, certificate, private) = fixture!("domains");
    let refused = load(certificate, private).map(drop).unwrap_err();
    assert!(matches!(refused, BadCertificate::Authority { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_server_without_a_name_answers_to_those_of_its_machine() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Our Authority");
    let certificate = params.self_signed(&key).unwrap();
    let ca = load(&certificate.pem(), &key.serialize_pem()).unwrap();
    for name in ["this-host", "localhost", "127.0.0.1", "::1"] {
        let client = push_client_config(pinned(&ca), None).unwrap();
        connect(ca.server_config(), client, name).await.1.unwrap();
    }
    let client = push_client_config(pinned(&ca), None).unwrap();
    connect(ca.server_config(), client, HOST).await.1.unwrap_err();
}

#[test]
fn files_that_do_not_fit_are_told_apart() {
    let (one, two) = (generate(&plan(true)).unwrap(), generate(&plan(true)).unwrap());
    let error = |certificate: &str, key: &str| load(certificate, key).map(drop).unwrap_err();
    let pair = error(&one.certificate_pem, &two.key_pem);
    assert!(matches!(pair, BadCertificate::Pair { .. }), "{pair:?}");
    let swapped = error(&one.key_pem, &one.certificate_pem);
    assert!(matches!(swapped, BadCertificate::Pem { what: "certificate", .. }), "{swapped:?}");
    let none = error(&one.certificate_pem, "");
    assert!(matches!(none, BadCertificate::Pem { what: "private key", .. }), "{none:?}");
    let weak = files::pem("PRIVATE KEY", b"nonsense");
    let weak = error(&one.certificate_pem, &weak);
    assert!(matches!(weak, BadCertificate::Key { .. }), "{weak:?}");
    let unreadable = error(&files::pem("CERTIFICATE", b"nonsense"), &one.key_pem);
    assert!(matches!(unreadable, BadCertificate::Pair { .. }), "{unreadable:?}");
    // Only the first certificate of a file counts.
    let chain = format!("{}{}", one.certificate_pem, two.certificate_pem);
    assert_eq!(load(&chain, &one.key_pem).unwrap().fingerprint(), one.fingerprint);
}
