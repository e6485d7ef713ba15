//! One run of one probe: started in a process group of its own, read, bounded, ended, reaped.
//!
//! Blocking on purpose: a run belongs to one thread of the [pool](super::pool), so a program that hangs
//! while it is being loaded (a dead network file system) holds up nobody else. The child is spawned
//! without any hook between fork and exec, which keeps the cost independent of our own size.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::{
            fs::OpenOptionsExt,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};
use wait4::Wait4;

use super::orphans::{Family, RunId};

mod file_limit;
mod pipe;

pub use file_limit::raise_file_limit;
use pipe::Pipe;

/// Standard output that is kept, in bytes.
pub const MAX_STDOUT: usize = 1 << 20;
/// Standard error that is kept, in bytes.
pub const MAX_STDERR: usize = 64 << 10;
/// Output after which a probe is killed, in bytes, both streams together.
pub const MAX_OUTPUT: u64 = 16 << 20;
/// Between SIGTERM and SIGKILL.
pub const TERM_GRACE: Duration = Duration::from_millis(500);
/// For output that is still in the pipe when the process has ended, or held by what it left behind.
const OUTPUT_GRACE: Duration = Duration::from_millis(200);
/// How long a killed process may take to be gone before somebody else waits for it.
const KILL_GRACE: Duration = Duration::from_secs(1);
/// Most probes are done by then, and waiting for nothing but their end costs one wake-up instead of three.
const QUICK: Duration = Duration::from_millis(50);
/// How often starting is tried while the file is open for writing, and the pause between.
const BUSY_TRIES: u32 = 5;
const BUSY_PAUSE: Duration = Duration::from_millis(50);
const READ_BYTES: usize = 64 << 10;

/// What to run, and for how long at most.
#[derive(Clone, Debug)]
pub struct Order {
    /// Absolute path; also the first argument, so that a program sees the name it was called by.
    pub program: PathBuf,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// From the start to SIGTERM.
    pub limit: Duration,
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that was not ours.
    Signaled(i32),
    /// It was still running at the limit and is being killed.
    TimedOut(Duration),
    /// It printed more than [`MAX_OUTPUT`] and is being killed.
    Flooded,
    /// It could not be started.
    NotStarted(io::Error),
}

/// One captured stream: its beginning, and how much there was.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    pub kept: Vec<u8>,
    /// Bytes that were read and thrown away.
    pub dropped: u64,
}

/// A run that is over.
#[derive(Debug)]
pub struct Ended {
    pub end: End,
    pub stdout: Captured,
    pub stderr: Captured,
    /// Wall time from start to end.
    pub took: Duration,
    /// Processor time of the probe and of the children it waited for; zero when it was killed late.
    pub cpu: Duration,
    /// Largest resident size of one of its processes, in bytes; zero when unknown.
    pub peak_memory: u64,
    /// Something it started still held its output open after it had ended.
    pub left_open: bool,
}

impl Ended {
    /// A run that never began.
    pub fn not_started(error: io::Error) -> Ended {
        Ended {
            end: End::NotStarted(error),
            stdout: Captured::default(),
            stderr: Captured::default(),
            took: Duration::ZERO,
            cpu: Duration::ZERO,
            peak_memory: 0,
            left_open: false,
        }
    }
}

/// A process that did not die of SIGKILL in time; it is waited for elsewhere.
#[derive(Debug)]
pub struct Undead {
    child: Child,
    id: RunId,
}

impl Undead {
    /// Whether it is gone at last.
    pub fn is_gone(&mut self, family: &Family) -> bool {
        family.try_reap(self.id, || !matches!(self.child.try_wait(), Ok(None)))
    }
}

/// How a run came to its end.
#[derive(Debug)]
pub enum Over {
    /// By itself, or it never began.
    Ended(Ended),
    /// It was killed after `late` was told; `Some` if it is not dead yet.
    Killed(Option<Undead>),
}

/// Runs a probe to its end. `slow` is called once if it is not done quickly; `late` as soon as it is
/// known that it will be killed, before the killing, which may take a moment.
pub fn run(order: &Order, family: &Family, slow: impl FnOnce(), late: impl FnOnce(Ended)) -> Over {
    let id = family.starting();
    match Running::start(order, id, family) {
        Err(error) => {
            family.ended(id);
            Over::Ended(Ended::not_started(error))
        }
        Ok(mut running) => match running.wait(order.limit, slow) {
            None => Over::Ended(running.finish(family)),
            Some(why) => {
                late(running.report(why));
                Over::Killed(running.kill(family))
            }
        },
    }
}

struct Running {
    child: Option<Child>,
    id: RunId,
    group: Pid,
    pidfd: OwnedFd,
    started: Instant,
    stdout: Pipe<std::process::ChildStdout>,
    stderr: Pipe<std::process::ChildStderr>,
}

impl Running {
    fn start(order: &Order, id: RunId, family: &Family) -> io::Result<Running> {
        let mut environment = order.environment.clone();
        environment.push((RunId::VARIABLE.into(), family.marker(id).into()));
        let mut command = Command::new(&order.program);
        command
            .env_clear()
            .envs(environment)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let started = Instant::now();
        let mut child = spawn(&mut command)?;
        let pid = Pid::from_child(&child);
        family.started(id, pid);
        file_limit::restore_file_limit(pid);
        let pipes = child.stdout.take().zip(child.stderr.take());
        let (stdout, stderr) = pipes.expect("both were asked for as pipes");
        let opened = (|| {
            Ok((pidfd_open(pid, PidfdFlags::empty())?, Pipe::new(stdout)?, Pipe::new(stderr)?))
        })();
        match opened {
            Ok((pidfd, stdout, stderr)) => {
                Ok(Running { child: Some(child), id, group: pid, pidfd, started, stdout, stderr })
            }
            Err(error) => {
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Waits for the end. `Some` if it has to be killed, and why.
    fn wait(&mut self, limit: Duration, slow: impl FnOnce()) -> Option<End> {
        let deadline = self.started + limit;
        if self.exited_by(Instant::now() + QUICK.min(limit)) {
            return None;
        }
        slow();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(End::TimedOut(limit));
            }
            if self.poll(left, true) {
                return None;
            }
            self.stdout.drain(&mut buffer, MAX_STDOUT);
            self.stderr.drain(&mut buffer, MAX_STDERR);
            if self.flooded() {
                return Some(End::Flooded);
            }
        }
    }

    /// Collects the rest of the output, ends what is left of the group, reaps.
    fn finish(mut self, family: &Family) -> Ended {
        let mut buffer = vec![0; READ_BYTES];
        let deadline = Instant::now() + OUTPUT_GRACE;
        loop {
            self.stdout.drain(&mut buffer, MAX_STDOUT);
            self.stderr.drain(&mut buffer, MAX_STDERR);
            let left = deadline.saturating_duration_since(Instant::now());
            if (self.stdout.is_over() && self.stderr.is_over()) || left.is_zero() || self.flooded()
            {
                break;
            }
            self.poll_pipes(left);
        }
        let left_open = !(self.stdout.is_over() && self.stderr.is_over());
        // Before reaping: until then the number of the group cannot belong to anybody else.
        let _ = kill_process_group(self.group, Signal::KILL);
        let mut ended = self.report(End::Exited(0));
        ended.left_open = left_open;
        if let Some(mut child) = self.child.take() {
            match family.reap(self.id, || child.wait4()) {
                Ok(used) => {
                    ended.end = match (used.status.code(), used.status.signal()) {
                        (Some(code), _) => End::Exited(code),
                        (None, signal) => End::Signaled(signal.unwrap_or_default()),
                    };
                    ended.cpu = used.rusage.utime + used.rusage.stime;
                    ended.peak_memory = used.rusage.maxrss;
                }
                Err(error) => ended.end = End::NotStarted(error),
            }
        }
        ended
    }

    /// SIGTERM to the group, SIGKILL half a second later, then reaps.
    fn kill(&mut self, family: &Family) -> Option<Undead> {
        let _ = kill_process_group(self.group, Signal::TERM);
        let term_over = self.exited_by(Instant::now() + TERM_GRACE);
        // Also when the leader is gone: others of its group may have ignored SIGTERM.
        let _ = kill_process_group(self.group, Signal::KILL);
        let dead = term_over || self.exited_by(Instant::now() + KILL_GRACE);
        let mut child = self.child.take()?;
        if !dead {
            family.give_up(self.id);
            return Some(Undead { child, id: self.id });
        }
        let _ = family.reap(self.id, || child.wait());
        None
    }

    fn flooded(&self) -> bool {
        self.stdout.total() + self.stderr.total() > MAX_OUTPUT
    }

    fn report(&mut self, end: End) -> Ended {
        Ended {
            end,
            stdout: std::mem::take(&mut self.stdout.captured),
            stderr: std::mem::take(&mut self.stderr.captured),
            took: self.started.elapsed(),
            cpu: Duration::ZERO,
            peak_memory: 0,
            left_open: false,
        }
    }

    /// Waits for the end of the process alone; true if it came before `deadline`.
    fn exited_by(&self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.poll(left, false) {
                return true;
            }
            if left.is_zero() {
                return false;
            }
        }
    }

    /// Waits until something happens; true if the process has ended (it is not reaped by this).
    fn poll(&self, timeout: Duration, pipes_too: bool) -> bool {
        let mut fds = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
        if pipes_too {
            fds.extend(self.open_pipes());
        }
        matches!(poll(&mut fds, Some(&timespec(timeout))), Ok(n) if n > 0)
            && !fds[0].revents().is_empty()
    }

    fn poll_pipes(&self, timeout: Duration) {
        let mut fds: Vec<PollFd<'_>> = self.open_pipes().collect();
        let _ = poll(&mut fds, Some(&timespec(timeout)));
    }

    fn open_pipes(&self) -> impl Iterator<Item = PollFd<'_>> {
        let stdout = self.stdout.source.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN));
        let stderr = self.stderr.source.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN));
        stdout.into_iter().chain(stderr)
    }
}

/// Starts the program; a file that is being written at this moment is tried again for a short while.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut tries = 1;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES =>
            {
                tries += 1;
                std::thread::sleep(BUSY_PAUSE);
            }
            started => return started,
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // Rounded up to the next millisecond, so that a wait never ends before its deadline and spins.
    let nanoseconds = duration.as_nanos().div_ceil(1_000_000) * 1_000_000;
    Timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as i64,
        tv_nsec: (nanoseconds % 1_000_000_000) as _,
    }
}

/// The first bytes of a file, for explaining why it cannot be started.
pub(super) fn head_of(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    // Not waiting for somebody to write into what has become a FIFO.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut head = Vec::new();
    file.take(bytes).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests;
