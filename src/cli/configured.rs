//! Which agent is meant: the one of the configuration, unless `--url` says otherwise.

use std::path::Path;

use super::{Error, args::Global, client::Target};
use crate::config::{self, DEFAULT_PATH, LoadError};

/// The agent to ask. The login of a configuration is never sent to another address than its own.
pub fn target(global: &Global) -> Result<Target, Error> {
    let configured = match &global.config {
        Some(path) => in_file(path),
        None => match in_file(DEFAULT_PATH.as_ref()) {
            Err(Error::Config(LoadError::Read { .. })) => Ok(Target::default()),
            Err(_) if global.url.is_some() => Ok(Target::default()),
            read => read,
        },
    };
    match &global.url {
        Some(url) => {
            let ca_file = match configured {
                Ok(configured) => configured.ca_file,
                Err(Error::HttpOff { .. }) => None,
                Err(error) => return Err(error),
            };
            Ok(Target { ca_file, ..Target::at(url)? })
        }
        None => configured,
    }
}

/// The agent that the configuration in `path` is of.
fn in_file(path: &Path) -> Result<Target, Error> {
    let http = config::load_beside(path)?.config.http;
    if !http.enabled {
        return Err(Error::HttpOff { path: path.into() });
    }
    let (login, password) = (&http.login, http.password.expose());
    Ok(Target::local(&http.address, http.port, http.ssl_enabled, login, password, &http.ssl_cert))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Which agent is meant by a configuration and an address.
    fn check(config: &str, url: Option<&str>) -> Result<Target, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), config).unwrap();
        let config = Some(file.path().to_owned());
        let global = Global { config, url: url.map(str::to_owned), json: false, watch: false };
        target(&global).map_err(|error| error.to_string())
    }

    #[test]
    fn the_agent_of_the_configuration_is_asked() {
        let config = "[Http]\nAddress = \"0.0.0.0\"\nport = 4400\nSslEnabled = true\n\
                      SslCert = \"/crt\"\nLogin = \"me\"\nPassword = \"secret\"\n[Other]\nKey = 1\n";
        let expected = Target::local("", 4400, true, "me", "secret", "/crt");
        assert_eq!(check(config, None), Ok(expected));
        assert_eq!(check("", None), Ok(Target::default()));
    }

    #[test]
    fn another_address_gets_the_certificate_and_never_the_login() {
        let config = "[Http]\nSslEnabled = true\nSslCert = \"/crt\"\n\
                      Login = \"me\"\nPassword = \"secret\"\n";
        let seen = check(config, Some("https://hub:1")).unwrap();
        let expected =
            Target { ca_file: Some("/crt".into()), ..Target::at("https://hub:1").unwrap() };
        assert_eq!(seen, expected);
        let seen = check("[Http]\nEnabled = false", Some("http://hub")).unwrap();
        assert_eq!(seen, Target::at("http://hub").unwrap());
    }

    #[test]
    fn a_mistake_is_named_without_the_line_it_is_in() {
        let check = |config: &str, why: &str| {
            let error = check(config, None).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{config}: {error}");
        };
        check("[Http]\nPassword = \"secret", "configuration");
        check("[Http]\nPort = 70000", "`Port`");
        check("[Http]\nLogin = 1", "`Login`");
        check("[Http]\nSslEnabled = 1", "`SslEnabled`");
        check("[Http]\nEnabled = false", "Enabled is false");
    }

    #[test]
    fn a_missing_configuration_is_an_error_only_if_it_was_named() {
        let global = |config: Option<&str>| Global {
            config: config.map(Into::into),
            url: Some("http://hub".into()),
            json: false,
            watch: false,
        };
        let error = target(&global(Some("/nowhere/wigo.conf"))).unwrap_err().to_string();
        assert!(error.contains("`/nowhere/wigo.conf`"), "{error}");
        assert_eq!(target(&global(None)).unwrap().url, "http://hub");
    }
}
