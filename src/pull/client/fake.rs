//! A server for tests that answers whatever a test wants, well-formed or not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::Stream;
use crate::config::Remote;

/// What follows a question.
pub enum Reply {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes, then the end of the connection.
    Last(Vec<u8>),
    /// These bytes, then the same ones again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// A byte of these now and then.
    Drip(Vec<u8>),
    /// The end of the connection.
    Close,
}

/// A server that listens on a port of its own, until the test's runtime ends.
pub struct Fake {
    pub port: u16,
    /// The head of each question so far.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// `answer` is given the head of a question and its number, from 0.
    pub async fn start(answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Fake {
        Fake::start_with(|stream| async { Some(Box::new(stream) as Box<dyn Stream>) }, answer).await
    }

    /// `wrap` puts something such as TLS on each connection.
    pub async fn start_with<Wrapped>(
        wrap: impl Fn(tokio::net::TcpStream) -> Wrapped + Send + 'static,
        answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> Fake
    where
        Wrapped: Future<Output = Option<Box<dyn Stream>>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (heads, answer) = (asked.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (wrapped, heads, answer) = (wrap(stream), heads.clone(), answer.clone());
                tokio::spawn(async move {
                    if let Some(stream) = wrapped.await {
                        talk(stream, &heads, &*answer).await;
                    }
                });
            }
        });
        Fake { port, asked }
    }

    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The configuration of a remote that is asked here.
    pub fn remote(&self) -> Remote {
        remote(self.port)
    }
}

/// A plain remote on this host.
pub fn remote(port: u16) -> Remote {
    let text = format!("[RemoteWigos]\nList = [\"127.0.0.1:{port}\"]");
    let config = crate::config::parse(&text, std::path::Path::new("wigo.conf")).unwrap().config;
    config.remotes.list.into_iter().next().unwrap()
}

async fn talk(
    mut stream: Box<dyn Stream>,
    heads: &Mutex<Vec<String>>,
    answer: &(dyn Fn(&str, usize) -> Reply + Send + Sync),
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let number = {
            let mut heads = heads.lock().unwrap();
            heads.push(head.clone());
            heads.len() - 1
        };
        match answer(&head, number) {
            Reply::Bytes(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Endless(start, again) => {
                let _ = stream.write_all(&start).await;
                while stream.write_all(&again).await.is_ok() {}
                return;
            }
            Reply::Drip(bytes) => {
                for byte in bytes {
                    if stream.write_u8(byte).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Reply::Close => return,
        }
    }
}

/// A whole answer.
pub fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A good answer in JSON.
pub fn json(body: impl AsRef<[u8]>) -> Reply {
    Reply::Bytes(answer("200 OK", "Content-Type: application/json\r\n", body))
}
