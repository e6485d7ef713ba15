//! How often somebody may try a password: a few wrong ones a minute for each account and each address,
//! then a pause that doubles.
//!
//! Who logs in from where they logged in before is not kept out by what others try with their name.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use ring::digest::{SHA256, digest};

/// Wrong passwords within [`WINDOW`] that are let pass.
const MAX_FAILURES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// The first pause; each further one is twice as long…
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// …up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// Wrong logins that are listed one by one, whoever they are from…
pub const LISTED_AT_ONCE: u32 = 60;
/// …and after how long one more is: nobody can fill the list with them.
pub const LISTED_EACH: Duration = Duration::from_secs(6 * 60);
/// What lies back for longer is forgotten.
const MEMORY: Duration = Duration::from_secs(60 * 60);
/// Accounts and addresses that are remembered, each; beyond it those of the longest ago are forgotten.
const MAX_REMEMBERED: usize = 10_000;

/// An account by the digest of its name, which is of any length.
type Account = [u8; 32];

/// Who tried what.
#[derive(Debug, Default)]
pub struct Throttle {
    accounts: HashMap<Account, Tries>,
    addresses: HashMap<IpAddr, Tries>,
    /// Who logged in from where.
    good: HashMap<(Account, IpAddr), Instant>,
    /// How many more are listed, as of when.
    to_list: Option<(u32, Instant)>,
    /// Tries that were not looked at or not listed, since this was last asked.
    turned_away: u64,
}

#[derive(Clone, Copy, Debug)]
struct Tries {
    failures: u32,
    /// The first of these failures.
    since: Instant,
    last: Instant,
    /// None is looked at until then.
    until: Option<Instant>,
    pause: Duration,
}

impl Throttle {
    /// Whether a password may be tried; else how long to wait.
    pub fn admit(
        &mut self,
        name: &str,
        from: Option<IpAddr>,
        now: Instant,
    ) -> Result<(), Duration> {
        let (account, address) = (account(name), network(from));
        let mut wait = pause_of(self.addresses.get(&address), now);
        if !self.good.contains_key(&(account, address)) {
            wait = wait.max(pause_of(self.accounts.get(&account), now));
        }
        if wait.is_zero() {
            return Ok(());
        }
        self.turned_away += 1;
        Err(wait)
    }

    /// It was wrong. Returns whether to list it.
    pub fn failed(&mut self, name: &str, from: Option<IpAddr>, now: Instant) -> bool {
        count(&mut self.accounts, account(name), now);
        count(&mut self.addresses, network(from), now);
        self.is_listed(now)
    }

    /// Whether to list somebody who was turned away; else they are counted only.
    pub fn is_listed(&mut self, now: Instant) -> bool {
        let (left, since) = self.to_list.unwrap_or((LISTED_AT_ONCE, now));
        let more = now.saturating_duration_since(since).as_secs() / LISTED_EACH.as_secs();
        let left = left.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        let since = match left < LISTED_AT_ONCE {
            true => since + Duration::from_secs(more * LISTED_EACH.as_secs()),
            false => now,
        };
        let left = left.min(LISTED_AT_ONCE);
        self.to_list = Some((left.saturating_sub(1), since));
        self.turned_away += u64::from(left == 0);
        left > 0
    }

    /// It was right.
    pub fn succeeded(&mut self, name: &str, from: Option<IpAddr>, now: Instant) {
        let key = (account(name), network(from));
        make_room(&mut self.good, &key, now, |at| *at);
        self.good.insert(key, now);
    }

    /// How many were not looked at, or not listed, since this was last asked.
    pub fn take_turned_away(&mut self) -> u64 {
        std::mem::take(&mut self.turned_away)
    }
}

fn account(name: &str) -> Account {
    let mut account = [0; 32];
    account.copy_from_slice(digest(&SHA256, name.as_bytes()).as_ref());
    account
}

/// An IPv6 network counts as one address: whoever has one address of it has all.
pub fn network(from: Option<IpAddr>) -> IpAddr {
    match from.map(|address| address.to_canonical()) {
        None => Ipv4Addr::UNSPECIFIED.into(),
        Some(IpAddr::V4(address)) => address.into(),
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

fn pause_of(tries: Option<&Tries>, now: Instant) -> Duration {
    let until = tries.and_then(|tries| tries.until);
    until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
}

fn count<K: Copy + Eq + Hash>(map: &mut HashMap<K, Tries>, key: K, now: Instant) {
    make_room(map, &key, now, |tries| tries.last);
    let new = Tries { failures: 0, since: now, last: now, until: None, pause: Duration::ZERO };
    let tries = map.entry(key).or_insert(new);
    if now.saturating_duration_since(tries.since) > WINDOW {
        (tries.failures, tries.since) = (0, now);
    }
    if now.saturating_duration_since(tries.last) > MEMORY {
        tries.pause = Duration::ZERO;
    }
    tries.last = now;
    tries.failures += 1;
    if tries.failures >= MAX_FAILURES {
        tries.pause = (tries.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        tries.until = Some(now + tries.pause);
        tries.failures = 0;
    }
}

/// Forgets what is old, and if that is not enough the oldest, so that one more finds its place.
pub fn make_room<K: Copy + Eq + Hash, V>(
    map: &mut HashMap<K, V>,
    key: &K,
    now: Instant,
    last: impl Fn(&V) -> Instant,
) {
    if map.len() < MAX_REMEMBERED || map.contains_key(key) {
        return;
    }
    map.retain(|_, value| now.saturating_duration_since(last(value)) <= MEMORY);
    if map.len() >= MAX_REMEMBERED
        && let Some(oldest) = map.iter().min_by_key(|(_, value)| last(value)).map(|(key, _)| *key)
    {
        map.remove(&oldest);
    }
}

#[cfg(test)]
mod tests;
