//! What entries of the journal mean for people.

use super::{
    Subject,
    policy::{Fact, What},
};
use crate::{hub::Entry, status::Status, tree::Kind};

/// How bad it is that a client waits to be admitted.
const CLIENT_WAITS: i64 = 150;

/// What an entry means; `None`: nothing that anybody is told.
pub fn fact(entry: &Entry) -> Option<Fact> {
    let transition = &entry.transition;
    let what = match transition.kind {
        Kind::ProbeSeen => What::Status { was: None, now: transition.now? },
        Kind::ProbeChanged => What::Status { was: transition.was, now: transition.now? },
        Kind::ProbeGone => What::Gone,
        Kind::InstanceDown => What::HostDown,
        Kind::InstanceSeen | Kind::InstanceUp | Kind::AgentStarted => What::HostUp,
        Kind::InstanceGone => What::HostGone,
        Kind::AgentStopped => What::HostStopped,
        Kind::EntriesLost | Kind::ClientRefused => What::Notice(Status::WARN),
        Kind::ClientWaiting => What::Notice(Status::new(CLIENT_WAITS)?),
        // What people did themselves, or what changes nothing for anybody.
        Kind::ClockChanged
        | Kind::Imported
        | Kind::InstanceMoved
        | Kind::ClientAllowed
        | Kind::ClientRevoked
        | Kind::Ordered => return None,
    };
    let subject = match (&what, &transition.probe) {
        (What::Status { .. } | What::Gone, probe) => {
            Subject { host: transition.host.clone(), probe: Some(probe.clone()?) }
        }
        _ => Subject::host(&transition.host),
    };
    Some(Fact {
        entry: entry.id,
        origin: entry.origin,
        origin_id: entry.origin_id,
        at: transition.at,
        subject,
        group: transition.group.clone(),
        what,
        message: transition.message.clone(),
    })
}

/// At most so many bytes of a text, up to the end of a character.
pub fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
