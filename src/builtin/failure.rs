//! Why a probe has nothing to say, and what the agent should make of it.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use crate::status::Status;

/// A run without a result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The administrator does not want this probe: exit 12.
    #[error("disabled by `\"enabled\": false` in `{file}`")]
    Disabled {
        /// The configuration that says so.
        file: PathBuf,
    },
    /// There is nothing to check on this host: exit 13.
    #[error("not applicable here: {0}")]
    NotApplicable(String),
    /// The configuration is broken.
    #[error("cannot use the configuration `{file}`, {reason}; correct the file")]
    Settings {
        /// The file.
        file: PathBuf,
        /// Where and why, for example `line 3 column 5: invalid type …`.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} `{path}`")]
    File {
        /// `read`, `write`, …
        action: &'static str,
        /// What was to be used.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file was read and holds something unexpected.
    #[error("cannot understand `{path}`: {reason}")]
    Content {
        /// What was read.
        path: PathBuf,
        /// What is missing in it.
        reason: String,
    },
    /// The folder for state is not safe to use.
    #[error(
        "cannot keep state in `{path}`: {reason}; remove it or name a private folder in \
         WIGO_PROBE_STATE"
    )]
    StateFolder {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Failure {
    /// What the agent reads: 12 and 13 have their own meaning, and only 0 keeps the message.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Disabled { .. } => 12,
            Failure::NotApplicable(_) => 13,
            _ => 0,
        }
    }

    /// ERROR, save where nothing is wrong.
    pub fn status(&self) -> Status {
        match self {
            Failure::Disabled { .. } | Failure::NotApplicable(_) => Status::OK,
            _ => Status::ERROR,
        }
    }

    /// The whole chain of causes in one line.
    pub fn sentence(&self) -> String {
        let mut sentence = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            sentence = format!("{sentence}: {error}");
            cause = error.source();
        }
        sentence
    }
}
