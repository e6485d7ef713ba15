//! `GET /api/summary/hosts/{host}`: one host with all of its probes in short.

use std::{cmp::Reverse, sync::Arc};

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Refused, answer,
    fleet::Fleet,
    rows::{HostRow, ProbeRow, key},
};
use crate::{
    api::{Api, hosts::unknown_host, openapi::Refusal, reply::Segments},
    orders::DisableRecord,
    tree::{self, Instance, View},
};

/// A host with all of its probes in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct HostPage {
    #[serde(flatten)]
    row: HostRow,
    /// Those above it, from the top to its parent.
    path: Vec<Step>,
    /// How it is reached; null if it is not directly below the answering instance.
    contact: Option<Contact>,
    /// Others through which it could be heard as well.
    alternatives: Vec<Uuid>,
    /// Worst first.
    probe_rows: Vec<ProbePage>,
    /// Its probes that somebody switched off.
    disabled: Vec<DisableRecord>,
    /// What may be asked of it: `read`, `control` or `unknown`.
    remote_control: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Step {
    key: String,
    name: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Contact {
    /// `push`: it connects to us; `pull`: we ask it.
    kind: &'static str,
    /// Where it connects from, or where it is asked.
    address: String,
    encrypted: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct ProbePage {
    #[serde(flatten)]
    row: ProbeRow,
    /// The probe's own.
    version: String,
    exit_code: i32,
    has_detail: bool,
    has_metrics: bool,
}

impl HostPage {
    fn new(tree: &View, fleet: &Fleet, instance: &Instance) -> Option<HostPage> {
        let mut path: Vec<Step> = tree
            .above(instance)
            .map(|above| Step { key: key(tree, above), name: above.host.name.clone() })
            .collect();
        path.reverse();
        let probe = |probe: &tree::Probe| ProbePage {
            row: ProbeRow::new(tree, instance, probe),
            version: probe.result.version.clone(),
            exit_code: probe.result.exit_code,
            has_detail: !probe.result.detail.is_null(),
            has_metrics: !probe.result.metrics.is_null(),
        };
        let mut probe_rows: Vec<ProbePage> = instance.host.probes.values().map(probe).collect();
        // They come by name, which stays so where all else is the same.
        probe_rows.sort_by_key(|probe| (Reverse(probe.row.status), Reverse(shown_since(probe))));
        let records = instance.host.disabled.iter();
        let disabled = records.map(|(probe, record)| DisableRecord::of(probe.as_str(), record));
        Some(HostPage {
            row: fleet.host_row(tree, instance)?,
            path,
            contact: instance.contact.as_deref().map(Contact::new),
            alternatives: instance.alternatives.clone(),
            probe_rows,
            disabled: disabled.collect(),
            remote_control: tree.remote_control(instance).word(),
        })
    }
}

/// Among those that are well nobody looks for the newest.
fn shown_since(probe: &ProbePage) -> i64 {
    if probe.row.status > 100 { probe.row.since } else { 0 }
}

impl Contact {
    fn new(contact: &tree::Contact) -> Contact {
        let (kind, address, encrypted) = match contact {
            tree::Contact::Push { address, encrypted } => ("push", address, *encrypted),
            tree::Contact::Pull { endpoint, encrypted } => ("pull", endpoint, *encrypted),
        };
        Contact { kind, address: address.clone(), encrypted }
    }
}

/// A host with all of its probes in short.
#[utoipa::path(
    get,
    path = "/api/summary/hosts/{host}",
    operation_id = "summary_host",
    tag = "summary",
    params(("host" = String, Path, description = "Its name or uuid")),
    responses(
        (status = 200, body = HostPage),
        (status = 304, description = "The caller has it"),
        (status = 400, body = Refusal, description = "Why it was not understood"),
        (status = 404, body = Refusal, description = "There is no such host"),
    )
)]
pub async fn host(
    State(api): State<Arc<Api>>,
    Segments(host): Segments<String>,
    headers: HeaderMap,
) -> Response {
    answer(api, headers, move |_, tree, fleet| {
        let found = tree.find(&host).and_then(|found| HostPage::new(tree, fleet, found));
        found.ok_or_else(|| Refused::Unknown(unknown_host(&host)))
    })
    .await
}
