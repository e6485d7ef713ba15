//! Orders to clients, over the connections that they have opened.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tarpc::client::RpcError;

use super::Host;
use crate::{
    orders::{Link, Order, Outcome, RefusalKind, Way},
    push::protocol::channel::deadline,
    tree::RemoteControl,
};

/// The way to the clients of a server.
pub struct Below(pub Arc<Host>);

impl Way for Below {
    fn send(&self, link: Link, order: Order) -> BoxFuture<'static, Outcome> {
        let host = self.0.clone();
        Box::pin(async move { send(&host, link, order).await })
    }
}

async fn send(host: &Host, link: Link, order: Order) -> Outcome {
    let name = &link.name;
    let Some(connection) = host.live.get(link.uuid) else {
        return Outcome::Away(format!("`{name}` is not connected"));
    };
    // One that does not say what it allows does not know what an order is, and would hang up.
    let says = |tree: &crate::tree::Tree| tree.get(link.uuid).map(|it| it.remote_control);
    if host.hub.read(says).is_none_or(|control| control == RemoteControl::Unknown) {
        let why = format!("`{name}` has not said that it takes orders: is it too old?");
        return Outcome::Refused(RefusalKind::Unsupported.because(why));
    }
    let client = connection.agent.client();
    match client.order(deadline(order.limit), order.into()).await {
        Ok(outcome) => outcome.checked(&host.pool, host.hub.now().wall),
        Err(RpcError::DeadlineExceeded) => {
            let why = format!("`{name}` has not answered in time; its log will tell what it did");
            Outcome::Refused(RefusalKind::Late.because(why))
        }
        Err(RpcError::Server(error)) => {
            let why = format!("`{name}` cannot work on it: {}", error.detail);
            Outcome::Refused(RefusalKind::Busy.because(why))
        }
        // Whatever was done, the same order is not carried out once more.
        Err(_) => Outcome::Away(format!("the connection of `{name}` broke")),
    }
}
