//! What the gateway must be told at its start. What changes while it runs is in [`crate::snapshot`].

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::framing::Limits;
use crate::gateway_url::GatewayUrls;

/// Settings of the data plane.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses for HTTP/1.1 and HTTP/2 by prior knowledge. Port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    /// Addresses for TLS, with HTTP/2 by ALPN.
    pub listen_tls: Vec<SocketAddr>,
    /// Certificate chain and key of the TLS addresses; without them a self-signed certificate is made.
    pub certificate: Option<Certificate>,
    /// Worker threads, each with its own event loop and its own connections to services. 0: one per core.
    pub workers: usize,
    /// Most connections of clients, over all workers; further ones are closed at once and counted.
    pub max_connections: usize,
    /// Limits of a request head.
    pub head: Limits,
    /// Longest wait between two requests of a connection.
    pub idle_timeout: Duration,
    /// Longest wait for a whole request head, and for a TLS handshake.
    pub head_timeout: Duration,
    /// Longest wait between two pieces of a request body.
    pub body_timeout: Duration,
    /// Longest wait for a client to take more of an answer.
    pub send_timeout: Duration,
    /// Peers whose `X-Forwarded-*` and `X-Real-IP` are believed (Kong's `trusted_ips`).
    pub trusted_ips: Vec<Network>,
    /// How the gateway names itself in `Via` and `Server`.
    pub token: String,
    /// Whether answers carry `X-Kong-*-Latency`, `Via` and `X-Kong-Request-Id`.
    pub report_headers: bool,
    /// Connections to services.
    pub upstream: UpstreamSettings,
    /// Host names that say themselves where calls go on to; `None` for none.
    pub gateway_urls: Option<GatewayUrls>,
    /// What is recorded of every call.
    pub capture: CaptureSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8000))],
            listen_tls: vec![SocketAddr::from(([127, 0, 0, 1], 8443))],
            certificate: None,
            workers: 0,
            max_connections: 16_384,
            head: Limits::default(),
            idle_timeout: Duration::from_secs(75),
            head_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            trusted_ips: Vec::new(),
            token: concat!("weir/", env!("CARGO_PKG_VERSION")).to_owned(),
            report_headers: true,
            upstream: UpstreamSettings::default(),
            gateway_urls: None,
            capture: CaptureSettings::default(),
        }
    }
}

/// Settings of connections to services.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Most idle connections kept per service address and worker.
    pub max_idle: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// How long the addresses of a name are believed.
    pub dns_ttl: Duration,
    /// Whether HTTP/2 is offered to services with TLS.
    pub http2: bool,
    /// Further certificate authorities for services with TLS, as PEM.
    pub authorities: Vec<Vec<u8>>,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            max_idle: 256,
            idle_timeout: Duration::from_secs(60),
            dns_ttl: Duration::from_secs(10),
            http2: true,
            authorities: Vec::new(),
        }
    }
}

/// What is recorded of calls, and in how much memory.
#[derive(Debug, Clone)]
pub struct CaptureSettings {
    /// Whether every call is recorded. When off, only calls that a plugin asked for are.
    pub enabled: bool,
    /// Most bytes kept of each request body when every call is recorded; plugins may ask for more.
    pub request_body_bytes: usize,
    /// The same for the body of the answer.
    pub response_body_bytes: usize,
    /// Memory for finished records that nobody has taken yet, in bytes.
    pub pool_bytes: usize,
    /// Memory for bodies of calls under way, in bytes.
    pub body_budget_bytes: usize,
    /// Threads that take records to the sink.
    pub drain_threads: usize,
    /// Names of header fields whose values are not recorded, beside the built-in ones.
    pub secret_headers: Vec<String>,
    /// Names of query parameters whose values are not recorded, beside the built-in ones.
    pub secret_parameters: Vec<String>,
    /// `origin.node` of the records.
    pub node: Option<String>,
    /// `origin.environment` of the records.
    pub environment: Option<String>,
}

impl Default for CaptureSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            request_body_bytes: 0,
            response_body_bytes: 0,
            pool_bytes: 64 * 1024 * 1024,
            body_budget_bytes: 64 * 1024 * 1024,
            drain_threads: 1,
            secret_headers: Vec::new(),
            secret_parameters: Vec::new(),
            node: None,
            environment: None,
        }
    }
}

/// A certificate chain and its key, as PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The chain, leaf first.
    pub chain: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

/// Addresses that share a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// The text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a network: {0:?}; write it as 10.0.0.0/8 or 10.1.2.3")]
pub struct BadNetwork(pub String);

impl std::str::FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.chars().take(60).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(bad()) } else { Ok(Self { address, bits }) }
    }
}

impl Network {
    /// Whether this address is in it; IPv4-mapped addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |ours: u128, theirs: u128, width: u32| {
            let shift = width - u32::from(self.bits);
            shift >= 128 || (ours ^ theirs) >> shift == 0
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                same(u128::from(ours.to_bits()), u128::from(theirs.to_bits()), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => same(ours.to_bits(), theirs.to_bits(), 128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "fe80::1", true),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network:?} {address}");
        }
        assert!("10.0.0.0/33".parse::<Network>().is_err());
        assert!("ten".parse::<Network>().is_err());
    }
}
