//! `wigo`: the agent, and what helps to set it up.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use wigo::{
    app::{self, App},
    cli::{
        notify as notify_commands, plan as plan_commands, probe as probe_commands,
        token as token_commands, user as user_commands,
    },
    config,
    log::Log,
};

/// Most threads of the runtime; probes have threads of their own.
const MAX_RUNTIME_THREADS: usize = 4;

/// What Is Going On: runs probes, keeps what happened, serves /api.
#[derive(Parser)]
#[command(version, disable_version_flag = true)]
struct Arguments {
    /// The configuration file [default: /etc/wigo/wigo.conf]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the version.
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: (),
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Look for mistakes in a configuration. Exits with 0, 1 (warnings, with --strict) or 2 (mistakes).
    CheckConfig(CheckConfig),
    /// Try and list probes.
    #[command(subcommand)]
    Probe(probe_commands::Command),
    /// Let push clients in without an operator, and programs use the API.
    #[command(subcommand)]
    Token(token_commands::Command),
    /// Say who may log in.
    #[command(subcommand)]
    User(user_commands::Command),
    /// Show which messages another configuration would have sent. Exits with 0, 1 (it would have sent others)
    /// or 2 (it cannot be told). Silences, acknowledgements and maintenance are left out.
    Plan(plan_commands::Plan),
    /// Try the channels by which people are told, and see what messages look like.
    #[command(subcommand)]
    Notify(notify_commands::Command),
}

#[derive(Args)]
struct CheckConfig {
    /// The file to look at; without it, the one of --config.
    file: Option<PathBuf>,
    /// Warnings count as well.
    #[arg(long)]
    strict: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let configured = || arguments.config.clone().unwrap_or_else(|| config::DEFAULT_PATH.into());
    let result = match arguments.command {
        None => run_agent(&configured()),
        Some(Command::CheckConfig(check)) => {
            let file = check.file.unwrap_or_else(configured);
            let (text, code) = config::check(&file, check.strict, std::io::stdout().is_terminal());
            anstream::print!("{text}");
            let missing = if code < 2 { app::missing_around(&file) } else { Vec::new() };
            // The file is good, and may be meant for another machine: warnings, no mistakes.
            let warned = check.strict && !missing.is_empty();
            for error in missing {
                println!("warning: on this machine {:#}", anyhow::Error::from(error));
            }
            Ok(ExitCode::from(if warned { code.max(1) } else { code }))
        }
        Some(Command::Probe(command)) => {
            app::prepare_process();
            let verdict = probe_commands::run(command, arguments.config.as_deref());
            let verdict = verdict.unwrap_or_else(|error| {
                eprintln!("{}", wigo::cli::complaint(&error));
                wigo::cli::Verdict::Unknown
            });
            Ok(verdict.into())
        }
        Some(Command::Token(command)) => {
            app::prepare_process();
            let done = token_commands::run(command, arguments.config.as_deref());
            done.map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from)
        }
        Some(Command::User(command)) => {
            app::prepare_process();
            let done = user_commands::run(command, arguments.config.as_deref());
            done.map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from)
        }
        Some(Command::Plan(plan)) => {
            let differs = plan_commands::run(&plan, arguments.config.as_deref());
            Ok(ExitCode::from(differs.map(u8::from).unwrap_or_else(|error| {
                eprintln!("{}", wigo::cli::complaint(&error));
                2
            })))
        }
        Some(Command::Notify(command)) => {
            app::prepare_process();
            let done = notify_commands::run(command, arguments.config.as_deref());
            done.map(|()| ExitCode::SUCCESS).map_err(anyhow::Error::from)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("wigo: {error:#}");
        ExitCode::FAILURE
    })
}

fn run_agent(path: &std::path::Path) -> Result<ExitCode> {
    app::prepare_process();
    let loaded = match config::load(path) {
        // With the lines and carets, as `check-config` shows them.
        Err(config::LoadError::Invalid(problems)) => {
            eprint!("{}", problems.render(std::io::stderr().is_terminal()));
            bail!("`{}` has mistakes, nothing was started", path.display());
        }
        read => read?,
    };
    let log = Log::install(loaded.config.global.debug);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads.min(MAX_RUNTIME_THREADS))
        .enable_all()
        .build()
        .context("cannot start the threads of the runtime")?;
    let ended = runtime.block_on(serve(loaded, log.clone()));
    // Threads that are held by a dead file system must not hold us.
    runtime.shutdown_background();
    ended
}

async fn serve(loaded: config::Loaded, log: Log) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let http = loaded.config.http.clone();
    let probes = loaded.config.global.probes_directory.clone();
    let mut app = App::build(loaded, log).await?;
    let (address, count) = (app.address(), app.probe_count());
    app.start()?;
    tracing::info!("{}: {count} probes of `{}`", app::VERSION, probes.display());
    if let Some(address) = address {
        let scheme = if http.ssl_enabled { "https" } else { "http" };
        tracing::info!("listening on {scheme}://{address}/");
    }
    if let Some(address) = app.push_address() {
        tracing::info!("taking push clients on {address}");
    }
    let why = loop {
        tokio::select! {
            _ = interrupt.recv() => break "interrupted (SIGINT)",
            _ = terminate.recv() => break "told to (SIGTERM)",
            _ = hangup.recv() => tokio::task::block_in_place(|| app.reload()),
        }
    };
    tracing::info!("stopping: {why}");
    tokio::select! {
        () = app.stop(why) => Ok(ExitCode::SUCCESS),
        // Somebody is in a hurry: what is not on disk yet is lost.
        _ = interrupt.recv() => Ok(ExitCode::FAILURE),
        _ = terminate.recv() => Ok(ExitCode::FAILURE),
    }
}
