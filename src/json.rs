//! JSON that a user owns (Detail, Metrics, Value): checked once, then carried as text.
//!
//! It goes from a probe through the tree, SQLite and the API without being taken apart again.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    sync::{Arc, LazyLock},
};

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A well-formed JSON document as text.
///
/// Cheap to clone. Compares as text, so the same data in another spelling is another value.
#[derive(Clone, Debug)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// The text of [`Json::null`].
    pub const NULL: &str = "null";

    /// `null`. All of them share one text, since most results have several.
    pub fn null() -> Json {
        static SHARED: LazyLock<Json> =
            LazyLock::new(|| Json::parse(Json::NULL).expect("null is JSON"));
        SHARED.clone()
    }

    /// The text of `value`, keys of objects sorted.
    pub fn from_value(value: &serde_json::Value) -> Json {
        let text = serde_json::value::to_raw_value(value).expect("all keys of a value are text");
        Json(text.into())
    }

    /// A JSON string that holds `text`.
    pub fn string(text: &str) -> Json {
        Json::from_value(&serde_json::Value::from(text))
    }

    /// Takes text that should be JSON, for example from a database; `None` when it is not.
    pub fn parse(text: &str) -> Option<Json> {
        serde_json::from_str::<Box<RawValue>>(text).ok().map(|text| Json(text.into()))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Whether this is `null`, which is how "nothing given" is written.
    pub fn is_null(&self) -> bool {
        self.as_str() == Json::NULL
    }

    /// The document taken apart.
    pub fn to_value(&self) -> serde_json::Value {
        serde_json::from_str(self.as_str()).unwrap_or(serde_json::Value::Null)
    }
}

/// How deep `[` and `{` nest outside of strings. Without recursion, so that no depth can hurt.
pub fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A number as people write it: `1`, not `1.0`.
pub fn number(value: f64) -> serde_json::Value {
    /// Beyond this, not every whole number can be told from its neighbours.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value.fract() == 0.0 && value.abs() < EXACT {
        true => serde_json::Value::from(value as i64),
        false => serde_json::Value::from(value),
    }
}

impl Default for Json {
    fn default() -> Json {
        Json::null()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Json) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

impl Hash for Json {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.as_str().hash(hasher);
    }
}

impl Borrow<str> for Json {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_carried_through_unchanged() {
        let json = Json::parse(r#"{"b":1,"a":[1.50,null]}"#).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), r#"{"b":1,"a":[1.50,null]}"#);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        assert_eq!(Json::parse("{"), None);
        assert_eq!(Json::parse("1 2"), None);
    }
}
