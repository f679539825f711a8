//! The connection that only lets through what passed.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::machine::{Machine, Scan, Seen, Then};
use super::{Limits, REFUSED_HEAD, Refusal};
use crate::timer::{Timer, Waiting};

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Between two requests.
    pub(crate) idle: Duration,
    /// For a whole request head, from its first byte.
    pub(crate) head: Duration,
    /// Between two pieces of a request body.
    pub(crate) body: Duration,
    /// Until it takes more of an answer.
    pub(crate) write: Duration,
}

/// What the connection and those who answer its requests tell each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Heads that passed (or were refused), in order, not yet taken by a request.
    seen: Mutex<VecDeque<(Instant, Seen)>>,
    /// Requests whose answers have not ended.
    active: AtomicU32,
    /// One of `UNDECIDED`, `STAY`, `CHANGE`.
    protocol: AtomicU8,
    paused: Mutex<Option<Waker>>,
    /// The connection was idle for too long and should end in an orderly way.
    expired: AtomicBool,
}

const UNDECIDED: u8 = 0;
const STAY: u8 = 1;
const CHANGE: u8 = 2;

impl Shared {
    /// What was seen of the request that is answered next, and when its first byte came.
    pub(crate) fn take_seen(&self) -> Option<(Instant, Seen)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// An answer is being worked on.
    pub(crate) fn begin(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// An answer has ended.
    pub(crate) fn end(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    /// Decides a request for another protocol.
    pub(crate) fn decide(&self, change: bool) {
        self.protocol.store(if change { CHANGE } else { STAY }, Ordering::Release);
        if let Some(waker) = self.paused.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }

    /// Whether the connection was idle for too long.
    pub(crate) fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    fn push(&self, at: Instant, seen: Seen) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push_back((at, seen));
    }
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Guarded<T> {
    inner: T,
    shared: Arc<Shared>,
    mode: Mode,
    /// Passed, but not yet read by the library.
    passed: BytesMut,
    /// Not yet judged, because the head they belong to is not complete.
    held: BytesMut,
    /// When the first of the held bytes came.
    held_since: Instant,
    waits: Waits,
    read_timer: Timer,
    write_timer: Timer,
    /// What the reader is told once it has read what passed.
    broken: Option<Refusal>,
    /// Whether the client may still be sending what nobody will read.
    linger: bool,
    lingered: usize,
}

#[derive(Debug)]
enum Mode {
    Http1(Machine),
    /// HTTP/2, or another protocol after an upgrade.
    Raw {
        timed: bool,
    },
}

/// After a refusal, so much of what the client still sends is thrown away before the connection is closed, so that the
/// answer is not lost in a reset.
const LINGER_BYTES: usize = 256 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

impl<T> Guarded<T> {
    /// A connection that speaks HTTP/1, of which `first` was already read.
    pub(crate) fn http1(inner: T, first: BytesMut, limits: Limits, waits: Waits) -> Self {
        let mut guarded = Self::new(inner, Mode::Http1(Machine::new(limits)), waits);
        guarded.held = first;
        guarded
    }

    /// A connection that speaks HTTP/2, of which `first` was already read.
    pub(crate) fn http2(inner: T, first: BytesMut, waits: Waits) -> Self {
        let mut guarded = Self::new(inner, Mode::Raw { timed: true }, waits);
        guarded.passed = first;
        guarded
    }

    fn new(inner: T, mode: Mode, waits: Waits) -> Self {
        Self {
            inner,
            shared: Arc::default(),
            mode,
            passed: BytesMut::new(),
            held: BytesMut::new(),
            held_since: Instant::now(),
            waits,
            read_timer: Timer::default(),
            write_timer: Timer::default(),
            broken: None,
            linger: false,
            lingered: 0,
        }
    }

    /// What this connection and its requests share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Follows the held bytes; those that pass are ready to be read.
    fn scan_held(&mut self) {
        let Mode::Http1(machine) = &mut self.mode else { return };
        let (shared, since) = (&self.shared, self.held_since);
        let scan = machine.scan(&self.held, |seen| shared.push(since, seen));
        let passed = self.held.split_to(scan.pass);
        if scan.pass > 0 {
            self.read_timer.stop();
        }
        if self.passed.is_empty() {
            self.passed = passed
        } else {
            self.passed.extend_from_slice(&passed)
        }
        self.conclude(scan.then);
    }

    /// Follows bytes that lie in the reader's buffer; what does not pass is taken out of it.
    fn scan_read(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let Mode::Http1(machine) = &mut self.mode else { return };
        let now = Instant::now();
        let shared = &self.shared;
        let Scan { pass, then } = machine.scan(&buf.filled()[start..], |seen| shared.push(now, seen));
        if start + pass < buf.filled().len() {
            self.held.extend_from_slice(&buf.filled()[start + pass..]);
            self.held_since = now;
            buf.set_filled(start + pass);
        }
        self.conclude(then);
    }

    fn conclude(&mut self, then: Then) {
        match then {
            Then::Nothing | Then::Wait => {}
            Then::RefuseHead(_) => self.refuse(),
            Then::BreakBody(refusal) => {
                self.linger = true;
                self.held.clear();
                self.broken = Some(refusal);
            }
        }
    }

    /// Gives the library a head that stands for the refused one.
    fn refuse(&mut self) {
        self.linger = true;
        self.held.clear();
        self.passed.extend_from_slice(REFUSED_HEAD);
    }

    /// What is waited for, and how long; `None` for as long as it takes.
    fn waiting(&self) -> Option<(Waiting, Duration)> {
        match &self.mode {
            Mode::Http1(machine) if machine.is_paused() => None,
            Mode::Http1(_) if !self.held.is_empty() => Some((Waiting::Head, self.waits.head)),
            Mode::Http1(machine) if !machine.at_head() => Some((Waiting::Body, self.waits.body)),
            Mode::Http1(_) | Mode::Raw { timed: true } if self.shared.active.load(Ordering::Relaxed) == 0 => {
                Some((Waiting::Idle, self.waits.idle))
            }
            _ => None,
        }
    }

    /// Called when nothing can be read: `Ready` once the client has taken too long.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((waiting, limit)) = self.waiting() else {
            self.read_timer.stop();
            return Poll::Pending;
        };
        if self.read_timer.poll(cx, waiting, limit).is_pending() {
            return Poll::Pending;
        }
        match (waiting, &mut self.mode) {
            (Waiting::Head, Mode::Http1(machine)) => {
                let seen = machine.refuse_unfinished(&self.held);
                self.shared.push(self.held_since, seen);
                self.refuse();
                Poll::Ready(Ok(()))
            }
            (Waiting::Idle, Mode::Http1(_)) => Poll::Ready(Ok(())),
            (Waiting::Idle, Mode::Raw { .. }) => {
                self.shared.expired.store(true, Ordering::Relaxed);
                Poll::Pending
            }
            _ => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Looks whether a request for another protocol was decided; `Pending` while it was not.
    fn poll_decision(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Mode::Http1(machine) = &mut self.mode else { return Poll::Ready(()) };
        if !machine.is_paused() {
            return Poll::Ready(());
        }
        *self.shared.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        match self.shared.protocol.swap(UNDECIDED, Ordering::Acquire) {
            STAY => machine.resume(),
            CHANGE => {
                self.mode = Mode::Raw { timed: false };
                self.passed = self.held.split();
            }
            _ => return Poll::Pending,
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + Unpin> Guarded<T> {
    /// Reads more behind the held bytes; the number of bytes that came.
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0; 4096];
        let mut buf = ReadBuf::new(&mut space);
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, &mut buf))?;
        self.held.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let start = buf.filled().len();
        loop {
            std::task::ready!(this.poll_decision(cx));
            if !this.held.is_empty() && this.passed.is_empty() {
                this.scan_held();
            }
            if !this.passed.is_empty() {
                let length = this.passed.len().min(buf.remaining());
                buf.put_slice(&this.passed[..length]);
                this.passed.advance(length);
                return Poll::Ready(Ok(()));
            }
            if let Some(refusal) = this.broken.take() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, refusal.reason)));
            }
            if matches!(&this.mode, Mode::Http1(machine) if machine.is_dead()) {
                return Poll::Pending;
            }
            if this.held.is_empty() {
                match Pin::new(&mut this.inner).poll_read(cx, buf)? {
                    Poll::Ready(()) if buf.filled().len() == start => return Poll::Ready(Ok(())),
                    Poll::Ready(()) => {
                        this.read_timer.stop();
                        this.scan_read(buf, start);
                        if buf.filled().len() > start {
                            return Poll::Ready(Ok(()));
                        }
                        continue;
                    }
                    Poll::Pending => {}
                }
            } else {
                match this.poll_hold(cx)? {
                    Poll::Ready(0) => return Poll::Ready(Ok(())),
                    Poll::Ready(_) => continue,
                    Poll::Pending => {}
                }
            }
            std::task::ready!(this.poll_late(cx))?;
            if this.passed.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch_write(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watch_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
        while self.linger {
            let mut space = [0; 4096];
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.lingered += buf.filled().len();
                    self.linger = self.lingered < LINGER_BYTES;
                }
                Poll::Ready(_) => self.linger = false,
                Poll::Pending => {
                    std::task::ready!(self.read_timer.poll(cx, Waiting::End, LINGER_TIME));
                    self.linger = false;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T> Guarded<T> {
    fn watch_write(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.write_timer.stop();
            return result;
        }
        if matches!(self.mode, Mode::Raw { timed: false }) {
            return result;
        }
        std::task::ready!(self.write_timer.poll(cx, Waiting::Write, self.waits.write));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
