//! Who may: logging in, tokens, roles, foreign pages, proxies, and the log of every change.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::{
    harness::{Agent, Home, wait_until},
    http::{self, Reply, ask, get, send},
};

/// What a page of ours and programs send with a change.
const MARK: &str = "X-Wigo-Request: 1";
const PASSWORD: &str = "planted-horse-battery";

/// `wigo` with something to read.
fn wigo(home: &Home, line: &str, input: &str) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_wigo"))
        .arg("--config")
        .arg(home.config_path())
        .args(line.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    process.wait_with_output().unwrap()
}

#[track_caller]
fn done(home: &Home, line: &str, input: &str) -> String {
    let output = wigo(home, line, input);
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// An agent with an operator called eve, who is in the database.
fn guarded(more: &str) -> Agent {
    let mut home = Home::new();
    home.add(more);
    let agent = home.start();
    done(&agent.home, "user add eve --role operator", PASSWORD);
    wait_until("the new user locks the door", || agent.get("/api").status == 401);
    agent
}

fn log_in(agent: &Agent, name: &str, password: &str) -> Reply {
    let body = json!({"Name": name, "Password": password}).to_string();
    send(agent.address(), "POST", "/api/session", &[MARK], &body)
}

/// The header with the cookie of a new session.
#[track_caller]
fn cookie(agent: &Agent, name: &str, password: &str) -> String {
    let reply = log_in(agent, name, password);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let cookie = reply.header("set-cookie").unwrap();
    format!("Cookie: {}", cookie.split(';').next().unwrap())
}

fn post(agent: &Agent, path: &str, headers: &[&str], body: &str) -> Reply {
    send(agent.address(), "POST", path, &[&[MARK], headers].concat(), body)
}

/// The header with a new token.
fn token(agent: &Agent, role: &str) -> String {
    let token = done(&agent.home, &format!("token create of-{role} --role {role}"), "");
    let header = format!("Authorization: Bearer {token}");
    wait_until("the token is known", || get(agent.address(), "/api", &[&header]).status == 200);
    header
}

#[test]
fn a_person_logs_in_and_out() {
    let agent = guarded("");
    let wrong = log_in(&agent, "eve", "planted-guess");
    assert_eq!((wrong.status, wrong.header("www-authenticate")), (401, None));
    assert_eq!(wrong.json(), "the name or the password is wrong");

    let reply = log_in(&agent, "eve", PASSWORD);
    let set = reply.header("set-cookie").unwrap();
    for part in ["wigo_session=", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    let me = reply.json();
    assert_eq!(
        (&me["Name"], &me["Role"], &me["How"], &me["NeedsHeader"]),
        (&json!("eve"), &json!("operator"), &json!("session"), &json!(true))
    );
    let cookie = format!("Cookie: {}", set.split(';').next().unwrap());
    let with = |headers: &[&str]| http::get(agent.address(), "/api/whoami", headers).json();
    assert_eq!(with(&[&cookie])["Name"], "eve");
    assert_eq!(get(agent.address(), "/api", &[&cookie]).status, 200);

    let again = post(
        &agent,
        "/api/session",
        &[&cookie],
        &json!({"Name": "eve", "Password": PASSWORD}).to_string(),
    );
    let next =
        format!("Cookie: {}", again.header("set-cookie").unwrap().split(';').next().unwrap());
    assert_eq!(get(agent.address(), "/api", &[&cookie]).status, 401, "a new login ends the old");
    let cookie = next;

    let reply = post(&agent, "/api/session/end", &[&cookie], "");
    assert_eq!((reply.status, reply.text().as_str()), (200, "OK"));
    let nobody = with(&[&cookie]);
    assert_eq!((&nobody["How"], &nobody["Role"]), (&json!("anonymous"), &json!("none")));
    assert_eq!((&nobody["CanSignIn"], &nobody["SignIn"]), (&json!(true), &json!(["password"])));
    assert_eq!(get(agent.address(), "/api", &[&cookie]).status, 401);
}

#[test]
fn guessing_is_throttled() {
    let agent = guarded("");
    for _ in 0..5 {
        assert_eq!(log_in(&agent, "eve", "planted-guess").status, 401);
    }
    let reply = log_in(&agent, "eve", PASSWORD);
    assert_eq!(reply.status, 429, "{}", reply.text());
    assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    // Tokens are not guessed.
    token(&agent, "readonly");
}

#[test]
fn a_foreign_page_cannot_use_the_session_of_its_reader() {
    let agent = guarded("");
    let cookie = cookie(&agent, "eve", PASSWORD);
    let ask_with = |headers: &[&str]| {
        let headers = [&[&*cookie, "Content-Length: 0"], headers].concat();
        ask(agent.address(), "POST", "/api/tokens/7/revoke", &headers)
    };
    let unmarked = ask_with(&[]);
    assert_eq!(unmarked.status, 403, "{}", unmarked.text());
    assert!(unmarked.text().contains("X-Wigo-Request"));
    for foreign in ["Sec-Fetch-Site: cross-site", "Origin: http://evil.example"] {
        let reply = ask_with(&[MARK, foreign]);
        assert_eq!(reply.status, 403, "{foreign}");
        assert!(reply.text().contains("another site"), "{}", reply.text());
    }
    assert_eq!(ask_with(&[MARK]).status, 404, "our own page may, and there is no such token");
    let body = json!({"Name": "eve", "Password": PASSWORD}).to_string();
    let unmarked = send(agent.address(), "POST", "/api/session", &[], &body);
    assert_eq!((unmarked.status, unmarked.header("set-cookie")), (403, None));
}

#[test]
fn a_name_that_is_not_ours_reads_nothing_without_credentials() {
    let agent = Home::new().start();
    let at = |path: &str, host: &str, more: &[&str]| {
        let host = format!("Host: {host}");
        http::get(agent.address(), path, &[&[&*host], more].concat())
    };
    let reply = at("/api", "evil.example", &[]);
    assert_eq!(reply.status, 421);
    assert!(reply.text().contains("HostNames in [Http]"), "{}", reply.text());
    for ours in ["127.0.0.1:4000", "[::1]", "testhost", "localhost"] {
        assert_eq!(at("/api", ours, &[]).status, 200, "{ours}");
    }
    assert_eq!(at("/healthz", "evil.example", &[]).status, 200);
    let token = token(&agent, "readonly");
    assert_eq!(at("/api", "evil.example", &[&token]).status, 200);
}

#[test]
fn a_proxy_is_believed_only_where_it_is_trusted() {
    let keys = "ProxyUserHeader = \"X-User\"\nProxyGroupsHeader = \"X-Groups\"\n\
                ProxyOperatorGroups = [\"ops\"]";
    let start = |addresses: &str| {
        let mut home = Home::new();
        home.add(&format!("TrustedProxies = {addresses}\n{keys}"));
        home.start()
    };
    let (trusting, other) = (start("[\"127.0.0.1\"]"), start("[\"192.0.2.1\"]"));
    let adam = ["X-User: adam", "X-Groups: staff, ops", "X-Forwarded-For: 198.51.100.7"];
    assert_eq!(get(other.address(), "/api", &adam).status, 401);
    assert_eq!(get(other.address(), "/api/whoami", &adam).json()["How"], "anonymous");

    let me = get(trusting.address(), "/api/whoami", &adam).json();
    assert_eq!((&me["Name"], &me["Role"]), (&json!("adam"), &json!("operator")));
    assert_eq!(get(trusting.address(), "/api", &adam).status, 200);
    let no_group = ["X-User: adam"];
    assert_eq!(get(trusting.address(), "/api", &no_group).status, 403);
    let unmarked = send(trusting.address(), "POST", "/api/tokens?name=x", &adam, "");
    assert_eq!(unmarked.status, 403, "{}", unmarked.text());
    assert_eq!(post(&trusting, "/api/tokens?name=x", &adam, "").status, 200);
    let rows = get(trusting.address(), "/api/audit?action=token.create", &adam).json();
    let row = &rows["Items"][0];
    assert_eq!((&row["Who"], &row["How"]), (&json!("adam"), &json!("proxy")));
    assert_eq!(row["From"], "198.51.100.7");
}

#[test]
fn a_token_ends_when_it_is_revoked_here_or_at_the_command_line() {
    let agent = guarded("");
    let (first, second) = (token(&agent, "readonly"), token(&agent, "operator"));
    let status = |header: &str| get(agent.address(), "/api/status", &[header]).status;
    assert_eq!((status(&first), status(&second)), (200, 200));
    let tokens = get(agent.address(), "/api/tokens", &[&second]).json();
    let id =
        tokens.as_array().unwrap().iter().find(|one| one["Name"] == "of-readonly").unwrap()["Id"]
            .as_i64()
            .unwrap();
    assert_eq!(post(&agent, &format!("/api/tokens/{id}/revoke"), &[&second], "").status, 200);
    assert_eq!(status(&first), 401, "at once");
    let list = done(&agent.home, "token list", "");
    let line = list.lines().find(|line| line.contains("of-operator")).unwrap();
    let id = line.split(' ').next().unwrap();
    done(&agent.home, &format!("token revoke {id}"), "");
    wait_until("the other process is noticed", || status(&second) == 401);
    // Never in a URL.
    let secret = token(&agent, "readonly");
    let secret = secret.rsplit(' ').next().unwrap();
    for name in ["token", "access_token", "X-Wigo-Token"] {
        let path = format!("/api/status?{name}={secret}");
        assert_eq!(get(agent.address(), &path, &[]).status, 401);
    }
}

#[test]
fn a_session_ends_when_the_account_changes() {
    let agent = guarded("");
    let eve = cookie(&agent, "eve", PASSWORD);
    let as_eve = |path: &str, body: &Value| {
        let reply = post(&agent, path, &[&eve], &body.to_string());
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply
    };
    let new = json!({"Name": "adam", "Role": "readonly", "Password": PASSWORD});
    assert_eq!(as_eve("/api/users", &new).json()["Source"], "database");
    assert_eq!(post(&agent, "/api/users", &[&eve], &new.to_string()).status, 409);
    let status = |cookie: &str| get(agent.address(), "/api/status", &[cookie]).status;
    let adam = || cookie(&agent, "adam", PASSWORD);

    let held = adam();
    assert_eq!(status(&held), 200);
    as_eve("/api/users/adam/role?role=operator", &Value::Null);
    assert_eq!(status(&held), 401, "another role");
    let held = adam();
    as_eve("/api/users/adam/password", &json!({"Password": PASSWORD}));
    assert_eq!(status(&held), 401, "another password, though the same text");
    let held = adam();
    done(&agent.home, "user password adam", PASSWORD);
    wait_until("another password from outside", || status(&held) == 401);
    wait_until("it can be used", || log_in(&agent, "adam", PASSWORD).status == 200);
    let held = adam();
    as_eve("/api/users/adam/remove", &Value::Null);
    assert_eq!(status(&held), 401, "removed");
    as_eve("/api/users", &new);
    let held = adam();
    as_eve("/api/users/adam/sessions/end", &Value::Null);
    assert_eq!(status(&held), 401, "logged out by an operator");
    assert_eq!(post(&agent, "/api/users/adam/sessions/end", &[&eve], "").status, 404);
    let held = adam();
    done(&agent.home, "user logout adam", "");
    wait_until("logged out from outside", || status(&held) == 401);
    as_eve("/api/users/adam/remove", &Value::Null);
    let last = post(&agent, "/api/users/eve/remove", &[&eve], "");
    assert_eq!(last.status, 409, "{}", last.text());
    assert_eq!(status(&eve), 200);
}

#[test]
fn every_change_is_in_the_audit_log_and_no_secret_anywhere() {
    let agent = guarded("AllowWriteActions = true");
    let basic = {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        format!("Authorization: Basic {}", BASE64_STANDARD.encode(format!("eve:{PASSWORD}")))
    };
    let user = json!({"Name": "adam", "Role": "readonly", "Password": PASSWORD}).to_string();
    let made = post(&agent, "/api/tokens?name=ci&role=readonly&for=1d", &[&basic], "").json();
    let secret = made["Secret"].as_str().unwrap();
    let id = &made["Token"]["Id"];
    for (path, body, status) in [
        ("/api/users", &*user, 200),
        ("/api/users/adam/role?role=operator", "", 200),
        ("/api/users/adam/password", &*user, 200),
        ("/api/users/adam/remove", "", 200),
        ("/api/users/adam/remove", "", 404),
        (&*format!("/api/tokens/{id}/revoke"), "", 200),
        ("/api/hosts/nobody/forget", "", 404),
    ] {
        let reply = post(&agent, path, &[&basic], body);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
    }
    log_in(&agent, "eve", "planted-guess");

    let page = get(agent.address(), "/api/audit", &[&basic]);
    let items = page.json()["Items"].as_array().unwrap().clone();
    let actions: Vec<_> = items.iter().map(|row| row["Action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "login",
            "host.forget",
            "token.revoke",
            "user.remove",
            "user.remove",
            "user.password",
            "user.role",
            "user.add",
            "token.create",
            "user.add"
        ]
    );
    let of = |index: usize, field: &str| items[index][field].clone();
    assert_eq!(of(0, "Outcome"), "refused: wrong password");
    assert_eq!(of(1, "Outcome"), "refused: Remote wigo nobody not found");
    assert_eq!(
        (of(4, "Before"), of(4, "After")),
        (json!({"Name": "adam", "Role": "operator"}), Value::Null)
    );
    assert_eq!(
        (&of(6, "Before")["Role"], &of(6, "After")["Role"]),
        (&json!("readonly"), &json!("operator"))
    );
    assert_eq!((of(8, "Who"), of(8, "From")), (json!("eve"), json!("127.0.0.1")));
    assert_eq!((of(9, "How"), of(9, "Target")), (json!("shell"), json!("eve")));

    let next = get(agent.address(), "/api/audit?limit=2&who=eve", &[&basic]).json();
    let after = next["Next"].as_str().unwrap();
    let path = format!("/api/audit?limit=1&who=eve&after={after}");
    assert_eq!(get(agent.address(), &path, &[&basic]).json()["Items"].as_array().unwrap().len(), 1);
    assert_eq!(get(agent.address(), "/api/audit?limit=x", &[&basic]).status, 400);

    let mut shown = vec![page.text(), agent.log(), done(&agent.home, "user list", "")];
    shown.push(done(&agent.home, "token list", ""));
    for path in ["/api/users", "/api/tokens", "/api/whoami", "/api/probes", "/api/logs", "/api"] {
        shown.push(get(agent.address(), path, &[&basic]).text());
    }
    for text in shown {
        assert!(!text.contains("planted") && !text.contains("argon2"), "{text}");
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn every_change_of_a_probe_has_one_row_in_the_audit_log() {
    let mut home = Home::new();
    home.add("Login = \"me\"\nPassword = \"planted-secret\"\nAllowWriteActions = true");
    home.puppet(60, "door", 100);
    let agent = home.start();
    let token = token(&agent, "operator");
    let with = [&*token];
    wait_until("the probe has run", || {
        get(agent.address(), "/api/hosts/testhost/probes/door", &with).status == 200
    });
    let by_another = [&*token, "X-Wigo-Author: alice%20of%20top"];
    for (path, headers, status) in [
        ("/api/probes/door/run", &with[..], 200),
        ("/api/probes/door/disable?reason=too%20loud&for=1h", &with, 200),
        ("/api/probes/door/run", &with, 409),
        ("/api/hosts/testhost/probes/door/interval?seconds=90", &by_another, 200),
        ("/api/hosts/testhost/probes/door/interval?seconds=x", &with, 400),
        ("/api/hosts/testhost/probes/nobody/disable", &with, 404),
        ("/api/hosts/nobody/probes/door/disable", &with, 404),
    ] {
        let reply = post(&agent, path, headers, "");
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
    }
    let id = "00000000-0000-0000-0000-000000000007";
    assert_eq!(post(&agent, &format!("/api/orders/{id}/cancel"), &with, "").status, 404);

    let rows = get(agent.address(), "/api/audit", &with).json()["Items"].clone();
    let rows: Vec<_> = rows.as_array().unwrap().iter().rev().skip(1).collect();
    let short = |row: &&Value| {
        let text = |field: &str| row[field].as_str().unwrap().to_owned();
        let outcome = text("Outcome").split(':').next().unwrap().to_owned();
        format!("{} {} {} {outcome}", text("How"), text("Action"), text("Target"))
    };
    let rows_in_short: Vec<_> = rows.iter().map(short).collect();
    assert_eq!(
        rows_in_short,
        [
            "token probe.run testhost/door done",
            "token probe.disable testhost/door done",
            "token probe.run testhost/door refused",
            "token probe.interval testhost/door done",
            "token probe.interval testhost/door refused",
            "token probe.disable testhost/nobody refused",
            "token probe.disable nobody/door refused",
            &format!("token order.cancel {id} refused"),
        ]
    );
    let (disable, interval) = (rows[1], rows[3]);
    let detail = |row: &Value, field: &str| row["Detail"][field].clone();
    assert_eq!(
        (detail(disable, "Reason"), detail(disable, "For"), detail(disable, "Expires")),
        (json!("too loud"), json!(3_600), json!(86_400))
    );
    assert_eq!(
        (&disable["Before"], &disable["After"]),
        (&json!({"Interval": 60}), &json!({"Interval": null}))
    );
    assert_eq!(
        (detail(interval, "Seconds"), detail(interval, "Author")),
        (json!(90), json!("alice of top"))
    );
    assert_eq!((&interval["Who"], detail(disable, "Author")), (&json!("of-operator"), Value::Null));
    assert_eq!(
        (&interval["Before"], &interval["After"]),
        (&json!({"Interval": null}), &json!({"Interval": 90}))
    );
}

#[test]
fn below_a_base_path_everything_is_there_and_without_it_too() {
    let mut home = Home::new();
    home.add("Login = \"me\"\nPassword = \"planted-secret\"\nBasePath = \"/wigo\"");
    let agent = home.start();
    let token = token(&agent, "readonly");
    for path in ["/api/status", "/healthz", "/hosts", "/api/summary/"] {
        for path in [path.to_owned(), format!("/wigo{path}")] {
            assert_eq!(get(agent.address(), &path, &[&token]).status, 200, "{path}");
        }
    }
    assert_eq!(
        get(agent.address(), "/wigo", &[]).header("content-type"),
        Some("text/html; charset=utf-8")
    );
    for path in ["/wigox/healthz", "/wigo/wigo/healthz", "/wigohealthz"] {
        assert_eq!(get(agent.address(), path, &[&token]).status, 404, "{path}");
    }
    assert_eq!(get(agent.address(), "/wigo/api/status", &[]).status, 401);
    let body = json!({"Name": "me", "Password": "planted-secret"}).to_string();
    let reply = send(agent.address(), "POST", "/wigo/api/session", &[MARK], &body);
    let set = reply.header("set-cookie").unwrap().to_owned();
    assert!(set.contains("; Path=/wigo;"), "{set}");
    let cookie = format!("Cookie: {}", set.split(';').next().unwrap());
    let leads_to = |path: &str| {
        let reply = get(agent.address(), path, &[&cookie]);
        assert_eq!(reply.status, 302, "{path}");
        reply.header("location").unwrap().to_owned()
    };
    assert_eq!(leads_to("/wigo/api/login?next=/hosts"), "/wigo/hosts");
    assert_eq!(leads_to("/api/login?next=/wigo/hosts"), "/wigo/hosts");
    assert_eq!(leads_to("/wigo/api/login?next=//evil.example"), "/wigo/");
    assert_eq!(leads_to("/wigo/api/logout"), "/wigo/login");
}

#[test]
fn the_audit_log_is_shown_by_wigocli() {
    let mut home = Home::new();
    home.add("Login = \"me\"\nPassword = \"secret\"");
    let agent = home.start();
    done(&agent.home, "user add eve --role readonly", PASSWORD);
    let url = agent.url().replace("http://", "http://me:secret@");
    let wigocli = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wigocli"));
        command.args(["--url", &url]).args(line.split(' ')).output().unwrap()
    };
    let output = wigocli("audit --action user");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("user.add") && text.contains("shell"), "{output:?}");
    let json: Value = serde_json::from_slice(&wigocli("--json audit").stdout).unwrap();
    assert_eq!(json["Total"], 1);
    let hash = done(&agent.home, "user hash", PASSWORD);
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    for (line, said) in [
        ("user add me --role operator", "in the configuration"),
        ("user add eve --role operator", "already"),
        ("user password nobody", "no user"),
    ] {
        let output = wigo(&agent.home, line, PASSWORD);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(said), "{line}: {text}");
    }
    let short = wigo(&agent.home, "user password eve", "short");
    assert!(String::from_utf8_lossy(&short.stderr).contains("shorter than"), "{short:?}");
}

/// What nobody has to be somebody for.
const OPEN: [&str; 10] = [
    "/healthz",
    "/api/openapi.json",
    "/api/openapi.yaml",
    "/api/whoami",
    "/api/session",
    "/api/session/end",
    "/api/login",
    "/api/logout",
    "/api/oidc/login",
    "/api/oidc/callback",
];
/// What is for operators although it only reads.
const OPERATOR_READS: [&str; 4] =
    ["/api/tokens", "/api/users", "/api/audit", "/api/authority/tokens"];

#[test]
fn every_route_asks_for_the_role_it_needs() {
    let agent = guarded("");
    let (readonly, operator) = (token(&agent, "readonly"), token(&agent, "operator"));
    let document = get(agent.address(), "/api/openapi.json", &[]).json();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 30, "{}", paths.len());
    for (path, methods) in paths {
        let is_open = OPEN.contains(&path.as_str());
        for method in methods.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let filled = path.split('/').map(|part| match part.starts_with('{') {
                true => "nobody",
                false => part,
            });
            let filled = filled.collect::<Vec<_>>().join("/");
            let method = method.to_uppercase();
            let status = |who: &[&str]| {
                let headers = [&[MARK, "Content-Length: 0"], who].concat();
                ask(agent.address(), &method, &filled, &headers).status
            };
            let is_refused = |status: u16| status == 401 || status == 403;
            if is_open {
                continue;
            }
            assert_eq!(status(&[]), 401, "{method} {path} without credentials");
            let needs_operator = method != "GET" || OPERATOR_READS.contains(&path.as_str());
            // A stream of events has no end to wait for.
            if path != "/api/events" || needs_operator {
                let refused = is_refused(status(&[&readonly]));
                assert_eq!(refused, needs_operator, "{method} {path} readonly");
                assert_ne!(status(&[&operator]), 401, "{method} {path} operator");
            }
        }
    }
}
