//! The output of a probe: read as it comes, its beginning kept, the rest counted.

use std::{
    io::{self, Read},
    os::fd::AsFd,
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::Captured;

/// Read from one stream before the other one and the limits get their turn, in bytes.
const TURN: u64 = 1 << 20;

/// One end of a pipe that is read without waiting; the beginning is kept, the rest counted.
pub(super) struct Pipe<Source> {
    /// `None` once the other end is closed.
    pub(super) source: Option<Source>,
    pub(super) captured: Captured,
    total: u64,
}

impl<Source: Read + AsFd> Pipe<Source> {
    pub(super) fn new(source: Source) -> io::Result<Pipe<Source>> {
        fcntl_setfl(&source, fcntl_getfl(&source)? | OFlags::NONBLOCK)?;
        Ok(Pipe { source: Some(source), captured: Captured::default(), total: 0 })
    }

    pub(super) fn is_over(&self) -> bool {
        self.source.is_none()
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Reads what is there, at most [`TURN`] and a bit, so that a flood cannot hold us here.
    pub(super) fn drain(&mut self, buffer: &mut [u8], keep: usize) {
        let enough = self.total + TURN;
        while let Some(source) = &mut self.source {
            match source.read(buffer) {
                Ok(0) => self.source = None,
                Ok(n) => {
                    self.total += n as u64;
                    let captured = &mut self.captured;
                    let kept = n.min(keep.saturating_sub(captured.kept.len()));
                    captured.kept.extend_from_slice(&buffer[..kept]);
                    captured.dropped += (n - kept) as u64;
                    if self.total >= enough {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.source = None,
            }
        }
    }
}
