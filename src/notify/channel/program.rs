//! Programs that channels start: with an environment made from nothing, bounded in time and output, ended
//! with all that they started.
//!
//! Starting a program blocks, so each has a thread, which also ends what nobody waits for any more.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_setfl},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};
use tokio::sync::oneshot;

use crate::probe::orphans::{Family, RunId};

/// Output that is kept, in bytes; it is there for the trace.
const MAX_KEPT: usize = 2 * 1024;
/// Output after which a program is ended, in bytes.
const MAX_OUTPUT: u64 = 1024 * 1024;
/// Between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_millis(500);
/// How long a killed program may take to be gone before it is left to be swept away.
const KILL_GRACE: Duration = Duration::from_secs(1);
/// How often starting is tried while the file is open for writing, and the pause between.
const BUSY_TRIES: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// Variables of our own environment that programs get as well.
const PASSED_ON: [&str; 14] = [
    "HOME",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "USER",
    "LOGNAME",
];

/// All that channels of this process started. Those of its children that belong to nobody are swept away.
static FAMILY: LazyLock<Family> = LazyLock::new(Family::new);

/// What to start.
#[derive(Debug)]
pub(super) struct Order {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// Besides the usual ones.
    pub environment: Vec<(OsString, OsString)>,
    /// What it finds on its standard input.
    pub input: Vec<u8>,
    /// From the start to SIGTERM.
    pub limit: Duration,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// By itself.
    Exited(i32),
    /// By a signal that was not ours.
    Signaled(i32),
    /// It still ran at the limit.
    TimedOut,
    /// It printed more than [`MAX_OUTPUT`].
    Flooded,
    /// It could not be started, or not be waited for.
    Failed(io::Error),
}

/// A program that is over, or is being ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub end: End,
    /// The beginning of what it printed, both streams together.
    pub output: String,
}

/// Runs a program to its end or its limit. If nobody waits any more it is ended at its limit all the same.
pub(super) async fn run(order: Order) -> Ended {
    let (told, answer) = oneshot::channel();
    let thread = thread::Builder::new().name("channel".to_owned());
    let failed = |error| Ended { end: End::Failed(error), output: String::new() };
    match thread.spawn(move || follow(&order, told)) {
        Ok(_) => answer.await.unwrap_or_else(|_| failed(io::Error::other("its thread ended"))),
        Err(error) => failed(error),
    }
}

fn follow(order: &Order, told: oneshot::Sender<Ended>) {
    let id = FAMILY.starting();
    let mut running = match Running::start(order, id) {
        Ok(running) => running,
        Err(error) => {
            FAMILY.ended(id);
            let _ = told.send(Ended { end: End::Failed(error), output: String::new() });
            return;
        }
    };
    let why = running.wait(Instant::now() + order.limit);
    let output = String::from_utf8_lossy(&running.kept).into_owned();
    match why {
        Some(end) => {
            // At once: killing may take a moment.
            let _ = told.send(Ended { end, output });
            running.kill();
        }
        None => {
            let end = running.finish().map_or_else(End::Failed, |status| match status.code() {
                Some(code) => End::Exited(code),
                None => End::Signaled(status.signal().unwrap_or_default()),
            });
            let _ = told.send(Ended { end, output });
        }
    }
}

struct Running {
    child: Child,
    id: RunId,
    group: Pid,
    pidfd: OwnedFd,
    /// What it prints; `None` when that is over.
    output: Option<File>,
    kept: Vec<u8>,
    printed: u64,
}

impl Running {
    fn start(order: &Order, id: RunId) -> io::Result<Running> {
        // A file, so that a program that does not read its input holds nobody up.
        let mut input = tempfile::tempfile()?;
        input.write_all(&order.input)?;
        input.rewind()?;
        let (output, end) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&output, OFlags::NONBLOCK)?;
        let mut command = Command::new(&order.program);
        command
            .args(&order.arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(order.environment.iter().map(|(name, value)| (name, value)))
            .env(RunId::VARIABLE, FAMILY.marker(id))
            .current_dir("/")
            .stdin(input)
            .stdout(Stdio::from(end.try_clone()?))
            .stderr(Stdio::from(end))
            .process_group(0);
        let mut child = spawn(&mut command)?;
        // Our copies of the pipe's end.
        drop(command);
        let group = Pid::from_child(&child);
        FAMILY.started(id, group);
        match pidfd_open(group, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Running {
                child,
                id,
                group,
                pidfd,
                output: Some(output.into()),
                kept: Vec::new(),
                printed: 0,
            }),
            Err(error) => {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = child.wait();
                Err(error.into())
            }
        }
    }

    /// Waits for its end and reads what it prints. `Some` if it has to be ended, and why.
    fn wait(&mut self, deadline: Instant) -> Option<End> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(End::TimedOut);
            }
            let exited = self.poll(left);
            self.read();
            if exited {
                return None;
            }
            if self.printed > MAX_OUTPUT {
                return Some(End::Flooded);
            }
        }
    }

    /// Waits for something to happen; true if the program is over.
    fn poll(&self, left: Duration) -> bool {
        let mut fds = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
        fds.extend(self.output.iter().map(|output| PollFd::new(output, PollFlags::IN)));
        let timeout = Timespec::try_from(left).ok();
        // Interrupted is like too early.
        let _ = poll(&mut fds, timeout.as_ref());
        !fds[0].revents().is_empty()
    }

    /// Reads what is there now.
    fn read(&mut self) {
        let mut buffer = [0; 8 * 1024];
        while let Some(output) = &mut self.output {
            match output.read(&mut buffer) {
                Ok(0) => self.output = None,
                Ok(count) => {
                    self.printed += count as u64;
                    let room = MAX_KEPT.saturating_sub(self.kept.len());
                    self.kept.extend_from_slice(&buffer[..count.min(room)]);
                    if self.printed > MAX_OUTPUT {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.output = None,
            }
        }
    }

    /// Ends what is left of its group, and reaps it.
    fn finish(mut self) -> io::Result<ExitStatus> {
        // Before reaping: until then the number of the group cannot belong to anybody else.
        let _ = kill_process_group(self.group, Signal::KILL);
        FAMILY.reap(self.id, || self.child.wait())
    }

    /// SIGTERM to the group, SIGKILL a moment later, then reaps.
    fn kill(mut self) {
        let _ = kill_process_group(self.group, Signal::TERM);
        self.exited_within(TERM_GRACE);
        // Also when the leader is gone: others of its group may have ignored SIGTERM.
        let _ = kill_process_group(self.group, Signal::KILL);
        if !self.exited_within(KILL_GRACE) {
            FAMILY.give_up(self.id);
        }
        // This thread may hang here until the kernel lets it go; nobody waits for it.
        let _ = rustix::process::waitid(
            rustix::process::WaitId::PidFd(self.pidfd.as_fd()),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        );
        let _ = FAMILY.reap(self.id, || self.child.wait());
    }

    fn exited_within(&self, time: Duration) -> bool {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let timeout = Timespec::try_from(time).ok();
        matches!(poll(&mut fds, timeout.as_ref()), Ok(count) if count > 0)
    }
}

/// Starts it; a file that somebody just wrote may still be open for writing elsewhere.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES =>
            {
                tries += 1;
                thread::sleep(BUSY_PAUSE);
            }
            other => return other,
        }
    }
}

impl Ended {
    /// The first line that says something.
    pub fn first_line(&self) -> &str {
        self.output.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
    }

    /// The last line that says something: where programs put why they failed.
    pub fn last_line(&self) -> &str {
        self.output.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
    }
}
