//! Names of probes, checked once where they enter.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// The longest name of a probe, in bytes (also the longest file name on Linux).
pub const MAX_NAME_BYTES: usize = 255;

/// The name of a probe: a file name, or `file name/service` where one probe reports several services.
///
/// Never empty, at most [`MAX_NAME_BYTES`] bytes, no control characters, no `/` but the one between
/// probe and service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeName(Arc<str>);

/// Why a text is no name of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadName {
    #[error("the name is empty")]
    Empty,
    #[error("the name is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    #[error("the name has a control character (such as a line break) in it")]
    Control,
    #[error("the name has a `/` in it")]
    Slash,
    #[error("the name is `.` or `..`")]
    Dots,
}

impl ProbeName {
    /// The name of an executable.
    pub fn new(name: &str) -> Result<ProbeName, BadName> {
        match name {
            "" => Err(BadName::Empty),
            "." | ".." => Err(BadName::Dots),
            _ if name.len() > MAX_NAME_BYTES => Err(BadName::TooLong),
            _ if name.chars().any(char::is_control) => Err(BadName::Control),
            _ if name.contains('/') => Err(BadName::Slash),
            _ => Ok(ProbeName(name.into())),
        }
    }

    /// The name of one `service` that this probe reports. Characters that a name cannot hold are
    /// replaced, and what is too long is cut, since the text comes from the probe's output. An error
    /// if nothing is left.
    pub fn service(&self, service: &str) -> Result<ProbeName, BadName> {
        let mut fitting = String::new();
        let room = MAX_NAME_BYTES.checked_sub(self.0.len() + 1).ok_or(BadName::TooLong)?;
        for c in service.chars() {
            let c = if c.is_control() || c == '/' { '_' } else { c };
            if fitting.len() + c.len_utf8() > room {
                break;
            }
            fitting.push(c);
        }
        ProbeName::new(&fitting)?;
        Ok(ProbeName(format!("{self}/{fitting}").into()))
    }

    /// A name as it was stored or received: with or without a service.
    pub fn parse(name: &str) -> Result<ProbeName, BadName> {
        match name.split_once('/') {
            None => ProbeName::new(name),
            Some(_) if name.len() > MAX_NAME_BYTES => Err(BadName::TooLong),
            Some((probe, service)) => {
                ProbeName::new(service)?;
                ProbeName::new(probe)?.service(service)
            }
        }
    }

    /// Whether this is a service that `probe` reports.
    pub fn is_service_of(&self, probe: &ProbeName) -> bool {
        self.0.strip_prefix(probe.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProbeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ProbeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for ProbeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProbeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ProbeName, D::Error> {
        let name = String::deserialize(deserializer)?;
        ProbeName::parse(&name).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_files_may_have() {
        for name in ["check_http", "a b", "it's \"quoted\"", "a..b", "日本", "-v", "$(id)"] {
            assert_eq!(ProbeName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_are_refused() {
        assert_eq!(ProbeName::new(""), Err(BadName::Empty));
        assert_eq!(ProbeName::new(".."), Err(BadName::Dots));
        assert_eq!(ProbeName::new("a\nb"), Err(BadName::Control));
        assert_eq!(ProbeName::new("a/b"), Err(BadName::Slash));
        assert_eq!(ProbeName::new(&"x".repeat(256)), Err(BadName::TooLong));
    }

    #[test]
    fn a_service_name_is_made_to_fit() {
        let probe = ProbeName::new("cmk").unwrap();
        let service = |name: &str| probe.service(name).unwrap();
        assert_eq!(service("a/b\nc").as_str(), "cmk/a_b_c");
        assert_eq!(service(&"é".repeat(300)).as_str().len(), 254);
        assert!(service("x").is_service_of(&probe));
        assert_eq!(probe.service(""), Err(BadName::Empty));
        assert_eq!(probe.service(".."), Err(BadName::Dots));
        let long = ProbeName::new(&"x".repeat(255)).unwrap();
        assert_eq!(long.service("y"), Err(BadName::TooLong));
        assert!(!ProbeName::new("cmk2").unwrap().is_service_of(&probe));
        assert_eq!(ProbeName::parse("cmk/x").unwrap(), service("x"));
        assert_eq!(ProbeName::parse("cmk/"), Err(BadName::Empty));
        assert_eq!(ProbeName::parse("a/b/c"), Err(BadName::Slash));
    }
}
