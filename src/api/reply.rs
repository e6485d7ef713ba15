//! Answers: JSON with an ETag, or a refusal as a sentence.

use axum::{
    body::Body,
    extract::{FromRequestParts, Path},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::store::StoreError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A document ready to be sent, with the tag that stands for its content.
#[derive(Clone, Debug)]
pub struct Document {
    body: Bytes,
    kind: HeaderValue,
    tag: HeaderValue,
}

impl Document {
    /// Renders `value` as JSON.
    pub fn of(value: &impl Serialize) -> Document {
        let body = serde_json::to_vec(value).expect("views have no map with keys that are no text");
        Document::new(body, JSON)
    }

    /// A text of this content type.
    pub fn of_text(text: String, kind: HeaderValue) -> Document {
        Document::new(text.into_bytes(), kind)
    }

    fn new(body: Vec<u8>, kind: HeaderValue) -> Document {
        let digest = ring::digest::digest(&ring::digest::SHA256, &body);
        let hex: String = digest.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        // Weak, since a compressed answer has the same tag and other bytes.
        let tag = HeaderValue::try_from(format!("W/\"{hex}\"")).expect("hexadecimal digits");
        Document { body: body.into(), kind, tag }
    }

    /// The answer to a request with these headers: the document, or 304 if the caller has it.
    pub fn answer(&self, request: &HeaderMap) -> Response {
        let mut response = unless_held(request, &self.tag, || Body::from(self.body.clone()));
        if response.status().is_success() {
            response.headers_mut().insert(header::CONTENT_TYPE, self.kind.clone());
        }
        response
    }
}

/// JSON that `tag` stands for, or 304 if the caller has that.
pub fn unless_held(
    request: &HeaderMap,
    tag: &HeaderValue,
    body: impl FnOnce() -> Body,
) -> Response {
    let held = request.get_all(header::IF_NONE_MATCH).iter();
    let fresh = [(header::ETAG, tag.clone())];
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let ours = opaque(tag.to_str().unwrap_or_default());
    let mut tags = held.filter_map(|value| value.to_str().ok()).flat_map(|tags| tags.split(','));
    if tags.any(|tag| opaque(tag) == ours || tag.trim() == "*") {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    ([(header::CONTENT_TYPE, JSON), cache], fresh, body()).into_response()
}

/// JSON for a request with these headers.
pub fn json(request: &HeaderMap, value: &impl Serialize) -> Response {
    Document::of(value).answer(request)
}

/// That a change was made: plain text, as in the original.
pub fn text(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// A refusal: a JSON string, a sentence saying why.
pub fn refuse(status: StatusCode, why: impl AsRef<str>) -> Response {
    let body = serde_json::Value::from(why.as_ref()).to_string();
    (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
}

/// A refusal of a change that the database has not taken.
pub fn not_written(error: &StoreError) -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, format!("nothing was changed: {error}"))
}

/// A part of the path, or a refusal for one that is not UTF-8.
pub struct Segments<T>(pub T);

impl<T, S> FromRequestParts<S> for Segments<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Segments(segments)),
            Err(_) => Err(refuse(StatusCode::BAD_REQUEST, "the path is not UTF-8")),
        }
    }
}
