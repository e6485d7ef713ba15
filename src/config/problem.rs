//! What is wrong with a configuration file, and how it is shown to people and in logs.

use std::{fmt, ops::Range, path::Path, sync::Arc};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::conceal::conceal;

/// The most errors, and the most warnings, that are kept of one file; the rest is counted.
pub const MAX_PROBLEMS: usize = 100;

/// Whether the file can be used in spite of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is used, but somebody should look at it.
    Warning,
}

/// One thing that is wrong with a file.
///
/// `Display` is one line for a log: `wigo.conf:12: …`.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub severity: Severity,
    /// The line, from 1; 0 when the problem is the file itself.
    pub line: usize,
    /// The column in characters, from 1; 0 when the problem is the file itself.
    pub column: usize,
    /// What is wrong, without position.
    pub message: String,
    /// What to do about it, if that can be said.
    pub help: Option<String>,
    /// The bytes of the file that the caret points at.
    span: Option<Range<usize>>,
    path: Arc<Path>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// All problems of one file, in the order of its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Problems {
    path: Arc<Path>,
    /// The file without its secrets, to quote lines from.
    source: Arc<str>,
    list: Vec<Problem>,
    /// Problems that were found and not kept.
    left_off: usize,
}

impl Problems {
    /// No problem yet, of a file that holds `source`.
    pub(super) fn new(path: &Path, source: &str) -> Problems {
        Problems {
            path: path.into(),
            source: conceal(source).into(),
            list: Vec::new(),
            left_off: 0,
        }
    }

    /// Adds a problem at `span`, counted in bytes of the source.
    pub(super) fn add(
        &mut self,
        severity: Severity,
        span: Option<Range<usize>>,
        message: String,
        help: Option<String>,
    ) {
        if self.of(severity).count() >= MAX_PROBLEMS {
            self.left_off += 1;
            return;
        }
        let (line, column) = match &span {
            Some(span) => line_and_column(&self.source, span.start),
            None => (0, 0),
        };
        let path = Arc::clone(&self.path);
        let problem = Problem { severity, line, column, message, help, span, path };
        let place = self.list.partition_point(|p| (p.line, p.column) <= (line, column));
        self.list.insert(place, problem);
    }

    /// Those that make the file unusable.
    pub fn errors(&self) -> impl Iterator<Item = &Problem> {
        self.of(Severity::Error)
    }

    /// Those with which the file can be used.
    pub fn warnings(&self) -> impl Iterator<Item = &Problem> {
        self.of(Severity::Warning)
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The text for a terminal: each problem with its line and a caret, empty if there is none.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in &self.list {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&renderer.render(&[self.report(problem)]));
            text.push('\n');
        }
        if self.left_off > 0 {
            text.push_str(&format!("\n… and {} more like these\n", self.left_off));
        }
        text
    }

    fn report<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = match &problem.span {
            Some(_) => Group::with_title(level.primary_title(&*problem.message)),
            None => {
                let message = format!("`{}`: {}", self.path.display(), problem.message);
                Group::with_title(level.primary_title(message))
            }
        };
        if let Some(span) = &problem.span {
            let snippet = Snippet::source(&*self.source)
                .path(self.path.to_string_lossy())
                .annotation(AnnotationKind::Primary.span(span.clone()));
            group = group.element(snippet);
        }
        match &problem.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Problem> {
        self.list.iter().filter(move |problem| problem.severity == severity)
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line a problem, for an error chain or a log.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.list.iter().enumerate() {
            let line_break = if n == 0 { "" } else { "\n" };
            write!(f, "{line_break}{problem}")?;
        }
        Ok(())
    }
}

/// Line and column, both from 1, of a byte offset.
fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |line_break| line_break + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
