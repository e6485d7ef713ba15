//! Between a request and an order: who gives it, and what the outcome is in HTTP.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::{Api, audit::Audited, hosts::query_pairs, orders::OrderView, reply, views};
use crate::{
    access::Caller,
    duration,
    orders::{
        ANSWER_LIMIT, AUTHOR_HEADER, AWAY, Action, Answer, Author, Given, MAX_AUTHOR, ORDER_HEADER,
        OUTCOME_HEADER, Order, Refusal, RefusalKind, What, plain,
    },
    tree::ProbeName,
};

/// A query, taken apart.
pub struct QueryPairs(Vec<(String, String)>);

impl QueryPairs {
    /// Of the part of an address after `?`.
    pub fn of(query: &str) -> QueryPairs {
        QueryPairs(query_pairs(query).collect())
    }

    /// The value of a parameter, if there is one that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A time span such as `90s`, `30m`, `4h`, `7d`; or a refusal.
    pub fn duration(
        &self,
        name: &str,
        range: RangeInclusive<Duration>,
    ) -> Result<Option<Duration>, String> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let bounds = (range.start().as_secs(), range.end().as_secs());
        let bad = || {
            format!(
                "`{name}` is no time from {} s to {} s: write it as 90s, 30m, 4h or 7d",
                bounds.0, bounds.1
            )
        };
        let span = duration::read(text).ok_or_else(bad)?;
        if range.contains(&span) { Ok(Some(span)) } else { Err(bad()) }
    }
}

/// A request that gives an order.
pub struct Context<'a> {
    pub api: &'a Arc<Api>,
    pub caller: &'a Caller,
    pub headers: &'a HeaderMap,
}

/// What another instance says of an order that it hands on.
struct HandedOn {
    id: Uuid,
    hops: u8,
    limit: Duration,
}

impl Context<'_> {
    /// Asks the instance for its schedule.
    pub async fn look(&self, target: Uuid) -> Response {
        let order = self.order(target, What::Schedule, handed_on(self.headers));
        let id = order.id;
        self.answer(id, self.api.orders.give(order, None).await)
    }

    /// Gives the order and answers with what comes of it, for the audit log too. It waits for `wait` if the
    /// instance is away, unless another instance hands it on, which tries again itself.
    pub async fn change(
        &self,
        target: Uuid,
        probe: ProbeName,
        action: Action,
        wait: Duration,
    ) -> Response {
        let (orders, handed_on) = (&self.api.orders, handed_on(self.headers));
        let wait = Some(wait).filter(|_| handed_on.is_none());
        let before = orders.before(target, &probe, &action);
        let audited = orders.target(target, probe.as_str());
        let order = self.order(target, What::Do(probe, action.clone()), handed_on);
        let id = order.id;
        let mut detail = action.detail(id);
        if !order.author.by_way_of.is_empty() {
            detail["Author"] = order.author.name.clone().into();
        }
        if let Some(wait) = wait {
            detail["Expires"] = wait.as_secs().into();
        }
        let given = orders.give(order, wait).await;
        let is_done = matches!(given, Given::Done(Answer::Schedule(_)));
        let after = if is_done { action.after() } else { None };
        let (target, detail) = (Some(audited), Some(detail));
        let audited = Audited { target, detail, before, after, ..Audited::default() };
        audited.with(self.answer(id, given))
    }

    fn order(&self, target: Uuid, what: What, handed_on: Option<HandedOn>) -> Order {
        let HandedOn { id, hops, limit } = handed_on.unwrap_or_else(|| HandedOn {
            id: Uuid::new_v4(),
            hops: 0,
            limit: ANSWER_LIMIT,
        });
        Order { id, target, what, author: self.author(), hops, limit }
    }

    /// Who gives it. What another instance says of that is believed as far as its login goes.
    fn author(&self) -> Author {
        let Caller { name, role, how, from, .. } = self.caller;
        let told = self.headers.get(AUTHOR_HEADER).map(|told| decoded(told.as_bytes()));
        let told = told.map(|told| plain(&told, MAX_AUTHOR)).filter(|told| !told.is_empty());
        let by_way_of = if told.is_some() { vec![plain(name, MAX_AUTHOR)] } else { Vec::new() };
        Author {
            name: told.unwrap_or_else(|| plain(name, MAX_AUTHOR)),
            role: *role,
            how: how.word(),
            address: from.map(|from| from.to_canonical().to_string()).unwrap_or_default(),
            by_way_of,
        }
    }

    fn answer(&self, id: Uuid, given: Given) -> Response {
        let accepted = |order: &OrderView| {
            let body = reply::json(&HeaderMap::new(), order);
            (StatusCode::ACCEPTED, body).into_response()
        };
        match given {
            Given::Done(Answer::Schedule(schedule)) => reply::json(&HeaderMap::new(), &schedule),
            Given::Done(Answer::Result(probe)) => {
                reply::json(&HeaderMap::new(), &views::Probe::new(&probe, false))
            }
            Given::Done(Answer::Accepted(words)) => {
                let known = self.api.orders.list().into_iter().find(|order| order.id == id);
                match known {
                    Some(order) => accepted(&OrderView::new(&self.api.view(), &order)),
                    None => {
                        reply::refuse(StatusCode::BAD_GATEWAY, format!("the host says: {words}"))
                    }
                }
            }
            Given::Waits(order) => accepted(&OrderView::new(&self.api.view(), &order)),
            Given::Away(why) => {
                let mut refusal = reply::refuse(StatusCode::SERVICE_UNAVAILABLE, why);
                refusal.headers_mut().insert(OUTCOME_HEADER, HeaderValue::from_static(AWAY));
                refusal
            }
            Given::Refused(refusal) => refused(&refusal),
        }
    }
}

/// A refusal in HTTP.
pub fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.kind {
        RefusalKind::Invalid => StatusCode::BAD_REQUEST,
        RefusalKind::Forbidden => StatusCode::FORBIDDEN,
        RefusalKind::Unknown => StatusCode::NOT_FOUND,
        RefusalKind::Conflict => StatusCode::CONFLICT,
        RefusalKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        RefusalKind::Failed => StatusCode::BAD_GATEWAY,
        RefusalKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        RefusalKind::Late => StatusCode::GATEWAY_TIMEOUT,
    };
    reply::refuse(status, &refusal.why)
}

fn handed_on(headers: &HeaderMap) -> Option<HandedOn> {
    let mut parts = headers.get(ORDER_HEADER)?.to_str().ok()?.split(';');
    let id = Uuid::try_parse(parts.next()?).ok()?;
    let hops = parts.next()?.parse().ok()?;
    let limit = Duration::from_millis(parts.next()?.parse().ok()?).min(ANSWER_LIMIT);
    Some(HandedOn { id, hops, limit })
}

/// Percent-encoded text; what is not UTF-8 in it is replaced.
fn decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_within_bounds() {
        let range = Duration::from_secs(60)..=Duration::from_secs(120);
        let of = |query: &str| QueryPairs::of(query).duration("for", range.clone());
        assert_eq!(of("for=2m"), Ok(Some(Duration::from_secs(120))));
        assert_eq!((of(""), of("for=")), (Ok(None), Ok(None)));
        for query in ["for=59s", "for=3m", "for=soon"] {
            assert!(of(query).unwrap_err().contains("from 60 s to 120 s"), "{query}");
        }
    }

    #[test]
    fn what_another_instance_says_is_read_or_ignored() {
        let told = |text: &'static str| {
            handed_on(&HeaderMap::from_iter([(
                axum::http::HeaderName::from_static(ORDER_HEADER),
                HeaderValue::from_static(text),
            )]))
        };
        let good = told("00000000-0000-0000-0000-000000000007;3;99000").unwrap();
        assert_eq!((good.id.as_u128(), good.hops, good.limit), (7, 3, ANSWER_LIMIT));
        for text in ["", "7;3;1000", "00000000-0000-0000-0000-000000000007;300;1"] {
            assert!(told(text).is_none(), "{text}");
        }
        assert_eq!(decoded(b"alice%20%C3%A9 100% %zz%4"), "alice é 100% %zz%4");
    }
}
