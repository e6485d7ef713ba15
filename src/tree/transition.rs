//! A change worth remembering.

use jiff::Timestamp;

use super::ProbeName;
use crate::status::Status;

/// What kind of change a transition is. The words are stored and sent: they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The first result of a probe.
    ProbeSeen,
    /// The status of a probe changed.
    ProbeChanged,
    /// A probe was removed, disabled, or does not report this service any more.
    ProbeGone,
    /// The agent began to watch.
    AgentStarted,
    /// The agent stopped watching; until it starts again nothing was observed.
    AgentStopped,
    /// The wall clock was set, so times before and after do not compare.
    ClockChanged,
    /// Entries had to be dropped because the database could not be written for too long.
    EntriesLost,
    /// An entry taken over from the log of an earlier Wigo.
    Imported,
    /// The first contact with an instance below.
    InstanceSeen,
    /// An instance that was down reports again.
    InstanceUp,
    /// An instance does not report any more.
    InstanceDown,
    /// An instance left on purpose, was removed from the configuration, forgotten or revoked.
    InstanceGone,
    /// An instance is heard by another way than before.
    InstanceMoved,
    /// A push client asks to be admitted.
    ClientWaiting,
    /// A push client was admitted, or got a new certificate.
    ClientAllowed,
    /// A push client was refused for good or not admitted any more.
    ClientRevoked,
    /// Somebody connected as a push client who must not.
    ClientRefused,
    /// Somebody ordered something to be done to a probe: what, or why it was refused.
    Ordered,
}

impl Kind {
    const ALL: [Kind; 18] = [
        Kind::ProbeSeen,
        Kind::ProbeChanged,
        Kind::ProbeGone,
        Kind::AgentStarted,
        Kind::AgentStopped,
        Kind::ClockChanged,
        Kind::EntriesLost,
        Kind::Imported,
        Kind::InstanceSeen,
        Kind::InstanceUp,
        Kind::InstanceDown,
        Kind::InstanceGone,
        Kind::InstanceMoved,
        Kind::ClientWaiting,
        Kind::ClientAllowed,
        Kind::ClientRevoked,
        Kind::ClientRefused,
        Kind::Ordered,
    ];

    /// The stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::ProbeSeen => "probe_seen",
            Kind::ProbeChanged => "probe_changed",
            Kind::ProbeGone => "probe_gone",
            Kind::AgentStarted => "agent_started",
            Kind::AgentStopped => "agent_stopped",
            Kind::ClockChanged => "clock_changed",
            Kind::EntriesLost => "entries_lost",
            Kind::Imported => "imported",
            Kind::InstanceSeen => "instance_seen",
            Kind::InstanceUp => "instance_up",
            Kind::InstanceDown => "instance_down",
            Kind::InstanceGone => "instance_gone",
            Kind::InstanceMoved => "instance_moved",
            Kind::ClientWaiting => "client_waiting",
            Kind::ClientAllowed => "client_allowed",
            Kind::ClientRevoked => "client_revoked",
            Kind::ClientRefused => "client_refused",
            Kind::Ordered => "ordered",
        }
    }

    /// The kind behind a stable word.
    pub fn parse(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A change worth remembering, before it has a number in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    pub kind: Kind,
    /// When it happened.
    pub at: Timestamp,
    pub group: String,
    pub host: String,
    /// The probe concerned, if it is about one.
    pub probe: Option<ProbeName>,
    /// The status before; `None` if there was none.
    pub was: Option<Status>,
    /// The status after; `None` if there is none any more.
    pub now: Option<Status>,
    /// One sentence for people.
    pub message: String,
}
