//! Addresses of upstreams.

use super::api::Target;
use crate::parts::url;

/// Why an address is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is none.
    Wrong(String),
    /// It is one for Tyk, and cannot be reached from here.
    NotHere(String),
}

/// Reads an address as Tyk does: without a scheme it is plain HTTP.
pub(super) fn read(text: &str) -> Result<Target, Unusable> {
    let wrong = |what: &str| Unusable::Wrong(format!("{text:?} {what}"));
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let authority = whole.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next());
    if authority.is_some_and(|authority| authority.contains('@')) {
        // Not quoted: it holds a password.
        return Err(Unusable::NotHere("a user and password in an address are not supported".to_owned()));
    }
    let parts = url::split(&whole).ok_or_else(|| wrong("is not an address"))?;
    let (protocol, standard_port) = match parts.scheme.as_str() {
        "http" | "ws" => ("http", 80),
        "https" | "wss" => ("https", 443),
        "h2c" => ("grpc", 80),
        scheme => return Err(Unusable::NotHere(format!("{scheme}:// is not supported"))),
    };
    let (host, port) = match parts.host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().map_err(|_| wrong("has a port that is none"))?)
        }
        _ => (parts.host.as_str(), standard_port),
    };
    if host.is_empty() {
        return Err(wrong("has no host"));
    }
    if parts.query.is_some() {
        return Err(Unusable::NotHere("a query in an address is not supported".to_owned()));
    }
    let path = if parts.path == "/" { "" } else { parts.path };
    Ok(Target { protocol, host: host.to_owned(), port, path: path.to_owned(), weight: 1 })
}

#[cfg(test)]
mod tests {
    use super::Unusable::{NotHere, Wrong};
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, expected) in [
            ("http://a.test", Ok(("http", "a.test", 80, ""))),
            ("https://A.test:8443/base/", Ok(("https", "a.test", 8443, "/base/"))),
            ("a.test:8080", Ok(("http", "a.test", 8080, ""))),
            ("h2c://a.test/", Ok(("grpc", "a.test", 80, ""))),
            ("http://[::1]:9000/x", Ok(("http", "[::1]", 9000, "/x"))),
            ("http://[::1]", Ok(("http", "[::1]", 80, ""))),
            ("wss://a.test", Ok(("https", "a.test", 443, ""))),
            ("tyk://other/", Err(NotHere("tyk:// is not supported".to_owned()))),
            (
                "http://me:secret@a",
                Err(NotHere("a user and password in an address are not supported".to_owned())),
            ),
            ("http://a/?q", Err(NotHere("a query in an address is not supported".to_owned()))),
            ("http://a.test:x", Err(Wrong("\"http://a.test:x\" has a port that is none".to_owned()))),
            ("http:///x", Err(Wrong("\"http:///x\" has no host".to_owned()))),
            ("://x", Err(Wrong("\"://x\" is not an address".to_owned()))),
        ] {
            let read = read(text);
            let read = read.map(|target| (target.protocol, target.host, target.port, target.path));
            let expected = expected
                .map(|(protocol, host, port, path)| (protocol, host.to_owned(), port, path.to_owned()));
            assert_eq!(read, expected, "{text}");
        }
    }
}
