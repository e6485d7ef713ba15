//! Telling people: the desk and its channels, from the configuration.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    api::views,
    config::Config,
    hub::Hub,
    notify::{
        Desk, Rules, Subject,
        desk::Parts,
        setup::{self, Channels},
    },
    store::Store,
    task::Tasks,
    tree::View,
};

/// The desk, and the channels as they are configured now.
pub struct Notifying {
    desk: Arc<Desk>,
    channels: Arc<Mutex<Channels>>,
}

impl Notifying {
    /// Goes on where the last process stopped. Blocks for the database.
    pub fn open(config: &Config, hub: &Arc<Hub>, store: &Store) -> Notifying {
        let parts = Parts { hub: hub.clone(), store: store.clone(), show_result };
        let desk = Desk::open(parts, Rules::of(config));
        Notifying { desk, channels: Arc::default() }
    }

    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Begins to tell people. Within the runtime.
    pub fn start(&self, config: &Config, tasks: &mut Tasks) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        self.desk.set_channels(channels.of(config), setup::witnesses(config));
        self.desk.start(tasks);
    }

    /// Goes by another configuration from now on: in a while, since certificates are read for it. Within the
    /// runtime.
    pub fn apply(&self, config: &Config) {
        let (desk, channels, config) = (self.desk.clone(), self.channels.clone(), config.clone());
        tokio::task::spawn_blocking(move || {
            let mut channels = channels.lock().unwrap_or_else(PoisonError::into_inner);
            desk.set_channels(channels.of(&config), setup::witnesses(&config));
            desk.set_rules(Rules::of(&config));
        });
    }

    /// Ends the deliveries that are under way; what is not delivered stays for the next process.
    pub async fn stop(&self) {
        self.desk.stop().await;
    }
}

/// The last result of a probe as `/api` shows it.
fn show_result(tree: &View, subject: &Subject) -> Option<String> {
    let instance = tree.find(&subject.host)?;
    let probe = instance.host.probes.get(subject.probe.as_ref()?)?;
    serde_json::to_string(&views::Probe::new(probe, tree.is_stale(instance))).ok()
}
