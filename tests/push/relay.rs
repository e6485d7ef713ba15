//! A line between a client and its master that can be cut.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Forwards connections. While it is cut, connections stay open and what they carry is lost.
pub struct Relay {
    address: SocketAddr,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    cut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// A line to `target`.
    pub fn to(target: SocketAddr) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line::default());
        let shared = line.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                shared.forward(near, target);
            }
        });
        Relay { address, line }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on nothing gets through.
    pub fn cut(&self) {
        self.line.cut.store(true, Ordering::SeqCst);
    }

    /// New connections get through again; those of before have lost bytes, and end.
    pub fn heal(&self) {
        let mut open = self.line.open.lock().unwrap();
        for stream in open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.line.cut.store(false, Ordering::SeqCst);
    }
}

impl Line {
    fn forward(self: &Arc<Line>, near: TcpStream, target: SocketAddr) {
        let Ok(far) = TcpStream::connect(target) else { return };
        let mut open = self.open.lock().unwrap();
        open.extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let line = self.clone();
            thread::spawn(move || line.copy(from, to));
        }
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 16 << 10];
        loop {
            let count = from.read(&mut bytes).unwrap_or(0);
            if self.cut.load(Ordering::SeqCst) {
                // Not even the end gets through.
                if count == 0 {
                    return;
                }
            } else if count == 0 || to.write_all(&bytes[..count]).is_err() {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}
