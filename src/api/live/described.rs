//! What a stream carries, as the description of the API tells it.

use utoipa::{PartialSchema, ToSchema, openapi::OpenApi};

use super::{
    collector::{Changed, GoneHost, GoneProbe, SuppressionsChanged},
    item::Reset,
    reader::{Bye, Hello, Time},
};
use crate::api::{
    summary::{Counted, HostRow, ProbeRow, Summary},
    views::{IncidentChange, LogEntry},
};

/// An event.
#[derive(ToSchema)]
#[expect(dead_code, reason = "stands for what `item::write` writes")]
pub struct Event {
    /// Its name, one of those that `Events` has.
    event: String,
    /// Where to go on: for `Last-Event-ID`.
    id: String,
    /// JSON, what `Events` has under its name.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// What the `data` of an event is, by its name.
#[derive(ToSchema)]
#[expect(dead_code, reason = "stands for what is written one by one")]
pub struct Events {
    hello: Hello<'static>,
    counts: Counted,
    summary: Summary,
    host: HostRow,
    host_gone: GoneHost<'static>,
    probe: ProbeRow,
    probe_gone: GoneProbe<'static>,
    log: LogEntry<'static>,
    changed: Changed,
    incident: IncidentChange,
    suppressions: SuppressionsChanged,
    time: Time,
    reset: Reset<'static>,
    bye: Bye<'static>,
}

/// Adds [`Events`], which no answer refers to.
pub fn describe(document: &mut OpenApi) {
    let mut schemas = vec![(Events::name().into(), Events::schema())];
    Events::schemas(&mut schemas);
    document.components.get_or_insert_default().schemas.extend(schemas);
}
