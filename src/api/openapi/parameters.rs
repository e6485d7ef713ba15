//! What parameters can be, where that is less than any text or number.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, ObjectBuilder, RefOr, Schema,
        schema::{AnyOfBuilder, KnownFormat, SchemaFormat, Type},
    },
};

use crate::{api::join_tokens::MAX_USES, config::MAX_NAME};

/// The last Unix second that is understood: the end of the year 9999, west of Greenwich.
const LAST_SECOND: i64 = 253_402_207_200;
/// `key=value,key=value`, no key twice.
const LABELS: &str = r"^(?!(.*,)?([^=,]+)=.*,\2=)[^=,]+=[^,]*(,[^=,]+=[^,]*)*$";
/// A moment by the clocks of some place; days that each month has.
const LOCAL_TIME: &str =
    "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]$";
const DATE_TIME: SchemaFormat = SchemaFormat::KnownFormat(KnownFormat::DateTime);
const FINGERPRINT: &str = "^([0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31})$";

/// Declares types that stand for the schema of a parameter.
macro_rules! parameters {
    ($($(#[$meaning:meta])* $name:ident = $schema:expr;)*) => {$(
        $(#[$meaning])*
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

parameters! {
    /// A whole number, 0 and more.
    Number = number(0);
    /// How many clients a token admits.
    Uses = number(1).maximum(Some(MAX_USES));
    /// Unix seconds.
    Seconds = number(0).maximum(Some(LAST_SECOND));
    /// A moment: Unix seconds, or as people write it.
    Time = AnyOfBuilder::new().item(Seconds::schema()).item(date());
    /// A time span.
    Span = pattern("^[0-9]+[smhd]$").examples(["30m"]);
    /// A moment: Unix seconds, with an offset, or of a time zone that is said beside it.
    Moment = AnyOfBuilder::new()
        .item(Seconds::schema())
        .item(ObjectBuilder::new().schema_type(Type::String).format(Some(DATE_TIME)))
        .item(pattern(LOCAL_TIME));
    /// A time of the day.
    Clock = pattern("^([01][0-9]|2[0-3]):[0-5][0-9]$");
    /// Days of the week or of the month.
    Days = pattern("^[a-z0-9]+(,[a-z0-9]+)*$");
    /// How often something comes.
    RepeatWord = words(["once", "week", "month"]);
    /// Yes or no.
    Flag = words(["true", "false"]);
    /// Which incidents.
    IncidentStateWord = words(["open", "closed", "all"]);
    /// How far a message is.
    MessageStateWord = words(["waiting", "sent", "dead", "expired"]);
    /// How often a probe runs, in seconds.
    Interval = number(2).maximum(Some(86_400));
    /// Labels that hosts must have.
    Labels = pattern(LABELS).examples(["env=prod,role=db"]);
    /// Of a key or certificate, SHA-256.
    KeyDigest = pattern(FINGERPRINT);
    /// A name of something that is there.
    Named = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1));
    /// What something is called by people.
    Title = pattern(r"^[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$").max_length(Some(MAX_NAME));
    /// How bad at least.
    LevelWord = words(["ok", "info", "warn", "crit", "error", "down"]);
    /// How an instance reports.
    PresenceWord = words(["alive", "unknown", "stopped", "down"]);
    /// What somebody may do.
    RoleWord = words(["readonly", "operator"]);
    /// The order of a list of hosts.
    SortWord = words(["status", "name"]);
    /// The part of the news that a stream carries.
    ScopeWord = words(["all", "overview", "group", "host", "logs", "none"]);
}

fn number(least: i64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least))
}

fn pattern(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

fn date() -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String).examples(["2025-03-04T09:15:02Z"]);
    text.format(Some(DATE_TIME)).build()
}

fn words<const COUNT: usize>(words: [&str; COUNT]) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words))
}
