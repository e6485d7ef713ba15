//! `GET /api/search`: jump to anything by a part of its name.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Refused, answer,
    fleet::Fleet,
    query::{Query, find},
    rows::{HostRow, ProbeRow},
};
use crate::{
    api::{
        Api,
        openapi::{Refusal, parameters::Number},
    },
    tree::{Instance, ProbeName, View},
};

/// Results of each kind when the caller does not say, and at most.
const RESULTS: (usize, usize) = (20, 100);

/// What has a name with this text in it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Found {
    pub hosts: Vec<HostRow>,
    pub probes: Vec<ProbeRow>,
    pub groups: Vec<FoundGroup>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct FoundGroup {
    pub name: String,
    pub status: u16,
}

/// Hosts, probes and groups whose names begin with a text, then those that have it somewhere.
#[utoipa::path(
    get,
    path = "/api/search",
    operation_id = "search",
    tag = "summary",
    params(
        ("q" = String, Query, description = "A part of a name, in any letters"),
        ("limit" = inline(Option<Number>), Query, description = "Results of each kind, 100 at most; 20 if not given"),
    ),
    responses(
        (status = 200, body = Found),
        (status = 304, description = "The caller has it"),
        (status = 400, body = Refusal, description = "Why it was not understood"),
    )
)]
pub async fn search(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(api, headers, move |_, tree, fleet| {
        let query = query.as_deref().unwrap_or_default();
        let has_limit = crate::api::hosts::query_pairs(query).any(|(name, _)| name == "limit");
        let query = Query::read(query)?;
        let limit = if has_limit { query.limit.min(RESULTS.1) } else { RESULTS.0 };
        Ok::<_, Refused>(look_for(tree, fleet, &query.text, limit))
    })
    .await
}

/// At most `limit` of each kind; `text` is in small letters. Nothing is found by no text.
pub fn look_for(tree: &View, fleet: &Fleet, text: &str, limit: usize) -> Found {
    let mut hosts = Best::new(limit);
    let mut probes = Best::new(limit);
    let mut groups = Best::new(limit);
    // Many hosts have probes of the same name: each name is looked at once.
    let mut known: HashMap<&ProbeName, Option<bool>> = HashMap::new();
    for row in fleet.by_status().filter(|_| !text.is_empty()) {
        let Some(instance) = tree.get(row.uuid) else { continue };
        hosts.add(begins(&instance.host.name, text), || (row, instance));
        if probes.is_full() {
            continue;
        }
        for (name, probe) in &instance.host.probes {
            let begins = *known.entry(name).or_insert_with(|| begins(name.as_str(), text));
            probes.add(begins, || (instance, probe));
        }
    }
    for group in fleet.groups.iter().filter(|_| !text.is_empty()) {
        groups.add(begins(&group.name, text), || group);
    }
    let host = |(row, instance): (_, &Instance)| HostRow::new(tree, row, instance);
    let probe = |(instance, probe)| ProbeRow::new(tree, instance, probe);
    let group = |group: &super::rows::GroupRow| FoundGroup {
        name: group.name.clone(),
        status: group.status,
    };
    Found {
        hosts: hosts.into_iter().map(host).collect(),
        probes: probes.into_iter().map(probe).collect(),
        groups: groups.into_iter().map(group).collect(),
    }
}

/// Whether a name begins with a text (`true`) or has it further on; nothing if it does not have it.
fn begins(name: &str, text: &str) -> Option<bool> {
    find(name, text).map(|place| place == 0)
}

/// The first few that begin with the text, then of those that have it.
struct Best<T> {
    limit: usize,
    first: Vec<T>,
    rest: Vec<T>,
}

impl<T> Best<T> {
    fn new(limit: usize) -> Best<T> {
        Best { limit, first: Vec::new(), rest: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.first.len() >= self.limit
    }

    fn add(&mut self, begins: Option<bool>, one: impl FnOnce() -> T) {
        let list = match begins {
            Some(true) => &mut self.first,
            Some(false) => &mut self.rest,
            None => return,
        };
        if list.len() < self.limit {
            list.push(one());
        }
    }

    fn into_iter(self) -> impl Iterator<Item = T> {
        self.first.into_iter().chain(self.rest).take(self.limit)
    }
}
