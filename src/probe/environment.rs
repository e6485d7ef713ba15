//! The environment of a probe: made from nothing, so that no variable of the agent decides anything.

use std::{collections::BTreeMap, ffi::OsString, io, os::unix::fs::DirBuilderExt, path::PathBuf};

use crate::tree::ProbeName;

/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What every probe gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// `WIGO_PROBE_CONFIG_ROOT`: where `<probe>.conf` files are.
    pub config_root: PathBuf,
    /// Each probe has a private folder below this one, `WIGO_PROBE_STATE`.
    pub state_root: PathBuf,
    /// From `[ProbeEnvironment]`.
    pub extra: BTreeMap<String, String>,
}

impl Environment {
    /// The variables of one probe. `interval` is in seconds.
    pub fn of(&self, name: &ProbeName, interval: u32) -> Vec<(OsString, OsString)> {
        let ours =
            |name: &str, default: &str| std::env::var_os(name).unwrap_or_else(|| default.into());
        let mut variables = BTreeMap::<OsString, OsString>::from([
            ("PATH".into(), PATH.into()),
            ("LANG".into(), ours("LANG", "C.UTF-8")),
            ("HOME".into(), ours("HOME", "/")),
        ]);
        variables.extend(std::env::var_os("TZ").map(|zone| ("TZ".into(), zone)));
        variables.extend(self.extra.iter().map(|(name, value)| (name.into(), value.into())));
        variables.extend([
            ("WIGO_PROBE_CONFIG_ROOT".into(), self.config_root.clone().into()),
            ("WIGO_PROBE_NAME".into(), name.as_str().into()),
            ("WIGO_PROBE_INTERVAL".into(), interval.to_string().into()),
            ("WIGO_PROBE_STATE".into(), self.state_of(name).into()),
        ]);
        variables.into_iter().collect()
    }

    fn state_of(&self, name: &ProbeName) -> PathBuf {
        self.state_root.join(name.as_str())
    }

    /// Makes the private folder of a probe, for its user alone.
    pub fn make_state_folder(&self, name: &ProbeName) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(self.state_of(name))
    }
}
