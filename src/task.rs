//! Named tasks of the runtime: each has an owner that stops it, within a grace period.

use std::{future::Future, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

/// Told to a task when it shall end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Ends when the task shall end.
    pub async fn wait(&mut self) {
        // An owner that is gone means the same.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// The tasks of one owner.
#[derive(Debug)]
pub struct Tasks {
    stop: watch::Sender<bool>,
    running: Vec<(&'static str, JoinHandle<()>)>,
}

impl Default for Tasks {
    fn default() -> Tasks {
        Tasks { stop: watch::channel(false).0, running: Vec::new() }
    }
}

impl Tasks {
    /// Starts a task, which must end when its [`Stop`] says so.
    pub fn spawn<Task>(&mut self, name: &'static str, task: impl FnOnce(Stop) -> Task)
    where
        Task: Future<Output = ()> + Send + 'static,
    {
        let stop = Stop(self.stop.subscribe());
        self.running.push((name, tokio::spawn(task(stop))));
    }

    /// Tells all tasks to end and waits for them, `grace` in all; who is late is cut off and named in
    /// the log.
    pub async fn stop(&mut self, grace: Duration) {
        let _ = self.stop.send(true);
        let deadline = tokio::time::Instant::now() + grace;
        while let Some((name, mut task)) = self.running.pop() {
            match tokio::time::timeout_at(deadline, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("task `{name}` ended badly: {error}"),
                Err(_) => {
                    tracing::warn!("task `{name}` did not end within {grace:?}: cut off");
                    task.abort();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn tasks_end_when_told_and_the_deaf_are_cut_off() {
        let mut tasks = Tasks::default();
        let ended = Arc::new(AtomicBool::new(false));
        let told = ended.clone();
        tasks.spawn("good", |mut stop| async move {
            stop.wait().await;
            told.store(true, Ordering::SeqCst);
        });
        tasks.stop(Duration::from_secs(60)).await;
        assert!(ended.load(Ordering::SeqCst));
        tasks.spawn("deaf", |_| std::future::pending());
        tasks.stop(Duration::from_millis(20)).await;
        assert!(tasks.running.is_empty());
    }
}
