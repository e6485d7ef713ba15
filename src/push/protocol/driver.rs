//! Drives one connection: takes frames from it, lets tarpc match calls and answers, writes frames to it.
//!
//! tarpc's state for one direction takes some 10 KiB. So for calls of the peer it exists only while there
//! are any, and for calls to the peer from the first one on: ten thousand idle connections cost little.

use std::{
    any::Any,
    future::poll_fn,
    io,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt, Sink, Stream, StreamExt, future::CatchUnwind, stream::FuturesUnordered,
    task::AtomicWaker,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tarpc::{
    ClientMessage, Request, Response, ServerError,
    client::{self, RequestDispatch},
    server::{
        self, BaseChannel, Channel as _, InFlightRequest, Requests,
        limits::requests_per_channel::MaxRequests,
    },
    trace,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    channel::{Ended, MAX_CALLS, MAX_DEADLINE, MAX_SERVED, deadline},
    codec,
    lane::{Lane, Port, lane},
    transport::{MAX_FRAME_BYTES, Transport},
};

/// What waits between tarpc and those who call or answer, in messages.
const QUEUE: usize = 1;

/// A call of the peer, to be worked on.
pub type Incoming<Req, Resp> = InFlightRequest<Req, Resp>;

/// What travels on a connection: calls one way, answers to calls the other way.
#[derive(Debug, Serialize, Deserialize)]
enum Frame<Req, Resp> {
    Request {
        id: u64,
        /// How long the caller will wait, in milliseconds.
        limit_ms: u32,
        call: Req,
    },
    /// The caller does not wait any more.
    Cancel { id: u64 },
    /// What the call returned, or why it was not worked on.
    Response { id: u64, answer: Result<Resp, String> },
}

type Served<Req, Resp> = Lane<ClientMessage<Req>, Response<Resp>>;
type Called<Req, Resp> = Lane<Response<Resp>, ClientMessage<Req>>;
type Dispatch<Req, Resp> = RequestDispatch<Req, Resp, Called<Req, Resp>>;
type Calls<Req, Resp> = Requests<MaxRequests<BaseChannel<Req, Resp, Served<Req, Resp>>>>;

/// For calls to the peer.
struct Calling<Req, Resp> {
    dispatch: Pin<Box<Dispatch<Req, Resp>>>,
    port: Port<Response<Resp>>,
}

/// For calls of the peer.
struct Serving<Req, Resp, F> {
    requests: Pin<Box<Calls<Req, Resp>>>,
    port: Port<ClientMessage<Req>>,
    handlers: FuturesUnordered<CatchUnwind<AssertUnwindSafe<F>>>,
}

/// The side of those who call the peer. The connection closes when it is dropped.
pub struct Remote<Req, Resp>(Arc<Link<Req, Resp>>);

/// Where those who call the peer and the driver of its connection meet.
pub struct Link<Req, Resp> {
    state: Mutex<LinkState<Req, Resp>>,
    driver: AtomicWaker,
}

struct LinkState<Req, Resp> {
    channel: Option<client::Channel<Req, Resp>>,
    /// Not yet taken by the driver.
    calling: Option<Calling<Req, Resp>>,
    /// Nobody can begin to call any more.
    closed: bool,
    /// The connection is gone.
    ended: bool,
}

impl<Req, Resp> Link<Req, Resp> {
    fn state(&self) -> MutexGuard<'_, LinkState<Req, Resp>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Req: Serialize, Resp> Remote<Req, Resp> {
    pub fn new() -> Remote<Req, Resp> {
        let state = LinkState { channel: None, calling: None, closed: false, ended: false };
        Remote(Arc::new(Link { state: Mutex::new(state), driver: AtomicWaker::new() }))
    }

    /// For the driver.
    pub fn link(&self) -> Arc<Link<Req, Resp>> {
        Arc::clone(&self.0)
    }

    /// For calls, among frames that may also be answers of type `Answered`.
    pub fn channel<Answered: Serialize>(&self) -> client::Channel<Req, Resp> {
        let mut state = self.0.state();
        if let Some(channel) = &state.channel {
            return channel.clone();
        }
        let (lane, port) = lane(encode_call::<Req, Answered>);
        let mut config = client::Config::default();
        config.max_in_flight_requests = MAX_CALLS;
        config.pending_request_buffer = QUEUE;
        let new = client::new(config, lane);
        // Without a connection the calls fail at once, since nobody takes them.
        if !state.ended {
            state.calling = Some(Calling { dispatch: Box::pin(new.dispatch), port });
        }
        state.channel = Some(new.client.clone());
        drop(state);
        self.0.driver.wake();
        new.client
    }
}

impl<Req, Resp> Drop for Remote<Req, Resp> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        state.channel = None;
        drop(state);
        self.0.driver.wake();
    }
}

struct Driver<S, Req, Resp, CallReq, CallResp, Start, F> {
    transport: Transport<S>,
    start: Start,
    serving: Option<Box<Serving<Req, Resp, F>>>,
    link: Arc<Link<CallReq, CallResp>>,
    calling: Option<Calling<CallReq, CallResp>>,
    closing: bool,
}

impl<S, Req, Resp, CallReq, CallResp, Start, F> Drop
    for Driver<S, Req, Resp, CallReq, CallResp, Start, F>
{
    fn drop(&mut self) {
        let mut state = self.link.state();
        state.ended = true;
        state.calling = None;
    }
}

/// Drives a connection to its end. `start` begins to work on a call of the peer.
pub fn drive<S, Req, Resp, CallReq, CallResp, Start, F>(
    transport: Transport<S>,
    start: Start,
    link: Arc<Link<CallReq, CallResp>>,
) -> impl Future<Output = Result<(), Ended>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    Req: DeserializeOwned,
    Resp: Serialize,
    CallReq: Serialize,
    CallResp: DeserializeOwned,
    Start: Fn(Incoming<Req, Resp>) -> F,
    F: Future<Output = ()>,
{
    let mut driver =
        Driver { transport, start, serving: None, link, calling: None, closing: false };
    // Also a connection that is never driven ends when this is dropped.
    async move { poll_fn(|cx| driver.poll(cx)).await }
}

impl<S, Req, Resp, CallReq, CallResp, Start, F> Driver<S, Req, Resp, CallReq, CallResp, Start, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    Req: DeserializeOwned,
    Resp: Serialize,
    CallReq: Serialize,
    CallResp: DeserializeOwned,
    Start: Fn(Incoming<Req, Resp>) -> F,
    F: Future<Output = ()>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        while !self.closing {
            self.link.driver.register(cx.waker());
            let mut progress = self.adopt();
            if self.can_read() {
                match Pin::new(&mut self.transport).poll_next(cx) {
                    Poll::Ready(Some(frame)) => {
                        self.sort(codec::decode(&frame?)?);
                        progress = true;
                    }
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Pending => {}
                }
            }
            progress |= self.serve(cx)?;
            progress |= self.call(cx)?;
            progress |= self.write(cx)?;
            self.rest();
            if !progress && !self.closing {
                return Poll::Pending;
            }
        }
        ready!(Pin::new(&mut self.transport).poll_close(cx))?;
        Poll::Ready(Ok(()))
    }

    /// Takes over the calls to the peer, or notices that there will not be any.
    fn adopt(&mut self) -> bool {
        if self.calling.is_some() {
            return false;
        }
        let mut state = self.link.state();
        self.calling = state.calling.take();
        self.closing = self.calling.is_none() && state.closed;
        self.calling.is_some()
    }

    /// Nothing more is read while what was read is not taken or what it leads to cannot be written: the
    /// peer waits, not our memory.
    fn can_read(&self) -> bool {
        self.transport.has_room()
            && self.serving.as_ref().is_none_or(|serving| serving.port.is_free())
            && self.calling.as_ref().is_none_or(|calling| calling.port.is_free())
    }

    /// Gives a frame to the direction it belongs to.
    fn sort(&mut self, frame: Frame<Req, CallResp>) {
        match frame {
            Frame::Request { id, limit_ms, call } => {
                // The peer's limit is bounded before tarpc sees it, which would trust it.
                let context = deadline(Duration::from_millis(limit_ms.into()));
                let request = Request { context, id, message: call };
                let serving = self.serving.get_or_insert_with(|| Serving::new::<CallReq>());
                serving.port.put(ClientMessage::Request(request));
            }
            Frame::Cancel { id: request_id } => {
                if let Some(serving) = &self.serving {
                    let trace_context = trace::Context::default();
                    serving.port.put(ClientMessage::Cancel { trace_context, request_id });
                }
            }
            Frame::Response { id: request_id, answer } => {
                if let Some(calling) = &self.calling {
                    let refused = |why| ServerError::new(io::ErrorKind::Other, why);
                    let message = answer.map_err(refused);
                    calling.port.put(Response { request_id, message });
                }
            }
        }
    }

    /// Works on calls of the peer.
    fn serve(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let Some(serving) = &mut self.serving else { return Ok(false) };
        let mut progress = false;
        while let Poll::Ready(Some(request)) = serving.requests.as_mut().poll_next(cx) {
            let request = request.map_err(|error| Ended::Broken(io::Error::other(error)))?;
            let handler = AssertUnwindSafe((self.start)(request)).catch_unwind();
            serving.handlers.push(handler);
            progress = true;
        }
        while let Poll::Ready(Some(done)) = serving.handlers.poll_next_unpin(cx) {
            done.map_err(|panic| Ended::Panicked { why: text_of(&*panic) })?;
            progress = true;
        }
        Ok(progress)
    }

    /// Moves calls to the peer on.
    fn call(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let Some(calling) = &mut self.calling else { return Ok(false) };
        match calling.dispatch.as_mut().poll(cx) {
            Poll::Pending => Ok(false),
            // Everybody who could call is gone.
            Poll::Ready(Ok(())) => {
                self.closing = true;
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(Ended::Broken(io::Error::other(error))),
        }
    }

    /// Writes what tarpc has for the peer.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        let mut progress = false;
        while self.transport.has_room() {
            let answer = self.serving.as_ref().and_then(|serving| serving.port.take());
            let call = || self.calling.as_ref().and_then(|calling| calling.port.take());
            let Some(frame) = answer.or_else(call) else { break };
            Pin::new(&mut self.transport).start_send(frame)?;
            progress = true;
        }
        let was_full = !self.transport.has_room();
        if let Poll::Ready(done) = Pin::new(&mut self.transport).poll_flush(cx) {
            done?;
        }
        Ok(progress || was_full && self.transport.has_room())
    }

    /// Lets go of tarpc's state when no call of the peer is left.
    fn rest(&mut self) {
        let idle = |serving: &Serving<Req, Resp, F>| {
            serving.handlers.is_empty()
                && serving.port.is_empty()
                && serving.requests.channel().in_flight_requests() == 0
        };
        if self.serving.as_deref().is_some_and(idle) {
            self.serving = None;
        }
    }
}

impl<Req, Resp: Serialize, F: Future<Output = ()>> Serving<Req, Resp, F> {
    fn new<CallReq: Serialize>() -> Box<Serving<Req, Resp, F>> {
        let (lane, port) = lane(encode_answer::<CallReq, Resp>);
        let config = server::Config { pending_response_buffer: QUEUE };
        let channel = BaseChannel::new(config, lane).max_concurrent_requests(MAX_SERVED);
        let requests = Box::pin(channel.requests());
        Box::new(Serving { requests, port, handlers: FuturesUnordered::new() })
    }
}

fn encode_call<Req: Serialize, Resp: Serialize>(
    message: ClientMessage<Req>,
) -> io::Result<Vec<u8>> {
    let frame = match message {
        ClientMessage::Request(Request { context, id, message: call }) => {
            let left = context.deadline.saturating_duration_since(Instant::now());
            let limit_ms = left.min(MAX_DEADLINE).as_millis() as u32;
            Frame::<Req, Resp>::Request { id, limit_ms, call }
        }
        ClientMessage::Cancel { request_id: id, .. } => Frame::Cancel { id },
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    codec::encode(&frame, MAX_FRAME_BYTES)
}

/// An answer that is too long fails alone: the caller gets the reason instead.
fn encode_answer<Req: Serialize, Resp: Serialize>(response: Response<Resp>) -> io::Result<Vec<u8>> {
    let id = response.request_id;
    let answer = response.message.map_err(|error| error.detail);
    let whole = codec::encode(&Frame::<Req, Resp>::Response { id, answer }, MAX_FRAME_BYTES);
    whole.or_else(|error| {
        let answer = Err(error.to_string());
        codec::encode(&Frame::<Req, Resp>::Response { id, answer }, MAX_FRAME_BYTES)
    })
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}
