//! Clients that ask to be admitted and are not known: kept in memory, few, and each for a while only.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Decision, Refusal};
use crate::trust::Fingerprint;

/// How many may wait from one address. All addresses of an IPv6 network of 64 bits are one.
const MAX_FROM_ADDRESS: usize = 10;
/// How long a client stays in the list after it has disconnected.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// A client that waits.
pub struct Client {
    pub host: String,
    pub group: String,
    /// Name and version of its program.
    pub version: String,
    /// The certificate request, PEM.
    pub csr: String,
    pub key: Fingerprint,
    pub address: IpAddr,
    pub since: Timestamp,
    /// What an operator should know, such as a join token that has expired.
    pub note: Option<String>,
}

struct Entry {
    client: Client,
    decision: oneshot::Sender<Decision>,
    /// When it was first seen to have disconnected.
    left: Option<Instant>,
}

/// The list.
pub struct Waiting {
    entries: BTreeMap<Uuid, Entry>,
    limit: usize,
}

impl Waiting {
    /// An empty list for at most `limit` clients.
    pub fn new(limit: usize) -> Waiting {
        Waiting { entries: BTreeMap::new(), limit }
    }

    /// Changes the limit; who waits already stays.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The client of this uuid.
    pub fn get(&self, uuid: Uuid) -> Option<&Client> {
        self.entries.get(&uuid).map(|entry| &entry.client)
    }

    /// Everybody, who has waited longest first, and whether it is connected.
    pub fn list(&self) -> Vec<(Uuid, &Client, bool)> {
        let mut list: Vec<_> = self
            .entries
            .iter()
            .map(|(uuid, entry)| (*uuid, &entry.client, entry.left.is_none()))
            .collect();
        list.sort_by_key(|(uuid, client, _)| (client.since, *uuid));
        list
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Lets a client wait, and whether it is new. Who waits already, with the same key, takes its place
    /// again; the connection that held it before is told nothing any more.
    pub fn join(
        &mut self,
        uuid: Uuid,
        mut client: Client,
        now: Instant,
    ) -> Result<(oneshot::Receiver<Decision>, bool), Refusal> {
        self.sweep(now);
        let (decision, receiver) = oneshot::channel();
        if let Some(held) = self.entries.get_mut(&uuid) {
            client.since = held.client.since;
            *held = Entry { client, decision, left: None };
            return Ok((receiver, false));
        }
        if self.entries.len() >= self.limit {
            return Err(Refusal::retry(format!(
                "{} clients are waiting to be admitted, as many as may (MaxWaitingClients in \
                 [PushServer]): an operator has to decide about some of them",
                self.entries.len()
            )));
        }
        let from = network(client.address);
        let same = self.entries.values().filter(|held| network(held.client.address) == from);
        if same.count() >= MAX_FROM_ADDRESS {
            return Err(Refusal::retry(format!(
                "{MAX_FROM_ADDRESS} clients are waiting from this address already, as many as may: \
                 an operator has to decide about some of them, or use a join token"
            )));
        }
        self.entries.insert(uuid, Entry { client, decision, left: None });
        Ok((receiver, true))
    }

    /// Takes a client out of the list; the sender tells its connection.
    pub fn take(&mut self, uuid: Uuid) -> Option<(Client, oneshot::Sender<Decision>)> {
        self.entries.remove(&uuid).map(|entry| (entry.client, entry.decision))
    }

    /// Looks who has disconnected, and forgets who has been away for too long. Returns whether the list is
    /// another now.
    pub fn sweep(&mut self, now: Instant) -> bool {
        let mut is_other = false;
        self.entries.retain(|_, entry| {
            if !entry.decision.is_closed() {
                return true;
            }
            is_other |= entry.left.is_none();
            let left = *entry.left.get_or_insert(now);
            let is_kept = now.saturating_duration_since(left) < REMEMBERED;
            is_other |= !is_kept;
            is_kept
        });
        is_other
    }
}

/// What counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client {
            host: "h".into(),
            group: String::new(),
            version: String::new(),
            csr: String::new(),
            key: Fingerprint::of_key(b"key"),
            address: address.parse().unwrap(),
            since: Timestamp::from_second(1).unwrap(),
            note: None,
        }
    }

    fn uuid(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    #[test]
    fn the_list_and_each_address_are_bounded() {
        let now = Instant::now();
        let mut waiting = Waiting::new(15);
        let mut held = Vec::new();
        let mut join = |waiting: &mut Waiting, n, address: &str| {
            waiting.join(uuid(n), client(address), now).map(|(receiver, new)| {
                held.push(receiver);
                new
            })
        };
        for n in 0..10 {
            // Ten addresses, one network.
            assert_eq!(join(&mut waiting, n, &format!("2001:db8::{n:x}")), Ok(true));
        }
        let why = join(&mut waiting, 10, "2001:db8::ffff").unwrap_err();
        assert!(why.retry && why.why.contains("address"), "{why}");
        // Who waits already may come again.
        assert_eq!(join(&mut waiting, 3, "2001:db8::3"), Ok(false));
        for n in 20..25 {
            assert_eq!(join(&mut waiting, n, &format!("10.0.0.{n}")), Ok(true));
        }
        let why = join(&mut waiting, 30, "10.9.9.9").unwrap_err();
        assert!(why.retry && why.why.contains("MaxWaitingClients"), "{why}");
        assert_eq!(join(&mut waiting, 3, "10.9.9.9"), Ok(false));
    }

    #[test]
    fn an_ipv4_address_is_one_however_it_is_written() {
        assert_eq!(
            network("::ffff:10.0.0.1".parse().unwrap()),
            network("10.0.0.1".parse().unwrap())
        );
        assert_ne!(network("10.0.0.2".parse().unwrap()), network("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn who_disconnects_is_remembered_for_a_while() {
        let start = Instant::now();
        let mut waiting = Waiting::new(5);
        let (receiver, _) = waiting.join(uuid(1), client("10.0.0.1"), start).unwrap();
        waiting.sweep(start + REMEMBERED * 5);
        assert!(waiting.list()[0].2, "it is connected");
        drop(receiver);
        let left = start + REMEMBERED * 6;
        waiting.sweep(left);
        assert!(!waiting.list()[0].2);
        waiting.sweep(left + REMEMBERED - Duration::from_secs(1));
        assert!(waiting.get(uuid(1)).is_some());
        // It comes back just in time.
        let (receiver, new) = waiting.join(uuid(1), client("10.0.0.1"), left).unwrap();
        assert!(!new);
        drop(receiver);
        waiting.sweep(left);
        waiting.sweep(left + REMEMBERED);
        assert!(waiting.get(uuid(1)).is_none());
    }

    #[test]
    fn the_connection_that_came_last_is_told() {
        let now = Instant::now();
        let mut waiting = Waiting::new(5);
        let (mut first, _) = waiting.join(uuid(1), client("10.0.0.1"), now).unwrap();
        let (mut second, _) = waiting.join(uuid(1), client("10.0.0.1"), now).unwrap();
        let (_, decision) = waiting.take(uuid(1)).unwrap();
        decision.send(Decision::Refused(Refusal::last("no"))).unwrap();
        assert!(first.try_recv().is_err());
        assert!(matches!(second.try_recv(), Ok(Decision::Refused(_))));
    }
}
