//! `generate_cert`: makes the certificate and the key of a server or of an authority.

fn main() {}
