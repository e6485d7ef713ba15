//! Asks one remote, over and over, and tells the tree what it says.

use std::time::Duration;

use hyper::header::HeaderValue;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::{
    client::{Answer, AskError, Client},
    document::{self, Document, Question, Unreadable, placeholder},
    identity::{Identity, PROOF, Verdict},
    journal,
    shared::Shared,
    ways::Place,
};
use crate::{
    config::Remote,
    hub::Hub,
    tree::{Contact, Event, Instance, Presence},
};

/// Questions that are asked before a remote counts as not answering.
const ATTEMPTS: u32 = 3;
/// Between two of them.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Parts of a journal that are fetched after one poll; the rest waits for the next one.
const MAX_BATCHES: usize = 20;

/// What asks one remote.
pub struct Poller {
    shared: Shared,
    remote: Remote,
    /// `host:port`
    address: String,
    /// How long it may be silent.
    limit: Duration,
    client: Client,
    identity: Identity,
    /// The instance in the tree that stands for this remote; `None` while another way leads to it.
    link: Option<Uuid>,
    /// The tree knows how `link` is reached.
    is_linked: bool,
    /// Of the document that the tree has.
    tag: Option<HeaderValue>,
    /// What is wrong with that document.
    remarks: Vec<String>,
    /// It has a journal that can be read on from a position.
    has_journal: bool,
    /// Whatever its documents look like, its journal turned out to be none of ours.
    journal_is_useless: bool,
    /// What was logged last about how it goes.
    logged: Option<String>,
}

/// What came of a poll.
enum Polled {
    /// The tree knows how it is, by this link.
    Told(Uuid),
    /// Another way leads to the same instance, and tells the tree.
    Elsewhere(String),
    /// Nothing could be told, and why.
    Failed(String),
}

impl Poller {
    pub fn new(shared: Shared, remote: Remote, limit: Duration) -> Poller {
        let address = remote.address();
        let stand_in = placeholder(&address);
        let known = reached_at(&shared.hub, &address).filter(|known| *known != stand_in);
        Poller {
            client: Client::new(remote.clone(), shared.net.clone()),
            identity: Identity::new(known),
            link: Some(known.unwrap_or(stand_in)),
            shared,
            remote,
            address,
            limit,
            is_linked: false,
            tag: None,
            remarks: Vec::new(),
            has_journal: false,
            journal_is_useless: false,
            logged: None,
        }
    }

    /// Polls for ever, the first time after `pause`.
    pub async fn run(mut self, pause: Duration) {
        self.expect();
        sleep(pause).await;
        loop {
            let begun = Instant::now();
            self.poll().await;
            sleep_until(begun + self.remote.check_interval).await;
        }
    }

    /// Lets the tree show that there should be somebody.
    pub fn expect(&self) {
        if let Some(uuid) = self.link {
            let (name, contact) = (self.address.clone(), self.contact());
            self.shared.hub.handle(Event::Expected { uuid, name, contact });
        }
    }

    /// Asks once, and tells the tree.
    pub async fn poll(&mut self) {
        let polled = match self.ask().await {
            Ok(Some((document, tag))) => self.take(document, tag),
            Ok(None) => self.still_holds(),
            Err(error) => Polled::Failed(error.to_string()),
        };
        match polled {
            Polled::Told(link) => {
                let caught_up = self.catch_up(link).await;
                let mut problems = self.remarks.clone();
                problems.extend(caught_up.err().map(|why| format!("its log is not read: {why}")));
                self.say(Some(problems.join("; ")).filter(|problem| !problem.is_empty()));
            }
            Polled::Elsewhere(why) => self.log(Some(why)),
            Polled::Failed(problem) => {
                self.shared.ways.failed(&self.address);
                // What happened meanwhile may have made the tree change its mind about all it had.
                (self.is_linked, self.tag) = (false, None);
                self.say(Some(problem));
            }
        }
    }

    /// The document with its tag, if it is another one than the tree has.
    async fn ask(&mut self) -> Result<Option<(Document, Option<HeaderValue>)>, AskError> {
        let is_there = |link| self.shared.hub.read(|tree| tree.get(link).is_some());
        if !self.link.is_some_and(is_there) {
            // Somebody made the tree forget it.
            (self.is_linked, self.tag) = (false, None);
        }
        match self.get("/api", self.tag.clone()).await? {
            Answer::Same if self.tag.is_some() => Ok(None),
            Answer::Same => Err(AskError::unreadable(&self.address, &Unreadable::Unasked)),
            Answer::Fresh { body, tag } => {
                let question = Question {
                    me: self.shared.hub.read(|tree| tree.me().uuid),
                    endpoint: self.address.clone(),
                    depth: self.remote.depth,
                    now: Timestamp::now(),
                };
                let read = move |body: &[u8]| document::read(body, &question);
                let document = self.shared.digest(&self.address, body, read).await?;
                Ok(Some((document, tag)))
            }
        }
    }

    async fn get(&mut self, path: &str, tag: Option<HeaderValue>) -> Result<Answer, AskError> {
        for _ in 1..ATTEMPTS {
            match self.client.get(path, tag.as_ref()).await {
                Err(error) if error.may_pass() => sleep(RETRY_PAUSE).await,
                answer => return answer,
            }
        }
        self.client.get(path, tag.as_ref()).await
    }

    /// Tells the tree what a document says.
    fn take(&mut self, document: Document, tag: Option<HeaderValue>) -> Polled {
        let Document { report, source, remarks } = document;
        let (uuid, hub) = (source.uuid, self.shared.hub.clone());
        if uuid == hub.read(|tree| tree.me().uuid) {
            return Polled::Failed(format!(
                "`{}` is this instance itself: remove it from [RemoteWigos]",
                self.address
            ));
        }
        if let Verdict::Doubted { known, times } = self.identity.answered(uuid) {
            return Polled::Failed(format!(
                "`{}` was {known} and says now to be `{}` ({uuid}), {times} of {PROOF} times in a row; \
                 then it is believed",
                self.address, source.name
            ));
        }
        let others = match self.place(uuid) {
            Ok(others) => others,
            Err(why) => return self.stand_back(uuid, why),
        };
        if !self.is_linked || self.link != Some(uuid) {
            let (name, contact, limit) = (source.name.clone(), self.contact(), self.limit);
            hub.handle(Event::Linked { link: uuid, name, contact, limit, grace: limit });
        }
        self.has_journal = source.has_journal && !self.journal_is_useless;
        hub.handle(Event::Reported { link: uuid, report, narrate: !self.has_journal });
        self.replace(uuid);
        (self.link, self.is_linked, self.tag) = (Some(uuid), true, tag);
        self.remarks = remarks;
        self.remarks.extend(doubled(&others));
        Polled::Told(uuid)
    }

    /// Tells the tree that the last document still holds.
    fn still_holds(&mut self) -> Polled {
        let Some(link) = self.link else {
            return Polled::Failed(Unreadable::Unasked.to_string());
        };
        match self.place(link) {
            Err(why) => self.stand_back(link, why),
            Ok(_) => {
                self.shared.hub.handle(Event::Heard { link });
                Polled::Told(link)
            }
        }
    }

    /// The other addresses that lead to `uuid`, if this one tells the tree about it; else why not.
    fn place(&self, uuid: Uuid) -> Result<Vec<String>, String> {
        let pushes = self.shared.hub.read(|tree| {
            tree.get(uuid).is_some_and(|instance| {
                let by_push = matches!(instance.contact.as_deref(), Some(Contact::Push { .. }));
                by_push && instance.presence == Presence::Alive
            })
        });
        let place = self.shared.ways.found(&self.address, uuid);
        if pushes {
            return Err("it reports to us by itself: it need not be in [RemoteWigos]".into());
        }
        match place {
            Place::First { others } => Ok(others),
            Place::Behind(other) => Err(format!(
                "it is the instance that `{other}` leads to as well: remove one of the two"
            )),
        }
    }

    /// Leaves it to another way to tell the tree about `uuid`.
    fn stand_back(&mut self, uuid: Uuid, why: String) -> Polled {
        self.replace(uuid);
        (self.link, self.is_linked, self.tag) = (None, false, None);
        Polled::Elsewhere(why)
    }

    /// Lets the tree forget what stood for this remote, if that was not `uuid`.
    fn replace(&self, uuid: Uuid) {
        let Some(old) = self.link.filter(|old| *old != uuid) else { return };
        if self.shared.ways.lead_to(old) {
            return;
        }
        let why = format!("`{}` leads to another instance now ({uuid})", self.address);
        forget(&self.shared.hub, old, &why);
    }

    /// Takes over what is new in the journal of `link`.
    async fn catch_up(&mut self, link: Uuid) -> Result<(), AskError> {
        if !self.has_journal {
            return Ok(());
        }
        let mut position = self.shared.hub.position(link, u64::MAX);
        for _ in 0..MAX_BATCHES {
            let Answer::Fresh { body, .. } = self.get(&journal::path(position), None).await? else {
                return Err(AskError::unreadable(&self.address, &Unreadable::Unasked));
            };
            let now = Timestamp::now();
            let read = move |body: &[u8]| journal::read(body, now);
            let page = self.shared.digest(&self.address, body, read).await?;
            if page.unnumbered {
                // From the next report on, the tree tells what changes.
                (self.journal_is_useless, self.has_journal, self.tag) = (true, false, None);
                break;
            }
            let last = page.last.max(position).unwrap_or(0);
            self.shared.hub.learn(link, page.told, last);
            // The newest entries, which a new instance is asked for, have none behind them.
            let there_is_more = page.count >= journal::BATCH && position.is_some();
            if !there_is_more || Some(last) == position {
                break;
            }
            position = Some(last);
        }
        Ok(())
    }

    fn contact(&self) -> Contact {
        Contact::Pull { endpoint: self.remote.url(), encrypted: self.remote.ssl_enabled }
    }

    /// Shows what is wrong, or that nothing is any more, where the remote is shown.
    fn say(&mut self, problem: Option<String>) {
        if let Some(link) = self.link {
            self.shared.hub.handle(Event::Trouble { link, problem: problem.clone() });
        }
        self.log(problem);
    }

    /// Logs what is wrong, once.
    fn log(&mut self, problem: Option<String>) {
        if self.logged == problem {
            return;
        }
        match &problem {
            Some(problem) => tracing::warn!("remote `{}`: {problem}", self.address),
            None => tracing::info!("remote `{}`: nothing is wrong with it any more", self.address),
        }
        self.logged = problem;
    }
}

/// What to say about other addresses of the same instance.
fn doubled(others: &[String]) -> Option<String> {
    let other = others.first()?;
    Some(format!("`{other}` leads to the same instance: remove one of the two from [RemoteWigos]"))
}

/// The instance that is or was reached at `address`, if the tree knows one.
fn reached_at(hub: &Hub, address: &str) -> Option<Uuid> {
    let view = hub.view();
    view.all().find(|instance| pulled_at(instance) == Some(address)).map(|instance| instance.uuid)
}

/// The `host:port` at which an instance is asked, if it is.
pub fn pulled_at(instance: &Instance) -> Option<&str> {
    match instance.contact.as_deref() {
        Some(Contact::Pull { endpoint, .. }) => {
            Some(endpoint.split_once("://").map_or(endpoint.as_str(), |(_, address)| address))
        }
        _ => None,
    }
}

/// Lets the tree forget an instance that was pulled: silently, if it was never heard.
pub fn forget(hub: &Hub, uuid: Uuid, why: &str) {
    let heard = hub.read(|tree| {
        let instance = tree.get(uuid).filter(|instance| pulled_at(instance).is_some())?;
        Some(instance.last_update.is_some())
    });
    if let Some(heard) = heard {
        let why = if heard { why.to_owned() } else { String::new() };
        hub.handle(Event::Forgotten { uuid, why });
    }
}
