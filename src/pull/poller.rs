//! Asks one remote, over and over, and tells the tree what it says.

mod catch_up;

use std::time::Duration;

use hyper::header::HeaderValue;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use self::catch_up::QUIET_POLLS;
use super::{
    client::{Answer, AskError, Client},
    document::{self, Document, Question, Unreadable, placeholder},
    identity::{Identity, PROOF, Verdict},
    shared::Shared,
    ways::Place,
};
use crate::{
    config::Remote,
    hub::Hub,
    tree::{Contact, Event, Instance},
};

/// Questions that are asked before a remote counts as not answering.
const ATTEMPTS: u32 = 3;
/// Between two of them.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

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
    /// The instance in the tree that stands for this remote.
    link: Uuid,
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
    /// Polls in a row without news in its journal.
    quiet: u32,
    /// What was logged last about how it goes.
    logged: Option<String>,
}

/// What came of a poll.
enum Polled {
    /// The tree knows how it is, by this link.
    Told(Uuid),
    /// The instance that it says to be is heard by another way, and why that one counts.
    Elsewhere(String),
    /// Nothing could be told, and why.
    Failed(String),
}

impl Poller {
    pub fn new(shared: Shared, remote: Remote, limit: Duration) -> Poller {
        let address = remote.address();
        let stand_in = placeholder(&address);
        let known = reached_at(&shared.hub, &address).filter(|known| *known != stand_in);
        if let Some(known) = known {
            shared.ways.found(&address, known);
        }
        Poller {
            client: Client::new(remote.clone(), shared.net.clone()),
            identity: Identity::new(known),
            link: known.unwrap_or(stand_in),
            shared,
            remote,
            address,
            limit,
            is_linked: false,
            tag: None,
            remarks: Vec::new(),
            has_journal: false,
            journal_is_useless: false,
            quiet: QUIET_POLLS,
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
        let (uuid, name, contact) = (self.link, self.address.clone(), self.contact());
        self.shared.hub.handle(Event::Expected { uuid, name, contact });
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
            Polled::Elsewhere(why) => self.say(Some(why)),
            Polled::Failed(problem) => {
                // What happened meanwhile may have made the tree change its mind about all it had, and
                // the remote may come back with another journal.
                (self.is_linked, self.tag, self.quiet) = (false, None, QUIET_POLLS);
                self.say(Some(problem));
            }
        }
    }

    /// The document with its tag, if it is another one than the tree has.
    async fn ask(&mut self) -> Result<Option<(Document, Option<HeaderValue>)>, AskError> {
        if !self.is_in_tree(self.link) {
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
        let called = self.name(uuid, &source.name);
        let says = |why| format!("it says that it is `{called}`, {why}");
        let was_another = ![uuid, placeholder(&self.address)].contains(&self.link);
        // It is the other one that is not heard, and no number of answers makes it this one.
        if was_another && let Some(why) = self.belongs_elsewhere(uuid) {
            return Polled::Failed(says(why));
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
            Err(why) => {
                let why = says(why);
                return self.stand_back(uuid, why);
            }
        };
        if !self.is_linked || self.link != uuid {
            let (name, contact, limit) = (source.name.clone(), self.contact(), self.limit);
            hub.handle(Event::Linked { link: uuid, name, contact, limit, grace: limit });
        }
        self.has_journal = source.has_journal && !self.journal_is_useless;
        hub.handle(Event::Reported { link: uuid, report, narrate: !self.has_journal });
        self.replace(uuid);
        (self.link, self.is_linked, self.tag) = (uuid, true, tag);
        self.remarks = remarks;
        self.remarks.extend(doubled(&others));
        Polled::Told(uuid)
    }

    /// Tells the tree that the last document still holds.
    fn still_holds(&mut self) -> Polled {
        let link = self.link;
        match self.place(link) {
            Err(why) => {
                let why = format!("it is `{}`, {why}", self.name(link, ""));
                self.stand_back(link, why)
            }
            Ok(_) => {
                self.shared.hub.handle(Event::Heard { link });
                Polled::Told(link)
            }
        }
    }

    /// The other addresses that lead to `uuid`, if this one tells the tree about it; else why not.
    fn place(&self, uuid: Uuid) -> Result<Vec<String>, String> {
        let place = self.shared.ways.found(&self.address, uuid);
        match (self.belongs_elsewhere(uuid), place) {
            (Some(why), _) => Err(why),
            (None, Place::First { others }) => Ok(others),
            (None, Place::Behind(other)) => Err(leads_too(&other)),
        }
    }

    /// Why `uuid` is not this remote's to claim, if it is not. Anybody can answer with any uuid, so who
    /// has proven to be an instance, or was it before, counts also while it is not heard.
    fn belongs_elsewhere(&self, uuid: Uuid) -> Option<String> {
        let known = self.shared.hub.read(|tree| tree.known(uuid));
        match known.and_then(|known| known.contact) {
            Some(Contact::Push { .. }) => Some(
                "which reports by push: remove it from [RemoteWigos], or, if this is another host, give \
                 it a uuid of its own"
                    .into(),
            ),
            _ => self.shared.ways.other(&self.address, uuid).as_deref().map(leads_too),
        }
    }

    /// What the tree calls an instance; `said` if it knows no name of it.
    fn name(&self, uuid: Uuid, said: &str) -> String {
        let known = self.shared.hub.read(|tree| tree.known(uuid)).map(|known| known.name);
        known.filter(|name| !name.is_empty()).unwrap_or_else(|| said.to_owned())
    }

    fn is_in_tree(&self, uuid: Uuid) -> bool {
        self.shared.hub.read(|tree| tree.get(uuid).is_some())
    }

    /// Leaves it to another way to tell the tree about `uuid`. That there is an answer and what is wrong
    /// with it is shown in a place of its own.
    fn stand_back(&mut self, uuid: Uuid, why: String) -> Polled {
        let own_place = placeholder(&self.address);
        if self.link != own_place {
            self.replace(uuid);
            self.link = own_place;
        }
        if !self.is_in_tree(own_place) {
            self.expect();
        }
        self.shared.hub.handle(Event::Heard { link: own_place });
        (self.is_linked, self.tag) = (false, None);
        Polled::Elsewhere(why)
    }

    /// Lets the tree forget what stood for this remote, if that was not `uuid`.
    fn replace(&self, uuid: Uuid) {
        let old = self.link;
        if old == uuid || self.shared.ways.lead_to(old) {
            return;
        }
        let why = format!("`{}` leads to another instance now ({uuid})", self.address);
        forget(&self.shared.hub, old, &why);
    }

    fn contact(&self) -> Contact {
        Contact::Pull { endpoint: self.remote.url(), encrypted: self.remote.ssl_enabled }
    }

    /// Shows what is wrong, or that nothing is any more, where the remote is shown.
    fn say(&mut self, problem: Option<String>) {
        self.shared.hub.handle(Event::Trouble { link: self.link, problem: problem.clone() });
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

/// Why an instance is not asked at this address, since `other` leads to it.
fn leads_too(other: &str) -> String {
    format!(
        "which `{other}` leads to: remove one of the two from [RemoteWigos], or, if this is another host, \
         give it a uuid of its own"
    )
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
