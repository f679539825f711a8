//! Connections to services: a worker's own pool, so that nothing is shared between threads.
//!
//! HTTP/1.1 connections carry one call at a time and rest in the pool in between, the most recently used on top. An
//! HTTP/2 connection carries many calls and is shared until it closes.

mod connect;
mod dns;
mod tls;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioTimer;

pub(crate) use connect::ConnectTimes;
use dns::Resolver;
pub(crate) use tls::ClientTls;

use crate::bodies::RequestBody;
use crate::settings::UpstreamSettings;
use crate::snapshot::UpstreamProtocol;

/// Where connections are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    pub(crate) protocol: UpstreamProtocol,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    pub(crate) tls_verify: bool,
}

/// Why there is no connection, or no answer on it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the name does not resolve")]
    Unresolved,
    #[error("not connected: {0}")]
    Connect(#[source] io::Error),
    #[error("not connected in time")]
    ConnectTimeout,
    #[error("TLS failed: {0}")]
    Tls(#[source] io::Error),
    #[error("HTTP not spoken: {0}")]
    Handshake(#[source] hyper::Error),
    #[error("no answer: {0}")]
    Exchange(#[source] hyper::Error),
    #[error("no answer in time")]
    ReadTimeout,
    #[error("the request was not taken in time")]
    WriteTimeout,
    #[error("the request's body broke off")]
    RequestBody,
}

/// A connection on which one call can be sent.
pub(crate) enum Connection {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

/// A connection taken from the pool or opened.
pub(crate) struct Checkout {
    pub(crate) connection: Connection,
    /// What opening it took; `None` when it was used before.
    pub(crate) opened: Option<ConnectTimes>,
}

struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: Instant,
}

/// Connections of one worker.
pub(crate) struct Pool {
    settings: UpstreamSettings,
    resolver: Resolver,
    tls: Arc<ClientTls>,
    idle: RefCell<HashMap<Destination, Vec<Idle>>>,
    shared: RefCell<HashMap<Destination, http2::SendRequest<RequestBody>>>,
}

impl Pool {
    pub(crate) fn new(settings: UpstreamSettings, tls: Arc<ClientTls>) -> Self {
        let resolver = Resolver::new(settings.dns_ttl);
        Self { settings, resolver, tls, idle: RefCell::default(), shared: RefCell::default() }
    }

    /// A connection that was used before and is free now. `upgrade`: it must be HTTP/1.1.
    pub(crate) fn take(&self, destination: &Destination, upgrade: bool) -> Option<Connection> {
        if destination.protocol != UpstreamProtocol::Http && !upgrade {
            let mut shared = self.shared.borrow_mut();
            match shared.get(destination) {
                Some(sender) if !sender.is_closed() => return Some(Connection::Http2(sender.clone())),
                Some(_) => drop(shared.remove(destination)),
                None => {}
            }
        }
        let mut idle = self.idle.borrow_mut();
        let resting = idle.get_mut(destination)?;
        let mut busy = None;
        let found = loop {
            let Some(candidate) = resting.pop() else { break None };
            if candidate.sender.is_closed() || candidate.since.elapsed() > self.settings.idle_timeout {
                continue;
            }
            if candidate.sender.is_ready() {
                break Some(candidate.sender);
            }
            // Its last answer was read a moment ago and it has not noticed yet.
            if busy.is_some() {
                resting.push(candidate);
                break None;
            }
            busy = Some(candidate);
        };
        resting.extend(busy);
        found.map(Connection::Http1)
    }

    /// Puts a connection back whose answer was read to its end.
    pub(crate) fn give_back(&self, destination: Destination, sender: http1::SendRequest<RequestBody>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let resting = idle.entry(destination).or_default();
        if resting.len() < self.settings.max_idle {
            resting.push(Idle { sender, since: Instant::now() });
        }
    }

    /// Opens a connection.
    pub(crate) async fn open(
        &self,
        destination: &Destination,
        limit: Duration,
        upgrade: bool,
    ) -> Result<Checkout, Failure> {
        let opening = self.open_unlimited(destination, upgrade);
        tokio::time::timeout(limit, opening).await.unwrap_or(Err(Failure::ConnectTimeout))
    }

    async fn open_unlimited(&self, destination: &Destination, upgrade: bool) -> Result<Checkout, Failure> {
        let offer = self.settings.http2 && !upgrade;
        let opened = connect::open(destination, &self.resolver, &self.tls, offer).await?;
        let http2 =
            opened.http2 || matches!(destination.protocol, UpstreamProtocol::Grpc | UpstreamProtocol::Grpcs);
        let connection = if http2 {
            let (sender, connection) = http2::Builder::new(LocalExecutor)
                .timer(TokioTimer::new())
                .initial_stream_window_size(1024 * 1024)
                .initial_connection_window_size(4 * 1024 * 1024)
                .handshake(opened.io)
                .await
                .map_err(Failure::Handshake)?;
            tokio::task::spawn_local(log_end(connection));
            self.shared.borrow_mut().insert(destination.clone(), sender.clone());
            Connection::Http2(sender)
        } else {
            let (sender, connection) =
                http1::Builder::new().handshake(opened.io).await.map_err(Failure::Handshake)?;
            tokio::task::spawn_local(log_end(connection.with_upgrades()));
            Connection::Http1(sender)
        };
        Ok(Checkout { connection, opened: Some(opened.times) })
    }

    /// Closes connections that have rested for too long. Called now and then.
    pub(crate) fn sweep(&self) {
        let limit = self.settings.idle_timeout;
        self.idle.borrow_mut().retain(|_, resting| {
            resting.retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() <= limit);
            !resting.is_empty()
        });
        self.shared.borrow_mut().retain(|_, sender| !sender.is_closed());
    }

    /// Closes everything that rests.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.shared.borrow_mut().clear();
    }
}

impl Connection {
    /// Sends a request; an unsent one comes back with the failure.
    pub(crate) async fn send(
        &mut self,
        request: http::Request<RequestBody>,
    ) -> Result<http::Response<Incoming>, (hyper::Error, Option<http::Request<RequestBody>>)> {
        let sent = match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut error| {
            let unsent = error.take_message();
            (error.into_error(), unsent)
        })
    }
}

async fn log_end(connection: impl Future<Output = hyper::Result<()>>) {
    if let Err(error) = connection.await {
        tracing::trace!(%error, "connection to a service ended");
    }
}

/// Runs the library's tasks on the worker's own thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
