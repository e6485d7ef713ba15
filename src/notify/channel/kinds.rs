//! The list of all kinds of channels: the word in the configuration, the module, how one is read and built.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use super::{
    Channel, alertmanager, apprise, client::Client, discord, email, exec, gotify, http, matrix,
    ntfy, opsgenie, pagerduty, pushover, slack, teams, telegram, twilio, webex, webhook, xmpp,
    zulip,
};
use crate::config::{ChannelConfig, Section};

/// How long an attempt over HTTP may take, its own deadline included.
const HTTP_LIMIT: Duration = Duration::from_secs(15);

/// Makes a type, a list and two functions of one list: first the kinds that speak HTTP and share clients, then
/// those that do not. A line has the name of the channel's type (and of the variant of [`Settings`]), its
/// module, its word in the configuration, and what the messages of one incident become at the receiver.
macro_rules! kinds {
    (
        over_http { $($http:ident $http_module:ident $http_word:literal $http_together:literal;)* }
        otherwise { $($own:ident $module:ident $word:literal $together:literal;)* }
    ) => {
        /// What a channel of any kind has to know.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Settings {
            $($http($http_module::Settings),)*
            $($own($module::Settings),)*
        }

        /// All kinds, in the order in which they are documented.
        pub const KINDS: &[Kind] = &[
            $(Kind {
                word: $http_word,
                together: $http_together,
                is_http: true,
                read: |entry| Settings::$http(Configured::read(entry)),
            },)*
            $(Kind {
                word: $word,
                together: $together,
                is_http: false,
                read: |entry| Settings::$own(Configured::read(entry)),
            },)*
        ];

        impl Settings {
            /// The word for its kind.
            pub fn word(&self) -> &'static str {
                match self {
                    $(Settings::$http(_) => $http_word,)*
                    $(Settings::$own(_) => $word,)*
                }
            }

            /// How long one attempt may take.
            pub fn limit(&self) -> Duration {
                match self {
                    $(Settings::$http(_) => HTTP_LIMIT,)*
                    $(Settings::$own(settings) => settings.limit(),)*
                }
            }

            fn build(&self, client: impl FnOnce() -> Result<Client, String>) -> Built {
                Ok(match self {
                    $(Settings::$http(settings) => {
                        Arc::new($http_module::$http::new(settings.clone(), client()?))
                    })*
                    $(Settings::$own(settings) => settings.build()?,)*
                })
            }
        }
    };
}

kinds! {
    over_http {
    Http http "http" "nothing: the form of the original";
    Webhook webhook "webhook" "`incident` in its JSON";
    Slack slack "slack" "nothing: hooks have no threads";
    Discord discord "discord" "nothing: hooks have no threads";
    Teams teams "teams" "nothing: hooks have no threads";
    Zulip zulip "zulip" "a topic";
    Telegram telegram "telegram" "replies to the first message";
    Matrix matrix "matrix" "a thread";
    Webex webex "webex" "a thread";
    Pushover pushover "pushover" "nothing";
    Gotify gotify "gotify" "nothing";
    Ntfy ntfy "ntfy" "nothing";
    Twilio twilio "twilio" "nothing: text messages";
    PagerDuty pagerduty "pagerduty" "an alert that is resolved";
    Opsgenie opsgenie "opsgenie" "an alert that is closed";
    Alertmanager alertmanager "alertmanager" "an alert that ends";
    }
    otherwise {
    Email email "email" "a thread";
    Xmpp xmpp "xmpp" "a thread";
    Apprise apprise "apprise" "nothing";
    Exec exec "exec" "what the program makes of it";
    }
}

/// One kind of channel.
pub struct Kind {
    /// What `Type` says in the configuration.
    pub word: &'static str,
    /// What the messages of one incident become at the receiver.
    pub together: &'static str,
    /// It speaks HTTP, so that it may have certificates of its own.
    pub is_http: bool,
    /// Asks for the keys of this kind.
    pub(crate) read: fn(&Section<'_>) -> Settings,
}

/// What the settings of each kind can do.
pub(crate) trait Configured: Sized {
    /// Asks for the keys; what is wrong with them is told to `entry`.
    fn read(entry: &Section<'_>) -> Self;
}

/// A channel, or a sentence that says why it cannot be had.
pub(super) type Built = Result<Arc<dyn Channel>, String>;

/// Clients by the certificates that they trust, so that channels share connections.
#[derive(Debug, Default)]
pub struct Clients(BTreeMap<Option<PathBuf>, Client>);

impl Clients {
    /// None yet.
    pub fn new() -> Clients {
        Clients::default()
    }

    /// Makes a channel. Reads files: not for the runtime. The error says what was tried and why it failed.
    pub fn build(&mut self, config: &ChannelConfig) -> Built {
        config.settings.build(|| {
            if let Some(client) = self.0.get(&config.ca_file) {
                return Ok(client.clone());
            }
            let client =
                Client::new(config.ca_file.as_deref()).map_err(|error| error.to_string())?;
            self.0.insert(config.ca_file.clone(), client.clone());
            Ok(client)
        })
    }
}
