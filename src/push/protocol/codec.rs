//! Messages as bytes.

use std::io;

use bincode::{DefaultOptions, Options};
use serde::{Serialize, de::DeserializeOwned};

/// Bytes of the length before each message, big endian.
pub const PREFIX_BYTES: usize = 4;

/// The length and the message. An error if the message is longer than `limit` bytes.
pub fn encode<T: Serialize>(message: &T, limit: u32) -> io::Result<Vec<u8>> {
    let bounded = DefaultOptions::new().with_limit(limit.into());
    let size = bounded.serialized_size(message).map_err(|error| unfit(&error, limit))?;
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + size as usize);
    bytes.extend_from_slice(&(size as u32).to_be_bytes());
    bounded.serialize_into(&mut bytes, message).map_err(|error| unfit(&error, limit))?;
    Ok(bytes)
}

/// The message that `bytes` (without the length) are, to the last byte.
///
/// Never allocates more than a small multiple of `bytes`: collections grow as their elements appear.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    DefaultOptions::new().with_limit(bytes.len() as u64).deserialize(bytes).map_err(|error| {
        let why = format!("a message that cannot be read: {error}");
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

/// The length that a prefix announces. An error above `limit`.
pub fn announced(prefix: [u8; PREFIX_BYTES], limit: u32) -> io::Result<usize> {
    let length = u32::from_be_bytes(prefix);
    if length > limit {
        let why = format!("a message of {length} bytes was announced; the limit is {limit}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(length as usize)
}

fn unfit(error: &bincode::Error, limit: u32) -> io::Error {
    let why = match **error {
        bincode::ErrorKind::SizeLimit => format!("the message is longer than {limit} bytes"),
        _ => format!("the message cannot be encoded: {error}"),
    };
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
