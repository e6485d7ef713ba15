//! Tries a configuration file without starting anything.

use std::path::Path;

use super::{LoadError, load, problem::Problems};

/// The file can be used.
const GOOD: u8 = 0;
/// It can be used, has warnings, and that was asked to be strict about.
const ODD: u8 = 1;
/// It cannot be used.
const BAD: u8 = 2;

/// All problems of the file at `path` as text, with a summary as the last line, and an exit code: 0, 1
/// (warnings, if `strict`) or 2 (errors, or no file that can be read).
pub fn check(path: &Path, strict: bool, color: bool) -> (String, u8) {
    let problems = match load(path) {
        Ok(loaded) => loaded.warnings,
        Err(LoadError::Invalid(problems)) => problems,
        Err(error @ LoadError::Read { .. }) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            return (format!("error: {error}{}\n", cause.unwrap_or_default()), BAD);
        }
    };
    let (errors, warnings) = (problems.errors().count(), problems.warnings().count());
    let code = match (errors, warnings) {
        (0, 0) => GOOD,
        (0, _) => {
            if strict {
                ODD
            } else {
                GOOD
            }
        }
        _ => BAD,
    };
    (text(path, &problems, errors, warnings, color), code)
}

fn text(path: &Path, problems: &Problems, errors: usize, warnings: usize, color: bool) -> String {
    let path = path.display();
    let summary = match (errors, warnings) {
        (0, 0) => return format!("`{path}` is good\n"),
        (0, warnings) => format!("`{path}` can be used, with {}", count(warnings, "warning")),
        (errors, 0) => format!("`{path}` cannot be used: {}", count(errors, "error")),
        (errors, warnings) => format!(
            "`{path}` cannot be used: {}, {}",
            count(errors, "error"),
            count(warnings, "warning")
        ),
    };
    format!("{}\n{summary}\n", problems.render(color))
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checked(text: &str, strict: bool) -> (String, u8) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wigo.conf");
        fs::write(&path, text).unwrap();
        let (text, code) = check(&path, strict, false);
        (text.replace(path.to_str().unwrap(), "wigo.conf"), code)
    }

    fn last_line(text: &str) -> &str {
        text.lines().last().unwrap()
    }

    #[test]
    fn a_good_file_is_good() {
        assert_eq!(checked("[Http]\nPort = 0\n", true), ("`wigo.conf` is good\n".to_owned(), 0));
    }

    #[test]
    fn warnings_count_only_when_strict() {
        let (text, code) = checked("[Http]\nProt = 1\n", false);
        assert_eq!((last_line(&text), code), ("`wigo.conf` can be used, with 1 warning", 0));
        assert_eq!(checked("[Http]\nProt = 1\n", true).1, 1);
    }

    #[test]
    fn errors_are_counted() {
        let (text, code) = checked("[Http]\nPort = -1\nGzip = 1\nX = 1", false);
        assert_eq!(last_line(&text), "`wigo.conf` cannot be used: 2 errors, 1 warning");
        assert_eq!(code, 2);
    }

    #[test]
    fn no_file_says_what_to_do() {
        let (text, code) = check(Path::new("/nonexistent/wigo.conf"), false, false);
        assert!(text.contains("`/nonexistent/wigo.conf`") && text.contains("--config"), "{text}");
        assert_eq!(code, 2);
    }
}
