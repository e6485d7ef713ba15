//! What of a changed configuration needs a new start.

use super::Config;

impl Config {
    /// The keys whose change cannot be taken over while running, such as `[Http] Port`.
    pub fn needs_restart(&self, new: &Config) -> Vec<&'static str> {
        let changed = [
            (
                "[Global] ProbesDirectory",
                self.global.probes_directory != new.global.probes_directory,
            ),
            ("[Global] UuidFile", self.global.uuid_file != new.global.uuid_file),
            ("[Global] Database", self.global.database != new.global.database),
            ("[Http] Enabled", self.http.enabled != new.http.enabled),
            ("[Http] Address", self.http.address != new.http.address),
            ("[Http] Port", self.http.port != new.http.port),
            ("[Http] SslEnabled", self.http.ssl_enabled != new.http.ssl_enabled),
            ("[Http] SslCert", self.http.ssl_cert != new.http.ssl_cert),
            ("[Http] SslKey", self.http.ssl_key != new.http.ssl_key),
            ("[Http] BasePath", self.http.base_path != new.http.base_path),
            ("[Http] Gzip", self.http.gzip != new.http.gzip),
            ("[OpenIdConnect]", self.oidc != new.oidc),
            ("[PushServer] Enabled", self.push_server.enabled != new.push_server.enabled),
            ("[PushServer] Address", self.push_server.address != new.push_server.address),
            ("[PushServer] Port", self.push_server.port != new.push_server.port),
            (
                "[PushServer] SslEnabled",
                self.push_server.ssl_enabled != new.push_server.ssl_enabled,
            ),
            ("[PushServer] SslCert", self.push_server.ssl_cert != new.push_server.ssl_cert),
            ("[PushServer] SslKey", self.push_server.ssl_key != new.push_server.ssl_key),
            (
                "[PushServer] AllowedClientsFile",
                self.push_server.allowed_clients_file != new.push_server.allowed_clients_file,
            ),
            ("[Probes] MaxConcurrent", self.probes.max_concurrent != new.probes.max_concurrent),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::parse;

    fn changes(old: &str, new: &str) -> Vec<&'static str> {
        let parse = |text| parse(text, Path::new("wigo.conf")).unwrap().config;
        parse(old).needs_restart(&parse(new))
    }

    #[test]
    fn only_what_is_bound_at_start_needs_a_restart() {
        let new = "[Global]\nUuidFile = \"/u\"\nGroup = \"web\"\nProbesDirectory = \"/p\"\n\
                   Database = \"/d\"\nAliveTimeout = 90\n[Probes]\nMaxConcurrent = 999\n\
                   [Http]\nPort = 4010\nLogin = \"a\"\nPassword = \"b\"\nEnabled = false\n\
                   Address = \"::1\"\nSslEnabled = true\n\
                   [PushServer]\nEnabled = true\nPort = 4011\nMaxWaitingClients = 5\n\
                   AllowedClientsFile = \"/a\"";
        assert_eq!(
            changes("", new),
            [
                "[Global] ProbesDirectory",
                "[Global] UuidFile",
                "[Global] Database",
                "[Http] Enabled",
                "[Http] Address",
                "[Http] Port",
                "[Http] SslEnabled",
                "[PushServer] Enabled",
                "[PushServer] Port",
                "[PushServer] AllowedClientsFile",
                "[Probes] MaxConcurrent",
            ]
        );
    }

    #[test]
    fn the_same_value_written_out_is_no_change() {
        assert!(changes("", "[Http]\nPort = 4000\nAddress = \"0.0.0.0\"").is_empty());
        assert!(
            changes("[Labels]\na = \"b\"", "[PushServer]\nAutoAcceptClients = true").is_empty()
        );
    }
}
