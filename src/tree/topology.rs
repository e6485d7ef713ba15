//! Who is below whom, and who is called what: changes seldom, so a copy of the tree shares it.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Topology {
    children: BTreeMap<Uuid, BTreeSet<Uuid>>,
    names: BTreeMap<String, BTreeSet<Uuid>>,
    groups: BTreeMap<String, BTreeSet<Uuid>>,
}

impl Topology {
    pub fn insert(&mut self, uuid: Uuid, parent: Option<Uuid>, name: &str, group: &str) {
        if let Some(parent) = parent {
            self.children.entry(parent).or_default().insert(uuid);
        }
        put(&mut self.names, name, uuid);
        put(&mut self.groups, group, uuid);
    }

    pub fn remove(&mut self, uuid: Uuid, parent: Option<Uuid>, name: &str, group: &str) {
        if let Some(parent) = parent
            && let Some(children) = self.children.get_mut(&parent)
        {
            children.remove(&uuid);
            if children.is_empty() {
                self.children.remove(&parent);
            }
        }
        take(&mut self.names, name, uuid);
        take(&mut self.groups, group, uuid);
    }

    pub fn children(&self, uuid: Uuid) -> impl Iterator<Item = Uuid> + '_ {
        self.children.get(&uuid).into_iter().flatten().copied()
    }

    pub fn named(&self, name: &str) -> impl Iterator<Item = Uuid> + '_ {
        self.names.get(name).into_iter().flatten().copied()
    }

    pub fn group(&self, group: &str) -> impl Iterator<Item = Uuid> + '_ {
        self.groups.get(group).into_iter().flatten().copied()
    }

    /// The names of all groups, in order; `""` for hosts without one.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }
}

fn put(index: &mut BTreeMap<String, BTreeSet<Uuid>>, key: &str, uuid: Uuid) {
    match index.get_mut(key) {
        Some(held) => {
            held.insert(uuid);
        }
        None => {
            index.insert(key.to_owned(), BTreeSet::from([uuid]));
        }
    }
}

fn take(index: &mut BTreeMap<String, BTreeSet<Uuid>>, key: &str, uuid: Uuid) {
    if let Some(held) = index.get_mut(key) {
        held.remove(&uuid);
        if held.is_empty() {
            index.remove(key);
        }
    }
}
