//! `[Http] BasePath`: the path below which browsers see us, where a proxy shows us beside other things.

use std::fmt;

/// Longest path, in bytes.
const MAX: usize = 200;

/// Such as `/wigo`; empty: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Reads one.
    pub fn parse(text: &str) -> Result<BasePath, String> {
        let is_plain = |part: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            part.bytes().all(plain) && !["", ".", ".."].contains(&part)
        };
        match text.strip_prefix('/') {
            Some(parts) if text.len() <= MAX && parts.split('/').all(is_plain) => {
                Ok(BasePath(text.to_owned()))
            }
            _ => Err("a path such as \"/wigo\": with a `/` at its beginning and none at its end, of letters, \
                      digits, `-`, `_` and `.`"
                .to_owned()),
        }
    }

    /// A path of ours as browsers see it. One that is below this one already stays as it is.
    pub fn over(&self, path: &str) -> String {
        match self.cut(path) {
            Some(_) => path.to_owned(),
            None => format!("{self}{path}"),
        }
    }

    /// The path of ours in one that browsers see. Proxies may have cut it already.
    pub fn within<'p>(&self, path: &'p str) -> &'p str {
        match self.cut(path) {
            Some("") => "/",
            Some(rest) => rest,
            None => path,
        }
    }

    /// What of a path, with or without a query, is below this one; it is not if there is none.
    fn cut<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(&self.0).filter(|_| !self.0.is_empty())?;
        (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest)
    }

    /// Where cookies of ours are sent.
    pub fn of_cookies(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_taken() {
        for good in ["/wigo", "/a/b-c/d_e.f", "/0"] {
            assert_eq!(BasePath::parse(good).unwrap().to_string(), good);
        }
        let long = format!("/{}", "a".repeat(MAX));
        for bad in [
            "wigo", "/", "//", "/wigo/", "/a//b", "/..", "/a/./b", "/a b", "/a\"b", "/a<", "/é",
            "/a?b", "/a;b", &long,
        ] {
            assert!(BasePath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn it_is_put_before_paths_and_cut_off_once() {
        let base = BasePath::parse("/wigo").unwrap();
        for (ours, seen) in
            [("/", "/wigo/"), ("/login?a=b", "/wigo/login?a=b"), ("/wigox", "/wigo/wigox")]
        {
            assert_eq!(base.over(ours), seen);
            assert_eq!(base.over(seen), seen);
            assert_eq!(base.within(seen), ours);
            assert_eq!(base.within(ours), ours);
        }
        assert_eq!((base.within("/wigo"), base.of_cookies()), ("/", "/wigo"));
        let none = BasePath::default();
        assert_eq!(
            (none.over("/a"), none.within("/a"), none.of_cookies()),
            ("/a".into(), "/a", "/")
        );
    }
}
