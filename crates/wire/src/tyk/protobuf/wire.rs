//! Protocol Buffers on the wire: varints, lengths, tags.

use weir_kit::text::lossy;

use crate::tyk::record::{MAX_ITEMS, Text, Time};

/// What is wrong with a value; the field it belongs to is added by the caller.
pub(super) type Fault = &'static str;

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    /// Whole numbers, truth values, enumerations.
    Varint(u64),
    /// Floating point numbers.
    Fixed64(u64),
    /// Floating point numbers of single precision; no known field is one.
    Fixed32,
    /// Texts and messages.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Fault> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err("is not text or a message"),
        }
    }

    /// Text; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn text(self) -> Result<Text<'a>, Fault> {
        self.bytes().map(lossy)
    }

    pub(super) fn unsigned(self) -> Result<u64, Fault> {
        match self {
            Self::Varint(number) => Ok(number),
            _ => Err("is not a whole number"),
        }
    }

    pub(super) fn integer(self) -> Result<i64, Fault> {
        self.unsigned().map(u64::cast_signed)
    }

    /// A number of 32 bits, which writers extend to 64 with its sign.
    #[expect(clippy::cast_possible_truncation, reason = "as the format says")]
    pub(super) fn int32(self) -> Result<i64, Fault> {
        self.unsigned().map(|number| i64::from(number as i32))
    }

    pub(super) fn boolean(self) -> Result<bool, Fault> {
        self.unsigned().map(|number| number != 0)
    }

    pub(super) fn double(self) -> Result<f64, Fault> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err("is not a number"),
        }
    }

    /// A `google.protobuf.Timestamp`.
    pub(super) fn time(self) -> Result<Time, Fault> {
        let (mut seconds, mut nanos) = (0, 0);
        for field in Fields::new(self.bytes()?) {
            match field? {
                (1, value) => seconds = value.integer()?,
                (2, value) => nanos = value.int32()?,
                _ => {}
            }
        }
        let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
        Ok(Time { seconds, nanos: nanos.ok_or("has nanoseconds that are not within a second")? })
    }
}

/// The fields of a message, in order: number and value.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// How many fields may still come: one byte of input can stand for much more memory.
    left: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, left: MAX_ITEMS }
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Fault> {
        self.left = self.left.checked_sub(1).ok_or("has too many fields")?;
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let bits = self.take(8)?.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
                Value::Fixed64(bits)
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| "is too long")?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed32)?,
            _ => return Err("has a field of a kind that is not in use"),
        };
        match tag >> 3 {
            0 => Err("has a field with number 0"),
            number => Ok((number, value)),
        }
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let mut number = 0u64;
        for shift in 0..10 {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7F) << (7 * shift);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("has a number of more than ten bytes")
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or("ends within a field")?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_tag(number: u32, kind: u32, out: &mut Vec<u8>) {
    put_varint(u64::from(number << 3 | kind), out);
}

/// Appends a number, unless it is 0: what is at its default is not on the wire.
pub(super) fn put_integer(number: u32, value: i64, out: &mut Vec<u8>) {
    if value != 0 {
        put_tag(number, 0, out);
        put_varint(value.cast_unsigned(), out);
    }
}

/// The same for a field of 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "as the original converts")]
pub(super) fn put_int32(number: u32, value: i64, out: &mut Vec<u8>) {
    put_integer(number, i64::from(value as i32), out);
}

pub(super) fn put_boolean(number: u32, value: bool, out: &mut Vec<u8>) {
    put_integer(number, i64::from(value), out);
}

pub(super) fn put_double(number: u32, value: f64, out: &mut Vec<u8>) {
    if value.to_bits() != 0 {
        put_tag(number, 1, out);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends text, unless it is empty.
pub(super) fn put_text(number: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        put_item(number, text, out);
    }
}

/// Appends text that is one of several, so it counts even when empty.
pub(super) fn put_item(number: u32, text: &str, out: &mut Vec<u8>) {
    put_tag(number, 2, out);
    put_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a message, which is there even when it is empty.
pub(super) fn put_message(number: u32, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    put_tag(number, 2, out);
    let start = out.len();
    fill(out);
    // The length stands before what it counts and is seldom longer than a byte; what follows is moved by that much.
    let mut length = Vec::with_capacity(4);
    put_varint((out.len() - start) as u64, &mut length);
    out.splice(start..start, length);
}

pub(super) fn put_time(number: u32, time: Time, out: &mut Vec<u8>) {
    put_message(number, out, |out| {
        put_integer(1, time.seconds, out);
        put_integer(2, i64::from(time.nanos), out);
    });
}
