//! One visit to an XMPP server: log in, leave the message, wait until the server has taken it.
//!
//! The library's own client tries for ever and tells neither a wrong password nor a certificate that is not
//! trusted, so its steps are taken one by one.

use std::{borrow::Cow, collections::BTreeMap, io, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::ServerName;
use sasl::common::Credentials;
use tokio::{io::BufStream, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::ClientConfig};
use tokio_xmpp::{
    client_login,
    connect::DnsConfig,
    error::{AuthError, Error},
    jid::Jid,
    parsers::{
        bind::BindQuery,
        iq::Iq,
        message::{Id, Lang, Message, MessageType, Thread},
        ping::Ping,
        sasl::DefinedCondition,
        stanza_error::{ErrorType, StanzaError},
        starttls,
    },
    xmlstream::{
        FallibleStreamElement, ReadError, StreamHeader, Timeouts, XmlStream, XmppStreamElement,
        initiate_stream,
    },
};
use uuid::Uuid;

use super::Settings;
use crate::{
    notify::channel::{
        Channel, Delivery, Failed, Receipt, Retry, Sending, memory::Recipients, text,
    },
    trust::{self, RemoteTrust},
};

/// The namespace of what clients send.
const CLIENT: &str = "jabber:client";
/// What our questions are called.
const BIND: &str = "bind";
const PING: &str = "ping";
/// The longest message, in bytes; servers often take 256 KiB at most.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// The most elements that are read before an answer; a server may send others in between.
const MAX_ELEMENTS: usize = 1_000;

type Plain = XmlStream<BufStream<TcpStream>, FallibleStreamElement>;
type Stream = XmlStream<BufStream<TlsStream<TcpStream>>, FallibleStreamElement>;
type Outcomes = Vec<(usize, Result<Receipt, Failed>)>;

/// The channel.
pub struct Xmpp {
    settings: Settings,
    from: Jid,
    to: Vec<Jid>,
    tls: Arc<ClientConfig>,
    recipients: Recipients,
}

impl Xmpp {
    /// Reads the CA file: not for the runtime. The error says what cannot be used.
    pub fn new(settings: Settings) -> Result<Xmpp, String> {
        let parse = |text: &String| {
            Jid::new(text).map_err(|error| format!("`{text}` is no address of XMPP: {error}"))
        };
        trust::install_provider();
        let rule = settings.ca_file.clone().map_or(RemoteTrust::System, RemoteTrust::Authority);
        let tls = trust::remote_client_config(rule).map_err(|error| error.to_string())?;
        // It names the protocol of the web.
        let mut tls = Arc::unwrap_or_clone(tls);
        tls.alpn_protocols.clear();
        Ok(Xmpp {
            from: parse(&settings.from)?,
            to: settings.to.iter().map(parse).collect::<Result<_, _>>()?,
            tls: Arc::new(tls),
            settings,
            recipients: Recipients::default(),
        })
    }

    /// Leaves the message for these recipients.
    async fn visit(&self, delivery: &Delivery, open: Vec<usize>) -> Outcomes {
        match self.leave(delivery, &open).await {
            Ok(outcomes) => outcomes,
            Err(failed) => open.into_iter().map(|n| (n, Err(failed.clone()))).collect(),
        }
    }

    async fn leave(&self, delivery: &Delivery, open: &[usize]) -> Result<Outcomes, Failed> {
        let mut stream = self.log_in().await?;
        for n in open {
            let message = self.message(delivery, *n);
            self.say(&mut stream, XmppStreamElement::Stanza(message.into())).await?;
        }
        // Answers come in the order of the questions: after this one the server has taken the messages.
        let domain = Jid::new(self.from.domain().as_str()).ok();
        let ping = Iq::from_get(PING, Ping).with_to(domain.unwrap_or_else(|| self.from.clone()));
        self.say(&mut stream, XmppStreamElement::Stanza(ping.into())).await?;
        let mut refused = BTreeMap::new();
        self.answer_to(&mut stream, PING, |error| {
            let n = self.index_of(delivery, error.0, open)?;
            refused.insert(n, refusal(error.1));
            Some(())
        })
        .await?;
        // Whether it says goodbye does not matter any more.
        let _ = SinkExt::<&XmppStreamElement>::close(&mut stream).await;
        let outcome = |n: &usize| match refused.remove(n) {
            Some(failed) => (*n, Err(failed)),
            None => (*n, Ok(Receipt("taken by the server".to_owned()))),
        };
        Ok(open.iter().map(outcome).collect())
    }

    /// The message for one recipient; the same at each attempt.
    fn message(&self, delivery: &Delivery, n: usize) -> Message {
        let body = text::cut(&text::whole(delivery), MAX_TEXT_BYTES, text::Unit::Bytes);
        let mut message = Message::new_with_type(MessageType::Chat, self.to[n].clone())
            .with_body(Lang::new(), body);
        message.id = Some(Id(self.id(delivery, n)));
        let thread =
            Uuid::new_v5(&delivery.message.sender_uuid, delivery.message.thread.as_bytes());
        message.thread = Some(Thread { parent: None, id: thread.to_string() });
        message
    }

    fn id(&self, delivery: &Delivery, n: usize) -> String {
        let name = format!("{}\n{}", delivery.message.key, self.settings.to[n]);
        Uuid::new_v5(&delivery.message.sender_uuid, name.as_bytes()).to_string()
    }

    fn index_of(&self, delivery: &Delivery, id: &str, open: &[usize]) -> Option<usize> {
        open.iter().copied().find(|n| self.id(delivery, *n) == id)
    }

    /// Connected, protected, logged in, with an address to send from.
    async fn log_in(&self) -> Result<Stream, Failed> {
        let (features, stream) = self.connect_tls().await?;
        let login = self.from.node().map_or("", |node| node.as_str());
        let credentials = Credentials::default()
            .with_username(login)
            .with_password(self.settings.password.expose());
        let stream = client_login(stream, features, credentials)
            .await
            .map_err(|error| self.login_failed(&error))?;
        let lost = |error: Error| self.lost("after the login", &error);
        let pending =
            stream.send_header(self.header()).await.map_err(|error| lost(error.into()))?;
        let (_, mut stream) = pending.recv_features().await.map_err(|error| lost(error.into()))?;
        let bind = Iq::from_set(BIND, BindQuery::new(None));
        self.say(&mut stream, XmppStreamElement::Stanza(bind.into())).await?;
        self.answer_to(&mut stream, BIND, |_| None).await?;
        Ok(stream)
    }

    /// The ways to log in that the server offers, and the stream on which it offers them.
    async fn connect_tls(&self) -> Result<(std::collections::BTreeSet<String>, Stream), Failed> {
        let lost = |error: Error| self.lost("before TLS", &error);
        let tcp = self.connect().await?;
        let header = self.header();
        let pending = initiate_stream(BufStream::new(tcp), CLIENT, header, Timeouts::default())
            .await
            .map_err(|error| lost(error.into()))?;
        let (features, stream): (_, Plain) =
            pending.recv_features().await.map_err(|error| lost(error.into()))?;
        if !features.can_starttls() {
            let why =
                format!("the XMPP server of {} offers no TLS, so nothing was sent", self.domain());
            return Err(Failed { why, retry: Retry::Later });
        }
        let tcp = self.proceed(stream).await?;
        let name = ServerName::try_from(self.domain().to_owned()).map_err(|_| Failed {
            why: format!("`{}` cannot be the name of a server", self.domain()),
            retry: Retry::Never,
        })?;
        let tls = TlsConnector::from(self.tls.clone())
            .connect(name, tcp)
            .await
            .map_err(|error| self.tls_failed(&error))?;
        let header = self.header();
        let pending = initiate_stream(BufStream::new(tls), CLIENT, header, Timeouts::default())
            .await
            .map_err(|error| lost(error.into()))?;
        let (features, stream): (_, Stream) =
            pending.recv_features().await.map_err(|error| lost(error.into()))?;
        Ok((features.sasl_mechanisms, stream))
    }

    async fn connect(&self) -> Result<TcpStream, Failed> {
        let unreachable = |what: String, error: &dyn std::fmt::Display| Failed {
            why: format!("{what} cannot be reached: {error}"),
            retry: Retry::Later,
        };
        match &self.settings.server {
            Some(server) => TcpStream::connect((&*server.host, server.port))
                .await
                .map_err(|error| unreachable(server.to_string(), &error)),
            None => DnsConfig::srv_default_client(self.domain()).resolve().await.map_err(|error| {
                unreachable(format!("the XMPP server of {}", self.domain()), &error)
            }),
        }
    }

    /// Asks for TLS, and hands the connection out on which it may begin.
    async fn proceed(&self, mut stream: Plain) -> Result<TcpStream, Failed> {
        let request = starttls::Nonza::Request(starttls::Request);
        self.say(&mut stream, XmppStreamElement::Starttls(request)).await?;
        loop {
            if let XmppStreamElement::Starttls(starttls::Nonza::Proceed(_)) =
                self.hear(&mut stream).await?
            {
                return Ok(stream.into_inner().into_inner());
            }
        }
    }

    /// Waits for the answer to a question; `bounced` is given the messages that came back before.
    async fn answer_to(
        &self,
        stream: &mut Stream,
        question: &str,
        mut bounced: impl FnMut((&str, &StanzaError)) -> Option<()>,
    ) -> Result<(), Failed> {
        for _ in 0..MAX_ELEMENTS {
            match self.hear(stream).await? {
                XmppStreamElement::Stanza(tokio_xmpp::Stanza::Iq(iq)) => match iq {
                    Iq::Result { id, .. } if id == question => return Ok(()),
                    // It is an answer, too: the server knows no pings.
                    Iq::Error { id, .. } if id == question && question == PING => return Ok(()),
                    Iq::Error { id, error, .. } if id == question => return Err(refusal(&error)),
                    _ => {}
                },
                XmppStreamElement::Stanza(tokio_xmpp::Stanza::Message(message))
                    if message.type_ == MessageType::Error =>
                {
                    let errors = message.payloads.into_iter();
                    let error = errors.filter_map(|part| StanzaError::try_from(part).ok()).next();
                    if let (Some(id), Some(error)) = (message.id, error) {
                        bounced((&id.0, &error));
                    }
                }
                _ => {}
            }
        }
        let why = format!("the XMPP server of {} does not come to the point", self.domain());
        Err(Failed { why, retry: Retry::Later })
    }

    async fn say<S>(
        &self,
        stream: &mut XmlStream<S, FallibleStreamElement>,
        element: XmppStreamElement,
    ) -> Result<(), Failed>
    where
        S: tokio::io::AsyncBufRead + tokio::io::AsyncWrite + Unpin,
    {
        stream.send(&element).await.map_err(|error| self.lost("while we spoke", &error.into()))
    }

    async fn hear<S>(
        &self,
        stream: &mut XmlStream<S, FallibleStreamElement>,
    ) -> Result<XmppStreamElement, Failed>
    where
        S: tokio::io::AsyncBufRead + tokio::io::AsyncWrite + Unpin,
    {
        let lost = |error: Error| self.lost("while we listened", &error);
        loop {
            match stream.next().await {
                Some(Ok(FallibleStreamElement::Ok(XmppStreamElement::StreamError(error)))) => {
                    return Err(lost(Error::StreamError(error)));
                }
                Some(Ok(FallibleStreamElement::Ok(element))) => return Ok(element),
                // Something that the library does not know, and we do not need.
                Some(Ok(FallibleStreamElement::Err(_)) | Err(ReadError::SoftTimeout)) => {}
                Some(Err(ReadError::ParseError(error))) => {
                    return Err(lost(io::Error::new(io::ErrorKind::InvalidData, error).into()));
                }
                Some(Err(ReadError::HardError(error))) => return Err(lost(error.into())),
                Some(Err(ReadError::StreamFooterReceived)) | None => {
                    return Err(lost(Error::Disconnected));
                }
            }
        }
    }

    fn header(&self) -> StreamHeader<'_> {
        StreamHeader { to: Some(Cow::Borrowed(self.domain())), from: None, id: None }
    }

    fn domain(&self) -> &str {
        self.from.domain().as_str()
    }

    fn lost(&self, when: &str, error: &Error) -> Failed {
        let why = format!("the XMPP server of {} left us {when}: {error}", self.domain());
        Failed { why, retry: Retry::Later }
    }

    fn tls_failed(&self, error: &io::Error) -> Failed {
        let domain = self.domain();
        let why = match trust::untrusted(error) {
            Some(untrusted) => format!(
                "the certificate of the XMPP server of {domain} is not trusted: {untrusted}; name \
                 the certificates that it is signed by as `CaFile`"
            ),
            None => format!("the XMPP server of {domain} cannot be reached over TLS: {error}"),
        };
        Failed { why, retry: Retry::Later }
    }

    fn login_failed(&self, error: &Error) -> Failed {
        let address = &self.settings.from;
        match error {
            Error::Auth(AuthError::Fail(DefinedCondition::TemporaryAuthFailure)) => Failed {
                why: format!("the XMPP server of {} cannot check logins now", self.domain()),
                retry: Retry::Later,
            },
            Error::Auth(AuthError::Fail(DefinedCondition::NotAuthorized)) => {
                let why = format!("the XMPP server refuses the password of {address}");
                Failed { why, retry: Retry::Never }
            }
            Error::Auth(error) => Failed {
                why: format!("the XMPP server refuses the login of {address}: {error}"),
                retry: Retry::Never,
            },
            error => self.lost("during the login", error),
        }
    }
}

/// What the server has against it.
fn refusal(error: &StanzaError) -> Failed {
    let said = error.texts.values().next().map_or("", |text| text.as_str());
    let said = text::cut(&text::one_line(said), 200, text::Unit::Chars);
    let said = if said.is_empty() { said } else { format!(" ({said})") };
    let retry = match error.type_ {
        ErrorType::Wait | ErrorType::Continue => Retry::Later,
        _ => Retry::Never,
    };
    Failed {
        why: format!("the XMPP server refuses it: {:?}{said}", error.defined_condition),
        retry,
    }
}

impl Channel for Xmpp {
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a> {
        Box::pin(async move {
            let key = &delivery.message.key;
            let visit = |open: Vec<usize>| self.visit(delivery, open);
            self.recipients.send_together(key, &self.settings.to, visit).await
        })
    }
}
