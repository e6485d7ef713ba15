//! Regular expressions in configurations: compiled while the file is read, so that a mistake is
//! reported with its line, and matched in linear time.

use std::fmt;
use std::marker::PhantomData;

use regex_lite::Regex;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// Where in the text a pattern has to match.
pub(super) trait Place {
    /// The expression that matches there.
    fn anchor(pattern: &str) -> String;
}

/// The pattern is the whole text.
pub(super) struct Whole;
/// The text begins with the pattern.
pub(super) struct Start;
/// The pattern is somewhere in the text.
pub(super) struct Anywhere;

impl Place for Whole {
    fn anchor(pattern: &str) -> String {
        format!("^(?:{pattern})$")
    }
}

impl Place for Start {
    fn anchor(pattern: &str) -> String {
        format!("^(?:{pattern})")
    }
}

impl Place for Anywhere {
    fn anchor(pattern: &str) -> String {
        pattern.to_owned()
    }
}

/// A regular expression with the place where it has to match.
pub(super) struct Pattern<P> {
    text: String,
    regex: Regex,
    place: PhantomData<P>,
}

impl<P: Place> Pattern<P> {
    /// Compiles `text` as the user wrote it.
    pub(super) fn new(text: &str) -> Result<Pattern<P>, regex_lite::Error> {
        // First on its own: `a)(b` is a mistake, although it is none between brackets.
        Regex::new(text)?;
        let regex = Regex::new(&P::anchor(text))?;
        Ok(Pattern { text: text.to_owned(), regex, place: PhantomData })
    }

    /// A list that is part of the program.
    pub(super) fn fixed<const N: usize>(texts: [&str; N]) -> Vec<Pattern<P>> {
        texts.into_iter().map(|text| Pattern::new(text).expect("a default is tested")).collect()
    }

    /// As the user wrote it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether `text` has it in the right place.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl<P> fmt::Debug for Pattern<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<'de, P: Place> Deserialize<'de> for Pattern<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pattern<P>, D::Error> {
        parse(&String::deserialize(deserializer)?)
    }
}

fn parse<P: Place, E: Error>(text: &str) -> Result<Pattern<P>, E> {
    Pattern::new(text)
        .map_err(|error| E::custom(format!("bad regular expression `{text}`: {error}")))
}

/// For `deserialize_with`: a list of patterns, or a single one without the brackets.
pub(super) fn one_or_many<'de, P, D>(deserializer: D) -> Result<Vec<Pattern<P>>, D::Error>
where
    P: Place,
    D: Deserializer<'de>,
{
    struct OneOrMany<P>(PhantomData<P>);

    impl<'de, P: Place> Visitor<'de> for OneOrMany<P> {
        type Value = Vec<Pattern<P>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a regular expression or a list of them")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![parse(text)?])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }

    deserializer.deserialize_any(OneOrMany(PhantomData))
}

/// Whether any of `patterns` matches.
pub(super) fn any<P: Place>(patterns: &[Pattern<P>], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_decides() {
        let matches = |text: &str| {
            (
                Pattern::<Whole>::new("a|ab").unwrap().matches(text),
                Pattern::<Start>::new("a|ab").unwrap().matches(text),
                Pattern::<Anywhere>::new("a|ab").unwrap().matches(text),
            )
        };
        assert_eq!(matches("ab"), (true, true, true));
        assert_eq!(matches("abc"), (false, true, true));
        assert_eq!(matches("cab"), (false, false, true));
        assert_eq!(matches("c"), (false, false, false));
    }

    #[test]
    fn what_is_only_valid_between_our_brackets_is_refused() {
        assert!(Pattern::<Whole>::new("a)(b").is_err());
    }
}
