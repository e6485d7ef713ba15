//! wigocli: arguments in, exit code out.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use wigo::cli::{self, Args, Verdict};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(usage) => {
            let _ = usage.print(); // nobody is left to be told
            return if usage.use_stderr() { Verdict::Unknown } else { Verdict::Fine }.into();
        }
    };
    let verdict = cli::run(args).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "{}", cli::complaint(&error)); // as above
        Verdict::Unknown
    });
    verdict.into()
}
