//! What a channel remembers while the process lives: who has a message already, and how threads began.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, stream};

use super::{Failed, Receipt, Retry};

/// The most messages, or threads, that one channel remembers. The oldest is forgotten first.
const MAX_REMEMBERED: usize = 1_000;
/// How many recipients of one message are served at the same time.
const MAX_AT_ONCE: usize = 8;

/// Who has which message, so that trying again does not tell them twice.
#[derive(Debug, Default)]
pub(super) struct Recipients {
    known: Mutex<VecDeque<Standing>>,
}

/// One message that did not reach everybody yet.
#[derive(Debug)]
struct Standing {
    key: String,
    took: BTreeSet<usize>,
    /// Whom it cannot reach as it is, and why.
    refused: BTreeMap<usize, String>,
}

impl Recipients {
    /// Sends to those of `names` who do not have the message `key` yet. Recipients are known by their
    /// position, and shown by their name.
    ///
    /// It has arrived when all have it. While one of them may still get it, trying again can help.
    pub(super) async fn send<F, Sent>(
        &self,
        key: &str,
        names: &[String],
        send: F,
    ) -> Result<Receipt, Failed>
    where
        F: Fn(usize) -> Sent,
        Sent: Future<Output = Result<Receipt, Failed>>,
    {
        let each = self.open(key, names).into_iter().map(|n| {
            let sent = send(n);
            async move { (n, sent.await) }
        });
        let mut each = std::pin::pin!(stream::iter(each).buffer_unordered(MAX_AT_ONCE));
        let (mut receipts, mut failures) = (Vec::new(), BTreeMap::new());
        while let Some((n, outcome)) = each.next().await {
            // At once: whoever calls may give up while others are still served.
            self.note(key, n, outcome, &mut receipts, &mut failures);
        }
        self.settle(key, names, receipts, &failures)
    }

    /// As [`send`](Self::send), for receivers that take one message for several recipients: `send` is given
    /// those who do not have it yet, and says what came of each.
    pub(super) async fn send_together<F, Sent>(
        &self,
        key: &str,
        names: &[String],
        send: F,
    ) -> Result<Receipt, Failed>
    where
        F: FnOnce(Vec<usize>) -> Sent,
        Sent: Future<Output = Vec<(usize, Result<Receipt, Failed>)>>,
    {
        let open = self.open(key, names);
        let outcomes = if open.is_empty() { Vec::new() } else { send(open).await };
        let (mut receipts, mut failures) = (Vec::new(), BTreeMap::new());
        for (n, outcome) in outcomes {
            self.note(key, n, outcome, &mut receipts, &mut failures);
        }
        // One answer for all of them.
        receipts.dedup();
        self.settle(key, names, receipts, &failures)
    }

    /// Those who may still get it.
    fn open(&self, key: &str, names: &[String]) -> Vec<usize> {
        let mut known = self.lock();
        let standing = standing(&mut known, key);
        let is_open = |n: &usize| !standing.took.contains(n) && !standing.refused.contains_key(n);
        (0..names.len()).filter(is_open).collect()
    }

    fn note(
        &self,
        key: &str,
        n: usize,
        outcome: Result<Receipt, Failed>,
        receipts: &mut Vec<String>,
        failures: &mut BTreeMap<usize, Failed>,
    ) {
        match outcome {
            Ok(receipt) => {
                standing(&mut self.lock(), key).took.insert(n);
                receipts.push(receipt.0);
            }
            Err(Failed { why, retry: Retry::Never }) => {
                standing(&mut self.lock(), key).refused.insert(n, why);
            }
            Err(failed) => {
                failures.insert(n, failed);
            }
        }
    }

    fn settle(
        &self,
        key: &str,
        names: &[String],
        receipts: Vec<String>,
        failures: &BTreeMap<usize, Failed>,
    ) -> Result<Receipt, Failed> {
        if names.is_empty() {
            let why = "this channel has no recipients: add one to its section".to_owned();
            return Err(Failed { why, retry: Retry::Never });
        }
        let mut known = self.lock();
        let entry = standing(&mut known, key);
        let count = (entry.took.len(), names.len());
        let mut why: BTreeMap<usize, &str> =
            entry.refused.iter().map(|(n, why)| (*n, &**why)).collect();
        why.extend(failures.iter().map(|(n, failed)| (*n, &*failed.why)));
        if why.is_empty() {
            known.retain(|standing| standing.key != key);
            return Ok(Receipt(receipts.join("; ")));
        }
        let why: Vec<String> =
            why.into_iter().map(|(n, why)| format!("{}: {why}", names[n])).collect();
        let why = match count {
            (_, 1) => why.join("; "),
            (took, all) => format!("{took} of {all} have it; {}", why.join("; ")),
        };
        let retry = soonest(failures.values().map(|failed| failed.retry));
        if retry == Retry::Never {
            // Somebody may put it right and send again: then those are asked again who refused.
            entry.refused.clear();
            if entry.took.is_empty() {
                known.retain(|standing| standing.key != key);
            }
        }
        Err(Failed { why, retry })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Standing>> {
        // What is in it is whole at each moment.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a message; it is added if nothing is.
fn standing<'a>(known: &'a mut VecDeque<Standing>, key: &str) -> &'a mut Standing {
    let at = known.iter().position(|standing| standing.key == key).unwrap_or_else(|| {
        if known.len() >= MAX_REMEMBERED {
            known.pop_front();
        }
        let (took, refused) = Default::default();
        known.push_back(Standing { key: key.to_owned(), took, refused });
        known.len() - 1
    });
    &mut known[at]
}

/// Whether trying again can help one of them, and when all of them allow it.
pub(super) fn soonest(retries: impl IntoIterator<Item = Retry>) -> Retry {
    retries.into_iter().fold(Retry::Never, |all, one| match (all, one) {
        (Retry::After(a), Retry::After(b)) => Retry::After(a.max(b)),
        (Retry::After(a), _) | (_, Retry::After(a)) => Retry::After(a),
        (Retry::Never, Retry::Never) => Retry::Never,
        _ => Retry::Later,
    })
}

/// What receivers called the first message of a thread, so that later ones can be hung on it. After a
/// restart, what follows stands alone.
#[derive(Debug, Default)]
pub(super) struct Threads(Mutex<VecDeque<(String, String)>>);

impl Threads {
    /// The first message of a thread.
    pub(super) fn root(&self, thread: &str) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(name, _)| name == thread).map(|(_, root)| root.clone())
    }

    /// Notes what a message was called, unless the thread has a first one.
    pub(super) fn begin(&self, thread: &str, root: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|(name, _)| name == thread) {
            return;
        }
        if known.len() >= MAX_REMEMBERED {
            known.pop_front();
        }
        known.push_back((thread.to_owned(), root.to_owned()));
    }

    /// The first message of a thread is not there any more.
    pub(super) fn forget(&self, thread: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(name, _)| name != thread);
    }
}
