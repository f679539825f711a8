//! gRPC and gRPC-Web: the path is the method, the status is in the trailers.

use weir_model::{Request, Response};

use super::{Named, decoded};

/// `application/grpc`, `application/grpc+proto`, `application/grpc-web-text` and the like.
pub(super) fn is_grpc(media_type: &str) -> bool {
    media_type.get(..16).is_some_and(|start| start.eq_ignore_ascii_case("application/grpc"))
}

pub(super) fn named(request: &Request, response: Option<&Response>) -> Named {
    let method = request.path.trim_start_matches('/').to_owned();
    Named { name: Some(method), kind: None, error: response.and_then(error) }
}

/// The name of a status that is not OK. A call without any status ended early.
fn error(response: &Response) -> Option<String> {
    let status = response.trailers.text("grpc-status").or_else(|| response.headers.text("grpc-status"));
    let code = match status {
        Some(status) => status.trim().to_owned(),
        None => status_in_body(response)?,
    };
    match code.parse::<usize>() {
        Ok(0) => None,
        Ok(number) => Some(STATUSES.get(number).map_or(code, |name| (*name).to_owned())),
        Err(_) => Some(code),
    }
}

/// gRPC-Web sends the trailers as the last frame of the body, marked by the highest bit of its first byte.
fn status_in_body(response: &Response) -> Option<String> {
    const TRAILERS: u8 = 0x80;
    let body = decoded(&response.body)?;
    let mut rest: &[u8] = &body;
    while let [flags, a, b, c, d, content @ ..] = rest {
        let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?;
        let frame = content.get(..length)?;
        if flags & TRAILERS != 0 {
            let text = String::from_utf8_lossy(frame);
            return text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("grpc-status").then(|| value.trim().to_owned())
            });
        }
        rest = content.get(length..)?;
    }
    None
}

/// Names by number, as in the gRPC specification.
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
