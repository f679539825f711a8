//! The collector's endpoints and its words (kong-galileo, sections 9 and 10).

use std::collections::BTreeSet;

use http::StatusCode;
use serde_json::Value;
use weir_pipeline::{Call, Decoded, Malformed, Mount, Outcome, Receiver, Rejected, Reply};

use super::decode;
use super::exporter::IDEMPOTENCY_KEY;

/// Largest body of a call, as sent and inflated. The original took 500 MB and so needed that much memory per caller; no
/// known sender sends more than 20 MiB.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Most errors listed in an answer.
const MAX_ERRORS: usize = 100;

const fn mount(method: &'static str, path: &'static str) -> Mount {
    Mount::report(method, path, MAX_BODY_BYTES)
}

static MOUNTS: [Mount; 6] = [
    mount("POST", "/1.1.0/single"),
    mount("POST", "/1.1.0/batch"),
    mount("POST", "/1.0.0/single"),
    mount("POST", "/1.0.0/batch"),
    mount("GET", "/1.0.0/single"),
    mount("GET", "/1.0.0/batch"),
];

/// Accepts ALF.
#[derive(Debug, Clone, Copy)]
pub struct Galileo;

impl Receiver for Galileo {
    fn mounts(&self) -> &'static [Mount] {
        &MOUNTS
    }

    fn decode(&self, call: &Call<'_>) -> Result<Decoded, Malformed> {
        let key = call.headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
        decode::call(call.body, key.filter(|key| !key.is_empty()))
    }

    fn reply(&self, call: &Call<'_>, outcome: &Outcome) -> Reply {
        let errors = errors(call.body, &outcome.rejected);
        let body = summary(&errors, outcome.offered, outcome.saved);
        let status = match outcome.saved {
            _ if outcome.busy => StatusCode::SERVICE_UNAVAILABLE,
            saved if saved == outcome.offered => StatusCode::OK,
            // Senders of the first generation were never told that a token is unknown (kong-analytics, section 5).
            0 if outcome.unknown_credential && is_old(call) => StatusCode::MULTI_STATUS,
            // Never a status that makes senders try again: nothing would be different then.
            0 => StatusCode::BAD_REQUEST,
            _ => StatusCode::MULTI_STATUS,
        };
        let mut reply = answer(status, body);
        if outcome.busy {
            reply.headers.push(("retry-after", "1".to_owned()));
        }
        reply
    }

    fn refuse(&self, call: &Call<'_>, malformed: &Malformed) -> Reply {
        let body = summary(std::slice::from_ref(&malformed.reason), 0, 0);
        // Senders of the first generation repeat everything but 200, 207 and 400 for ever; that must help, then.
        let helps = malformed.status.is_server_error() || malformed.status == StatusCode::REQUEST_TIMEOUT;
        answer(if is_old(call) && !helps { StatusCode::BAD_REQUEST } else { malformed.status }, body)
    }
}

fn is_old(call: &Call<'_>) -> bool {
    call.mount.starts_with("/1.0.0/")
}

/// What every answer says, members in the order of the original.
fn summary(errors: &[String], sent: usize, saved: usize) -> String {
    let errors = Value::from(errors);
    format!("{{\"errors\":{errors},\"sent\":{sent},\"saved\":{saved}}}")
}

/// Old clients need `Connection` said, and drop the last character of the body.
fn answer(status: StatusCode, mut body: String) -> Reply {
    body.push('\n');
    let headers =
        vec![("content-type", "application/json".to_owned()), ("connection", "keep-alive".to_owned())];
    Reply { status, headers, body: body.into_bytes() }
}

/// One line for each kind of trouble in each ALF, in order, as `ALF[2] unknown token`.
fn errors(body: &[u8], rejected: &[Rejected]) -> Vec<String> {
    if rejected.is_empty() {
        return Vec::new();
    }
    let mut ends = decode::entries_per_alf(body);
    let mut end = 0;
    for count in &mut ends {
        end += *count;
        *count = end;
    }
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for entry in rejected {
        let alf = ends.partition_point(|end| *end <= entry.index);
        let numbered = entry.reason.starts_with("ALF[");
        let line = if numbered { entry.reason.clone() } else { format!("ALF[{alf}] {}", entry.reason) };
        if seen.insert(line.clone()) {
            errors.push(line);
        }
        if errors.len() == MAX_ERRORS {
            errors.push(format!("{} entries were not saved in all", rejected.len()));
            break;
        }
    }
    errors
}
