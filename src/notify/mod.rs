//! People are told: once, soon, and in a way that can be explained.
//!
//! Entries of the journal become [`policy::Fact`]s. The [`policy`] is pure: facts, its own state, the
//! rules and the time go in; incidents, messages, and the reasons for each decision come out. The `desk`
//! reads the journal from where it was, asks the policy and writes all that comes out in one transaction
//! with the new place, so that a crash neither loses nor repeats. Workers (`delivery`), one for each
//! channel, take messages from the outbox and hand them to a [`channel`].

pub mod channel;
pub mod decision;
pub mod delivery;
pub mod desk;
mod fact;
pub mod incident;
pub mod message;
pub mod notifier;
pub mod policy;
pub mod replay;
pub mod rules;
pub mod schedule;
pub mod setup;
pub mod subject;
pub mod suppression;
pub mod template;
pub mod title;
pub mod witness;
mod world;

pub use decision::{Decision, Outcome, Reason, Step};
pub use desk::Desk;
pub use incident::{Event, Incident, Member, Moment, Told};
pub use message::{Kind, Line, Message, Priority};
pub use notifier::{Change, ChannelHealth, Health, IncidentNews, Notifier, NotifyError};
pub use policy::{Effects, Policy};
pub use rules::Rules;
pub use subject::Subject;
pub use suppression::{Ack, Schedule, Scope, Silence, Suppression, Window};
pub use witness::Witnesses;
