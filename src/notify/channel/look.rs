//! How a level looks in chats.

use crate::{
    notify::{Kind, Message},
    status::Level,
};

/// A symbol that is understood without colours.
pub(super) fn symbol(message: &Message) -> &'static str {
    match (message.kind, message.status.level()) {
        (Kind::Notice | Kind::Test, Level::Ok | Level::Info) => "ℹ️",
        (_, Level::Ok) => "✅",
        (_, Level::Info) => "🔵",
        (_, Level::Warn) => "⚠️",
        (_, Level::Crit) => "🔴",
        (_, Level::Error) => "🟣",
        (_, Level::Down) => "❌",
    }
}

/// Red, green and blue.
pub(super) fn color(level: Level) -> u32 {
    match level {
        Level::Ok => 0x2e_9e_5b,
        Level::Info => 0x3b_82_f6,
        Level::Warn => 0xe0_a0_30,
        Level::Crit => 0xd6_3a_2f,
        Level::Error => 0x8e_44_ad,
        Level::Down => 0x7f_1d_1d,
    }
}

/// A number from 1 (tell me some day) to 5 (wake me).
pub(super) fn urgency(message: &Message) -> u8 {
    let of_level = match message.status.level() {
        Level::Ok => 2,
        Level::Info => 2,
        Level::Warn => 3,
        Level::Crit | Level::Error | Level::Down => 4,
    };
    match message.priority {
        crate::notify::Priority::Normal => of_level,
        crate::notify::Priority::High => 5,
    }
}
