//! The tree over HTTP: instances, hosts, probes, groups, labels.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Serialize;

use super::{
    Api,
    audit::Audited,
    reply::{self, Segments},
    subtree, views,
};
use crate::tree::{Contact, Event, Instance, Presence, ProbeName, View};

type Shared = State<Arc<Api>>;

pub async fn tree(State(api): Shared, headers: HeaderMap) -> Response {
    let tree = api.view();
    let top = tree.me().uuid;
    subtree::answer(&api, tree, top, &headers)
}

pub async fn status(State(api): Shared, headers: HeaderMap) -> Response {
    let status = api.hub.read(|tree| tree.me().global_status());
    reply::json(&headers, &status)
}

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

fn has_label(instance: &Instance, key: &str, value: &str) -> bool {
    let host = &instance.host;
    match key {
        "group" => host.group == value,
        _ => host.labels.get(key).is_some_and(|held| held == value),
    }
}

/// The labels asked for by `labels=key=value,key=value`.
fn labels_of(query: &str) -> Result<Vec<(String, String)>, String> {
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

pub async fn host(
    State(api): Shared,
    Segments(host): Segments<String>,
    headers: HeaderMap,
) -> Response {
    with_host(&api, &host, |tree, instance| {
        subtree::answer(&api, tree.clone(), instance.uuid, &headers)
    })
}

/// Forgets a host that does not report any more.
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

pub async fn host_status(
    State(api): Shared,
    Segments(host): Segments<String>,
    headers: HeaderMap,
) -> Response {
    glance_at(&api, &host, |instance| reply::json(&headers, &instance.global_status()))
}

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

pub async fn groups(State(api): Shared, headers: HeaderMap) -> Response {
    reply::json(&headers, &api.view().groups())
}

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
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Counts {
    hosts: usize,
    alive: usize,
    unknown: usize,
    stopped: usize,
    down: usize,
    probes: usize,
    /// Probes of which the last result is what was known before.
    stale: usize,
}

/// For who only wants to know whether everything is there: small, however large the tree is.
pub async fn counts(State(api): Shared, headers: HeaderMap) -> Response {
    let tree = api.view();
    let mut counts = Counts::default();
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
