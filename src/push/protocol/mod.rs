//! What travels between instances. In the order of a connection, which the client opens:
//!
//! 1. [`greeting`]: both name the versions of the protocol that they speak and settle on one. This never
//!    changes.
//! 2. [`hello`]: who are you? A client asks to be admitted, or proves who it is.
//! 3. [`channel`]: calls in both directions ([`Master`](channel::Master), [`Agent`](channel::Agent)).
//!    tarpc matches answers with calls and ends what takes too long; [`transport`] cuts the stream into
//!    frames and holds each peer to its rate.
//!
//! [`wire`] are the messages as they travel, `border` and `order` check them on the way in. Whatever arrives is
//! hostile until it has passed the border: nothing is allocated because a peer announces it. A peer whose
//! bytes are no messages loses its connection and nothing else; what makes no sense in a message is left
//! out.
//!
//! Encoding: bincode with variable integers. It does not describe itself, so the messages of a version
//! are fixed; methods and variants are only ever appended.

pub mod channel;
pub mod greeting;
pub mod hello;
pub mod transport;
pub mod wire;

mod border;
mod codec;
mod driver;
mod lane;
mod order;
mod pool;
mod rate;

pub use border::{Flaw, Flaws, checked_entries};
pub use pool::Pool;
