//! Follows a chunked body (RFC 9112 section 7.1) to its end.

use super::head::{Limits, Refusal, is_token};

/// Most bytes of chunk extensions in one body. The library allows more.
const EXTENSION_BYTES: usize = 8 * 1024;

/// Where in a chunked body we are.
#[derive(Debug, Default)]
pub struct Chunked {
    state: State,
    size: u64,
    digits: u32,
    extension_bytes: usize,
    trailer_line: Vec<u8>,
    trailer_bytes: usize,
    trailers: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    AfterSize,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    End,
}

impl Chunked {
    /// Takes in the next bytes. Gives how many of them belong to the body, and whether it has ended.
    pub fn follow(&mut self, bytes: &[u8], limits: &Limits) -> Result<(usize, bool), Refusal> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::End {
            if self.state == State::Data {
                let here = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += here;
                self.size -= here as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.state = self.step(bytes[at], limits)?;
                at += 1;
            }
        }
        Ok((at, self.state == State::End))
    }

    fn step(&mut self, byte: u8, limits: &Limits) -> Result<State, Refusal> {
        Ok(match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                self.digits += 1;
                if self.digits > 15 {
                    return Err(Refusal::bad("chunk size too long"));
                }
                self.size = self.size * 16 + u64::from((byte as char).to_digit(16).unwrap_or(0));
                State::Size
            }
            (State::Size, _) if self.digits == 0 => return Err(Refusal::bad("chunk without a size")),
            (State::Size | State::AfterSize | State::Extension, b'\r') => State::SizeLf,
            (State::Size | State::AfterSize, b' ' | b'\t') => self.extension_byte(State::AfterSize)?,
            (State::Size | State::AfterSize, b';') => self.extension_byte(State::Extension)?,
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => self.extension_byte(State::Extension)?,
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                if self.size == 0 { State::Trailer } else { State::Data }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.trailer_bytes += 1;
                if self.trailer_bytes > limits.head_bytes.min(16 * 1024) {
                    return Err(Refusal::bad("trailers too large"));
                }
                self.trailer_line.push(byte);
                State::Trailer
            }
            (State::TrailerLf, b'\n') => self.trailer_line_ended(limits)?,
            (State::Size | State::AfterSize | State::Extension, _) => {
                return Err(Refusal::bad("broken chunk size line"));
            }
            _ => return Err(Refusal::bad("broken chunk")),
        })
    }

    /// Counts a byte of white space or extension.
    fn extension_byte(&mut self, next: State) -> Result<State, Refusal> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES {
            return Err(Refusal::bad("chunk extensions too large"));
        }
        Ok(next)
    }

    fn trailer_line_ended(&mut self, limits: &Limits) -> Result<State, Refusal> {
        if self.trailer_line.is_empty() {
            return Ok(State::End);
        }
        self.trailers += 1;
        let name = self.trailer_line.split(|byte| *byte == b':').next().unwrap_or_default();
        if name.len() == self.trailer_line.len() || !is_token(name) {
            return Err(Refusal::bad("broken trailer"));
        }
        if self.trailers > limits.headers {
            return Err(Refusal::bad("too many trailers"));
        }
        self.trailer_line.clear();
        Ok(State::Trailer)
    }
}
