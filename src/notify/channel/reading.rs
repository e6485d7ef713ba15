//! Values that several kinds of channels read.

use super::address::Address;
use crate::config::{Secret, Section};

/// An address that leads nowhere, for after a mistake.
const NOWHERE: &str = "https://nowhere.invalid";

/// An address that has to be there. Unless it is this machine's, it should be protected: it is a secret
/// itself, or secrets are sent there.
pub(super) fn address(entry: &Section<'_>, key: &'static str) -> Address {
    let address = open_address(entry, key);
    if !address.is_encrypted() && !is_here(&address) {
        let message = format!("what is sent to {} can be read on the way", entry.name_of(key));
        entry.warn(key, message, "use https://, if the receiver can");
    }
    address
}

/// As [`address`], where plain HTTP is as usual.
pub(super) fn open_address(entry: &Section<'_>, key: &'static str) -> Address {
    entry.need(key);
    parsed(entry, key).unwrap_or_else(nowhere)
}

/// An address with a default.
pub(super) fn address_or(entry: &Section<'_>, key: &'static str, default: &str) -> Address {
    match entry.is_blank(key) {
        true => Address::parse(default).unwrap_or_else(|_| nowhere()),
        false => address(entry, key),
    }
}

/// Addresses, one at least.
pub(super) fn addresses(entry: &Section<'_>, key: &'static str) -> Vec<Address> {
    entry.need(key);
    let texts = entry.secrets(key);
    let texts = texts.iter().filter(|text| !text.is_empty());
    texts.filter_map(|text| understood(entry, key, text)).collect()
}

fn parsed(entry: &Section<'_>, key: &'static str) -> Option<Address> {
    let text = Some(entry.secret(key)).filter(|text| !text.is_empty())?;
    understood(entry, key, &text)
}

fn understood(entry: &Section<'_>, key: &'static str, text: &Secret) -> Option<Address> {
    let explain = |allowed| {
        let message = format!("{} must be {allowed}", entry.name_of(key));
        entry.error(key, message, "look it up where the receiver shows it");
    };
    Address::parse(text.expose()).map_err(explain).ok()
}

fn nowhere() -> Address {
    Address::parse(NOWHERE).expect("a constant that is an address")
}

fn is_here(address: &Address) -> bool {
    let host = address.host();
    let name = host.rsplit_once(':').map_or(&*host, |(name, _)| name);
    name == "localhost" || name.starts_with("127.") || host.starts_with("[::1]")
}

/// An error unless login and password are there both, or neither is.
pub(super) fn check_login(entry: &Section<'_>) {
    if entry.is_blank("Login") != entry.is_blank("Password") {
        let message = "`Login` and `Password` belong together".to_owned();
        entry.error("Login", message, "set both, or neither");
    }
}
