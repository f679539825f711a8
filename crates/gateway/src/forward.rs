//! Sending a call to its service: which connection, how often, how long.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use crate::answer::Answer;
use crate::bodies::{Broken, Meter, MeterState, RequestBody};
use crate::capture::{CLIENT_ABORTED, CLIENT_LEFT, Recorder};
use crate::headers::{Attempt, address_for, destination, for_service};
use crate::snapshot::Service;
use crate::upstream::{Checkout, Connection, Destination, Failure};

/// A service's answer, of which the body is still to come.
pub(crate) struct Forwarded {
    pub(crate) response: Response<Incoming>,
    /// The connection to give back when the body has ended, if it carries one call at a time.
    pub(crate) lease: Option<(Destination, SendRequest<RequestBody>)>,
}

/// Where a call goes on.
pub(crate) struct Onward {
    pub(crate) path: PathAndQuery,
    /// The part of the path that was taken off.
    pub(crate) stripped: Option<String>,
    pub(crate) upgrade: bool,
}

/// A used connection may have been closed at the other end a moment ago; so often another used one is tried before
/// a new one is opened. Such tries do not count as retries.
const STALE_TRIES: u32 = 2;

/// Sends the call on, again if that fails and is harmless, and waits for the head of the answer.
pub(crate) async fn forward(
    recorder: &mut Recorder,
    body: RequestBody,
    onward: &Onward,
) -> Result<Forwarded, Box<Answer>> {
    let snapshot = Rc::clone(&recorder.call.snapshot);
    let bucketed = recorder.call.bucketed.clone();
    let (found, service) = match &bucketed {
        Some(bucketed) => (Some(&bucketed.route), Some(&bucketed.service)),
        None => {
            let found = recorder.call.route.and_then(|index| snapshot.routes.get(index));
            (found, found.and_then(|route| snapshot.services.get(route.service?)))
        }
    };
    let (Some(route), Some(service)) = (found, service) else {
        let message = "no Service found with those values";
        return Err(Answer::message(StatusCode::SERVICE_UNAVAILABLE, message).into());
    };
    recorder.handed_off();
    let mut body = Some(body);
    let (mut retries, mut stale) = (0, 0);
    loop {
        let target = match &service.upstream {
            None => None,
            Some(upstream) => Some(upstream.pick().ok_or_else(no_target)?),
        };
        let destination = destination(service, target);
        let used = (stale < STALE_TRIES)
            .then(|| recorder.connection.worker.upstreams.take(&destination, onward.upgrade))
            .flatten();
        let was_used = used.is_some();
        let failure = match connect(recorder, used, &destination, service, onward.upgrade).await {
            Err(failure) => failure,
            Ok(mut connection) => {
                let attempt = Attempt {
                    service,
                    route,
                    target,
                    path: &onward.path,
                    stripped: onward.stripped.as_deref(),
                    http2: matches!(connection, Connection::Http2(_)),
                    upgrade: onward.upgrade,
                };
                let request = request(recorder, &attempt, body.take().unwrap_or_else(RequestBody::empty))?;
                match send(recorder, &mut connection, request, service).await {
                    Ok(response) => {
                        recorder.first_byte();
                        return Ok(leased(response, destination, connection));
                    }
                    Err((failure, unsent)) => {
                        body = unsent;
                        if was_used && (body.is_some() || repeatable(recorder)) && !failure.is_timeout() {
                            stale += 1;
                            continue;
                        }
                        failure
                    }
                }
            }
        };
        let untouched = body.is_some() || repeatable(recorder);
        if !untouched || retries >= service.retries || matches!(failure, Failure::Unresolved) {
            return Err(answer_to(&failure, recorder).into());
        }
        retries += 1;
        tracing::debug!(%failure, retries, service = &**service.label(), "trying again");
    }
}

/// Whether sending the request twice does no harm, and can be done: it has no body that is gone.
fn repeatable(recorder: &Recorder) -> bool {
    let method = &recorder.call.request.method;
    let idempotent = [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE];
    recorder.request_body.is_none() && idempotent.contains(method)
}

async fn connect(
    recorder: &mut Recorder,
    used: Option<Connection>,
    destination: &Destination,
    service: &Service,
    upgrade: bool,
) -> Result<Connection, Failure> {
    if let Some(connection) = used {
        return Ok(connection);
    }
    let worker = Rc::clone(&recorder.connection.worker);
    let Checkout { connection, opened } =
        worker.upstreams.open(destination, service.connect_timeout, upgrade).await?;
    if let Some(times) = opened {
        recorder.opened(times);
    }
    Ok(connection)
}

fn request(
    recorder: &Recorder,
    attempt: &Attempt<'_>,
    body: RequestBody,
) -> Result<Request<RequestBody>, Box<Answer>> {
    let call = &recorder.call;
    let mut request = Request::new(body);
    *request.method_mut() = call.request.method.clone();
    *request.uri_mut() = address_for(call, attempt)
        .ok_or_else(|| Answer::standard(StatusCode::BAD_REQUEST).with_error("client.bad_request"))?;
    *request.headers_mut() = for_service(&recorder.connection, call, attempt);
    Ok(request)
}

/// Sends the request and waits for the head of the answer. The body comes back when nothing of the request was sent.
async fn send(
    recorder: &Recorder,
    connection: &mut Connection,
    request: Request<RequestBody>,
    service: &Service,
) -> Result<Response<Incoming>, (Failure, Option<RequestBody>)> {
    let meter = recorder.request_body.clone();
    let sending = connection.send(request);
    let body_timeout = recorder.connection.worker.common.settings.body_timeout;
    let sent = match within(sending, service, body_timeout, meter.as_deref()).await {
        Ok(sent) => sent,
        Err(failure) => return Err((failure, None)),
    };
    sent.map_err(|(error, unsent)| {
        let failed = meter.is_some_and(|meter| matches!(meter.state(), MeterState::Failed(_)));
        let failure = if failed { Failure::RequestBody } else { Failure::Exchange(error) };
        (failure, unsent.map(Request::into_body))
    })
}

/// Waits for the answer as long as the service's timeouts allow. While the request's body is still passing, time only
/// runs when nothing passes, against the service or the client, whoever is waited for.
async fn within<T>(
    sending: impl Future<Output = T>,
    service: &Service,
    body_timeout: Duration,
    meter: Option<&Meter>,
) -> Result<T, Failure> {
    let mut sending = pin!(sending);
    let Some(meter) = meter else {
        let answered = tokio::time::timeout(service.read_timeout, sending).await;
        return answered.map_err(|_| Failure::ReadTimeout);
    };
    let (mut state, mut since) = (meter.state(), Instant::now());
    loop {
        if state != meter.state() {
            (state, since) = (meter.state(), Instant::now());
        }
        let (limit, failure) = match state {
            MeterState::Ended | MeterState::Failed(_) => (service.read_timeout, Failure::ReadTimeout),
            MeterState::Sending => (service.write_timeout, Failure::WriteTimeout),
            MeterState::Receiving => (body_timeout, Failure::RequestBody),
        };
        since = since.max(meter.last_progress());
        let left = limit.saturating_sub(since.elapsed());
        if left.is_zero() {
            if matches!(failure, Failure::RequestBody) {
                meter.gave_up();
            }
            return Err(failure);
        }
        // Looks again after a while even if the limit is longer, because the state may change without waking us.
        if let Ok(answered) = tokio::time::timeout(left.min(Duration::from_secs(1)), sending.as_mut()).await {
            return Ok(answered);
        }
    }
}

fn leased(response: Response<Incoming>, destination: Destination, connection: Connection) -> Forwarded {
    let lease = match connection {
        Connection::Http1(sender) => Some((destination, sender)),
        Connection::Http2(_) => None,
    };
    Forwarded { response, lease }
}

fn no_target() -> Answer {
    let message = "failure to get a peer from the ring-balancer";
    Answer::message(StatusCode::SERVICE_UNAVAILABLE, message).with_error("upstream.no_target")
}

impl Failure {
    fn is_timeout(&self) -> bool {
        matches!(self, Self::ReadTimeout | Self::WriteTimeout | Self::ConnectTimeout)
    }

    /// `error.type` of the record.
    fn kind(&self) -> &'static str {
        match self {
            Self::Unresolved => "upstream.name_resolution",
            Self::Connect(_) => "upstream.connect",
            Self::ConnectTimeout => "upstream.connect_timeout",
            Self::Tls(_) => "upstream.tls",
            Self::Handshake(_) => "upstream.protocol",
            Self::Exchange(error) if error.is_parse() => "upstream.invalid_response",
            Self::Exchange(_) => "upstream.closed",
            Self::ReadTimeout => "upstream.timeout",
            Self::WriteTimeout => "upstream.write_timeout",
            Self::RequestBody => CLIENT_ABORTED,
        }
    }
}

/// What the client is told.
fn answer_to(failure: &Failure, recorder: &Recorder) -> Answer {
    tracing::debug!(%failure, "call failed");
    let status = match failure {
        Failure::Unresolved => {
            return Answer::message(StatusCode::SERVICE_UNAVAILABLE, "name resolution failed")
                .with_error(failure.kind());
        }
        Failure::RequestBody => return answer_to_broken_body(recorder),
        _ if failure.is_timeout() => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    Answer::standard(status).with_error(failure.kind())
}

pub(crate) fn answer_to_broken_body(recorder: &Recorder) -> Answer {
    let state = recorder.request_body.as_ref().map(|meter| meter.state());
    let (status, error) = match state {
        Some(MeterState::Failed(Broken::TooSlow)) => (StatusCode::REQUEST_TIMEOUT, "client.timeout"),
        Some(MeterState::Failed(Broken::Malformed)) => (StatusCode::BAD_REQUEST, "client.bad_request"),
        _ => (StatusCode::from_u16(CLIENT_LEFT).unwrap_or(StatusCode::BAD_REQUEST), CLIENT_ABORTED),
    };
    Answer::standard(status).with_error(error).closing()
}
