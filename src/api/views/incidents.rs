//! Incidents, as they are told.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Decision, Notification};
use crate::{
    notify::{self, Event, Member, Moment, Subject, title},
    status::Status,
    tree::ProbeName,
};

/// What broke together, from the first that broke to the last that is over.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Incident {
    id: Uuid,
    /// What broke first, how bad it is, and what it says. One line.
    title: String,
    /// `open` or `closed`.
    state: &'static str,
    /// How bad it is now.
    status: Status,
    /// How bad it was at worst.
    worst: Status,
    /// Unix seconds.
    opened: i64,
    /// Unix seconds; null while it is open.
    closed: Option<i64>,
    /// Whose host broke first.
    host: String,
    /// Which probe; empty: the host itself.
    probe: String,
    group: String,
    /// How many hosts and probes broke.
    members: u32,
    /// How many of them are still bad.
    bad: u32,
    /// Who looks after it.
    ack: Option<Ack>,
    /// All that is bad in it is held back by silences or windows.
    silenced: bool,
    /// Which channels were told of it.
    told: Vec<Told>,
}

/// Somebody looks after it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Ack {
    id: u64,
    author: String,
    reason: String,
    /// How bad it was then.
    status: Status,
    /// Unix seconds.
    created_at: i64,
    /// Unix seconds; null: until it is over.
    until: Option<i64>,
}

/// What a channel was told of an incident.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Told {
    channel: String,
    /// How bad it was when it was told last.
    status: Status,
    /// Unix seconds.
    first: i64,
    /// Unix seconds.
    last: i64,
    reminders: u32,
}

/// An incident with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct WholeIncident {
    #[serde(flatten)]
    incident: Incident,
    /// What is in it, worst first.
    subjects: Vec<IncidentSubject>,
    /// How many more there are, which are not listed.
    unlisted: u32,
    /// The oldest first.
    timeline: Vec<IncidentMoment>,
    /// The newest first.
    notifications: Vec<Notification>,
    /// Why something was sent, or not; the newest first.
    decisions: Vec<Decision>,
}

/// A host or a probe that is part of an incident.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct IncidentSubject {
    host: String,
    /// Empty: the host itself.
    probe: String,
    group: String,
    status: Status,
    worst: Status,
    /// Unix seconds: when it broke.
    since: i64,
    /// Unix seconds; null while it is bad.
    recovered: Option<i64>,
    /// What it said last.
    output: String,
    /// Where it says what to do.
    runbook: Option<String>,
}

/// Something that happened to an incident.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct IncidentMoment {
    /// Unix seconds.
    at: i64,
    /// Such as `opened`, `joined`, `told`, `closed`.
    #[schema(value_type = String)]
    event: Event,
    /// Empty where it is about all of it.
    host: String,
    probe: String,
    status: Option<Status>,
    text: String,
    /// Who did it, where somebody did.
    by: Option<String>,
}

/// An incident that changed: the event `incident` of `GET /api/events`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct IncidentChange {
    id: Uuid,
    title: String,
    /// `open` or `closed`.
    state: &'static str,
    status: Status,
    bad: u32,
    members: u32,
    /// Somebody looks after it.
    acked: bool,
}

/// Name of the host and of the probe; that is empty for the host itself.
pub fn names(subject: &Subject) -> (String, String) {
    let probe = subject.probe.as_ref().map(ProbeName::to_string);
    (subject.host.clone(), probe.unwrap_or_default())
}

fn seconds(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_second)
}

fn state(incident: &notify::Incident) -> &'static str {
    if incident.is_open() { "open" } else { "closed" }
}

impl Incident {
    /// As it is. `silenced`: all that is bad in it is held back.
    pub fn new(incident: &notify::Incident, silenced: bool) -> Incident {
        let (host, probe) = names(&incident.lead);
        let (members, bad) = incident.count();
        let lead = incident.members.iter().find(|member| member.subject == incident.lead);
        let told = |(channel, told): (&String, &notify::Told)| Told {
            channel: channel.clone(),
            status: told.status,
            first: told.first.as_second(),
            last: told.last.as_second(),
            reminders: told.reminders,
        };
        Incident {
            id: incident.id,
            title: title::incident(incident),
            state: state(incident),
            status: incident.status,
            worst: incident.worst,
            opened: incident.opened.as_second(),
            closed: seconds(incident.closed),
            host,
            probe,
            group: lead.map(|lead| lead.group.clone()).unwrap_or_default(),
            members,
            bad,
            ack: incident.ack.as_ref().map(Ack::new),
            silenced,
            told: incident.told.iter().map(told).collect(),
        }
    }
}

impl Ack {
    fn new(ack: &notify::suppression::Ack) -> Ack {
        Ack {
            id: ack.id,
            author: ack.author.clone(),
            reason: ack.reason.clone(),
            status: ack.status,
            created_at: ack.created.as_second(),
            until: seconds(ack.until),
        }
    }
}

impl WholeIncident {
    /// An incident, with its moments in order and the rest the newest first.
    pub fn new(
        incident: &notify::Incident,
        silenced: bool,
        moments: &[Moment],
        notifications: Vec<Notification>,
        decisions: Vec<Decision>,
    ) -> WholeIncident {
        let mut members: Vec<&Member> = incident.members.iter().collect();
        // What is over comes last; among equals the order in which they came stays.
        members.sort_by_key(|one| (one.recovered.is_some(), std::cmp::Reverse(one.status)));
        WholeIncident {
            incident: Incident::new(incident, silenced),
            subjects: members.into_iter().map(IncidentSubject::new).collect(),
            unlisted: incident.unlisted,
            timeline: moments.iter().map(IncidentMoment::new).collect(),
            notifications,
            decisions,
        }
    }
}

impl IncidentSubject {
    fn new(member: &Member) -> IncidentSubject {
        let (host, probe) = names(&member.subject);
        IncidentSubject {
            host,
            probe,
            group: member.group.clone(),
            status: member.status,
            worst: member.worst,
            since: member.since.as_second(),
            recovered: seconds(member.recovered),
            output: member.output.clone(),
            runbook: member.runbook.clone(),
        }
    }
}

impl IncidentMoment {
    fn new(moment: &Moment) -> IncidentMoment {
        let (host, probe) = moment.subject.as_ref().map(names).unwrap_or_default();
        IncidentMoment {
            at: moment.at.as_second(),
            event: moment.event,
            host,
            probe,
            status: moment.status,
            text: moment.text.clone(),
            by: moment.by.clone(),
        }
    }
}

impl IncidentChange {
    /// How it is now.
    pub fn new(news: &notify::IncidentNews) -> IncidentChange {
        IncidentChange {
            id: news.id,
            title: news.title.clone(),
            state: if news.is_open { "open" } else { "closed" },
            status: news.status,
            bad: news.bad,
            members: news.members,
            acked: news.acked,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{json, to_value};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn member(probe: &str, status: Status, recovered: Option<i64>) -> Member {
        Member {
            subject: Subject::probe("db1", ProbeName::parse(probe).unwrap()),
            group: "db".into(),
            labels: BTreeMap::new(),
            since: at(100),
            status,
            worst: Status::CRIT,
            output: "95 % used\nof 40 GB".into(),
            runbook: None,
            recovered: recovered.map(at),
        }
    }

    fn incident() -> notify::Incident {
        let lead = member("disk", Status::WARN, None);
        notify::Incident {
            id: Uuid::from_u128(7),
            opened: at(100),
            closed: None,
            status: Status::CRIT,
            worst: Status::CRIT,
            lead: lead.subject.clone(),
            members: vec![
                member("over", Status::OK, Some(150)),
                lead,
                member("load", Status::CRIT, None),
            ],
            unlisted: 2,
            ack: None,
            told: BTreeMap::from([(
                "mail".to_owned(),
                notify::Told {
                    status: Status::CRIT,
                    members: 1,
                    first: at(101),
                    last: at(130),
                    reminders: 1,
                    thread: "t".into(),
                },
            )]),
            messages: 2,
        }
    }

    #[test]
    fn the_title_says_what_broke_and_how_bad_it_is_or_was() {
        let mut incident = incident();
        assert_eq!(title::incident(&incident), "db1 / load is CRIT: 95 % used (4 of 5)");
        (incident.status, incident.closed) = (Status::OK, Some(at(200)));
        assert_eq!(title::incident(&incident), "db1 / disk was CRIT: 95 % used");
        incident.members.clear();
        assert_eq!(title::incident(&incident), "db1 / disk was CRIT");
    }

    #[test]
    fn an_incident_is_told_with_the_worst_of_it_first() {
        let whole = WholeIncident::new(&incident(), true, &[], vec![], vec![]);
        let whole = to_value(whole).unwrap();
        assert_eq!(whole["State"], "open");
        assert_eq!((&whole["Host"], &whole["Probe"]), (&json!("db1"), &json!("disk")));
        assert_eq!((&whole["Members"], &whole["Bad"]), (&json!(5), &json!(4)));
        assert_eq!((&whole["Closed"], &whole["Silenced"]), (&json!(null), &json!(true)));
        let told =
            json!([{"Channel": "mail", "Status": 300, "First": 101, "Last": 130, "Reminders": 1}]);
        assert_eq!(whole["Told"], told);
        let probes: Vec<_> =
            whole["Subjects"].as_array().unwrap().iter().map(|one| &one["Probe"]).collect();
        assert_eq!(probes, ["load", "disk", "over"]);
    }

    #[test]
    fn a_moment_is_told_by_its_word() {
        let moment = Moment {
            incident: Uuid::from_u128(7),
            at: at(100),
            event: Event::Acknowledged,
            subject: None,
            status: None,
            text: "alice looks after it".into(),
            by: Some("alice".into()),
        };
        let told = to_value(IncidentMoment::new(&moment)).unwrap();
        let expected = json!({"At": 100, "Event": "acknowledged", "Host": "", "Probe": "",
            "Status": null, "Text": "alice looks after it", "By": "alice"});
        assert_eq!(told, expected);
    }
}
