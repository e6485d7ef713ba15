//! What one instance says about itself and about those below it: the language between the sources that
//! hear of other instances (pull, push) and the tree.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Disabled, Presence, Probe, ProbeName, RemoteControl};

/// News from an instance that reports directly to us: all that it knows, or what has changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The first part of a full account.
    pub begins: bool,
    /// The last part of a full account: instances that no part of it mentioned are gone.
    pub ends: bool,
    /// A parent stands before those below it, the reporting instance itself before all.
    pub accounts: Vec<Account>,
    /// Instances that are not below it any more.
    pub gone: Vec<Uuid>,
}

/// What is said about one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub uuid: Uuid,
    /// Its particulars; `None`: as before.
    pub header: Option<Header>,
    /// Probes that say something new.
    pub probes: Vec<Probe>,
    /// Whether `probes` and `ran` are all that there are: others are gone.
    pub complete: bool,
    /// Probes that ran again and said the same, and when.
    pub ran: Vec<(ProbeName, Timestamp)>,
    /// Probes that are gone.
    pub gone: Vec<ProbeName>,
}

/// The particulars of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The instance it reports to; `None` for the one whose report this is.
    pub parent: Option<Uuid>,
    /// Name and version, such as `Wigo v1.0.0`.
    pub version: String,
    pub name: String,
    pub group: String,
    pub labels: BTreeMap<String, String>,
    pub presence: Presence,
    /// When the presence began; `None` if it was never otherwise.
    pub since: Option<Timestamp>,
    /// When the reporting instance last heard of it; `None` for that instance itself.
    pub last_update: Option<Timestamp>,
    /// What is wrong with the way to it, for people.
    pub problem: Option<String>,
    /// Probes that somebody has switched off there.
    pub disabled: BTreeMap<ProbeName, Disabled>,
    /// What it lets the one above it do.
    pub remote_control: RemoteControl,
}

/// How an instance directly below is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// It connects to us, from this address. `encrypted` is false without TLS.
    Push { address: String, encrypted: bool },
    /// We ask it at `endpoint` (`https://host:port`).
    Pull { endpoint: String, encrypted: bool },
}

/// How a connection to an instance directly below ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parting {
    /// It broke.
    Lost,
    /// The instance stops and means to come back.
    Stopping,
    /// The instance leaves on purpose, for good.
    Goodbye,
}

/// What the database remembers of an instance below this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub uuid: Uuid,
    /// The instance above it, which may be this one.
    pub parent: Uuid,
    /// The instance directly below us through which we know of it; itself if it is directly below.
    pub via: Uuid,
    /// How it is reached, if it is directly below us.
    pub contact: Option<Contact>,
    pub version: String,
    pub name: String,
    pub group: String,
    pub labels: BTreeMap<String, String>,
    /// It was told to be down.
    pub down: bool,
    /// When it was last heard of.
    pub last_update: Option<Timestamp>,
}

/// How long an instance may be silent, unless it says otherwise: the default of `AliveTimeout`.
pub const DEFAULT_ALIVE_TIMEOUT: Duration = Duration::from_secs(60);
