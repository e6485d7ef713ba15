//! Messages and the decisions that led to them, as they are told.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::incidents::names;
use crate::{
    notify::{Kind, Outcome, Reason, Subject},
    status::Status,
    store,
};

/// A message to one channel.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Notification {
    /// Only grows.
    id: i64,
    /// The same at each attempt.
    key: String,
    channel: String,
    /// Such as `problem`, `reminder`, `recovered`.
    #[schema(value_type = String)]
    kind: Kind,
    incident: Option<Uuid>,
    host: String,
    /// Empty: the host itself.
    probe: String,
    title: String,
    status: Status,
    /// Unix seconds: when it was decided.
    at: i64,
    /// `waiting`, `sent`, `dead` or `expired`.
    state: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// Unix seconds: when it is tried next; null unless it waits.
    next: Option<i64>,
    /// Unix seconds; null: not yet.
    delivered: Option<i64>,
    /// What the receiver said, or why it failed.
    answer: String,
}

/// One attempt to deliver a message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = NotificationTry)]
pub struct Try {
    /// Unix seconds.
    at: i64,
    /// The receiver has taken it.
    ok: bool,
    /// What the receiver said, or why it failed.
    text: String,
    /// How long it took.
    milliseconds: u64,
}

/// A message with the attempts to deliver it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct TriedNotification {
    #[serde(flatten)]
    notification: Notification,
    /// The oldest first.
    tries: Vec<Try>,
}

/// A message with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct WholeNotification {
    #[serde(flatten)]
    notification: Notification,
    /// Title and body as they were sent, or its title if it was not tried yet.
    text: String,
    /// The oldest first.
    tries: Vec<Try>,
}

/// Why something was sent, or not.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Decision {
    /// Only grows.
    id: i64,
    /// Unix seconds.
    at: i64,
    host: String,
    /// Empty: the host itself.
    probe: String,
    /// The entry of the log that led to it; null where time did.
    entry: Option<u64>,
    incident: Option<Uuid>,
    /// The channel it is about; null: it ended before a channel was asked.
    channel: Option<String>,
    status: Status,
    /// `sent`, `waiting`, `grouped` or `held`.
    #[schema(value_type = String)]
    outcome: Outcome,
    /// The word of the question that decided, the last one.
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
    /// The questions that were asked, in order.
    chain: Vec<DecisionStep>,
    /// The message, if there is one.
    notification: Option<TriedNotification>,
}

/// One question.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct DecisionStep {
    /// Such as `confirmed`, `silenced`, `level`.
    #[schema(value_type = String)]
    reason: Reason,
    /// Whether it let pass; the first that did not is why nothing was sent.
    passed: bool,
    /// What it was decided by, in words.
    detail: String,
}

impl Notification {
    pub fn new(of: &store::Notification) -> Notification {
        let seconds = |at: Option<Timestamp>| at.map(Timestamp::as_second);
        let subject = Subject { host: of.host.clone(), probe: of.probe.clone() };
        let (host, probe) = names(&subject);
        Notification {
            id: of.id,
            key: of.key.clone(),
            channel: of.channel.clone(),
            kind: of.kind,
            incident: of.incident,
            host,
            probe,
            title: of.title.clone(),
            status: of.status,
            at: of.at.as_second(),
            state: of.state.word(),
            attempts: of.attempts,
            next: seconds(of.next),
            delivered: seconds(of.delivered),
            answer: of.answer.clone(),
        }
    }
}

impl Try {
    fn new(of: &store::Try) -> Try {
        Try {
            at: of.at.as_second(),
            ok: of.ok,
            text: of.text.clone(),
            milliseconds: u64::try_from(of.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl TriedNotification {
    pub fn new(of: &store::Notification, tries: &[store::Try]) -> TriedNotification {
        let tries = tries.iter().map(Try::new).collect();
        TriedNotification { notification: Notification::new(of), tries }
    }
}

impl WholeNotification {
    /// `text`: as it was sent last; empty: not yet.
    pub fn new(of: &store::Notification, text: String, tries: &[store::Try]) -> WholeNotification {
        let text = if text.is_empty() { of.title.clone() } else { text };
        let tries = tries.iter().map(Try::new).collect();
        WholeNotification { notification: Notification::new(of), text, tries }
    }
}

impl Decision {
    pub fn new(of: store::StoredDecision, notification: Option<TriedNotification>) -> Decision {
        let (host, probe) = names(&of.decision.subject);
        let reason = of.decision.reason().map(|step| step.reason);
        let step = |step: crate::notify::Step| DecisionStep {
            reason: step.reason,
            passed: step.passed,
            detail: step.detail,
        };
        Decision {
            id: of.id,
            at: of.decision.at.as_second(),
            host,
            probe,
            entry: of.decision.entry,
            incident: of.decision.incident,
            channel: of.decision.channel,
            status: of.decision.status,
            outcome: of.decision.outcome,
            reason,
            chain: of.decision.chain.into_iter().map(step).collect(),
            notification,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;
    use crate::{notify::Step, store::DeliveryState as State, tree::ProbeName};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_decision_is_told_with_its_chain_and_its_message() {
        let message = store::Notification {
            id: 3,
            key: "k:1:mail".into(),
            channel: "mail".into(),
            kind: Kind::Problem,
            incident: Some(Uuid::from_u128(7)),
            host: "db1".into(),
            probe: ProbeName::parse("disk").ok(),
            title: "db1 / disk is CRIT".into(),
            status: Status::CRIT,
            at: at(60),
            state: State::Waiting,
            attempts: 1,
            next: Some(at(90)),
            delivered: None,
            answer: "refused".into(),
            expires: at(900),
        };
        let tries = [store::Try {
            at: at(61),
            ok: false,
            text: "refused".into(),
            took: std::time::Duration::from_millis(12),
        }];
        let step = |reason, passed| Step { reason, passed, detail: "why".into() };
        let decision = crate::notify::Decision {
            at: at(60),
            subject: Subject { host: "db1".into(), probe: ProbeName::parse("disk").ok() },
            entry: None,
            incident: None,
            channel: Some("mail".into()),
            status: Status::CRIT,
            outcome: Outcome::Sent,
            chain: vec![step(Reason::Result, true), step(Reason::RateLimit, true)],
            message: Some(message.key.clone()),
        };
        let stored = store::StoredDecision { id: 5, decision };
        let told = Decision::new(stored, Some(TriedNotification::new(&message, &tries)));
        let told = to_value(told).unwrap();
        assert_eq!((&told["Outcome"], &told["Reason"]), (&json!("sent"), &json!("rate_limit")));
        let first = json!({"Reason": "result", "Passed": true, "Detail": "why"});
        assert_eq!(told["Chain"][0], first);
        let sent = &told["Notification"];
        assert_eq!((&sent["State"], &sent["Next"]), (&json!("waiting"), &json!(90)));
        let tried = json!([{"At": 61, "Ok": false, "Text": "refused", "Milliseconds": 12}]);
        assert_eq!((&sent["Tries"], &sent["Kind"]), (&tried, &json!("problem")));
        let whole = to_value(WholeNotification::new(&message, String::new(), &[])).unwrap();
        assert_eq!(whole["Text"], "db1 / disk is CRIT");
    }
}
