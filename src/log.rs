//! The agent's own log: lines on standard output and in the log file, which can be opened anew.
//!
//! A thread writes them. Whoever logs never waits for a terminal or a pipe that nobody reads: what does
//! not fit into the queue any more is dropped.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Registry, filter::Targets, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// Lines that wait to be written; more are dropped.
const MAX_WAITING_LINES: usize = 4_096;

/// The handle that reopens the file and changes the level. Lines that wait are written, for a second at
/// most, when the last clone is dropped.
#[derive(Clone)]
pub struct Log {
    output: Output,
    _thread: Arc<WorkerGuard>,
    level: reload::Handle<Targets, Registry>,
}

/// Standard output and perhaps a file.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Option<File>>>);

impl Log {
    /// Makes this the log of the process. Until a file is opened, lines go to standard output alone.
    pub fn install(debug: bool) -> Log {
        let output = Output::default();
        let (filter, level) = reload::Layer::new(level_of(debug));
        let (lines, thread) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(MAX_WAITING_LINES)
            .thread_name("log")
            .finish(output.clone());
        let lines = fmt::layer().with_ansi(false).with_target(false).with_writer(lines);
        // Fails only if the process has a log already, as in tests; that one is kept then.
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        Log { output, _thread: Arc::new(thread), level }
    }

    /// Opens the file, again if it was moved away, or another one. When that fails, what was open stays.
    pub fn open(&self, path: &Path) -> Result<(), (PathBuf, io::Error)> {
        let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
        *self.output.file() = Some(opened.map_err(|error| (path.to_owned(), error))?);
        Ok(())
    }

    /// Leaves the file; lines go to standard output alone.
    pub fn close(&self) {
        *self.output.file() = None;
    }

    /// Whether debugging lines are written.
    pub fn set_debug(&self, debug: bool) {
        let _ = self.level.modify(|level| *level = level_of(debug));
    }
}

fn level_of(debug: bool) -> Targets {
    let level = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    // Makes a span for each call, and an error of each that a peer lets run out; we tell what matters.
    Targets::new().with_default(level).with_target("tarpc", LevelFilter::OFF)
}

impl Output {
    fn file(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A full disk or a closed terminal must not stop the agent, nor keep the line from the other.
        let _ = io::stdout().lock().write_all(line);
        if let Some(file) = &mut *self.file() {
            let _ = file.write_all(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stdout().lock().flush();
        Ok(())
    }
}
