//! The certificate is renewed before it ends.

use std::time::Duration;

use tokio::time::sleep;

use super::{blocking, no_session::causes};
use crate::push::{
    client::{Credentials, Reporter},
    protocol::channel::{MasterClient, deadline},
};

/// For a renewed certificate.
const RENEW_LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked whether the certificate is to be renewed.
const RENEW_LOOK: Duration = Duration::from_secs(3600);

/// Has the certificate renewed when half of its life is over. Never ends.
pub(super) async fn renew(client: MasterClient, mut credentials: Credentials, reporter: Reporter) {
    loop {
        let now = std::time::SystemTime::now();
        if credentials.certificate.as_ref().is_some_and(|held| held.wants_renewal(now)) {
            let host = reporter.hub.read(|tree| tree.me().host.name.clone());
            let csr = credentials.key.csr(reporter.uuid, &host);
            let outcome = match client.renew(deadline(RENEW_LIMIT), csr).await {
                Ok(Ok(pem)) => {
                    let mut kept = credentials.clone();
                    match blocking(move || kept.keep(&pem).map(|()| kept)).await {
                        Ok(kept) => {
                            credentials = kept;
                            tracing::info!("our certificate was renewed");
                            Ok(())
                        }
                        Err(error) => Err(causes(&error)),
                    }
                }
                Ok(Err(why)) => Err(why),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = outcome {
                tracing::warn!("our certificate could not be renewed and is tried again: {why}");
            }
        }
        sleep(RENEW_LOOK).await;
    }
}
