//! What belongs to one worker thread, and what belongs to one client connection on it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use uuid::Uuid;
use weir_kit::Timestamp;
use weir_model::{ExchangeId, Peer};
use weir_pipeline::CaptureWish;

use crate::capture::redact::Secrets;
use crate::capture::{Budget, ChunkPool, WorkerSlot};
use crate::framing::Shared;
use crate::settings::Settings;
use crate::snapshot::{HeldSnapshot, SnapshotHandle};
use crate::upstream::{ClientTls, Pool};

/// What all workers of a gateway share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) settings: Settings,
    pub(crate) snapshots: SnapshotHandle,
    pub(crate) chunks: Arc<ChunkPool>,
    pub(crate) secrets: Secrets,
    pub(crate) client_tls: Arc<ClientTls>,
    pub(crate) counters: Counters,
}

/// Counters for `/status` and `/metrics`.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) active: AtomicU64,
    pub(crate) closed: AtomicU64,
}

/// One worker. Nothing in it is ever touched by another thread.
pub(crate) struct Worker {
    pub(crate) common: Arc<Common>,
    pub(crate) upstreams: Pool,
    pub(crate) slot: Arc<WorkerSlot>,
    pub(crate) budget: Rc<Budget>,
    /// Calls that have ended.
    pub(crate) requests: Arc<AtomicU64>,
    pub(crate) token: HeaderValue,
    pub(crate) via: HeaderValue,
    /// What every call is recorded with, when every call is.
    pub(crate) wish: Option<CaptureWish>,
    snapshot: RefCell<HeldSnapshot>,
    spare: RefCell<Vec<Vec<u8>>>,
    random: Cell<[u64; 2]>,
}

/// Record buffers a worker keeps, and how large they may be.
const SPARE_BUFFERS: usize = 64;
const SPARE_BYTES: usize = 64 * 1024;

impl Worker {
    pub(crate) fn new(common: Arc<Common>, workers: usize, requests: Arc<AtomicU64>) -> Self {
        let settings = &common.settings;
        let capture = &settings.capture;
        let value = |text: String| {
            HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static("weir"))
        };
        let (high, low) = Uuid::new_v4().as_u64_pair();
        Self {
            upstreams: Pool::new(settings.upstream.clone(), Arc::clone(&common.client_tls)),
            slot: common.chunks.slot(),
            budget: Rc::new(Budget::new(capture.body_budget_bytes / workers.max(1))),
            requests,
            token: value(settings.token.clone()),
            via: value(format!("1.1 {}", settings.token)),
            wish: capture.enabled.then_some(CaptureWish {
                request_body_bytes: capture.request_body_bytes,
                response_body_bytes: capture.response_body_bytes,
            }),
            snapshot: RefCell::new(Rc::new(common.snapshots.load())),
            spare: RefCell::default(),
            random: Cell::new([high | 1, low]),
            common,
        }
    }

    /// The current configuration. One atomic load, unless it has changed.
    pub(crate) fn snapshot(&self) -> HeldSnapshot {
        let current = self.common.snapshots.peek();
        let mut known = self.snapshot.borrow_mut();
        if !Arc::ptr_eq(&known, &current) {
            *known = Rc::new(Arc::clone(&current));
        }
        Rc::clone(&known)
    }

    /// A new exchange id. Unique, not secret: the random part comes from a generator seeded at the start.
    pub(crate) fn new_id(&self, started_at: Timestamp) -> ExchangeId {
        let [high, low] = [self.next_random(), self.next_random()];
        let mut random = [0; 16];
        random[..8].copy_from_slice(&high.to_le_bytes());
        random[8..].copy_from_slice(&low.to_le_bytes());
        ExchangeId::with_random(started_at, random)
    }

    /// xoroshiro128+ by Blackman and Vigna.
    fn next_random(&self) -> u64 {
        let [a, b] = self.random.get();
        let mixed = a ^ b;
        self.random.set([a.rotate_left(24) ^ mixed ^ (mixed << 16), mixed.rotate_left(37)]);
        a.wrapping_add(b)
    }

    /// An empty buffer for a record.
    pub(crate) fn take_buffer(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(2 * 1024))
    }

    /// Takes a buffer back.
    pub(crate) fn give_buffer(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_BYTES {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// Counts a call that has ended. Only this worker writes the counter.
    pub(crate) fn count_request(&self) {
        self.requests.store(self.requests.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// One client connection.
pub(crate) struct ClientConnection {
    pub(crate) worker: Rc<Worker>,
    /// The other end of the socket.
    pub(crate) peer: Peer,
    pub(crate) local: Peer,
    pub(crate) tls: bool,
    pub(crate) sni: Option<String>,
    /// Whether what the peer says of others is believed.
    pub(crate) trusted: bool,
    pub(crate) shared: Arc<Shared>,
    /// The peer's address, ready to be sent.
    pub(crate) peer_value: HeaderValue,
}

impl ClientConnection {
    pub(crate) fn new(
        worker: Rc<Worker>,
        peer: SocketAddr,
        local: SocketAddr,
        sni: Option<Option<String>>,
        shared: Arc<Shared>,
    ) -> Self {
        let peer = Peer::new(peer.ip(), Some(peer.port()));
        let trusted_ips = &worker.common.settings.trusted_ips;
        let trusted =
            peer.address.is_some_and(|address| trusted_ips.iter().any(|network| network.contains(address)));
        Self {
            peer_value: address_value(peer),
            peer,
            local: Peer::new(local.ip(), Some(local.port())),
            tls: sni.is_some(),
            sni: sni.flatten(),
            trusted,
            shared,
            worker,
        }
    }
}

/// An address as a header value.
pub(crate) fn address_value(peer: Peer) -> HeaderValue {
    let text = peer.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}
