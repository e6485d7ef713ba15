//! Defaults, whole files, and the sample that is shipped.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

use toml::de::{DeTable, DeValue};

use super::*;

const SAMPLE: &str = include_str!("../../etc/wigo.conf");

fn path() -> &'static Path {
    Path::new("wigo.conf")
}

/// The configuration of a file without any problem.
fn good(text: &str) -> Config {
    let loaded = match parse(text, path()) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(loaded.warnings.render(false), "");
    loaded.config
}

/// All warnings of a file that can be used, a line each.
fn warnings(text: &str) -> Vec<String> {
    let loaded = match parse(text, path()) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}"),
    };
    loaded.warnings.iter().map(Problem::to_string).collect()
}

/// All errors of a file that cannot be used, a line each.
fn errors(text: &str) -> Vec<String> {
    match parse(text, path()) {
        Err(LoadError::Invalid(problems)) => problems.errors().map(Problem::to_string).collect(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let Config { global, http, push_server, push_client, remotes, .. } = good("");
    assert!(!global.hostname.is_empty());
    assert_eq!(global.group, "none");
    assert_eq!(global.log_file, Path::new("/var/log/wigo.log"));
    assert_eq!(global.probes_directory, Path::new("/usr/local/wigo/probes"));
    assert_eq!(global.probes_config_directory, Path::new("/etc/wigo/conf.d"));
    assert_eq!(global.uuid_file, Path::new("/var/lib/wigo/uuid"));
    assert_eq!(global.database, Path::new("/var/lib/wigo/wigo.db"));
    assert_eq!(global.alive_timeout.as_secs(), 60);
    assert_eq!((global.metrics_retention_days, global.status_history_days), (7, 30));
    assert_eq!((http.enabled, &*http.address, http.port), (true, "0.0.0.0", 4000));
    assert_eq!((http.gzip, http.allow_write_actions), (true, false));
    assert_eq!((http.anonymous_role, &*http.users), (None, &[][..]));
    assert_eq!(http.proxy, TrustedProxy::default());
    assert_eq!((push_server.enabled, push_server.port), (false, 4001));
    assert_eq!((push_server.ssl_enabled, push_server.max_waiting_clients), (true, 100));
    assert_eq!(push_client.addresses[0].to_string(), "127.0.0.1:4001");
    assert_eq!(push_client.push_interval.as_secs(), 10);
    assert_eq!(remotes.list, []);
}

#[test]
fn an_empty_file_gives_the_defaults_of_what_is_sent() {
    let Config { notifications, opentsdb, probes, .. } = good("");
    assert_eq!(notifications.min_level_to_send, 101);
    assert_eq!((notifications.on_probe_change, notifications.on_host_change), (false, false));
    let flapping = notifications.flapping.unwrap();
    assert_eq!((flapping.window.as_secs(), flapping.threshold), (3600, 5));
    assert_eq!((notifications.quiet_hours, notifications.repeat), (None, None));
    assert_eq!(notifications.group_wait.as_secs(), 0);
    assert_eq!(notifications.group_window.as_secs(), 30);
    assert_eq!(notifications.expire_after.as_secs(), 86_400);
    assert_eq!(notifications.channels, []);
    assert_eq!((&*opentsdb.metric_prefix, opentsdb.buffer_size), ("wigo", 10_000));
    assert_eq!(opentsdb.deduplication.as_secs(), 600);
    assert!(probes.max_concurrent >= 2);
}

#[test]
fn an_empty_group_is_local_and_none_at_all_is_none() {
    assert_eq!(good("[Global]\nGroup = \"\"").global.group, "local");
    assert_eq!(good("[Global]").global.group, "none");
    assert_eq!(good("[Global]\nGroup = \"web\"").global.group, "web");
}

#[test]
fn names_match_in_any_capitals() {
    assert_eq!(good("[http]\nport = 81").http.port, 81);
}

#[test]
fn the_anonymous_role_follows_from_the_login() {
    let role =
        |text: &str| parse(&format!("[Http]\n{text}"), path()).unwrap().config.http.anonymous_role;
    assert_eq!(role(""), None);
    assert_eq!(role("Login = \"a\"\nPassword = \"b\""), None);
    assert_eq!(role("Login = \"a\""), Some(Role::None));
    assert_eq!(
        role("Login = \"a\"\nPassword = \"b\"\nAnonymousRole = \"readonly\""),
        Some(Role::Readonly)
    );
    assert_eq!(role("AnonymousRole = \"None\""), Some(Role::None));
    assert_eq!(role("AnonymousRole = \"admin\""), Some(Role::Readonly));
    assert_eq!(
        warnings("[Http]\nAnonymousRole = \"admin\""),
        [
            "wigo.conf:2: `AnonymousRole` \"admin\" is unknown; it counts as \"readonly\"; allowed are \
          \"none\", \"readonly\" and \"operator\""
        ]
    );
}

#[test]
fn users_and_trusted_proxies_are_read() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzYWx0$\
                vQ9E1nB6yO4yM0CC0mY2mBwW1J8gYkM8YkVJ0YvWn1o";
    let user =
        format!("[[Http.Users]]\nName = \"eve\"\nRole = \"operator\"\nPasswordHash = \"{hash}\"");
    let http = good(&format!(
        "[Http]\nHostNames = [\"Wigo.example.org\", \"*\"]\nTrustedProxies = [\"::1\", \"10.0.0.0/8\"]\n\
         ProxyUserHeader = \"X-User\"\nProxyOperatorGroups = [\"ops\"]\n\
         ProxyReadonlyGroups = \"staff\"\n{user}"
    ))
    .http;
    assert_eq!((&*http.users[0].name, http.users[0].role), ("eve", Role::Operator));
    assert!(!format!("{http:?}").contains(hash));
    assert_eq!(http.host_names, ["wigo.example.org", "*"]);
    let TrustedProxy { user_header, .. } = &http.proxy;
    assert_eq!(user_header, "x-user");
    for (address, trusted) in
        [("::1", true), ("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("11.0.0.1", false)]
    {
        assert_eq!(http.proxy.is_trusted(address.parse().unwrap()), trusted, "{address}");
    }
    let role = |groups: &[&str]| {
        http.proxy.role_of(&groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(role(&["staff", "ops"]), Role::Operator);
    assert_eq!((role(&["staff"]), role(&["Ops"])), (Role::Readonly, Role::None));

    let twice = errors(&format!("{user}\n{user}"));
    assert!(twice[0].contains("configured twice"), "{twice:?}");
    for (from, to, said) in [
        ("eve", "a b", "`Name` in [Http.Users] must be a name"),
        ("operator", "none", "`Role` in [Http.Users] must be"),
        ("argon2id", "argon2d", "it is not of Argon2id"),
        (hash, "", "`PasswordHash` in [Http.Users] is missing"),
    ] {
        let found = errors(&user.replace(from, to));
        assert!(found.iter().any(|error| error.contains(said)), "{said}: {found:?}");
        assert!(!found.concat().contains("c29tZXNhbHRzYWx0"), "{found:?}");
    }
}

#[test]
fn both_lists_of_remotes_are_one() {
    let text = r#"
        [Global]
        AliveTimeout = 120
        [Http]
        Port = 4100
        [RemoteWigos]
        CheckInterval = 20
        Login = "all"
        Password = "secret"
        AllowPlainLogin = true
        List = ["a", "b:4200", "[::1]:4300", "::1"]
        [[RemoteWigos.AdvancedList]]
        Hostname = "d"
        CheckRemotesDepth = -1
        [[AdvancedList]]
        Hostname = "c"
        Port = 4400
        CheckInterval = 30
        CheckRemotesDepth = 2
        SslEnabled = true
        Password = "own"
    "#;
    let list = good(text).remotes.list;
    let endpoints: Vec<_> = list.iter().map(|r| (&*r.host, r.port)).collect();
    let expected =
        [("c", 4400), ("d", 4100), ("a", 4100), ("b", 4200), ("::1", 4300), ("::1", 4100)];
    assert_eq!(endpoints, expected);
    let c = &list[0];
    assert_eq!((c.check_interval.as_secs(), c.depth, c.ssl_enabled), (30, Some(2), true));
    assert_eq!((&*c.login, c.password.expose()), ("all", "own"));
    assert_eq!((list[1].depth, list[1].check_interval.as_secs()), (None, 20));
    assert_eq!((&*list[2].login, list[2].password.expose()), ("all", "secret"));
}

#[test]
fn each_remote_says_whether_it_speaks_tls() {
    let text = r#"
        [RemoteWigos]
        SslEnabled = true
        List = ["a", "http://b:4200", "HTTPS://[::1]:4300/"]
        [[AdvancedList]]
        Hostname = "c"
        SslEnabled = false
        [[AdvancedList]]
        Hostname = "http://d"
    "#;
    let urls: Vec<_> = good(text).remotes.list.iter().map(Remote::url).collect();
    let expected =
        ["http://c:4000", "http://d:4000", "https://a:4000", "http://b:4200", "https://[::1]:4300"];
    assert_eq!(urls, expected);
    assert_eq!(errors("[RemoteWigos]\nList = [\"ftp://a\", \"http://a/b\"]").len(), 2);
    let text = "[[AdvancedList]]\nHostname = \"https://a\"\nSslEnabled = false";
    assert_eq!(
        errors(text),
        [
            "wigo.conf:3: `SslEnabled` says otherwise than the address in `Hostname`; remove one of the two"
        ]
    );
}

#[test]
fn a_remote_with_a_certificate_of_its_own_trusts_no_other() {
    let (one, other) = ("ab".repeat(32), "CD:".repeat(31) + "CD");
    let text = format!(
        "[RemoteWigos]\nSslEnabled = true\nCertFingerprint = \"{one}\"\nList = [\"a\"]\n\
         [[AdvancedList]]\nHostname = \"b\"\nCaFile = \"/ca.crt\"\n\
         [[AdvancedList]]\nHostname = \"c\"\nCertFingerprint = \"{other}\"\n\
         [[AdvancedList]]\nHostname = \"d\"\n"
    );
    let list = good(&text).remotes.list;
    let pinned = |n: usize| list[n].cert_fingerprint.map(|fingerprint| fingerprint.to_string());
    assert_eq!((pinned(0), list[0].ca_file.as_deref()), (None, Some(Path::new("/ca.crt"))));
    assert_eq!((pinned(1), &list[1].ca_file), (Some("cd".repeat(32)), &None));
    assert_eq!((pinned(2), pinned(3)), (Some(one.clone()), Some(one)));
    assert_eq!(errors("[RemoteWigos]\nCertFingerprint = \"abc\"").len(), 1);
    let both = format!("[RemoteWigos]\nCaFile = \"/a\"\nCertFingerprint = \"{other}\"");
    assert_eq!(warnings(&both).len(), 1);
}

#[test]
fn a_login_that_others_can_read_is_a_warning() {
    let login = "Login = \"a\"\nPassword = \"b\"\n";
    assert_eq!(
        warnings(&format!("[RemoteWigos]\n{login}List = [\"x\", \"y\"]")),
        [
            "wigo.conf:2: the login for `x:4000` is sent unencrypted; switch on `SslEnabled`, or write \
          `AllowPlainLogin = true` if that is meant"
        ]
    );
    let entry = format!("[[AdvancedList]]\nHostname = \"x\"\n{login}");
    assert_eq!(warnings(&entry).len(), 1);
    good(&format!("{entry}AllowPlainLogin = true"));
    good(&format!("{entry}SslEnabled = true"));
    good(&format!("[RemoteWigos]\n{login}List = [\"127.0.0.1\", \"::1\", \"localhost:1\"]"));
}

#[test]
fn an_entry_without_a_host_is_refused() {
    assert_eq!(
        errors("[[AdvancedList]]\nPort = 1"),
        [
            "wigo.conf:1: an entry of `AdvancedList` has no `Hostname`; write `Hostname = \"…\"`, or remove \
          the entry"
        ]
    );
}

#[test]
fn polls_that_are_too_slow_for_the_time_out_are_a_warning() {
    let text = "[Global]\nAliveTimeout = 30\n[RemoteWigos]\nCheckInterval = 16";
    assert_eq!(
        warnings(text),
        [
            "wigo.conf:4: `CheckInterval` of 16 s is more than half of `AliveTimeout` in [Global], which is \
          30 s; one lost answer would make a remote look down"
        ]
    );
    assert!(warnings("[Global]\nAliveTimeout = 5").is_empty(), "nothing is polled");
}

#[test]
fn a_push_client_may_have_several_servers() {
    let addresses = |text: &str| {
        let config = good(&format!("[PushClient]\nPort = 4010\n{text}"));
        config.push_client.addresses.iter().map(Endpoint::to_string).collect::<Vec<_>>()
    };
    assert_eq!(addresses("Address = \"m\""), ["m:4010"]);
    assert_eq!(addresses("Address = [\"m\", \"n:1\", \"[::1]:2\"]"), ["m:4010", "n:1", "[::1]:2"]);
    assert_eq!(addresses("Address = \"\""), ["127.0.0.1:4010"]);
    assert_eq!(warnings("[PushClient]\nEnabled = true\nAddress = \"\"").len(), 1);
}

#[test]
fn a_fingerprint_is_taken_as_tools_print_it() {
    let fingerprint = "AB:".repeat(31) + "AB";
    let config = good(&format!("[PushClient]\nCaFingerprint = \"SHA256:{fingerprint}\""));
    assert_eq!(config.push_client.ca_fingerprints, ["ab".repeat(32)]);
    let two = format!("CaFingerprint = [\"{fingerprint}\", \"{}\"]", "0".repeat(64));
    let config = good(&format!("[PushClient]\n{two}"));
    assert_eq!(config.push_client.ca_fingerprints, ["ab".repeat(32), "0".repeat(64)]);
    assert_eq!(errors("[PushClient]\nCaFingerprint = \"abc\"").len(), 1);
}

#[test]
fn a_join_token_that_was_cut_is_a_mistake_and_is_not_shown() {
    let whole = format!("wigo-join_{}_{}", "s".repeat(22), "ab".repeat(32));
    let section = |token: &str| format!("[PushClient]\nJoinToken = \"{token}\"");
    assert_eq!(good(&section(&whole)).push_client.join_token.expose(), whole);
    for token in ["hello", &whole[..whole.len() - 4], &whole[5..]] {
        let found = errors(&section(token));
        assert_eq!(found.len(), 1, "{token}");
        assert!(!found[0].contains(token));
    }
}

#[test]
fn what_is_enabled_without_an_address_is_a_warning() {
    assert_eq!(warnings("[Notifications]\nHttpEnabled = true").len(), 1);
    assert_eq!(warnings("[Notifications]\nEmailEnabled = 1").len(), 3);
    assert_eq!(warnings("[Notifications]\nAppriseEnabled = 1").len(), 1);
    assert_eq!(warnings("[OpenTSDB]\nEnabled = true").len(), 1);
    assert_eq!(warnings("[[Notifications.AppriseTargets]]\nUrls = [\"x://\"]").len(), 1);
    assert_eq!(warnings("[[Dependencies]]\nDependsOn = \"a\"").len(), 1);
    assert_eq!(warnings("[[Dependencies]]\nHost = \"a\"\nDependsOn = \"a\"").len(), 1);
}

#[test]
fn one_mistake_is_one_error() {
    let check = |text: &str| assert_eq!(errors(text).len(), 1, "{text}");
    check("[Notifications]\nEmailEnabled = 1\nEmailSmtpServer = 5");
    check("[Notifications]\nEmailEnabled = 1\nEmailSmtpServer = \"a\"");
    check("[Notifications]\nQuietHoursFrom = 22:00\nQuietHoursTo = \"07:00\"");
    check("[[AdvancedList]]\nHostname = 1");
    check("[Global]\nGroup = 1");
    check("[PushClient]\nPort = 0");
    check("[RemoteWigos]\nPassword = 1");
}

#[test]
fn labels_keep_to_their_alphabet() {
    let config = good("[Labels]\nenv = \"prod\"\n\"a.b-c_1\" = \"x\"");
    assert_eq!(config.labels["a.b-c_1"], "x");
    assert_eq!(errors("[Labels]\ngroup = \"a\"\nenv = \"-x\"\n_a = \"b\"\nn = 1").len(), 4);
    assert_eq!(errors(&format!("[Labels]\nenv = \"{}\"", "x".repeat(129))).len(), 1);
    good(&format!("[Labels]\nenv = \"{}\"", "x".repeat(128)));
}

#[test]
fn a_timeout_is_at_least_a_second() {
    assert_eq!(good("[ProbeTimeouts]\ncheck_ntp = 5").probe_timeouts["check_ntp"], 5);
    assert_eq!(
        errors("[ProbeTimeouts]\na = 0\n\"b/c\" = 1"),
        [
            "wigo.conf:2: `a` in [ProbeTimeouts] must be a whole number from 1 to 86400, not 0",
            "wigo.conf:3: `b/c` is no probe: the name has a `/` in it",
        ]
    );
}

#[test]
fn the_environment_of_probes_is_limited() {
    let config =
        good("[ProbeEnvironment]\nPATH = \"/bin\"\n_x1 = \"\"\n[Probes]\nMaxConcurrent = 3");
    assert_eq!(config.probes.environment["PATH"], "/bin");
    assert_eq!(config.probes.max_concurrent, 3);
    let text =
        "[ProbeEnvironment]\nWIGO_UUID = \"\"\nLD_PRELOAD = \"\"\n1A = \"\"\n\"A=B\" = \"\"\nA = 1";
    assert_eq!(errors(text).len(), 5);
    assert_eq!(errors("[ProbeEnvironment]\nA = \"b\\nc\"").len(), 1);
}

#[test]
fn a_file_of_the_original_loads_with_warnings_only() {
    let text = r#"
        [Global]
            Hostname = ""
            Group = ""
            LogFile = "/var/log/wigo.log"
            ProbesDirectory = "/usr/local/wigo/probes"
            ProbesConfigDirectory = "/etc/wigo/conf.d"
            UuidFile = "/var/lib/wigo/uuid"
            Database = "/var/lib/wigo/wigo.db"
            AliveTimeout = 60
            Debug = false
            ListenAddress = "0.0.0.0"
        [Http]
            Enabled = true
            Address = "0.0.0.0"
            Port = 4000
            SslEnabled = false
            SslCert = "/etc/wigo/ssl/http.crt"
            SslKey = "/etc/wigo/ssl/http.key"
            Login = ""
            Password = ""
        [PushServer]
            Enabled = false
            Address = "0.0.0.0"
            Port = 4001
            SslEnabled = true
            SslCert = "/etc/wigo/ssl/wigo.crt"
            SslKey = "/etc/wigo/ssl/wigo.key"
            AllowedClientsFile = "/var/lib/wigo/allowed_clients"
            AutoAcceptClients = false
        [PushClient]
            Enabled = false
            Address = ""
            Port = 4001
            SslEnabled = true
            SslCert = "/var/lib/wigo/master.crt"
            UuidSig = "/var/lib/wigo/uuid.sig"
            PushInterval = 10
        [RemoteWigos]
            CheckInterval = 10
            SslEnabled = false
            Login = ""
            Password = ""
            List = []
        [Notifications]
            MinLevelToSend = 250
            RescueOnly = false
            OnWigoChange = true
            OnProbeChange = false
            HttpEnabled = 0
            HttpUrl = ""
            EmailEnabled = 0
            EmailSmtpServer = "smtp.domain.tld:25"
            EmailRecipients = ["one@domain.tld", "two@domain.tld"]
            EmailFromName = "Wigo"
            EmailFromAddress = "wigo@domain.tld"
        [OpenTSDB]
            Enabled = false
            Address = ["localhost"]
            SslEnabled = false
            MetricPrefix = "wigo"
            Deduplication = 600
            BufferSize = 10000
        [[AdvancedList]]
            Hostname = "10.0.0.1"
            Port = 4000
            CheckRemotes = 1
    "#;
    let loaded = parse(text, path()).unwrap();
    assert!(loaded.config.notifications.on_host_change);
    assert_eq!(loaded.config.global.group, "local");
    let messages: Vec<_> = loaded.warnings.iter().map(|p| (p.line, &*p.message)).collect();
    assert_eq!(
        messages,
        [
            (12, "`ListenAddress` is retired and has no effect"),
            (67, "`CheckRemotes` is retired and has no effect"),
        ]
    );
}

#[test]
fn the_sample_is_good_as_it_is() {
    assert_eq!(good(SAMPLE), good(""));
}

#[test]
fn the_sample_shows_the_defaults() {
    // With examples of channels and nothing to tell them, there is a warning.
    let sample = sample_without_hashes();
    let shown = good(&sample.replace("OnProbeChange = false", "OnProbeChange = true"));
    let defaults = good("");
    assert_eq!(shown.global, defaults.global);
    let mut shown_less_examples = shown.clone();
    shown_less_examples.http.users.clear();
    assert_eq!(shown_less_examples.http, defaults.http);
    assert_eq!(shown.push_server, defaults.push_server);
    assert_eq!(shown.push_client, defaults.push_client);
    assert_eq!(shown.probes.max_concurrent, defaults.probes.max_concurrent);
    // The examples of channels and of confirmation.
    let told = &mut shown_less_examples.notifications;
    told.channels.clear();
    told.on_probe_change = false;
    told.confirm.drain(..told.confirm.len() - 1);
    shown_less_examples.opentsdb.tags.clear();
    assert_eq!(shown_less_examples.notifications, defaults.notifications);
    assert_eq!(shown_less_examples.opentsdb, defaults.opentsdb);
}

/// That all shown keys are known is seen above: there is no warning.
#[test]
fn the_sample_shows_every_key() {
    let sample = sample_without_hashes();
    let environment = Environment::of_process();
    let Ok((_, known)) = read(&sample, path(), None, &environment) else {
        panic!("the sample is refused")
    };
    let mut shown = BTreeSet::new();
    collect_keys("", &DeTable::parse(&sample).unwrap().into_inner(), &mut shown);
    for (section, keys) in &known {
        for key in keys {
            let key = join(section, key);
            assert!(shown.contains(&key), "`{key}` is missing in etc/wigo.conf");
        }
    }
}

fn collect_keys(path: &str, table: &DeTable<'_>, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = join(path, key.get_ref());
        match value.get_ref() {
            DeValue::Table(table) => collect_keys(&path, table, keys),
            DeValue::Array(entries) => {
                let tables = entries.iter().filter_map(|entry| entry.get_ref().as_table());
                tables.for_each(|table| collect_keys(&path, table, keys));
            }
            _ => {}
        }
        keys.insert(path);
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The sample with the keys that are commented out; explanations have a space behind their `#`.
fn sample_without_hashes() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c == '[' || c.is_ascii_alphabetic()) => {
            key.to_owned()
        }
        _ => line.to_owned(),
    };
    SAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_password_that_others_may_read_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wigo.conf");
    let with_mode = |text: &str, mode| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        load(&path).unwrap().warnings.iter().map(|p| (p.line, p.column)).collect::<Vec<_>>()
    };
    let text = "[Http]\nLogin = \"a\"\nPassword = \"b\"\n";
    assert_eq!(with_mode(text, 0o644), [(3, 12)]);
    assert_eq!(with_mode(text, 0o640), []);
    assert_eq!(with_mode(&text.replace("\"b\"", "\"${PATH}\""), 0o644), []);
    assert_eq!(with_mode("[Http]\nPassword = \"\"\n", 0o644), []);
}

#[test]
fn half_a_login_is_a_warning() {
    assert_eq!(
        warnings("[Http]\nLogin = \"a\"\n[RemoteWigos]\nPassword = \"b\""),
        [
            "wigo.conf:2: `Login` in [Http] without `Password`: nobody can log in; set both, or neither",
            "wigo.conf:4: `Password` in [RemoteWigos] without `Login`: no login is sent; set both, or neither",
        ]
    );
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wigo.conf");
    let cause = |path: &Path| match load(path) {
        Err(LoadError::Read { source, .. }) => source.to_string(),
        other => panic!("not refused: {other:?}"),
    };
    assert!(cause(&path).contains("No such file"));
    fs::write(&path, b"[Http]\n\xff").unwrap();
    assert_eq!(cause(&path), "line 2 is not UTF-8");
    fs::write(&path, " ".repeat(MAX_FILE_BYTES as usize + 1)).unwrap();
    assert_eq!(cause(&path), "it is larger than 1048576 bytes");
}

#[test]
fn secrets_are_in_no_text_that_is_made_of_a_file() {
    let secret = "s3cr3t";
    for text in [
        "[Http]\nLogin = \"a\"\nPassword = \"s3cr3t\nPort = 1",
        "[Http]\nLogin = \"a\"\nPassword = \"s3cr3t\" x",
        "[Http]\nPasswords = \"s3cr3t\"",
        "[Http]\nPassword = [[\"s3cr3t\"]]",
        "[Notifications]\nHttpUrl = \"s3cr3t\"",
        "[Notifications]\nAppriseUrls = [1,\n\"s3cr3t\", 2,\n3]",
        "AdvancedList = [{ Hostname = 1, Password = \"s3cr3t\" }]",
    ] {
        let (problems, debug) = match parse(text, path()) {
            Ok(loaded) => (loaded.warnings.clone(), format!("{loaded:?}")),
            Err(LoadError::Invalid(problems)) => (problems.clone(), format!("{problems:?}")),
            Err(error) => panic!("{error}"),
        };
        assert!(!problems.is_empty(), "{text}");
        assert!(!problems.render(false).contains(secret), "{}", problems.render(false));
        assert!(!problems.to_string().contains(secret), "{problems}");
        assert!(!debug.contains(secret), "{debug}");
    }
}

/// Whatever the text is, it is refused or used, and its problems can be shown.
fn survives(text: &str) {
    let problems = match parse(text, path()) {
        Ok(loaded) => loaded.warnings,
        Err(LoadError::Invalid(problems)) => {
            assert!(problems.errors().count() > 0);
            problems
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(problems.is_empty(), problems.render(false).is_empty());
    let lines = text.lines().count() + 1;
    assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line)));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "([\\[\\]a-zA-Z=\"'#{}.,0-9 \n\r\té€\u{0}\u{feff}-]|Http|Port = |List = ){0,60}") {
        survives(&text);
    }

    #[test]
    fn no_damage_to_a_good_file_makes_it_panic(
        line in 0..sample_without_hashes().lines().count(),
        column in 0..40_usize,
        damage in "[\\[\\]=\"'#{}.,0-9 \né-]{0,3}",
    ) {
        let sample = sample_without_hashes();
        let start: usize = sample.split_inclusive('\n').take(line).map(str::len).sum();
        let at = (start + column).min(sample.len());
        let text = format!("{}{damage}{}", &sample[..at], &sample[(at + 1).min(sample.len())..]);
        survives(&text);
    }
}
