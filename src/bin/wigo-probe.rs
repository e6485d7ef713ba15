//! `wigo-probe`: the probes that come with Wigo, in one small executable that answers to the name it
//! is called by.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use wigo::builtin::{Call, PROBES};

const HELP: &str = "\
Answers to the name of a probe: call it through a link of that name, for example
  ln -s ../examples/wigo-probe probes/60/hardware_memory

Usage: wigo-probe NAME    run one probe
       wigo-probe --list  the names of all probes
       wigo-probe --version

Environment: WIGO_PROBE_CONFIG_ROOT  folder of NAME.conf (default /etc/wigo/conf.d)
             WIGO_PROBE_STATE        folder for what a probe remembers between runs

Exit: 0 with a result, 12 disabled by its configuration, 13 not applicable here
";

/// The command line cannot be understood (`EX_USAGE`): no exit code of a probe.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let called = arguments.next().unwrap_or_default();
    match Call::from_path(Path::new(&called)) {
        Some(call) => run(&call),
        None => command(arguments.next()),
    }
}

fn run(call: &Call) -> ExitCode {
    let (line, code) = call.answer();
    print(&(line + "\n"), code)
}

fn command(argument: Option<OsString>) -> ExitCode {
    let argument = argument.unwrap_or_default();
    match argument.to_str() {
        Some("--help" | "-h") => print(HELP, 0),
        Some("--version" | "-V") => {
            print(concat!("wigo-probe ", env!("CARGO_PKG_VERSION"), "\n"), 0)
        }
        Some("--list") => {
            print(&PROBES.iter().map(|(name, _)| format!("{name}\n")).collect::<String>(), 0)
        }
        _ => match Call::from_path(Path::new(&argument)) {
            Some(call) => run(&call),
            None => {
                eprintln!(
                    "error: {argument:?} is no probe of `wigo-probe`; see `wigo-probe --list` and \
                     `wigo-probe --help`"
                );
                ExitCode::from(EXIT_USAGE)
            }
        },
    }
}

/// Prints all of `text`; a reader that went away is the only way to fail.
fn print(text: &str, code: u8) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::FAILURE,
    }
}
