//! How often a client gives a sign of life, when it counts as silent, and how it comes back.

use std::time::Duration;

use super::Host;
use crate::push::protocol::hello::{Answer, Login};

/// The shortest time between two signs of life that is asked for.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(200);
/// A client is silent when it has missed its sign of life by this much, or by a fifth of its interval.
const SILENCE_MARGIN: Duration = Duration::from_secs(4);
/// How many clients may come back in a millisecond after all were cut off: what two cores can take.
const RETURNS_PER_MS: usize = 1;
/// What it takes to connect again, beyond the pause.
const RETURN_MARGIN: Duration = Duration::from_millis(300);
/// Clients come back within this, however few they are, in milliseconds.
const SHORTEST_RETURN_MS: u32 = 200;
/// …and however many, in milliseconds.
const LONGEST_RETURN_MS: u32 = 30_000;

/// The times that a client and we keep to on one connection.
pub(super) struct Rhythm {
    /// The longest between two signs of life.
    heartbeat: Duration,
    /// After this much silence it is down.
    pub silence: Duration,
    /// After a lost connection it comes back at a random time within this many milliseconds…
    return_ms: u32,
    /// …and is not called down before.
    pub grace: Duration,
}

impl Rhythm {
    /// What suits a client that promises to be heard so often, and us.
    pub fn of(login: &Login, host: &Host) -> Rhythm {
        let alive = (host.alive_timeout)();
        let promised = Duration::from_millis(login.heartbeat_ms.into());
        let heartbeat = promised.min(alive / 3).max(SHORTEST_HEARTBEAT);
        let silence = (heartbeat + SILENCE_MARGIN.min(heartbeat).max(heartbeat / 5)).min(alive);
        // All that are known: after a restart few are back, and more are on their way.
        let clients = host.hub.read(|tree| tree.count()) / RETURNS_PER_MS;
        let return_ms = u32::try_from(clients).unwrap_or(LONGEST_RETURN_MS);
        let return_ms = return_ms.clamp(SHORTEST_RETURN_MS, LONGEST_RETURN_MS);
        let grace = (Duration::from_millis(return_ms.into()) + RETURN_MARGIN).min(silence);
        Rhythm { heartbeat, silence, return_ms, grace }
    }

    /// Tells the client. `position`: how far we know its journal.
    pub fn welcome(&self, position: Option<u64>) -> Answer {
        Answer::Welcome {
            position,
            heartbeat_ms: millis(self.heartbeat),
            silence_ms: millis(self.silence),
            return_ms: self.return_ms,
        }
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
