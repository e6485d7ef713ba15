//! Passwords, and addresses with a token in them: text that no log, error or answer may show.

use std::fmt;

/// A text that does not print. There is no `Display` and no `Serialize` on purpose.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes over `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing was configured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "empty" } else { "hidden" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_says_only_whether_it_is_set() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "hidden");
        assert_eq!(format!("{:?}", Secret::default()), "empty");
    }
}
