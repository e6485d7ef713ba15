//! Connections: kept, given up in time, and only to whom the certificate names.

use std::{fs, sync::Arc, time::Duration};

use tokio_rustls::{TlsAcceptor, rustls};

use super::{
    super::{Channel, Retry, client::Client},
    client, delivery, receivers,
    server::{Reply, Server},
};

fn webhook(at: &str, client: Client) -> Box<dyn Channel> {
    let receiver = receivers::ALL.iter().find(|receiver| receiver.name == "webhook").unwrap();
    (receiver.channel)(at, client)
}

#[tokio::test]
async fn the_connection_is_kept() {
    let server = Server::start(|_| Reply::json(200, "{}")).await;
    let channel = webhook(&server.url(""), client());
    for _ in 0..3 {
        channel.send(&delivery()).await.unwrap();
    }
    assert_eq!((server.requests().len(), server.connections()), (3, 1));
}

#[tokio::test]
async fn a_receiver_that_says_nothing_is_given_up() {
    let server = Server::start(|_| Reply::Silent).await;
    let client = Client::with_deadline(None, Duration::from_millis(50)).unwrap();
    let failed = webhook(&server.url(""), client).send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Later);
    assert_eq!(failed.why, format!("{} did not answer within 0.05 s", server.host));
}

#[tokio::test]
async fn tls_is_verified() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, certificate.pem()).unwrap();

    crate::trust::install_provider();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let server = Server::start_with(Some(tls), |_| Reply::json(200, "{}")).await;
    let at = format!("https://{}", server.host);

    let failed = webhook(&at, client()).send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Later);
    assert!(failed.why.contains("certificate"), "{failed}");
    assert_eq!(server.requests().len(), 0);

    let client = Client::new(Some(&ca)).unwrap();
    webhook(&at, client).send(&delivery()).await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_file_without_certificates_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    assert!(Client::new(Some(&path)).unwrap_err().to_string().contains("cannot be read"));
    fs::write(&path, "no certificate").unwrap();
    assert!(Client::new(Some(&path)).unwrap_err().to_string().contains("holds no certificates"));
}
