//! Bytes that should be text.

use std::borrow::Cow;

/// Bytes as text; those that are not UTF-8 become U+FFFD. The same as [`String::from_utf8_lossy`], and quicker where there is
/// nothing to replace: looking for it costs more than seeing that all is well.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}
