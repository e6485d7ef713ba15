//! Calls in both directions on one connection: an agent reports to its [`Master`], and the master reaches
//! the [`Agent`] on the same connection, also behind NAT.
//!
//! tarpc numbers methods by their position: they are only ever appended.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tarpc::context::{self, Context};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    driver::{self, Remote},
    transport::{Traffic, Transport},
    wire::{Farewell, News, Order, Outcome, Parting, Receipt},
};

/// The longest that a call may take.
pub const MAX_DEADLINE: Duration = Duration::from_secs(60);
/// Calls of one side that may be on their way; more wait where they are made.
pub const MAX_CALLS: usize = 4;
/// Calls of the peer that are worked on; above, they are refused.
pub const MAX_SERVED: usize = 16;

/// What an agent asks of the instance above it.
#[tarpc::service(derive = [Serialize, Deserialize])]
pub trait Master {
    /// Here is what is new.
    async fn report(news: News) -> Receipt;
    /// A new certificate for the same key owner, please: request and answer in PEM; or why not.
    async fn renew(csr: String) -> Result<String, String>;
    /// This is the end of the connection.
    async fn leave(parting: Parting);
}

/// What a master asks of the instance below it.
#[tarpc::service(derive = [Serialize, Deserialize])]
pub trait Agent {
    /// Are you there?
    async fn ping();
    /// This is the end of the connection.
    async fn close(farewell: Farewell);
    /// Do this, or hand it on to the instance below that it is for.
    async fn order(order: Order) -> Outcome;
}

/// Why a connection ended that nobody meant to end.
#[derive(Debug, Error)]
pub enum Ended {
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("the connection was ended because of what the other side sent: {why}")]
    Violation { why: String },
    #[error("the connection was ended because a call could not be worked on: {why}")]
    Panicked { why: String },
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        match error.kind() {
            io::ErrorKind::InvalidData => Ended::Violation { why: error.to_string() },
            _ => Ended::Broken(error),
        }
    }
}

/// A call of now that may take this long, [`MAX_DEADLINE`] at most.
pub fn deadline(limit: Duration) -> Context {
    let mut context = context::current();
    context.deadline = Instant::now() + limit.min(MAX_DEADLINE);
    context
}

/// The agent's side of a connection: calls to the master, `agent` for calls from it, and the future that
/// drives both. The connection closes when it ends, is dropped, or nobody can call any more.
pub fn connect<S, A>(
    stream: S,
    agent: A,
    traffic: Arc<Traffic>,
) -> (MasterClient, impl Future<Output = Result<(), Ended>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Agent + Clone,
{
    let remote = Remote::<MasterRequest, MasterResponse>::new();
    let master = MasterClient::from(remote.channel::<AgentResponse>());
    let start = move |request: driver::Incoming<AgentRequest, AgentResponse>| {
        request.execute(agent.clone().serve())
    };
    (master, driver::drive(Transport::new(stream, traffic), start, remote.link()))
}

/// The master's side of a connection: `agent` calls the agent through it, `master` is for calls from it;
/// the future drives both. The connection closes when it ends, is dropped, or all [`AgentLink`]s are.
pub fn accept<S, M>(
    stream: S,
    agent: &AgentLink,
    master: M,
    traffic: Arc<Traffic>,
) -> impl Future<Output = Result<(), Ended>> + use<S, M>
where
    S: AsyncRead + AsyncWrite + Unpin,
    M: Master + Clone,
{
    let link = agent.0.link();
    let start = move |request: driver::Incoming<MasterRequest, MasterResponse>| {
        request.execute(master.clone().serve())
    };
    driver::drive(Transport::new(stream, traffic), start, link)
}

/// The way to call an agent. Takes memory from the first call on, which most connections never see.
#[derive(Clone)]
pub struct AgentLink(Arc<Remote<AgentRequest, AgentResponse>>);

impl AgentLink {
    /// For a connection that begins; calls wait until it does.
    #[expect(clippy::new_without_default, reason = "each is one connection")]
    pub fn new() -> AgentLink {
        AgentLink(Arc::new(Remote::new()))
    }

    /// For calls to the agent.
    pub fn client(&self) -> AgentClient {
        AgentClient::from(self.0.channel::<MasterResponse>())
    }
}

#[cfg(test)]
mod tests;
