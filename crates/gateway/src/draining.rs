//! Telling the connections of a worker to end in an orderly way.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Waker;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use crate::bodies::ResponseBody;
use crate::framing::Shared;
use crate::upstream::LocalExecutor;

/// The open connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Draining {
    on: Cell<bool>,
    open: Cell<usize>,
    next: Cell<u64>,
    waiting: RefCell<HashMap<u64, Waker>>,
    began: Notify,
    all_closed: Notify,
}

/// Counts one open connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct Open(Rc<Draining>);

impl Draining {
    /// A connection was opened.
    pub(crate) fn open(self: &Rc<Self>) -> Open {
        self.open.set(self.open.get() + 1);
        Open(Rc::clone(self))
    }

    /// Asks all connections to end with the answers they are giving.
    pub(crate) fn start(&self) {
        self.on.set(true);
        self.began.notify_waiters();
        for (_, waker) in self.waiting.borrow_mut().drain() {
            waker.wake();
        }
    }

    /// Waits until connections are asked to end.
    pub(crate) async fn started(&self) {
        let began = self.began.notified();
        if !self.on.get() {
            began.await;
        }
    }

    /// Waits until there is no connection.
    pub(crate) async fn closed(&self) {
        while self.open.get() > 0 {
            self.all_closed.notified().await;
        }
    }

    fn register(&self, waker: Waker) -> u64 {
        let id = self.next.get();
        self.next.set(id + 1);
        self.waiting.borrow_mut().insert(id, waker);
        id
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        if self.0.open.get() == 0 {
            self.0.all_closed.notify_waiters();
            self.0.all_closed.notify_one();
        }
    }
}

/// A connection of the library that can be asked to end.
pub(crate) trait Graceful: Future<Output = hyper::Result<()>> {
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<I, S> Graceful for http1::UpgradeableConnection<TokioIo<I>, S>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = ResponseBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S> Graceful for http2::Connection<TokioIo<I>, S, LocalExecutor>
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    S: HttpService<Incoming, ResBody = ResponseBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: 'static,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Runs a connection to its end, asking it to end when the worker drains or it was idle for too long.
pub(crate) async fn drive(
    connection: impl Graceful,
    draining: &Draining,
    shared: &Shared,
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    let mut asked = false;
    let mut registered = None;
    let ended = poll_fn(|cx| {
        if registered.is_none() {
            registered = Some(draining.register(cx.waker().clone()));
        }
        // A request that has arrived is read before the connection is asked to end, so it is still answered.
        let polled = connection.as_mut().poll(cx);
        if polled.is_pending() && !asked && (draining.on.get() || shared.expired()) {
            asked = true;
            connection.as_mut().graceful_shutdown();
            return connection.as_mut().poll(cx);
        }
        polled
    })
    .await;
    if let Some(id) = registered {
        draining.waiting.borrow_mut().remove(&id);
    }
    ended
}
