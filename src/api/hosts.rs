//! The tree over HTTP: instances, hosts, probes, groups, labels.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Serialize;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::path::{Parameter, ParameterIn},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    audit::Audited,
    openapi::{self, Refusal, parameters::Labels},
    reply::{self, Segments},
    subtree, views,
};
use crate::{
    status::Status,
    tree::{Contact, Event, Instance, Presence, ProbeName, View},
};

type Shared = State<Arc<Api>>;

pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(tree))
        .routes(routes!(status))
        .routes(routes!(counts))
        .routes(routes!(hosts))
        .routes(routes!(host))
        .routes(routes!(host_status))
        .routes(routes!(probes))
        .routes(routes!(probe))
        .routes(routes!(probe_status))
        .routes(routes!(groups))
        .routes(routes!(group))
        .routes(routes!(labels))
}

pub fn changes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(forget))
}

/// This instance with everything below it
///
/// Grows with the fleet: for pages and for large trees there is `/api/summary`.
#[utoipa::path(
    get, path = "/api", operation_id = "tree", tag = "tree",
    responses((status = 200, description = "the whole tree", body = views::Wigo)),
)]
pub async fn tree(State(api): Shared, headers: HeaderMap) -> Response {
    let tree = api.view();
    let top = tree.me().uuid;
    subtree::answer(&api, tree, top, &headers)
}

/// The worst status of the whole tree
#[utoipa::path(
    get, path = "/api/status", operation_id = "status", tag = "tree",
    responses((status = 200, description = "the status", body = Status)),
)]
pub async fn status(State(api): Shared, headers: HeaderMap) -> Response {
    let status = api.hub.read(|tree| tree.me().global_status());
    reply::json(&headers, &status)
}

/// The parameters of `GET /api/hosts`.
struct HostsParams;

impl IntoParams for HostsParams {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let meaning = "only hosts with all of these labels; `group` is one of them";
        vec![openapi::query("labels", Labels::schema(), meaning)]
    }
}

/// The names of all hosts
#[utoipa::path(
    get, path = "/api/hosts", operation_id = "hosts", tag = "tree",
    params(HostsParams),
    responses((status = 200, description = "their names", body = Vec<String>), (status = 400, description = "what is no label, or a key twice", body = Refusal)),
)]
pub async fn hosts(State(api): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let wanted = match labels_of(query.as_deref().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(why) => return reply::refuse(StatusCode::BAD_REQUEST, why),
    };
    let tree = api.view();
    let instances = tree.instances().into_iter();
    let names: Vec<&str> = instances
        .filter(|instance| wanted.iter().all(|(key, value)| has_label(instance, key, value)))
        .map(|instance| instance.host.name.as_str())
        .collect();
    reply::json(&headers, &names)
}

/// Whether a host has a label; its group counts as one.
pub fn has_label(instance: &Instance, key: &str, value: &str) -> bool {
    let host = &instance.host;
    match key {
        "group" => host.group == value,
        _ => host.labels.get(key).is_some_and(|held| held == value),
    }
}

/// The labels asked for by `labels=key=value,key=value`.
pub fn labels_of(query: &str) -> Result<Vec<(String, String)>, String> {
    let mut wanted: Vec<(String, String)> = Vec::new();
    for (_, value) in query_pairs(query).filter(|(name, _)| name == "labels") {
        for pair in value.split(',').filter(|pair| !pair.is_empty()) {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(format!("`{pair}` is not a label: write key=value"));
            };
            if wanted.iter().any(|(known, _)| known == key) {
                return Err(format!("the label `{key}` is asked for twice"));
            }
            wanted.push((key.into(), value.into()));
        }
    }
    Ok(wanted)
}

/// The pairs of a query string, decoded.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let uri = format!("/?{query}").parse().unwrap_or_default();
    let parsed: Result<axum::extract::Query<Vec<(String, String)>>, _> =
        axum::extract::Query::try_from_uri(&uri);
    parsed.map(|pairs| pairs.0).unwrap_or_default().into_iter()
}

/// Answers from the instance of this name or uuid, or says that there is none.
fn with_host(api: &Api, host: &str, answer: impl FnOnce(&View, &Instance) -> Response) -> Response {
    let tree = api.view();
    match tree.find(host) {
        Some(instance) => answer(&tree, instance),
        None => reply::refuse(StatusCode::NOT_FOUND, unknown_host(host)),
    }
}

/// The same without a copy of the tree, for what is answered in no time.
fn glance_at(api: &Api, host: &str, answer: impl FnOnce(&Instance) -> Response) -> Response {
    api.hub.read(|tree| match tree.find(host) {
        Some(instance) => answer(instance),
        None => reply::refuse(StatusCode::NOT_FOUND, unknown_host(host)),
    })
}

/// The original's words for it.
pub fn unknown_host(host: &str) -> String {
    format!("Remote wigo {host} not found")
}

/// The original's words for it.
pub fn unknown_probe(host: &str, probe: &str) -> Response {
    let why = format!("Probe {probe} not found in remote wigo {host}");
    reply::refuse(StatusCode::NOT_FOUND, why)
}

/// A host with everything below it
#[utoipa::path(
    get, path = "/api/hosts/{host}", operation_id = "host", tag = "tree",
    params(("host" = String, Path, description = "a host by its name or its uuid")),
    responses((status = 200, description = "the host", body = views::Wigo), (status = 404, description = "there is no such host", body = Refusal)),
)]
pub async fn host(
    State(api): Shared,
    Segments(host): Segments<String>,
    headers: HeaderMap,
) -> Response {
    with_host(&api, &host, |tree, instance| {
        subtree::answer(&api, tree.clone(), instance.uuid, &headers)
    })
}

/// Forgets a host that does not report any more
#[utoipa::path(
    post, path = "/api/hosts/{host}/forget", operation_id = "forget_host", tag = "tree",
    params(("host" = String, Path, description = "a host by its name or its uuid")),
    responses((status = 200, description = "`OK`", body = String), (status = 404, description = "there is no such host", body = Refusal), (status = 409, description = "it would be back the next moment", body = Refusal)),
)]
pub async fn forget(State(api): Shared, Segments(host): Segments<String>) -> Response {
    let tree = api.view();
    let Some(instance) = tree.find(&host) else {
        return reply::refuse(StatusCode::NOT_FOUND, unknown_host(&host));
    };
    if let Err(why) = may_forget(&tree, instance) {
        return reply::refuse(StatusCode::CONFLICT, why);
    }
    let why = "forgotten by an operator".to_owned();
    api.hub.handle(Event::Forgotten { uuid: instance.uuid, why });
    let name = &instance.host.name;
    let before =
        serde_json::json!({"Name": name, "Uuid": instance.uuid, "Group": instance.host.group});
    Audited { action: Some("host.forget"), before: Some(before), ..Audited::default() }
        .with(reply::text("OK"))
}

/// What would be back the next moment cannot be forgotten.
fn may_forget(tree: &View, instance: &Instance) -> Result<(), String> {
    let name = &instance.host.name;
    if instance.uuid == tree.me().uuid {
        return Err(format!("{name} is this instance itself"));
    }
    let is_alive = tree.presence(instance) == Presence::Alive;
    match instance.contact.as_deref() {
        Some(Contact::Pull { endpoint, .. }) => Err(format!(
            "{name} is asked at {endpoint}: remove it from [RemoteWigos] and reload the configuration"
        )),
        Some(Contact::Push { .. }) if is_alive => Err(format!(
            "{name} is a push client and connected: revoke it (/api/authority/hosts/{}/revoke)",
            instance.uuid
        )),
        _ if is_alive => Err(format!("{name} reports: only what does not report can be forgotten")),
        _ => Ok(()),
    }
}

/// The worst status of a host and all below it
#[utoipa::path(
    get, path = "/api/hosts/{host}/status", operation_id = "host_status", tag = "tree",
    params(("host" = String, Path, description = "a host by its name or its uuid")),
    responses((status = 200, description = "the status", body = Status), (status = 404, description = "there is no such host", body = Refusal)),
)]
pub async fn host_status(
    State(api): Shared,
    Segments(host): Segments<String>,
    headers: HeaderMap,
) -> Response {
    glance_at(&api, &host, |instance| reply::json(&headers, &instance.global_status()))
}

/// The names of the probes of a host
#[utoipa::path(
    get, path = "/api/hosts/{host}/probes", operation_id = "host_probes", tag = "tree",
    params(("host" = String, Path, description = "a host by its name or its uuid")),
    responses((status = 200, description = "their names", body = Vec<ProbeName>), (status = 404, description = "there is no such host", body = Refusal)),
)]
pub async fn probes(
    State(api): Shared,
    Segments(host): Segments<String>,
    headers: HeaderMap,
) -> Response {
    with_host(&api, &host, |_, instance| {
        let names: Vec<&ProbeName> = instance.host.probes.keys().collect();
        reply::json(&headers, &names)
    })
}

/// The last result of a probe
#[utoipa::path(
    get, path = "/api/hosts/{host}/probes/{probe}", operation_id = "probe", tag = "tree",
    params(("host" = String, Path, description = "a host by its name or its uuid"), ("probe" = String, Path, description = "a probe by its name")),
    responses((status = 200, description = "the result", body = views::Probe), (status = 404, description = "there is no such host, or no such probe of it", body = Refusal)),
)]
pub async fn probe(
    State(api): Shared,
    Segments((host, probe)): Segments<(String, String)>,
    headers: HeaderMap,
) -> Response {
    with_host(&api, &host, |tree, instance| match instance.host.probes.get(probe.as_str()) {
        Some(found) => reply::json(&headers, &views::Probe::new(found, tree.is_stale(instance))),
        None => unknown_probe(&host, &probe),
    })
}

/// The status of a probe
#[utoipa::path(
    get, path = "/api/hosts/{host}/probes/{probe}/status", operation_id = "probe_status", tag = "tree",
    params(("host" = String, Path, description = "a host by its name or its uuid"), ("probe" = String, Path, description = "a probe by its name")),
    responses((status = 200, description = "the status", body = Status), (status = 404, description = "there is no such host, or no such probe of it", body = Refusal)),
)]
pub async fn probe_status(
    State(api): Shared,
    Segments((host, probe)): Segments<(String, String)>,
    headers: HeaderMap,
) -> Response {
    glance_at(&api, &host, |instance| match instance.host.probes.get(probe.as_str()) {
        Some(found) => reply::json(&headers, &found.result.status),
        None => unknown_probe(&host, &probe),
    })
}

/// The names of all groups
#[utoipa::path(
    get, path = "/api/groups", operation_id = "groups", tag = "tree",
    responses((status = 200, description = "their names", body = Vec<String>)),
)]
pub async fn groups(State(api): Shared, headers: HeaderMap) -> Response {
    reply::json(&headers, &api.view().groups())
}

/// The hosts of a group with their probes
#[utoipa::path(
    get, path = "/api/groups/{group}", operation_id = "group", tag = "tree",
    params(("group" = String, Path, description = "a group by its name")),
    responses((status = 200, description = "the group", body = views::Group), (status = 404, description = "there is no such group", body = Refusal)),
)]
pub async fn group(
    State(api): Shared,
    Segments(group): Segments<String>,
    headers: HeaderMap,
) -> Response {
    let tree = api.view();
    match tree.group(&group) {
        Some(found) => reply::json(&headers, &views::Group::new(&tree, &found)),
        None => reply::refuse(StatusCode::NOT_FOUND, format!("Group {group} not found")),
    }
}

/// How many hosts and probes there are, and of how many it is known how they are now.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Census {
    hosts: usize,
    alive: usize,
    unknown: usize,
    stopped: usize,
    down: usize,
    probes: usize,
    /// Probes of which the last result is what was known before.
    stale: usize,
}

/// How many hosts and probes there are
///
/// For who only wants to know whether everything is there: small, however large the tree is.
#[utoipa::path(
    get, path = "/api/counts", operation_id = "counts", tag = "tree",
    responses((status = 200, description = "the numbers", body = Census)),
)]
pub async fn counts(State(api): Shared, headers: HeaderMap) -> Response {
    let tree = api.view();
    let mut counts = Census::default();
    for instance in tree.all() {
        let presence = tree.presence(instance);
        let is_stale = presence != Presence::Alive;
        counts.hosts += 1;
        *match presence {
            Presence::Alive => &mut counts.alive,
            Presence::Unknown => &mut counts.unknown,
            Presence::Stopped => &mut counts.stopped,
            Presence::Down => &mut counts.down,
        } += 1;
        let probes = instance.host.probes.values();
        counts.probes += probes.len();
        counts.stale += probes.filter(|probe| is_stale || probe.stale).count();
    }
    reply::json(&headers, &counts)
}

/// How many hosts have each value of each label
#[utoipa::path(
    get, path = "/api/labels", operation_id = "labels", tag = "tree",
    responses((status = 200, description = "the numbers by value by key", body = BTreeMap<String, BTreeMap<String, usize>>)),
)]
pub async fn labels(State(api): Shared, headers: HeaderMap) -> Response {
    reply::json(&headers, &count_labels(&api.view()))
}

/// How many hosts have each value of each label.
fn count_labels(tree: &View) -> BTreeMap<&str, BTreeMap<&str, usize>> {
    let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for instance in tree.all() {
        let host = &instance.host;
        let labels = host.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let group = Some(("group", host.group.as_str())).filter(|(_, group)| !group.is_empty());
        for (key, value) in labels.chain(group) {
            *counts.entry(key).or_default().entry(value).or_default() += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_and_doubles_refused() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            labels_of("labels=env=prod,role=db%20x"),
            Ok(vec![pair("env", "prod"), pair("role", "db x")])
        );
        assert_eq!(labels_of("other=1"), Ok(vec![]));
        assert!(labels_of("labels=env=a,env=b").unwrap_err().contains("twice"));
        assert!(labels_of("labels=env").unwrap_err().contains("key=value"));
    }
}
