//! One conversation with a mail server.

use std::{error::Error as _, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
        response::Response,
    },
};

use super::{Email, Security};
use crate::notify::channel::{Failed, Receipt, Retry, text};

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long we wait for the server to say goodbye: by then it has the mail.
const GOODBYE: Duration = Duration::from_secs(1);
/// How much of what a server says is told, in characters.
const MAX_SAID_CHARS: usize = 200;
/// What we know to log in by; none of them is used without TLS unless the configuration says so.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// What came of each recipient, by its position.
type Outcomes = Vec<(usize, Result<Receipt, Failed>)>;

impl Email {
    /// Hands a mail over for these recipients. The server says for each whether it takes it.
    pub(super) async fn hand_over(&self, letter: &[u8], open: Vec<usize>) -> Outcomes {
        match self.converse(letter, &open).await {
            Ok(outcomes) => outcomes,
            Err(failed) => open.into_iter().map(|n| (n, Err(failed.clone()))).collect(),
        }
    }

    async fn converse(&self, letter: &[u8], open: &[usize]) -> Result<Outcomes, Failed> {
        let mut server = self.connect().await?;
        let recipients = open.iter().map(|n| &self.to[*n]);
        let is_ascii = |address: &Address| address.to_string().is_ascii();
        let knows_utf8 = server.server_info().supports_feature(Extension::SmtpUtfEight);
        let needs_utf8 = !is_ascii(&self.from) || recipients.clone().any(|to| !is_ascii(to));
        let mut parameters = Vec::new();
        if needs_utf8 && knows_utf8 {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if server.server_info().supports_feature(Extension::EightBitMime) {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let mail = server.command(Mail::new(Some(self.from.clone()), parameters)).await;
        mail.map_err(|error| self.failed("refuses the sender", &error))?;
        let mut outcomes = Vec::new();
        let mut taken = Vec::new();
        for (n, to) in open.iter().zip(recipients) {
            if !is_ascii(to) && !knows_utf8 {
                let why = format!("{} takes no addresses with such characters", self.server);
                outcomes.push((*n, Err(Failed { why, retry: Retry::Never })));
                continue;
            }
            match server.command(Rcpt::new(to.clone(), Vec::new())).await {
                Ok(_) => taken.push(*n),
                Err(error) if error.status().is_some() => {
                    outcomes.push((*n, Err(self.failed("refuses the recipient", &error))));
                }
                Err(error) => return Err(self.failed("was lost", &error)),
            }
        }
        if !taken.is_empty() {
            let answer = self.give(&mut server, letter).await;
            let outcome = answer.map(|answer| Receipt(said(&answer)));
            outcomes.extend(taken.into_iter().map(|n| (n, outcome.clone())));
        }
        let _ = tokio::time::timeout(GOODBYE, server.quit()).await;
        Ok(outcomes)
    }

    async fn give(
        &self,
        server: &mut AsyncSmtpConnection,
        letter: &[u8],
    ) -> Result<Response, Failed> {
        let refuses = |error: Error| self.failed("refuses the mail", &error);
        server.command(Data).await.map_err(refuses)?;
        server.message(letter).await.map_err(refuses)
    }

    /// Connected, protected and logged in as the settings say.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Failed> {
        let settings = &self.settings;
        let (host, port) = (settings.server.host.as_str(), settings.server.port);
        let from_first = self.tls.clone().filter(|_| settings.security == Security::Tls);
        let me = ClientId::default();
        let connected = AsyncSmtpConnection::connect_tokio1(
            (host, port),
            Some(CONNECT_LIMIT),
            &me,
            from_first,
            None,
        );
        let mut server =
            connected.await.map_err(|error| self.failed("cannot be reached", &error))?;
        if let Some(tls) = self.tls.clone().filter(|_| settings.security == Security::Starttls) {
            if !server.can_starttls() {
                let why = format!(
                    "{} offers no STARTTLS, so nothing was sent; see `Security` of this channel",
                    self.server
                );
                return Err(Failed { why, retry: Retry::Later });
            }
            let upgraded = server.starttls(tls, &me).await;
            upgraded.map_err(|error| self.failed("cannot be reached over TLS", &error))?;
        }
        if !settings.login.is_empty() {
            if server.server_info().get_auth_mechanism(&MECHANISMS).is_none() {
                let why = format!("{} offers no login by password here", self.server);
                return Err(Failed { why, retry: Retry::Later });
            }
            let (login, password) = (settings.login.clone(), settings.password.expose());
            let credentials = Credentials::new(login, password.to_owned());
            let answer = server.auth(&MECHANISMS, &credentials).await;
            answer.map_err(|error| self.failed("refuses the login", &error))?;
        }
        Ok(server)
    }

    fn failed(&self, what: &str, error: &Error) -> Failed {
        let retry = if error.is_permanent() { Retry::Never } else { Retry::Later };
        let said = match (error.status(), error.source()) {
            (Some(code), Some(text)) => format!("{code} {text}"),
            (Some(code), None) => code.to_string(),
            (None, Some(cause)) => deepest(cause),
            (None, None) => error.to_string(),
        };
        let password = self.settings.password.expose();
        let said = match password.is_empty() {
            true => said,
            false => said.replace(password, "…"),
        };
        let advice = match said.contains("invalid peer certificate") {
            true => "; name the certificates that it is signed by as `CaFile`",
            false => "",
        };
        Failed { why: format!("{} {what}: {}{advice}", self.server, short(&said)), retry }
    }
}

/// The error and all that caused it.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// What a server answered.
fn said(answer: &Response) -> String {
    short(&format!("{} {}", answer.code(), answer.first_line().unwrap_or_default()))
}

fn short(text: &str) -> String {
    text::cut(&text::one_line(text), MAX_SAID_CHARS, text::Unit::Chars)
}
