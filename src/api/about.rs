//! `GET /api/about`: this instance itself, its queues, and what it finds wrong with itself.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{Api, live::MAX_STREAMS, reply, server::MAX_CONNECTIONS, summary::now};
use crate::{
    probe::{catalog::SELF_PROBE, pool::MAX_ASKED},
    status::Status,
    store::MAX_WAITING_ENTRIES,
    tree::{Contact, Instance, View},
};

/// This instance itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct About {
    version: String,
    uuid: Uuid,
    name: String,
    /// Unix seconds.
    started_at: i64,
    /// Unix seconds with fraction.
    now: f64,
    database: Database,
    queues: Vec<Queue>,
    /// What it finds wrong with itself, in sentences.
    troubles: Vec<String>,
    http: Http,
    push: Push,
    masters: Vec<Master>,
    pull: Vec<Remote>,
    memory: Memory,
    probes: Probes,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Database {
    path: String,
    size_bytes: u64,
    /// On the disk; null if that cannot be read now.
    journal_entries: Option<u64>,
    /// Unix seconds: when the oldest of them happened; 0 if there is none.
    oldest_entry: i64,
    keep_days: u32,
    /// Entries that are not on the disk yet.
    waiting: usize,
    /// Entries that were dropped since the start.
    dropped: u64,
    /// Why nothing can be written; empty if all is well.
    problem: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Queue {
    name: &'static str,
    length: usize,
    capacity: usize,
    /// Since the start.
    dropped: u64,
    /// What happens when it is full.
    full: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Http {
    connections: usize,
    /// Streams of events.
    streams: usize,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Push {
    /// Whether push clients are taken.
    enabled: bool,
    /// Push clients that report.
    connected: usize,
    /// Those that wait to be allowed.
    waiting: usize,
    /// SHA-256 of the authority's certificate.
    fingerprint: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Master {
    address: String,
    connected: bool,
    /// What keeps us from reporting; empty if nothing does.
    trouble: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Remote {
    endpoint: String,
    /// Empty if it answers.
    problem: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Memory {
    resident_bytes: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Probes {
    /// Now.
    running: usize,
    /// Since the start, as the others.
    runs: u64,
    timed_out: u64,
    skipped: u64,
}

/// What may be read.
pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(about))
}

/// This instance itself: version, database, queues, connections, and what it finds wrong with itself.
#[utoipa::path(
    get,
    path = "/api/about",
    tag = "about",
    responses((status = 200, body = About), (status = 304, description = "The caller has it"))
)]
async fn about(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let answer = move || reply::json(&headers, &About::of(&api));
    tokio::task::spawn_blocking(answer).await.unwrap_or_else(|error| {
        tracing::error!("what there is to say about this instance was not said: {error}");
        let why = "the answer was not made because of a mistake in wigo, which its log describes";
        reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, why)
    })
}

impl About {
    /// Blocks.
    fn of(api: &Api) -> About {
        let tree = api.view();
        let (me, counters) = (tree.me(), api.pool.counters());
        let waiting = api.authority.as_ref().map_or(0, |authority| authority.waiting_count());
        About {
            version: me.version.clone(),
            uuid: me.uuid,
            name: me.host.name.clone(),
            started_at: api.started.as_second(),
            now: now(),
            database: Database::of(api),
            queues: queues(api, waiting),
            troubles: troubles(api, me),
            http: Http { connections: api.connections.count(), streams: api.live.open() },
            push: Push::of(api, &tree, waiting),
            masters: masters(api),
            pull: remotes(api, &tree),
            memory: Memory { resident_bytes: resident_bytes() },
            probes: Probes {
                running: counters.running,
                runs: counters.runs,
                timed_out: counters.timeouts,
                skipped: counters.skipped,
            },
        }
    }
}

impl Database {
    fn of(api: &Api) -> Database {
        let (health, extent) = (api.store.health(), api.store.extent());
        let oldest = extent.as_ref().ok().and_then(|(_, oldest)| *oldest);
        Database {
            path: api.store.path().display().to_string(),
            size_bytes: health.bytes,
            journal_entries: extent.ok().map(|(count, _)| count),
            oldest_entry: oldest.map_or(0, Timestamp::as_second),
            keep_days: api.config.load().global.status_history_days,
            waiting: health.waiting,
            dropped: health.lost,
            problem: health.problem.unwrap_or_default(),
        }
    }
}

impl Push {
    fn of(api: &Api, tree: &View, waiting: usize) -> Push {
        let Some(authority) = &api.authority else { return Push::default() };
        let is_connected = |instance: &&Instance| {
            let pushes = matches!(instance.contact.as_deref(), Some(Contact::Push { .. }));
            pushes && instance.is_alive()
        };
        Push {
            enabled: true,
            connected: tree.children(tree.me().uuid).filter(is_connected).count(),
            waiting,
            fingerprint: authority.fingerprint().to_string(),
        }
    }
}

fn queues(api: &Api, waiting: usize) -> Vec<Queue> {
    let health = api.store.health();
    let queue = |name, length, capacity, full| Queue { name, length, capacity, dropped: 0, full };
    let mut queues = vec![
        Queue {
            dropped: health.lost,
            ..queue(
                "log entries for the disk",
                health.waiting,
                MAX_WAITING_ENTRIES,
                "the oldest entries are dropped, and counted",
            )
        },
        queue("runs out of turn", api.pool.asked(), MAX_ASKED, "more are refused"),
        queue(
            "HTTP connections",
            api.connections.count(),
            MAX_CONNECTIONS,
            "further ones are closed at once",
        ),
        queue("event streams", api.live.open(), MAX_STREAMS, "further ones are told to come later"),
    ];
    if api.authority.is_some() {
        let capacity = api.config.load().push_server.max_waiting_clients;
        let full = "further ones are told to come later";
        queues.push(queue("clients that wait to be allowed", waiting, capacity, full));
    }
    queues
}

/// What the agent's own probe says, and what it does not say yet.
fn troubles(api: &Api, me: &Instance) -> Vec<String> {
    let own = me.host.probes.get(SELF_PROBE).filter(|own| own.result.status > Status::OK);
    let own = own.map(|own| own.result.message.clone());
    let said = own.clone().unwrap_or_default();
    let push = api.masters.troubles();
    own.into_iter().chain(push.into_iter().filter(|one| !said.contains(one.as_str()))).collect()
}

fn masters(api: &Api) -> Vec<Master> {
    let masters = api.masters.masters().into_iter();
    let master = |one: crate::push::client::Master| Master {
        address: one.address,
        connected: one.connected,
        trouble: one.trouble.unwrap_or_default(),
    };
    masters.map(master).collect()
}

fn remotes(api: &Api, tree: &View) -> Vec<Remote> {
    let below: Vec<&Instance> = tree.children(tree.me().uuid).collect();
    let answers_at = |endpoint: &str| {
        below.iter().find(|instance| match instance.contact.as_deref() {
            Some(Contact::Pull { endpoint: held, .. }) => held == endpoint,
            _ => false,
        })
    };
    let remote = |endpoint: String| {
        let problem = match answers_at(&endpoint) {
            None => "it was never heard".to_owned(),
            Some(instance) => match (&instance.problem, instance.is_alive()) {
                (Some(problem), _) => problem.clone(),
                (None, true) => String::new(),
                (None, false) => "it does not answer".to_owned(),
            },
        };
        Remote { endpoint, problem }
    };
    api.config.load().remotes.list.iter().map(|one| remote(one.url())).collect()
}

/// What of this process is in memory, in bytes; 0 if that cannot be told.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
