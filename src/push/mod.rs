//! Push: instances report to those above them over a connection that stays open. An instance may report
//! and be reported to at the same time, to any depth.
//!
//! - [`protocol`]: what travels between instances, and nothing else of this room knows how
//! - [`client`]: reports to the masters above
//! - [`server`]: takes the reports of clients
//! - [`authority`]: who may be a client

pub mod authority;
pub mod client;
pub mod protocol;
pub mod server;

pub use authority::{Authority, JoinToken};

use ring::rand::{SecureRandom, SystemRandom};

use protocol::hello::Nonce;

/// A number that was never used before.
fn nonce() -> Nonce {
    let mut nonce = [0; 32];
    // Without randomness nothing here is safe, and the system has always had some by now.
    SystemRandom::new().fill(&mut nonce).expect("the system gives random numbers");
    nonce
}

/// A pause around `ms` milliseconds, so that many who are told to wait do not come back together.
fn client_pause(ms: u32) -> u32 {
    ms / 2 + client::anywhere_within(std::time::Duration::from_millis(ms.into())).as_millis() as u32
}
