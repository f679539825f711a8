//! Addresses of names, remembered for a while.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most names remembered; the table is emptied when it is full.
const MAX_NAMES: usize = 4_096;

/// A worker's memory of names. Asked only when a connection is opened.
#[derive(Debug)]
pub(super) struct Resolver {
    ttl: Duration,
    known: RefCell<HashMap<Arc<str>, Known>>,
}

/// Addresses, and when they were asked for.
type Known = (Instant, Arc<[IpAddr]>);

impl Resolver {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, known: RefCell::default() }
    }

    /// The addresses of a name or address. When the name service fails, addresses it gave earlier are used.
    pub(super) async fn resolve(&self, host: &Arc<str>, port: u16) -> Option<Vec<SocketAddr>> {
        let with_port =
            |addresses: &[IpAddr]| addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = literal.parse() {
            return Some(with_port(&[address]));
        }
        let remembered = self.known.borrow().get(host).cloned();
        if let Some((at, addresses)) = &remembered
            && at.elapsed() < self.ttl
        {
            return Some(with_port(addresses));
        }
        let found: Vec<IpAddr> = match tokio::net::lookup_host((&**host, port)).await {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(error) => {
                tracing::debug!(host = &**host, %error, "name not resolved");
                Vec::new()
            }
        };
        let addresses: Arc<[IpAddr]> = match (found.is_empty(), remembered) {
            (false, _) => found.into(),
            (true, Some((_, old))) => old,
            (true, None) => return None,
        };
        let mut known = self.known.borrow_mut();
        if known.len() >= MAX_NAMES {
            known.clear();
        }
        known.insert(Arc::clone(host), (Instant::now(), Arc::clone(&addresses)));
        Some(with_port(&addresses))
    }
}
