//! The HTTP API: routes as a table of contents, handlers that translate, views that are the JSON we promise.

mod auth;
mod authority;
mod fragments;
mod gzip;
mod hosts;
mod index;
mod journal;
mod oidc;
pub mod openapi;
mod reply;
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
    routing::get,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, predicate::SizeAbove},
};

use fragments::Fragments;
#[cfg(test)]
pub use subtree::whole_text;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    access::oidc::Oidc, config::Config, hub::Hub, probe::pool::Pool, push::Authority, store::Store,
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
    /// Signing in at a provider; `None` where that is not configured.
    pub oidc: Option<Arc<Oidc>>,
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
        oidc: Option<Arc<Oidc>>,
    ) -> Arc<Api> {
        let fragments = Arc::new(Fragments::new());
        let process = Uuid::new_v4().as_u64_pair().1;
        Arc::new(Api { hub, store, pool, config, authority, oidc, fragments, process })
    }

    /// The tree as it is now, so that nothing is rendered while probes wait for the tree.
    pub fn view(&self) -> View {
        self.hub.view()
    }
}

/// Routes with their description.
type Routes = OpenApiRouter<Arc<Api>>;

/// What everybody may ask.
fn open() -> Vec<Routes> {
    vec![Routes::new().routes(routes!(healthz)), openapi::open(), oidc::open()]
}

/// What those may ask who may read.
fn reads() -> Vec<Routes> {
    vec![hosts::reads(), journal::reads(), schedule::reads(), authority::reads()]
}

/// What operators may ask.
fn changes() -> Vec<Routes> {
    vec![hosts::changes(), authority::changes()]
}

fn merged(parts: Vec<Routes>) -> Routes {
    parts.into_iter().fold(Routes::new(), Routes::merge)
}

/// Every route there is.
pub fn router(api: Arc<Api>) -> Router {
    let compression =
        CompressionLayer::new().gzip(true).zstd(true).compress_when(SizeAbove::new(COMPRESS_FROM));
    let (routes, _) = merged(open())
        .merge(merged(reads()).layer(from_fn_with_state(api.clone(), auth::check)))
        .merge(merged(changes()).route_layer(from_fn_with_state(api.clone(), auth::operator)))
        .split_for_parts();
    let pages = Router::new()
        .route("/", get(index::page))
        .route("/style.css", get(index::style))
        .layer(from_fn_with_state(api.clone(), auth::check));
    let mut router = routes
        .merge(pages)
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(CatchPanicLayer::new())
        .layer(from_fn(headers));
    if api.config.load().http.gzip {
        router = router.layer(compression);
    }
    router.with_state(api)
}

/// Whether the process answers
///
/// Never behind a login: that is no secret.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "about",
    responses((status = 200, description = "`ok`", body = String)),
)]
async fn healthz() -> Response {
    reply::text("ok\n")
}

/// For all that is no route, and for methods that a route does not have: as in the original, so no 405.
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
