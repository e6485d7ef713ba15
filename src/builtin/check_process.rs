//! `check_process`: command lines that must be there.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::answer::counted;
use super::pattern::{Anywhere, Pattern};
use super::{Answer, Call, Failure, file, settings};
use crate::status::Status;

const PROC: &str = "/proc";
/// Longest command line looked at, in bytes: as long as one argument may be.
const MAX_COMMAND_BYTES: u64 = 128 * 1024;

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Settings {
    /// Regular expressions, looked for anywhere in a command line.
    process_list: Vec<Pattern<Anywhere>>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { process_list: Pattern::fixed(["/usr/sbin/sshd"]) }
    }
}

pub(super) fn run(call: &Call) -> Result<Answer, Failure> {
    let wanted =
        settings::load(call)?.map_or_else(Vec::new, |settings: Settings| settings.process_list);
    if wanted.is_empty() {
        let file = call.config_root.join(format!("{}.conf", call.name));
        let reason = format!("nothing configured: no `processList` in `{}`", file.display());
        return Err(Failure::NotApplicable(reason));
    }
    let answer = judge(&wanted, processes()?);
    if answer.status() > Status::OK {
        make_sure_that_others_are_visible()?;
    }
    Ok(answer)
}

/// The command lines of all processes but this one, read one by one as they are asked for.
fn processes() -> Result<impl Iterator<Item = String>, Failure> {
    let fail = |source| Failure::File { action: "read", path: PROC.into(), source };
    let me = std::process::id();
    let ids = fs::read_dir(PROC).map_err(fail)?.filter_map(move |entry| {
        let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        (id != me).then_some(id)
    });
    // A process that ended meanwhile is no process.
    Ok(ids.filter_map(|id| command_line(&Path::new(PROC).join(id.to_string()))))
}

fn command_line(folder: &Path) -> Option<String> {
    let arguments = file::read_start(&folder.join("cmdline"), MAX_COMMAND_BYTES).ok()?;
    if arguments.is_empty() {
        let stat = file::read_start(&folder.join("stat"), MAX_COMMAND_BYTES).ok()?;
        return kernel_thread(&String::from_utf8_lossy(&stat));
    }
    Some(joined(&arguments))
}

/// Arguments as a person would type them: the kernel ends each with a zero byte.
fn joined(arguments: &[u8]) -> String {
    let text = String::from_utf8_lossy(arguments).replace('\0', " ");
    text.trim_end().to_owned()
}

/// `[name]` for a process without command line; `None` for one that is dead and only not yet reaped.
fn kernel_thread(stat: &str) -> Option<String> {
    // The name itself may contain brackets and blanks.
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let state = rest.split_whitespace().next()?;
    (!matches!(state, "Z" | "X")).then(|| format!("[{name}]"))
}

/// With `hidepid`, missing and hidden look the same, so nothing would be known.
fn make_sure_that_others_are_visible() -> Result<(), Failure> {
    let first = Path::new(PROC).join("1/cmdline");
    match file::read_start(&first, 1) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::Content {
            path: PROC.into(),
            reason: "processes of others are hidden (`hidepid`); add the user of the agent to the \
                     group that may see them"
                .into(),
        }),
    }
}

fn judge(wanted: &[Pattern<Anywhere>], processes: impl Iterator<Item = String>) -> Answer {
    let mut found = vec![false; wanted.len()];
    for process in processes {
        for (pattern, found) in wanted.iter().zip(&mut found) {
            *found = *found || pattern.matches(&process);
        }
        if found.iter().all(|found| *found) {
            break;
        }
    }
    let texts = |which: bool| -> Vec<&str> {
        let pairs = wanted.iter().zip(&found);
        pairs.filter(|(_, found)| **found == which).map(|(pattern, _)| pattern.text()).collect()
    };
    let (running, missing) = (texts(true), texts(false));

    let mut answer = Answer::new(format!("all {} processes are running", running.len()));
    if !missing.is_empty() {
        answer.raise(counted(Status::CRIT, missing.len()));
        answer.say(format!("{} not running: {}", missing.len(), missing.join(", ")));
    }
    answer.note("running", running);
    answer.note("not_running", missing);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &[&str], processes: &[&str]) -> Answer {
        let wanted: Vec<_> = wanted.iter().map(|text| Pattern::new(text).unwrap()).collect();
        judge(&wanted, processes.iter().map(std::string::ToString::to_string))
    }

    #[test]
    fn the_shipped_file_says_the_defaults() {
        settings::assert_shipped_is_default::<Settings>("check_process");
    }

    #[test]
    fn a_pattern_is_looked_for_anywhere() {
        let processes =
            ["/sbin/init", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100", "[kthreadd]"];
        let answer = check(&["/usr/sbin/sshd", r"^\[kthreadd\]$"], &processes);
        assert_eq!(answer.status(), Status::OK);
        assert_eq!(answer.message(), "all 2 processes are running");
    }

    #[test]
    fn each_missing_one_counts() {
        let answer = check(&["nginx", "init", "postgres"], &["/sbin/init"]);
        assert_eq!(answer.status().number(), 302);
        assert_eq!(answer.message(), "2 not running: nginx, postgres");
        assert_eq!(answer.detail("running").unwrap(), &serde_json::json!(["init"]));
        assert_eq!(
            answer.detail("not_running").unwrap(),
            &serde_json::json!(["nginx", "postgres"])
        );
        assert_eq!(check(&["x"; 500], &[]).status().number(), 499);
    }

    #[test]
    fn arguments_are_joined_by_blanks() {
        assert_eq!(joined(b"java\0-jar\0a b.jar\0\0"), "java -jar a b.jar");
        assert_eq!(joined(b"caf\xe9\0"), "caf\u{fffd}");
    }

    #[test]
    fn kernel_threads_have_a_name_and_the_dead_do_not_run() {
        assert_eq!(kernel_thread("2 (kthreadd) S 0 0"), Some("[kthreadd]".into()));
        assert_eq!(kernel_thread("9 (a (b) c) I 2 0"), Some("[a (b) c]".into()));
        assert_eq!(kernel_thread("9 (sshd) Z 1 0"), None);
        assert_eq!(kernel_thread("rubbish"), None);
    }

    #[test]
    fn this_process_is_not_in_its_own_list() {
        let me = fs::read("/proc/self/cmdline").unwrap();
        let others: Vec<String> = processes().unwrap().collect();
        assert!(!others.is_empty());
        assert!(!others.contains(&joined(&me)));
    }
}
