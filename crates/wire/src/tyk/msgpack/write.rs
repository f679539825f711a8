//! Msgpack as Tyk's encoder writes it: the smallest form of every number, never `bin` (section 3.1).

/// Appends a map's head.
pub(super) fn map(length: usize, out: &mut Vec<u8>) {
    head(length, 0x80, 0xDE, out);
}

/// Appends an array's head.
pub(super) fn array(length: usize, out: &mut Vec<u8>) {
    head(length, 0x90, 0xDC, out);
}

#[expect(clippy::cast_possible_truncation, reason = "each form is chosen by size")]
fn head(length: usize, fixed: u8, sixteen: u8, out: &mut Vec<u8>) {
    if length < 16 {
        out.push(fixed | length as u8);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(sixteen);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(sixteen + 1);
        out.extend_from_slice(&(length as u32).to_be_bytes());
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each form is chosen by size; texts are far below 4 GiB")]
pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    let length = text.len();
    if length < 32 {
        out.push(0xA0 | length as u8);
    } else if let Ok(length) = u8::try_from(length) {
        out.extend_from_slice(&[0xD9, length]);
    } else if let Ok(length) = u16::try_from(length) {
        out.push(0xDA);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(0xDB);
        out.extend_from_slice(&(length as u32).to_be_bytes());
    }
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn integer(value: i64, out: &mut Vec<u8>) {
    if let Ok(value) = u64::try_from(value) {
        unsigned(value, out);
    } else if let Ok(value) = i8::try_from(value) {
        if value < -32 {
            out.push(0xD0);
        }
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xD1);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xD2);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xD3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(super) fn unsigned(value: u64, out: &mut Vec<u8>) {
    if let Ok(value) = u8::try_from(value) {
        if value > 0x7F {
            out.push(0xCC);
        }
        out.push(value);
    } else if let Ok(value) = u16::try_from(value) {
        out.push(0xCD);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(0xCE);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xCF);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(super) fn float(value: f64, out: &mut Vec<u8>) {
    out.push(0xCB);
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn boolean(value: bool, out: &mut Vec<u8>) {
    out.push(if value { 0xC3 } else { 0xC2 });
}

pub(super) fn nil(out: &mut Vec<u8>) {
    out.push(0xC0);
}
