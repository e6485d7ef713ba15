//! Other instances: those that push to us or are asked by us, and those that we push to.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{StartError, VERSION};
use crate::{
    config::Config,
    hub::{Entry, Hub},
    orders::{Orders, Way, Ways},
    pull::Pull,
    push::{
        self, Authority,
        client::{Clients, Past, Reporter, Tcp},
        protocol::{Pool, transport::Traffic},
        server::{FULL_ENOUGH, Host, Live, Pressure, Server},
    },
    store::Store,
    task::{Stop, Tasks},
    tree::{Contact, Event},
    trust::Ca,
};

/// Between two looks at who is silent.
const TICK: Duration = Duration::from_millis(250);

/// The journal on the disk, as push sees it.
struct OnDisk(Store);

impl Past for OnDisk {
    fn after(&self, id: u64, limit: usize) -> Result<Vec<Entry>, String> {
        self.0.journal_after(id, limit).map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    }

    fn before_newest(&self, count: usize) -> Result<u64, String> {
        self.0.id_before_newest(count).map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    }

    fn durable(&self) -> watch::Receiver<u64> {
        self.0.durable()
    }
}

impl Pressure for OnDisk {
    fn waiting(&self) -> f64 {
        self.0.pressure()
    }
}

/// What is there for other instances.
pub(super) struct Links {
    hub: Arc<Hub>,
    store: Store,
    clients: Arc<Clients>,
    pull: Option<Pull>,
    server: Option<(Server, Arc<Host>)>,
    /// The way to push clients.
    below: Option<Arc<push::server::Below>>,
    address: Option<SocketAddr>,
    authority: Option<Arc<Authority>>,
}

impl Links {
    /// Opens, binds and checks everything that can fail.
    pub async fn build(
        config: &Arc<ArcSwap<Config>>,
        hub: &Arc<Hub>,
        store: &Store,
        orders: &Arc<Orders>,
    ) -> Result<Links, StartError> {
        let (uuid, current) = (hub.read(|tree| tree.me().uuid), config.load_full());
        let reporter = Reporter {
            uuid,
            version: VERSION,
            hub: hub.clone(),
            past: Arc::new(OnDisk(store.clone())),
            network: Arc::new(Tcp),
            orders: Arc::new(orders.clone()),
        };
        let mut links = Links {
            hub: hub.clone(),
            store: store.clone(),
            clients: Arc::new(Clients::new(reporter)),
            pull: None,
            server: None,
            below: None,
            address: None,
            authority: None,
        };
        links.forget_strangers(&current);
        let settings = &current.push_server;
        if !settings.enabled {
            return Ok(links);
        }
        let ca = Ca::load(&settings.ssl_cert, &settings.ssl_key, &current.global.hostname);
        let ca = Arc::new(ca.map_err(StartError::Authority)?);
        tracing::info!(
            "the authority for push clients is `{}`, SHA-256 {}",
            settings.ssl_cert.display(),
            ca.fingerprint()
        );
        let authority = Authority::open(settings, ca.clone(), store.admission(), hub.clone())?;
        let server = Server::bind(&settings.address, settings.port).await?;
        links.address = server.address().ok();
        links.authority = Some(authority.clone());
        let shared = config.clone();
        let host = Host {
            uuid,
            version: VERSION,
            ca,
            authority,
            hub: hub.clone(),
            pressure: Arc::new(OnDisk(store.clone())),
            encrypted: settings.ssl_enabled,
            alive_timeout: Box::new(move || shared.load().global.alive_timeout),
            live: Live::default(),
            pool: Pool::default(),
            traffic: Arc::new(Traffic::default()),
        };
        let host = Arc::new(host);
        links.below = Some(Arc::new(push::server::Below(host.clone())));
        links.server = Some((server, host));
        Ok(links)
    }

    /// Who was known before the start and cannot come any more leaves without an alarm.
    fn forget_strangers(&self, config: &Config) {
        let gone: Vec<_> = self.hub.read(|tree| {
            let pushed = |contact: &Contact| matches!(contact, Contact::Push { .. });
            let strange = |contact: &Contact| pushed(contact) && !config.push_server.enabled;
            tree.all()
                .filter(|instance| instance.contact.as_deref().is_some_and(strange))
                .map(|instance| instance.uuid)
                .collect()
        });
        for uuid in gone {
            let why = "[PushServer] is not enabled any more".to_owned();
            self.hub.handle(Event::Forgotten { uuid, why });
        }
    }

    /// Where push clients are taken, if they are.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Who may push, if anybody may.
    pub fn authority(&self) -> Option<Arc<Authority>> {
        self.authority.clone()
    }

    /// For what keeps us from reporting.
    pub fn clients(&self) -> Arc<Clients> {
        self.clients.clone()
    }

    /// Starts everything that was built. Call it on the runtime.
    pub fn start(&mut self, config: &Config, tasks: &mut Tasks) {
        if let Some((server, host)) = self.server.take() {
            tasks.spawn("push server", move |stop| server.serve(host, stop));
        }
        let hub = self.hub.clone();
        tasks.spawn("silence", move |stop| look_for_silence(hub, stop));
        let (remotes, timeout) = (config.remotes.list.clone(), config.global.alive_timeout);
        let store = self.store.clone();
        let is_behind = Arc::new(move || store.pressure() > FULL_ENOUGH);
        self.pull = Some(Pull::start(remotes, timeout, self.hub.clone(), is_behind, tasks));
        self.clients.set(&config.push_client);
    }

    /// The ways to those below; `None` before the start.
    pub fn ways(&self) -> Option<Ways> {
        let push = self.below.clone().map(|below| below as Arc<dyn Way>);
        Some(Ways { push, pull: Arc::new(self.pull.as_ref()?.below()) })
    }

    /// Takes over what has changed in the configuration.
    pub fn apply(&self, config: &Config) {
        if let Some(pull) = &self.pull {
            pull.set(config.remotes.list.clone(), config.global.alive_timeout);
        }
        self.clients.set(&config.push_client);
        if let Some(authority) = &self.authority {
            authority.configure(&config.push_server);
        }
    }

    /// Says to the masters above that we stop.
    pub async fn stop(&self) {
        self.clients.stop().await;
    }
}

/// Where nobody is below nobody can be silent, and an idle agent is not woken for it.
async fn look_for_silence(hub: Arc<Hub>, mut stop: Stop) {
    loop {
        let next = async {
            hub.until_linked().await;
            tokio::time::sleep(TICK).await;
        };
        tokio::select! {
            () = next => hub.handle(Event::Tick),
            () = stop.wait() => return,
        }
    }
}
