//! The configuration: mistakes at the start, changes while it runs, and files of an original.

use std::{fs, process::Command};

use crate::{
    harness::{Home, says, set_mode, text_of, wait_until},
    http,
};

#[test]
fn a_mistake_is_shown_with_its_line_and_keeps_it_from_starting() {
    let mut home = Home::new();
    home.change("Port = 0", "Port = \"many\"");
    let output = home.wigo(&[]);
    assert_eq!(output.status.code(), Some(1));
    let text = text_of(&output);
    assert!(text.contains("wigo.conf:11") && text.contains("`Port`"), "{text}");
    assert!(text.contains("Port = \"many\"") && text.contains("^^^^^^"), "{text}");
    assert!(!text.contains("listening"), "{text}");
    let output = home.wigo(&["check-config"]);
    assert_eq!(output.status.code(), Some(2));
    let text = text_of(&output);
    assert!(text.contains("Port = \"many\"") && text.contains("^^^^^^"), "{text}");

    home.change("Port = \"many\"", "Port = 0\nPasword = \"secret\"");
    assert_eq!(home.wigo(&["check-config"]).status.code(), Some(0));
    let output = home.wigo(&["check-config", "--strict"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text_of(&output).contains("`Password`"), "the nearest key: {}", text_of(&output));

    home.change("Pasword = \"secret\"", "");
    let output = home.wigo(&["check-config", "--strict"]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));

    // A good file that names what this machine does not have.
    home.change("Port = 0", "Port = 0\nSslEnabled = true\nSslCert = \"/nowhere.crt\"");
    let output = home.wigo(&["check-config"]);
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    assert!(text_of(&output).contains("`/nowhere.crt`"), "{}", text_of(&output));
    assert_eq!(home.wigo(&["check-config", "--strict"]).status.code(), Some(1));

    let missing = home.path("missing.conf");
    let missing = missing.to_str().unwrap();
    for arguments in [&["--config", missing][..], &["check-config", missing][..]] {
        let output = Command::new(env!("CARGO_BIN_EXE_wigo")).args(arguments).output().unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{}", text_of(&output));
        assert!(text_of(&output).contains("missing.conf"), "{}", text_of(&output));
    }
}

#[test]
fn what_can_change_changes_at_a_hangup() {
    let mut home = Home::new();
    home.add("Login = \"me\"\nPassword = \"first\"\n[ProbeTimeouts]\nslow = 60");
    home.probe(2, "steady", &says(100, "fine"));
    home.probe(
        3,
        "slow",
        "if [ -e \"$WIGO_PROBE_CONFIG_ROOT/slow\" ]; then sleep 1.5; fi; echo done",
    );
    fs::write(home.path("conf.d").join("slow"), "").unwrap();
    let mut agent = home.start();
    let ask = |address, login: &str, path: &str| {
        http::get(address, path, &[&format!("Authorization: Basic {login}")])
    };
    let (first, second) = ("bWU6Zmlyc3Q=", "bWU6c2Vjb25k"); // me:first, me:second
    let address = agent.address();
    assert_eq!(ask(address, first, "/api/groups").text(), "[\"testers\"]");
    let slow = |login: &str| ask(address, login, "/api/hosts/testhost/probes/slow").json();
    wait_until("the slow probe may take its time", || slow(first)["Message"] == "done");

    agent.home.change("slow = 60", "slow = 1");
    agent.home.change("Group = \"testers\"", "Group = \"others\"");
    agent.home.change("first", "second");
    agent.home.change("Port = 0", "Port = 1");
    agent.home.add("[Labels]\nrack = \"r1\"");
    agent.home.write_config();
    agent.hang_up();
    agent.wait_log("was read again");
    assert!(agent.log().contains("[Http] Port has changed and takes effect at the next start"));
    assert_eq!(ask(address, first, "/api").status, 401, "the old password");
    assert_eq!(ask(address, second, "/api/groups").text(), "[\"others\"]");
    assert_eq!(ask(address, second, "/api").json()["LocalHost"]["Labels"]["rack"], "r1");
    wait_until("the slow probe is too slow now", || {
        slow(second)["Message"].as_str().is_some_and(|message| message.contains("Probe timeout"))
    });
    agent.home.change("Hostname = \"testhost\"", "Hostname = \"renamed\"");
    agent.hang_up();
    wait_until("the host has its new name", || {
        ask(address, second, "/api/hosts").text() == "[\"renamed\"]"
    });

    // A broken file changes nothing and is told of.
    agent.home.change("Group = \"others\"", "Group = 7");
    agent.hang_up();
    agent.wait_log("the configuration in use stays as it was");
    assert!(agent.log().contains("wigo.conf:3"), "the line is named");
    assert_eq!(ask(address, second, "/api/groups").text(), "[\"others\"]");
    let own = || ask(address, second, "/api/hosts/renamed/probes/wigo").json();
    wait_until("the agent's own probe says so", || {
        own()["Status"] == 200 && own()["Message"].as_str().unwrap().contains("wigo.conf")
    });
    // Nor does one that is not there.
    fs::remove_file(agent.home.config_path()).unwrap();
    agent.hang_up();
    agent.wait_log("cannot read the configuration");
    agent.home.change("Group = 7", "Group = \"last\"");
    agent.hang_up();
    wait_until("a good file is taken", || {
        ask(address, second, "/api/groups").text() == "[\"last\"]"
    });
    wait_until("all is well again", || own()["Status"] == 100);
    assert!(!agent.log().contains("second"), "a password is in the log");
}

#[test]
fn the_log_file_is_opened_again_at_a_hangup() {
    let agent = Home::new().start();
    let (log, moved) = (agent.home.path("wigo.log"), agent.home.path("wigo.log.1"));
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    wait_until("the start is in the file", || read(&log).contains("listening on"));
    fs::rename(&log, &moved).unwrap();
    agent.hang_up();
    wait_until("the new file is written", || read(&log).contains("was read again"));
    assert!(!read(&moved).contains("was read again"));
    // Where it cannot be opened, monitoring goes on.
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    agent.hang_up();
    agent.wait_log("cannot be opened, what was open stays");
    assert_eq!(agent.get("/healthz").status, 200);
}

#[test]
fn a_configuration_of_an_original_starts_this_agent() {
    let mut home = Home::new();
    let root = home.path("").display().to_string();
    let root = root.trim_end_matches('/');
    // The sample of the original with all its sections, retired keys and its own spelling.
    home.config = format!(
        r#"[Global]
Hostname = ""
Group = ""
LogFile = "{root}/wigo.log"
ProbesDirectory = "{root}/probes"
ProbesConfigDirectory = "{root}/conf.d"
UuidFile = "{root}/uuid"
Database = "{root}/wigo.db"
AliveTimeout = 60
Debug = false
ListenPort = 4000

[Http]
Enabled = true
Address = "127.0.0.1"
Port = 0
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

#[[AdvancedList]]
#    Hostname = "ip"

[Notifications]
MinLevelToSend = 250
RescueOnly = false
OnWigoChange = false
OnProbeChange = false
HttpEnabled = 0
HttpUrl = ""
EmailEnabled = 0
EmailSmtpServer = "smtp.domain.tld:25"
EmailRecipients = ["user@domain.tld", "user2@domain.tld"]
EmailFromName = "Wigo"
EmailFromAddress = "wigo@domain.tld"

[OpenTSDB]
Enabled = false
Address = ["localhost"]
SslEnabled = false
MetricPrefix = "wigo"
Deduplication = 600
BufferSize = 10000
"#
    );
    home.probe(60, "fine", &says(100, "well"));
    let agent = home.start();
    agent.wait_status("fine", 100);
    let log = agent.log();
    assert!(log.contains("wigo.conf:11") && log.contains("`ListenPort`"), "{log}");
    assert_eq!(agent.json("/api/groups"), serde_json::json!(["local"]), "an empty group");
    assert_ne!(agent.json("/api")["Hostname"], "", "the system's name");
}

#[test]
fn a_secret_that_all_may_read_is_warned_about() {
    let mut home = Home::new();
    home.add("Login = \"me\"\nPassword = \"secret\"");
    home.write_config();
    set_mode(&home.config_path(), 0o644);
    let output = Command::new(env!("CARGO_BIN_EXE_wigo"))
        .arg("check-config")
        .arg(home.config_path())
        .output()
        .unwrap();
    let text = text_of(&output);
    assert!(text.contains("chmod o-r") && !text.contains("\"secret\""), "{text}");
}
