//! The HTTP API: routes as a table of contents, handlers that translate, views that are the JSON we promise.

mod about;
mod auth;
mod authority;
mod fragments;
mod gzip;
mod hosts;
mod journal;
pub mod live;
mod page;
mod reply;
mod schedule;
pub mod server;
mod subtree;
mod summary;
pub mod views;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer, Predicate,
        predicate::{NotForContentType, SizeAbove},
    },
};

pub use about::Around;
use fragments::Fragments;
use live::Live;
#[cfg(test)]
pub use subtree::whole_text;
use summary::Fleets;
use uuid::Uuid;

use crate::{
    config::Config,
    hub::Hub,
    probe::pool::Pool,
    push::Authority,
    store::Store,
    tree::{Instance, View},
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
    /// What was rendered of each instance.
    fragments: Arc<Fragments>,
    /// The tree in short.
    fleets: Fleets,
    /// Streams of events.
    pub live: Arc<Live>,
    /// What only the page about this instance looks at.
    around: Around,
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
        live: Arc<Live>,
        around: Around,
    ) -> Arc<Api> {
        let (fragments, fleets) = (Arc::new(Fragments::new()), Fleets::default());
        let process = Uuid::new_v4().as_u64_pair().1;
        Arc::new(Api {
            hub,
            store,
            pool,
            config,
            authority,
            fragments,
            fleets,
            live,
            around,
            process,
        })
    }

    /// The tree as it is now, so that nothing is rendered while probes wait for the tree.
    pub fn view(&self) -> View {
        self.hub.view()
    }

    /// How many orders wait for hosts that are away.
    fn orders_waiting(&self) -> usize {
        0
    }

    /// The probes of an instance that somebody switched off.
    fn disabled_of(&self, _instance: &Instance) -> Vec<serde_json::Value> {
        Vec::new()
    }

    /// What an instance lets be asked of it.
    fn remote_control_of(&self, _instance: &Instance) -> &'static str {
        "unknown"
    }
}

/// Every route there is.
pub fn router(api: Arc<Api>) -> Router {
    // What is compressed already gains nothing, and an event must not wait for a block to be full.
    let worth_it =
        SizeAbove::new(COMPRESS_FROM).and(NotForContentType::IMAGES).and(NotForContentType::SSE);
    let compression = CompressionLayer::new().gzip(true).zstd(true).compress_when(worth_it);
    let routes = Router::new()
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
        .merge(Router::from(summary::reads()))
        .merge(Router::from(live::reads()))
        .merge(Router::from(about::reads()))
        .layer(from_fn_with_state(api.clone(), auth::check));
    let changes = Router::new()
        // The tree
        .route("/api/hosts/{host}/forget", post(hosts::forget))
        // Who may push
        .route("/api/authority/hosts/{uuid}/allow", post(authority::allow))
        .route("/api/authority/hosts/{uuid}/revoke", post(authority::revoke))
        .route_layer(from_fn_with_state(api.clone(), auth::operator));
    let mut router = Router::new()
        // Never behind a login: whether the process answers is no secret.
        .route("/healthz", get(async || "ok\n"))
        // Nor the page: it holds no data.
        .merge(page::routes())
        .merge(routes)
        .merge(changes)
        .fallback(page::other_file)
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

/// What a browser may do with what it gets from us: show our page, with nothing from elsewhere in it, in
/// no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// What every answer says to browsers.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use utoipa_axum::router::OpenApiRouter;

    use super::*;

    #[test]
    fn what_is_described_can_be_written_down() {
        let mut described =
            OpenApiRouter::new().merge(summary::reads()).merge(live::reads()).merge(about::reads());
        let text = described.to_openapi().to_json().unwrap();
        for path in ["/api/summary/hosts/{host}", "/api/events", "/api/about", "/api/search"] {
            assert!(text.contains(&format!("\"{path}\"")), "{path}");
        }
        for schema in ["HostRow", "ProblemRow", "Counts", "About"] {
            assert!(text.contains(&format!("\"{schema}\":{{")), "{schema}: {text}");
        }
    }
}
