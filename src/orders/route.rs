//! Which way an order goes, and who lets it pass: downward only, one link after the other.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{Door, Link, MAX_HOPS, Order, Orders, Outcome, Refusal, RefusalKind};
use crate::{config::Role, tree::Contact};

/// How much sooner than whoever asks an instance must have the answer of the next one.
pub(super) const HOP: Duration = Duration::from_millis(250);
/// The least time for an answer that is worth asking for.
const MIN_LIMIT: Duration = Duration::from_millis(50);

impl Orders {
    /// Whether an order that comes over the API may pass here.
    pub(super) fn gate_of_http(&self, order: &Order) -> Result<(), Refusal> {
        if order.changes() && !self.config.load().http.allow_write_actions {
            let why = format!(
                "`{}` takes no changes of probes over its API: set AllowWriteActions in [Http] there",
                self.name_here()
            );
            return Err(RefusalKind::Forbidden.because(why));
        }
        Ok(())
    }

    /// Whether an order of a master may pass here.
    pub(super) fn gate_of_push(&self, order: &Order) -> Result<(), Refusal> {
        let name = || self.name_here();
        if !self.quota.one_more_of_a_master(order.changes()) {
            let why = format!("`{}` is given too many orders: try again in a minute", name());
            return Err(RefusalKind::Busy.because(why));
        }
        if !order.changes() {
            return Ok(());
        }
        if !self.config.load().push_client.allow_remote_control {
            let why = format!(
                "`{}` takes no orders from the instances that it pushes to: set AllowRemoteControl in \
                 [PushClient] there",
                name()
            );
            return Err(RefusalKind::Forbidden.because(why));
        }
        if order.author.role < Role::Operator {
            let why = format!("`{}` takes orders of operators only", name());
            return Err(RefusalKind::Forbidden.because(why));
        }
        Ok(())
    }

    /// Carries an order out if it is for this instance, or hands it on.
    pub(super) async fn pass(self: &Arc<Orders>, order: Order, door: Door) -> Outcome {
        let found = self.hub.read(|tree| {
            let target = tree.get(order.target)?;
            let link = tree.get(target.via)?;
            let contact = link.contact.as_deref().cloned();
            Some((tree.me().uuid == target.uuid, link.uuid, link.host.name.clone(), contact))
        });
        match found {
            None => {
                let why = format!("`{}` knows no instance {}", self.name_here(), order.target);
                Outcome::Refused(RefusalKind::Unknown.because(why))
            }
            Some((true, ..)) => self.here(order, door).await,
            Some((false, uuid, name, Some(contact))) => {
                self.hand_on(Link { uuid, name, contact }, order).await
            }
            Some((false, _, name, None)) => Outcome::Away(format!("`{name}` was not heard yet")),
        }
    }

    async fn hand_on(&self, link: Link, mut order: Order) -> Outcome {
        if order.hops >= MAX_HOPS || order.limit < MIN_LIMIT {
            let why = format!("the way is longer than {MAX_HOPS} instances, or takes too long");
            return Outcome::Refused(RefusalKind::Late.because(why));
        }
        let Some(_place) = self.quota.enter(link.uuid, order.changes()) else {
            let why = format!("`{}` works on other orders: try again soon", link.name);
            return Outcome::Refused(RefusalKind::Busy.because(why));
        };
        let limit = order.limit;
        order.hops += 1;
        order.limit = limit.saturating_sub(HOP);
        order.author.by_way_of.push(self.name_here());
        let way = self.ways.get().and_then(|ways| match link.contact {
            Contact::Push { .. } => ways.push.as_ref(),
            Contact::Pull { .. } => Some(&ways.pull),
        });
        let Some(way) = way else { return Outcome::Away("this instance is just starting".into()) };
        let name = link.name.clone();
        timeout(limit, way.send(link, order)).await.unwrap_or_else(|_| {
            let why = format!(
                "no answer of `{name}` within {} s: its log will tell whether it was done",
                limit.as_secs()
            );
            Outcome::Refused(RefusalKind::Late.because(why))
        })
    }
}
