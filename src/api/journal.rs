//! What happened: the log in all its routes, and the timeline of a host.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::path::{Parameter, ParameterIn},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    hosts::{query_pairs, unknown_host, unknown_probe},
    openapi::{
        Refusal,
        parameters::{LevelWord, Number, Time},
        query, text,
    },
    reply::{self, Segments},
    views,
};
use crate::{
    status::{Level, Status},
    store::{LogQuery, Store, StoreError, Subject},
    tree::{Instance, ProbeName, View},
};

type Shared = State<Arc<Api>>;

pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(logs))
        .routes(routes!(indexes))
        .routes(routes!(group_logs))
        .routes(routes!(group_probe_logs))
        .routes(routes!(host_logs))
        .routes(routes!(host_probe_logs))
        .routes(routes!(probe_logs))
        .routes(routes!(timeline))
}

/// Entries of one answer when the caller does not say, as in the original.
const DEFAULT_LIMIT: usize = 100;
/// Most entries of one answer.
const MAX_LIMIT: usize = 10_000;
/// Longest text that is looked for, in characters.
const MAX_TEXT: usize = 256;
/// How far back a timeline goes when the caller does not say.
const DEFAULT_TIMELINE: SignedDuration = SignedDuration::from_hours(24);
/// Ways besides the chosen one whose word about a host counts in its timeline.
const MAX_ALTERNATIVES: usize = 64;

/// What happened, everywhere
#[utoipa::path(
    get, path = "/api/logs", operation_id = "logs", tag = "journal",
    params(LogParams),
    responses((status = 200, description = "the newest first", body = Vec<views::LogEntry>), (status = 400, description = "what is no time", body = Refusal), (status = 404, description = "neither the tree nor the log knows the host or the probe asked for", body = Refusal)),
)]
pub async fn logs(State(api): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    answer(&api, query, None, None, None, headers).await
}

/// What happened in a group
#[utoipa::path(
    get, path = "/api/groups/{group}/logs", operation_id = "group_logs", tag = "journal",
    params(("group" = String, Path, description = "a group by its name"), LogParams),
    responses((status = 200, description = "the newest first", body = Vec<views::LogEntry>), (status = 404, description = "neither the tree nor the log knows the host or the probe asked for", body = Refusal)),
)]
pub async fn group_logs(
    State(api): Shared,
    Segments(group): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(&api, query, None, Some(group), None, headers).await
}

/// What happened to a probe in a group
#[utoipa::path(
    get, path = "/api/groups/{group}/probes/{probe}/logs", operation_id = "group_probe_logs", tag = "journal",
    params(("group" = String, Path, description = "a group by its name"), ("probe" = String, Path, description = "a probe by its name"), LogParams),
    responses((status = 200, description = "the newest first", body = Vec<views::LogEntry>), (status = 404, description = "neither the tree nor the log knows the host or the probe asked for", body = Refusal)),
)]
pub async fn group_probe_logs(
    State(api): Shared,
    Segments((group, probe)): Segments<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(&api, query, None, Some(group), Some(probe), headers).await
}

/// What happened to a host
#[utoipa::path(
    get, path = "/api/hosts/{host}/logs", operation_id = "host_logs", tag = "journal",
    params(("host" = String, Path, description = "a host by its name or its uuid"), LogParams),
    responses((status = 200, description = "the newest first", body = Vec<views::LogEntry>), (status = 404, description = "neither the tree nor the log knows it", body = Refusal)),
)]
pub async fn host_logs(
    State(api): Shared,
    Segments(host): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(&api, query, Some(host), None, None, headers).await
}

/// What happened to a probe of a host
#[utoipa::path(
    get, path = "/api/hosts/{host}/probes/{probe}/logs", operation_id = "host_probe_logs", tag = "journal",
    params(("host" = String, Path, description = "a host by its name or its uuid"), ("probe" = String, Path, description = "a probe by its name"), LogParams),
    responses((status = 200, description = "the newest first", body = Vec<views::LogEntry>), (status = 404, description = "neither the tree nor the log knows it", body = Refusal)),
)]
pub async fn host_probe_logs(
    State(api): Shared,
    Segments((host, probe)): Segments<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(&api, query, Some(host), None, Some(probe), headers).await
}

/// What happened to the probes of this name
#[utoipa::path(
    get, path = "/api/probes/{probe}/logs", operation_id = "probe_logs", tag = "journal",
    params(("probe" = String, Path, description = "a probe by its name"), LogParams),
    responses((status = 200, description = "the newest first", body = Vec<views::LogEntry>), (status = 404, description = "neither the tree nor the log knows the host asked for", body = Refusal)),
)]
pub async fn probe_logs(
    State(api): Shared,
    Segments(probe): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(&api, query, None, None, Some(probe), headers).await
}

async fn answer(
    api: &Api,
    query: Option<String>,
    host: Option<String>,
    group: Option<String>,
    probe: Option<String>,
    headers: HeaderMap,
) -> Response {
    let mut wanted = match read_query(query.as_deref().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(why) => return reply::refuse(StatusCode::BAD_REQUEST, why),
    };
    // A path parameter says where we are; a query parameter cannot lead out of it.
    wanted.host = host.or(wanted.host);
    wanted.group = group.or(wanted.group);
    wanted.probe = probe.or(wanted.probe);
    let tree = api.view();
    let in_tree = wanted.host.as_deref().and_then(|host| tree.find(host));
    if let Some(found) = in_tree {
        wanted.host = Some(found.host.name.clone());
    }
    let (host, probe) = (wanted.host.clone(), wanted.probe.clone());
    // What is in the tree has a history, if an empty one; of what is gone the log may still know.
    let expected = in_tree.is_some_and(|found| {
        probe.as_ref().is_none_or(|probe| found.host.probes.contains_key(probe.as_str()))
    });
    let host_expected = in_tree.is_some();
    let found = ask(&api.store, move |store| {
        let found = store.logs(&wanted)?;
        let Some(host) = &wanted.host else { return Ok(Ok(found)) };
        if !found.is_empty() || expected {
            return Ok(Ok(found));
        }
        if !host_expected && !store.knows_host(host)? {
            return Ok(Err(Missing::Host));
        }
        // Nothing matched: perhaps the time or the page asked for, perhaps there never was such a probe.
        let (host, probe) = (wanted.host.clone(), wanted.probe.clone());
        let ever = LogQuery { host, probe, limit: 1, ..LogQuery::default() };
        let missing = wanted.probe.is_some() && store.logs(&ever)?.is_empty();
        Ok(if missing { Err(Missing::Probe) } else { Ok(found) })
    });
    let host = host.unwrap_or_default();
    match found.await {
        Ok(Ok(entries)) => {
            let entries: Vec<_> = entries.iter().map(views::LogEntry::new).collect();
            reply::json(&headers, &entries)
        }
        Ok(Err(Missing::Host)) => reply::refuse(StatusCode::NOT_FOUND, unknown_host(&host)),
        Ok(Err(Missing::Probe)) => unknown_probe(&host, &probe.unwrap_or_default()),
        Err(response) => response,
    }
}

/// What neither the tree nor the log knows.
enum Missing {
    Host,
    Probe,
}

/// `GET /api/logs/indexes`.
#[derive(Serialize, ToSchema)]
#[schema(as = LogIndexes)]
struct Indexes {
    groups: Vec<String>,
    hosts: Vec<String>,
    probes: Vec<String>,
}

/// The groups, hosts and probes that the log knows
#[utoipa::path(
    get, path = "/api/logs/indexes", operation_id = "log_indexes", tag = "journal",
    responses((status = 200, description = "their names", body = Indexes)),
)]
pub async fn indexes(State(api): Shared, headers: HeaderMap) -> Response {
    match ask(&api.store, Store::indexes).await {
        Ok(found) => {
            let crate::store::Indexes { groups, hosts, probes } = found;
            reply::json(&headers, &Indexes { groups, hosts, probes })
        }
        Err(response) => response,
    }
}

/// `GET /api/hosts/{host}/timeline`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Timeline {
    host: String,
    probe: String,
    since: i64,
    until: i64,
    /// −1 if it had never been seen by then.
    status_at_start: i32,
    history_days: u32,
    changes: Vec<Change>,
    /// The status of each probe when the span began.
    probes_at_start: BTreeMap<ProbeName, Status>,
    /// Nobody watched when the span began.
    stopped_at_start: bool,
    /// There were more changes than fit; the last ones are missing.
    truncated: bool,
}

/// A change of status, or a time at which nobody watched that began or ended.
#[derive(Serialize, ToSchema)]
#[schema(as = TimelineChange)]
#[serde(rename_all = "PascalCase")]
struct Change {
    host: String,
    probe: String,
    group: String,
    was: Option<Status>,
    now: Option<Status>,
    message: String,
    at: i64,
    kind: &'static str,
}

/// Which status a host, or one probe of it, had when
#[utoipa::path(
    get, path = "/api/hosts/{host}/timeline", operation_id = "timeline", tag = "journal",
    params(("host" = String, Path, description = "a host by its name or its uuid"), TimelineParams),
    responses((status = 200, description = "the changes, the oldest first", body = Timeline), (status = 404, description = "there is no such host", body = Refusal)),
)]
pub async fn timeline(
    State(api): Shared,
    Segments(host): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let wanted = match read_query(query.as_deref().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(why) => return reply::refuse(StatusCode::BAD_REQUEST, why),
    };
    let tree = api.view();
    let Some(subject) = tree.find(&host).map(|found| subject(&tree, found)) else {
        return reply::refuse(StatusCode::NOT_FOUND, unknown_host(&host));
    };
    let host = subject.host.clone();
    let until = wanted.until.unwrap_or_else(Timestamp::now);
    let since = wanted.since.or(until.checked_sub(DEFAULT_TIMELINE).ok()).unwrap_or(until);
    let probe = wanted.probe.clone();
    let found =
        ask(&api.store, move |store| store.timeline(&subject, probe.as_deref(), since, until));
    let found = match found.await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let change = |entry: crate::hub::Entry| {
        let transition = entry.transition;
        Change {
            host: transition.host,
            probe: transition.probe.map(|probe| probe.to_string()).unwrap_or_default(),
            group: transition.group,
            was: transition.was,
            now: transition.now,
            message: transition.message,
            at: transition.at.as_second(),
            kind: transition.kind.word(),
        }
    };
    let timeline = Timeline {
        host,
        probe: wanted.probe.unwrap_or_default(),
        since: since.as_second(),
        until: until.as_second(),
        status_at_start: found.status_at_start.map_or(-1, |status| status.number().into()),
        history_days: api.config.load().global.status_history_days,
        changes: found.changes.into_iter().map(change).collect(),
        probes_at_start: found.probes_at_start,
        stopped_at_start: found.stopped_at_start,
        truncated: found.truncated,
    };
    reply::json(&headers, &timeline)
}

/// A host with those who may speak of it: itself, and who is above it on each way by which it is heard.
fn subject(tree: &View, of: &Instance) -> Subject {
    let above = tree.above(of).map(|instance| instance.uuid);
    let others = of.alternatives.iter().take(MAX_ALTERNATIVES).copied();
    let mut origins: Vec<_> =
        [of.uuid, tree.me().uuid].into_iter().chain(above).chain(others).collect();
    origins.sort_unstable();
    origins.dedup();
    Subject { host: of.host.name.clone(), origins }
}

/// Asks the store on a thread that may wait.
async fn ask<T: Send + 'static>(
    store: &Store,
    question: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Response> {
    let store = store.clone();
    let answer = tokio::task::spawn_blocking(move || question(&store)).await;
    let why = match answer {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::warn!("the log could not be read: {why}");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    Err(reply::refuse(status, format!("the log could not be read: {why}")))
}

/// The parameters that the log routes share, as [`read_query`] understands them.
struct LogParams;

impl IntoParams for LogParams {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            query("hostname", text(), "only of this host"),
            query("group", text(), "only of this group"),
            query("probe", text(), "only of probes of this name"),
            query("since", Time::schema(), "not before this time"),
            query("until", Time::schema(), "not after this time"),
            query("after", Number::schema(), "only entries with a greater id, the oldest first"),
            query("before", Number::schema(), "only entries with a lower id: the next page"),
            query("level", LevelWord::schema(), "this level or worse"),
            query("q", text(), "only entries with this text in the message or in a name"),
            query("limit", Number::schema(), "how many, 100 if not given, 10,000 at most"),
            query("offset", Number::schema(), "how many of the newest are left out"),
        ]
    }
}

/// The parameters of a timeline.
struct TimelineParams;

impl IntoParams for TimelineParams {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            query("probe", text(), "only this probe"),
            query("since", Time::schema(), "a day before the end if not given"),
            query("until", Time::schema(), "now if not given"),
        ]
    }
}

/// Reads the parameters that the log routes share. What is no number falls back to the default, as in
/// the original; what is no time is refused, since falling back would answer another question.
fn read_query(query: &str) -> Result<LogQuery, String> {
    let mut wanted = LogQuery { limit: DEFAULT_LIMIT, ..LogQuery::default() };
    for (name, value) in query_pairs(query) {
        match name.as_str() {
            _ if value.is_empty() => {}
            "hostname" => wanted.host = Some(value),
            "group" => wanted.group = Some(value),
            "probe" => wanted.probe = Some(value),
            "limit" => wanted.limit = value.parse().unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT),
            "offset" => wanted.offset = value.parse().unwrap_or(0),
            "after" => wanted.after = value.parse().ok(),
            "before" => wanted.before = value.parse().ok(),
            "since" => wanted.since = Some(read_time(&value)?),
            "until" => wanted.until = Some(read_time(&value)?),
            "level" => wanted.level = Some(read_level(&value)?),
            "q" => wanted.text = Some(value.chars().take(MAX_TEXT).collect()),
            _ => {}
        }
    }
    Ok(wanted)
}

/// A level by its word.
pub fn read_level(word: &str) -> Result<Level, String> {
    Level::parse(word)
        .ok_or_else(|| format!("`{word}` is no level: write ok, info, warn, crit, error or down"))
}

pub fn read_time(text: &str) -> Result<Timestamp, String> {
    let seconds = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    seconds
        .or_else(|| text.parse().ok())
        .ok_or_else(|| format!("`{text}` is no time: write Unix seconds or 2025-03-04T09:15:02Z"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::tree::{Event, Host, Known, Now, Tree};

    #[test]
    fn a_host_is_spoken_of_by_itself_and_by_those_above_it() {
        let [me, middle, leaf, other] = [1, 2, 3, 4].map(Uuid::from_u128);
        let mut tree = Tree::new(Instance::new(me, "v", Host::new("me", "")));
        let known = |uuid, parent, via| Known {
            uuid,
            parent,
            via,
            contact: None,
            version: String::new(),
            name: format!("host{}", uuid.as_u128()),
            group: String::new(),
            labels: BTreeMap::new(),
            down: false,
            last_update: None,
        };
        let now = Now { wall: Timestamp::UNIX_EPOCH, boot: Duration::ZERO };
        for known in
            [known(middle, me, middle), known(other, me, other), known(leaf, middle, middle)]
        {
            tree.apply(Event::Remembered { known }, now);
        }
        let of = subject(&tree, tree.find("host3").unwrap());
        assert_eq!((&*of.host, of.origins), ("host3", vec![me, middle, leaf]));
    }

    #[test]
    fn numbers_fall_back_and_times_do_not() {
        let query =
            read_query("limit=x&offset=-1&hostname=a%20b&since=60&until=1970-01-01T01:00:00Z");
        let query = query.unwrap();
        assert_eq!((query.limit, query.offset), (100, 0));
        assert_eq!(query.host.as_deref(), Some("a b"));
        assert_eq!(query.since.unwrap().as_second(), 60);
        assert_eq!(query.until.unwrap().as_second(), 3_600);
        assert_eq!(read_query("limit=99999999").unwrap().limit, MAX_LIMIT);
        assert!(read_query("since=yesterday").is_err());
    }
}
