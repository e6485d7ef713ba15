use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use super::*;
use crate::{
    notify::{
        Kind,
        channel::{Channel, Delivery as Sent, Retry, Sending},
        desk::test_message,
        notifier::Health,
    },
    store::{Commit, DeliveryState, NotificationQuery, Settings, Store},
};

/// More simulated time than any of this takes: nothing waits for it in vain.
const LONG: Duration = Duration::from_secs(48 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

/// What a receiver does with a message.
enum Act {
    Take,
    Refuse(Retry),
    Hang,
    Panic,
}

/// A receiver that does as it is told and remembers what it was sent.
struct Receiver {
    act: Box<dyn Fn(&Sent) -> Act + Send + Sync>,
    got: Mutex<Vec<Sent>>,
    tried: AtomicUsize,
    news: Notify,
}

impl Receiver {
    fn new(act: impl Fn(&Sent) -> Act + Send + Sync + 'static) -> Arc<Receiver> {
        let (got, tried, news) = (Mutex::default(), AtomicUsize::new(0), Notify::new());
        Arc::new(Receiver { act: Box::new(act), got, tried, news })
    }

    fn keys(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|sent| sent.message.key.clone()).collect()
    }

    fn tried(&self) -> usize {
        self.tried.load(Ordering::SeqCst)
    }

    /// Waits until it was tried so often, or has so many messages.
    async fn until(&self, reached: impl Fn(&Receiver) -> bool) {
        let wait = async {
            while !reached(self) {
                self.news.notified().await;
            }
        };
        timeout(LONG, wait).await.expect("it never came to that");
    }

    async fn until_got(&self, count: usize) {
        self.until(|receiver| receiver.keys().len() >= count).await;
    }
}

impl Channel for Receiver {
    fn send<'a>(&'a self, delivery: &'a Sent) -> Sending<'a> {
        Box::pin(async move {
            self.tried.fetch_add(1, Ordering::SeqCst);
            let act = (self.act)(delivery);
            if matches!(act, Act::Take) {
                self.got.lock().unwrap().push(delivery.clone());
            }
            self.news.notify_one();
            match act {
                Act::Take => Ok(Receipt("taken".into())),
                Act::Refuse(retry) => Err(Failed { why: "refused".into(), retry }),
                Act::Hang => std::future::pending().await,
                Act::Panic => panic!("a mistake in a channel"),
            }
        })
    }
}

struct Bench {
    _folder: TempDir,
    store: Store,
    delivery: Delivery,
    start: Instant,
    commits: AtomicUsize,
}

fn outlet(name: &str, receiver: &Arc<Receiver>, fallback: Option<&str>) -> Outlet {
    Outlet {
        name: name.into(),
        kind: "test".into(),
        channel: receiver.clone(),
        render: Arc::new(|message, _, _| (message.title.clone(), message.output.clone())),
        limit: Duration::from_secs(10),
        fallback: fallback.map(Into::into),
        escalation: false,
        reminders_only: false,
        whom: "everybody".into(),
    }
}

/// Simulated time, as the workers see it.
fn simulated(start: Instant) -> Clock {
    let begin = Timestamp::from_second(1_800_000_000).unwrap();
    Arc::new(move || begin + start.elapsed())
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wigo.db");
        let opened = Store::open(Settings { path, origin: Uuid::from_u128(1), keep_days: 30 });
        opened.store.flush().unwrap();
        let start = Instant::now();
        let delivery = Delivery::new(opened.store.notify(), simulated(start));
        let commits = AtomicUsize::new(0);
        Bench { _folder: folder, store: opened.store, delivery, start, commits }
    }

    fn now(&self) -> Timestamp {
        simulated(self.start)()
    }

    fn message(&self, channel: &str, incident: u128, number: u32, kind: Kind) -> Message {
        let incident = Uuid::from_u128(incident);
        Message {
            key: format!("{incident}:{number}:{channel}"),
            incident: Some(incident),
            kind,
            expires: self.now() + LONG,
            ..test_message(channel, "here".into(), Uuid::from_u128(1), self.now())
        }
    }

    /// Puts messages into the outbox, as the desk does, and returns their keys.
    fn tell(&self, messages: Vec<Message>) -> Vec<String> {
        let keys = messages.iter().map(|message| message.key.clone()).collect();
        let channels: Vec<String> =
            messages.iter().map(|message| message.channel.clone()).collect();
        let number = self.commits.fetch_add(1, Ordering::SeqCst) as i64 + 1;
        self.store
            .notify()
            .commit(&Commit { process: 1, number, messages, ..Commit::default() })
            .unwrap();
        self.delivery.wake(channels.iter().map(String::as_str));
        keys
    }

    fn problem(&self, channel: &str, incident: u128) -> String {
        self.tell(vec![self.message(channel, incident, 1, Kind::Problem)]).remove(0)
    }

    /// Waits until the outbox says so.
    async fn until(&self, state: DeliveryState, count: usize) {
        let wait = async {
            loop {
                let query =
                    NotificationQuery { state: Some(state), limit: 1_000, ..Default::default() };
                if self.store.notify().notifications(&query).unwrap().items.len() >= count {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        };
        timeout(LONG, wait).await.expect("the outbox never says so");
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_hangs_or_fails_delays_no_other() {
    let bench = Bench::new();
    let hangs = Receiver::new(|_| Act::Hang);
    let panics = Receiver::new(|_| Act::Panic);
    let refuses = Receiver::new(|_| Act::Refuse(Retry::Later));
    let takes = Receiver::new(|_| Act::Take);
    bench.delivery.set(vec![
        outlet("hangs", &hangs, None),
        outlet("panics", &panics, None),
        outlet("refuses", &refuses, None),
        outlet("takes", &takes, None),
    ]);
    let mut wanted = Vec::new();
    for incident in 0..20 {
        for channel in ["hangs", "panics", "refuses"] {
            bench.problem(channel, incident);
        }
        wanted.push(bench.problem("takes", incident));
    }
    takes.until_got(20).await;
    // Not a moment of what the others wait for has passed.
    assert!(bench.start.elapsed() < Duration::from_secs(5), "{:?}", bench.start.elapsed());
    let mut got = takes.keys();
    got.sort();
    wanted.sort();
    assert_eq!(got, wanted);
    for receiver in [&hangs, &panics, &refuses] {
        receiver.until(|receiver| receiver.tried() > 5).await;
    }
    let health: Vec<Health> = bench.delivery.health().iter().map(|health| health.health).collect();
    assert_eq!(health, [Health::Failing, Health::Failing, Health::Failing, Health::Ok]);
    bench.delivery.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_receiver_missed_in_an_hour_comes_in_order_and_says_that_it_is_late() {
    let bench = Bench::new();
    let back = bench.start + HOUR;
    let receiver = Receiver::new(move |_| match Instant::now() < back {
        true => Act::Refuse(Retry::Later),
        false => Act::Take,
    });
    bench.delivery.set(vec![outlet("sms", &receiver, None)]);
    for incident in 0..10 {
        bench.tell(vec![
            bench.message("sms", incident, 1, Kind::Problem),
            bench.message("sms", incident, 2, Kind::Recovered),
        ]);
    }
    receiver.until_got(20).await;
    let got = receiver.got.lock().unwrap().clone();
    assert!(got.iter().all(|sent| sent.late.is_some_and(|late| late > HOUR / 2)));
    for incident in 0..10 {
        let incident = Some(Uuid::from_u128(incident));
        let kinds: Vec<Kind> = got
            .iter()
            .filter(|sent| sent.message.incident == incident)
            .map(|sent| sent.message.kind)
            .collect();
        assert_eq!(kinds, [Kind::Problem, Kind::Recovered]);
    }
    // Soon after it was back, and without having been hammered meanwhile.
    let took = bench.start.elapsed();
    assert!(took < HOUR + Duration::from_secs(20 * 60), "{took:?}");
    assert!(receiver.tried() < 500, "{}", receiver.tried());
    bench.until(DeliveryState::Sent, 20).await;
    bench.delivery.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_to_wait_is_left_alone_so_long() {
    let bench = Bench::new();
    let minute = Duration::from_secs(60);
    let tries: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let seen = tries.clone();
    let receiver = Receiver::new(move |_| {
        let mut tries = seen.lock().unwrap();
        tries.push(Instant::now());
        match tries.len() {
            1 => Act::Refuse(Retry::After(minute)),
            _ => Act::Take,
        }
    });
    bench.delivery.set(vec![outlet("chat", &receiver, None)]);
    bench.problem("chat", 1);
    while bench.delivery.health()[0].health != Health::Failing {
        tokio::task::yield_now().await;
    }
    bench.problem("chat", 2);
    receiver.until_got(2).await;
    let waited = {
        let tries = tries.lock().unwrap();
        tries[1] - tries[0]
    };
    assert!(waited >= minute, "{waited:?}");
    bench.delivery.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_goes_to_the_fallback_at_once() {
    let bench = Bench::new();
    let refuses = Receiver::new(|_| Act::Refuse(Retry::Never));
    let takes = Receiver::new(|_| Act::Take);
    bench
        .delivery
        .set(vec![outlet("http", &refuses, Some("mail")), outlet("mail", &takes, Some("http"))]);
    let key = bench.problem("http", 1);
    takes.until_got(1).await;
    assert_eq!(takes.keys(), [format!("{key}:mail")]);
    assert_eq!(refuses.tried(), 1);
    bench.until(DeliveryState::Dead, 1).await;
    let said = bench.delivery.troubles();
    assert!(said.len() == 1 && said[0].contains("`http`: refused"), "{said:?}");
    bench.delivery.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_heard_of_a_problem_from_the_fallback_hears_there_that_it_is_over() {
    let bench = Bench::new();
    let up: Arc<std::sync::atomic::AtomicBool> = Arc::default();
    let is_up = up.clone();
    let http = Receiver::new(move |_| match is_up.load(Ordering::SeqCst) {
        true => Act::Take,
        false => Act::Refuse(Retry::Later),
    });
    let mail = Receiver::new(|_| Act::Take);
    bench.delivery.set(vec![outlet("http", &http, Some("mail")), outlet("mail", &mail, None)]);
    let problem = bench.problem("http", 1);
    mail.until_got(1).await;
    // Soon, and not only when it is given up.
    assert!(bench.start.elapsed() < Duration::from_secs(180), "{:?}", bench.start.elapsed());
    up.store(true, Ordering::SeqCst);
    http.until_got(1).await;
    let over = bench.tell(vec![bench.message("http", 1, 2, Kind::Recovered)]).remove(0);
    mail.until_got(2).await;
    assert_eq!(http.keys(), [problem.clone(), over.clone()]);
    assert_eq!(mail.keys(), [format!("{problem}:mail"), format!("{over}:mail")]);
    // Of others nothing goes there.
    bench.tell(vec![
        bench.message("http", 2, 1, Kind::Problem),
        bench.message("http", 2, 2, Kind::Recovered),
    ]);
    bench.until(DeliveryState::Sent, 6).await;
    assert_eq!(mail.keys().len(), 2);
    bench.delivery.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_not_delivered_in_time_is_given_up_and_said() {
    let bench = Bench::new();
    let receiver = Receiver::new(|_| Act::Refuse(Retry::Later));
    bench.delivery.set(vec![outlet("sms", &receiver, None)]);
    let expires = bench.now() + HOUR;
    let message = Message { expires, ..bench.message("sms", 1, 1, Kind::Problem) };
    bench.tell(vec![message]);
    bench.until(DeliveryState::Expired, 1).await;
    assert!(bench.start.elapsed() >= HOUR, "{:?}", bench.start.elapsed());
    assert!(receiver.tried() >= 5, "{}", receiver.tried());
    let said = bench.delivery.troubles();
    assert!(said.len() == 1, "{said:?}");
    bench.delivery.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_under_the_same_keys() {
    let mut bench = Bench::new();
    let hangs = Receiver::new(|_| Act::Hang);
    bench.delivery.set(vec![outlet("sms", &hangs, None)]);
    let keys = bench.tell((1..=3).map(|n| bench.message("sms", n, 1, Kind::Problem)).collect());
    hangs.until(|receiver| receiver.tried() == 3).await;
    // What is on its way gets a grace, and is not waited for longer.
    let before = Instant::now();
    bench.delivery.stop().await;
    assert!(before.elapsed() <= worker::GRACE * 2);
    let takes = Receiver::new(|_| Act::Take);
    bench.delivery = Delivery::new(bench.store.notify(), simulated(bench.start));
    bench.delivery.set(vec![outlet("sms", &takes, None)]);
    takes.until_got(3).await;
    let mut got = takes.keys();
    got.sort();
    assert_eq!(got, keys);
    bench.delivery.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_changed_goes_on_as_the_new_one_and_a_removed_one_ends() {
    let bench = Bench::new();
    let (refuses, takes) =
        (Receiver::new(|_| Act::Refuse(Retry::Later)), Receiver::new(|_| Act::Take));
    bench.delivery.set(vec![outlet("a", &refuses, None), outlet("b", &refuses, None)]);
    let a = bench.problem("a", 1);
    bench.problem("b", 1);
    refuses.until(|receiver| receiver.tried() >= 2).await;
    bench.delivery.set(vec![outlet("a", &takes, None)]);
    takes.until_got(1).await;
    assert_eq!(takes.keys(), [a]);
    bench.delivery.abandon_strays().unwrap();
    bench.until(DeliveryState::Dead, 1).await;
    assert_eq!(bench.delivery.health().len(), 1);
    assert!(!bench.delivery.wake(["b"]));
    bench.delivery.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_went_out_from_memory_is_not_sent_again_when_the_disk_is_back() {
    let bench = Bench::new();
    let receiver = Receiver::new(|sent| match sent.message.kind {
        Kind::Reminder => Act::Refuse(Retry::Later),
        _ => Act::Take,
    });
    bench.delivery.set(vec![outlet("sms", &receiver, None)]);
    let sent = bench.message("sms", 1, 1, Kind::Problem);
    let failed = bench.message("sms", 2, 1, Kind::Reminder);
    let messages = vec![sent.clone(), failed.clone()];
    assert_eq!(bench.delivery.send_loose(&messages), 0);
    receiver.until(|receiver| receiver.tried() >= 2).await;
    bench.tell(messages.clone());
    // What has landed by now is noted by us, what lands later by the worker.
    let made = bench.delivery.on_disk(&messages);
    bench.store.notify().attempted(&made).unwrap();
    bench.until(DeliveryState::Sent, 1).await;
    receiver.until(|receiver| receiver.tried() >= 5).await;
    assert_eq!(receiver.keys(), [sent.key]);
    bench.delivery.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_test_waits_for_the_answer_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let (takes, refuses) =
        (Receiver::new(|_| Act::Take), Receiver::new(|_| Act::Refuse(Retry::Never)));
    bench.delivery.set(vec![outlet("a", &takes, None), outlet("b", &refuses, Some("a"))]);
    let message =
        |name: &'static str| move |now| test_message(name, "here".into(), Uuid::nil(), now);
    let (outcome, _) = bench.delivery.test("a", message("a")).await.unwrap();
    assert_eq!(outcome, Ok(Receipt("taken".into())));
    let (outcome, _) = bench.delivery.test("b", message("b")).await.unwrap();
    assert_eq!(outcome.unwrap_err().why, "refused");
    assert!(bench.delivery.test("c", message("c")).await.is_none());
    let all = NotificationQuery { limit: 9, ..Default::default() };
    assert_eq!(bench.store.notify().notifications(&all).unwrap().items, []);
    assert_eq!(takes.keys().len(), 1);
    bench.delivery.stop().await;
}
