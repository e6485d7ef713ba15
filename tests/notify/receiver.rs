//! A receiver of messages over HTTP that does as it is told and remembers what it took.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, SystemTime},
};

use crate::harness::wait_until;

/// What it does with a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    Take,
    /// Takes it, in a while.
    TakeAfter(Duration),
    Refuse(u16),
    /// 429, with so many seconds in `Retry-After`.
    TooMany(u64),
    /// Says nothing.
    Hang,
    /// Closes the connection in the middle of the answer.
    BreakOff,
}

/// A message that came, whatever was answered.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Nanoseconds since 1970.
    #[allow(dead_code, reason = "the bench alone wants it")]
    pub wall: u64,
    pub key: String,
    pub body: String,
    pub taken: bool,
}

pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    act: Mutex<Box<dyn FnMut() -> Act + Send>>,
    arrivals: Mutex<Vec<Arrival>>,
}

impl Receiver {
    /// One that always does the same.
    pub fn new(act: Act) -> Receiver {
        Receiver::with(move || act)
    }

    pub fn with(act: impl FnMut() -> Act + Send + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared =
            Arc::new(Shared { act: Mutex::new(Box::new(act)), arrivals: Mutex::default() });
        let held = shared.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = held.clone();
                thread::spawn(move || shared.serve(stream));
            }
        });
        Receiver { address, shared }
    }

    pub fn does(&self, act: Act) {
        *self.shared.act.lock().unwrap() = Box::new(move || act);
    }

    pub fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// The section of a channel that leads here.
    pub fn channel(&self, name: &str, more: &str) -> String {
        let url = self.url();
        format!(
            "[[Notifications.Channels]]\nName = \"{name}\"\nType = \"http\"\nUrl = \"{url}\"\n\
             PerMinute = 6000\n{more}"
        )
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().unwrap().clone()
    }

    /// What was taken, by key: how often, and with which body first.
    pub fn taken(&self) -> BTreeMap<String, (usize, String)> {
        let mut taken = BTreeMap::new();
        for arrival in self.arrivals().into_iter().filter(|arrival| arrival.taken) {
            taken.entry(arrival.key).or_insert((0, arrival.body)).0 += 1;
        }
        taken
    }

    /// Waits until it has taken so many different messages.
    pub fn wait_taken(&self, count: usize) {
        wait_until(&format!("{count} messages"), || self.taken().len() >= count);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        while let Some((key, body)) = read_request(&mut reader) {
            let act = (self.act.lock().unwrap())();
            let (wall, taken) = (now(), matches!(act, Act::Take | Act::TakeAfter(_)));
            if let Act::TakeAfter(wait) = act {
                thread::sleep(wait);
            }
            self.arrivals.lock().unwrap().push(Arrival { wall, key, body, taken });
            let head = |status: u16, more: &str| {
                format!("HTTP/1.1 {status} Said\r\n{more}Content-Length: 4\r\n\r\n")
            };
            let answer = match act {
                Act::Take | Act::TakeAfter(_) => head(200, "") + "done",
                Act::Refuse(status) => head(status, "") + "nope",
                Act::TooMany(seconds) => head(429, &format!("Retry-After: {seconds}\r\n")) + "wait",
                Act::BreakOff => head(200, "") + "d",
                Act::Hang => {
                    thread::sleep(Duration::from_secs(3600));
                    return;
                }
            };
            let sent = stream.write_all(answer.as_bytes());
            if sent.is_err() || act == Act::BreakOff {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// The key of the message and the body; `None`: no more comes.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut key, mut length) = (String::new(), 0);
    let mut is_first = true;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() && !is_first {
            break;
        }
        is_first = false;
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "idempotency-key" => key = value.trim().to_owned(),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((key, String::from_utf8_lossy(&body).into_owned()))
}
