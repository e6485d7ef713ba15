//! What orders go by, and where they are written down: the seams to the rooms that know how.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Author, Order, Orders, Outcome, RefusalKind};
use crate::tree::Contact;

/// With a request between instances: the order's id, the instances passed, the milliseconds left, with
/// `;` between them. Then nothing waits: whoever asks tries again.
pub const ORDER_HEADER: &str = "x-wigo-order";
/// With such a request: who gave the order, percent-encoded.
pub const AUTHOR_HEADER: &str = "x-wigo-author";
/// With its answer: what came of it, where the status code does not say it.
pub const OUTCOME_HEADER: &str = "x-wigo-outcome";
/// The value of [`OUTCOME_HEADER`] when the way is not there.
pub const AWAY: &str = "away";

/// The way to the instances directly below.
pub trait Way: Send + Sync + 'static {
    /// Hands an order to the instance at `link`, for itself or for one below it.
    fn send(&self, link: Link, order: Order) -> BoxFuture<'static, Outcome>;
}

/// Who carries out what a master orders.
pub trait Taker: Send + Sync + 'static {
    /// Carries it out, or hands it on.
    fn take(&self, order: Order) -> BoxFuture<'static, Outcome>;
}

impl Taker for Arc<Orders> {
    fn take(&self, order: Order) -> BoxFuture<'static, Outcome> {
        Box::pin(Orders::take(self.clone(), order))
    }
}

/// Carries nothing out.
pub struct NoOrders;

impl Taker for NoOrders {
    fn take(&self, _: Order) -> BoxFuture<'static, Outcome> {
        let why = RefusalKind::Unsupported.because("orders are not taken here");
        Box::pin(async { Outcome::Refused(why) })
    }
}

/// An instance directly below.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub uuid: Uuid,
    /// The name of its host, for messages.
    pub name: String,
    pub contact: Contact,
}

/// The ways that there are.
pub struct Ways {
    /// To push clients; `None` where none are taken.
    pub push: Option<Arc<dyn Way>>,
    /// To those that are asked over HTTP.
    pub pull: Arc<dyn Way>,
}

/// What came of an order that was not asked for over HTTP just now, for the audit log of this instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub at: Timestamp,
    pub author: Author,
    /// What, such as `probe.disable`.
    pub action: &'static str,
    /// On what: `host/probe`.
    pub target: String,
    pub detail: Value,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// `done`, or `refused: ` and why.
    pub outcome: String,
}

/// Where records go.
pub trait Recorder: Send + Sync + 'static {
    /// Keeps it. May block.
    fn record(&self, record: Record);
}
