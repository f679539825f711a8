//! Which path segments are values by their looks alone.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Longest segment that may be a fixed part of a path.
const LONGEST_NAME: usize = 64;

/// The placeholder for a segment that is evidently a value, such as `{uuid}`; `None` when it may be a fixed part.
pub(super) fn placeholder(segment: &str) -> Option<Cow<'static, str>> {
    if is_plain_word(segment) {
        return None;
    }
    let decoded = percent_decode_str(segment).decode_utf8_lossy();
    if let Some(kind) = kind_of(&decoded) {
        return Some(Cow::Borrowed(kind));
    }
    let (stem, extension) = decoded.rsplit_once('.')?;
    let short =
        (1..=5).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let letter_first = extension.starts_with(|first: char| first.is_ascii_alphabetic());
    let kind = kind_of(stem).filter(|_| short && letter_first)?;
    Some(Cow::Owned(format!("{kind}.{extension}")))
}

/// The common case, decided in one pass: short, letters only (with the separators of names).
fn is_plain_word(segment: &str) -> bool {
    segment.len() < 20
        && segment.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'))
}

fn kind_of(text: &str) -> Option<&'static str> {
    let text = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
    if is_number(text) {
        return Some("{id}");
    }
    if is_uuid(text) {
        return Some("{uuid}");
    }
    if is_date(text) {
        return Some("{date}");
    }
    if is_ulid(text) {
        return Some("{ulid}");
    }
    if is_hash(text) {
        return Some("{hash}");
    }
    if is_email(text) {
        return Some("{email}");
    }
    if is_numbered(text) || is_list_of_values(text) {
        return Some("{id}");
    }
    if is_token(text) {
        return Some("{token}");
    }
    if is_prose(text) {
        return Some("{text}");
    }
    None
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    !whole.is_empty() && !fraction.is_empty() && all_digits(whole) && all_digits(fraction)
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// `2026-11-20`, `2026-11`, with or without a time.
fn is_date(text: &str) -> bool {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let mut parts = date.split('-');
    let digits =
        |part: Option<&str>, length| part.is_some_and(|part| part.len() == length && all_digits(part));
    let time_fits =
        time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'Z' | b'+' | b'-'));
    digits(parts.next(), 4)
        && digits(parts.next(), 2)
        && parts.next().is_none_or(|day| digits(Some(day), 2))
        && time_fits
        && parts.next().is_none()
}

/// 26 characters of Crockford's base 32, the first at most 7; digits and letters both occur.
fn is_ulid(text: &str) -> bool {
    let in_alphabet = |byte: u8| {
        byte.is_ascii_alphanumeric() && !matches!(byte.to_ascii_uppercase(), b'I' | b'L' | b'O' | b'U')
    };
    text.len() == 26 && text.as_bytes()[0] <= b'7' && text.bytes().all(in_alphabet)
}

/// Hexadecimal of 16 digits or more, or of 7 and more when `0x` or a mixture of digits and letters shows what it is.
fn is_hash(text: &str) -> bool {
    let (marked, digits) = text.strip_prefix("0x").map_or((false, text), |digits| (true, digits));
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let numerals = digits.bytes().filter(u8::is_ascii_digit).count();
    let mixed = numerals >= 2 && digits.len() - numerals >= 2;
    hexadecimal
        && (marked && !digits.is_empty() || digits.len() >= 16 && numerals > 0 || digits.len() >= 7 && mixed)
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, domain)| {
        !user.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.contains(['@', ' '])
    })
}

/// A word and a number of three digits or more: `order-10042`, `INV_2026001`, `item:123`.
fn is_numbered(text: &str) -> bool {
    let Some((word, number)) = text.rsplit_once(['-', '_', ':']) else { return false };
    number.len() >= 3 && all_digits(number) && word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// `1,2,3` or `52.5,13.4`.
fn is_list_of_values(text: &str) -> bool {
    text.contains(',') && text.split(',').all(is_number)
}

/// Random characters: a long run of letters and digits that no one would write as a name, with or without a short
/// prefix (`cus_9s6XKzkNRiz8i3`), and the dotted parts of a signed token.
fn is_token(text: &str) -> bool {
    let body = match text.split_once('_') {
        Some((prefix, rest)) if prefix.len() <= 8 && !rest.is_empty() => rest,
        _ => text,
    };
    let in_alphabet =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'=' | b'~');
    if body.len() < 10 || !body.bytes().all(in_alphabet) {
        return false;
    }
    let changes = class_changes(body);
    let digits = body.bytes().filter(u8::is_ascii_digit).count();
    (digits >= 2 && changes * 4 >= body.len()) || (body.len() >= 32 && changes * 6 >= body.len())
}

/// How often the kind of character changes along the text; high in random texts, low in words and versions. Separators,
/// which stand between words, and the capitals that begin them (`getUserById`) do not count.
fn class_changes(text: &str) -> usize {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        _ => 3,
    };
    let changes = |pair: &&[u8]| match (class(pair[0]), class(pair[1])) {
        (3, _) | (_, 3) | (1, 2) => false,
        (before, after) => before != after,
    };
    text.as_bytes().windows(2).filter(changes).count()
}

/// Names of paths are short and in ASCII.
fn is_prose(text: &str) -> bool {
    text.len() > LONGEST_NAME || !text.is_ascii() || text.contains([' ', '"', '<', '>', '\\', '^', '`', '|'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_placeholders_at_once() {
        for (segment, expected) in [
            ("42", "{id}"),
            ("-1.5", "{id}"),
            ("00001", "{id}"),
            ("0b2c1d9e-6f4a-4a5b-9c3d-1e2f3a4b5c6d", "{uuid}"),
            ("%7B0b2c1d9e-6f4a-4a5b-9c3d-1e2f3a4b5c6d%7D", "{uuid}"),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "{ulid}"),
            ("507f1f77bcf86cd799439011", "{hash}"),
            ("0xdeadbeef", "{hash}"),
            ("9fceb02d0ae598e95dc970b74767f19372d61af8", "{hash}"),
            ("82ff2d4", "{hash}"),
            ("2026-11-20", "{date}"),
            ("2026-11", "{date}"),
            ("2026-11-20T10:00:00Z", "{date}"),
            ("ann@example.com", "{email}"),
            ("ann%40example.com", "{email}"),
            ("order-10042", "{id}"),
            ("1,2,3", "{id}"),
            ("52.52,13.405", "{id}"),
            ("cus_9s6XKzkNRiz8i3", "{token}"),
            ("dQw4w9WgXcQ7", "{token}"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N", "{token}"),
            ("10042.json", "{id}.json"),
            ("red%20shoes", "{text}"),
            ("größe", "{text}"),
        ] {
            assert_eq!(placeholder(segment).as_deref(), Some(expected), "{segment}");
        }
    }

    #[test]
    fn names_stay() {
        for segment in [
            "users",
            "v1",
            "v2.1",
            "oauth2",
            "s3",
            "ipv4",
            "getUserById",
            "chat.postMessage",
            "index.html",
            "me",
            "web3",
            "utf-8",
            "OrderService",
            "app.min.js",
            "sitemap-2.xml",
            "com.shop.v1.Orders",
            "deadbeef",
            "two-factor-authentication",
            "eth_getBlockByNumber",
            "listAllOrganizationMembershipsForUser",
            "@me",
            "conversations.requestSharedInvite.approve",
            "~ann",
            "*",
            "face",
            "woollen-orchard-jackets-discontinued",
            "how-to-measure-what-flows-without-stopping-it",
            "2fa",
            "h264",
        ] {
            assert_eq!(placeholder(segment), None, "{segment}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_judged(segment in ".{0,80}") {
            let _placeholder = placeholder(&segment);
        }

        #[test]
        fn random_ids_are_values(bytes: [u8; 16], number: u64) {
            let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
            proptest::prop_assert_eq!(placeholder(&id.to_string()).unwrap(), "{uuid}");
            proptest::prop_assert_eq!(placeholder(&number.to_string()).unwrap(), "{id}");
        }
    }
}
