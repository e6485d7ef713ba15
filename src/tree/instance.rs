//! One running wigo and its host.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Contact, Disabled, Header, Host, Known, Presence, Probe, ProbeName, ProbeResult, RemoteControl,
};
use crate::status::Status;

/// One running wigo: what it is and what its probes say. Those below it are found by the
/// [`Tree`](super::Tree), where each instance stands once.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub uuid: Uuid,
    /// Name and version, such as `Wigo v1.0.0`.
    pub version: String,
    /// What the one who hears it says; see [`Tree::presence`](super::Tree::presence).
    pub presence: Presence,
    /// When the presence began; `None` if it was never otherwise.
    pub presence_since: Option<Timestamp>,
    pub host: Host,
    /// When its last report came; `None` for this instance itself, and if none ever came.
    pub last_update: Option<Timestamp>,
    /// The instance above it; `None` for this instance itself.
    pub parent: Option<Uuid>,
    /// The instance directly below us through which we know of it: itself if it is directly below.
    pub via: Uuid,
    /// The other instances directly below us that report it too, in the order of uuids.
    pub alternatives: Vec<Uuid>,
    /// How it is reached, if it is directly below us.
    pub contact: Option<Box<Contact>>,
    /// What is wrong with the way to it, for people.
    pub problem: Option<String>,
    /// What it lets others do; see [`View::remote_control`](super::View::remote_control).
    pub remote_control: RemoteControl,
    /// Differs whenever something about the instance does, in the whole tree.
    pub revision: u64,
    /// Cached: see [`Instance::local_status`] and [`Instance::global_status`].
    pub(super) local: Status,
    pub(super) global: Status,
    /// How many instances directly below it have which global status.
    pub(super) below: BTreeMap<Status, u32>,
}

impl Instance {
    /// An instance that reports, of which nothing is known yet.
    pub fn new(uuid: Uuid, version: impl Into<String>, host: Host) -> Instance {
        let local = host.status();
        Instance {
            uuid,
            version: version.into(),
            presence: Presence::Alive,
            presence_since: None,
            host,
            last_update: None,
            parent: None,
            via: uuid,
            alternatives: Vec::new(),
            contact: None,
            problem: None,
            remote_control: RemoteControl::Unknown,
            revision: 0,
            local,
            global: local,
            below: BTreeMap::new(),
        }
    }

    /// An instance remembered from before a restart.
    pub(super) fn remembered(known: &Known) -> Instance {
        let mut host = Host::new(&known.name, &known.group);
        host.labels.clone_from(&known.labels);
        let mut instance = Instance::new(known.uuid, &known.version, host);
        instance.presence = Presence::Unknown;
        instance.parent = Some(known.parent);
        instance.via = known.via;
        instance.last_update = known.last_update;
        instance.contact = known.contact.clone().map(Box::new);
        instance
    }

    /// Takes over particulars.
    pub(super) fn set_header(&mut self, header: Header) {
        let Header {
            parent: _,
            version,
            name,
            group,
            labels,
            presence,
            since,
            last_update,
            problem,
            disabled,
            remote_control,
        } = header;
        (self.version, self.host.name, self.host.group) = (version, name, group);
        (self.host.labels, self.presence, self.presence_since) = (labels, presence, since);
        (self.last_update, self.problem) = (last_update, problem);
        (self.host.disabled, self.remote_control) = (disabled, remote_control);
    }

    /// About how much memory its probes and what is said of disabled ones take, in bytes.
    pub(super) fn weight(&self) -> usize {
        let weight = |probe: &Probe| {
            let result = &probe.result;
            let texts = [result.value.as_str(), result.metrics.as_str(), result.detail.as_str()];
            let texts = texts.iter().map(|text| text.len()).sum::<usize>();
            size_of::<ProbeResult>() + texts + result.message.len()
        };
        let disabled = |(name, record): (&ProbeName, &Disabled)| {
            size_of::<Disabled>() + name.as_str().len() + record.reason.len() + record.author.len()
        };
        let probes: usize = self.host.probes.values().map(weight).sum();
        probes + self.host.disabled.iter().map(disabled).sum::<usize>()
    }

    /// Whether these are its particulars already; when it was heard does not count.
    pub(super) fn is_headed(&self, header: &Header) -> bool {
        let host = &self.host;
        (&self.version, &host.name, &host.group) == (&header.version, &header.name, &header.group)
            && host.labels == header.labels
            && (self.presence, self.presence_since) == (header.presence, header.since)
            && self.problem == header.problem
            && (&host.disabled, self.remote_control) == (&header.disabled, header.remote_control)
    }

    /// Whether it reports, as far as the one who hears it knows.
    pub fn is_alive(&self) -> bool {
        self.presence == Presence::Alive
    }

    /// The status of its own host: the worst of its probes, or DOWN.
    pub fn local_status(&self) -> Status {
        self.local
    }

    /// The worst of its own host and of every instance below it.
    pub fn global_status(&self) -> Status {
        self.global
    }

    /// Computes both again after a change.
    pub(super) fn refresh(&mut self) {
        self.local = match self.presence {
            Presence::Down => Status::DOWN,
            _ => self.host.status(),
        };
        let below = self.below.last_key_value().map(|(status, _)| *status);
        self.global = below.map_or(self.local, |below| below.max(self.local));
    }
}
