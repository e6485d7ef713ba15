//! The body of an answer, held within bounds before and after it is decompressed.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use hyper::{
    body::{Body as _, Incoming},
    header::{self, HeaderMap, HeaderValue},
};

use super::{AskError, MAX_BODY_BYTES, MAX_DECODING_RATIO};

/// Up to here a body may grow as it likes, in bytes: small ones compress well.
const ALWAYS_ALLOWED: usize = 64 << 10;

/// A body as it was received.
pub struct Body {
    address: String,
    bytes: Vec<u8>,
    gzip: bool,
}

impl Body {
    /// Receives a body.
    pub(super) async fn read(
        address: &str,
        headers: &HeaderMap,
        mut body: Incoming,
    ) -> Result<Body, AskError> {
        let address = address.to_owned();
        let gzip = match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"" | b"identity") => false,
            Some(b"gzip" | b"x-gzip") => true,
            Some(other) => {
                let name = crate::pull::document::line(&String::from_utf8_lossy(other), 40);
                let why = format!("it is in `{name}`, which was not asked for");
                return Err(AskError::Undecodable { address, why });
            }
        };
        // What is announced is only believed when it is too much.
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > MAX_BODY_BYTES {
            return Err(AskError::TooBig { address });
        }
        let mut bytes = Vec::new();
        while let Some(part) = next(&mut body).await {
            let part = part.map_err(|error| AskError::http(&address, &error))?;
            if bytes.len() + part.len() > MAX_BODY_BYTES {
                return Err(AskError::TooBig { address });
            }
            bytes.extend_from_slice(&part);
        }
        Ok(Body { address, bytes, gzip })
    }

    /// Bytes as received.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes themselves. Takes a while for a big one.
    pub fn decode(self) -> Result<Vec<u8>, AskError> {
        let Body { address, bytes, gzip } = self;
        if !gzip {
            return Ok(bytes);
        }
        let allowed = bytes.len().saturating_mul(MAX_DECODING_RATIO).max(ALWAYS_ALLOWED);
        let most = allowed.min(MAX_BODY_BYTES);
        let mut decoded = Vec::new();
        MultiGzDecoder::new(&*bytes).take(most as u64 + 1).read_to_end(&mut decoded).map_err(
            |error| AskError::Undecodable { address: address.clone(), why: error.to_string() },
        )?;
        match decoded.len() {
            size if size <= most => Ok(decoded),
            _ if most == MAX_BODY_BYTES => Err(AskError::TooBig { address }),
            _ => Err(AskError::Bomb { address }),
        }
    }
}

/// The first bytes of a body as text; of one that breaks off, what came.
pub(super) async fn beginning(mut body: Incoming, most: usize) -> String {
    let mut bytes = Vec::new();
    while let Some(Ok(part)) = next(&mut body).await {
        bytes.extend(part.iter().take(most - bytes.len()));
        if bytes.len() >= most {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The next part with data in it.
async fn next(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        match body.frame().await? {
            Ok(frame) => match frame.into_data() {
                Ok(data) => return Some(Ok(data)),
                Err(_trailers) => {}
            },
            Err(error) => return Some(Err(error)),
        }
    }
}
