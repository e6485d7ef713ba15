//! Equal texts kept once. Ten thousand hosts run the same twenty probes, and most say `null` for details.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    json::Json,
    tree::{BadName, ProbeName},
};

/// Most names, and most JSON texts, that are kept. When there are more, all are let go: those in use stay
/// alive where they are used, and what is common comes back at once.
const MAX_KEPT: usize = 16_384;
/// JSON longer than this is hardly ever the same twice, in bytes.
const MAX_SHARED_JSON_BYTES: usize = 64;

/// Equal names and short JSON texts, each in memory once. Shared by all connections.
#[derive(Default)]
pub struct Pool {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    names: HashSet<ProbeName>,
    jsons: HashSet<Json>,
}

impl Pool {
    /// The name of a probe as it was received.
    pub fn name(&self, name: &str) -> Result<ProbeName, BadName> {
        if let Some(known) = self.kept().names.get(name) {
            return Ok(known.clone());
        }
        let name = ProbeName::parse(name)?;
        keep(&mut self.kept().names, name.clone());
        Ok(name)
    }

    /// JSON as it was received, or as `check` makes it; `None` if `check` does not take it.
    pub fn json(&self, text: &str, check: impl FnOnce(&str) -> Option<Json>) -> Option<Json> {
        if text.len() > MAX_SHARED_JSON_BYTES {
            return check(text);
        }
        if text == Json::NULL {
            return Some(Json::null());
        }
        if let Some(known) = self.kept().jsons.get(text) {
            return Some(known.clone());
        }
        let json = check(text)?;
        keep(&mut self.kept().jsons, json.clone());
        Some(json)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep<T: Eq + std::hash::Hash>(set: &mut HashSet<T>, one: T) {
    if set.len() >= MAX_KEPT {
        *set = HashSet::new();
    }
    set.insert(one);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_in_memory() {
        let pool = Pool::default();
        let same = |a: &str, b: &str| std::ptr::eq(a, b);
        assert!(same(pool.name("load").unwrap().as_str(), pool.name("load").unwrap().as_str()));
        let json = |text: &str| pool.json(text, Json::parse);
        assert!(same(json("[1]").unwrap().as_str(), json("[1]").unwrap().as_str()));
        assert!(same(json("null").unwrap().as_str(), Json::null().as_str()));
        assert_eq!(json("[1"), None);
        assert_eq!(pool.name("a\nb"), Err(BadName::Control));
    }

    #[test]
    fn a_flood_of_different_texts_does_not_fill_memory() {
        let pool = Pool::default();
        for number in 0..3 * MAX_KEPT {
            pool.name(&format!("probe {number}")).unwrap();
            pool.json(&number.to_string(), Json::parse).unwrap();
        }
        let kept = pool.kept();
        assert!(kept.names.len() <= MAX_KEPT && kept.jsons.len() <= MAX_KEPT);
    }
}
