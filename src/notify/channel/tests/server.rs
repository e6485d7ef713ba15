//! A receiver that answers as it is told, or does not.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(own, _)| own == name);
        let value = named.next().map(|(_, value)| &**value);
        assert_eq!(named.count(), 0, "{name} is there once");
        value
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn form(&self) -> Vec<(String, String)> {
        assert_eq!(self.header("content-type"), Some("application/x-www-form-urlencoded"));
        let query = String::from_utf8(self.body.clone()).unwrap();
        let url = reqwest::Url::parse(&format!("x:?{query}")).unwrap();
        url.query_pairs().into_owned().collect()
    }

    pub fn field(&self, name: &str) -> String {
        let fields = self.form();
        let mut named = fields.into_iter().filter(|(own, _)| own == name);
        let value = named.next().unwrap_or_else(|| panic!("no field {name}")).1;
        assert_eq!(named.count(), 0, "{name} is there once");
        value
    }

    /// All of it, as a careless receiver may repeat it.
    pub fn echo(&self) -> String {
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value} ")).collect();
        let body = String::from_utf8_lossy(&self.body);
        // It may also say who it was that came.
        let login = self.header("authorization").and_then(|value| value.strip_prefix("Basic "));
        let login = login.map(|login| BASE64.decode(login).unwrap()).unwrap_or_default();
        let login = String::from_utf8(login).unwrap();
        format!("{login} {} {} {headers}{body}", self.method, self.target)
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status, headers (each ends with a line break), body.
    Whole(u16, String, String),
    /// Less than was announced, then the end.
    Broken,
    /// Nothing, as long as the other side waits.
    Silent,
    /// A success that never ends.
    Endless,
}

impl Reply {
    pub fn json(status: u16, body: &str) -> Reply {
        Reply::Whole(status, "content-type: application/json\r\n".into(), body.into())
    }

    pub fn status(status: u16) -> Reply {
        Reply::Whole(status, String::new(), String::new())
    }
}

type Answers = dyn Fn(&Request) -> Reply + Send + Sync;

/// Listens until the test is over.
pub struct Server {
    pub host: String,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// A server that answers each request so.
    pub async fn start(answers: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::start_with(None, answers).await
    }

    /// The same over TLS.
    pub async fn start_with(
        tls: Option<tokio_rustls::TlsAcceptor>,
        answers: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = Server { host, requests: Arc::default(), connections: Arc::default() };
        let (requests, connections) = (server.requests.clone(), server.connections.clone());
        let answers: Arc<Answers> = Arc::new(answers);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (requests, answers, tls) = (requests.clone(), answers.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &requests, &*answers).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &requests, &*answers).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    /// What has come so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Serves one connection; `None` is its end.
async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    requests: &Mutex<Vec<Request>>,
    answers: &Answers,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = read(&mut stream).await?;
        let reply = answers(&request);
        requests.lock().unwrap().push(request);
        match reply {
            Reply::Whole(status, headers, body) => {
                let length = if status == 204 { 0 } else { body.len() };
                let head =
                    format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await.ok()?;
                stream.write_all(&body.as_bytes()[..length]).await.ok()?;
                stream.flush().await.ok()?;
            }
            Reply::Broken => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{").await.ok()?;
                stream.shutdown().await.ok()?;
                return None;
            }
            Reply::Silent => {
                // Ends when the other side does.
                stream.read_u8().await.ok()?;
                return None;
            }
            Reply::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
                loop {
                    stream.write_all(&[b'x'; 65_536]).await.ok()?;
                }
            }
        }
    }
}

async fn read(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first()?.split(' ').map(str::to_owned);
    let (method, target) = (first.next()?, first.next()?);
    let headers: Vec<(String, String)> = (lines[1..].iter())
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, length)| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { method, target, headers, body })
}
