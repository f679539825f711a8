//! Header and trailer fields.

use bytes::Bytes;
use weir_model::Headers;

use super::{MASK, Redactor};
use crate::splice::Splicer;

/// Words before the secret of an `Authorization` header that say how it is meant.
const SCHEMES: [&str; 14] = [
    "apikey",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "digest",
    "dpop",
    "hawk",
    "hmac",
    "jwt",
    "key",
    "negotiate",
    "ntlm",
    "oauth",
    "token",
];

impl Redactor {
    pub(super) fn mask_headers(&self, headers: &mut Headers) {
        for (name, value) in &mut headers.0 {
            if self.headers.matches(name.as_bytes()) {
                *value = Bytes::from(masked(name, value));
            } else if memchr::memchr3(b'=', b'@', b'{', value).is_some()
                && let Some(masked) = self.mask_header_value(value)
            {
                *value = Bytes::from(masked);
            }
        }
    }

    /// URLs (`Referer`, `Location`, `Link`, …), and JSON as some proxies put into headers.
    fn mask_header_value(&self, value: &[u8]) -> Option<Vec<u8>> {
        match crate::json::first_byte(value) {
            Some(b'{' | b'[') => self.mask_json(value, 1),
            _ => self.mask_urls(value, 1),
        }
    }
}

/// The value of a masked header. What tells how it was used without telling the secret stays: the names of cookies, the
/// attributes of a cookie that is set, the scheme of an authorization.
fn masked(name: &str, value: &[u8]) -> Vec<u8> {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    if is("cookie") {
        return masked_cookies(value);
    }
    if is("set-cookie") {
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let mut out = masked_cookies(&value[..end]);
        out.extend_from_slice(&value[end..]);
        return out;
    }
    let scheme = memchr::memchr(b' ', value).and_then(|end| std::str::from_utf8(&value[..end]).ok());
    match scheme {
        Some(scheme) if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => {
            format!("{scheme} {MASK}").into_bytes()
        }
        _ => MASK.as_bytes().to_vec(),
    }
}

fn masked_cookies(value: &[u8]) -> Vec<u8> {
    let mut splicer = Splicer::new(value);
    let mut start = 0;
    for pair in value.split(|byte| *byte == b';') {
        let end = start + pair.len();
        match memchr::memchr(b'=', pair) {
            Some(at) => splicer.replace(start + at + 1..end, MASK.as_bytes()),
            // A cookie without a name is all value.
            None if !pair.trim_ascii().is_empty() => splicer.replace(start..end, MASK.as_bytes()),
            None => {}
        }
        start = end + 1;
    }
    splicer.finish().unwrap_or_else(|| value.to_vec())
}
