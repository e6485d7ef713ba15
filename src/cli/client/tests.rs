use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};

use super::*;

/// A server that gives one connection after the other the next of `answers`, and ends by giving back the
/// requests it read. `wrap` puts TLS on the connection, or nothing.
fn serve<S: Read + Write>(
    answers: Vec<Vec<u8>>,
    wrap: impl Fn(std::net::TcpStream) -> S + Send + 'static,
) -> (Target, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut requests = Vec::new();
        for answer in answers {
            let mut stream = BufReader::new(wrap(listener.accept().unwrap().0));
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") {
                match stream.read_line(&mut request) {
                    Ok(0) | Err(_) => break, // the client does not like us
                    Ok(_) => {}
                }
            }
            requests.push(request);
            let _ = stream.get_mut().write_all(&answer); // as above
        }
        requests
    });
    (Target { url, ..Target::default() }, server)
}

fn plain(stream: std::net::TcpStream) -> std::net::TcpStream {
    stream
}

/// A whole HTTP answer.
fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into()
}

#[test]
fn login_and_mark_are_sent_and_the_answer_is_read() {
    let answers = vec![
        answer("200 OK", "ETag: \"7\"\r\n", "[1, 2]"),
        answer("304 Not Modified", "", ""),
        answer("200 OK", "", "[1, 2]"),
    ];
    let (target, server) = serve(answers, plain);
    let client = Client::new(Target { login: "me".into(), password: "secret".into(), ..target });
    let first = client.get_if_changed("/api", None).unwrap();
    assert_eq!(first, Some(Answer { text: "[1, 2]".into(), tag: Some("\"7\"".into()) }));
    assert_eq!(client.get_if_changed("/api", Some("\"7\"")).unwrap(), None);
    assert_eq!(client.get_json::<Vec<i32>>("/api?a=1").unwrap(), [1, 2]);
    let requests: Vec<String> = server.join().unwrap().iter().map(|r| r.to_lowercase()).collect();
    assert!(requests[0].starts_with("get /api http/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("\r\naccept-encoding: gzip\r\n"), "{}", requests[0]);
    assert!(!requests[0].contains("if-none-match"), "{}", requests[0]);
    assert!(requests[1].contains("\r\nif-none-match: \"7\"\r\n"), "{}", requests[1]);
    assert!(requests[2].starts_with("get /api?a=1 http/1.1\r\n"), "{}", requests[2]);
    for request in requests {
        assert!(request.contains("\r\nauthorization: basic bwu6c2vjcmv0\r\n"), "{request}");
    }
}

#[test]
fn a_login_is_sent_only_if_it_is_whole() {
    let (target, server) = serve(vec![answer("200 OK", "", "1")], plain);
    Client::new(Target { login: "me".into(), ..target }).get_text("/").unwrap();
    assert!(!server.join().unwrap()[0].to_lowercase().contains("authorization"));
}

/// What the error says when the agent gives `answer`.
fn error_of(answer: Vec<u8>) -> String {
    let (target, server) = serve(vec![answer], plain);
    let error = Client::new(target).get_json::<i32>("/api").unwrap_err().to_string();
    server.join().unwrap();
    error
}

#[test]
fn what_is_not_an_answer_is_an_error_that_says_what_to_do() {
    let check = |answer, part: &str| {
        let error = error_of(answer);
        assert!(error.contains(part), "{error}");
        assert!(error.contains("/api`"), "{error}");
    };
    check(answer("401 Unauthorized", "", "Not Authorized"), "asks for a login");
    check(answer("503 Busy", "", " too busy \n"), "answered 503 Service Unavailable: too busy");
    check(answer("302 Found", "Location: http://127.0.0.1:1/\r\n", ""), "answered 302");
    check(answer("200 OK", "", "<html>"), "is this wigo's HTTP port?");
    check(answer("304 Not Modified", "", ""), "nothing changed");
    check(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "cannot ask");
    let long = error_of(answer("500 Oh", "", &"x".repeat(10_000)));
    assert!(long.len() < 400, "{long}");
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1".to_vec();
    check(cut, "cannot read the answer");
    let bytes =
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n\xff\xfe".to_vec();
    check(bytes, "utf-8");
}

#[test]
fn nobody_there_is_an_error() {
    let error = |url: String| {
        Client::new(Target { url, ..Target::default() }).get_text("/api").unwrap_err().to_string()
    };
    // Bound and not listening, so that nobody else gets the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let refused = error(format!("http://{}", socket.local_addr().unwrap()));
    assert!(refused.contains("nothing listens there"), "{refused}");
    let wrong = error("http://a b".into());
    assert!(wrong.contains("cannot be read as an address"), "{wrong}");
}

#[test]
fn the_limit_is_on_what_comes_out_of_the_compression() {
    let body = gzip_of_zeros(ANSWER_BYTES + 1);
    assert!(body.len() < 1024 * 1024);
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n";
    let mut bomb = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bomb.extend(body);
    let error = error_of(bomb);
    assert!(error.contains("larger than 67108864 bytes"), "{error}");
}

/// A gzip file (RFC 1952) of at least `bytes` zeros, without its checksum: one block with fixed codes
/// (RFC 1951, 3.2.6) that holds a zero and then "the last byte 258 times more" again and again.
fn gzip_of_zeros(bytes: u64) -> Vec<u8> {
    let mut bits = vec![1, 1, 0]; // the last block, with fixed codes
    bits.extend([0, 0, 1, 1, 0, 0, 0, 0]); // a zero
    for _ in 0..bytes.div_ceil(258) {
        bits.extend([1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]); // length 258, distance 1
    }
    bits.extend([0; 7]); // the end of the block
    let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    file.extend(bits.chunks(8).map(byte));
    file
}

/// A server with a certificate that names `host`; `is_ca` says that it calls itself a CA, as those that
/// `openssl req -x509` makes do. Gives the certificate in PEM too.
fn serve_tls(
    host: &str,
    is_ca: bool,
    answers: Vec<Vec<u8>>,
) -> (Target, thread::JoinHandle<Vec<String>>, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).unwrap();
    let der = CertificateDer::from(certificate.der().to_vec());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let (mut target, server) = serve(answers, move |stream| {
        StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream)
    });
    target.url = target.url.replace("http://", "https://");
    (target, server, certificate.pem())
}

#[test]
fn exactly_the_pinned_certificate_is_trusted_whatever_it_says() {
    for is_ca in [false, true] {
        let (target, server, pem) =
            serve_tls("hub.example.net", is_ca, vec![answer("200 OK", "", "[1]")]);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        let client = Client::new(Target { ca_file: Some(file.path().into()), ..target });
        assert_eq!(client.get_text("/api").unwrap(), "[1]", "is_ca: {is_ca}");
        assert!(server.join().unwrap()[0].starts_with("GET /api "));
    }
}

#[test]
fn another_certificate_is_refused_before_anything_is_said() {
    let (_, _, other) = serve_tls("127.0.0.1", false, Vec::new());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), other).unwrap();
    for (ca_file, part) in [
        (Some(file.path().to_owned()), format!("the one in `{}`;", file.path().display())),
        (Some("/nowhere.crt".into()), "`/nowhere.crt`, which cannot be read".into()),
        (None, "of a configuration".into()),
    ] {
        let (target, server, _) = serve_tls("127.0.0.1", false, vec![answer("200 OK", "", "[1]")]);
        let login = ("me".into(), "secret".into());
        let target = Target { ca_file, login: login.0, password: login.1, ..target };
        let error = Client::new(target).get_text("/api").unwrap_err().to_string();
        assert!(error.contains("not trusted"), "{error}");
        assert!(error.contains(&part), "{error}");
        assert_eq!(server.join().unwrap(), [""]);
    }
}
