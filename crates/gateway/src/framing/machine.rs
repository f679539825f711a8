//! Follows the requests of one connection through its bytes.

use bytes::Bytes;
use http::StatusCode;

use super::chunked::Chunked;
use super::head::{BodyLength, Limits, Refusal, judge};

/// The requests of one HTTP/1 connection, as far as their bytes have come. Pure: does no reading.
#[derive(Debug)]
pub struct Machine {
    limits: Limits,
    state: State,
    /// Offsets of the lines found in the unfinished head, relative to its first byte.
    lines: Vec<usize>,
    /// How far the unfinished head was searched.
    searched: usize,
}

#[derive(Debug)]
enum State {
    Head,
    Body(u64),
    Chunked(Box<Chunked>),
    /// A request asked for another protocol; nothing goes on before that is decided.
    Paused,
    /// Bytes were refused; nothing after them has a meaning.
    Dead,
}

/// What happens to a stretch of bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Scan {
    /// So many may be read.
    pub pass: usize,
    /// What happens to the rest.
    pub then: Then,
}

/// What happens to the bytes after those that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// There are none.
    Nothing,
    /// They wait for more: show them again with what follows (or after [`Machine::resume`]).
    Wait,
    /// They are a head that is refused.
    RefuseHead(Refusal),
    /// They break a body that was begun.
    BreakBody(Refusal),
}

/// What the guard found out about one request head, for whoever answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Bytes of the head on the wire.
    pub head_bytes: usize,
    /// Whether it asks for another protocol in a way that can be granted.
    pub upgrade: bool,
    /// Set when it is refused, with the beginning of its request line.
    pub refusal: Option<(Refusal, Bytes)>,
}

/// Most bytes of a refused request line that are kept for the record.
const KEPT_LINE_BYTES: usize = 2 * 1024;

impl Machine {
    /// A machine at the start of a connection.
    pub fn new(limits: Limits) -> Self {
        Self { limits, state: State::Head, lines: Vec::new(), searched: 0 }
    }

    /// Follows the next bytes: those that [`Then::Wait`] kept, and what came after them. Calls `seen` for each head.
    pub fn scan(&mut self, bytes: &[u8], mut seen: impl FnMut(Seen)) -> Scan {
        let mut pass = 0;
        while pass < bytes.len() {
            let rest = &bytes[pass..];
            match &mut self.state {
                State::Body(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= here as u64;
                    pass += here;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                }
                State::Chunked(chunked) => match chunked.follow(rest, &self.limits) {
                    Ok((here, ended)) => {
                        pass += here;
                        if ended {
                            self.state = State::Head;
                        }
                    }
                    Err(refusal) => {
                        self.state = State::Dead;
                        return Scan { pass, then: Then::BreakBody(refusal) };
                    }
                },
                State::Head => match self.head(rest) {
                    Ok(Some((length, found))) => {
                        pass += length;
                        seen(found);
                    }
                    Ok(None) => return Scan { pass, then: Then::Wait },
                    Err(refusal) => {
                        seen(self.refused(refusal, rest));
                        return Scan { pass, then: Then::RefuseHead(refusal) };
                    }
                },
                State::Paused => return Scan { pass, then: Then::Wait },
                State::Dead => return Scan { pass, then: Then::Nothing },
            }
        }
        Scan { pass, then: Then::Nothing }
    }

    /// The protocol does not change: go on with the next request.
    pub fn resume(&mut self) {
        if matches!(self.state, State::Paused) {
            self.state = State::Head;
        }
    }

    /// Whether the next byte begins a request.
    pub fn at_head(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Whether a decision about the protocol is waited for.
    pub fn is_paused(&self) -> bool {
        matches!(self.state, State::Paused)
    }

    /// Whether bytes were refused, so that no more can follow.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, State::Dead)
    }

    /// Refuses the unfinished head, for having taken too long.
    pub fn refuse_unfinished(&mut self, bytes: &[u8]) -> Seen {
        let late = Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request head took too long");
        self.refused(late, bytes)
    }

    fn refused(&mut self, refusal: Refusal, bytes: &[u8]) -> Seen {
        self.state = State::Dead;
        let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty());
        let line = line.unwrap_or_default();
        let kept = Bytes::copy_from_slice(&line[..line.len().min(KEPT_LINE_BYTES)]);
        Seen { head_bytes: bytes.len(), upgrade: false, refusal: Some((refusal, kept)) }
    }

    /// The head at the start of `bytes`, if it is complete; its length and what it says.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<(usize, Seen)>, Refusal> {
        while let Some(found) = memchr::memchr(b'\n', &bytes[self.searched..]) {
            let end = self.searched + found + 1;
            if end < 2 || bytes[end - 2] != b'\r' {
                return Err(Refusal::bad("line feed without a carriage return"));
            }
            let start = self.lines.last().copied().unwrap_or(0);
            self.searched = end;
            if self.lines.is_empty() && end == 2 {
                // An empty line before a request line is ignored (RFC 9112 section 2.2); a second one is refused.
                self.lines.push(2);
                continue;
            }
            if self.lines.is_empty() {
                self.lines.push(0);
            }
            if end - start == 2 {
                return self.finish(&bytes[..end]).map(Some);
            }
            self.check_size(end)?;
            self.lines.push(end);
        }
        self.searched = bytes.len();
        self.check_size(bytes.len())?;
        Ok(None)
    }

    fn check_size(&self, length: usize) -> Result<(), Refusal> {
        if length <= self.limits.head_bytes {
            return Ok(());
        }
        Err(match self.lines.len() {
            0 => Refusal::new(StatusCode::URI_TOO_LONG, "request line too long"),
            _ => Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too large"),
        })
    }

    fn finish(&mut self, head: &[u8]) -> Result<(usize, Seen), Refusal> {
        self.check_size(head.len())?;
        let skipped = self.lines.first().copied().unwrap_or(0);
        for line in &mut self.lines {
            *line -= skipped;
        }
        let judged = judge(&head[skipped..], &self.lines, &self.limits);
        self.lines.clear();
        self.searched = 0;
        let judged = judged?;
        self.state = match judged.body {
            _ if judged.upgrade => State::Paused,
            BodyLength::Known(0) => State::Head,
            BodyLength::Known(length) => State::Body(length),
            BodyLength::Chunked => State::Chunked(Box::default()),
        };
        Ok((head.len(), Seen { head_bytes: head.len() - skipped, upgrade: judged.upgrade, refusal: None }))
    }
}
