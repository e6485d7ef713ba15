//! What a stream carries: the part of the news that its reader shows.

use std::collections::HashMap;

use uuid::Uuid;

use super::{item::About, query_pairs};
use crate::tree::View;

/// Which news a reader wants. All get the counts and what lists have changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    All,
    Overview,
    Group(String),
    /// An instance, with the name of its host.
    Host(Uuid, String),
    Logs {
        host: Option<String>,
        group: Option<String>,
        probe: Option<String>,
    },
    None,
}

/// Why there is no such scope.
#[derive(Debug, PartialEq)]
pub enum NoScope {
    Query(String),
    /// No host has this name.
    UnknownHost(String),
}

impl Scope {
    /// Reads a query string.
    pub fn read(query: &str, tree: &View) -> Result<Scope, NoScope> {
        let pairs: HashMap<String, String> = query_pairs(query).collect();
        let value = |name: &str| pairs.get(name).filter(|value| !value.is_empty()).cloned();
        let needed = |name: &str| {
            value(name).ok_or_else(|| NoScope::Query(format!("this scope needs `{name}=`")))
        };
        match value("scope").as_deref().unwrap_or("all") {
            "all" => Ok(Scope::All),
            "overview" => Ok(Scope::Overview),
            "group" => Ok(Scope::Group(needed("group")?)),
            "host" => {
                let host = needed("host")?;
                let found = tree.find(&host).ok_or(NoScope::UnknownHost(host))?;
                Ok(Scope::Host(found.uuid, found.host.name.clone()))
            }
            "logs" => Ok(Scope::Logs {
                host: value("hostname"),
                group: value("group"),
                probe: value("probe"),
            }),
            "none" => Ok(Scope::None),
            other => Err(NoScope::Query(format!(
                "`scope`: `{other}` is none: write all, overview, group, host, logs or none"
            ))),
        }
    }

    /// Whether a piece of news is for this reader.
    pub fn takes(&self, about: &About) -> bool {
        match (self, about) {
            (_, About::Everyone) => true,
            (_, About::Rows) => self.has_rows(),
            (_, About::Entries) => self.has_logs(),
            (Scope::All, About::Host { heard, .. } | About::Probe { ran: heard, .. }) => !heard,
            (Scope::All, About::Instance { .. } | About::Log { .. }) => true,
            (Scope::Group(group), About::Host { group: of, heard, .. })
            | (Scope::Group(group), About::Probe { group: of, ran: heard, .. }) => {
                !heard && **group == **of
            }
            (Scope::Group(group), About::Instance { group: of, .. }) => **group == **of,
            (Scope::Host(uuid, _), About::Host { uuid: of, parent, heard, .. }) => {
                uuid == of || (!heard && *parent == Some(*uuid))
            }
            (Scope::Host(uuid, _), About::Probe { uuid: of, .. })
            | (Scope::Host(uuid, _), About::Instance { uuid: of, .. }) => uuid == of,
            (Scope::Host(_, name), About::Log { host, .. }) => name == host,
            (
                Scope::Logs { host, group, probe },
                About::Log { host: h, group: g, probe: p, .. },
            ) => {
                let fits = |wanted: &Option<String>, held: &str| {
                    wanted.as_ref().is_none_or(|wanted| wanted == held)
                };
                fits(host, h) && fits(group, g) && fits(probe, p)
            }
            _ => false,
        }
    }

    /// Whether rows of hosts and probes are for this reader.
    pub fn has_rows(&self) -> bool {
        matches!(self, Scope::All | Scope::Group(_) | Scope::Host(..))
    }

    /// Whether entries of the log are for this reader.
    pub fn has_logs(&self) -> bool {
        matches!(self, Scope::All | Scope::Host(..) | Scope::Logs { .. })
    }
}

/// How many readers want what: nothing is rendered that nobody wants.
#[derive(Clone, Debug, Default)]
pub struct Wanted(HashMap<Scope, usize>);

impl Wanted {
    pub fn add(&mut self, scope: &Scope) {
        *self.0.entry(scope.clone()).or_default() += 1;
    }

    pub fn remove(&mut self, scope: &Scope) {
        if let Some(count) = self.0.get_mut(scope) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(scope);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether anybody wants this piece of news.
    pub fn takes(&self, about: &About) -> bool {
        self.0.keys().any(|scope| scope.takes(about))
    }

    pub fn has_rows(&self) -> bool {
        self.0.keys().any(Scope::has_rows)
    }

    pub fn has_logs(&self) -> bool {
        self.0.keys().any(Scope::has_logs)
    }

    pub fn has_overview(&self) -> bool {
        self.0.contains_key(&Scope::Overview)
    }
}
