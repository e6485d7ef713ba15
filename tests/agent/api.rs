//! What `GET` gives: routes, fields and their order, errors, caching, compression, login, limits.

use std::{
    fmt,
    io::{Read, Write},
    thread,
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json, value::RawValue};

use crate::{
    harness::{Agent, Home, says, wait_until},
    http::{self, ask, connect, read_all},
};

/// The members of a JSON object in the order in which they are written.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn members(text: &str) -> Members {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

impl Members {
    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn part(&self, name: &str) -> Members {
        members(self.0.iter().find(|(held, _)| held == name).unwrap().1.get())
    }
}

/// An agent with a good, a bad and a manifold probe, all of which have reported.
fn agent() -> Agent {
    let home = Home::new();
    home.probe(2, "fine", &says(100, "all well"));
    home.probe(2, "sick", &says(300, "<b>5 > 3</b> & on"));
    home.probe(2, "cmk", "echo '0 \"web one\" - up'; echo '1 disk/a used=91;90;95 filling'");
    home.probe(2, "with space", &says(100, "spaced"));
    home.probe(2, "it's \"quoted\"", &says(100, "quoted"));
    let agent = home.start();
    for name in ["fine", "sick", "cmk/disk_a", "with space", "it's \"quoted\"", "wigo"] {
        agent.wait_probe(name, |_| true);
    }
    agent
}

const PROBE_FIELDS: [&str; 13] = [
    "Name",
    "Version",
    "Value",
    "Message",
    "ProbeDate",
    "Timestamp",
    "Metrics",
    "Detail",
    "Status",
    "ExitCode",
    "Interval",
    "Since",
    "Stale",
];

#[test]
fn every_route_has_the_fields_and_codes_of_the_original() {
    let agent = agent();
    fields_are_in_order(&agent);
    tree_routes(&agent);
    unknown_things(&agent);
    trailing_slashes(&agent);
    odd_names(&agent);
    methods(&agent);
    page(&agent);
    etag(&agent);
    compression(&agent);
}

fn fields_are_in_order(agent: &Agent) {
    let reply = agent.get("/api");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let tree = members(&reply.text());
    assert_eq!(
        tree.names(),
        [
            "Uuid",
            "Version",
            "IsAlive",
            "GlobalStatus",
            "GlobalMessage",
            "LocalHost",
            "RemoteWigos",
            "Hostname",
            "LastUpdate",
            "Presence",
            "PresenceSince",
            "Via",
            "Alternatives",
            "Contact",
            "Problem",
            "RemoteControl"
        ]
    );
    let host = tree.part("LocalHost");
    assert_eq!(host.names(), ["Name", "Group", "Status", "Probes", "Labels", "DisabledProbes"]);
    let probes = host.part("Probes");
    let mut sorted = probes.names();
    sorted.sort_unstable();
    assert_eq!(probes.names(), sorted, "maps are sorted by key");
    assert_eq!(probes.part("fine").names(), PROBE_FIELDS);

    let tree = reply.json();
    assert_eq!(tree["IsAlive"], true);
    assert_eq!((&tree["GlobalStatus"], &tree["GlobalMessage"]), (&json!(300), &json!("OK")));
    assert_eq!((&tree["Hostname"], &tree["LastUpdate"]), (&json!("testhost"), &json!(0)));
    assert_eq!(tree["RemoteWigos"], json!({}));
    assert_eq!((&tree["Presence"], &tree["PresenceSince"]), (&json!("alive"), &json!(0)));
    assert_eq!((&tree["Via"], &tree["Alternatives"]), (&json!(""), &json!([])));
    assert_eq!((&tree["Contact"], &tree["Problem"]), (&Value::Null, &json!("")));
    assert!(tree["Version"].as_str().unwrap().starts_with("Wigo v"));
    assert_eq!(tree["LocalHost"]["Status"], 300);
    assert_eq!(tree["LocalHost"]["Group"], "testers");
    let fine = &tree["LocalHost"]["Probes"]["fine"];
    let date = fine["ProbeDate"].as_str().unwrap();
    assert!(date.as_bytes()[10] == b'T' && date.ends_with(')') && date.contains(" ("), "{date}");
    assert_eq!((&fine["Detail"], &fine["Metrics"]), (&Value::Null, &Value::Null));
    assert_eq!((&fine["Interval"], &fine["Stale"]), (&json!(2), &json!(false)));
}

fn tree_routes(agent: &Agent) {
    let uuid = agent.json("/api")["Uuid"].as_str().unwrap().to_owned();
    assert_eq!(agent.get("/api/status").text(), "300");
    assert_eq!(agent.json("/api/hosts"), json!(["testhost"]));
    for host in ["testhost", &uuid] {
        assert_eq!(agent.json(&format!("/api/hosts/{host}"))["Uuid"], uuid.as_str());
    }
    assert_eq!(agent.get("/api/hosts/testhost/status").text(), "300");
    assert_eq!(
        agent.json("/api/hosts/testhost/probes"),
        json!([
            "cmk",
            "cmk/disk_a",
            "cmk/web one",
            "fine",
            "it's \"quoted\"",
            "sick",
            "wigo",
            "with space"
        ])
    );
    let probe = agent.get("/api/hosts/testhost/probes/fine");
    assert_eq!(members(&probe.text()).names(), PROBE_FIELDS);
    assert_eq!(agent.get("/api/hosts/testhost/probes/sick/status").text(), "300");
    assert_eq!(agent.json("/api/groups"), json!(["testers"]));

    let group = agent.get("/api/groups/testers");
    assert_eq!(members(&group.text()).names(), ["Hosts", "Name", "Status"]);
    let group = group.json();
    assert_eq!((&group["Name"], &group["Status"]), (&json!("testers"), &json!(300)));
    let host = &group["Hosts"][0];
    let host = members(&host.to_string());
    let mut names = host.names();
    names.sort_unstable();
    assert_eq!(names, ["IsAlive", "Message", "Name", "Presence", "Probes", "Status"]);

    for route in [
        "/api/logs",
        "/api/groups/testers/logs",
        "/api/groups/testers/probes/sick/logs",
        "/api/hosts/testhost/logs",
        "/api/hosts/testhost/probes/sick/logs",
        "/api/probes/sick/logs",
    ] {
        let reply = agent.get(route);
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        assert!(reply.json().is_array(), "{route}");
    }
    let indexes = agent.get("/api/logs/indexes");
    assert_eq!(members(&indexes.text()).names(), ["groups", "hosts", "probes"]);

    let schedule = agent.json("/api/probes");
    assert_eq!(schedule["Hostname"], "testhost");
    let rows = schedule["Probes"].as_array().unwrap();
    let sick = rows.iter().find(|row| row["Name"] == "sick").unwrap();
    assert_eq!((&sick["Interval"], &sick["Enabled"]), (&json!(2), &json!(true)));
    assert_eq!(sick["Directory"], "2");
    assert!(sick["DurationMs"].is_number() && sick["NextRun"].is_number(), "{sick}");
    assert_eq!(agent.json("/api/hosts/testhost/schedule")["Hostname"], "testhost");
    assert_eq!(agent.get("/healthz").text(), "ok\n");
}

fn unknown_things(agent: &Agent) {
    let check = |path: &str, status: u16, sentence: &str| {
        let reply = agent.get(path);
        assert_eq!(
            (reply.status, reply.header("content-type"), reply.text()),
            (status, Some("application/json"), Value::from(sentence).to_string()),
            "{path}"
        );
    };
    let host = "Remote wigo nobody not found";
    check("/api/hosts/nobody", 404, host);
    check("/api/hosts/nobody/status", 404, host);
    check("/api/hosts/nobody/probes", 404, host);
    check("/api/hosts/nobody/probes/fine", 404, host);
    check("/api/hosts/nobody/probes/fine/status", 404, host);
    check("/api/hosts/nobody/logs", 404, host);
    check("/api/hosts/nobody/timeline", 404, host);
    check("/api/logs?hostname=nobody", 404, host);
    let probe = "Probe none not found in remote wigo testhost";
    check("/api/hosts/testhost/probes/none", 404, probe);
    check("/api/hosts/testhost/probes/none/status", 404, probe);
    check("/api/groups/none", 404, "Group none not found");
    check("/api/authority/hosts", 404, "Push server is not started");
    let reply = agent.get("/api/logs?since=yesterday");
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("`yesterday` is no time"), "{}", reply.text());

    for path in ["/nothing", "/api/nothing", "/api/hosts/testhost/nothing", "/etc/passwd", "/.."] {
        let reply = agent.get(path);
        assert_eq!((reply.status, reply.text().trim()), (404, "404 page not found"), "{path}");
        assert!(reply.header("content-type").unwrap().starts_with("text/plain"), "{path}");
    }
}

fn trailing_slashes(agent: &Agent) {
    for path in ["/api", "/api/status", "/api/hosts", "/api/hosts/testhost", "/api/logs"] {
        assert_eq!(agent.get(&format!("{path}/")).status, 200, "{path}/");
    }
    assert_eq!(agent.get("/api/logs/?limit=0").text(), "[]");
}

/// Names that mean something in a URL.
fn odd_names(agent: &Agent) {
    let check = |encoded: &str, name: &str| {
        let found = agent.json(&format!("/api/hosts/testhost/probes/{encoded}"));
        assert_eq!(found["Name"], name);
    };
    check("cmk%2Fdisk_a", "cmk/disk_a");
    check("cmk%2fweb%20one", "cmk/web one");
    check("with%20space", "with space");
    check("it%27s%20%22quoted%22", "it's \"quoted\"");
    assert_eq!(agent.get("/api/hosts/testhost/probes/cmk%2Fdisk_a/status").text(), "200");
    let logs = agent.json("/api/hosts/testhost/probes/cmk%2Fdisk_a/logs");
    assert_eq!(logs[0]["Probe"], "cmk/disk_a");
    // Encoded dots and bytes that are not UTF-8 are names like others, or refused; never an error of ours.
    for path in ["/api/hosts/%2e%2e", "/api/hosts/%00", "/api/hosts/%ff", "/api/hosts/%"] {
        let status = agent.get(path).status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
}

fn methods(agent: &Agent) {
    for path in ["/api", "/api/status", "/api/hosts/testhost", "/", "/healthz"] {
        let head = ask(agent.address(), "HEAD", path, &[]);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        let get = agent.get(path);
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "NONSENSE"] {
        let reply = ask(agent.address(), method, "/api", &["Content-Length: 0"]);
        assert_eq!((reply.status, reply.text().trim()), (404, "404 page not found"), "{method}");
    }
}

fn page(agent: &Agent) {
    for path in ["/", "/wall", "/hosts/testhost", "/hosts/testhost/probes/a%2Fb", "/logs", "/login"]
    {
        let page = agent.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{path}");
        assert_eq!(page.header("cache-control"), Some("no-cache"), "{path}");
        let policy = page.header("content-security-policy").unwrap();
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert_eq!(page.header("x-frame-options"), Some("DENY"), "{path}");
        // What is shown in it comes by the API.
        assert!(!page.text().contains("testers"), "{}", page.text());
    }
    for path in ["/assets/none.js", "/assets/..%2findex.html", "/index.html", "/style.css"] {
        assert_eq!(agent.get(path).status, 404, "{path}");
    }
}

fn etag(agent: &Agent) {
    // Between the two questions a probe may run, which makes it another document.
    wait_until("the same document is asked for twice", || {
        let tag = agent.get("/api").header("etag").unwrap().to_owned();
        let held = format!("If-None-Match: \"other\", {tag}");
        let reply = http::get(agent.address(), "/api", &[&held]);
        reply.status == 304 && reply.body.is_empty() && reply.header("etag") == Some(&tag)
    });
    let reply = http::get(agent.address(), "/api", &["If-None-Match: W/\"other\""]);
    assert_eq!(reply.status, 200);
    wait_until("the same host is asked for twice", || {
        let path = "/api/hosts/testhost";
        let tag = agent.get(path).header("etag").unwrap().to_owned();
        http::get(agent.address(), path, &[&format!("If-None-Match: {tag}")]).status == 304
    });
    // A probe that has run again makes another tag.
    let before = agent.get("/api").header("etag").unwrap().to_owned();
    agent.wait_rerun("fine");
    assert_ne!(agent.get("/api").header("etag"), Some(&*before));
}

fn compression(agent: &Agent) {
    let asked = |encoding: &str| {
        http::get(agent.address(), "/api", &[&format!("Accept-Encoding: {encoding}")])
    };
    let gzip = asked("gzip");
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    assert!(gzip.header("vary").unwrap().to_lowercase().contains("accept-encoding"));
    assert_eq!(gzip.body[..2], [0x1f, 0x8b], "a gzip stream");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*gzip.body).read_to_string(&mut text).unwrap();
    assert_eq!(members(&text).part("LocalHost").names()[0], "Name");
    let zstd = asked("zstd");
    assert_eq!(zstd.header("content-encoding"), Some("zstd"));
    assert_eq!(zstd.body[..4], [0x28, 0xb5, 0x2f, 0xfd], "a zstd frame");
    assert_eq!(asked("identity").header("content-encoding"), None);
    assert_eq!(agent.get("/api").header("content-encoding"), None);
    // What a client that unpacks by itself makes of it.
    let mut reply = ureq::get(format!("{}/api", agent.url())).call().unwrap();
    let tree: Value = serde_json::from_str(&reply.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!(tree["Hostname"], "testhost");
}

#[test]
fn a_login_guards_everything_but_the_pulse() {
    let mut home = Home::new();
    home.add("Login = \"me\"\nPassword = \"se:cret\"\nGzip = false");
    let agent = home.start();
    // me:se:cret, me:wrong, other:se:cret
    const RIGHT: &str = "Authorization: Basic bWU6c2U6Y3JldA==";
    const WRONG: [&str; 6] = [
        "Authorization: Basic bWU6d3Jvbmc=",
        "Authorization: Basic b3RoZXI6c2U6Y3JldA==",
        "Authorization: Basic",
        "Authorization: Basic !!!",
        "Authorization: Bearer bWU6c2U6Y3JldA==",
        "Authorization: Basic bWU6c2U6Y3JldA==AAAA",
    ];
    let get = |path: &str, headers: &[&str]| http::get(agent.address(), path, headers);
    for path in ["/api", "/api/status", "/api/logs", "/api/hosts/testhost", "/api/probes"] {
        let refused = get(path, &[]);
        assert_eq!(refused.status, 401, "{path}");
        let ask = refused.header("www-authenticate");
        assert_eq!(ask, Some("Basic realm=\"Authorization Required\""), "{path}");
        assert_eq!(refused.text().trim(), "Not Authorized", "{path}");
        assert_eq!(get(path, &[RIGHT]).status, 200, "{path}");
        for wrong in WRONG {
            assert_eq!(get(path, &[wrong]).status, 401, "{path} {wrong}");
        }
    }
    for path in ["/healthz", "/", "/hosts/testhost"] {
        assert_eq!(get(path, &[]).status, 200, "{path}");
    }
    let plain = get("/api", &[RIGHT, "Accept-Encoding: gzip, zstd"]);
    assert_eq!(plain.header("content-encoding"), None, "compression is switched off");
    assert!(!agent.log().contains("cret"), "the password is in the log");
}

#[test]
fn anonymous_callers_may_read_where_that_is_configured() {
    let mut home = Home::new();
    home.add("Login = \"me\"\nPassword = \"secret\"\nAnonymousRole = \"readonly\"");
    let agent = home.start();
    assert_eq!(agent.get("/api").status, 200);
    let wrong = "Authorization: Basic bWU6d3Jvbmc=";
    assert_eq!(http::get(agent.address(), "/api", &[wrong]).status, 401, "a wrong login is wrong");
}

#[test]
fn a_client_cannot_take_more_than_its_share() {
    let agent = Home::new().start();
    let address = agent.address();
    // Sends its head byte by byte, slowly, and never ends it.
    let dripper = thread::spawn(move || {
        let mut stream = connect(address);
        let mut reader = stream.try_clone().unwrap();
        let dripping = thread::spawn(move || {
            let head = b"GET /api HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x'));
            for byte in head {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                thread::sleep(std::time::Duration::from_millis(200));
            }
        });
        let answer = read_all(&mut reader);
        dripping.join().unwrap();
        answer
    });
    // Says nothing at all.
    let mut silent = connect(address);

    let mut huge = connect(address);
    let line = format!("GET /api HTTP/1.1\r\nHost: x\r\nX-Big: {}\r\n\r\n", "x".repeat(100_000));
    // It may be closed while we still send.
    let _ = huge.write_all(line.as_bytes());
    let answer = String::from_utf8_lossy(&read_all(&mut huge)).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");

    let mut nonsense = connect(address);
    nonsense.write_all(b"\x16\x03\x01\x00\xff nonsense\r\n\r\n").unwrap();
    let answer = String::from_utf8_lossy(&read_all(&mut nonsense)).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");

    let idle: Vec<_> = (0..300).map(|_| connect(address)).collect();
    assert_eq!(agent.get("/api/status").status, 200, "while many connections are open");
    drop(idle);

    let answer = String::from_utf8_lossy(&dripper.join().unwrap()).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0, "closed without a word");
    assert_eq!(agent.get("/api/status").status, 200);
    wait_until("all connections are let go", || agent.descriptors() < 40);
}
