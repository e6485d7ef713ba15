//! Which clients are connected: one connection for each uuid.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;
use uuid::Uuid;

use crate::{connections::Connections, push::protocol::channel::AgentLink};

/// Connections at once whose clients wait to be admitted: some more than the waiting list has places for.
const MAX_WAITING: usize = 1_100;
/// Of these, from one address, behind which there may be many.
const MAX_WAITING_PER_ADDRESS: usize = MAX_WAITING / 2;
/// Clients at once that are about to be welcome; more are told to come back later.
const MAX_LOGINS: usize = 512;

/// The connections of clients.
pub struct Live {
    connections: Mutex<HashMap<Uuid, Connection>>,
    next: AtomicU64,
    /// Those that wait for a person to admit them.
    pub(super) waiting: Connections,
    /// Those that have proved who they are and are about to be welcome.
    pub(super) logins: Connections,
}

impl Default for Live {
    fn default() -> Live {
        Live {
            connections: Mutex::default(),
            next: AtomicU64::default(),
            waiting: Connections::new(MAX_WAITING, MAX_WAITING_PER_ADDRESS),
            logins: Connections::new(MAX_LOGINS, MAX_LOGINS),
        }
    }
}

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The client is not allowed any more.
    Revoked,
    /// The same client has connected anew, and this connection did not answer.
    Replaced,
}

/// A connection that is open.
#[derive(Clone)]
pub struct Connection {
    /// No two have the same.
    pub number: u64,
    pub address: SocketAddr,
    /// The way to call the client.
    pub agent: AgentLink,
    close: watch::Sender<Option<Close>>,
}

impl Live {
    fn connections(&self) -> MutexGuard<'_, HashMap<Uuid, Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many clients are connected.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.connections().len()
    }

    /// The connection of a client.
    pub fn get(&self, uuid: Uuid) -> Option<Connection> {
        self.connections().get(&uuid).cloned()
    }

    /// Takes a connection in. `replaces` is the number of the one that it takes the place of, if that is
    /// still there; if another one is there, that one stays and there is nothing.
    pub(super) fn enter(
        &self,
        uuid: Uuid,
        address: SocketAddr,
        agent: AgentLink,
        replaces: Option<u64>,
    ) -> Option<(u64, watch::Receiver<Option<Close>>)> {
        let mut connections = self.connections();
        if connections.get(&uuid).is_some_and(|held| Some(held.number) != replaces) {
            return None;
        }
        let (close, closed) = watch::channel(None);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let entered = Connection { number, address, agent, close };
        if let Some(replaced) = connections.insert(uuid, entered) {
            replaced.close.send_replace(Some(Close::Replaced));
        }
        Some((number, closed))
    }

    /// Takes a connection out. Returns whether it was that client's present one.
    pub(super) fn leave(&self, uuid: Uuid, number: u64) -> bool {
        let mut connections = self.connections();
        let present = connections.get(&uuid).is_some_and(|held| held.number == number);
        if present {
            connections.remove(&uuid);
        }
        present
    }

    /// Ends the connection of a client that is not allowed any more.
    pub(super) fn close(&self, uuid: Uuid) {
        if let Some(held) = self.connections().get(&uuid) {
            held.close.send_replace(Some(Close::Revoked));
        }
    }

    pub(super) fn close_all_but(&self, allowed: impl Fn(Uuid) -> bool) {
        for (uuid, held) in self.connections().iter() {
            if !allowed(*uuid) {
                held.close.send_replace(Some(Close::Revoked));
            }
        }
    }
}
