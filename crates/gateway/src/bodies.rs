//! Bodies on their way: passed on piece by piece, measured, never gathered.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use weir_pipeline::record::{Side, Writer};

use crate::capture::{BodyCopy, CallSecrets, Recorder, Share, write_trailers};
use crate::plugins::Phases;
use crate::timer::{Timer, Waiting};
use crate::upstream::Destination;
use crate::worker::Worker;

/// Why a body broke off. The connection ends with it.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request, on its way to a service.
pub(crate) struct RequestBody(Option<FromClient>);

struct FromClient {
    incoming: Incoming,
    meter: Rc<Meter>,
    ahead: Option<Ahead>,
}

/// What was taken from a client before it was passed on.
struct Ahead {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
    /// Whether that is all.
    ended: bool,
    /// Whether the client gave the length, so that the service is given it too.
    sized: bool,
    _share: Share,
}

/// What passed of a request's body. Shared by the body, which lives with the service's connection, and the recorder.
pub(crate) struct Meter {
    worker: Rc<Worker>,
    size: Cell<u64>,
    state: Cell<MeterState>,
    last_progress: Cell<Instant>,
    copy: RefCell<Option<BodyCopy>>,
    trailers: RefCell<Option<HeaderMap>>,
}

/// How far a request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MeterState {
    /// The service has not taken what is there.
    Sending,
    /// The client has not sent more yet.
    Receiving,
    /// All of it was passed on.
    Ended,
    /// It broke off: the client left or took too long, or broke the rules.
    Failed(Broken),
}

/// How a request's body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    Left,
    TooSlow,
    Malformed,
}

impl Meter {
    pub(crate) fn new(worker: Rc<Worker>, copy: Option<BodyCopy>) -> Rc<Self> {
        Rc::new(Self {
            worker,
            size: Cell::new(0),
            state: Cell::new(MeterState::Sending),
            last_progress: Cell::new(Instant::now()),
            copy: RefCell::new(copy),
            trailers: RefCell::default(),
        })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.get()
    }

    pub(crate) fn state(&self) -> MeterState {
        self.state.get()
    }

    /// The client took too long.
    pub(crate) fn gave_up(&self) {
        self.state.set(MeterState::Failed(Broken::TooSlow));
    }

    pub(crate) fn last_progress(&self) -> Instant {
        self.last_progress.get()
    }

    fn saw(&self, frame: &Frame<Bytes>) {
        self.last_progress.set(Instant::now());
        self.state.set(MeterState::Sending);
        if let Some(piece) = frame.data_ref() {
            self.size.set(self.size.get() + piece.len() as u64);
            if let Some(copy) = &mut *self.copy.borrow_mut() {
                copy.add(piece, &self.worker.slot);
            }
        } else if let Some(trailers) = frame.trailers_ref() {
            *self.trailers.borrow_mut() = Some(trailers.clone());
        }
    }

    /// Keeps less than what was asked for before the caller was known.
    pub(crate) fn keep_at_most(&self, bytes: usize) {
        if let Some(copy) = &mut *self.copy.borrow_mut() {
            copy.keep_at_most(bytes);
        }
    }

    /// Writes what was kept to the record.
    pub(crate) fn write(&self, writer: &mut Writer<'_>, secrets: &CallSecrets<'_>) {
        writer.body_size(Side::Request, self.size.get());
        if let Some(copy) = &*self.copy.borrow() {
            let (bytes, end) = copy.kept(self.state.get() == MeterState::Ended);
            if !bytes.is_empty() {
                writer.body(Side::Request, bytes);
            }
            writer.body_end(Side::Request, end);
        }
        if let Some(trailers) = &*self.trailers.borrow() {
            write_trailers(writer, Side::Request, trailers, secrets);
        }
    }
}

impl RequestBody {
    /// No body.
    pub(crate) fn empty() -> Self {
        Self(None)
    }

    /// The body of the client's request.
    pub(crate) fn new(incoming: Incoming, meter: Rc<Meter>) -> Self {
        Self(Some(FromClient { incoming, meter, ahead: None }))
    }

    /// Takes in as much as there is, to be looked at and passed on later. Gives the body, or nothing when there is none, when
    /// it is longer than `limit`, or when no memory is left for it. An error when the client broke off, or sent nothing for
    /// `patience`; the meter then says which.
    pub(crate) async fn look_ahead(
        &mut self,
        limit: usize,
        patience: Duration,
    ) -> Result<Option<Bytes>, Failed> {
        let Some(client) = &mut self.0 else { return Ok(None) };
        if client.ahead.is_none() {
            let size = client.incoming.size_hint();
            let most = size.upper().and_then(|most| usize::try_from(most).ok()).unwrap_or(limit).min(limit);
            if size.lower() > limit as u64 {
                return Ok(None);
            }
            let Some(share) = client.meter.worker.budget.share(most) else { return Ok(None) };
            client.ahead = Some(client.take_in(limit, patience, share).await?);
        }
        let whole = client.ahead.as_ref().filter(|ahead| ahead.ended && ahead.bytes.len() <= limit);
        Ok(whole.map(|ahead| ahead.bytes.clone()))
    }
}

/// The client's part of a call broke off.
#[derive(Debug)]
pub(crate) struct Failed;

impl FromClient {
    async fn take_in(&mut self, limit: usize, patience: Duration, share: Share) -> Result<Ahead, Failed> {
        let sized = self.incoming.size_hint().exact().is_some();
        let mut ahead = Ahead { bytes: Bytes::new(), trailers: None, ended: false, sized, _share: share };
        let mut gathered = Vec::new();
        while !ahead.ended && gathered.len() <= limit {
            let next = poll_fn(|cx| Pin::new(&mut self.incoming).poll_frame(cx));
            let Ok(next) = tokio::time::timeout(patience, next).await else {
                self.meter.gave_up();
                return Err(Failed);
            };
            match next {
                None => ahead.ended = true,
                Some(Err(error)) => {
                    self.meter.state.set(MeterState::Failed(broken(&error)));
                    return Err(Failed);
                }
                Some(Ok(frame)) => {
                    self.meter.saw(&frame);
                    ahead.ended = frame.is_trailers() || self.incoming.is_end_stream();
                    match frame.into_data() {
                        Ok(piece) => gathered.extend_from_slice(&piece),
                        Err(frame) => ahead.trailers = frame.into_trailers().ok(),
                    }
                }
            }
        }
        ahead.bytes = gathered.into();
        self.meter.state.set(if ahead.ended { MeterState::Ended } else { MeterState::Sending });
        Ok(ahead)
    }

    /// What was taken in, piece by piece; nothing when all of that was passed on.
    fn next_ahead(&mut self) -> Option<Option<Frame<Bytes>>> {
        let ahead = self.ahead.as_mut()?;
        let bytes = std::mem::take(&mut ahead.bytes);
        let frame = if bytes.is_empty() {
            ahead.trailers.take().map(Frame::trailers)
        } else {
            Some(Frame::data(bytes))
        };
        if !ahead.ended && frame.is_none() {
            self.ahead = None;
            return None;
        }
        self.meter.last_progress.set(Instant::now());
        self.meter.state.set(if self.is_end_stream() { MeterState::Ended } else { MeterState::Sending });
        Some(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.ahead {
            Some(ahead) if ahead.ended => ahead.bytes.is_empty() && ahead.trailers.is_none(),
            Some(ahead) if !ahead.bytes.is_empty() => false,
            _ => self.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let Some(ahead) = &self.ahead else { return self.incoming.size_hint() };
        let held = ahead.bytes.len() as u64;
        if ahead.sized && ahead.ended {
            return SizeHint::with_exact(held);
        }
        // A body in chunks goes on in chunks, which its trailers need.
        let rest = if ahead.ended { SizeHint::default() } else { self.incoming.size_hint() };
        let mut whole = SizeHint::new();
        whole.set_lower(rest.lower() + held);
        if let Some(most) = rest.upper() {
            whole.set_upper(most + held);
        }
        whole
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(client) = &mut self.0 else { return Poll::Ready(None) };
        if let Some(frame) = client.next_ahead() {
            return Poll::Ready(frame.map(Ok));
        }
        let FromClient { incoming, meter, .. } = client;
        let polled = Pin::new(&mut *incoming).poll_frame(cx);
        match &polled {
            Poll::Pending => meter.state.set(MeterState::Receiving),
            Poll::Ready(None) => meter.state.set(MeterState::Ended),
            Poll::Ready(Some(Err(error))) => meter.state.set(MeterState::Failed(broken(error))),
            Poll::Ready(Some(Ok(frame))) => {
                meter.saw(frame);
                // Nothing follows trailers, and nobody asks.
                if frame.is_trailers() || incoming.is_end_stream() {
                    meter.state.set(MeterState::Ended);
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(FromClient::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), FromClient::size_hint)
    }
}

fn broken(error: &hyper::Error) -> Broken {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return match io.kind() {
                io::ErrorKind::TimedOut => Broken::TooSlow,
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Broken::Malformed,
                _ => Broken::Left,
            };
        }
        source = cause.source();
    }
    Broken::Left
}

/// An error with the `error.type` of the record.
type BrokenOff = (BodyError, &'static str);

/// The body of an answer, on its way to the client. Dropping it ends the call.
pub(crate) struct ResponseBody {
    source: Source,
    /// `None` when the call goes on after its answer, in another protocol.
    recorder: Option<Box<Recorder>>,
}

enum Source {
    /// Made here.
    Own(Bytes),
    /// From a service.
    Service(Box<FromService>),
    /// Passed on, or broken off.
    Ended,
}

/// The body of a service's answer, with what must happen when it has ended.
pub(crate) struct FromService {
    pub(crate) incoming: Incoming,
    /// The connection to give back, when it carries one call at a time.
    pub(crate) lease: Option<(Destination, SendRequest<RequestBody>)>,
    pub(crate) read_timeout: Duration,
    /// Whether plugins change the body.
    pub(crate) filtered: bool,
    timer: Timer,
}

impl FromService {
    pub(crate) fn new(
        incoming: Incoming,
        lease: Option<(Destination, SendRequest<RequestBody>)>,
        read_timeout: Duration,
        filtered: bool,
    ) -> Box<Self> {
        Box::new(Self { incoming, lease, read_timeout, filtered, timer: Timer::default() })
    }

    /// The next frame, or an error when none came in time.
    fn poll_timely(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.timer.stop();
                Poll::Ready(frame.map(|result| result.map_err(|error| (error.into(), "upstream.closed"))))
            }
            Poll::Pending => {
                ready!(self.timer.poll(cx, Waiting::Answer, self.read_timeout));
                let late = io::Error::from(io::ErrorKind::TimedOut);
                Poll::Ready(Some(Err((late.into(), "upstream.timeout"))))
            }
        }
    }
}

impl ResponseBody {
    /// No body, and a call that does not end with it.
    pub(crate) fn detached() -> Self {
        Self { source: Source::Ended, recorder: None }
    }

    /// A body made here.
    pub(crate) fn own(bytes: Bytes, mut recorder: Box<Recorder>) -> Self {
        recorder.complete = bytes.is_empty();
        let source = if bytes.is_empty() { Source::Ended } else { Source::Own(bytes) };
        Self { source, recorder: Some(recorder) }
    }

    /// The body of a service's answer.
    pub(crate) fn service(source: Box<FromService>, recorder: Box<Recorder>) -> Self {
        let mut body = Self { source: Source::Service(source), recorder: Some(recorder) };
        body.end_if_complete();
        body
    }

    /// When the last byte has come: gives the connection back at once, so that the next call can have it.
    fn end_if_complete(&mut self) {
        if matches!(&self.source, Source::Service(service) if service.incoming.is_end_stream() && !service.filtered)
        {
            self.end();
        }
    }

    fn end(&mut self) {
        let source = std::mem::replace(&mut self.source, Source::Ended);
        let Some(recorder) = &mut self.recorder else { return };
        if let Source::Service(service) = source
            && let Some((destination, sender)) = service.lease
        {
            recorder.connection.worker.upstreams.give_back(destination, sender);
        }
        recorder.complete = true;
    }

    fn passed(&mut self, piece: &Bytes) {
        let Some(recorder) = &mut self.recorder else { return };
        recorder.response_size += piece.len() as u64;
        if let Some(copy) = &mut recorder.response_copy {
            copy.add(piece, &recorder.connection.worker.slot);
        }
    }

    /// Runs the plugins' `body_filter`.
    fn filter(&mut self, mut piece: Bytes, last: bool) -> Bytes {
        let Some(recorder) = &mut self.recorder else { return piece };
        let call = &mut recorder.call;
        let snapshot = Rc::clone(&call.snapshot);
        let consumer = call.consumer.clone();
        let consumer = consumer.as_ref().and_then(|consumer| consumer.id.as_deref());
        for plugin in snapshot.chain(call.route).running(Phases::BODY_FILTER, consumer) {
            piece = plugin.body_filter(call, piece, last);
        }
        piece
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let service = match &mut this.source {
            Source::Ended => return Poll::Ready(None),
            Source::Own(bytes) => {
                let bytes = std::mem::take(bytes);
                this.passed(&bytes);
                this.end();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Source::Service(service) => service,
        };
        let filtered = service.filtered;
        match ready!(service.poll_timely(cx)) {
            None => {
                let rest = if filtered { this.filter(Bytes::new(), true) } else { Bytes::new() };
                this.passed(&rest);
                this.end();
                Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
            }
            Some(Err((error, kind))) => {
                if let Some(recorder) = &mut this.recorder {
                    recorder.error = Some(kind);
                }
                this.source = Source::Ended;
                Poll::Ready(Some(Err(error)))
            }
            Some(Ok(frame)) => Poll::Ready(Some(Ok(match frame.into_data() {
                Ok(piece) => {
                    let piece = if filtered { this.filter(piece, false) } else { piece };
                    this.passed(&piece);
                    this.end_if_complete();
                    Frame::data(piece)
                }
                Err(trailers) => {
                    if let Some(recorder) = &mut this.recorder {
                        recorder.response_trailers = trailers.trailers_ref().cloned();
                    }
                    this.end();
                    trailers
                }
            }))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Ended => SizeHint::with_exact(0),
            Source::Own(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Service(service) if service.filtered => SizeHint::default(),
            Source::Service(service) => service.incoming.size_hint(),
        }
    }
}
