//! The page at `/`: what this is, and its hosts. Plain HTML that needs no script.

use std::{fmt::Write, sync::Arc};

use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse, Response},
};

use super::Api;
use crate::{
    status::Status,
    tree::{Instance, View},
};

const STYLE: &str = include_str!("index.css");

pub async fn style() -> Response {
    let kind =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (kind, STYLE).into_response()
}

pub async fn page(State(api): State<Arc<Api>>) -> Response {
    let page = render(&api.view());
    ([(header::CACHE_CONTROL, "no-cache")], Html(page)).into_response()
}

fn render(tree: &View) -> String {
    let mut instances = tree.instances();
    instances
        .sort_by_key(|instance| (std::cmp::Reverse(instance.local_status()), &instance.host.name));
    let hosts: String = instances.into_iter().map(host).collect();
    let (name, global) = (escape(&tree.me().host.name), badge(tree.me().global_status()));
    let version = escape(&tree.me().version);
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=refresh content=30><title>{name} – Wigo</title>\
         <link rel=stylesheet href=/style.css></head><body>\
         <header><h1>{name} {global}</h1><p>{version}: what is going on, on this host and those below \
         it. As data: <a href=/api>/api</a>, <a href=/api/logs>/api/logs</a>, \
         <a href=/api/probes>/api/probes</a>; in a terminal: <code>wigocli</code>.</p></header>\
         <main>{hosts}</main></body></html>"
    )
}

fn host(instance: &Instance) -> String {
    let mut probes: Vec<_> = instance.host.probes.values().collect();
    probes.sort_by_key(|probe| (std::cmp::Reverse(probe.result.status), &probe.result.name));
    let mut rows = String::new();
    for probe in probes {
        let result = &probe.result;
        let (name, message) = (escape(result.name.as_str()), escape(&result.message));
        let stale = if probe.stale { " <em>not confirmed since the restart</em>" } else { "" };
        let since = super::views::date(probe.since);
        let _ = write!(
            rows,
            "<tr><td>{}</td><th scope=row>{name}</th><td>{message}{stale}<br><small>since {}</small></td></tr>",
            badge(result.status),
            escape(&since.split('.').next().unwrap_or_default().replace('T', " "))
        );
    }
    if rows.is_empty() {
        rows.push_str("<tr><td>no probe has reported yet</td></tr>");
    }
    let (name, group) = (escape(&instance.host.name), escape(&instance.host.group));
    let status = badge(instance.local_status());
    format!(
        "<section><h2>{name} {status} <small>{group}</small></h2><table>{rows}</table></section>"
    )
}

fn badge(status: Status) -> String {
    let word = status.level().word();
    format!("<b class={}>{word} {status}</b>", word.to_lowercase())
}

/// Text as text: nothing in it is markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::tree::Host;

    #[test]
    fn names_cannot_become_markup() {
        let host = Host::new("<script>alert('x')</script>\"", "a&b");
        let tree = crate::tree::Tree::new(Instance::new(Uuid::from_u128(1), "<v>", host)).view();
        let page = render(&tree);
        assert!(!page.contains("<script>") && !page.contains("<v>"));
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;"));
        assert!(page.contains("a&amp;b"));
    }
}
