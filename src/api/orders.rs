//! Orders that wait or were carried out lately, and the probes that are switched off, on all hosts.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    Api,
    audit::Audited,
    openapi::{Refusal, parameters::Number},
    order::{QueryPairs, refused},
    reply::{self, Segments},
    summary::{Page, key, number},
};
use crate::{
    access::Caller,
    orders::{self, DisableRecord, MAX_AUTHOR, Words, plain},
    store::StoredOrder,
    tree::{Disabled, Instance, ProbeName, View},
};

/// Rows of a list: as many as are told where nobody says how many, and at most.
const LIMITS: (usize, usize) = (100, 500);
/// Most orders that are told: no more wait and are remembered.
const MAX_LISTED: usize = 2_000;

type Shared = State<Arc<Api>>;

/// What may be read.
pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(disabled))
}

/// What changes something.
pub fn changes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(cancel))
}

/// An order to a host.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Order)]
pub struct OrderView {
    id: Uuid,
    /// What to put in an address for the host.
    host: String,
    host_name: String,
    probe: String,
    /// `disable`, `interval` or `run`.
    action: String,
    parameters: Parameters,
    author: String,
    /// Unix seconds.
    created_at: i64,
    /// Unix seconds: until then it waits.
    expires_at: i64,
    /// `waiting`, `done`, `refused`, `expired` or `cancelled`.
    state: String,
    /// Unix seconds; 0 while it waits.
    finished_at: i64,
    /// Why it waits, or what came of it.
    answer: String,
}

/// What goes with an action.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = OrderParameters)]
struct Parameters {
    /// Why a probe is disabled.
    reason: String,
    /// Seconds after which a disabled probe comes back; 0: not by itself.
    #[serde(rename = "For")]
    back_after: u64,
    /// The interval; 0 if none was ordered.
    seconds: u32,
}

/// A probe that somebody has switched off.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct DisabledRow {
    /// What to put in an address for the host.
    host: String,
    host_name: String,
    group: String,
    #[serde(flatten)]
    record: DisableRecord,
}

impl OrderView {
    /// As it is shown.
    pub fn new(tree: &View, order: &StoredOrder) -> OrderView {
        let Words { action, reason, back_after, seconds } = Words::of(order);
        let host = tree.get(order.instance).map(|instance| key(tree, instance));
        OrderView {
            id: order.id,
            host: host.unwrap_or_else(|| order.instance.to_string()),
            host_name: order.host.clone(),
            probe: order.probe.to_string(),
            action,
            parameters: Parameters { reason, back_after, seconds },
            author: order.author.clone(),
            created_at: order.created.as_second(),
            expires_at: order.expires.as_second(),
            state: order.state.clone(),
            finished_at: order.finished.map_or(0, jiff::Timestamp::as_second),
            answer: order.answer.clone(),
        }
    }
}

/// Orders that wait, and those of the last day, the newest first.
#[utoipa::path(get, path = "/api/orders", operation_id = "orders", tag = "orders", responses(
    (status = 200, body = Vec<OrderView>, description = "As it is now"),
))]
async fn list(State(api): Shared, headers: HeaderMap) -> Response {
    let tree = api.view();
    let orders = api.orders.list();
    let orders: Vec<OrderView> =
        orders.iter().take(MAX_LISTED).map(|order| OrderView::new(&tree, order)).collect();
    reply::json(&headers, &orders)
}

/// Ends an order that waits.
#[utoipa::path(post, path = "/api/orders/{id}/cancel", operation_id = "cancel_order", tag = "orders",
    params(("id" = Uuid, Path, description = "The order")),
    responses(
        (status = 200, body = OrderView, description = "As it is now"),
        (status = 400, body = Refusal, description = "It makes no sense"),
        (status = 404, body = Refusal, description = "There is no such order"),
        (status = 409, body = Refusal, description = "It does not wait any more"),
    ))]
async fn cancel(
    State(api): Shared,
    Extension(caller): Extension<Caller>,
    Segments(id): Segments<String>,
) -> Response {
    let Ok(known) = Uuid::try_parse(&id) else {
        let why = format!("there is no order `{}`", plain(&id, MAX_AUTHOR));
        return reply::refuse(StatusCode::NOT_FOUND, why);
    };
    match api.orders.cancel(known, &plain(&caller.name, MAX_AUTHOR)).await {
        Ok(order) => {
            let audited = Audited {
                target: Some(api.orders.target(order.instance, order.probe.as_str())),
                detail: Some(json!({ "Order": order.id, "Action": Words::of(&order).action })),
                before: Some(json!({ "State": orders::State::Waiting.word() })),
                after: Some(json!({ "State": order.state })),
                ..Audited::default()
            };
            audited.with(reply::json(&HeaderMap::new(), &OrderView::new(&api.view(), &order)))
        }
        Err(refusal) => refused(&refusal),
    }
}

/// The probes of all hosts that somebody has switched off, by name of the host.
#[utoipa::path(get, path = "/api/disabled", operation_id = "disabled", tag = "orders",
    params(
        ("after" = Option<String>, Query, description = "`Next` of the page before"),
        ("limit" = inline(Option<Number>), Query, description = "Rows, 500 at most; 100 if not given"),
        ("q" = Option<String>, Query, description = "A part of a name, the group, the reason or the author"),
    ),
    responses(
        (status = 200, body = Page<DisabledRow>, description = "As it is now"),
        (status = 400, body = Refusal, description = "Why it was not understood"),
    ))]
async fn disabled(State(api): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = QueryPairs::of(query.as_deref().unwrap_or_default());
    match page(&api.view(), &query) {
        Ok(page) => reply::json(&headers, &page),
        Err(why) => reply::refuse(StatusCode::BAD_REQUEST, why),
    }
}

/// Where a row stands: name and uuid of the host, name of the probe.
type Place = (String, Uuid, String);

fn page(tree: &View, query: &QueryPairs) -> Result<Page<DisabledRow>, String> {
    let limit = query.get("limit").map_or(Ok(LIMITS.0), |limit| number("limit", limit))?;
    let limit = limit.clamp(1, LIMITS.1);
    let after = match query.get("after") {
        None => None,
        Some(cursor) => Some(place(cursor).ok_or("`after` is not the `Next` of a page")?),
    };
    let wanted = query.get("q").unwrap_or_default().to_lowercase();
    let matches = |instance: &Instance, probe: &ProbeName, record: &Disabled| {
        let texts =
            [&instance.host.name, &instance.host.group, &record.reason, &record.author].into_iter();
        let mut texts = texts.map(String::as_str).chain([probe.as_str()]);
        wanted.is_empty() || texts.any(|text| text.to_lowercase().contains(&wanted))
    };
    let mut found: Vec<(Place, &Instance, &Disabled)> = Vec::new();
    for instance in tree.all() {
        let records = instance.host.disabled.iter();
        found.extend(records.filter(|(probe, record)| matches(instance, probe, record)).map(
            |(probe, record)| {
                let place = (instance.host.name.clone(), instance.uuid, probe.to_string());
                (place, instance, record)
            },
        ));
    }
    let total = found.len();
    found.retain(|(place, ..)| after.as_ref().is_none_or(|after| place > after));
    found.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(place, ..)| cursor(place));
    let row = |(place, instance, record): &(Place, &Instance, &Disabled)| DisabledRow {
        host: key(tree, instance),
        host_name: instance.host.name.clone(),
        group: instance.host.group.clone(),
        record: DisableRecord::of(&place.2, record),
    };
    let items = found.iter().map(row).collect();
    Ok(Page { items, total, next: next.unwrap_or_default() })
}

fn cursor(place: &Place) -> String {
    let json = serde_json::to_vec(place).expect("texts");
    BASE64_URL_SAFE_NO_PAD.encode(json)
}

fn place(cursor: &str) -> Option<Place> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::tree::{Event, Host, Now, Tree};

    fn tree(probes: usize) -> View {
        let me = Instance::new(Uuid::from_u128(1), "Wigo v1", Host::new("here", "web"));
        let mut tree = Tree::new(me);
        let at = Timestamp::from_second(1_000).unwrap();
        let disabled = |number: usize| Disabled {
            reason: format!("reason {number}"),
            author: "alice".into(),
            interval: 60,
            created: at,
            until: None,
        };
        let named = |number: usize| ProbeName::new(&format!("p{number:03}")).unwrap();
        let probes: BTreeMap<_, _> =
            (0..probes).map(|number| (named(number), disabled(number))).collect();
        let now = Now { wall: at, boot: std::time::Duration::ZERO };
        tree.apply(Event::Disabled { probes }, now);
        tree.view()
    }

    #[test]
    fn pages_neither_repeat_nor_lose_rows() {
        let tree = tree(250);
        let mut names = Vec::new();
        let mut next = String::new();
        loop {
            let page = page(&tree, &QueryPairs::of(&format!("limit=90&after={next}"))).unwrap();
            assert_eq!(page.total, 250);
            names.extend(page.items.iter().map(|row| row.record.probe.clone()));
            next = page.next;
            if next.is_empty() {
                break;
            }
        }
        let wanted: Vec<String> = (0..250).map(|number| format!("p{number:03}")).collect();
        assert_eq!(names, wanted);
    }

    #[test]
    fn rows_are_found_by_a_part_of_what_they_say() {
        let tree = tree(30);
        let count = |query: &str| page(&tree, &QueryPairs::of(query)).map(|page| page.total);
        assert_eq!(
            (count("q=REASON%2029"), count("q=alice"), count("q=nobody")),
            (Ok(1), Ok(30), Ok(0))
        );
        for query in ["limit=-1", "limit=x", "after=!!", "after=e30"] {
            assert!(count(query).is_err(), "{query}");
        }
    }
}
