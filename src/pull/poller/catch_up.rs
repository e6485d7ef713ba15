//! Reads on in the journal of a remote, from where we are to its end.

use jiff::Timestamp;
use uuid::Uuid;

use super::Poller;
use crate::pull::{
    client::{Answer, AskError},
    document::Unreadable,
    journal,
};

/// Parts of a journal that are fetched after one poll; the rest waits for the next one.
const MAX_BATCHES: usize = 20;
/// After so many polls without news in a journal it is looked whether it began anew.
pub(super) const QUIET_POLLS: u32 = 30;

impl Poller {
    /// Takes over what is new in the journal of `link`.
    pub(super) async fn catch_up(&mut self, link: Uuid) -> Result<(), AskError> {
        if !self.has_journal {
            return Ok(());
        }
        let mut position = self.position(link).await?;
        for _ in 0..MAX_BATCHES {
            // What the disk cannot keep up with can wait where it is.
            if (self.shared.is_behind)() {
                break;
            }
            let page = self.page(&journal::path(position)).await?;
            if page.unnumbered {
                // From the next report on, the tree tells what changes.
                (self.journal_is_useless, self.has_journal, self.tag) = (true, false, None);
                break;
            }
            self.quiet = if page.count == 0 { self.quiet.saturating_add(1) } else { 0 };
            let last = page.last.max(position).unwrap_or(0);
            self.shared.hub.learn(link, page.told, last);
            // The newest entries, which a new instance is asked for, have none behind them.
            let there_is_more = page.count >= journal::BATCH && position.is_some();
            if !there_is_more || Some(last) == position {
                break;
            }
            position = Some(last);
        }
        Ok(())
    }

    /// How far in its journal `link` has told. Where the journal ends is looked up now and then: one that
    /// began anew would have nothing to say after that position for a long time.
    async fn position(&mut self, link: Uuid) -> Result<Option<u64>, AskError> {
        let position = self.shared.hub.position(link, u64::MAX);
        if position.is_none() || self.quiet < QUIET_POLLS {
            return Ok(position);
        }
        let newest = self.page(journal::NEWEST).await?.last.unwrap_or(0);
        self.quiet = 0;
        Ok(self.shared.hub.position(link, newest))
    }

    /// Asks for a part of its journal.
    async fn page(&mut self, path: &str) -> Result<journal::Page, AskError> {
        let Answer::Fresh { body, .. } = self.get(path, None).await? else {
            return Err(AskError::unreadable(&self.address, &Unreadable::Unasked));
        };
        let now = Timestamp::now();
        let read = move |body: &[u8]| journal::read(body, now);
        self.shared.digest(&self.address, body, read).await
    }
}
