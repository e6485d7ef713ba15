use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tarpc::client::RpcError;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::Notify,
    task::JoinHandle,
};

use super::*;
use crate::push::protocol::{codec, wire::encoded_bytes};

/// A master that notes what it is told. A certificate request tells it how to behave.
#[derive(Clone, Default)]
struct TestMaster {
    taken: Arc<Mutex<Vec<u64>>>,
    working: Arc<AtomicUsize>,
    go_on: Arc<Notify>,
}

/// Counts those who work, also when their work is dropped.
struct Working(Arc<AtomicUsize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Master for TestMaster {
    async fn report(self, _: Context, news: News) -> Receipt {
        self.taken.lock().unwrap().push(news.sequence);
        Receipt::Taken
    }

    async fn renew(self, _: Context, csr: String) -> Result<String, String> {
        self.working.fetch_add(1, Ordering::SeqCst);
        let _working = Working(Arc::clone(&self.working));
        match csr.as_str() {
            "wait" => self.go_on.notified().await,
            "panic" => panic!("cannot sign"),
            "long" => return Ok("x".repeat(5 << 20)),
            _ => {}
        }
        Ok(format!("signed {csr}"))
    }

    async fn leave(self, _: Context, _: Parting) {}
}

#[derive(Clone, Default)]
struct TestAgent(Arc<AtomicUsize>);

impl Agent for TestAgent {
    async fn ping(self, _: Context) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    async fn close(self, _: Context, _: Farewell) {}

    async fn order(self, _: Context, _: Order) -> Outcome {
        Outcome::Away("nobody is here".into())
    }
}

struct Pair {
    master: MasterClient,
    agent: AgentLink,
    served: TestMaster,
    pinged: Arc<AtomicUsize>,
    agent_end: JoinHandle<Result<(), Ended>>,
    master_end: JoinHandle<Result<(), Ended>>,
}

fn pair(room: usize) -> Pair {
    let (below, above) = duplex(room);
    let (served, called) = (TestMaster::default(), TestAgent::default());
    let pinged = Arc::clone(&called.0);
    let (master, driver) = connect(below, called, Arc::default());
    let agent_end = tokio::spawn(driver);
    let agent = AgentLink::new();
    let driver = accept(above, &agent, served.clone(), Arc::default());
    let master_end = tokio::spawn(driver);
    Pair { master, agent, served, pinged, agent_end, master_end }
}

/// A master's side whose agent is played by the test.
fn master_alone() -> (DuplexStream, AgentLink, TestMaster, JoinHandle<Result<(), Ended>>) {
    let (below, above) = duplex(1 << 16);
    let served = TestMaster::default();
    let agent = AgentLink::new();
    let driver = accept(above, &agent, served.clone(), Arc::default());
    (below, agent, served, tokio::spawn(driver))
}

fn soon() -> Context {
    deadline(MAX_DEADLINE)
}

fn news(sequence: u64) -> News {
    News { sequence, ..News::default() }
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn both_sides_call_each_other_on_one_connection() {
    let pair = pair(64);
    for sequence in 1..=50 {
        let receipt = pair.master.report(soon(), news(sequence)).await.unwrap();
        assert_eq!(receipt, Receipt::Taken);
        pair.agent.client().ping(soon()).await.unwrap();
    }
    assert_eq!(*pair.served.taken.lock().unwrap(), (1..=50).collect::<Vec<_>>());
    assert_eq!(pair.pinged.load(Ordering::SeqCst), 50);
    assert_eq!(pair.master.renew(soon(), "me".into()).await.unwrap(), Ok("signed me".into()));
}

#[tokio::test]
async fn many_calls_at_once_wait_for_each_other_and_none_is_refused() {
    let pair = pair(1 << 16);
    let calls = (0..200).map(|number| {
        let master = pair.master.clone();
        async move { master.report(soon(), news(number)).await }
    });
    let receipts = futures_util::future::join_all(calls).await;
    assert!(receipts.iter().all(|receipt| matches!(receipt, Ok(Receipt::Taken))));
}

#[tokio::test]
async fn a_long_report_travels_and_one_that_is_too_long_fails_alone() {
    let pair = pair(1 << 12);
    let entry = |message: String| crate::push::protocol::wire::Entry {
        origin: uuid::Uuid::nil(),
        origin_id: 1,
        kind: String::new(),
        at_ms: 0,
        group: String::new(),
        host: String::new(),
        probe: None,
        was: None,
        now: None,
        message,
    };
    let with = |bytes: usize| News { entries: vec![entry("x".repeat(bytes))], ..News::default() };
    assert!(encoded_bytes(&with(4_000_000)) < 4 << 20);
    assert_eq!(pair.master.report(soon(), with(4_000_000)).await.unwrap(), Receipt::Taken);
    let error = pair.master.report(soon(), with(5_000_000)).await.unwrap_err();
    assert!(matches!(error, RpcError::Send(_)), "{error}");
    // An answer that is too long becomes an error, and the connection lives on.
    let error = pair.master.renew(soon(), "long".into()).await.unwrap_err();
    let RpcError::Server(error) = error else { panic!("{error}") };
    assert!(error.detail.contains("longer than 4194304 bytes"), "{error}");
    assert_eq!(pair.master.report(soon(), news(1)).await.unwrap(), Receipt::Taken);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_dropped_where_it_is_worked_on() {
    let pair = pair(1 << 12);
    let master = pair.master.clone();
    let call = tokio::spawn(async move { master.renew(soon(), "wait".into()).await });
    until(|| pair.served.working.load(Ordering::SeqCst) == 1).await;
    call.abort();
    until(|| pair.served.working.load(Ordering::SeqCst) == 0).await;
    // A slow call does not hold up the others.
    let slow = pair.master.clone();
    let slow = tokio::spawn(async move { slow.renew(soon(), "wait".into()).await });
    until(|| pair.served.working.load(Ordering::SeqCst) == 1).await;
    pair.master.report(soon(), news(1)).await.unwrap();
    pair.served.go_on.notify_one();
    assert_eq!(slow.await.unwrap().unwrap(), Ok("signed wait".into()));
}

#[tokio::test]
async fn a_call_ends_at_its_deadline_on_both_sides() {
    let pair = pair(1 << 12);
    let short = deadline(Duration::from_millis(20));
    let error = pair.master.renew(short, "wait".into()).await.unwrap_err();
    assert!(matches!(error, RpcError::DeadlineExceeded), "{error}");
    until(|| pair.served.working.load(Ordering::SeqCst) == 0).await;
    let long = deadline(Duration::from_secs(1 << 40));
    assert!(long.deadline <= Instant::now() + MAX_DEADLINE);
}

#[tokio::test]
async fn a_panic_ends_this_connection_and_says_why() {
    let pair = pair(1 << 12);
    let error = pair.master.renew(soon(), "panic".into()).await.unwrap_err();
    assert!(matches!(error, RpcError::Shutdown), "{error}");
    let ended = pair.master_end.await.unwrap().unwrap_err();
    assert!(ended.to_string().contains("cannot sign"), "{ended}");
    assert!(pair.agent_end.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_connection_closes_when_nobody_can_call() {
    let Pair { master, agent, agent_end, master_end, .. } = pair(1 << 12);
    master.report(soon(), news(1)).await.unwrap();
    drop(master);
    assert!(agent_end.await.unwrap().is_ok() && master_end.await.unwrap().is_ok());
    assert!(matches!(agent.client().ping(soon()).await, Err(RpcError::Shutdown)));

    let Pair { master, agent, agent_end, master_end, .. } = pair(1 << 12);
    drop(agent);
    assert!(agent_end.await.unwrap().is_ok() && master_end.await.unwrap().is_ok());
    assert!(matches!(master.report(soon(), news(1)).await, Err(RpcError::Shutdown)));
}

#[tokio::test]
async fn the_bytes_of_a_call_never_change() {
    let (mut agent, _link, served, _end) = master_alone();
    // Call 3, at most 1,000 ms, method 0 (report): sequence 9, no report, no entries, no position.
    agent.write_all(&[0, 0, 0, 10, 0, 3, 251, 0xe8, 3, 0, 9, 0, 0, 0]).await.unwrap();
    let mut answer = [0; 9];
    agent.read_exact(&mut answer).await.unwrap();
    // Answer to call 3: Ok, of method 0, Taken.
    assert_eq!(answer, [0, 0, 0, 5, 2, 3, 0, 0, 0]);
    assert_eq!(*served.taken.lock().unwrap(), [9]);
}

#[tokio::test]
async fn nonsense_ends_the_connection_and_says_so() {
    let nonsense: [&[u8]; 6] = [
        &[0, 0, 0, 0],
        &[0, 0, 0, 1, 9],
        // Method 77.
        &[0, 0, 0, 4, 0, 1, 1, 77],
        // A call with a byte too many.
        &[0, 0, 0, 9, 0, 3, 1, 0, 9, 0, 0, 0, 0],
        &[0xff, 0xff, 0xff, 0xff],
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for bytes in nonsense {
        let (mut agent, _link, _, end) = master_alone();
        agent.write_all(bytes).await.unwrap();
        let ended = end.await.unwrap().unwrap_err();
        assert!(matches!(ended, Ended::Violation { .. }), "{bytes:?}: {ended}");
    }
}

#[tokio::test]
async fn absurd_deadlines_answers_nobody_asked_for_and_late_cancels_do_no_harm() {
    let (mut agent, _link, _, end) = master_alone();
    let mut calls = Vec::new();
    // An answer to call 5 and the end of call 6, neither of which exists.
    calls.extend([0, 0, 0, 4, 2, 5, 0, 0]);
    calls.extend([0, 0, 0, 2, 1, 6]);
    // Call 1, at most 2^32 - 1 ms; and twice.
    let call = [0, 0, 0, 12, 0, 1, 252, 255, 255, 255, 255, 0, 9, 0, 0, 0];
    calls.extend(call);
    agent.write_all(&calls).await.unwrap();
    let mut answer = [0; 9];
    agent.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [0, 0, 0, 5, 2, 1, 0, 0, 0]);
    drop(agent);
    assert!(end.await.unwrap().is_ok());
}

#[tokio::test]
async fn calls_above_the_limit_are_refused_one_by_one() {
    let (mut agent, _link, served, _end) = master_alone();
    let above = MAX_SERVED as u8 + 1;
    for id in 1..=above {
        let body = [&[0, id, 251, 0xff, 0x7f, 1, 4][..], b"wait"].concat();
        agent.write_all(&[&[0, 0, 0, body.len() as u8][..], &body].concat()).await.unwrap();
    }
    let mut prefix = [0; 4];
    agent.read_exact(&mut prefix).await.unwrap();
    let mut body = vec![0; codec::announced(prefix, 1_000).unwrap()];
    agent.read_exact(&mut body).await.unwrap();
    assert_eq!(&body[..3], [2, above, 1]);
    assert!(String::from_utf8_lossy(&body).contains("throttled"));
    assert_eq!(served.working.load(Ordering::SeqCst), MAX_SERVED);
}

/// Many agents that are connected, have reported and are silent now.
///
/// `cargo test --release --lib idle_connections -- --ignored --nocapture`
#[tokio::test]
#[ignore = "prints figures, asserts nothing"]
async fn memory_of_idle_connections() {
    const CONNECTIONS: usize = 2_000;
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
    };
    let mut agents = Vec::new();
    for _ in 0..CONNECTIONS {
        // Room for a call and its answer: the duplex itself allocates it.
        agents.push(duplex(64));
    }
    let before = resident();
    let mut held = Vec::new();
    for (mut agent, above) in agents {
        let link = AgentLink::new();
        let driver = accept(above, &link, TestMaster::default(), Arc::default());
        if held.is_empty() {
            println!("driver: {} bytes", size_of_val(&driver));
        }
        let end = tokio::spawn(driver);
        agent.write_all(&[0, 0, 0, 10, 0, 3, 251, 0xe8, 3, 0, 9, 0, 0, 0]).await.unwrap();
        agent.read_exact(&mut [0; 9]).await.unwrap();
        held.push((agent, link, end));
    }
    let idle = resident();
    println!("idle: {} bytes a connection", (idle - before) / CONNECTIONS);
    let clients: Vec<AgentClient> = held.iter().map(|(_, link, _)| link.client()).collect();
    tokio::task::yield_now().await;
    let called = resident() - idle;
    println!("and once called by the master: {} bytes more", called / clients.len());
}
