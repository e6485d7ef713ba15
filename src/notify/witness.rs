//! Whether this monitor reaches the network at all: hosts outside that are always there, as witnesses.

use std::{future::Future, time::Duration};

use tokio::{net::TcpStream, task::JoinSet, time::timeout};

/// A witness that does not take a connection within this time is not reached.
const LIMIT: Duration = Duration::from_secs(2);

/// Who to ask, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// As `host:port`; none: nobody is asked.
    pub targets: Vec<String>,
    pub interval: Duration,
}

impl Witnesses {
    /// Whether none of them can be reached. Without any it is not known, so it is not so.
    pub async fn are_all_gone(&self) -> bool {
        !self.targets.is_empty() && none(self.targets.iter().cloned().map(reach)).await
    }
}

/// Whether all of the attempts fail; the first that does not decides.
async fn none<Try>(attempts: impl Iterator<Item = Try>) -> bool
where
    Try: Future<Output = bool> + Send + 'static,
{
    let mut attempts: JoinSet<bool> = attempts.collect();
    while let Some(reached) = attempts.join_next().await {
        if reached.unwrap_or(false) {
            return false;
        }
    }
    true
}

async fn reach(target: String) -> bool {
    matches!(timeout(LIMIT, TcpStream::connect(&target)).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn witnesses(targets: Vec<String>) -> Witnesses {
        Witnesses { targets, interval: Duration::from_secs(30) }
    }

    /// An address where nobody listens.
    fn closed() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    }

    #[tokio::test]
    async fn one_that_answers_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().to_string();
        assert!(!witnesses(vec![closed(), open]).are_all_gone().await);
        assert!(witnesses(vec![closed(), closed()]).are_all_gone().await);
        assert!(witnesses(vec!["no.such.name.invalid:1".into()]).are_all_gone().await);
    }

    #[tokio::test]
    async fn without_witnesses_nobody_is_blind() {
        assert!(!witnesses(Vec::new()).are_all_gone().await);
    }
}
