//! One stream: news on their way to one reader. It is slow for itself alone: what waits for it is bounded,
//! and what it misses it is told to fetch again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        mpsc, watch,
    },
    time::Instant,
};
use utoipa::ToSchema;

use super::{
    Rights, Subscribed,
    collector::Front,
    item::{self, About, Batch, Item, Position},
    resume::Start,
};
use crate::{
    access::Caller,
    api::{Api, summary::now},
};

/// A stream on which nothing was sent for so long says what time it is.
const QUIET: Duration = Duration::from_secs(10);
/// Text that is sent in one piece, in bytes.
const PIECE: usize = 32 << 10;
/// Milliseconds that a browser waits before it comes back.
const RETRY: &str = "retry: 2000\n\n";

/// A reader and what it has got.
pub struct Reader {
    pub api: Arc<Api>,
    pub caller: Caller,
    pub subscribed: Subscribed,
    pub batches: broadcast::Receiver<Arc<Batch>>,
    pub front: watch::Receiver<Front>,
    /// The numbers of the counts and of the summary that are no newer than the start.
    pub seen: (u64, u64),
    pub rights: Option<Rights>,
    pub stop: watch::Receiver<bool>,
    pub out: mpsc::Sender<Bytes>,
}

/// The reader is gone.
struct Gone;

/// What a reader waits for.
enum Woken {
    Stop,
    Gone,
    /// Somebody's rights may be others.
    Rights,
    Batch(Arc<Batch>),
    /// More has come than waits for a slow reader.
    Missed,
    Front,
    /// Nothing was sent for long.
    Quiet,
}

/// How a stream begins.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Hello<'a> {
    /// Unix seconds with fraction.
    now: f64,
    revision: u64,
    version: &'a str,
    caller: Named<'a>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = EventCaller)]
struct Named<'a> {
    name: &'a str,
    /// `readonly` or `operator`.
    role: &'static str,
}

/// Nothing was sent for a while, but the line is alive.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Time {
    /// Unix seconds with fraction.
    now: f64,
}

/// The stream ends.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Bye<'a> {
    why: &'a str,
}

/// What a reader has got, and what is about to be sent.
struct Written {
    process: u64,
    /// Up to where the reader knows everything.
    position: Position,
    /// Rows up to this revision, and entries up to this one, were in what it has missed.
    told: Position,
    counts: u64,
    summary: u64,
    text: String,
    /// When something was sent last.
    quiet_at: Instant,
    /// When the rights were looked at last: they also end by time, which nobody tells.
    checked_at: Instant,
}

impl Written {
    fn event(&mut self, event: &str, data: &str) {
        let id = item::id(self.process, self.position);
        item::write(&mut self.text, event, &id, data);
    }

    fn say(&mut self, event: &str, data: &impl Serialize) {
        let data = serde_json::to_string(data).expect("views have text for keys");
        self.event(event, &data);
    }

    /// Whether an item of a batch is news to the reader.
    fn is_news(&self, batch: &Batch, item: &Item) -> bool {
        match &item.about {
            About::Log { id, .. } => *id > self.told.journal,
            About::Host { .. } | About::Probe { .. } => {
                item.is_gone || batch.revision > self.told.revision
            }
            _ => true,
        }
    }
}

impl Reader {
    /// Sends until the reader is gone, may not read any more, or the server stops.
    pub async fn run(mut self, start: Start) {
        let mut written = Written {
            process: self.api.process,
            position: start.from,
            told: start.position,
            counts: self.seen.0,
            summary: self.seen.1,
            text: RETRY.to_owned(),
            quiet_at: Instant::now(),
            checked_at: Instant::now(),
        };
        if let Err(Gone) = self.greet(&mut written, start).await {
            return;
        }
        while let Ok(None) = self.next(&mut written).await {}
    }

    async fn greet(&mut self, written: &mut Written, start: Start) -> Result<(), Gone> {
        let version = self.api.hub.read(|tree| tree.me().version.clone());
        let caller = Named { name: &self.caller.name, role: self.caller.role.word() };
        let revision = start.position.revision;
        written.say("hello", &Hello { now: now(), revision, version: &version, caller });
        written.event("counts", &start.counts);
        if let Some(summary) = start.summary {
            written.event("summary", &summary);
        }
        for (number, item) in start.missed.iter().enumerate() {
            if number + 1 == start.missed.len() {
                written.pass(start.position);
            }
            written.event(item.event, &item.data);
            self.send_full(written).await?;
        }
        written.pass(start.position);
        self.send(written).await
    }

    /// Waits for the next thing and sends it; something if that was the last.
    async fn next(&mut self, written: &mut Written) -> Result<Option<()>, Gone> {
        let woken = self.wait(written.quiet_at + QUIET).await;
        if matches!(woken, Woken::Rights) || written.checked_at.elapsed() >= QUIET {
            written.checked_at = Instant::now();
            if !self.may_read() {
                return self.bye(written, "you may not read any more: log in again");
            }
        }
        match woken {
            Woken::Stop => return self.bye(written, "the server stops"),
            Woken::Gone => return Err(Gone),
            Woken::Rights => {}
            Woken::Quiet => written.say("time", &Time { now: now() }),
            Woken::Batch(batch) => self.pass_on(written, &batch).await?,
            Woken::Missed => self.reset(written),
            Woken::Front => self.show_front(written),
        }
        self.send(written).await?;
        Ok(None)
    }

    async fn wait(&mut self, quiet: Instant) -> Woken {
        let Reader { batches, front, rights, stop, out, .. } = self;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Woken::Stop,
            () = out.closed() => Woken::Gone,
            () = rights_changed(rights) => Woken::Rights,
            batch = batches.recv() => match batch {
                Ok(batch) => Woken::Batch(batch),
                Err(RecvError::Lagged(_)) => Woken::Missed,
                Err(RecvError::Closed) => Woken::Stop,
            },
            Ok(()) = front.changed() => Woken::Front,
            () = tokio::time::sleep_until(quiet) => Woken::Quiet,
        }
    }

    fn may_read(&self) -> bool {
        self.rights.as_ref().is_none_or(|rights| (rights.still)(&self.caller))
    }

    /// What of a batch is for this reader. Each event but the last has the place before the batch, so that
    /// who loses the rest gets it again.
    async fn pass_on(&mut self, written: &mut Written, batch: &Batch) -> Result<(), Gone> {
        let scope = self.subscribed.scope.clone();
        let wanted = |item: &&Item| scope.takes(&item.about) && written.is_news(batch, item);
        let news: Vec<&Item> = batch.items.iter().filter(wanted).collect();
        let mut has_reset = false;
        for (number, item) in news.iter().enumerate() {
            if number + 1 == news.len() {
                written.pass(batch.position);
            }
            // One of them is enough, unless it is the last one, which says where the reader is.
            let again = item.event == "reset" && std::mem::replace(&mut has_reset, true);
            if !again || number + 1 == news.len() {
                written.event(item.event, &item.data);
            }
            self.send_full(written).await?;
        }
        written.pass(batch.position);
        Ok(())
    }

    /// The reader has missed something.
    fn reset(&self, written: &mut Written) {
        let scope = &self.subscribed.scope;
        if scope.has_rows() || scope.has_logs() {
            let item = Item::reset(About::Everyone, "you read more slowly than things change");
            written.event(item.event, &item.data);
        } else {
            for name in self.api.live.lists() {
                let item = super::collector::changed(name);
                written.event(item.event, &item.data);
            }
        }
    }

    fn show_front(&mut self, written: &mut Written) {
        let front = self.front.borrow_and_update().clone();
        if written.counts != front.counts.0 {
            written.counts = front.counts.0;
            written.event("counts", &front.counts.1);
        }
        if written.summary != front.summary.0 && self.subscribed.scope == super::Scope::Overview {
            written.summary = front.summary.0;
            written.event("summary", &front.summary.1);
        }
    }

    /// Ends the stream. Nobody waits until a slow reader has heard it.
    fn bye(&self, written: &mut Written, why: &str) -> Result<Option<()>, Gone> {
        written.say("bye", &Bye { why });
        let _ = self.out.try_send(std::mem::take(&mut written.text).into());
        Ok(Some(()))
    }

    async fn send_full(&mut self, written: &mut Written) -> Result<(), Gone> {
        if written.text.len() >= PIECE { self.send(written).await } else { Ok(()) }
    }

    /// Sends what is written; ends when the server stops meanwhile, since this may take long.
    async fn send(&mut self, written: &mut Written) -> Result<(), Gone> {
        if written.text.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut written.text).into();
        written.quiet_at = Instant::now();
        tokio::select! {
            sent = self.out.send(piece) => sent.map_err(|_| Gone),
            _ = self.stop.wait_for(|stop| *stop) => Err(Gone),
        }
    }
}

impl Written {
    /// The reader knows everything up to here.
    fn pass(&mut self, position: Position) {
        self.position.revision = self.position.revision.max(position.revision);
        self.position.journal = self.position.journal.max(position.journal);
    }
}

/// Waits until somebody's rights change.
async fn rights_changed(rights: &mut Option<Rights>) {
    let Some(rights) = rights else { return std::future::pending().await };
    if rights.changed.changed().await.is_err() {
        // Whoever gave them is gone, and so is this process soon.
        std::future::pending::<()>().await;
    }
}
