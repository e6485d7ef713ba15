//! What all who ask remotes share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{
    client::{AskError, Body, Net},
    document::Unreadable,
    ways::Ways,
};
use crate::hub::Hub;

/// An answer up to this size is read at once, a bigger one where it delays nobody; in bytes.
const SMALL: usize = 16 << 10;
/// Big answers that are read at once: each may need many times its size in memory.
const BIG_AT_ONCE: usize = 2;

/// Whether the disk is behind with what has to be stored.
pub type IsBehind = Arc<dyn Fn() -> bool + Send + Sync>;

/// What all who ask remotes share.
#[derive(Clone)]
pub struct Shared {
    pub hub: Arc<Hub>,
    pub is_behind: IsBehind,
    pub ways: Arc<Ways>,
    pub net: Net,
    big: Arc<Semaphore>,
}

impl Shared {
    pub fn new(hub: Arc<Hub>, is_behind: IsBehind) -> Shared {
        let big = Arc::new(Semaphore::new(BIG_AT_ONCE));
        Shared { hub, is_behind, ways: Arc::default(), net: Net::default(), big }
    }

    /// Decompresses and reads a body of `address`, a big one on a thread that may take its time.
    pub async fn digest<T: Send + 'static>(
        &self,
        address: &str,
        body: Body,
        read: impl FnOnce(&[u8]) -> Result<T, Unreadable> + Send + 'static,
    ) -> Result<T, AskError> {
        let is_small = body.size() <= SMALL;
        let work = move || Ok::<_, AskError>(read(&body.decode()?));
        let done = if is_small {
            work()
        } else {
            let closed = "the semaphore is never closed";
            let permit = self.big.clone().acquire_owned().await.expect(closed);
            let work = move || {
                // Held until it is done, also if nobody waits for it any more.
                let _permit = permit;
                work()
            };
            let failed = |_| Ok(Err(Unreadable::Confusing));
            tokio::task::spawn_blocking(work).await.unwrap_or_else(failed)
        };
        done?.map_err(|why| AskError::unreadable(address, &why))
    }
}
