//! The shape of the policy, for those who build against it until it is here.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Answer, Changed, Command, Effects, Fact, Stored, World};
use crate::{
    notify::{Incident, Rules, Subject, Suppression, Window},
    status::Status,
};

/// How a subject stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    pub shown: Status,
    pub confirmed: Status,
    pub since: Timestamp,
    pub flapping: bool,
    pub silenced: Option<u64>,
    pub acked: Option<u64>,
    pub behind: Option<String>,
}

/// The policy.
#[derive(Debug)]
pub struct Policy {
    rules: Rules,
}

impl Policy {
    pub fn new(rules: Rules, _sender: Uuid, _stored: Stored) -> Policy {
        Policy { rules }
    }

    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn handle(&mut self, _: &[Fact], _: &dyn World, _: Timestamp, _: &mut Effects) {}

    pub fn command(&mut self, _: Command, _: &dyn World, _: Timestamp, _: &mut Effects) -> Answer {
        Answer::Done(Vec::new())
    }

    pub fn tick(&mut self, _: &dyn World, _: Timestamp, _: &mut Effects) {}

    pub fn deadline(&self) -> Option<Timestamp> {
        None
    }

    pub fn take_changed(&mut self) -> Vec<Changed> {
        Vec::new()
    }

    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        std::iter::empty()
    }

    pub fn incident(&self, _: Uuid) -> Option<&Incident> {
        None
    }

    pub fn changed_incidents(&self) -> Vec<&Incident> {
        Vec::new()
    }

    pub fn suppressions(&self) -> impl Iterator<Item = Suppression> + '_ {
        std::iter::empty()
    }

    pub fn windows(&self) -> impl Iterator<Item = &Window> {
        std::iter::empty()
    }

    pub fn flapping(&self) -> Vec<Subject> {
        Vec::new()
    }

    pub fn behind(&self, _: &dyn World) -> Vec<(String, String)> {
        Vec::new()
    }

    pub fn is_blind(&self) -> bool {
        false
    }

    pub fn standing(&self, _: &Subject) -> Option<Standing> {
        None
    }

    pub fn quiet(&self, _: Timestamp) -> Option<Timestamp> {
        None
    }
}
