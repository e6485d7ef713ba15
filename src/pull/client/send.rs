//! A request that changes something: asked once, over a connection of its own.

use hyper::{Method, StatusCode, header::HeaderValue};
use tokio::time::timeout;

use super::{AskError, Client, Open, body};

/// Largest body of an answer, in bytes.
const MAX_BODY: usize = 4 << 20;

/// What was answered.
pub struct Reply {
    pub status: StatusCode,
    /// The way to the instance that it was for is not there.
    pub is_away: bool,
    pub text: String,
}

impl Client {
    /// Asks once. `headers` go with the request beside the usual ones.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&'static str, HeaderValue)],
    ) -> Result<Reply, AskError> {
        let limit = self.limit;
        let address = self.address.clone();
        let slow = |_| AskError::Slow { address, limit };
        timeout(limit, self.send_now(method, path, headers)).await.map_err(slow)?
    }

    async fn send_now(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&'static str, HeaderValue)],
    ) -> Result<Reply, AskError> {
        let Open { mut sender, mut work } = self.connect().await?;
        let mut request = self.request(path, None);
        *request.method_mut() = method;
        request.headers_mut().remove(hyper::header::ACCEPT_ENCODING);
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.clone());
        }
        let failed = |error| AskError::http(&self.address, &error);
        let mut talk = Box::pin(async {
            let response = sender.send_request(request).await.map_err(failed)?;
            let (status, headers) = (response.status(), response.headers());
            let outcome = headers.get(crate::orders::OUTCOME_HEADER);
            let is_away = outcome.is_some_and(|outcome| outcome == crate::orders::AWAY);
            let text = body::beginning(response.into_body(), MAX_BODY).await;
            Ok(Reply { status, is_away, text })
        });
        tokio::select! {
            biased;
            reply = &mut talk => reply,
            _ = &mut work => {
                drop(work);
                talk.await
            }
        }
    }
}
