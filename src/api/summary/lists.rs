//! Lists in pages: problems, groups, hosts.

use std::{cmp::Reverse, sync::Arc};

use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use uuid::Uuid;

use super::{
    Refused, answer,
    fleet::{Fleet, Problem, Row},
    query::{Query, cursor, place},
    rows::{GroupRow, HostRow, Page, ProblemRow},
};
use crate::{
    api::{
        Api,
        openapi::{
            Refusal,
            parameters::{Labels, LevelWord, Number, PresenceWord, SortWord},
        },
    },
    status::Status,
    tree::{ProbeName, View},
};

type Shared = State<Arc<Api>>;

/// The row of a problem; nothing if it is none any more.
pub fn problem_row(tree: &View, fleet: &Fleet, problem: &Problem) -> Option<ProblemRow> {
    let instance = tree.get(problem.uuid)?;
    match &problem.probe {
        None => Some(ProblemRow::of_host(tree, fleet.row(problem.uuid)?, instance)),
        Some(name) => {
            let probe = instance.host.probes.get(name)?;
            Some(ProblemRow::of_probe(tree, instance, probe))
        }
    }
}

/// What is wrong, worst first, of that the newest first.
#[utoipa::path(
    get,
    path = "/api/summary/problems",
    operation_id = "summary_problems",
    tag = "summary",
    params(
        ("after" = Option<String>, Query, description = "`Next` of the page before"),
        ("limit" = inline(Option<Number>), Query, description = "Rows, 500 at most; 100 if not given"),
        ("q" = Option<String>, Query, description = "A part of the name, the group or the message"),
        ("level" = inline(Option<LevelWord>), Query, description = "This level or worse: ok, info, warn, crit, error, down"),
        ("group" = Option<String>, Query, description = "Hosts of this group"),
        ("labels" = inline(Option<Labels>), Query, description = "Hosts with these labels: key=value,key=value"),
    ),
    responses(
        (status = 200, body = Page<ProblemRow>),
        (status = 304, description = "The caller has it"),
        (status = 400, body = Refusal, description = "Why it was not understood"),
    )
)]
pub async fn problems(
    State(api): Shared,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(api, headers, move |_, tree, fleet| {
        let query = Query::read(query.as_deref().unwrap_or_default())?;
        problems_of(tree, fleet, &query)
    })
    .await
}

pub fn problems_of(tree: &View, fleet: &Fleet, query: &Query) -> Result<Page<ProblemRow>, Refused> {
    type Place = (i64, i64, Uuid, String);
    let after =
        place::<Place>(query.after.as_deref())?.map(|(status, since, uuid, probe)| Problem {
            status: Reverse(Status::new(status).unwrap_or(Status::OK)),
            since: Reverse(since),
            uuid,
            probe: ProbeName::parse(&probe).ok(),
        });
    let (mut total, mut items) = (0, Vec::new());
    for problem in fleet.problems() {
        if problem.status.0.level() < query.level || !takes_problem(tree, query, problem) {
            continue;
        }
        total += 1;
        let comes_after = after.as_ref().is_none_or(|after| problem > after);
        if !comes_after || items.len() > query.limit {
            continue;
        }
        let probe = problem.probe.as_ref().map_or("", ProbeName::as_str);
        let place: Place =
            (problem.status.0.number().into(), problem.since.0, problem.uuid, probe.to_owned());
        items.extend(problem_row(tree, fleet, problem).map(|row| (row, cursor(&place))));
    }
    Ok(Page::cut(items, query.limit, total))
}

fn takes_problem(tree: &View, query: &Query, problem: &Problem) -> bool {
    let Some(instance) = tree.get(problem.uuid) else { return false };
    let host = &instance.host;
    let probe = problem.probe.as_ref().and_then(|name| host.probes.get(name));
    let texts = probe.map(|probe| [probe.result.name.as_str(), probe.result.message.as_str()]);
    let texts = texts.into_iter().flatten().chain([host.name.as_str(), host.group.as_str()]);
    query.takes_host(instance) && query.takes_text(texts)
}

/// Groups, worst first.
#[utoipa::path(
    get,
    path = "/api/summary/groups",
    operation_id = "summary_groups",
    tag = "summary",
    params(
        ("after" = Option<String>, Query, description = "`Next` of the page before"),
        ("limit" = inline(Option<Number>), Query, description = "Rows, 500 at most; 100 if not given"),
        ("q" = Option<String>, Query, description = "A part of the name"),
    ),
    responses(
        (status = 200, body = Page<GroupRow>),
        (status = 304, description = "The caller has it"),
        (status = 400, body = Refusal, description = "Why it was not understood"),
    )
)]
pub async fn groups(State(api): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    answer(api, headers, move |_, _, fleet| {
        let query = Query::read(query.as_deref().unwrap_or_default())?;
        let after: Option<(u16, String)> = place(query.after.as_deref())?;
        let after = after.map(|(status, name)| (Reverse(status), name));
        let matching = fleet.groups.iter().filter(|group| query.takes_text([group.name.as_str()]));
        let total = matching.clone().count();
        let following = matching.filter(|group| {
            after
                .as_ref()
                .is_none_or(|(status, name)| (Reverse(group.status), &group.name) > (*status, name))
        });
        let items = following
            .take(query.limit + 1)
            .map(|group| (group.clone(), cursor(&(group.status, &group.name))));
        Ok(Page::cut(items.collect(), query.limit, total))
    })
    .await
}

/// Hosts, worst first or by name.
#[utoipa::path(
    get,
    path = "/api/summary/hosts",
    operation_id = "summary_hosts",
    tag = "summary",
    params(
        ("after" = Option<String>, Query, description = "`Next` of the page before"),
        ("limit" = inline(Option<Number>), Query, description = "Rows, 500 at most; 100 if not given"),
        ("q" = Option<String>, Query, description = "A part of the name or the group"),
        ("level" = inline(Option<LevelWord>), Query, description = "This level or worse: ok, info, warn, crit, error, down"),
        ("presence" = inline(Option<PresenceWord>), Query, description = "alive, unknown, stopped or down"),
        ("group" = Option<String>, Query, description = "Hosts of this group"),
        ("labels" = inline(Option<Labels>), Query, description = "Hosts with these labels: key=value,key=value"),
        ("below" = Option<Uuid>, Query, description = "Only those directly below this instance"),
        ("sort" = inline(Option<SortWord>), Query, description = "status (worst first) or name; status if not given"),
    ),
    responses(
        (status = 200, body = Page<HostRow>),
        (status = 304, description = "The caller has it"),
        (status = 400, body = Refusal, description = "Why it was not understood"),
    )
)]
pub async fn hosts(State(api): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    answer(api, headers, move |_, tree, fleet| {
        let query = Query::read(query.as_deref().unwrap_or_default())?;
        hosts_of(tree, fleet, &query)
    })
    .await
}

pub fn hosts_of(tree: &View, fleet: &Fleet, query: &Query) -> Result<Page<HostRow>, Refused> {
    type Place = (u16, String, Uuid);
    let after: Option<Place> = place(query.after.as_deref())?;
    let order = |status: u16, name: &str, uuid: Uuid| {
        let status = if query.by_name { 0 } else { status };
        (Reverse(status), name.to_owned(), uuid)
    };
    let after = after.map(|(status, name, uuid)| order(status, &name, uuid));
    let rows: Box<dyn Iterator<Item = &Row>> = match query.by_name {
        true => Box::new(fleet.by_name()),
        false => Box::new(fleet.by_status()),
    };
    let (mut total, mut items) = (0, Vec::new());
    // Those before the place come first: once it is passed, nothing has to be compared any more.
    let mut is_passed = after.is_none();
    for row in rows {
        let Some(instance) = takes_row(tree, query, row) else { continue };
        total += 1;
        let (status, name) = (row.status.number(), &row.digest.name);
        if !is_passed {
            is_passed = after.as_ref().is_none_or(|after| order(status, name, row.uuid) > *after);
        }
        if is_passed && items.len() <= query.limit {
            let host = HostRow::new(tree, row, instance);
            items.push((host, cursor(&(status, name, row.uuid))));
        }
    }
    Ok(Page::cut(items, query.limit, total))
}

/// The instance of a row, if it is asked for.
fn takes_row<'tree>(
    tree: &'tree View,
    query: &Query,
    row: &Row,
) -> Option<&'tree crate::tree::Instance> {
    let is_wanted = row.is_at_least(query.level)
        && query.presence.is_none_or(|presence| presence == row.presence)
        && query.below.is_none_or(|below| row.parent == Some(below));
    let instance = tree.get(row.uuid).filter(|_| is_wanted)?;
    let host = &instance.host;
    let is_wanted =
        query.takes_host(instance) && query.takes_text([host.name.as_str(), host.group.as_str()]);
    is_wanted.then_some(instance)
}
