//! The web page: what Vite built, embedded into the program. One shell for all pages; it holds no data, so
//! it needs no login.
//!
//! Files are compressed by the layer that compresses answers: a browser asks for each once, since their
//! names change with their content, so a compressed copy of each in memory would hardly be used.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use ring::digest::{SHA256, digest};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{Api, not_found};
use crate::config::BasePath;

/// What Vite built; empty where it was not.
#[derive(RustEmbed)]
#[folder = "frontend/dist"]
struct Built;

const SHELL: &str = "index.html";
/// Where Vite puts files that have a digest of their content in their names.
const ASSETS: &str = "assets/";

/// Asked for each time, and not sent again if it is the same.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// For a year, which is the longest that is usual: another content has another name.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Every page there is, by its path: a link to any of them can be kept.
const PAGES: [&str; 21] = [
    "/",
    "/wall",
    "/group",
    "/hosts",
    "/hosts/{host}",
    "/hosts/{host}/probes/{probe}",
    "/logs",
    "/incidents",
    "/incidents/{id}",
    "/held",
    "/maintenance",
    "/channels",
    "/messages",
    "/why",
    "/authority",
    "/disabled",
    "/orders",
    "/access",
    "/audit",
    "/about",
    "/login",
];

const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Wigo</title>\
    <h1>Wigo</h1><p>This program was built without its web page. To build it: \
    <code>npm ci &amp;&amp; npm run build</code> in the folder <code>frontend</code>, then \
    <code>cargo build --release</code>.</p><p>What it knows is at <a href=\"/api\">/api</a>, and \
    <code>wigocli</code> shows it.</p></html>\n";

/// The pages and the files that they are made of, as browsers see them below `base`.
pub fn routes(base: &BasePath) -> Router<Arc<Api>> {
    let shell = Shell::new(base).map(Arc::new);
    let page = move |headers: HeaderMap| {
        let shell = shell.clone();
        async move {
            match shell {
                Some(shell) => shell.answer(&headers),
                None => ([(header::CACHE_CONTROL, ASK_AGAIN)], Html(NOT_BUILT)).into_response(),
            }
        }
    };
    let pages =
        PAGES.iter().fold(Router::new(), |router, path| router.route(path, get(page.clone())));
    pages.route("/assets/{*file}", get(asset))
}

/// The document that all pages begin with.
struct Shell {
    body: Bytes,
    /// Stands for the body.
    tag: String,
}

impl Shell {
    /// As it was built, with addresses below `base`; `None` if it was not built.
    fn new(base: &BasePath) -> Option<Shell> {
        let built = Built::get(SHELL)?;
        let text = with_base(&String::from_utf8_lossy(&built.data), base);
        let tag = tag(digest(&SHA256, text.as_bytes()).as_ref());
        Some(Shell { body: text.into(), tag })
    }

    fn answer(&self, request: &HeaderMap) -> Response {
        unless_held(request, &self.tag, ASK_AGAIN, "text/html", self.body.clone())
    }
}

/// The shell with `base` before the addresses in it, and in the place where the page looks for it.
fn with_base(shell: &str, base: &BasePath) -> String {
    let attributes = ["href", "src"].into_iter();
    let text = attributes.fold(shell.to_owned(), |text, attribute| {
        text.replace(&format!("{attribute}=\"/"), &format!("{attribute}=\"{base}/"))
    });
    text.replace(
        "name=\"base-path\" content=\"\"",
        &format!("name=\"base-path\" content=\"{base}\""),
    )
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    // Where files are not embedded but read from the disk, a name must not lead up.
    let leads_up = name.split('/').any(|part| part == "..");
    match Built::get(&format!("{ASSETS}{name}")).filter(|_| !leads_up) {
        Some(file) => answer(&headers, file, FOR_EVER),
        None => not_found().await,
    }
}

/// Files beside the shell, such as the icon; for what no route is for.
pub async fn other_file(uri: Uri, headers: HeaderMap) -> Response {
    let name = uri.path().trim_start_matches('/');
    // The shell has its paths, and what begins with a dot is about files, not one of them.
    let is_plain = !name.contains('/') && !name.starts_with('.') && name != SHELL;
    match Built::get(name).filter(|_| is_plain) {
        Some(file) => answer(&headers, file, ASK_AGAIN),
        None => not_found().await,
    }
}

fn answer(request: &HeaderMap, file: EmbeddedFile, cache: HeaderValue) -> Response {
    let tag = tag(&file.metadata.sha256_hash());
    let body = match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    };
    unless_held(request, &tag, cache, file.metadata.mimetype(), body)
}

/// Stands for the content with this SHA-256.
fn tag(hash: &[u8]) -> String {
    hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// A file, or 304 if the caller has what `tag` stands for.
fn unless_held(
    request: &HeaderMap,
    tag: &str,
    cache: HeaderValue,
    kind: &str,
    body: Bytes,
) -> Response {
    // Weak, since a compressed answer has the same tag and other bytes.
    let weak = HeaderValue::try_from(format!("W/\"{tag}\"")).expect("hexadecimal digits");
    let fresh = [(header::ETAG, weak), (header::CACHE_CONTROL, cache)];
    if holds(request, tag) {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    let kind = match kind.starts_with("text/") {
        true => format!("{kind}; charset=utf-8"),
        false => kind.to_owned(),
    };
    ([(header::CONTENT_TYPE, kind)], fresh, body).into_response()
}

/// Whether the caller says that it has what this tag stands for.
fn holds(request: &HeaderMap, tag: &str) -> bool {
    let held = request.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = held.filter_map(|value| value.to_str().ok()).flat_map(|tags| tags.split(','));
    tags.any(|held| held.trim().trim_start_matches("W/").trim_matches('"') == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_held_is_not_sent_again() {
        let ask = |held: &HeaderMap| {
            unless_held(held, "07", FOR_EVER, "text/javascript", Bytes::from_static(b"content"))
        };
        let fresh = ask(&HeaderMap::new());
        assert_eq!(fresh.status(), StatusCode::OK);
        assert_eq!(fresh.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(fresh.headers()[header::CACHE_CONTROL], FOR_EVER);
        let tag = fresh.headers()[header::ETAG].clone();
        let held = HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)]);
        assert_eq!(ask(&held).status(), StatusCode::NOT_MODIFIED);
        let other = HeaderValue::from_static("W/\"00\", \"x\"");
        let other = HeaderMap::from_iter([(header::IF_NONE_MATCH, other)]);
        assert_eq!(ask(&other).status(), StatusCode::OK);
    }

    #[test]
    fn the_shell_has_its_addresses_below_the_base_path() {
        let built = "<meta name=\"base-path\" content=\"\" /><link href=\"/favicon.svg\">\
                     <script src=\"/assets/index-1.js\"></script><a href=\"https://x/\">";
        let below = with_base(built, &BasePath::parse("/wigo").unwrap());
        let expected = "<meta name=\"base-path\" content=\"/wigo\" /><link href=\"/wigo/favicon.svg\">\
                        <script src=\"/wigo/assets/index-1.js\"></script><a href=\"https://x/\">";
        assert_eq!(below, expected);
        assert_eq!(with_base(built, &BasePath::default()), built);
    }

    #[tokio::test]
    async fn no_path_leads_out_of_the_built_files() {
        for path in ["/../Cargo.toml", "/..%2fCargo.toml", "/.env", "/index.html", "/assets/x"] {
            let answer = other_file(path.parse().unwrap(), HeaderMap::new()).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        }
        let answer = asset(Path("../index.html".into()), HeaderMap::new()).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
}
