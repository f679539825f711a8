//! Msgpack of any writer, read without trust: lengths are checked against what is there, depth against a limit.

use std::borrow::Cow;
use std::fmt;

use weir_kit::text::lossy;

use crate::tyk::record::{MAX_ITEMS, Text, Time};

/// Deepest nesting of values that are passed over.
const MAX_DEPTH: u32 = 32;

/// What is wrong with a value; the field it belongs to is added by the caller. As large as a pointer, so that what was
/// read comes back in registers.
#[derive(Debug)]
pub(super) struct Fault(Box<Cow<'static, str>>);

impl Fault {
    #[cold]
    pub(super) fn new(words: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(words.into()))
    }

    #[cold]
    fn ended() -> Self {
        Self::new("the bytes end within it")
    }

    /// The same, said of a part of the value.
    #[cold]
    pub(super) fn within(self, part: &[u8]) -> Self {
        Self::new(format!("{}: {self}", String::from_utf8_lossy(part)))
    }

    #[cold]
    fn expected(what: &'static str, found: u8) -> Self {
        Self::new(format!("expected {what}, not 0x{found:02x}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads values one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// How many entries of maps and items of lists may still come: one byte of input can stand for much more memory.
    items: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, items: MAX_ITEMS }
    }

    /// How many bytes were not read yet.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn items(&mut self, length: usize) -> Result<usize, Fault> {
        self.items = self
            .items
            .checked_sub(length)
            .ok_or_else(|| Fault::new(format!("more than {MAX_ITEMS} items")))?;
        Ok(length)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(Fault::ended)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let (byte, rest) = self.rest.split_first().ok_or_else(Fault::ended)?;
        self.rest = rest;
        Ok(*byte)
    }

    /// The next so many bytes.
    fn fixed<const WIDTH: usize>(&mut self) -> Result<[u8; WIDTH], Fault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(Fault::ended)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A length in this many bytes.
    fn length(&mut self, width: usize) -> Result<usize, Fault> {
        Ok(match width {
            1 => usize::from(self.byte()?),
            2 => usize::from(u16::from_be_bytes(self.fixed()?)),
            _ => usize::try_from(u32::from_be_bytes(self.fixed()?)).map_err(|_| Fault::new("too long"))?,
        })
    }

    /// Whether a nil comes next; it is taken.
    fn nil(&mut self) -> bool {
        match self.rest.split_first() {
            Some((0xC0, rest)) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// How many entries the map has that comes next; `None` for nil.
    pub(super) fn map(&mut self) -> Result<Option<usize>, Fault> {
        let length = match self.byte()? {
            0xC0 => return Ok(None),
            short @ 0x80..=0x8F => usize::from(short & 0x0F),
            0xDE => self.length(2)?,
            0xDF => self.length(4)?,
            other => return Err(Fault::expected("a map", other)),
        };
        self.items(length).map(Some)
    }

    /// How many items the array has that comes next; `None` for nil.
    pub(super) fn array(&mut self) -> Result<Option<usize>, Fault> {
        let length = match self.byte()? {
            0xC0 => return Ok(None),
            short @ 0x90..=0x9F => usize::from(short & 0x0F),
            0xDC => self.length(2)?,
            0xDD => self.length(4)?,
            other => return Err(Fault::expected("a list", other)),
        };
        self.items(length).map(Some)
    }

    /// The bytes of a text or of `bin`; nil is empty.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        // As nearly all texts are.
        if let [short @ 0xA0..=0xBF, rest @ ..] = self.rest
            && let Some((bytes, rest)) = rest.split_at_checked(usize::from(short & 0x1F))
        {
            self.rest = rest;
            return Ok(bytes);
        }
        self.any_bytes()
    }

    #[inline(never)]
    fn any_bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = match self.byte()? {
            0xC0 => 0,
            short @ 0xA0..=0xBF => usize::from(short & 0x1F),
            0xC4 | 0xD9 => self.length(1)?,
            0xC5 | 0xDA => self.length(2)?,
            0xC6 | 0xDB => self.length(4)?,
            other => return Err(Fault::expected("text", other)),
        };
        self.take(length)
    }

    /// Text; bytes that are not UTF-8 become U+FFFD.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Text<'a>, Fault> {
        match self.bytes()? {
            [] => Ok(Text::default()),
            bytes => Ok(lossy(bytes)),
        }
    }

    pub(super) fn boolean(&mut self) -> Result<bool, Fault> {
        match self.byte()? {
            0xC0 | 0xC2 => Ok(false),
            0xC3 => Ok(true),
            other => Err(Fault::expected("true or false", other)),
        }
    }

    /// A whole number in any form that holds one; nil is 0.
    #[inline]
    pub(super) fn integer(&mut self) -> Result<i64, Fault> {
        if let Some((small @ 0..=0x7F, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(i64::from(*small));
        }
        self.any_integer()
    }

    #[inline(never)]
    fn any_integer(&mut self) -> Result<i64, Fault> {
        match self.number_value()? {
            Number::Signed(value) => Ok(value),
            Number::Unsigned(value) => {
                i64::try_from(value).map_err(|_| Fault::new(format!("{value} is larger than 63 bits")))
            }
            Number::Float(value) => whole(value),
        }
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, Fault> {
        match self.number_value()? {
            Number::Unsigned(value) => Ok(value),
            Number::Signed(value) => {
                u64::try_from(value).map_err(|_| Fault::new(format!("{value} is negative")))
            }
            Number::Float(value) => whole(value).and_then(|value| {
                u64::try_from(value).map_err(|_| Fault::new(format!("{value} is negative")))
            }),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a degree given as a whole number is small")]
    pub(super) fn float(&mut self) -> Result<f64, Fault> {
        Ok(match self.number_value()? {
            Number::Signed(value) => value as f64,
            Number::Unsigned(value) => value as f64,
            Number::Float(value) => value,
        })
    }

    #[inline]
    fn number_value(&mut self) -> Result<Number, Fault> {
        Ok(match self.byte()? {
            0xC0 => Number::Unsigned(0),
            small @ 0..=0x7F => Number::Unsigned(small.into()),
            small @ 0xE0..=0xFF => Number::Signed(small.cast_signed().into()),
            0xCC => Number::Unsigned(self.byte()?.into()),
            0xCD => Number::Unsigned(u16::from_be_bytes(self.fixed()?).into()),
            0xCE => Number::Unsigned(u32::from_be_bytes(self.fixed()?).into()),
            0xCF => Number::Unsigned(u64::from_be_bytes(self.fixed()?)),
            0xD0 => Number::Signed(self.byte()?.cast_signed().into()),
            0xD1 => Number::Signed(i16::from_be_bytes(self.fixed()?).into()),
            0xD2 => Number::Signed(i32::from_be_bytes(self.fixed()?).into()),
            0xD3 => Number::Signed(i64::from_be_bytes(self.fixed()?)),
            0xCA => Number::Float(f32::from_be_bytes(self.fixed()?).into()),
            0xCB => Number::Float(f64::from_be_bytes(self.fixed()?)),
            other => return Err(Fault::expected("a number", other)),
        })
    }

    /// An instant: a list of seconds and nanoseconds; nil is Go's zero time.
    pub(super) fn time(&mut self) -> Result<Time, Fault> {
        match self.array()? {
            None => Ok(Time::ZERO),
            Some(2) => {
                let (seconds, nanos) = (self.integer()?, self.integer()?);
                let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
                let nanos = nanos.ok_or_else(|| Fault::new("nanoseconds are not within a second"))?;
                Ok(Time { seconds, nanos })
            }
            Some(length) => {
                Err(Fault::new(format!("expected seconds and nanoseconds, not a list of {length}")))
            }
        }
    }

    /// A list of texts; `None` for nil.
    pub(super) fn texts(&mut self) -> Result<Option<Vec<Text<'a>>>, Fault> {
        self.list(Self::text)
    }

    /// A list; `None` for nil.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Option<Vec<T>>, Fault> {
        let Some(length) = self.array()? else { return Ok(None) };
        // An item has a byte at least.
        let mut items = Vec::with_capacity(length.min(self.rest.len()));
        for _ in 0..length {
            items.push(item(self)?);
        }
        Ok(Some(items))
    }

    /// A map with names that mean something only to their writer; `None` for nil.
    pub(super) fn pairs<T>(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<T, Fault>,
    ) -> Result<Option<Vec<(Text<'a>, T)>>, Fault> {
        let Some(length) = self.map()? else { return Ok(None) };
        (0..length).map(|_| Ok((self.text()?, value(self)?))).collect::<Result<_, _>>().map(Some)
    }

    /// The name of a map's entry; names that are not text are passed over as empty.
    pub(super) fn name(&mut self) -> Result<&'a [u8], Fault> {
        match self.rest.first() {
            Some(0xA0..=0xBF | 0xC4..=0xC6 | 0xD9..=0xDB) => self.bytes(),
            _ => self.skip().map(|()| [].as_slice()),
        }
    }

    /// Whether this name comes next, written as all writers do; then it is taken. It may not be seen close to the end.
    #[inline]
    pub(super) fn is_name(&mut self, name: &Name) -> bool {
        let Some(next) = self.rest.first_chunk() else { return false };
        let found = u128::from_le_bytes(*next) & name.mask == name.written;
        if found {
            self.rest = &self.rest[name.length..];
        }
        found
    }

    /// Whether just these bytes come next; then they are taken.
    pub(super) fn is(&mut self, bytes: &[u8]) -> bool {
        let Some(rest) = self.rest.strip_prefix(bytes) else { return false };
        self.rest = rest;
        true
    }

    /// What can be read of a value of any kind, for a step of a path; the rest is passed over.
    pub(super) fn text_or_integer(&mut self) -> Result<Option<Result<Text<'a>, i64>>, Fault> {
        if self.nil() {
            return Ok(None);
        }
        match self.rest.first() {
            Some(0xA0..=0xBF | 0xC4..=0xC6 | 0xD9..=0xDB) => Ok(Some(Ok(self.text()?))),
            Some(0..=0x7F | 0xE0..=0xFF | 0xCA..=0xD3) => {
                let mut ahead = *self;
                match ahead.integer() {
                    Ok(number) => {
                        *self = ahead;
                        Ok(Some(Err(number)))
                    }
                    Err(_) => self.skip().map(|()| None),
                }
            }
            _ => self.skip().map(|()| None),
        }
    }

    /// Passes over one value of any kind.
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        self.skip_within(MAX_DEPTH)
    }

    fn skip_within(&mut self, depth: u32) -> Result<(), Fault> {
        if depth == 0 {
            return Err(Fault::new("nested too deeply"));
        }
        let (flat, inner) = match self.byte()? {
            0..=0x7F | 0xE0..=0xFF | 0xC0..=0xC3 => (0, 0),
            map @ 0x80..=0x8F => (0, 2 * usize::from(map & 0x0F)),
            array @ 0x90..=0x9F => (0, usize::from(array & 0x0F)),
            text @ 0xA0..=0xBF => (usize::from(text & 0x1F), 0),
            0xC4 | 0xD9 => (self.length(1)?, 0),
            0xC5 | 0xDA => (self.length(2)?, 0),
            0xC6 | 0xDB => (self.length(4)?, 0),
            0xC7 => (self.length(1)?.saturating_add(1), 0),
            0xC8 => (self.length(2)?.saturating_add(1), 0),
            0xC9 => (self.length(4)?.saturating_add(1), 0),
            0xCC | 0xD0 => (1, 0),
            0xCD | 0xD1 => (2, 0),
            0xCA | 0xCE | 0xD2 => (4, 0),
            0xCB | 0xCF | 0xD3 => (8, 0),
            extension @ 0xD4..=0xD8 => (1 + (1 << (extension - 0xD4)), 0),
            0xDC => (0, self.length(2)?),
            0xDD => (0, self.length(4)?),
            0xDE => (0, self.length(2)?.saturating_mul(2)),
            0xDF => (0, self.length(4)?.saturating_mul(2)),
        };
        self.take(flat)?;
        (0..inner).try_for_each(|_| self.skip_within(depth - 1))
    }
}

/// The name of a field as it is written, with its length before it, as a number: it is compared at once.
#[derive(Debug)]
pub(super) struct Name {
    written: u128,
    /// Which of the sixteen bytes count.
    mask: u128,
    /// How many those are.
    length: usize,
}

impl Name {
    /// A name of at most 15 bytes.
    pub(super) const fn new(text: &'static str) -> Self {
        let name = text.as_bytes();
        assert!(name.len() < 16);
        let (mut written, mut mask) = ([0; 16], [0; 16]);
        // Text of up to 31 bytes has its length in the first.
        (written[0], mask[0]) = (0xA0 | name.len() as u8, 0xFF);
        let mut at = 0;
        while at < name.len() {
            (written[at + 1], mask[at + 1]) = (name[at], 0xFF);
            at += 1;
        }
        let (written, mask) = (u128::from_le_bytes(written), u128::from_le_bytes(mask));
        Self { written, mask, length: 1 + name.len() }
    }
}

enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
fn whole(value: f64) -> Result<i64, Fault> {
    let fits = value.fract() == 0.0 && value.abs() < 9.0e18;
    if fits { Ok(value as i64) } else { Err(Fault::new(format!("{value} is not a whole number"))) }
}
