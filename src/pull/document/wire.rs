//! The shape of `GET /api` as JSON. Nothing is required, and a value of the wrong type is as good as none:
//! only what is no JSON at all is an error.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use super::{MAX_INSTANCES, text::lines};

/// Longest text of a single value that is kept, in bytes.
pub const MAX_TEXT: usize = 4 << 10;

/// An instance.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Wigo<'a> {
    pub uuid: Scalar,
    pub version: Scalar,
    pub is_alive: Scalar,
    pub global_message: Scalar,
    #[serde(borrow)]
    pub local_host: Object<Host<'a>>,
    #[serde(borrow)]
    pub remote_wigos: Entries<'a>,
    pub hostname: Scalar,
    pub last_update: Scalar,
    // What our own instances add.
    pub presence: Scalar,
    pub presence_since: Scalar,
    pub problem: Scalar,
    pub remote_control: Scalar,
}

/// Of an instance only what it is called by.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct OnlyUuid {
    pub uuid: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Host<'a> {
    pub name: Scalar,
    pub group: Scalar,
    #[serde(borrow)]
    pub probes: Entries<'a>,
    #[serde(borrow)]
    pub labels: Entries<'a>,
    // What our own instances add.
    #[serde(borrow)]
    pub disabled_probes: Entries<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Disabled {
    pub reason: Scalar,
    pub author: Scalar,
    pub interval: Scalar,
    pub created_at: Scalar,
    pub until: Scalar,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Probe<'a> {
    pub version: Scalar,
    #[serde(borrow)]
    pub value: Option<&'a RawValue>,
    pub message: Scalar,
    pub probe_date: Scalar,
    pub timestamp: Scalar,
    #[serde(borrow)]
    pub metrics: Option<&'a RawValue>,
    #[serde(borrow)]
    pub detail: Option<&'a RawValue>,
    pub status: Scalar,
    pub exit_code: Scalar,
    pub interval: Scalar,
    // What our own instances add.
    pub since: Scalar,
    pub stale: Scalar,
}

/// A text, a number, true or false; anything else is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scalar {
    #[default]
    Nothing,
    Truth(bool),
    Number(i64),
    Text(String),
}

impl Scalar {
    pub fn text(&self) -> Option<&str> {
        match self {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<i64> {
        match self {
            Scalar::Number(number) => Some(*number),
            Scalar::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub fn truth(&self) -> Option<bool> {
        match self {
            Scalar::Truth(truth) => Some(*truth),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

/// An object, or nothing where there is no object.
#[derive(Default)]
pub struct Object<T> {
    pub value: T,
    /// There was an object.
    pub found: bool,
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct Whole<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Accept<'de> for Whole<T> {
            type Made = Object<T>;

            fn map<M: MapAccess<'de>>(self, map: M) -> Result<Object<T>, M::Error> {
                let value = T::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Object { value, found: true })
            }
        }
        deserializer.deserialize_any(ObjectOr(Whole(std::marker::PhantomData)))
    }
}

/// The entries of an object, each to be parsed when its turn comes.
#[derive(Default)]
pub struct Entries<'a> {
    pub entries: Vec<(String, &'a RawValue)>,
    /// How many there were beyond any limit.
    pub left_off: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries<'a>, D::Error> {
        struct Each;
        impl<'de> Accept<'de> for Each {
            type Made = Entries<'de>;

            fn map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries<'de>, M::Error> {
                let mut found = Entries::default();
                while found.entries.len() < MAX_INSTANCES {
                    let Some(entry) = map.next_entry()? else { return Ok(found) };
                    found.entries.push(entry);
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    found.left_off += 1;
                }
                Ok(found)
            }
        }
        deserializer.deserialize_any(ObjectOr(Each))
    }
}

/// What is made of an object.
trait Accept<'de> {
    type Made: Default;

    fn map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Made, M::Error>;
}

/// Hands an object on; anything else gives the default.
struct ObjectOr<A>(A);

impl<'de, A: Accept<'de>> Visitor<'de> for ObjectOr<A> {
    type Value = A::Made;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<A::Made, M::Error> {
        self.0.map(map)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<A::Made, S::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(A::Made::default())
    }

    fn visit_unit<E>(self) -> Result<A::Made, E> {
        Ok(A::Made::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<A::Made, E> {
        Ok(A::Made::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<A::Made, E> {
        Ok(A::Made::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<A::Made, E> {
        Ok(A::Made::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<A::Made, E> {
        Ok(A::Made::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<A::Made, E> {
        Ok(A::Made::default())
    }
}

/// Reads any value into a [`Scalar`].
struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Scalar, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Scalar, S::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Nothing)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Scalar, E> {
        Ok(Scalar::Truth(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        // Saturates, and makes 0 of what is no number.
        Ok(Scalar::Number(number as i64))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(lines(text, MAX_TEXT)))
    }
}
