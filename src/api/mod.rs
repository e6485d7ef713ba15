//! The HTTP API: routes as a table of contents, handlers that translate, views that are the JSON we promise.

mod auth;
mod hosts;
mod index;
mod journal;
mod reply;
mod schedule;
pub mod server;
pub mod views;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, predicate::SizeAbove},
};

use crate::{config::Config, hub::Hub, probe::pool::Pool, store::Store, tree::View};

/// Answers smaller than this are not worth compressing, in bytes.
const COMPRESS_FROM: u64 = 860;

/// What the handlers work with.
pub struct Api {
    pub hub: Arc<Hub>,
    pub store: Store,
    pub pool: Arc<Pool>,
    pub config: Arc<ArcSwap<Config>>,
    snapshot: Mutex<Option<Arc<Snapshot>>>,
}

/// The tree at one moment, shared by all requests until it changes, so that nothing is rendered while
/// probes wait for the tree.
pub struct Snapshot {
    pub tree: View,
    /// `/api`, rendered by the first who asks.
    whole: OnceLock<reply::Document>,
}

impl Api {
    /// The API of one agent.
    pub fn new(
        hub: Arc<Hub>,
        store: Store,
        pool: Arc<Pool>,
        config: Arc<ArcSwap<Config>>,
    ) -> Arc<Api> {
        Arc::new(Api { hub, store, pool, config, snapshot: Mutex::new(None) })
    }

    /// The tree as it is now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        let mut held = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = self.hub.read(|tree| tree.revision());
        match held.as_ref().filter(|held| held.tree.revision() == revision) {
            Some(held) => held.clone(),
            None => {
                let taken = Arc::new(Snapshot { tree: self.hub.view(), whole: OnceLock::new() });
                *held = Some(taken.clone());
                taken
            }
        }
    }
}

/// Every route there is.
pub fn router(api: Arc<Api>) -> Router {
    let compression =
        CompressionLayer::new().gzip(true).zstd(true).compress_when(SizeAbove::new(COMPRESS_FROM));
    let routes = Router::new()
        // People
        .route("/", get(index::page))
        .route("/style.css", get(index::style))
        // The tree
        .route("/api", get(hosts::tree))
        .route("/api/status", get(hosts::status))
        .route("/api/counts", get(hosts::counts))
        .route("/api/hosts", get(hosts::hosts))
        .route("/api/hosts/{host}", get(hosts::host))
        .route("/api/hosts/{host}/status", get(hosts::host_status))
        .route("/api/hosts/{host}/probes", get(hosts::probes))
        .route("/api/hosts/{host}/probes/{probe}", get(hosts::probe))
        .route("/api/hosts/{host}/probes/{probe}/status", get(hosts::probe_status))
        .route("/api/groups", get(hosts::groups))
        .route("/api/groups/{group}", get(hosts::group))
        .route("/api/labels", get(hosts::labels))
        // What happened
        .route("/api/logs", get(journal::logs))
        .route("/api/logs/indexes", get(journal::indexes))
        .route("/api/groups/{group}/logs", get(journal::group_logs))
        .route("/api/groups/{group}/probes/{probe}/logs", get(journal::group_probe_logs))
        .route("/api/hosts/{host}/logs", get(journal::host_logs))
        .route("/api/hosts/{host}/probes/{probe}/logs", get(journal::host_probe_logs))
        .route("/api/probes/{probe}/logs", get(journal::probe_logs))
        .route("/api/hosts/{host}/timeline", get(journal::timeline))
        // What runs when
        .route("/api/probes", get(schedule::probes))
        .route("/api/hosts/{host}/schedule", get(schedule::of_host))
        // Who may push
        .route("/api/authority/hosts", get(authority))
        .layer(from_fn_with_state(api.clone(), auth::check));
    let mut router = Router::new()
        // Never behind a login: whether the process answers is no secret.
        .route("/healthz", get(async || "ok\n"))
        .merge(routes)
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(CatchPanicLayer::new())
        .layer(from_fn(headers));
    if api.config.load().http.gzip {
        router = router.layer(compression);
    }
    router.with_state(api)
}

async fn not_found() -> Response {
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (StatusCode::NOT_FOUND, text, "404 page not found\n").into_response()
}

async fn authority(State(_): State<Arc<Api>>) -> Response {
    reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, "Push server is not started")
}

/// What every answer says to browsers.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; \
                  frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
