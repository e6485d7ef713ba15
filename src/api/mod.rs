//! The HTTP API: routes as a table of contents, handlers that translate, views that are the JSON we promise.

mod access;
mod accounts;
mod audit;
mod auth;
mod authority;
mod fragments;
mod gzip;
mod hosts;
mod index;
mod join_tokens;
mod journal;
mod reply;
mod rights;
mod schedule;
pub mod server;
mod subtree;
pub mod views;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, predicate::SizeAbove},
};

use fragments::Fragments;
#[cfg(test)]
pub use subtree::whole_text;
use uuid::Uuid;

use crate::{
    access::Access, config::Config, hub::Hub, probe::pool::Pool, push::Authority, store::Store,
    tree::View,
};

/// Answers smaller than this are not worth compressing, in bytes.
const COMPRESS_FROM: u64 = 860;

/// What the handlers work with.
pub struct Api {
    pub hub: Arc<Hub>,
    pub store: Store,
    pub pool: Arc<Pool>,
    pub config: Arc<ArcSwap<Config>>,
    /// Who may push; `None` where push clients are not taken.
    pub authority: Option<Arc<Authority>>,
    /// Who may use this API.
    pub access: Arc<Access>,
    /// What was rendered of each instance.
    fragments: Arc<Fragments>,
    /// Tells what this process answers from what an earlier one did.
    process: u64,
}

impl Api {
    /// The API of one agent.
    pub fn new(
        hub: Arc<Hub>,
        store: Store,
        pool: Arc<Pool>,
        config: Arc<ArcSwap<Config>>,
        authority: Option<Arc<Authority>>,
        access: Arc<Access>,
    ) -> Arc<Api> {
        let fragments = Arc::new(Fragments::new());
        let process = Uuid::new_v4().as_u64_pair().1;
        Arc::new(Api { hub, store, pool, config, authority, access, fragments, process })
    }

    /// The tree as it is now, so that nothing is rendered while probes wait for the tree.
    pub fn view(&self) -> View {
        self.hub.view()
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
        .route("/api/authority/hosts", get(authority::hosts))
        .merge(Router::from(access::open()))
        .merge(Router::from(accounts::reads()))
        .merge(Router::from(audit::reads()))
        .merge(Router::from(join_tokens::reads()))
        .route_layer(from_fn_with_state(api.clone(), auth::guard));
    let changes = Router::new()
        // The tree
        .route("/api/hosts/{host}/forget", post(hosts::forget))
        // Who may push
        .route("/api/authority/hosts/{uuid}/allow", post(authority::allow))
        .route("/api/authority/hosts/{uuid}/revoke", post(authority::revoke))
        .merge(Router::from(accounts::changes()))
        .merge(Router::from(join_tokens::changes()))
        .route_layer(from_fn_with_state(api.clone(), auth::guard));
    let mut router = Router::new()
        // Never behind a login: whether the process answers is no secret.
        .route("/healthz", get(async || "ok\n"))
        .merge(routes)
        .merge(changes)
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
