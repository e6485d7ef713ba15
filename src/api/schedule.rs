//! What runs when: the probes of this host on disk and in the schedule.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    hosts::unknown_host,
    openapi::Refusal,
    reply::{self, Segments},
};
use crate::probe::pool::{Off, Overview, Scheduled};

/// `GET /api/probes`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Schedule {
    hostname: String,
    write_actions_allowed: bool,
    probes: Vec<Probe>,
    /// Probes that said they do not apply to this host (exit 13).
    skipped_probes: Vec<String>,
    #[schema(value_type = Vec<Object>)]
    disable_records: [(); 0],
    /// Probes that said they are switched off (exit 12).
    disabled_by_configuration: Vec<String>,
    not_run: Vec<NotRun>,
}

/// A probe on disk.
#[derive(Serialize, ToSchema, Default)]
#[schema(as = ScheduledProbe)]
#[serde(rename_all = "PascalCase")]
struct Probe {
    name: String,
    /// The interval folder, or `examples` for a probe that is not enabled.
    directory: String,
    /// Seconds; 0 for a probe that is not enabled.
    interval: u32,
    enabled: bool,
    /// Unix seconds with fraction; null when it will not run.
    next_run: Option<f64>,
    /// Unix seconds with fraction: the end of the last run.
    last_run: Option<f64>,
    duration_ms: Option<f64>,
    cpu_ms: Option<f64>,
    peak_memory_bytes: Option<u64>,
    answer: Option<&'static str>,
    skipped_runs: u64,
    /// Why it is not run although it is due.
    refused: Option<String>,
}

/// What lies in the folder of probes and is not run.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct NotRun {
    path: String,
    why: String,
}

pub fn reads() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(probes)).routes(routes!(of_host))
}

/// The probes of this host, and what runs when
#[utoipa::path(
    get, path = "/api/probes", operation_id = "schedule", tag = "schedule",
    responses((status = 200, description = "the schedule", body = Schedule)),
)]
pub async fn probes(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    answer(&api, &headers)
}

/// The probes of a host, and what runs when
#[utoipa::path(
    get, path = "/api/hosts/{host}/schedule", operation_id = "host_schedule", tag = "schedule",
    params(("host" = String, Path, description = "a host by its name or its uuid")),
    responses((status = 200, description = "the schedule", body = Schedule), (status = 404, description = "there is no such host", body = Refusal), (status = 501, description = "that host has to be asked directly", body = Refusal)),
)]
pub async fn of_host(
    State(api): State<Arc<Api>>,
    Segments(host): Segments<String>,
    headers: HeaderMap,
) -> Response {
    let found = api.hub.read(|tree| tree.find(&host).map(|found| found.uuid == tree.me().uuid));
    match found {
        Some(true) => answer(&api, &headers),
        Some(false) => reply::refuse(
            StatusCode::NOT_IMPLEMENTED,
            format!("the schedule of {host} is known to that host alone: ask it directly"),
        ),
        None => reply::refuse(StatusCode::NOT_FOUND, unknown_host(&host)),
    }
}

fn answer(api: &Api, headers: &HeaderMap) -> Response {
    let Overview { probes, catalog } = api.pool.overview();
    let off = |wanted: Off| {
        let those = probes.iter().filter(move |probe| probe.off == Some(wanted));
        those.map(|probe| probe.name.to_string()).collect()
    };
    let not_run = catalog
        .not_run
        .iter()
        .map(|one| NotRun { path: one.path.display().to_string(), why: one.why.clone() });
    let installed = catalog.disabled.iter().map(|name| Probe {
        name: name.clone(),
        directory: crate::probe::catalog::EXAMPLES.into(),
        ..Probe::default()
    });
    let schedule = Schedule {
        hostname: api.hub.read(|tree| tree.me().host.name.clone()),
        write_actions_allowed: api.config.load().http.allow_write_actions,
        skipped_probes: off(Off::Skipped),
        disabled_by_configuration: off(Off::Disabled),
        disable_records: [],
        not_run: not_run.collect(),
        probes: probes.iter().map(view).chain(installed).collect(),
    };
    reply::json(headers, &schedule)
}

fn view(probe: &Scheduled) -> Probe {
    let seconds = |at: jiff::Timestamp| at.as_millisecond() as f64 / 1e3;
    let milliseconds = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let last = probe.last.as_ref();
    let directory = probe.entry.path.parent().and_then(|folder| folder.file_name());
    Probe {
        name: probe.name.to_string(),
        directory: directory.unwrap_or_default().to_string_lossy().into_owned(),
        interval: probe.entry.interval,
        enabled: probe.off.is_none(),
        next_run: probe.next.map(seconds),
        last_run: last.map(|last| seconds(last.ended)),
        duration_ms: last.map(|last| milliseconds(last.took)),
        cpu_ms: last.map(|last| milliseconds(last.cpu)),
        peak_memory_bytes: last.map(|last| last.peak_memory),
        answer: last.map(|last| last.dialect.name()),
        skipped_runs: probe.skipped_runs,
        refused: probe.entry.refused.clone(),
    }
}
