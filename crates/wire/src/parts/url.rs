//! URLs taken apart without changing a byte of path and query, and query strings.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// An absolute URL in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlParts<'a> {
    /// Lower case.
    pub scheme: String,
    /// Lower case, with the port if it was given, without user and password.
    pub host: String,
    /// Exactly as written.
    pub path: &'a str,
    /// What follows the first `?`, exactly as written.
    pub query: Option<&'a str>,
}

/// Takes an absolute URL apart; `None` when it has no scheme. Nothing is decoded, resolved or normalised in path and
/// query, since they are what was asked for.
pub fn split(url: &str) -> Option<UrlParts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let mut letters = scheme.bytes();
    let starts_well = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic());
    if !starts_well || !letters.all(|letter| letter.is_ascii_alphanumeric() || b"+-.".contains(&letter)) {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(end)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (path, query) = split_target(target);
    Some(UrlParts { scheme: scheme.to_ascii_lowercase(), host: host.to_ascii_lowercase(), path, query })
}

/// Takes a request target apart at the first `?`.
pub fn split_target(target: &str) -> (&str, Option<&str>) {
    target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)))
}

/// A host without its port.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !open_bracket(name) => name,
        _ => host,
    }
}

/// Whether this is the inside of an IPv6 literal (`[::1` of `[::1]`), or one without brackets.
fn open_bracket(name: &str) -> bool {
    name.starts_with('[') != name.ends_with(']') || (!name.starts_with('[') && name.contains(':'))
}

/// One argument of a query string, decoded. `value` is `None` for a name without `=`.
pub type Argument<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// The arguments of a query string or form, decoded, in order; those without a name are left out.
pub fn arguments(query: &str) -> impl Iterator<Item = Argument<'_>> {
    query.split('&').filter_map(|argument| {
        let (name, value) =
            argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)));
        (!name.is_empty()).then(|| (decode(name), value.map(decode)))
    })
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned())
}

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A query string or form made of decoded arguments.
pub fn join<'a>(arguments: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut joined = String::new();
    for (name, value) in arguments {
        if !joined.is_empty() {
            joined.push('&');
        }
        joined.extend(utf8_percent_encode(name, &UNRESERVED));
        joined.push('=');
        joined.extend(utf8_percent_encode(value, &UNRESERVED));
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_apart_unchanged() {
        for (url, scheme, host, path, query) in [
            ("http://a.test/x%2F?b=1?c", "http", "a.test", "/x%2F", Some("b=1?c")),
            ("HTTPS://A.test:8443/", "https", "a.test:8443", "/", None),
            ("http://a.test", "http", "a.test", "", None),
            ("http://a.test?q", "http", "a.test", "", Some("q")),
            ("http://u:p@a.test/x?", "http", "a.test", "/x", Some("")),
            ("http://[::1]:80/../x", "http", "[::1]:80", "/../x", None),
            ("http:///x", "http", "", "/x", None),
        ] {
            let parts = split(url).unwrap();
            assert_eq!((parts.scheme.as_str(), parts.host.as_str()), (scheme, host), "{url}");
            assert_eq!((parts.path, parts.query), (path, query), "{url}");
        }
        for url in ["", "a.test/x", "/x", "://a", "1http://a", "ht tp://a"] {
            assert_eq!(split(url), None, "{url}");
        }
    }

    #[test]
    fn ports_go_and_addresses_stay() {
        for (host, name) in [
            ("a.test:80", "a.test"),
            ("a.test", "a.test"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("a.test:", "a.test"),
        ] {
            assert_eq!(without_port(host), name, "{host}");
        }
    }

    #[test]
    fn arguments_are_decoded_in_order() {
        let read: Vec<Argument<'_>> = arguments("a=1&b&=x&&c=%E6%9D%B1+%2B&d=%FF&e=").collect();
        let shown: Vec<(&str, Option<&str>)> =
            read.iter().map(|(name, value)| (name.as_ref(), value.as_deref())).collect();
        let expected =
            [("a", Some("1")), ("b", None), ("c", Some("東 +")), ("d", Some("\u{FFFD}")), ("e", Some(""))];
        assert_eq!(shown, expected);
    }

    proptest::proptest! {
        #[test]
        fn joined_arguments_are_read_back(pairs: Vec<(String, String)>) {
            let pairs: Vec<_> = pairs.into_iter().filter(|(name, _)| !name.is_empty()).collect();
            let joined = join(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let read: Vec<_> = arguments(&joined)
                .map(|(name, value)| (name.into_owned(), value.unwrap_or_default().into_owned()))
                .collect();
            proptest::prop_assert_eq!(read, pairs);
        }
    }
}
