//! The configuration file: text → typed values, mistakes with line and column.
//!
//! A file per section says what its keys mean, their defaults and what they may hold, in the call that
//! reads each (see `section.rs`). Every mistake of a file is found before it is refused; what is merely
//! odd (unknown and retired keys, settings without effect) is a warning, so that a file of an older
//! version goes on working. There is no running on defaults: a file that cannot be read or understood is
//! an error.

mod check;
mod conceal;
mod dependencies;
mod endpoint;
mod environment;
mod global;
mod http;
mod labels;
mod notifications;
mod oidc;
mod opentsdb;
mod probes;
mod problem;
mod push;
mod reader;
mod references;
mod reload;
mod remotes;
mod secret;
mod section;
mod unknown;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use thiserror::Error;

use self::reader::{Known, Reader};
pub(crate) use self::section::Section;
pub use self::{
    check::check,
    dependencies::Dependency,
    endpoint::Endpoint,
    environment::Environment,
    global::Global,
    http::{
        BasePath, Http, MAX_NAME, Role, TrustedProxy, User, changes_reading, check_hash, check_name,
    },
    notifications::{ChannelConfig, Notifications},
    oidc::{OpenIdConnect, is_safe},
    opentsdb::OpenTsdb,
    probes::Probes,
    problem::{MAX_PROBLEMS, Problem, Problems, Severity},
    push::{PushClient, PushServer},
    remotes::{Remote, Remotes},
    secret::Secret,
};

/// Where the file is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/wigo/wigo.conf";
/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Everything that is configured, with defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    pub global: Global,
    pub http: Http,
    pub oidc: OpenIdConnect,
    pub push_server: PushServer,
    pub push_client: PushClient,
    pub remotes: Remotes,
    pub notifications: Notifications,
    pub opentsdb: OpenTsdb,
    /// More dimensions than the group, `name = value`.
    pub labels: BTreeMap<String, String>,
    /// How long a probe may run, in seconds, by its name.
    pub probe_timeouts: BTreeMap<String, u32>,
    pub probes: Probes,
    pub dependencies: Vec<Dependency>,
}

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub config: Config,
    /// What somebody should look at, no errors.
    pub warnings: Problems,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error("cannot read the configuration `{}`{}", path.display(), hint(source))]
    Read { path: PathBuf, source: io::Error },
    #[error("the configuration has mistakes\n{0}")]
    Invalid(Problems),
}

/// What to do about a file that cannot be read.
fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => {
            " (make one from the sample, etc/wigo.conf, or name another file with `--config`)"
        }
        io::ErrorKind::PermissionDenied => " (is this the right user?)",
        _ => "",
    }
}

/// Reads the file at `path`.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    load_in(path, &Environment::of_process())
}

/// Reads the file at `path` for a program beside the agent: secrets that it names and that this program
/// cannot have are empty.
pub fn load_beside(path: &Path) -> Result<Loaded, LoadError> {
    load_in(path, &Environment::of_process().without_all_secrets())
}

/// Reads the file at `path`, with the secrets that it only names from there.
pub fn load_in(path: &Path, environment: &Environment) -> Result<Loaded, LoadError> {
    let (text, mode) =
        read_file(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let read = read(&text, path, Some(mode), environment);
    read.map(|(loaded, _)| loaded).map_err(LoadError::Invalid)
}

/// Reads a configuration from `text`; `path` is what the file is called in messages.
pub fn parse(text: &str, path: &Path) -> Result<Loaded, LoadError> {
    parse_in(text, path, &Environment::of_process())
}

/// As [`parse`], with the secrets that the text only names from there.
pub fn parse_in(text: &str, path: &Path, environment: &Environment) -> Result<Loaded, LoadError> {
    read(text, path, None, environment).map(|(loaded, _)| loaded).map_err(LoadError::Invalid)
}

/// The text and the permissions of a file, which may not be larger than [`MAX_FILE_BYTES`].
fn read_file(path: &Path) -> io::Result<(String, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    let invalid = |message| io::Error::new(io::ErrorKind::InvalidData, message);
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(invalid(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        invalid(format!("line {line} is not UTF-8"))
    })?;
    Ok((text, mode))
}

/// Reads everything, then looks for what was not read.
fn read(
    text: &str,
    path: &Path,
    mode: Option<u32>,
    environment: &Environment,
) -> Result<(Loaded, Known), Problems> {
    let reader = Reader::new(path, text, environment)?;
    let config = Config::read(&reader, path);
    unknown::warn_about_unknown(&reader);
    warn_about_readers(&reader, mode);
    let known = reader.known();
    let problems = reader.into_problems();
    if problems.errors().next().is_some() {
        return Err(problems);
    }
    Ok((Loaded { config, warnings: problems }, known))
}

/// A password in a file that every user may read is none.
fn warn_about_readers(reader: &Reader<'_>, mode: Option<u32>) {
    const OTHERS_MAY_READ: u32 = 0o004;
    if mode.is_some_and(|mode| mode & OTHERS_MAY_READ != 0)
        && let Some(span) = reader.first_secret()
    {
        let message = "every user of this machine may read this secret".to_owned();
        let help = "take the right to read the file from others: chmod o-r".to_owned();
        reader.problem(Severity::Warning, Some(span), message, Some(help));
    }
}

impl Config {
    fn read(reader: &Reader<'_>, path: &Path) -> Config {
        let root = reader.root();
        let global = Global::read(&root.section("Global"));
        let http = Http::read(&root.section("Http"));
        Config {
            path: path.to_owned(),
            oidc: OpenIdConnect::read(&root.section("OpenIdConnect")),
            push_server: PushServer::read(&root.section("PushServer")),
            push_client: PushClient::read(&root.section("PushClient")),
            remotes: Remotes::read(&root, &http, global.alive_timeout),
            notifications: Notifications::read(&root.section("Notifications")),
            opentsdb: OpenTsdb::read(&root.section("OpenTSDB")),
            labels: labels::read(&root.section("Labels")),
            probe_timeouts: probes::timeouts(&root.section("ProbeTimeouts")),
            probes: Probes::read(&root),
            dependencies: root.list("Dependencies", Dependency::read),
            global,
            http,
        }
    }
}

#[cfg(test)]
mod tests;
