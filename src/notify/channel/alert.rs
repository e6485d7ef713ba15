//! What receivers are told that keep alerts themselves: which one it is, and whether it is over.

use crate::notify::{Kind, Message};

/// The identity of the alert: the incident, or the message where there is none. At most `max` bytes.
pub(super) fn identity(message: &Message, max: usize) -> String {
    match message.incident {
        Some(incident) => incident.to_string(),
        None if message.key.len() <= max => message.key.clone(),
        None => uuid::Uuid::new_v5(&message.sender_uuid, message.key.as_bytes()).to_string(),
    }
}

/// Whether the incident is over. What flaps is not, however it is just now.
pub(super) fn is_over(message: &Message) -> bool {
    let is_well = message.status == crate::status::Status::OK && message.kind != Kind::Flapping;
    message.incident.is_some() && (message.kind == Kind::Recovered || is_well)
}
