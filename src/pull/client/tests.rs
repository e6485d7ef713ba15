//! Good and bad servers.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::{
    fake::{Fake, Reply, answer, json, remote},
    *,
};
use crate::config::Secret;

fn client(remote: Remote) -> Client {
    Client::new(remote, Net::default())
}

async fn body(client: &mut Client) -> Result<String, AskError> {
    match client.get("/api", None).await? {
        Answer::Same => Ok("304".into()),
        Answer::Fresh { body, .. } => Ok(String::from_utf8(body.decode()?).unwrap()),
    }
}

/// What a client says of a server that always answers so.
async fn error(reply: impl Fn() -> Reply + Send + Sync + 'static) -> String {
    let fake = Fake::start(move |_, _| reply()).await;
    let error = body(&mut client(fake.remote())).await.unwrap_err().to_string();
    error.replace(&format!("127.0.0.1:{}", fake.port), "HOST")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_connection_is_kept_and_a_closed_one_is_made_anew() {
    let fake = Fake::start(|_, n| match n {
        // After the second answer the server hangs up, as those do that tidy up.
        1 => Reply::Last(answer("200 OK", "", "{}")),
        _ => json("{}"),
    })
    .await;
    let mut client = client(fake.remote());
    for n in 1..=4 {
        assert_eq!(body(&mut client).await.unwrap(), "{}", "question {n}");
    }
    assert_eq!(fake.count(), 4);
}

#[tokio::test]
async fn what_is_sent_is_what_was_configured() {
    let fake = Fake::start(|_, _| Reply::Bytes(answer("304 Not Modified", "", ""))).await;
    let remote = Remote { login: "me".into(), password: Secret::new("pass:word"), ..fake.remote() };
    let tag = HeaderValue::from_static("W/\"abc\"");
    let answer = client(remote).get("/api", Some(&tag)).await.unwrap();
    assert!(matches!(answer, Answer::Same));
    let head = fake.asked.lock().unwrap()[0].to_lowercase();
    assert!(head.starts_with("get /api http/1.1\r\n"), "{head}");
    let login = BASE64_STANDARD.encode("me:pass:word").to_lowercase();
    for line in [
        format!("host: 127.0.0.1:{}", fake.port),
        format!("authorization: basic {login}"),
        "if-none-match: w/\"abc\"".into(),
        "accept-encoding: gzip".into(),
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
}

#[tokio::test]
async fn bodies_may_be_compressed_chunked_or_end_with_the_connection() {
    let text = r#"{"a":"ä"}"#;
    let gzip = move |name: &str| {
        Reply::Bytes(answer(
            "200 OK",
            &format!("Content-Encoding: {name}\r\n"),
            gzip(text.as_bytes()),
        ))
    };
    let fake = Fake::start(move |_, n| match n {
        0 => gzip("gzip"),
        1 => gzip("x-gzip"),
        2 => Reply::Bytes(
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n",
                text.len()
            )
            .into_bytes(),
        ),
        _ => Reply::Last(format!("HTTP/1.1 200 OK\r\n\r\n{text}").into_bytes()),
    })
    .await;
    let mut client = client(fake.remote());
    for n in 0..4 {
        assert_eq!(body(&mut client).await.unwrap(), text, "answer {n}");
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let login = error(|| Reply::Bytes(answer("401 Unauthorized", "", ""))).await;
    assert_eq!(login, "`HOST` wants a login (HTTP 401): set `Login` and `Password` for it");
    let broken =
        error(|| Reply::Bytes(answer("500 Oops", "", "\"the tree \\u001b[31m is gone\""))).await;
    assert_eq!(
        broken,
        "`HOST` answers with HTTP 500 Internal Server Error: the tree  [31m is gone"
    );
    let page = error(|| {
        Reply::Bytes(answer("200 OK", "Content-Type: text/html; charset=utf-8\r\n", "<html>"))
    });
    assert!(page.await.contains("no Wigo"));
    let brotli = error(|| Reply::Bytes(answer("200 OK", "Content-Encoding: br\r\n", "x"))).await;
    assert!(brotli.contains("`br`, which was not asked for"), "{brotli}");
}

#[tokio::test]
async fn a_wrong_login_is_called_wrong() {
    let fake = Fake::start(|_, _| Reply::Bytes(answer("403 Forbidden", "", ""))).await;
    let remote = Remote { login: "me".into(), password: Secret::new("no"), ..fake.remote() };
    let error = body(&mut client(remote)).await.unwrap_err().to_string();
    assert!(error.contains("refuses the login"), "{error}");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let fake = Fake::start(|_, _| {
        Reply::Bytes(answer("302 Found", "Location: http://elsewhere/api\r\n", ""))
    })
    .await;
    let error = body(&mut client(fake.remote())).await.unwrap_err().to_string();
    assert!(error.contains("`http://elsewhere/api` (HTTP 302)"), "{error}");
    assert_eq!(fake.count(), 1);
}

#[tokio::test]
async fn what_is_too_big_is_cut_off() {
    const GIB: usize = 1 << 30;
    let announced = error(|| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {GIB}\r\n\r\n");
        Reply::Endless(head.into(), vec![b'['; 1 << 16])
    });
    assert_eq!(announced.await, "the answer of `HOST` has more than 32 MiB");
    let endless = error(|| Reply::Endless("HTTP/1.1 200 OK\r\n\r\n[".into(), vec![b'['; 1 << 16]));
    assert_eq!(endless.await, "the answer of `HOST` has more than 32 MiB");
    let head =
        error(|| Reply::Endless("HTTP/1.1 200 OK\r\n".into(), b"X-A: aaaaaaaaaaaa\r\n".into()));
    let head = head.await;
    assert!(head.contains("head of the answer") || head.contains("not answer in HTTP"), "{head}");
    let one = error(|| Reply::Endless("HTTP/1.1 200 OK\r\nX: ".into(), vec![b'a'; 1 << 16]));
    assert_eq!(one.await, "the head of the answer of `HOST` has more than 16 KiB");
}

#[tokio::test]
async fn what_grows_too_much_when_decompressed_is_refused() {
    let bomb = gzip(&vec![b' '; 4 << 20]);
    assert!(bomb.len() * MAX_DECODING_RATIO < 4 << 20);
    let bomb =
        error(move || Reply::Bytes(answer("200 OK", "Content-Encoding: gzip\r\n", bomb.clone())));
    assert!(bomb.await.contains("grows more than 100 times"));
    let small = gzip(&vec![b' '; 60 << 10]);
    let fake = Fake::start(move |_, _| {
        Reply::Bytes(answer("200 OK", "Content-Encoding: gzip\r\n", small.clone()))
    })
    .await;
    assert_eq!(body(&mut client(fake.remote())).await.unwrap().len(), 60 << 10);
    let garbage = error(|| Reply::Bytes(answer("200 OK", "Content-Encoding: gzip\r\n", "{}")));
    assert!(garbage.await.contains("cannot be decompressed"));
}

#[tokio::test]
async fn who_is_too_slow_is_not_waited_for() {
    let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".repeat(1_000);
    let fake = Fake::start(move |_, _| Reply::Drip(endless.clone())).await;
    let mut client = client(fake.remote());
    client.limit = Duration::from_millis(300);
    let error = body(&mut client).await.unwrap_err();
    assert!(matches!(error, AskError::Slow { .. }), "{error}");
    assert!(client.open.is_none(), "what still comes must not be taken for the next answer");
}

#[tokio::test]
async fn who_speaks_no_http_or_hangs_up_is_told_apart() {
    let garbage = error(|| Reply::Last(b"\x16\x03\x01 hello\r\n\r\n".to_vec())).await;
    assert!(garbage.starts_with("`HOST` does not answer in HTTP"), "{garbage}");
    let closed = error(|| Reply::Close).await;
    assert!(closed.starts_with("`HOST` closed the connection"), "{closed}");
    let half =
        error(|| Reply::Last(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec())).await;
    assert!(half.starts_with("`HOST` closed the connection"), "{half}");
    // Bound, so that nobody else gets the port, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let nobody = socket.local_addr().unwrap().port();
    let error = body(&mut client(remote(nobody))).await.unwrap_err();
    assert!(matches!(error, AskError::Connect { .. }), "{error}");
}

mod tls;
