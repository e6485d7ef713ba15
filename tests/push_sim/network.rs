//! A network in memory: streams that delay, stall and break, each direction for itself.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::{mpsc, watch},
    time::sleep,
};
use wigo::{
    config::Endpoint,
    push::client::{AnyStream, Connecting, Network},
};

use crate::random::Random;

/// What a socket holds in each direction, in bytes.
const SOCKET_BYTES: usize = 16 << 10;
/// What travels at once, in bytes.
const PACKET_BYTES: usize = 1_400;

pub type Index = usize;

/// From the client to its master.
pub type Line = (Index, Index);

/// How a line is at present.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Nothing gets through; it waits.
    pub blocked: bool,
    /// How long a packet takes.
    pub delay_ms: std::ops::Range<u64>,
    /// In percent, how many connections break after some bytes.
    pub fragile: u64,
}

/// Who notices at once that a connection has broken. The other finds only silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Break {
    Both,
    Client,
    Master,
}

pub const BREAKS: [Break; 3] = [Break::Both, Break::Client, Break::Master];

struct Connection {
    line: Line,
    broken: watch::Sender<Option<Break>>,
}

pub type Listener = mpsc::UnboundedReceiver<(DuplexStream, SocketAddr)>;

/// All lines between all nodes.
pub struct Wires {
    conditions: BTreeMap<Line, watch::Sender<Condition>>,
    listening: Mutex<BTreeMap<Index, mpsc::UnboundedSender<(DuplexStream, SocketAddr)>>>,
    connections: Mutex<Vec<Connection>>,
    random: Mutex<Random>,
}

impl Wires {
    pub fn new(lines: impl IntoIterator<Item = Line>, seed: u64) -> Wires {
        let calm = Condition { blocked: false, delay_ms: 1..5, fragile: 0 };
        Wires {
            conditions: lines
                .into_iter()
                .map(|line| (line, watch::channel(calm.clone()).0))
                .collect(),
            listening: Mutex::default(),
            connections: Mutex::default(),
            random: Mutex::new(Random::new(seed)),
        }
    }

    pub fn change(&self, line: Line, change: impl FnOnce(&mut Condition)) {
        self.conditions[&line].send_modify(change);
    }

    pub fn listen(&self, node: Index) -> Listener {
        let (arrive, arrivals) = mpsc::unbounded_channel();
        self.listening.lock().unwrap().insert(node, arrive);
        arrivals
    }

    pub fn close(&self, node: Index) {
        self.listening.lock().unwrap().remove(&node);
    }

    /// Breaks the connections of a line.
    pub fn cut(&self, line: Line, how: Break) {
        self.cut_all(|one| (one == line).then_some(how));
    }

    /// A machine without power says nothing to anybody.
    pub fn unplug(&self, node: Index) {
        self.cut_all(|(client, master)| match node {
            node if node == client => Some(Break::Client),
            node if node == master => Some(Break::Master),
            _ => None,
        });
    }

    fn cut_all(&self, how: impl Fn(Line) -> Option<Break>) {
        let mut connections = self.connections.lock().unwrap();
        connections.retain(|connection| !connection.broken.is_closed());
        for connection in connections.iter() {
            if let Some(how) = how(connection.line) {
                connection.broken.send_replace(Some(how));
            }
        }
    }

    async fn connect(self: Arc<Wires>, line: Line) -> io::Result<AnyStream> {
        let mut way = self.way(line);
        way.travel().await;
        let (client, near) = duplex(SOCKET_BYTES);
        let (far, master) = duplex(SOCKET_BYTES);
        let port = 10_000 + self.random.lock().unwrap().within(0..50_000) as u16;
        let address = SocketAddr::from(([192, 0, 2, line.0 as u8], port));
        let listening = self.listening.lock().unwrap().get(&line.1).cloned();
        listening
            .and_then(|listener| listener.send((master, address)).ok())
            .ok_or(io::ErrorKind::ConnectionRefused)?;
        let (broken, breaks) = watch::channel(None);
        self.connections.lock().unwrap().push(Connection { line, broken });
        tokio::spawn(relay(near, far, [self.way(line), self.way(line)], breaks));
        Ok(Box::new(client))
    }

    fn way(self: &Arc<Wires>, line: Line) -> Way {
        let condition = self.conditions[&line].subscribe();
        let fragile = condition.borrow().fragile;
        let mut random = self.random.lock().unwrap();
        let fuse = random.percent(fragile).then(|| random.within(0..6_000) as usize);
        let how = *random.of(&BREAKS);
        Way { condition, fuse, how, wires: Arc::clone(self) }
    }
}

/// One direction of a connection.
struct Way {
    condition: watch::Receiver<Condition>,
    /// After so many bytes the connection breaks…
    fuse: Option<usize>,
    /// …in this way.
    how: Break,
    wires: Arc<Wires>,
}

impl Way {
    fn delay(&self) -> Duration {
        let range = self.condition.borrow().delay_ms.clone();
        self.wires.random.lock().unwrap().ms(range)
    }

    /// How long a packet takes, however long that is.
    async fn travel(&mut self) {
        sleep(self.delay()).await;
        self.condition.wait_for(|condition| !condition.blocked).await.unwrap();
    }

    /// Carries bytes until one of the ends is gone or the fuse blows.
    async fn carry(
        &mut self,
        from: &mut ReadHalf<DuplexStream>,
        to: &mut WriteHalf<DuplexStream>,
    ) -> Option<Break> {
        let mut packet = [0; PACKET_BYTES];
        loop {
            let size = from.read(&mut packet).await.unwrap_or(0);
            self.travel().await;
            if size == 0 {
                let _ = to.shutdown().await;
                return None;
            }
            if self.condition.borrow().fragile == 0 {
                self.fuse = None;
            }
            let passes = self.fuse.map_or(size, |left| left.min(size));
            if to.write_all(&packet[..passes]).await.is_err() {
                return None;
            }
            if let Some(left) = &mut self.fuse {
                *left -= passes;
                if *left == 0 {
                    return Some(self.how);
                }
            }
        }
    }
}

/// One connection, until it broke or nobody holds its ends any more.
async fn relay(
    client: DuplexStream,
    master: DuplexStream,
    [mut up, mut down]: [Way; 2],
    mut breaks: watch::Receiver<Option<Break>>,
) {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_master, mut to_master) = split(master);
    let broken = {
        let up = up.carry(&mut from_client, &mut to_master);
        let down = down.carry(&mut from_master, &mut to_client);
        let both = async {
            tokio::pin!(up, down);
            tokio::select! {
                broken = &mut up => if broken.is_some() { broken } else { down.await },
                broken = &mut down => if broken.is_some() { broken } else { up.await },
            }
        };
        tokio::select! {
            broken = both => broken,
            broken = breaks.wait_for(Option::is_some) => broken.ok().and_then(|broken| *broken),
        }
    };
    // Who does not notice goes on sending into nothing.
    let (mut deaf, _held) = match broken {
        Some(Break::Client) => {
            drop((from_client, to_client));
            (from_master, to_master)
        }
        Some(Break::Master) => {
            drop((from_master, to_master));
            (from_client, to_client)
        }
        Some(Break::Both) | None => return,
    };
    let _ = tokio::io::copy(&mut deaf, &mut tokio::io::sink()).await;
}

/// The network as one node sees it.
pub struct Place {
    pub wires: Arc<Wires>,
    pub node: Index,
}

impl Network for Place {
    fn connect<'a>(&'a self, master: &'a Endpoint) -> Connecting<'a> {
        let master = master.host.trim_start_matches("node").parse().unwrap();
        Box::pin(self.wires.clone().connect((self.node, master)))
    }
}
