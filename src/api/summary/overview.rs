//! `GET /api/summary`: how everything is, on one page.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    answer,
    fleet::Fleet,
    lists::problem_row,
    query::number,
    rows::{Counts, GroupRow, ProblemRow, key, now},
};
use crate::{
    api::{
        Api,
        hosts::query_pairs,
        openapi::{Refusal, parameters::Number},
        views,
    },
    store::LogQuery,
    tree::View,
};

/// Problems that are shown when the caller does not say, and at most.
const PROBLEMS: (usize, usize) = (50, 500);
/// Groups that are shown when the caller does not say, and at most.
const GROUPS: (usize, usize) = (100, 1_000);
/// Entries of the log that are shown.
const RECENT: usize = 10;

/// How everything is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Summary {
    /// Unix seconds with fraction.
    pub now: f64,
    /// Differs whenever anything does.
    pub revision: u64,
    instance: Me,
    /// The worst of all.
    status: u16,
    hosts: Counts,
    probes: Counts,
    /// What is wrong, worst first, of that the newest first.
    problems: Vec<ProblemRow>,
    problems_total: usize,
    /// Worst first.
    groups: Vec<GroupRow>,
    groups_total: usize,
    /// The newest entries of the log, the newest first.
    #[schema(value_type = Vec<views::LogEntry>)]
    recent: Vec<Box<RawValue>>,
    /// Clients that wait to be allowed.
    waiting: usize,
    orders_waiting: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Me {
    uuid: Uuid,
    key: String,
    name: String,
    version: String,
}

/// How many are how; what every page shows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Counted {
    /// Unix seconds with fraction.
    pub now: f64,
    status: u16,
    hosts: Counts,
    probes: Counts,
    waiting: usize,
    orders_waiting: usize,
}

impl Counted {
    /// As it is now.
    pub fn of(api: &Api, tree: &View, fleet: &Fleet) -> Counted {
        Counted {
            now: now(),
            status: tree.me().global_status().number(),
            hosts: fleet.hosts,
            probes: fleet.probes,
            waiting: waiting(api),
            orders_waiting: api.orders_waiting(),
        }
    }
}

impl Summary {
    /// As it is now, with so many problems and groups. Blocks if the log has to be read.
    pub fn of(api: &Api, tree: &View, fleet: &Fleet, shown: Shown) -> Summary {
        let me = tree.me();
        let problems = fleet.problems();
        let rows = problems.iter().take(shown.problems);
        Summary {
            now: now(),
            revision: tree.revision(),
            instance: Me {
                uuid: me.uuid,
                key: key(tree, me),
                name: me.host.name.clone(),
                version: me.version.clone(),
            },
            status: me.global_status().number(),
            hosts: fleet.hosts,
            probes: fleet.probes,
            problems: rows.filter_map(|problem| problem_row(tree, fleet, problem)).collect(),
            problems_total: problems.len(),
            groups: fleet.groups.iter().take(shown.groups).cloned().collect(),
            groups_total: fleet.groups.len(),
            recent: recent(api),
            waiting: waiting(api),
            orders_waiting: api.orders_waiting(),
        }
    }
}

/// How much of the lists a summary shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub problems: usize,
    pub groups: usize,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown { problems: PROBLEMS.0, groups: GROUPS.0 }
    }
}

impl Shown {
    fn read(query: &str) -> Result<Shown, String> {
        let mut shown = Shown::default();
        for (name, value) in query_pairs(query).filter(|(_, value)| !value.is_empty()) {
            match name.as_str() {
                "problems" => shown.problems = number(&name, &value)?.min(PROBLEMS.1),
                "groups" => shown.groups = number(&name, &value)?.min(GROUPS.1),
                _ => {}
            }
        }
        Ok(shown)
    }
}

/// How everything is: counts, what is broken, groups, what happened last.
#[utoipa::path(
    get,
    path = "/api/summary",
    operation_id = "summary",
    tag = "summary",
    params(
        ("problems" = inline(Option<Number>), Query, description = "Problems to show, 500 at most; 50 if not given"),
        ("groups" = inline(Option<Number>), Query, description = "Groups to show, 1000 at most; 100 if not given"),
    ),
    responses(
        (status = 200, body = Summary),
        (status = 304, description = "The caller has it"),
        (status = 400, body = Refusal, description = "Why it was not understood"),
    )
)]
pub async fn summary(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(api, headers, move |api, tree, fleet| {
        let shown = Shown::read(query.as_deref().unwrap_or_default())?;
        Ok(Summary::of(api, tree, fleet, shown))
    })
    .await
}

fn waiting(api: &Api) -> usize {
    api.authority.as_ref().map_or(0, |authority| authority.waiting_count())
}

/// The newest entries of the log. What has just happened is in memory and may not be on the disk yet.
fn recent(api: &Api) -> Vec<Box<RawValue>> {
    let json = |entry: &crate::hub::Entry| {
        serde_json::value::to_raw_value(&views::LogEntry::new(entry)).ok()
    };
    let newest = api.hub.newest_entries(RECENT);
    let mut recent: Vec<_> = newest.iter().filter_map(|entry| json(entry)).collect();
    if newest.len() < RECENT {
        let oldest = newest.last().map_or(u64::MAX, |entry| entry.id);
        let before = LogQuery { limit: 2 * RECENT, ..LogQuery::default() };
        // What cannot be read is said by the probe of the agent itself.
        let before = api.store.logs(&before).unwrap_or_default();
        let before = before.iter().filter(|entry| entry.id < oldest);
        recent.extend(before.take(RECENT - newest.len()).filter_map(json));
    }
    recent
}
