//! An instance with everything below it, joined from fragments while the caller reads.
//!
//! Nothing is rendered or compressed twice, and no answer is ever held as a whole: it is made in chunks,
//! so that the size of the tree makes neither other requests wait nor memory grow. What an answer holds
//! is a copy of the tree, which shares what has not changed since; so it must not take for ever.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::Arc,
    time::{Duration, Instant},
    vec,
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use bytes::Bytes;
use uuid::Uuid;

use super::{
    Api,
    fragments::{Fragment, Fragments, Version},
    gzip, reply,
};
use crate::tree::View;

/// Bytes that are made at a time, at least.
const CHUNK: usize = 64 << 10;
/// How long a caller may take to read an answer: 80 MB, the tree of 10,000 hosts, at 5 Mbit/s.
const READ_LIMIT: Duration = Duration::from_secs(120);

/// The answer to a request with these headers: the instance `top` with everything below it, or 304 if
/// the caller has that.
pub fn answer(api: &Api, tree: View, top: Uuid, headers: &HeaderMap) -> Response {
    let tag = tag(api.process, &tree, top);
    let may_compress = api.config.load().http.gzip;
    let compressed = may_compress && accepts_gzip(headers);
    let body = || {
        api.fragments.forget_gone(&tree);
        let joined = Joined::new(tree, api.fragments.clone(), top, compressed);
        Body::from_stream(futures_util::stream::iter(joined))
    };
    let mut response = reply::unless_held(headers, &tag, body);
    if compressed && response.status().is_success() {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if may_compress {
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

/// Stands for what is answered. `process` tells it from what an earlier process meant.
fn tag(process: u64, tree: &View, top: Uuid) -> HeaderValue {
    let state = match top == tree.me().uuid {
        true => tree.revision(),
        false => {
            let mut hasher = DefaultHasher::new();
            hash(tree, top, &mut hasher);
            hasher.finish()
        }
    };
    // Weak, since a compressed answer has the same tag and other bytes.
    HeaderValue::try_from(format!("W/\"{process:016x}-{state:x}\"")).expect("hexadecimal digits")
}

fn hash(tree: &View, at: Uuid, hasher: &mut DefaultHasher) {
    if let Some(instance) = tree.get(at) {
        (at, Version::of(tree, instance)).hash(hasher);
        tree.children(at).for_each(|child| hash(tree, child.uuid, hasher));
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

/// The chunks of an answer.
struct Joined {
    tree: View,
    fragments: Arc<Fragments>,
    /// The instance that comes next where none is open: the top, before it was written.
    top: Option<Uuid>,
    /// The instances whose head was written and whose tail was not, the top first.
    open: Vec<Open>,
    /// What is being written, if it is to be compressed.
    gzip: Option<gzip::Document>,
    chunk: Vec<u8>,
    until: Instant,
}

struct Open {
    uuid: Uuid,
    fragment: Arc<Fragment>,
    /// Those below it that come next.
    children: vec::IntoIter<Uuid>,
    /// None of them was written yet.
    is_empty: bool,
}

impl Joined {
    fn new(tree: View, fragments: Arc<Fragments>, top: Uuid, compressed: bool) -> Joined {
        let mut chunk = Vec::new();
        let gzip = compressed.then(|| gzip::Document::begin(&mut chunk));
        let until = Instant::now() + READ_LIMIT;
        Joined { tree, fragments, top: Some(top), open: Vec::new(), gzip, chunk, until }
    }

    /// Writes the next piece. False: that was all.
    fn step(&mut self) -> bool {
        if let Some(top) = self.top.take() {
            self.write_head(top);
            return true;
        }
        let Some(open) = self.open.last_mut() else { return false };
        match open.children.next() {
            Some(child) => {
                let comma = if std::mem::take(&mut open.is_empty) { "" } else { "," };
                self.write_key(format!("{comma}\"{child}\":").as_bytes());
                self.write_head(child);
            }
            None => self.write_tail(),
        }
        true
    }

    /// Writes an instance up to where those below it follow; all of it if there are none.
    fn write_head(&mut self, uuid: Uuid) {
        let instance = self.tree.get(uuid).expect("it was found in this tree, which is our own");
        let fragment = self.fragments.of(&self.tree, instance);
        match &mut self.gzip {
            Some(gzip) => gzip.add(&fragment.compressed(instance).head, &mut self.chunk),
            None => self.chunk.extend_from_slice(&fragment.text(instance).head),
        }
        if !fragment.is_leaf() {
            let children: Vec<Uuid> = self.tree.children(uuid).map(|child| child.uuid).collect();
            let children = children.into_iter();
            self.open.push(Open { uuid, fragment, children, is_empty: true });
        }
    }

    fn write_tail(&mut self) {
        let Some(Open { uuid, fragment, .. }) = self.open.pop() else { return };
        let instance = self.tree.get(uuid).expect("its head was written from this tree");
        match &mut self.gzip {
            Some(gzip) => gzip.add(&fragment.compressed(instance).tail, &mut self.chunk),
            None => self.chunk.extend_from_slice(&fragment.text(instance).tail),
        }
    }

    fn write_key(&mut self, key: &[u8]) {
        match &mut self.gzip {
            Some(gzip) => gzip.add_stored(key, &mut self.chunk),
            None => self.chunk.extend_from_slice(key),
        }
    }
}

impl Iterator for Joined {
    type Item = Result<Bytes, io::Error>;

    fn next(&mut self) -> Option<Result<Bytes, io::Error>> {
        if Instant::now() > self.until {
            return Some(Err(io::ErrorKind::TimedOut.into()));
        }
        while self.chunk.len() < CHUNK {
            if !self.step() {
                if let Some(gzip) = self.gzip.take() {
                    gzip.end(&mut self.chunk);
                }
                break;
            }
        }
        let chunk = std::mem::take(&mut self.chunk);
        (!chunk.is_empty()).then(|| Ok(chunk.into()))
    }
}

/// The text that is answered to `GET /api`.
#[cfg(test)]
pub fn whole_text(tree: View) -> Vec<u8> {
    let top = tree.me().uuid;
    let chunks = Joined::new(tree, Arc::new(Fragments::new()), top, false);
    chunks.flat_map(|chunk| chunk.expect("it is read at once")).collect()
}

#[cfg(test)]
mod tests;
