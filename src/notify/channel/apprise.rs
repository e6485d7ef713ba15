//! The Apprise program, which knows a hundred services.

use std::path::PathBuf;

use crate::config::{Secret, Section};

/// Where the program usually is.
pub const PROGRAM: &str = "/usr/local/bin/apprise";
/// The most addresses of one channel.
const MAX_URLS: usize = 100;

/// What to call, and with which addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `Program`.
    pub program: PathBuf,
    /// `Urls`, in the words of Apprise; they hold passwords.
    pub urls: Vec<Secret>,
}

impl super::kinds::Configured for Settings {
    fn read(entry: &Section<'_>) -> Settings {
        entry.need("Urls");
        let urls = entry.secrets("Urls");
        let urls: Vec<Secret> = urls.into_iter().filter(|url| !url.is_empty()).collect();
        if urls.len() > MAX_URLS {
            let message = format!("`Urls` has more than {MAX_URLS} addresses");
            entry.error("Urls", message, "make several channels of it");
        }
        Settings { program: entry.path("Program", PROGRAM), urls }
    }
}
