//! Ids that follow from what they are about, so that two masters say the same.

use uuid::Uuid;

/// Of all ids made here.
const NAMESPACE: Uuid = Uuid::from_u128(0x5a1c_0a7e_9d0b_4c52_8f4e_6b1d_2f37_90c4);

/// The id of what this entry of the journal of that instance led to.
pub fn identify(origin: Uuid, origin_id: u64) -> Uuid {
    name(&format!("entry {origin} {origin_id}"))
}

/// The id of an outage of a host: each master notices it itself, so it follows from the last that the
/// host's own instance told, and how often it went down since.
pub(super) fn outage(host: &str, told: u64, downs: u32) -> Uuid {
    name(&format!("outage {told} {downs} {host}"))
}

/// The next id, where one has another meaning already.
pub(super) fn again(id: Uuid, times: u32) -> Uuid {
    match times {
        0 => id,
        _ => name(&format!("again {id} {times}")),
    }
}

/// The id of a message of ours that belongs to no incident.
pub(super) fn own(sender: Uuid, number: u64) -> Uuid {
    name(&format!("own {sender} {number}"))
}

fn name(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}
