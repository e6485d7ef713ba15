//! What an incident is called.

use super::Incident;

/// The most of the first line of an output that is in a title, in bytes.
const MAX_SAID: usize = 120;

/// `db1 / disk is CRIT: 95 % used (3 of 45)`: the worst of it, and how many there are; of one that is over,
/// how bad it was.
pub fn incident(incident: &Incident) -> String {
    let is_open = incident.is_open();
    let (is, status) = match is_open {
        true => ("is", incident.status),
        false => ("was", incident.worst),
    };
    // Of those that are as bad the first; one that is not listed may be worse.
    let mut as_bad = incident.members.iter().filter(|member| match is_open {
        true => member.recovered.is_none() && member.status == status,
        false => member.worst == status,
    });
    let lead = incident.members.iter().find(|member| member.subject == incident.lead);
    let worst = lead.filter(|lead| as_bad.clone().any(|it| it.subject == lead.subject));
    let shown = worst.or_else(|| as_bad.next()).or(lead);
    let subject = shown.map_or(&incident.lead, |shown| &shown.subject);
    let mut title = format!("{subject} {is} {}", status.level().word());
    let said = shown.and_then(|shown| shown.output.lines().next()).unwrap_or_default().trim();
    if !said.is_empty() {
        title.push_str(": ");
        title.push_str(super::fact::cut(said, MAX_SAID));
    }
    let (members, bad) = incident.count();
    if members > 1 && is_open {
        title.push_str(&format!(" ({bad} of {members})"));
    }
    title
}
