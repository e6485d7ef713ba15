//! The ways of telling people: one file each. To add one: a file, a `pub mod`, and a line in `channels!`.

pub mod apprise;
pub mod email;
pub mod exec;
pub mod http;
pub mod xmpp;

use std::{fmt, future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;

use super::Message;
use crate::config::Section;

/// The list of all kinds: the variant of [`Settings`], the module, the word in the configuration, and what
/// of an incident its receiver keeps together.
macro_rules! channels {
    ($($variant:ident $module:ident $word:literal $together:literal;)*) => {
        /// What a channel of any kind has to know.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Settings {
            $($variant($module::Settings),)*
        }

        /// All kinds, in the order in which they are documented.
        pub const KINDS: &[Kind] = &[
            $(Kind {
                word: $word,
                together: $together,
                read: |entry| Settings::$variant(<$module::Settings as Configured>::read(entry)),
            },)*
        ];

        impl Settings {
            /// What kind of channel it is.
            pub fn kind(&self) -> &'static Kind {
                let word = match self { $(Settings::$variant(_) => $word,)* };
                KINDS.iter().find(|kind| kind.word == word).unwrap_or(&KINDS[0])
            }
        }
    };
}

channels! {
    Http http "http" "nothing: the original's form";
    Email email "email" "a thread";
    Xmpp xmpp "xmpp" "a thread";
    Apprise apprise "apprise" "nothing";
    Exec exec "exec" "what the program makes of it";
}

/// One kind of channel.
pub struct Kind {
    /// What `Type` says in the configuration.
    pub word: &'static str,
    /// What the messages of one incident become at the receiver.
    pub together: &'static str,
    /// Asks for the keys of this kind.
    pub(crate) read: fn(&Section<'_>) -> Settings,
}

/// What the settings of each kind can do.
pub(crate) trait Configured: Sized {
    /// Asks for the keys; what is wrong with them is told to `entry`.
    fn read(entry: &Section<'_>) -> Self;
}

/// One way of telling people.
pub trait Channel: Send + Sync + 'static {
    /// Delivers a message, or says why not. Whoever calls sets the time limit and tries again.
    fn send<'a>(&'a self, delivery: &'a Delivery) -> Sending<'a>;
}

/// A delivery that is under way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Receipt, Failed>> + Send + 'a>>;

/// One attempt to deliver a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub message: Message,
    /// The first is 1.
    pub attempt: u32,
    /// How long after it was decided; `None` if that is not worth a word (below a minute).
    pub late: Option<Duration>,
    /// Title and body from the templates of the channel, plain text.
    pub title: String,
    pub body: String,
    /// When this attempt is made.
    pub now: Timestamp,
}

/// What a receiver answered, in a few words for the trace: `200`, `250 2.0.0 queued as …`. No secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt(pub String);

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// A sentence without secrets and addresses that may hold some.
    pub why: String,
    pub retry: Retry,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not as it is: 4xx but 408, 409, 425, 429.
    Never,
    Later,
    /// The receiver said when.
    After(Duration),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}
