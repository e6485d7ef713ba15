//! Where a receiver is. Many such addresses are secrets: who has them can write there.

use std::fmt;

use reqwest::Url;

/// The longest address, in bytes.
const MAX_BYTES: usize = 2_048;

/// An `http:` or `https:` address. Its `Debug` shows the host alone, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// Reads an address. The error says what is allowed, never what was given, which may be secret.
    pub fn parse(text: &str) -> Result<Address, String> {
        let text = text.trim();
        if text.len() > MAX_BYTES {
            return Err(format!("an address of at most {MAX_BYTES} bytes"));
        }
        let allowed = "an address such as \"https://host/path\"";
        let url = Url::parse(text).map_err(|error| format!("{allowed} ({error})"))?;
        match url.scheme() {
            "http" | "https" if url.fragment().is_none() => Ok(Address(url)),
            "http" | "https" => Err(format!("{allowed}, without `#`")),
            _ => Err(format!("{allowed}: it begins with https:// or http://")),
        }
    }

    /// The host, and the port where it is not the usual one: all of it that may be shown.
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// Whether what is sent there cannot be read on the way.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(super) fn url(&self) -> Url {
        self.0.clone()
    }

    /// The same with a parameter.
    pub(super) fn with(mut self, name: &str, value: &str) -> Address {
        self.0.query_pairs_mut().append_pair(name, value);
        self
    }

    /// The address of something below this one, whether or not this one ends in `/`. Segments are
    /// encoded: none of them can lead elsewhere.
    pub(super) fn below<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.url();
        // Fails only for addresses without a host, which `parse` does not let in.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.0.scheme(), self.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_does_not_depend_on_a_last_slash_and_cannot_lead_elsewhere() {
        for base in ["https://h/a", "https://h/a/"] {
            let url = Address::parse(base).unwrap().below(["rooms", "!x/../y:h?#", "send"]);
            assert_eq!(url.as_str(), "https://h/a/rooms/!x%2F..%2Fy:h%3F%23/send");
        }
        assert_eq!(Address::parse("https://h").unwrap().below(["m"]).as_str(), "https://h/m");
    }

    #[test]
    fn only_the_host_is_shown() {
        let address = Address::parse("https://user:pw@hooks.example.org:8443/T0/secret").unwrap();
        assert_eq!(format!("{address:?}"), "https://hooks.example.org:8443/…");
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in ["", "hooks/secret", "ftp://h/secret", "https://", "https://h/#secret"] {
            let error = Address::parse(text).unwrap_err();
            assert!(!error.contains("secret"), "{text}: {error}");
        }
        assert!(Address::parse(&format!("https://h/{}", "x".repeat(MAX_BYTES))).is_err());
    }
}
