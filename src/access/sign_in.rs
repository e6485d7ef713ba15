//! Sessions of people who sign in at a provider of OpenID Connect, and what is written down of it.

use std::{net::IpAddr, sync::Arc, time::Instant};

use serde_json::json;

use super::{
    Access,
    oidc::{Answer, Person, Sessions},
};
use crate::{
    config::Secret,
    store::{AuditRow, StoreError},
};

/// How these sessions are known by.
const HOW: &str = "oidc";

/// Begins the sessions of people who signed in elsewhere.
pub struct SignIn(pub Arc<Access>);

impl Sessions for SignIn {
    fn begin(&self, person: Person, from: Option<IpAddr>) -> Answer<Result<Secret, String>> {
        let access = Arc::clone(&self.0);
        Box::pin(async move {
            let begun = async {
                access.record(row(&person, from, "done")).await?;
                access.begin_session(&person.name, person.role, HOW, from).await
            };
            begun.await.map_err(|error: StoreError| error.to_string())
        })
    }

    fn turned_away(&self, person: Person, from: Option<IpAddr>) -> Answer<()> {
        let access = Arc::clone(&self.0);
        Box::pin(async move {
            if !access.throttle().is_listed(Instant::now()) {
                return;
            }
            let row = row(&person, from, "refused: no group of theirs has a role here");
            if let Err(error) = access.record(row).await {
                tracing::warn!("that somebody was turned away is not in the audit log: {error}");
            }
        })
    }
}

fn row(person: &Person, from: Option<IpAddr>, outcome: &str) -> AuditRow {
    AuditRow {
        who: person.name.clone(),
        role: person.role.word().into(),
        how: HOW.into(),
        from: from.map(|from| from.to_string()).unwrap_or_default(),
        action: "login".into(),
        target: person.name.clone(),
        // The name may be of their own choice.
        detail: json!({"Subject": person.subject}),
        outcome: outcome.into(),
        ..AuditRow::default()
    }
}
