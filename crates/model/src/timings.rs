//! Where the time of an exchange went.

use std::time::Duration;

/// Parts of an exchange's time, named as in HAR. Each is `None` when it was not measured; never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for a connection.
    pub blocked: Option<Duration>,
    /// Name resolution.
    pub dns: Option<Duration>,
    /// Connecting, TLS included.
    pub connect: Option<Duration>,
    /// TLS handshake (HAR `ssl`).
    pub tls: Option<Duration>,
    /// From the first byte of the request to its hand-off upstream.
    pub send: Option<Duration>,
    /// From the hand-off to the first byte of the answer.
    pub wait: Option<Duration>,
    /// From the first to the last byte of the answer.
    pub receive: Option<Duration>,
    /// The whole, when the reporter gave it; it may differ from the sum of the parts.
    pub total: Option<Duration>,
}

impl Timings {
    /// The whole time: as reported, else the sum of the parts that do not overlap (`tls` lies within `connect`).
    pub fn duration(&self) -> Option<Duration> {
        self.total.or_else(|| {
            let parts = [self.blocked, self.dns, self.connect, self.send, self.wait, self.receive];
            parts.into_iter().flatten().reduce(Duration::saturating_add)
        })
    }
}
