//! A mail server for tests: EHLO, STARTTLS, AUTH, and whatever answers a test wants.

use std::sync::{Arc, Mutex};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// How it behaves.
#[derive(Clone, Default)]
pub struct Manners {
    /// TLS from the first byte.
    pub tls: bool,
    /// It offers STARTTLS.
    pub starttls: bool,
    /// `login:password` that it takes; it wants none otherwise.
    pub login: Option<&'static str>,
    /// What it answers instead of yes to lines that begin so.
    pub answers: Vec<(&'static str, &'static str)>,
}

/// What it was told.
#[derive(Default)]
pub struct Heard {
    /// Commands, what came before TLS included.
    pub lines: Vec<String>,
    /// Mails that it took, as they came.
    pub mails: Vec<String>,
}

pub struct Sink {
    pub port: u16,
    /// Its certificate, PEM.
    pub certificate: String,
    heard: Arc<Mutex<Heard>>,
    manners: Arc<Mutex<Manners>>,
}

impl Sink {
    pub async fn start(manners: Manners) -> Sink {
        crate::trust::install_provider();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key =
            PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Sink {
            port: listener.local_addr().unwrap().port(),
            certificate: made.cert.pem(),
            heard: Arc::default(),
            manners: Arc::new(Mutex::new(manners)),
        };
        let (heard, manners) = (sink.heard.clone(), sink.manners.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heard, acceptor) = (heard.clone(), acceptor.clone());
                let manners = manners.lock().unwrap().clone();
                tokio::spawn(async move {
                    let mut talk = Talk { heard, manners, is_safe: false };
                    if talk.manners.tls {
                        talk.is_safe = true;
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        talk.go_on(BufReader::new(stream), true).await;
                        return;
                    }
                    let Some(stream) = talk.go_on(BufReader::new(stream), true).await else {
                        return;
                    };
                    let Ok(stream) = acceptor.accept(stream.into_inner()).await else { return };
                    talk.is_safe = true;
                    talk.go_on(BufReader::new(stream), false).await;
                });
            }
        });
        sink
    }

    /// What it answers from the next connection on.
    pub fn now_answers(&self, answers: &[(&'static str, &'static str)]) {
        self.manners.lock().unwrap().answers = answers.to_vec();
    }

    pub fn mails(&self) -> Vec<String> {
        self.heard.lock().unwrap().mails.clone()
    }

    /// What it heard that begins so.
    pub fn heard(&self, begin: &str) -> Vec<String> {
        let lines = &self.heard.lock().unwrap().lines;
        lines.iter().filter(|line| line.starts_with(begin)).cloned().collect()
    }
}

struct Talk {
    heard: Arc<Mutex<Heard>>,
    manners: Manners,
    is_safe: bool,
}

impl Talk {
    /// Answers until the client leaves; hands the connection back where TLS begins.
    async fn go_on<S>(&mut self, mut stream: BufReader<S>, greet: bool) -> Option<BufReader<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if greet {
            stream.write_all(b"220 sink\r\n").await.ok()?;
        }
        loop {
            let line = read(&mut stream).await?;
            self.heard.lock().unwrap().lines.push(line.clone());
            let wanted = self.manners.answers.iter().find(|(begin, _)| line.starts_with(begin));
            let answer = match wanted {
                Some((_, "close")) => return None,
                Some((_, answer)) => (*answer).to_owned(),
                None if line.starts_with("EHLO") => self.features(),
                None if line == "STARTTLS" => {
                    stream.write_all(b"220 go on\r\n").await.ok()?;
                    return Some(stream);
                }
                None if line.starts_with("AUTH PLAIN ") => self.log_in(&line[11..]),
                None if line == "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.ok()?;
                    let mut mail = String::new();
                    loop {
                        let line = read(&mut stream).await?;
                        if line == "." {
                            break;
                        }
                        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                        mail.push_str("\r\n");
                    }
                    let answers = &self.manners.answers;
                    match answers.iter().find(|(begin, _)| *begin == ".").map(|found| found.1) {
                        Some("close") => return None,
                        Some(answer) => answer.to_owned(),
                        None => {
                            self.heard.lock().unwrap().mails.push(mail);
                            "250 2.0.0 queued as 4711".to_owned()
                        }
                    }
                }
                None => "250 fine".to_owned(),
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
    }

    fn features(&self) -> String {
        let mut features = vec!["sink", "8BITMIME"];
        if self.manners.starttls && !self.is_safe {
            features.push("STARTTLS");
        }
        if self.manners.login.is_some() {
            features.push("AUTH PLAIN");
        }
        let last = features.pop().unwrap_or_default();
        let lines: String = features.iter().map(|feature| format!("250-{feature}\r\n")).collect();
        format!("{lines}250 {last}")
    }

    fn log_in(&self, given: &str) -> String {
        let given = String::from_utf8(BASE64.decode(given).unwrap()).unwrap();
        let given = given.trim_start_matches('\0').replace('\0', ":");
        match self.manners.login == Some(&given) {
            true => "235 welcome".to_owned(),
            false => "535 5.7.8 who are you".to_owned(),
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(count) if count > 0 => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        _ => None,
    }
}
