//! `[Labels]`: more dimensions than the group.

use std::collections::BTreeMap;

use super::section::Section;

/// The longest name or value of a label, in characters.
const MAX_LABEL_CHARS: usize = 128;

/// The labels of this host, `name = "value"`.
pub(super) fn read(section: &Section<'_>) -> BTreeMap<String, String> {
    section.named_texts(|name, value| {
        let shown = name.escape_debug();
        if name == "group" {
            return Err("label `group` is taken from `Group` in [Global] and cannot be set".to_owned());
        }
        for (what, text) in [("the name", name), ("the value", value)] {
            if !is_word(text) {
                return Err(format!(
                    "{what} of label `{shown}` must start with a letter or digit, go on with letters, \
                     digits and `._-`, and have {MAX_LABEL_CHARS} characters at most"
                ));
            }
        }
        Ok(())
    })
}

fn is_word(text: &str) -> bool {
    text.len() <= MAX_LABEL_CHARS
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
