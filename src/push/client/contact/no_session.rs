//! Why there is no session with a master, in words for the person who has to do something.

use std::{io::ErrorKind, time::Duration};

use thiserror::Error;
use tokio_rustls::rustls::{self, AlertDescription};

use crate::{
    push::{
        client::{BadCredentials, pace::told},
        protocol::{greeting::Unacquainted, hello::Answer},
    },
    trust::{BadCertificate, Refusal},
};

/// Why there is no session with a master.
#[derive(Debug, Error)]
pub(super) enum NoSession {
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    #[error("cannot connect: no answer within {} s", .0.as_secs())]
    ConnectSlow(Duration),
    #[error("no TLS with it: {0}")]
    Tls(String),
    #[error("{0}")]
    Credentials(#[from] BadCredentials),
    #[error("{0}")]
    Certificate(#[from] BadCertificate),
    #[error("{0}")]
    Hello(#[from] Unacquainted),
    #[error(
        "its authority is not known and RequireFingerprint is set: put its SHA-256, as `wigocli \
         authority list` shows it on the master, into CaFingerprint, or use a join token"
    )]
    NoFingerprint,
    #[error(
        "a join token needs TLS: set SslEnabled in [PushClient] here and in [PushServer] there, or remove \
         JoinToken and have an operator allow us"
    )]
    TokenNeedsTls,
    #[error("{why}")]
    Untrusted { why: String },
    #[error("it refuses us: {why}")]
    Refused { why: String, retry: bool },
    #[error("it is busy")]
    Busy { retry: Duration },
}

pub(super) fn unexpected(answer: Answer) -> NoSession {
    match answer {
        Answer::Busy { retry_ms } => NoSession::Busy { retry: told(retry_ms) },
        Answer::Refused { why, retry } => NoSession::Refused { why, retry },
        _ => NoSession::Untrusted { why: "it gave an answer that makes no sense here".to_owned() },
    }
}

/// An error with all that caused it.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}

pub(super) fn tls_error(error: &std::io::Error) -> String {
    match crate::trust::untrusted(error) {
        Some(untrusted) if matches!(untrusted.why, Refusal::Unknown | Refusal::Other(_)) => {
            format!(
                "{untrusted}: if the master's authority was replaced on purpose, remove the file named by \
             SslCert, else somebody is in between"
            )
        }
        Some(untrusted) => untrusted.to_string(),
        None if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            format!("{error}; is SslEnabled the same on both sides?")
        }
        None => error.to_string(),
    }
}

/// Whether the server has refused our certificate, as after its authority was replaced.
pub(super) fn is_about_certificate(error: &Unacquainted) -> bool {
    use AlertDescription as A;
    let Unacquainted::Io { source, .. } = error else { return false };
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::AlertReceived(alert)) = inner else { return false };
    matches!(
        alert,
        A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::DecryptError
    )
}
