//! What there is around a subject, from a copy of the tree.

use std::collections::BTreeMap;

use super::{
    Subject,
    policy::{Place, Run, World},
};
use crate::tree::{Instance, Presence, ProbeName, View};

/// The label of a host that says where it is written what to do about its probes.
const RUNBOOK_LABEL: &str = "runbook";
/// The most of what a run said that is told, in bytes.
const MAX_OUTPUT: usize = 4 * 1024;

/// The tree as it was at one moment.
pub struct Around {
    view: View,
}

impl Around {
    /// A look at the tree.
    pub fn new(view: View) -> Around {
        Around { view }
    }

    /// The tree.
    pub fn view(&self) -> &View {
        &self.view
    }
}

impl World for Around {
    fn host(&self, host: &str) -> Option<Place> {
        let instance = self.view.find(host)?;
        Some(Place {
            group: instance.host.group.clone(),
            labels: instance.host.labels.clone(),
            above: self.view.above(instance).map(|above| above.host.name.clone()).collect(),
            is_reached: self.view.presence(instance) == Presence::Alive,
            runbooks: runbooks(instance),
        })
    }

    fn last_run(&self, subject: &Subject) -> Option<Run> {
        let instance = self.view.find(&subject.host)?;
        let result = &instance.host.probes.get(subject.probe.as_ref()?)?.result;
        Some(Run {
            at: result.date,
            status: result.status,
            interval: std::time::Duration::from_secs(result.interval.into()),
            output: crate::notify::fact::cut(&result.message, MAX_OUTPUT).to_owned(),
        })
    }
}

/// Where it says what to do: a probe's own word comes first (a text `Runbook` in its `Detail`), then the
/// label `runbook.<probe>` of its host, then the label `runbook`, which is for all (`*`).
fn runbooks(instance: &Instance) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (label, value) in &instance.host.labels {
        match label.strip_prefix(RUNBOOK_LABEL) {
            Some("") => {
                found.insert("*".to_owned(), value.clone());
            }
            Some(rest) => {
                if let Some(probe) = rest.strip_prefix('.') {
                    found.insert(probe.to_owned(), value.clone());
                }
            }
            None => {}
        }
    }
    let said = |name: &ProbeName| {
        let detail = instance.host.probes.get(name)?.result.detail.as_str();
        // Most say nothing of it, and need not be read for that.
        if !detail.contains("\"Runbook\"") {
            return None;
        }
        let detail: serde_json::Value = serde_json::from_str(detail).ok()?;
        Some(detail.get("Runbook")?.as_str()?.to_owned())
    };
    for name in instance.host.probes.keys() {
        found.extend(said(name).map(|runbook| (name.as_str().to_owned(), runbook)));
    }
    found
}
