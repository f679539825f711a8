//! Messages as they crossed the wire, in Base64: what detailed recording keeps (section 3.3). Pure and total.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use bytes::Bytes;
use weir_model::{Body, Captured, CompactString, Headers, Request, Response};

use crate::parts::{body::coding_of, content_length, protocol_version};

/// Most header fields that are read of a message.
const MAX_FIELDS: usize = 1_000;

/// Base64 that ends anywhere.
const CUT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// A message taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dump {
    /// The request line or status line.
    pub(super) first: String,
    /// In order.
    pub(super) headers: Headers,
    /// What was kept of the content, without chunks.
    pub(super) body: Body,
}

/// The bytes that stand in a record as Base64. Text that was cut to a number of bytes gives what is whole of it; `None`
/// when it is not Base64 at all.
fn bytes(text: &str) -> Option<(Vec<u8>, bool)> {
    if let Ok(bytes) = STANDARD.decode(text) {
        return Some((bytes, true));
    }
    let text = text.trim_end_matches('=');
    // A single character beyond a group of four holds no whole byte.
    let whole = text.len() - usize::from(text.len() % 4 == 1);
    CUT.decode(text.get(..whole)?).ok().map(|bytes| (bytes, false))
}

/// Reads a message. `None` when it is none; a message that was cut is read as far as it goes.
pub(super) fn read(text: &str) -> Option<Dump> {
    let (bytes, whole) = bytes(text)?;
    let bytes = Bytes::from(bytes);
    let end = memchr::memmem::find(&bytes, b"\r\n\r\n");
    let (head, rest) = match end {
        Some(end) => (bytes.get(..end)?, bytes.slice(end + 4..)),
        None => (bytes.as_ref(), Bytes::new()),
    };
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = String::from_utf8_lossy(lines.next()?).into_owned();
    let headers: Headers = lines.take(MAX_FIELDS).filter_map(header).collect();
    let body = body(&headers, rest, whole && end.is_some());
    Some(Dump { first, headers, body })
}

fn header(line: &[u8]) -> Option<(String, Bytes)> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = line.split_at_checked(colon)?;
    let value = value.get(1..)?.trim_ascii();
    Some((String::from_utf8_lossy(name).into_owned(), Bytes::copy_from_slice(value)))
}

fn body(headers: &Headers, rest: Bytes, whole: bool) -> Body {
    let (bytes, complete) = if is_chunked(headers) { without_chunks(&rest) } else { (rest, true) };
    let announced = content_length(headers).filter(|_| !is_chunked(headers));
    let complete = complete && whole && announced.is_none_or(|length| length <= bytes.len() as u64);
    let size = announced.or(complete.then_some(bytes.len() as u64));
    let captured = if complete { Captured::Whole(bytes) } else { Captured::Cut(bytes) };
    let coding = coding_of(headers, &captured);
    Body { size, captured, coding, media_type: None }
}

fn is_chunked(headers: &Headers) -> bool {
    headers.text("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked"))
}

/// The content of chunks and whether their end was met.
fn without_chunks(mut rest: &[u8]) -> (Bytes, bool) {
    let mut content = Vec::new();
    loop {
        let Some(end) = memchr::memchr(b'\n', rest) else { return (content.into(), false) };
        let (line, after) = rest.split_at(end + 1);
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let Some(size) = size else { return (content.into(), false) };
        if size == 0 {
            return (content.into(), true);
        }
        let Some((chunk, after)) = after.split_at_checked(size) else {
            content.extend_from_slice(after);
            return (content.into(), false);
        };
        content.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").unwrap_or(after);
    }
}

/// Method, target and version of a request line.
pub(super) fn request_line(line: &str) -> (&str, &str, &'static str) {
    let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (target, version) = rest.rsplit_once(' ').unwrap_or((rest, ""));
    (method, target, protocol_version(version))
}

/// Version and reason of a status line. Version 0.0 marks an answer that the gateway made itself.
pub(super) fn status_line(line: &str) -> (&'static str, Option<CompactString>) {
    let mut words = line.splitn(3, ' ');
    let version = protocol_version(words.next().unwrap_or_default());
    (version, words.nth(1).filter(|reason| !reason.is_empty()).map(Into::into))
}

/// A request in Base64, its target being the one at the upstream.
pub(super) fn write_request(request: &Request, target: &str, ours: bool) -> String {
    let version = if request.version.is_empty() { "1.1" } else { &request.version };
    let mut out = format!("{} {target} HTTP/{}\r\n", request.method, dotted(version)).into_bytes();
    let order: &[&str] = &["host", "user-agent", "content-length", "transfer-encoding"];
    // Content of a known length stands as it is, content of an unknown length in chunks.
    if ours {
        let host = Some(request.host.as_bytes()).filter(|host| !host.is_empty());
        write_headers(&request.headers, order, host, &mut out);
    } else {
        write_fields(request.headers.iter(), &mut out);
    }
    out.extend_from_slice(b"\r\n");
    write_body(&request.headers, &request.body, &mut out);
    STANDARD.encode(out)
}

/// A response in Base64.
pub(super) fn write_response(response: &Response, ours: bool) -> String {
    let version = match response.version.as_str() {
        "" if ours => "1.1",
        "" => "0.0",
        version => dotted(version),
    };
    let reason = response.reason.as_deref().or_else(|| known_reason(response.status)).unwrap_or_default();
    let mut out = format!("HTTP/{version} {} {reason}\r\n", response.status).into_bytes();
    if ours {
        write_headers(&response.headers, &["content-length"], None, &mut out);
    } else {
        write_fields(response.headers.iter(), &mut out);
    }
    out.extend_from_slice(b"\r\n");
    write_body(&response.headers, &response.body, &mut out);
    STANDARD.encode(out)
}

fn known_reason(status: u16) -> Option<&'static str> {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason())
}

fn dotted(version: &str) -> &str {
    match version {
        "2" => "2.0",
        "3" => "3.0",
        version => version,
    }
}

/// Fields in the original's order: those named first, then the others by name.
fn write_headers(headers: &Headers, first: &[&str], host: Option<&[u8]>, out: &mut Vec<u8>) {
    if let Some(host) = host.filter(|_| headers.get("host").is_none()) {
        write_field("Host", host, out);
    }
    for name in first {
        let named = headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        write_fields(named, out);
    }
    let is_first = |field: &str| first.iter().any(|name| field.eq_ignore_ascii_case(name));
    let mut others: Vec<_> = headers.iter().filter(|(field, _)| !is_first(field)).collect();
    others.sort_by_key(|(field, _)| field.to_ascii_lowercase());
    write_fields(others.into_iter(), out);
}

fn write_fields<'a>(fields: impl Iterator<Item = (&'a str, &'a Bytes)>, out: &mut Vec<u8>) {
    fields.for_each(|(name, value)| write_field(name, value, out));
}

fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn write_body(headers: &Headers, body: &Body, out: &mut Vec<u8>) {
    let Some(bytes) = body.bytes() else { return };
    if !is_chunked(headers) {
        return out.extend_from_slice(bytes);
    }
    if !bytes.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
}
