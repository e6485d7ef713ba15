//! Whom to believe.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::*;
use crate::trust::Fingerprint;

/// A server with a self-signed certificate for `host`, and that certificate in PEM.
async fn start(host: &str) -> (Fake, Fingerprint, String) {
    crate::trust::install_provider();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([host.to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = CertificateDer::from(certificate.der().to_vec());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let wrap = move |stream| {
        let accepted = acceptor.accept(stream);
        async move { accepted.await.ok().map(|stream| Box::new(stream) as Box<dyn Stream>) }
    };
    let fake = Fake::start_with(wrap, |_, _| json("{}")).await;
    (fake, Fingerprint::of_certificate(&der), certificate.pem())
}

#[tokio::test]
async fn a_certificate_that_nobody_knows_is_refused_with_the_line_to_add() {
    let (fake, fingerprint, _) = start("web1.example.org").await;
    let remote = Remote { ssl_enabled: true, ..fake.remote() };
    let error = body(&mut client(remote.clone())).await.unwrap_err().to_string();
    assert!(error.contains(&format!("`CertFingerprint = \"{fingerprint}\"`")), "{error}");
    assert_eq!(fake.count(), 0, "nothing is said to it");
    let pinned = Remote { cert_fingerprint: Some(fingerprint), ..remote };
    assert_eq!(body(&mut client(pinned.clone())).await.unwrap(), "{}");
    let other = Remote { cert_fingerprint: Some(Fingerprint::of_key(b"other")), ..pinned };
    let error = body(&mut client(other)).await.unwrap_err().to_string();
    assert!(error.contains(&fingerprint.to_string()), "{error}");
}

#[tokio::test]
async fn an_authority_vouches_for_the_names_it_signed() {
    for (host, good) in [("127.0.0.1", true), ("other.example.org", false)] {
        let (fake, _, pem) = start(host).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        let ca_file = Some(file.path().to_owned());
        let remote = Remote { ssl_enabled: true, ca_file, ..fake.remote() };
        let answered = body(&mut client(remote)).await;
        assert_eq!(answered.is_ok(), good, "{host}: {answered:?}");
    }
    let nowhere = Some("/nowhere.crt".into());
    let remote = Remote { ssl_enabled: true, ca_file: nowhere, ..remote(1) };
    let error = body(&mut client(remote)).await.unwrap_err().to_string();
    assert!(error.contains("`/nowhere.crt`"), "{error}");
}

#[tokio::test]
async fn plain_and_encrypted_ports_are_told_apart() {
    let (fake, _, _) = start("127.0.0.1").await;
    assert!(body(&mut client(fake.remote())).await.is_err());
    let fake = Fake::start_with(
        |mut stream| async move {
            use tokio::io::AsyncWriteExt;
            let _ = stream.write_all(&answer("400 Bad Request", "", "")).await;
            let _ = stream.shutdown().await;
            None
        },
        |_, _| Reply::Close,
    )
    .await;
    let remote = Remote { ssl_enabled: true, ..fake.remote() };
    let error = body(&mut client(remote)).await.unwrap_err();
    assert!(matches!(error, AskError::NoTls { .. } | AskError::Tls { .. }), "{error}");
}
