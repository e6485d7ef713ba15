//! Where somebody is sent after logging in.

/// The longest such path, in bytes: it is put into a cookie meanwhile.
const MAX_BYTES: usize = 512;

/// `next` if it is a page of ours; else the first page.
pub fn own_path(next: &str) -> &str {
    const FIRST: &str = "/";
    let is_path = next.starts_with('/') && !next.starts_with("//");
    let is_plain = next.len() <= MAX_BYTES
        // Browsers take `\` for `/`, and leave out line breaks and tabs.
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_api = next == "/api" || next.starts_with("/api/") || next.starts_with("/api?");
    if is_path && is_plain && !is_api { next } else { FIRST }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site_or_into_the_api() {
        for good in ["/", "/hosts/a%20b?x=//y", "/logs?until=1#end", "/apis"] {
            assert_eq!(own_path(good), good);
        }
        let long = format!("/{}", "a".repeat(MAX_BYTES));
        for bad in [
            "",
            "hosts",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/a\r\nSet-Cookie:x",
            "https://evil.example",
            "javascript:alert(1)",
            "/a b",
            "/ü",
            "/api/logout",
            "/api",
            "/api?x",
            &long,
        ] {
            assert_eq!(own_path(bad), "/", "{bad}");
        }
    }
}
