//! What was rendered of each instance, kept until the instance is another.
//!
//! A change of one host costs the rendering of one host, however many there are. What nobody asks for is
//! not rendered, and not compressed either.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use uuid::Uuid;

use super::{gzip::Part, views};
use crate::tree::{Instance, Presence, View};

/// What was rendered, by instance: not more of them than the tree has.
#[derive(Debug)]
pub struct Fragments(Mutex<HashMap<Uuid, Arc<Fragment>>>);

/// The own part of an instance: all of it but what is below.
#[derive(Debug)]
pub struct Fragment {
    version: Version,
    text: OnceLock<Pieces<Box<[u8]>>>,
    compressed: OnceLock<Pieces<Part>>,
}

/// An own part, and what is below it goes between the two. An instance with nothing below it is in one
/// piece, which compresses better, and its tail is empty.
#[derive(Debug)]
pub struct Pieces<T> {
    pub head: T,
    pub tail: T,
}

/// What the text of a fragment depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Of the instance.
    revision: u64,
    /// As it is seen from the top.
    presence: Presence,
    /// Whether nothing is below it.
    is_leaf: bool,
}

impl Version {
    /// What the fragment of an instance depends on now.
    pub fn of(tree: &View, instance: &Instance) -> Version {
        Version {
            revision: instance.revision,
            presence: tree.presence(instance),
            is_leaf: tree.children(instance.uuid).next().is_none(),
        }
    }
}

impl Fragments {
    pub fn new() -> Fragments {
        Fragments(Mutex::default())
    }

    /// The fragment of an instance of `tree`.
    pub fn of(&self, tree: &View, instance: &Instance) -> Arc<Fragment> {
        let version = Version::of(tree, instance);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = held.get(&instance.uuid);
        if let Some(known) = known.filter(|known| known.version == version) {
            return known.clone();
        }
        let newer = known.is_none_or(|known| known.version.revision <= version.revision);
        let fragment = Arc::new(Fragment::new(version));
        // A slow reader goes through an old tree: what it gets is not for others.
        if newer {
            held.insert(instance.uuid, fragment.clone());
        }
        fragment
    }

    /// How many are kept.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Drops what is not in `tree`, as soon as that may be much.
    pub fn forget_gone(&self, tree: &View) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() > tree.count() {
            held.retain(|uuid, _| tree.get(*uuid).is_some());
        }
    }
}

impl Fragment {
    fn new(version: Version) -> Fragment {
        Fragment { version, text: OnceLock::new(), compressed: OnceLock::new() }
    }

    /// Whether nothing is below the instance.
    pub fn is_leaf(&self) -> bool {
        self.version.is_leaf
    }

    /// The text; `instance` is the one that it is the fragment of.
    pub fn text(&self, instance: &Instance) -> &Pieces<Box<[u8]>> {
        self.text.get_or_init(|| self.render(instance))
    }

    /// The text, compressed. It is not kept itself then: who asks for one form asks for no other.
    pub fn compressed(&self, instance: &Instance) -> &Pieces<Part> {
        self.compressed.get_or_init(|| {
            let rendered;
            let text = match self.text.get() {
                Some(text) => text,
                None => {
                    rendered = self.render(instance);
                    &rendered
                }
            };
            Pieces { head: Part::of(&text.head), tail: Part::of(&text.tail) }
        })
    }

    fn render(&self, instance: &Instance) -> Pieces<Box<[u8]>> {
        let views::Wigo { mut head, mut tail } = views::Wigo::new(instance, self.version.presence);
        if self.version.is_leaf {
            head.append(&mut tail);
        }
        Pieces { head: head.into(), tail: tail.into() }
    }
}
