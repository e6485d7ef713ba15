//! Writing what came of a turn of the desk, within one transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::{COMMITS, CURSOR, Commit, MOMENT_COLUMNS, PROCESS, State};
use crate::{
    notify::{Decision, Incident, Kind, Message, Moment, Subject, policy::Changed},
    status::Status,
    store::database::{meta, set_meta},
    tree::ProbeName,
};

/// Writes a commit, unless it is there already.
pub(super) fn write(connection: &Connection, commit: &Commit) -> rusqlite::Result<()> {
    let is_ours = meta(connection, PROCESS)? == Some(commit.process);
    if is_ours && meta(connection, COMMITS)?.is_some_and(|written| commit.number <= written) {
        return Ok(());
    }
    commit.changed.iter().try_for_each(|changed| write_piece(connection, changed))?;
    commit.incidents.iter().try_for_each(|incident| write_incident(connection, incident))?;
    commit.moments.iter().try_for_each(|moment| write_moment(connection, moment))?;
    commit.decisions.iter().try_for_each(|decision| write_decision(connection, decision))?;
    commit.messages.iter().try_for_each(|message| write_message(connection, message))?;
    set_meta(connection, CURSOR, commit.cursor.cast_signed())?;
    set_meta(connection, PROCESS, commit.process)?;
    set_meta(connection, COMMITS, commit.number)
}

fn write_piece(connection: &Connection, changed: &Changed) -> rusqlite::Result<()> {
    let Changed { kind, key, value } = changed;
    match value {
        Some(value) => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO notify_state (kind, key, value) VALUES (?1, ?2, ?3)",
            )?
            .execute((kind, key, value)),
        None => connection
            .prepare_cached("DELETE FROM notify_state WHERE kind = ?1 AND key = ?2")?
            .execute((kind, key)),
    }
    .map(drop)
}

fn write_incident(connection: &Connection, incident: &Incident) -> rusqlite::Result<()> {
    let id = incident.id.as_bytes();
    let listed: Option<i64> = connection
        .prepare_cached("SELECT listed FROM incident WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let lead = incident.members.iter().find(|member| member.subject == incident.lead);
    let sql = "INSERT INTO incident (id, opened, closed, status, worst, host, probe, grp, listed, value) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO UPDATE SET \
               closed = ?3, status = ?4, worst = ?5, listed = ?9, value = ?10";
    connection.prepare_cached(sql)?.execute(params![
        id,
        incident.opened.as_millisecond(),
        incident.closed.map(jiff::Timestamp::as_millisecond),
        incident.status.number(),
        incident.worst.number(),
        incident.lead.host,
        probe(&incident.lead),
        lead.map_or("", |lead| &lead.group),
        incident.members.len() as i64,
        json(incident)?,
    ])?;
    // Members only come, in order.
    let known = usize::try_from(listed.unwrap_or(0)).unwrap_or(0).min(incident.members.len());
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO incident_member (incident, host, probe, grp) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for member in &incident.members[known..] {
        insert.execute(params![id, member.subject.host, probe(&member.subject), member.group])?;
    }
    Ok(())
}

fn write_moment(connection: &Connection, moment: &Moment) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO incident_moment ({MOMENT_COLUMNS}) VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
    );
    connection
        .prepare_cached(&sql)?
        .execute(params![
            moment.incident.as_bytes(),
            moment.at.as_millisecond(),
            word(&moment.event)?,
            moment.subject.as_ref().map_or("", |subject| &subject.host),
            moment.subject.as_ref().map_or("", probe),
            moment.status.map(Status::number),
            moment.text,
            moment.by,
        ])
        .map(drop)
}

fn write_decision(connection: &Connection, decision: &Decision) -> rusqlite::Result<()> {
    let sql = "INSERT INTO decision (at, host, probe, entry, incident, channel, status, outcome, reason, \
               chain, key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let reason = decision.reason().map(|step| word(&step.reason)).transpose()?;
    connection
        .prepare_cached(sql)?
        .execute(params![
            decision.at.as_millisecond(),
            decision.subject.host,
            probe(&decision.subject),
            decision.entry.map(u64::cast_signed),
            decision.incident.as_ref().map(uuid::Uuid::as_bytes),
            decision.channel,
            decision.status.number(),
            word(&decision.outcome)?,
            reason.unwrap_or_default(),
            json(&decision.chain)?,
            decision.message,
        ])
        .map(drop)
}

/// Puts a message into the outbox. One with its key that is there already stays as it is.
pub(super) fn write_message(connection: &Connection, message: &Message) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO notification (key, channel, kind, incident, host, probe, title, \
               status, at, state, attempts, next, delivered, answer, expires, text, copied, message) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?9, NULL, '', ?11, '', 0, ?12)";
    connection
        .prepare_cached(sql)?
        .execute(params![
            message.key,
            message.channel,
            Kind::word(message.kind),
            message.incident.as_ref().map(uuid::Uuid::as_bytes),
            message.subject.host,
            probe(&message.subject),
            message.title,
            message.status.number(),
            message.at.as_millisecond(),
            State::Waiting.word(),
            message.expires.as_millisecond(),
            json(message)?,
        ])
        .map(drop)
}

fn probe(subject: &Subject) -> &str {
    subject.probe.as_ref().map_or("", ProbeName::as_str)
}

pub(super) fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// The stable word that a value is serialised to.
pub(super) fn word(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    let word = serde_json::to_value(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(word.as_str().unwrap_or_default().to_owned())
}
