//! Who asks over HTTP, and what they may do.

pub mod oidc;

use std::net::IpAddr;

use crate::config::Role;

/// Who asks. Every request that is answered has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// A name of a person, of a token, or `anonymous`.
    pub name: String,
    pub role: Role,
    pub how: How,
    /// Where the request comes from; `None` if the server does not know.
    pub from: Option<IpAddr>,
}

/// How a caller is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// Not at all.
    Anonymous,
    /// By the login of `[Http]` or the name and password of a user, sent with the request.
    Password,
    /// By a session that began at the login page.
    Session,
    /// By a token.
    Token,
    /// By a proxy in front of us that is trusted.
    Proxy,
}

impl How {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            How::Anonymous => "anonymous",
            How::Password => "password",
            How::Session => "session",
            How::Token => "token",
            How::Proxy => "proxy",
        }
    }
}
