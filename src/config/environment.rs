//! Where the secrets are that a configuration file only names.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

/// The longest text that is taken from a file or a variable, in bytes.
pub(super) const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The value of a variable, if there is one.
type Variable = dyn Fn(&str) -> Option<String>;

/// What surrounds whoever reads a configuration.
pub struct Environment {
    variable: Box<Variable>,
    /// Whether a secret that cannot be had is a mistake.
    pub(super) is_required: bool,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Environment {
        Environment::new(|name| std::env::var(name).ok())
    }

    /// One in which variables are what `variable` says.
    pub fn new(variable: impl Fn(&str) -> Option<String> + 'static) -> Environment {
        Environment { variable: Box::new(variable), is_required: true }
    }

    /// The same, in which secrets that cannot be had are empty: for programs beside the agent, which are
    /// started by other users and do not need them all.
    pub fn without_all_secrets(self) -> Environment {
        Environment { is_required: false, ..self }
    }

    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|text| !text.is_empty())
    }

    /// The first line of a file.
    pub(super) fn first_line(&self, path: &Path) -> io::Result<String> {
        let mut line = String::new();
        BufReader::new(File::open(path)?.take(MAX_SECRET_BYTES + 1)).read_line(&mut line)?;
        if line.len() as u64 > MAX_SECRET_BYTES {
            let message = format!("its first line is longer than {MAX_SECRET_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}
