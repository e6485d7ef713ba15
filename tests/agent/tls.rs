//! HTTPS: the certificate of the configuration, and another one as soon as its files are replaced.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use rcgen::CertifiedKey;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring, version::TLS12,
};

use crate::{
    harness::{Agent, Home, says, set_mode, text_of, wait_until},
    http::{Reply, connect, exchange, read_all},
};

/// A certificate for 127.0.0.1, and both files as PEM.
struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
    key: String,
}

fn certificate() -> Certificate {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    Certificate { der: cert.der().clone(), pem: cert.pem(), key: signing_key.serialize_pem() }
}

fn replace(path: &Path, text: &str) {
    let begun = path.with_extension("new");
    fs::write(&begun, text).unwrap();
    set_mode(&begun, 0o600);
    fs::rename(begun, path).unwrap();
}

impl Certificate {
    fn install(&self, home: &Home) {
        replace(&home.path("http.key"), &self.key);
        replace(&home.path("http.crt"), &self.pem);
    }

    /// Asks over TLS, trusting this certificate alone. `Err` when the other side has another one.
    fn get(&self, address: SocketAddr, path: &str) -> Result<Reply, std::io::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = StreamOwned::new(
            ClientConnection::new(Arc::new(config), name).unwrap(),
            connect(address),
        );
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(exchange(&mut stream, "GET", path, &[]))
    }

    fn is_served(&self, agent: &Agent) -> bool {
        self.get(agent.address(), "/api/status").is_ok_and(|reply| reply.status == 200)
    }
}

fn home_with(certificate: &Certificate) -> Home {
    let mut home = Home::new();
    certificate.install(&home);
    let (cert, key) = (home.path("http.crt"), home.path("http.key"));
    home.add(&format!(
        "SslEnabled = true\nSslCert = \"{}\"\nSslKey = \"{}\"",
        cert.display(),
        key.display()
    ));
    home
}

#[test]
fn a_replaced_certificate_is_served_without_a_restart() {
    let first = certificate();
    let home = home_with(&first);
    home.probe(2, "sick", &says(300, "broken"));
    let agent = home.start();
    agent.wait_log("listening on https://127.0.0.1:");
    assert_eq!(first.get(agent.address(), "/api/status").unwrap().status, 200);
    wait_until("the probe has run", || {
        first.get(agent.address(), "/api/status").unwrap().text() == "300"
    });

    // Plain HTTP on this port gets nothing, and hurts nobody.
    let mut plain = connect(agent.address());
    plain.write_all(b"GET /api HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let answer = read_all(&mut plain);
    assert!(!String::from_utf8_lossy(&answer).contains("testhost"), "{answer:?}");
    assert_eq!(first.get(agent.address(), "/api").unwrap().json()["Hostname"], "testhost");
    assert!(certificate().get(agent.address(), "/api").is_err(), "another certificate is trusted");

    wigocli_speaks_tls(&agent);

    let second = certificate();
    second.install(&agent.home);
    wait_until("the new certificate is served", || second.is_served(&agent));
    assert!(first.get(agent.address(), "/api").is_err(), "the old one is served as well");

    replace(&agent.home.path("http.crt"), "no certificate");
    wait_until("the broken certificate is noticed", || {
        assert!(second.is_served(&agent), "the old certificate stays in use");
        agent.log().contains("the old certificate is still in use")
    });
    assert!(agent.log().contains("http.crt"), "which file is broken is not said");
    // A certificate whose key is another one is as bad.
    replace(&agent.home.path("http.crt"), &first.pem);
    wait_until("the wrong pair is noticed", || {
        assert!(second.is_served(&agent), "the old certificate stays in use");
        agent.log().contains("cannot be used together")
    });
    replace(&agent.home.path("http.key"), &first.key);
    wait_until("the pair is whole again", || first.is_served(&agent));
}

fn wigocli_speaks_tls(agent: &Agent) {
    let config = agent.home.path("with-port.conf");
    let port = format!("Port = {}", agent.address().port());
    fs::write(&config, agent.home.config.replace("Port = 0", &port)).unwrap();
    let wigocli = |arguments: &[&str]| -> Output {
        Command::new(env!("CARGO_BIN_EXE_wigocli")).args(arguments).output().unwrap()
    };
    let config = config.to_str().unwrap();
    let output = wigocli(&["--config", config]);
    assert_eq!(output.status.code(), Some(2), "{}", text_of(&output));
    assert!(text_of(&output).contains("broken"), "{}", text_of(&output));
    // An address of its own needs a certificate that the system trusts, which this one is not.
    let url = format!("https://{}", agent.address());
    let output = wigocli(&["--url", &url, "--config", "/dev/null"]);
    assert_eq!(output.status.code(), Some(3), "{}", text_of(&output));
    assert!(text_of(&output).contains("certificate"), "{}", text_of(&output));
    let output = wigocli(&["--url", &url, "--config", config]);
    assert_eq!(output.status.code(), Some(2), "{}", text_of(&output));
}

#[test]
fn old_protocols_are_refused_and_tls_1_2_is_spoken() {
    let certificate = certificate();
    let agent = home_with(&certificate).start();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, connect(agent.address()));
    assert_eq!(exchange(&mut stream, "GET", "/healthz", &[]).status, 200);
    // A greeting in TLS 1.0 with one old cipher: an alert or nothing comes back, never a server's greeting.
    let mut old = connect(agent.address());
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    old.write_all(&hello).unwrap();
    let answer = read_all(&mut old);
    assert!(answer.first().is_none_or(|kind| *kind == 0x15), "{answer:?}");
    assert_eq!(certificate.get(agent.address(), "/healthz").unwrap().status, 200);
}

#[test]
fn without_a_usable_certificate_it_does_not_start() {
    let certificate = certificate();
    let home = home_with(&certificate);
    fs::remove_file(home.path("http.key")).unwrap();
    let output = home.wigo(&[]);
    assert_eq!(output.status.code(), Some(1));
    let text = text_of(&output);
    assert!(text.contains("http.key") && text.contains("[Http]"), "{text}");
}
