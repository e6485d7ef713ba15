//! Who asks.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{Access, goes_on};
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
    pub(super) proof: Proof,
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

    /// Whether a browser sends it along by itself, so that a foreign page could use it.
    pub fn comes_by_itself(self) -> bool {
        matches!(self, How::Anonymous | How::Session | How::Proxy)
    }
}

/// By what a caller can be known again, to see whether they may still do what they might.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Proof {
    Nothing,
    /// The print of the account.
    Password([u8; 32]),
    /// The hash of its secret; the print of the account if it has one.
    Session([u8; 32], Option<[u8; 32]>),
    /// The hash of its secret.
    Token([u8; 32]),
    /// The proxy, and the groups it has named.
    Proxy(IpAddr, Vec<String>),
}

impl Caller {
    /// Somebody without credentials.
    pub fn anonymous(role: Role, from: Option<IpAddr>) -> Caller {
        let (name, proof) = ("anonymous".to_owned(), Proof::Nothing);
        Caller { name, role, how: How::Anonymous, from, proof }
    }

    /// The hash of the session by which the caller is known.
    pub fn session(&self) -> Option<[u8; 32]> {
        match self.proof {
            Proof::Session(hash, _) => Some(hash),
            _ => None,
        }
    }
}

impl Access {
    /// Whether somebody who was let read may still read.
    pub fn still(&self, caller: &Caller) -> bool {
        let now = Timestamp::now();
        let known = match &caller.proof {
            Proof::Nothing => self.anonymous_role() >= Role::Readonly,
            Proof::Password(print) => self.print(&caller.name) == Some(*print),
            Proof::Session(hash, print) => {
                let session = self.state().accounts.sessions.get(hash).cloned();
                session.filter(|session| goes_on(session, now)).is_some_and(|session| match print {
                    Some(_) => self.print(&caller.name) == *print,
                    None => self.is_of_provider(&session),
                })
            }
            Proof::Token(hash) => {
                self.state().accounts.tokens.get(hash).is_some_and(|token| token.is_good(now))
            }
            Proof::Proxy(peer, groups) => {
                let proxy = &self.config.load().http.proxy;
                !proxy.user_header.is_empty()
                    && proxy.is_trusted(*peer)
                    && proxy.role_of(groups) >= Role::Readonly
            }
        };
        known && caller.role >= Role::Readonly
    }
}
