//! Why somebody is not signed in: a word for the login page, a sentence for people, details for the log.

use thiserror::Error;

/// Why somebody is not signed in. The sentence says what to do; it names nothing that the provider or
/// the caller has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Refused {
    #[error("too many people sign in at the moment: try again in a minute")]
    Busy,
    #[error(
        "the provider cannot be asked: look at the log, and check Issuer and CaFile in [OpenIdConnect]"
    )]
    NoProvider,
    #[error(
        "this browser has not begun to sign in, or has begun again since: sign in from the login page, \
         with cookies allowed"
    )]
    OtherBrowser,
    #[error("signing in took longer than 10 minutes: begin again")]
    TooLate,
    #[error("the provider was told not to let Wigo know who you are: sign in again, and agree")]
    Denied,
    #[error(
        "the provider refuses this Wigo: check ClientId, ClientSecret and the redirect address it has \
         registered; the log has its words"
    )]
    WrongClient,
    #[error("the provider does not know this attempt any more, as after a reload: begin again")]
    UsedCode,
    #[error("the provider's word has expired: compare the clocks of this machine and the provider")]
    Clock,
    #[error(
        "what the provider says of you cannot be trusted, so you are not signed in: look at the log, and \
         check Issuer and ClientId"
    )]
    Untrusted,
    #[error(
        "the provider knows you, but none of your groups may use this Wigo: ask its operator, who can name \
         one in OperatorGroups or ReadonlyGroups"
    )]
    NoRole,
    #[error("the session could not be written down: look at the log")]
    NoSession,
}

impl Refused {
    /// All of them, for whoever shows them.
    pub const ALL: [Refused; 11] = [
        Refused::Busy,
        Refused::NoProvider,
        Refused::OtherBrowser,
        Refused::TooLate,
        Refused::Denied,
        Refused::WrongClient,
        Refused::UsedCode,
        Refused::Clock,
        Refused::Untrusted,
        Refused::NoRole,
        Refused::NoSession,
    ];

    /// A word that never changes. The address of the login page carries it and not the sentence, so that
    /// nobody can make that page say what he likes.
    pub fn word(self) -> &'static str {
        match self {
            Refused::Busy => "busy",
            Refused::NoProvider => "no_provider",
            Refused::OtherBrowser => "other_browser",
            Refused::TooLate => "too_late",
            Refused::Denied => "denied",
            Refused::WrongClient => "wrong_client",
            Refused::UsedCode => "used_code",
            Refused::Clock => "clock",
            Refused::Untrusted => "untrusted",
            Refused::NoRole => "no_role",
            Refused::NoSession => "no_session",
        }
    }
}
