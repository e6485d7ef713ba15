//! The only file that knows every part: build (bind, open, check), start (spawn), stop (in reverse).

mod audited;
mod identity;
mod links;
mod memory;
mod notifying;
mod own_probe;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use thiserror::Error;

use self::audited::AuditedOrders;
use crate::{
    access::{Access, SignIn, oidc::Oidc},
    api::{
        self, Api,
        live::{Live, Rights},
        server::{CannotListen, Server},
    },
    config::{self, Config, Loaded},
    hub::{Hub, Ledger},
    log::Log,
    notify::Notifier,
    orders::Orders,
    probe::{
        catalog::{Catalog, NoProbes},
        pool::{self, Pool},
        watch::Watch,
    },
    push::{self, Authority, authority},
    store::{self, Store},
    task::Tasks,
    tree::{Event, Host, Instance, ProbeName, ProbeResult, RemoteControl, Tree},
    trust::{BadCertificate, Ca, ServerTls},
};

/// Name and version, as shown everywhere.
pub const VERSION: &str = concat!("Wigo v", env!("CARGO_PKG_VERSION"));
/// For the threads of probes and of the watch at the stop; a dead file system can hold them for ever.
const THREAD_GRACE: Duration = Duration::from_secs(10);
/// For the tasks of the runtime at the stop.
const TASK_GRACE: Duration = Duration::from_secs(3);
/// For the database to take that we stop, before the masters are told.
const LAST_WORD_GRACE: Duration = Duration::from_secs(1);
/// For the database to take what waits, at the stop.
const STORE_GRACE: Duration = Duration::from_secs(5);
/// The first descriptor after the standard ones.
const FIRST_FILE: i32 = 3;
/// Open files wanted, for many connections.
const OPEN_FILES: u64 = 65_536;

/// Why the agent cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Identity(#[from] identity::NoIdentity),
    #[error(transparent)]
    Probes(#[from] NoProbes),
    #[error("TLS is switched on in [Http], and there is no usable certificate")]
    Certificate(#[from] BadCertificate),
    #[error(transparent)]
    Listen(#[from] CannotListen),
    #[error(
        "push clients are switched on in [PushServer], and there is no usable authority; \
         generate_cert makes one"
    )]
    Authority(#[source] BadCertificate),
    #[error("OpenID Connect is switched on in [OpenIdConnect], and its CaFile cannot be used")]
    Provider(#[source] BadCertificate),
    #[error(transparent)]
    Allowed(#[from] authority::CannotOpen),
    #[error(transparent)]
    ListenPush(#[from] push::server::CannotListen),
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Sets what belongs to the process and not to one agent: once, from `main`.
pub fn prepare_process() {
    crate::trust::install_provider();
    // Whoever started us may have left files open; they are not for probes.
    close_fds::set_fds_cloexec(FIRST_FILE, &[]);
    // What the agent and its probes write is nobody else's to read.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    crate::probe::run::raise_file_limit(OPEN_FILES);
}

/// What a configuration without mistakes needs and does not find: probe folders, certificates.
pub fn missing_around(path: &Path) -> Vec<StartError> {
    let Ok(Loaded { config, .. }) = config::load(path) else { return Vec::new() };
    crate::trust::install_provider();
    let mut missing = Vec::new();
    if let Err(error) = Catalog::read(&config.global.probes_directory) {
        missing.push(error.into());
    }
    if config.http.enabled
        && config.http.ssl_enabled
        && let Err(error) = ServerTls::load(&config.http.ssl_cert, &config.http.ssl_key)
    {
        missing.push(error.into());
    }
    let push = &config.push_server;
    if push.enabled
        && let Err(error) = Ca::load(&push.ssl_cert, &push.ssl_key, &config.global.hostname)
    {
        missing.push(StartError::Authority(error));
    }
    missing
}

/// An agent: built, then started, then stopped.
pub struct App {
    path: PathBuf,
    config: Arc<ArcSwap<Config>>,
    /// As it was at the start, for what cannot change while running.
    started_with: Config,
    /// Held as long as we run, so that nobody else runs under this identity.
    _identity: identity::Identity,
    log: Log,
    hub: Arc<Hub>,
    store: Store,
    pool: Arc<Pool>,
    orders: Arc<Orders>,
    watch: Option<Watch>,
    watchman: Option<own_probe::Watchman>,
    first_catalog: Catalog,
    tls: Option<Arc<ServerTls>>,
    server: Option<Server>,
    oidc: Option<Arc<Oidc>>,
    links: links::Links,
    access: Arc<Access>,
    notifying: notifying::Notifying,
    /// Streams of events.
    live: Arc<Live>,
    trouble: Trouble,
    tasks: Tasks,
}

/// What is wrong with the agent's surroundings, told by those who met it.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Surroundings>>);

#[derive(Clone, Default)]
struct Surroundings {
    config: Option<String>,
    probes: Option<String>,
}

impl Trouble {
    fn set(&self, change: impl FnOnce(&mut Surroundings)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn get(&self) -> Surroundings {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The hub as probes see it.
struct ProbeSink(Arc<Hub>);

impl pool::Sink for ProbeSink {
    fn ran(&self, probe: &ProbeName, results: Vec<ProbeResult>, complete: bool) {
        self.0.handle(Event::Ran { probe: probe.clone(), results, complete });
    }

    fn gone(&self, probe: &ProbeName, why: &str) {
        self.0.handle(Event::Gone { probe: probe.clone(), why: why.into() });
    }
}

impl App {
    /// Opens, binds and checks everything that can fail; runs nothing yet.
    pub async fn build(loaded: Loaded, log: Log) -> Result<App, StartError> {
        let config = loaded.config;
        open_log(&log, &config);
        loaded.warnings.warnings().for_each(|warning| tracing::warn!("{warning}"));
        let global = &config.global;
        let identity = identity::take(&global.uuid_file)?;
        let uuid = identity.uuid;
        let first_catalog = Catalog::read(&global.probes_directory)?;
        let tls = match config.http.enabled && config.http.ssl_enabled {
            true => Some(Arc::new(ServerTls::load(&config.http.ssl_cert, &config.http.ssl_key)?)),
            false => None,
        };
        let server = match config.http.enabled {
            true => Some(Server::bind(&config.http.address, config.http.port, tls.clone()).await?),
            false => None,
        };
        let opened = Store::open(store::Settings {
            path: global.database.clone(),
            origin: uuid,
            keep_days: global.status_history_days,
        });
        let mut host = Host::new(&global.hostname, &global.group);
        host.labels.clone_from(&config.labels);
        let configured = configured(&config);
        let tree = Tree::new(Instance::new(uuid, VERSION, host));
        let ledger = Ledger {
            next_id: opened.next_id,
            positions: opened.positions.clone(),
            told: opened.told.clone(),
        };
        let hub = Arc::new(Hub::new(tree, ledger, Box::new(opened.store.clone())));
        // Before anything happens, so that the very first start misses nothing.
        let notifying = notifying::Notifying::open(&config, &hub, &opened.store);
        let mut seed = DefaultHasher::new();
        uuid.hash(&mut seed);
        let sink = Box::new(ProbeSink(hub.clone()));
        let settings = pool::Settings::of(&config);
        let pool = Pool::start(config.probes.max_concurrent, seed.finish(), settings, sink);
        let store = opened.store.clone();
        hub.handle(configured);
        hub.handle(willing(&config));
        memory::remember(&hub, opened, &first_catalog);
        let started_with = config.clone();
        let config = Arc::new(ArcSwap::from_pointee(config));
        let pool = Arc::new(pool.map_err(StartError::Thread)?);
        let orders = Orders::open(hub.clone(), pool.clone(), config.clone(), store.orders());
        let links = links::Links::build(&config, &hub, &store, &orders).await?;
        let access = Access::open(&store, config.clone());
        let oidc = sign_in(&config.load(), &access)?;
        orders.record_with(Arc::new(AuditedOrders(access.clone())));
        let live = live(&access, &orders, links.authority());
        Ok(App {
            path: started_with.path.clone(),
            started_with,
            _identity: identity,
            config,
            log,
            hub,
            store,
            pool,
            orders,
            watch: None,
            watchman: None,
            first_catalog,
            tls,
            server,
            oidc,
            links,
            access,
            notifying,
            live,
            trouble: Trouble::default(),
            tasks: Tasks::default(),
        })
    }

    /// Where the API listens, if it does.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().and_then(|server| server.address().ok())
    }

    /// Where push clients are taken, if they are.
    pub fn push_address(&self) -> Option<SocketAddr> {
        self.links.address()
    }

    /// How many probes are enabled.
    pub fn probe_count(&self) -> usize {
        self.first_catalog.entries.len()
    }

    /// The owner of the tree.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The threads that run probes.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// What people are told.
    pub fn notifier(&self) -> Notifier {
        Notifier::of(self.notifying.desk().clone())
    }

    /// Starts everything that was built.
    pub fn start(&mut self) -> Result<(), StartError> {
        self.hub.handle(Event::Started { message: format!("{VERSION} started") });
        log_not_run(&Catalog::default(), &self.first_catalog);
        let mut before = self.first_catalog.clone();
        let first = std::mem::take(&mut self.first_catalog);
        self.pool.set_catalog(first.clone());
        let root = self.config.load().global.probes_directory.clone();
        let (pool, trouble, orders) =
            (self.pool.clone(), self.trouble.clone(), self.orders.clone());
        let changed = move |found: Result<Catalog, NoProbes>| match found {
            Ok(catalog) => {
                trouble.set(|trouble| trouble.probes = None);
                tracing::info!("the probe folders changed: {} probes", catalog.entries.len());
                log_not_run(&before, &catalog);
                before.clone_from(&catalog);
                pool.set_catalog(catalog);
                orders.catalog_changed();
            }
            Err(error) => {
                let why = format!("{error}: {}", error.source);
                tracing::error!("{why}");
                trouble.set(|trouble| trouble.probes = Some(why));
            }
        };
        let watch = Watch::start(root, first, changed).map_err(StartError::Thread)?;
        let bell = watch.bell();
        self.watch = Some(watch);
        if let Some(server) = self.server.take() {
            let api = Api::new(api::Parts {
                notifier: self.notifier(),
                hub: self.hub.clone(),
                store: self.store.clone(),
                pool: self.pool.clone(),
                config: self.config.clone(),
                authority: self.links.authority(),
                masters: self.links.clients(),
                access: self.access.clone(),
                oidc: self.oidc.clone(),
                orders: self.orders.clone(),
                live: self.live.clone(),
                connections: server.connections(),
                started: jiff::Timestamp::now(),
            });
            let access = self.access.clone();
            self.tasks.spawn("access", move |stop| access.run(stop));
            let router = api::router(api);
            let base = self.started_with.http.base_path.clone();
            self.tasks.spawn("http", move |stop| server.serve(router, base, stop));
        }
        self.notifying.start(&self.config.load(), &mut self.tasks);
        self.links.start(&self.config.load(), &mut self.tasks);
        if let Some(ways) = self.links.ways() {
            self.orders.start(bell, ways, &mut self.tasks);
        }
        let own = own_probe::OwnProbe::new(
            self.hub.clone(),
            self.store.clone(),
            self.pool.clone(),
            self.trouble.clone(),
            self.links.clients(),
            self.notifying.desk().clone(),
        );
        self.watchman = Some(own_probe::Watchman::start(own).map_err(StartError::Thread)?);
        Ok(())
    }

    /// Reads the configuration again and applies what can change while running. A file with mistakes
    /// changes nothing. The log file is opened anew in any case.
    pub fn reload(&self) {
        let before = self.config.load_full();
        match config::load(&self.path) {
            Ok(Loaded { config, warnings }) => {
                warnings.warnings().for_each(|warning| tracing::warn!("{warning}"));
                for key in self.started_with.needs_restart(&config) {
                    tracing::warn!("{key} has changed and takes effect at the next start");
                }
                self.trouble.set(|trouble| trouble.config = None);
                self.apply(config);
                tracing::info!("`{}` was read again", self.path.display());
            }
            Err(error) => {
                open_log(&self.log, &before);
                let why = anyhow::Error::from(error);
                tracing::error!("the configuration in use stays as it was: {why:#}");
                let why = format!(
                    "`{}` has mistakes, the configuration read before is in use: \
                     see `wigo check-config`",
                    self.path.display()
                );
                self.trouble.set(|trouble| trouble.config = Some(why));
            }
        }
        if let Some(tls) = &self.tls {
            tls.reload_if_changed();
        }
        if let Some(watch) = &self.watch {
            watch.look_now();
        }
        if let Some(watchman) = &self.watchman {
            watchman.look_now();
        }
    }

    fn apply(&self, config: Config) {
        open_log(&self.log, &config);
        self.log.set_debug(config.global.debug);
        self.store.set_keep_days(config.global.status_history_days);
        // The state of probes stays where it is, as the database does.
        let mut settings = pool::Settings::of(&config);
        settings.environment.state_root =
            pool::Settings::of(&self.started_with).environment.state_root;
        self.pool.set_settings(settings);
        self.hub.handle(configured(&config));
        self.hub.handle(willing(&config));
        self.links.apply(&config);
        self.notifying.apply(&config);
        self.config.store(Arc::new(config));
        self.access.configuration_changed();
    }

    /// Stops everything, in reverse order of starting. What was known is on disk afterwards.
    pub async fn stop(mut self, why: &str) {
        // First, since nobody waits for who only reads.
        self.live.close();
        let (watchers, pool) = ((self.watchman.take(), self.watch.take()), self.pool.clone());
        let stopping = tokio::task::spawn_blocking(move || {
            pool.stop();
            drop(watchers);
        });
        if tokio::time::timeout(THREAD_GRACE, stopping).await.is_err() {
            tracing::warn!("a probe or its folder does not let go: left behind");
        }
        let at = jiff::Timestamp::now();
        self.hub.handle(Event::Stopped { at, message: format!("{VERSION} stopped: {why}") });
        // The masters hear of it with our last word. They are told only what is on the disk.
        let store = self.store.clone();
        let flushed = tokio::task::spawn_blocking(move || store.flush());
        let _ = tokio::time::timeout(LAST_WORD_GRACE, flushed).await;
        self.links.stop().await;
        tokio::join!(self.tasks.stop(TASK_GRACE), self.notifying.stop());
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || store.close(STORE_GRACE)).await {
            Ok(Ok(())) => tracing::info!("stopped: {why}"),
            Ok(Err(error)) => tracing::error!("stopped, and not all is on disk: {error}"),
            Err(error) => tracing::error!("stopped, and the database ended badly: {error}"),
        }
    }
}

/// Streams of events, which end when the rights of their readers do.
fn live(access: &Arc<Access>, orders: &Orders, authority: Option<Arc<Authority>>) -> Arc<Live> {
    let mut sources = vec![
        ("access", access.changes()),
        ("audit", access.audit().changes()),
        ("orders", orders.changes()),
    ];
    sources.extend(authority.map(|authority| ("authority", authority.changes())));
    let who = access.clone();
    let still = Arc::new(move |caller: &_| who.still(caller));
    Live::new(sources, Some(Rights { changed: access.changes(), still }))
}

/// Signing in at a provider, if there is one.
fn sign_in(config: &Config, access: &Arc<Access>) -> Result<Option<Arc<Oidc>>, StartError> {
    let settings = &config.oidc;
    if !settings.enabled {
        return Ok(None);
    }
    let sessions = Arc::new(SignIn(access.clone()));
    let base = config.http.base_path.clone();
    let oidc = Oidc::new(settings.clone(), base, sessions).map_err(StartError::Provider)?;
    access.set_provider(Some(settings));
    Ok(Some(oidc))
}

/// What of the configuration the tree has to know.
fn configured(config: &Config) -> Event {
    Event::Configured {
        name: config.global.hostname.clone(),
        group: config.global.group.clone(),
        labels: config.labels.clone(),
        alive_timeout: config.global.alive_timeout,
    }
}

/// What it says about who may change probes here.
fn willing(config: &Config) -> Event {
    Event::Willing {
        http: RemoteControl::allowing(config.http.allow_write_actions),
        push: RemoteControl::allowing(config.push_client.allow_remote_control),
    }
}

fn open_log(log: &Log, config: &Config) {
    if config.global.log_file.as_os_str().is_empty() {
        return log.close();
    }
    if let Err((path, error)) = log.open(&config.global.log_file) {
        let path = path.display();
        tracing::warn!("the log file `{path}` cannot be opened, what was open stays: {error}");
    }
}

/// Says what is not run, as far as it was not said of `before`.
fn log_not_run(before: &Catalog, now: &Catalog) {
    for not_run in now.not_run.difference(&before.not_run) {
        // Names of files may hold anything, a line break too.
        let path = not_run.path.to_string_lossy();
        tracing::warn!("not run: `{}`: {}", path.escape_debug(), not_run.why.escape_debug());
    }
    for (name, entry) in &now.entries {
        let said = before.entries.get(name).and_then(|before| before.refused.as_ref());
        if let Some(why) = entry.refused.as_ref().filter(|why| said != Some(why)) {
            tracing::warn!("refused: probe `{name}`: {}", why.escape_debug());
        }
    }
}
