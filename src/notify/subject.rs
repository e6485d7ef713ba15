//! What people are told about.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::tree::ProbeName;

/// A host, or one of its probes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    pub host: String,
    /// `None`: the host itself, that is, whether it reports.
    pub probe: Option<ProbeName>,
}

impl Subject {
    /// A host itself.
    pub fn host(host: impl Into<String>) -> Subject {
        Subject { host: host.into(), probe: None }
    }

    /// A probe of a host.
    pub fn probe(host: impl Into<String>, probe: ProbeName) -> Subject {
        Subject { host: host.into(), probe: Some(probe) }
    }
}

/// `host` or `host / probe`, for people.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.probe {
            Some(probe) => write!(f, "{} / {probe}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// As `["host"]` or `["host", "probe"]`: names may hold any separator.
impl Serialize for Subject {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.probe {
            Some(probe) => [&*self.host, probe.as_str()].serialize(to),
            None => [&*self.host].serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Subject, D::Error> {
        let mut names = Vec::<String>::deserialize(from)?.into_iter();
        let host = names.next().ok_or_else(|| serde::de::Error::custom("a subject has a host"))?;
        let probe = names.next().map(|name| ProbeName::parse(&name)).transpose();
        Ok(Subject { host, probe: probe.map_err(serde::de::Error::custom)? })
    }
}
