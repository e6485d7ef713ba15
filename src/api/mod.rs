//! The HTTP API: routes as a table of contents, handlers that translate, views that are the JSON we promise.

mod about;
mod access;
mod audit;
mod auth;
mod authority;
mod channels;
mod covered;
mod fragments;
mod gzip;
mod hosts;
mod incidents;
mod join_tokens;
mod journal;
pub mod live;
mod maintenance;
mod notifications;
mod notified;
mod oidc;
pub mod openapi;
mod order;
mod orders;
mod page;
mod reply;
mod rights;
mod schedule;
pub mod server;
mod subtree;
mod summary;
mod suppressions;
mod tokens;
mod users;
pub mod views;
mod why;

use std::{ops::Deref, sync::Arc};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{
        CompressionLayer, Predicate,
        predicate::{NotForContentType, SizeAbove},
    },
};

use fragments::Fragments;
use jiff::Timestamp;
use live::Live;
#[cfg(test)]
pub use subtree::whole_text;
use summary::Fleets;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    access::{Access, oidc::Oidc},
    config::{BasePath, Config},
    connections::Connections,
    hub::Hub,
    notify::Notifier,
    orders::Orders,
    probe::pool::Pool,
    push::{Authority, client::Clients},
    store::Store,
    tree::View,
};

/// Answers smaller than this are not worth compressing, in bytes.
const COMPRESS_FROM: u64 = 860;

/// What the API shows and changes.
pub struct Parts {
    pub hub: Arc<Hub>,
    pub store: Store,
    pub pool: Arc<Pool>,
    pub config: Arc<ArcSwap<Config>>,
    /// Who may push; `None` where push clients are not taken.
    pub authority: Option<Arc<Authority>>,
    /// The push clients of this instance.
    pub masters: Arc<Clients>,
    /// Who may use this API.
    pub access: Arc<Access>,
    /// Signing in at a provider; `None` where that is not configured.
    pub oidc: Option<Arc<Oidc>>,
    pub orders: Arc<Orders>,
    /// What people are told.
    pub notifier: Notifier,
    /// Streams of events.
    pub live: Arc<Live>,
    /// Of the server that this API is behind.
    pub connections: Connections,
    pub started: Timestamp,
}

/// What the handlers work with.
pub struct Api {
    parts: Parts,
    /// What was rendered of each instance.
    fragments: Arc<Fragments>,
    /// The tree in short.
    fleets: Fleets,
    /// Tells what this process answers from what an earlier one did.
    process: u64,
    /// Below which path browsers see us; as at the start.
    base: BasePath,
}

impl Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Api {
    /// The API of one agent.
    pub fn new(parts: Parts) -> Arc<Api> {
        let process = Uuid::new_v4().as_u64_pair().1;
        let base = parts.config.load().http.base_path.clone();
        Arc::new(Api {
            parts,
            fragments: Arc::new(Fragments::new()),
            fleets: Fleets::default(),
            process,
            base,
        })
    }

    /// The tree as it is now, so that nothing is rendered while probes wait for the tree.
    pub fn view(&self) -> View {
        self.hub.view()
    }

    /// How many orders wait for hosts that are away.
    fn orders_waiting(&self) -> usize {
        self.orders.count_waiting()
    }
}

/// Routes with their description.
type Routes = OpenApiRouter<Arc<Api>>;

/// What everybody may ask, whoever they are.
fn open() -> Vec<Routes> {
    vec![Routes::new().routes(routes!(healthz)), openapi::open(), oidc::open()]
}

/// What is asked of those who may; [`rights`] says who that is.
fn guarded() -> Vec<Routes> {
    vec![
        hosts::reads(),
        hosts::changes(),
        summary::reads(),
        live::reads(),
        about::reads(),
        journal::reads(),
        incidents::reads(),
        incidents::changes(),
        notifications::reads(),
        notifications::changes(),
        suppressions::reads(),
        suppressions::changes(),
        maintenance::reads(),
        maintenance::changes(),
        channels::reads(),
        channels::changes(),
        why::reads(),
        schedule::reads(),
        schedule::changes(),
        orders::reads(),
        orders::changes(),
        authority::reads(),
        authority::changes(),
        join_tokens::reads(),
        join_tokens::changes(),
        access::open(),
        tokens::reads(),
        tokens::changes(),
        users::reads(),
        users::changes(),
        audit::reads(),
    ]
}

fn merged(parts: Vec<Routes>) -> Routes {
    parts.into_iter().fold(Routes::new(), Routes::merge)
}

/// Every route there is.
pub fn router(api: Arc<Api>) -> Router {
    // What is compressed already gains nothing, and an event must not wait for a block to be full.
    let worth_it =
        SizeAbove::new(COMPRESS_FROM).and(NotForContentType::IMAGES).and(NotForContentType::SSE);
    let compression = CompressionLayer::new().gzip(true).zstd(true).compress_when(worth_it);
    let guarded = merged(guarded()).route_layer(from_fn_with_state(api.clone(), auth::guard));
    let (routes, _) = merged(open()).merge(guarded).split_for_parts();
    let mut router = routes
        // Without a login: the page holds no data.
        .merge(page::routes(&api.base))
        .fallback(page::other_file)
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
