//! What an incident is called.

use super::Incident;

/// The most of the first line of an output that is in a title, in bytes.
const MAX_SAID: usize = 120;

/// `db1 / disk is CRIT: 95 % used (3 of 45)`: what broke first, how bad the incident is, and how many more
/// there are; of one that is over, how bad it was.
pub fn incident(incident: &Incident) -> String {
    let lead = incident.members.iter().find(|member| member.subject == incident.lead);
    let (is, status) = match incident.is_open() {
        true => ("is", incident.status),
        false => ("was", incident.worst),
    };
    let mut title = format!("{} {is} {}", incident.lead, status.level().word());
    let said = lead.and_then(|lead| lead.output.lines().next()).unwrap_or_default().trim();
    if !said.is_empty() {
        title.push_str(": ");
        title.push_str(super::fact::cut(said, MAX_SAID));
    }
    let (members, bad) = incident.count();
    if members > 1 && incident.is_open() {
        title.push_str(&format!(" ({bad} of {members})"));
    }
    title
}
