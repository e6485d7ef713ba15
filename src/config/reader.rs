//! A parsed file, what was found wrong with it, and which of its keys were asked for.
//!
//! [`Section`] asks for keys; [`super::unknown`] then looks for the rest.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    environment::Environment,
    problem::{MAX_PROBLEMS, Problems, Severity},
    section::Section,
};

/// Keys that were asked for, by the path of their section (`""` for the top level).
pub(super) type Known = BTreeMap<String, BTreeSet<&'static str>>;

/// One file being read.
pub(crate) struct Reader<'t> {
    text: &'t str,
    environment: &'t Environment,
    root: DeTable<'t>,
    problems: RefCell<Problems>,
    known: RefCell<Known>,
    /// Where the first password (or the like) of the file is.
    first_secret: RefCell<Option<Range<usize>>>,
    /// Whether the keys are read only to learn their names.
    rehearsing: Cell<bool>,
}

impl<'t> Reader<'t> {
    /// Parses `text`; what is no TOML at all is returned as problems.
    pub fn new(
        path: &Path,
        text: &'t str,
        environment: &'t Environment,
    ) -> Result<Reader<'t>, Problems> {
        let mut problems = Problems::new(path, text);
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let end = text.len();
            problems.add(
                Severity::Error,
                Some(error.span().unwrap_or(end..end)),
                format!("this is not TOML: {}", error.message()),
                None,
            );
        }
        if !errors.is_empty() {
            return Err(problems);
        }
        Ok(Reader {
            text,
            environment,
            root: root.into_inner(),
            problems: RefCell::new(problems),
            known: RefCell::default(),
            first_secret: RefCell::default(),
            rehearsing: Cell::new(false),
        })
    }

    /// The top level of the file.
    pub fn root(&self) -> Section<'_> {
        Section::root(self, &self.root)
    }

    /// The whole file.
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// Where secrets are that the file only names.
    pub fn environment(&self) -> &Environment {
        self.environment
    }

    /// Whether keys are read only to learn their names.
    pub fn is_rehearsing(&self) -> bool {
        self.rehearsing.get()
    }

    /// The keys that were asked for so far.
    pub fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Where the first secret of the file is, if it has one.
    pub fn first_secret(&self) -> Option<Range<usize>> {
        self.first_secret.borrow().clone()
    }

    /// Remembers that a key of the section at `path` exists.
    pub fn learn(&self, path: &str, key: &'static str) {
        let mut known = self.known.borrow_mut();
        match known.get_mut(path) {
            Some(keys) => drop(keys.insert(key)),
            None => drop(known.insert(path.to_owned(), BTreeSet::from([key]))),
        }
    }

    /// Remembers where a secret is.
    pub fn learn_secret(&self, span: Range<usize>) {
        self.first_secret.borrow_mut().get_or_insert(span);
    }

    /// Runs `read` to learn the names of keys; what it complains about is dropped.
    pub fn rehearse<T>(&self, read: impl FnOnce() -> T) {
        let before = self.rehearsing.replace(true);
        read();
        self.rehearsing.set(before);
    }

    /// Adds a problem at a place in the file.
    pub fn problem(
        &self,
        severity: Severity,
        span: Option<Range<usize>>,
        message: String,
        help: Option<String>,
    ) {
        if self.rehearsing.get() {
            return;
        }
        self.problems.borrow_mut().add(severity, span, message, help);
    }

    /// Whether another warning would be kept, and so is worth some effort.
    pub fn has_room(&self) -> bool {
        self.problems.borrow().warnings().count() < MAX_PROBLEMS
    }

    /// The parsed file, to look for what was not asked for.
    pub fn table(&self) -> &DeTable<'t> {
        &self.root
    }

    /// Everything that was found.
    pub fn into_problems(self) -> Problems {
        self.problems.into_inner()
    }
}

/// A key and its value as they are in the file.
pub(crate) type Entry<'r> = (&'r Spanned<DeString<'r>>, &'r Spanned<DeValue<'r>>);

/// The entry for a name: spelled exactly so or, failing that, with other capitals.
pub(super) fn find<'r>(table: &'r DeTable<'r>, name: &str) -> Option<Entry<'r>> {
    let exact = table.iter().find(|(key, _)| key.get_ref() == name);
    exact.or_else(|| table.iter().find(|(key, _)| key.get_ref().eq_ignore_ascii_case(name)))
}
