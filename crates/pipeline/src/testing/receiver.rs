//! What every receiver must do.

use std::panic::{AssertUnwindSafe, catch_unwind};

use http::{HeaderMap, Method};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use weir_kit::Timestamp;
use weir_model::Peer;

use crate::receiver::{Call, Decoded, Malformed, Mount, Outcome, Receiver, Rejected, Reply};

/// A call that a receiver must understand.
pub struct ReceiverCase<'a> {
    /// The receiver.
    pub receiver: &'a dyn Receiver,
    /// Path of the mount that takes the call.
    pub mount: &'a str,
    /// Values of the mount's variable segments.
    pub parameters: &'a [(String, String)],
    /// Request headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a [u8],
    /// How many exchanges are in it.
    pub exchanges: usize,
}

/// Runs a receiver through a call as it is, cut short and changed at random, and through every outcome.
///
/// # Panics
/// When it does not keep its contract.
pub fn check_receiver(case: &ReceiverCase<'_>) {
    let mounts = case.receiver.mounts();
    for mount in mounts {
        assert!(mount.path.starts_with('/'), "{mount:?}");
        assert!(Method::from_bytes(mount.method.as_bytes()).is_ok(), "{mount:?}");
        assert!(mount.max_body_bytes > 0, "{mount:?}");
    }
    let Some(mount) = mounts.iter().find(|mount| mount.path == case.mount) else {
        panic!("nothing is mounted at {}", case.mount)
    };
    let decoded = match case.decode(mount, case.body) {
        Ok(decoded) => decoded,
        Err(malformed) => panic!("the call was not read: {malformed}"),
    };
    assert_eq!(decoded.accepted.len(), case.exchanges, "rejected: {:?}", decoded.rejected);
    case.answers(mount, decoded.offered);
    case.damaged(mount);
}

impl ReceiverCase<'_> {
    fn with_call<T>(&self, mount: &'static Mount, body: &[u8], then: impl FnOnce(&Call<'_>) -> T) -> T {
        let method = Method::from_bytes(mount.method.as_bytes()).unwrap_or(Method::POST);
        then(&Call {
            method: &method,
            mount: mount.path,
            parameters: self.parameters,
            query: None,
            headers: self.headers,
            body,
            peer: Peer::default(),
            received_at: Timestamp::from_seconds(1_600_000_000),
        })
    }

    fn decode(&self, mount: &'static Mount, body: &[u8]) -> Result<Decoded, Malformed> {
        let decode = || self.with_call(mount, body, |call| self.receiver.decode(call));
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(decode)) else {
            panic!("decoding panicked on {:?}", String::from_utf8_lossy(body))
        };
        match &outcome {
            Ok(decoded) => {
                let known = decoded.accepted.len() + decoded.rejected.len();
                assert_eq!(decoded.offered, known, "entries are neither accepted nor rejected");
                for Rejected { index, reason } in &decoded.rejected {
                    assert!(*index < decoded.offered, "index {index} lies outside of the call");
                    assert!(!reason.is_empty(), "an entry was rejected without a reason");
                }
            }
            Err(malformed) => {
                assert!(malformed.status.is_client_error(), "{malformed:?}");
                assert!(!malformed.reason.is_empty(), "{malformed:?}");
                let reply = self.with_call(mount, body, |call| self.receiver.refuse(call, malformed));
                assert!(
                    !reply.status.is_success(),
                    "a call that could not be read was answered with {reply:?}"
                );
            }
        }
        outcome
    }

    fn answers(&self, mount: &'static Mount, offered: usize) {
        let reply = |outcome: Outcome| -> Reply {
            self.with_call(mount, self.body, |call| self.receiver.reply(call, &outcome))
        };
        let saved = reply(Outcome { offered, saved: offered, ..Outcome::default() });
        assert!(saved.status.is_success(), "a saved call was answered with {saved:?}");
        let busy = reply(Outcome { offered, busy: true, ..Outcome::default() });
        assert!(!busy.status.is_success(), "a call that found no room was answered with {busy:?}");
        let rejected = (0..offered).map(|index| Rejected { index, reason: "odd".to_owned() }).collect();
        let none = reply(Outcome { offered, rejected, ..Outcome::default() });
        assert!(
            offered == 0 || none.status != saved.status || none.body != saved.body,
            "the sender never learns"
        );
    }

    fn damaged(&self, mount: &'static Mount) {
        let step = (self.body.len() / 500).max(1);
        for length in (0..self.body.len()).step_by(step) {
            let _outcome = self.decode(mount, &self.body[..length]);
        }
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..1_000 {
            let mut body = self.body.to_vec();
            for _ in 0..rng.random_range(1..4) {
                if body.is_empty() {
                    break;
                }
                let place = rng.random_range(0..body.len());
                match rng.random_range(0..3) {
                    0 => body[place] = rng.random(),
                    1 => body.truncate(place),
                    _ => body.insert(place, rng.random()),
                }
            }
            let _outcome = self.decode(mount, &body);
        }
    }
}
