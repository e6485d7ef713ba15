//! `GET /api/events`: what changes, as it changes, for pages and programs.
//!
//! One [`collector`] for all readers, which runs while there are any, renders each [`item`] once and hands
//! it to the [`reader`]s, each of which passes on what its [`scope`] takes. [`resume`]: where a reader
//! begins that comes back.

mod collector;
mod described;
mod item;
mod reader;
mod resume;
mod scope;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use utoipa_axum::{router::OpenApiRouter, routes};

use collector::{Collector, Front};
use item::{Batch, Item, Position};
use reader::Reader;
use resume::{Back, History, Start};
use scope::{NoScope, Scope, Wanted};

use super::{
    Api,
    auth::{Origin, is_foreign},
    hosts::{query_pairs, unknown_host},
    openapi::{Refusal, parameters::ScopeWord},
    reply,
};
use crate::{
    access::Caller,
    config::Role,
    connections::{Admitted, Connections},
};

/// Streams at once.
pub const MAX_STREAMS: usize = 1_000;
/// Streams at once from one address.
const MAX_PER_ADDRESS: usize = 32;
/// Items of one batch.
const MAX_ITEMS: usize = 500;
/// Items of one round; of more is only told that everything may have changed.
const MAX_ROUND: usize = 8_000;
/// Batches that wait for the slowest reader, which misses them afterwards: two rounds.
const MAX_BATCHES: usize = 32;
/// How long what happens is remembered for readers that come back.
const LINGER: Duration = Duration::from_secs(60);
/// Pieces of text that wait for one reader.
const MAX_PIECES: usize = 2;
/// Seconds after which to try again where there are too many streams.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

/// The list of what is switched off on all hosts, which the tree tells.
const DISABLED: &str = "disabled";
/// What notifications tell: each incident, and that something else is held back. Who has missed some is told
/// that these lists have changed.
const INCIDENTS: &str = "incidents";
const SUPPRESSIONS: &str = "suppressions";

/// A list that pages show, and a counter that counts up when it changes.
pub type Source = (&'static str, watch::Receiver<u64>);

/// Who may read, asked again when that may have changed.
#[derive(Clone)]
pub struct Rights {
    /// Counts up whenever somebody's rights may be others.
    pub changed: watch::Receiver<u64>,
    /// Whether a caller may read still.
    pub still: Arc<dyn Fn(&Caller) -> bool + Send + Sync>,
}

/// What all streams share.
pub struct Live {
    sources: Vec<Source>,
    rights: Option<Rights>,
    batches: broadcast::Sender<Arc<Batch>>,
    front: watch::Sender<Front>,
    stop: watch::Sender<bool>,
    /// For the collector: somebody new reads, or there is more.
    kicked: Notify,
    streams: Connections,
    state: Mutex<Shared>,
    history: Mutex<History>,
    open: AtomicUsize,
}

#[derive(Default)]
struct Shared {
    wanted: Wanted,
    /// There is a collector.
    is_collecting: bool,
}

/// A reader, counted until it is dropped.
pub struct Subscribed {
    live: Arc<Live>,
    scope: Scope,
    _admitted: Admitted,
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.live.state().wanted.remove(&self.scope);
        self.live.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Live {
    /// Readers are told of changes of `sources`, and lose the stream when they lose their `rights`; without
    /// those nobody does.
    pub fn new(sources: Vec<Source>, rights: Option<Rights>) -> Arc<Live> {
        Arc::new(Live {
            sources,
            rights,
            batches: broadcast::channel(MAX_BATCHES).0,
            front: watch::channel(Front::default()).0,
            stop: watch::channel(false).0,
            kicked: Notify::new(),
            streams: Connections::new(MAX_STREAMS, MAX_PER_ADDRESS),
            state: Mutex::default(),
            history: Mutex::default(),
            open: AtomicUsize::new(0),
        })
    }

    /// Ends all streams at once; there are none afterwards.
    pub fn close(&self) {
        self.stop.send_replace(true);
        self.kicked.notify_one();
    }

    /// How many streams are open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn is_closed(&self) -> bool {
        *self.stop.borrow()
    }

    fn state(&self) -> MutexGuard<'_, Shared> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a reader in, and sees to it that somebody collects.
    fn subscribe(self: &Arc<Live>, api: &Arc<Api>, scope: Scope, from: Admitted) -> Subscribed {
        let mut state = self.state();
        state.wanted.add(&scope);
        self.open.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut state.is_collecting, true) {
            tokio::spawn(collector::collect(Collector::new(api.clone())));
        }
        self.kicked.notify_one();
        Subscribed { live: self.clone(), scope, _admitted: from }
    }
}

/// For the collector.
impl Live {
    /// The lists whose changes are told.
    fn lists(&self) -> impl Iterator<Item = &'static str> {
        self.sources.iter().map(|(name, _)| *name).chain([DISABLED, INCIDENTS, SUPPRESSIONS])
    }

    fn wanted(&self) -> Wanted {
        self.state().wanted.clone()
    }

    fn send(&self, items: Vec<Item>, revision: u64, position: Position) {
        // Nobody may be reading.
        let _ = self.batches.send(Arc::new(Batch { items, revision, position }));
    }

    fn begin(&self, revision: u64) {
        self.history().begin(revision);
    }

    fn forget(&self) {
        self.history().end();
    }

    fn remember_gone(&self, revision: u64, item: Item) {
        self.history().remember(revision, item);
    }

    fn note_changed(&self, what: &'static str, revision: u64) {
        self.history().note_changed(what, revision);
    }

    /// Ends collecting, unless somebody has come in the meantime.
    fn end(&self) -> bool {
        let mut state = self.state();
        state.is_collecting = !state.wanted.is_empty() && !self.is_closed();
        if !state.is_collecting {
            self.forget();
        }
        !state.is_collecting
    }
}

/// What may be read.
pub fn reads() -> OpenApiRouter<Arc<Api>> {
    let mut router = OpenApiRouter::new().routes(routes!(events));
    described::describe(router.get_openapi_mut());
    router
}

/// What changes, as server-sent events, until either side ends it.
#[utoipa::path(
    get,
    path = "/api/events",
    tag = "summary",
    params(
        ("scope" = inline(Option<ScopeWord>), Query, description = "all, overview, group, host, logs or none; all if not given"),
        ("group" = Option<String>, Query, description = "For the scopes group and logs"),
        ("host" = Option<String>, Query, description = "For the scope host: its name or uuid"),
        ("hostname" = Option<String>, Query, description = "For the scope logs"),
        ("probe" = Option<String>, Query, description = "For the scope logs"),
        ("last_event_id" = Option<String>, Query, description = "As the header Last-Event-ID: where to go on"),
    ),
    responses(
        (status = 200, description = "events, of which `Events` describes the data", body = described::Event, content_type = "text/event-stream"),
        (status = 400, body = Refusal, description = "Why it was not understood"),
        (status = 403, body = Refusal, description = "A page of another site has asked"),
        (status = 404, body = Refusal, description = "There is no such host"),
        (status = 503, body = Refusal, description = "There are too many streams, or the server stops"),
    )
)]
async fn events(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    request: axum::http::Extensions,
) -> Response {
    if is_foreign(&headers) {
        let why = "a page of another site has asked for this stream";
        return reply::refuse(StatusCode::FORBIDDEN, why);
    }
    let query = query.unwrap_or_default();
    let scope = match Scope::read(&query, &api.view()) {
        Ok(scope) => scope,
        Err(NoScope::Query(why)) => return reply::refuse(StatusCode::BAD_REQUEST, why),
        Err(NoScope::UnknownHost(host)) => {
            return reply::refuse(StatusCode::NOT_FOUND, unknown_host(&host));
        }
    };
    let address = request.get().and_then(|Origin(origin)| origin.address);
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let admitted = api.live.streams.admit(address).filter(|_| !api.live.is_closed());
    let Some(admitted) = admitted else {
        let why = format!(
            "there are too many event streams ({MAX_STREAMS} in all, {MAX_PER_ADDRESS} from one \
             address), or this instance stops: try again later"
        );
        let mut refused = reply::refuse(StatusCode::SERVICE_UNAVAILABLE, why);
        refused.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        return refused;
    };
    let back = back(api.process, &query, &headers);
    let caller = request.get().cloned().unwrap_or_else(|| Caller::anonymous(Role::Readonly, None));
    stream(api, scope, back, caller, admitted).await
}

/// Where the reader comes back to. The header counts, which a browser sends when it comes back by itself
/// to an address that still has what it began with.
fn back(process: u64, query: &str, headers: &HeaderMap) -> Back {
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let asked = query_pairs(query).find(|(name, _)| name == "last_event_id").map(|(_, id)| id);
    match header.or(asked).filter(|id| !id.is_empty()) {
        None => Back::New,
        Some(id) => item::position(process, &id).map_or(Back::Elsewhere, Back::At),
    }
}

async fn stream(
    api: Arc<Api>,
    scope: Scope,
    back: Back,
    caller: Caller,
    admitted: Admitted,
) -> Response {
    let live = api.live.clone();
    // In this order: what happens after the start is in the batches.
    let (batches, front) = (live.batches.subscribe(), live.front.subscribe());
    let seen = {
        let front = front.borrow();
        (front.counts.0, front.summary.0)
    };
    let subscribed = live.subscribe(&api, scope.clone(), admitted);
    let looked = api.clone();
    let start = tokio::task::spawn_blocking(move || Start::of(&looked, &scope, back)).await;
    let Ok(start) = start else {
        let why = "the stream did not begin because of a mistake in wigo, which its log describes";
        return reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, why);
    };
    let (out, pieces) = mpsc::channel(MAX_PIECES);
    let (rights, stop) = (live.rights.clone(), live.stop.subscribe());
    let reader = Reader { api, caller, subscribed, batches, front, seen, rights, stop, out };
    tokio::spawn(reader.run(start));
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies collect answers before they hand them on.
    let proxy = [("x-accel-buffering", "no")];
    ([kind, cache], proxy, body(pieces)).into_response()
}

fn body(pieces: mpsc::Receiver<Bytes>) -> Body {
    let next = |mut pieces: mpsc::Receiver<Bytes>| async {
        let piece = pieces.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), pieces))
    };
    Body::from_stream(futures_util::stream::unfold(pieces, next))
}

#[cfg(test)]
mod tests;
