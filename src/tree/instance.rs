//! One running wigo, its host and the instances below it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::Host;
use crate::status::Status;

/// One running wigo with everything below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub uuid: Uuid,
    /// Name and version, such as `Wigo v1.0.0`.
    pub version: String,
    /// Whether it reports. An instance is always alive for itself.
    pub is_alive: bool,
    /// `OK`, `UP` or `DOWN`.
    pub message: String,
    pub host: Host,
    /// When its last report came; `None` for the answering instance itself.
    pub last_update: Option<Timestamp>,
    /// The instances below it.
    pub remotes: BTreeMap<Uuid, Instance>,
}

impl Instance {
    /// An instance that has just started.
    pub fn new(uuid: Uuid, version: impl Into<String>, host: Host) -> Instance {
        Instance {
            uuid,
            version: version.into(),
            is_alive: true,
            message: "OK".into(),
            host,
            last_update: None,
            remotes: BTreeMap::new(),
        }
    }

    /// The status of its own host: the worst of its probes, or DOWN.
    pub fn local_status(&self) -> Status {
        if self.is_alive { self.host.status() } else { Status::DOWN }
    }

    /// The worst of its own host and of every instance below it.
    pub fn global_status(&self) -> Status {
        Status::worst(
            self.remotes.values().map(Instance::global_status).chain([self.local_status()]),
        )
    }
}
