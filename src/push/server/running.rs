//! A session that runs, until it ends in one of the many ways in which it can.

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use uuid::Uuid;

use super::{Host, live::Close, session::Shared};
use crate::{
    push::protocol::{
        channel::{self, AgentLink, deadline},
        wire::Farewell,
    },
    task::Stop,
    tree::{Event, Parting},
};

/// For a client to be told why its connection ends.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

/// A client's place among those that are connected.
pub(super) struct Entered {
    pub host: Arc<Host>,
    pub uuid: Uuid,
    pub number: u64,
}

impl Entered {
    /// Tells the tree how the client parted, unless it is here again already or that does not matter.
    pub fn leave(self, how: Option<Parting>) {
        let (host, link) = (&self.host, self.uuid);
        if host.live.leave(link, self.number)
            && let Some(how) = how
        {
            host.hub.handle(Event::Parted { link, how });
        }
    }
}

/// Waits for a value; for ever if nobody is left to give one.
async fn is_set<T>(receiver: &mut watch::Receiver<Option<T>>) {
    if receiver.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A session that runs.
pub(super) struct Running {
    pub shared: Arc<Shared>,
    pub agent: AgentLink,
    pub closed: watch::Receiver<Option<Close>>,
    pub silence: Duration,
    pub stop: Stop,
}

impl Running {
    /// Returns how the client parted; `None` where that does not matter any more.
    pub async fn run(
        mut self,
        mut driver: Pin<Box<impl Future<Output = Result<(), channel::Ended>>>>,
        name: &str,
        address: SocketAddr,
    ) -> Option<Parting> {
        let mut left = self.shared.left.subscribe();
        let last_word = left.clone();
        let mut dismissed = self.closed.clone();
        loop {
            let silent = self.shared.heard() + self.silence;
            tokio::select! {
                ended = &mut driver => {
                    if let Err(ended) = ended {
                        tracing::info!("push client {name} at {address}: {ended}");
                    }
                    // It may have taken leave with its last word.
                    return last_word.borrow().clone().or(Some(Parting::Lost));
                }
                () = is_set(&mut left) => {
                    // It waits for our answer, and closes then.
                    let _ = timeout(FAREWELL_LIMIT, driver).await;
                    return last_word.borrow().clone();
                }
                () = is_set(&mut dismissed) => {
                    return self.closed(driver.as_mut()).await;
                }
                () = sleep_until(silent) => {
                    if self.shared.heard() + self.silence <= Instant::now() {
                        tracing::info!("push client {name} at {address} is silent: closed");
                        // That it was silent is seen and told by the tree.
                        return None;
                    }
                }
                // Ours, not the client's doing.
                () = self.stop.wait() => return None,
            }
        }
    }

    async fn closed(
        &self,
        driver: Pin<&mut impl Future<Output = Result<(), channel::Ended>>>,
    ) -> Option<Parting> {
        let close = *self.closed.borrow();
        if close == Some(Close::Revoked) {
            self.farewell(driver, "it is not allowed any more".to_owned()).await;
        }
        None
    }

    /// Tells the client why, as far as it listens.
    async fn farewell(
        &self,
        driver: Pin<&mut impl Future<Output = Result<(), channel::Ended>>>,
        why: String,
    ) {
        let client = self.agent.client();
        let said = client.close(deadline(FAREWELL_LIMIT), Farewell { why, retry: None });
        tokio::select! {
            _ = timeout(FAREWELL_LIMIT, said) => {}
            _ = driver => {}
        }
    }
}
