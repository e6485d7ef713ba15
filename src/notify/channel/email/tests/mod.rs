//! Mail to a server on this machine that is polite, and to some that are not.

mod sink;

use std::{fs, path::Path};

use sink::{Manners, Sink};

use super::*;
use crate::notify::channel::{
    Failed, Receipt, Retry,
    tests::{delivery, hostile, recovery},
};

fn settings(sink: &Sink, to: &[&str]) -> Settings {
    Settings {
        from: "wigo@example.org".to_owned(),
        from_name: "Wigo".to_owned(),
        to: to.iter().map(|address| (*address).to_owned()).collect(),
        ..Settings::plain(Endpoint { host: "localhost".to_owned(), port: sink.port })
    }
}

fn email(sink: &Sink, to: &[&str]) -> Email {
    Email::new(settings(sink, to)).unwrap()
}

/// One that trusts the sink's certificate.
fn safe(sink: &Sink, security: Security, login: &str, folder: &Path) -> Email {
    let ca_file = folder.join("ca.pem");
    fs::write(&ca_file, &sink.certificate).unwrap();
    let (login, password) = login.split_once(':').unwrap_or_default();
    Email::new(Settings {
        security,
        ca_file: Some(ca_file),
        login: login.to_owned(),
        password: Secret::new(password),
        ..settings(sink, &["a@b.example"])
    })
    .unwrap()
}

/// The headers of a mail, folded ones joined.
fn headers(mail: &str) -> Vec<(String, String)> {
    let head = mail.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").replace("\r\n\t", " ");
    let split = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        (name.to_owned(), value.to_owned())
    };
    head.split("\r\n").map(split).collect()
}

fn header(mail: &str, name: &str) -> Option<String> {
    headers(mail).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

#[tokio::test]
async fn a_mail_says_who_sends_it_what_and_why() {
    let sink = Sink::start(Manners::default()).await;
    let receipt = email(&sink, &["a@b.example", "c@d.example"]).send(&delivery()).await.unwrap();
    assert_eq!(receipt, Receipt("250 2.0.0 queued as 4711".to_owned()));
    let mails = sink.mails();
    let [mail] = &*mails else { panic!("{mails:?}") };
    for (name, value) in [
        ("From", "Wigo <wigo@example.org>"),
        ("To", "a@b.example, c@d.example"),
        ("Subject", "db1 / disk is CRIT: 95 % used"),
        ("Date", "Fri, 02 Jan 2026 03:04:05 +0000"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Wigo-Key", &delivery().message.key),
        ("List-Id", "<chat.master1.wigo>"),
    ] {
        assert_eq!(header(mail, name).as_deref(), Some(value), "{name} in {mail}");
    }
    assert!(header(mail, "Content-Type").unwrap().starts_with("multipart/alternative"));
    assert!(mail.contains("text/plain") && mail.contains("text/html"), "{mail}");
    assert!(mail.contains("Since 03:03") && mail.contains("Wigo on master1"), "{mail}");
    assert_eq!(sink.heard("RCPT TO").len(), 2);
}

#[tokio::test]
async fn an_incident_is_a_thread() {
    let sink = Sink::start(Manners::default()).await;
    let email = email(&sink, &["a@b.example"]);
    email.send(&delivery()).await.unwrap();
    email.send(&recovery()).await.unwrap();
    // The same again, as after a crash.
    email.send(&recovery()).await.unwrap();
    let mails = sink.mails();
    let [first, last, again] = &*mails else { panic!("{mails:?}") };
    let id = header(first, "Message-ID").unwrap();
    assert!(id.starts_with('<') && id.ends_with("@example.org>"), "{id}");
    assert_eq!((header(first, "In-Reply-To"), header(first, "References")), (None, None));
    assert_eq!(header(last, "In-Reply-To"), Some(id.clone()));
    assert_eq!(header(last, "References"), Some(id.clone()));
    assert_ne!(header(last, "Message-ID"), Some(id));
    assert_eq!(header(last, "Message-ID"), header(again, "Message-ID"));
}

#[tokio::test]
async fn nothing_from_outside_becomes_a_header_or_markup() {
    let sink = Sink::start(Manners::default()).await;
    let mut settings = settings(&sink, &["a@b.example"]);
    settings.from_name = "Wigo\r\nBcc: evil@b.example".to_owned();
    Email::new(settings).unwrap().send(&hostile()).await.unwrap();
    let mails = sink.mails();
    assert!(mails[0].is_ascii());
    let mut names: Vec<String> = headers(&mails[0]).into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "Auto-Submitted",
            "Content-Type",
            "Date",
            "From",
            "List-Id",
            "MIME-Version",
            "Message-ID",
            "Subject",
            "To",
            "X-Wigo-Key",
        ]
    );
    assert_eq!(sink.heard("RCPT TO"), ["RCPT TO:<a@b.example>"]);
    let html = mails[0].split("text/html").nth(1).unwrap().replace("=\r\n", "");
    assert!(html.contains("&lt;b&gt;&amp;amp;*x*") && !html.contains("<b>&amp;*x*"), "{html}");
}

#[tokio::test]
async fn a_recipient_that_is_refused_keeps_no_other_from_hearing_of_it() {
    let sink = Sink::start(Manners {
        answers: vec![
            ("RCPT TO:<never@", "550 5.1.1 no such user"),
            ("RCPT TO:<later@", "450 4.2.0 come back"),
        ],
        ..Manners::default()
    })
    .await;
    let email = email(&sink, &["a@b.example", "never@b.example", "later@b.example"]);
    let Failed { why, retry } = email.send(&delivery()).await.unwrap_err();
    assert_eq!(retry, Retry::Later);
    assert!(why.contains("1 of 3 have it") && why.contains("no such user"), "{why}");
    assert_eq!(sink.mails().len(), 1);
    // Only who may still get it is asked again.
    sink.now_answers(&[]);
    let Failed { why, retry } = email.send(&delivery()).await.unwrap_err();
    assert_eq!(retry, Retry::Never, "{why}");
    assert!(why.contains("2 of 3 have it"), "{why}");
    assert_eq!(sink.heard("RCPT TO:<a@").len(), 1);
    assert_eq!(sink.heard("RCPT TO:<later@").len(), 2);
}

#[tokio::test]
async fn nothing_is_said_without_tls_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::start(Manners { login: Some("me:s3cr3t"), ..Manners::default() }).await;
    let email = safe(&sink, Security::Starttls, "me:s3cr3t", folder.path());
    let Failed { why, retry } = email.send(&delivery()).await.unwrap_err();
    assert_eq!(retry, Retry::Later);
    assert!(why.contains("offers no STARTTLS"), "{why}");
    assert!(sink.heard("AUTH").is_empty() && sink.heard("MAIL").is_empty());
}

#[tokio::test]
async fn it_logs_in_once_the_connection_is_safe() {
    let folder = tempfile::tempdir().unwrap();
    for (security, tls) in [(Security::Starttls, false), (Security::Tls, true)] {
        let manners =
            Manners { tls, starttls: !tls, login: Some("me:s3cr3t"), ..Manners::default() };
        let sink = Sink::start(manners).await;
        safe(&sink, security, "me:s3cr3t", folder.path()).send(&delivery()).await.unwrap();
        assert_eq!(sink.mails().len(), 1, "{security:?}");
        let wrong = safe(&sink, security, "me:wr0ng", folder.path());
        let Failed { why, retry } = wrong.send(&delivery()).await.unwrap_err();
        assert_eq!(retry, Retry::Never);
        assert!(why.contains("refuses the login: 535") && !why.contains("wr0ng"), "{why}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let other = Sink::start(Manners::default()).await;
    let sink = Sink::start(Manners { starttls: true, ..Manners::default() }).await;
    let ca_file = folder.path().join("other.pem");
    fs::write(&ca_file, &other.certificate).unwrap();
    let settings = Settings {
        security: Security::Starttls,
        ca_file: Some(ca_file),
        ..settings(&sink, &["a@b.example"])
    };
    let Failed { why, retry } = Email::new(settings).unwrap().send(&delivery()).await.unwrap_err();
    assert_eq!(retry, Retry::Later);
    assert!(why.contains("certificate") && why.contains("`CaFile`"), "{why}");
    assert!(sink.heard("MAIL").is_empty());
}

#[tokio::test]
async fn what_a_server_says_decides_whether_to_try_again() {
    for (begin, answer, retry) in [
        ("MAIL", "550 5.7.1 not you", Retry::Never),
        ("MAIL", "451 4.3.0 not now", Retry::Later),
        ("RCPT", "554 nobody", Retry::Never),
        ("DATA", "554 no", Retry::Never),
        (".", "552 too large", Retry::Never),
        (".", "452 full", Retry::Later),
        (".", "close", Retry::Later),
        ("MAIL", "close", Retry::Later),
        ("RCPT", "close", Retry::Later),
    ] {
        let answers = vec![(begin, answer)];
        let sink = Sink::start(Manners { answers, ..Manners::default() }).await;
        let failed = email(&sink, &["a@b.example"]).send(&delivery()).await.unwrap_err();
        assert_eq!(failed.retry, retry, "{begin} {answer}: {failed}");
        assert!(failed.why.contains("localhost:"), "{failed}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again() {
    // A port that was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port };
    let settings = Settings {
        from: "wigo@example.org".to_owned(),
        to: vec!["a@b.example".to_owned()],
        ..Settings::plain(endpoint)
    };
    let failed = Email::new(settings).unwrap().send(&delivery()).await.unwrap_err();
    assert_eq!(failed.retry, Retry::Later);
    assert!(failed.why.contains("cannot be reached"), "{failed}");
}
