//! The judgement on one request head.

use http::StatusCode;

/// Limits of a request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a head, request line included.
    pub head_bytes: usize,
    /// Most bytes of a request target.
    pub target_bytes: usize,
    /// Most header fields.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 64 * 1024, target_bytes: 16 * 1024, headers: 100 }
    }
}

/// Where the body of a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// After this many bytes.
    Known(u64),
    /// With its last chunk.
    Chunked,
}

/// What following the stream needs to know of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its body.
    pub body: BodyLength,
    /// Whether it asks for another protocol on this connection.
    pub upgrade: bool,
}

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Status to answer with.
    pub status: StatusCode,
    /// What is wrong; lower case, without a final stop.
    pub reason: &'static str,
}

impl Refusal {
    /// 400 for this reason.
    pub const fn bad(reason: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason }
    }

    pub(crate) const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason }
    }
}

/// Judges a complete head.
///
/// `lines` are the offsets at which its lines begin, the empty last one included; every line ends with CR LF (the caller
/// has seen to that), and the last one ends the slice.
pub fn judge(head: &[u8], lines: &[usize], limits: &Limits) -> Result<Head, Refusal> {
    no_stray_controls(head, lines.len())?;
    let line = |index: usize| &head[lines[index]..lines[index + 1] - 2];
    let fields = lines.len().saturating_sub(2);
    if lines.len() < 2 {
        return Err(Refusal::bad("no request line"));
    }
    if fields > limits.headers {
        return Err(Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields"));
    }
    let request = request_line(line(0), limits)?;
    let mut seen = Fields::default();
    for index in 1..=fields {
        seen.take(line(index), request.version)?;
    }
    seen.conclude(&request)
}

/// Besides the CR LF of each line, no control characters: no bare CR, no NUL. Counting in bytes, over stretches that
/// cannot overflow one, and without branches lets the compiler look at many bytes at once.
fn no_stray_controls(head: &[u8], lines: usize) -> Result<(), Refusal> {
    let is_control = |byte: u8| u8::from(((byte < b' ') & (byte != b'\t')) | (byte == 0x7f));
    let in_stretch =
        |stretch: &[u8]| stretch.iter().fold(0u8, |sum, &byte| sum.wrapping_add(is_control(byte)));
    let controls: usize = head.chunks(255).map(|stretch| usize::from(in_stretch(stretch))).sum();
    if controls == 2 * lines { Ok(()) } else { Err(Refusal::bad("control character in the head")) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

struct RequestLine {
    version: Version,
    absolute: bool,
}

fn request_line(line: &[u8], limits: &Limits) -> Result<RequestLine, Refusal> {
    const BROKEN: Refusal = Refusal::bad("broken request line");
    let method_end = memchr::memchr(b' ', line).ok_or(BROKEN)?;
    let target_end = memchr::memrchr(b' ', line).filter(|end| *end > method_end).ok_or(BROKEN)?;
    let (method, target) = (&line[..method_end], &line[method_end + 1..target_end]);
    let version = match &line[target_end + 1..] {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "HTTP version not supported"));
        }
        _ => return Err(BROKEN),
    };
    if !is_token(method) {
        return Err(Refusal::bad("broken method"));
    }
    if method == b"CONNECT" {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "CONNECT is not offered"));
    }
    if target.len() > limits.target_bytes {
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, "request target too long"));
    }
    let absolute = absolute_form(target);
    match target {
        [] => return Err(BROKEN),
        _ if target.contains(&b' ') => return Err(Refusal::bad("space in the request target")),
        _ if target.contains(&b'#') => return Err(Refusal::bad("fragment in the request target")),
        [b'/', ..] => {}
        b"*" if method == b"OPTIONS" => {}
        _ if absolute.is_some_and(valid_authority) => {}
        _ => return Err(Refusal::bad("request target is neither a path nor an http address")),
    }
    if !target.iter().all(|byte| PLAIN[usize::from(*byte)]) && http::Uri::try_from(target).is_err() {
        return Err(Refusal::bad("character that does not belong in a request target"));
    }
    Ok(RequestLine { version, absolute: absolute.is_some() })
}

/// The authority of `http://authority/...`; `None` for other forms.
fn absolute_form(target: &[u8]) -> Option<&[u8]> {
    let after = |scheme: &[u8]| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let rest = after(b"http://").or_else(|| after(b"https://"))?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// A host with an optional port and without user information, as in `Host`.
fn valid_authority(authority: &[u8]) -> bool {
    !authority.is_empty() && valid_host(authority)
}

fn valid_host(host: &[u8]) -> bool {
    let (name, port) = match host {
        [b'[', rest @ ..] => {
            let Some(end) = memchr::memchr(b']', rest) else { return false };
            let address = &rest[..end];
            let in_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            if address.is_empty() || !address.iter().all(in_address) {
                return false;
            }
            (&b""[..], &rest[end + 1..])
        }
        _ => host.split_at(memchr::memchr(b':', host).unwrap_or(host.len())),
    };
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(byte);
    let valid_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    valid_port && name.iter().all(in_name)
}

/// What the header fields say about framing.
#[derive(Default)]
struct Fields {
    hosts: u32,
    length: Option<u64>,
    chunked: bool,
    other_coding: bool,
    connection_upgrade: bool,
    upgrade: bool,
}

impl Fields {
    fn take(&mut self, line: &[u8], version: Version) -> Result<(), Refusal> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Refusal::bad("folded header line"));
        }
        let end = line.iter().position(|byte| !TOKEN[usize::from(*byte)]);
        let Some((colon, b':')) = end.map(|end| (end, line[end])) else {
            return Err(Refusal::bad("broken header name"));
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() {
            return Err(Refusal::bad("empty header name"));
        }
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"host") => {
                self.hosts += 1;
                if !valid_host(value.trim_ascii()) {
                    return Err(Refusal::bad("broken Host"));
                }
            }
            6 if is(b"expect")
                && version == Version::Http11
                && !value.trim_ascii().eq_ignore_ascii_case(b"100-continue") =>
            {
                return Err(Refusal::new(StatusCode::EXPECTATION_FAILED, "unknown expectation"));
            }
            7 if is(b"upgrade") => self.upgrade = true,
            10 if is(b"connection") => {
                self.connection_upgrade |= has_item(value, b"upgrade");
            }
            14 if is(b"content-length") => self.content_length(value.trim_ascii())?,
            17 if is(b"transfer-encoding") => self.transfer_encoding(value, version)?,
            _ => {}
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::bad("Content-Length given twice"));
        }
        if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::bad("Content-Length is not a number"));
        }
        // At most 18 digits: the sum cannot overflow.
        self.length = Some(value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8], version: Version) -> Result<(), Refusal> {
        if version == Version::Http10 {
            return Err(Refusal::bad("Transfer-Encoding in HTTP/1.0"));
        }
        for coding in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if self.chunked {
                return Err(Refusal::bad("chunked is not the last transfer coding"));
            }
            match () {
                () if coding.eq_ignore_ascii_case(b"chunked") => self.chunked = true,
                () if OTHER_CODINGS.iter().any(|known| coding.eq_ignore_ascii_case(known)) => {
                    self.other_coding = true;
                }
                () => return Err(Refusal::bad("unknown transfer coding")),
            }
        }
        Ok(())
    }

    fn conclude(&self, request: &RequestLine) -> Result<Head, Refusal> {
        match self.hosts {
            0 if request.version == Version::Http11 && !request.absolute => {
                return Err(Refusal::bad("no Host"));
            }
            0 | 1 => {}
            _ => return Err(Refusal::bad("Host given twice")),
        }
        if self.length.is_some() && (self.chunked || self.other_coding) {
            return Err(Refusal::bad("both Content-Length and Transfer-Encoding"));
        }
        if self.other_coding {
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "transfer coding other than chunked"));
        }
        let body =
            if self.chunked { BodyLength::Chunked } else { BodyLength::Known(self.length.unwrap_or(0)) };
        let bodiless = body == BodyLength::Known(0);
        let upgrade =
            self.upgrade && self.connection_upgrade && bodiless && request.version == Version::Http11;
        Ok(Head { body, upgrade })
    }
}

/// The registered transfer codings other than `chunked`.
const OTHER_CODINGS: [&[u8]; 6] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress", b"identity"];

fn has_item(list: &[u8], item: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(item))
}

/// A token of RFC 9110 section 5.6.2.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// Bytes that are fine anywhere in a request target. The others are left to the library's own judgement, here rather than
/// later, so that what it refuses is answered and recorded like all else.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        table[byte as usize] =
            !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'\\' | b'^' | b'[' | b']');
        byte += 1;
    }
    table
};

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
};
