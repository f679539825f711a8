//! Lines in the Common Log Format and its `combined` extension.
//!
//! ```text
//! [virtual host] client identity user [time] "request line" status size ["referer" "user agent" [more]]
//! ```

use std::borrow::Cow;

use bytes::Bytes;
use weir_kit::Timestamp;
use weir_model::{Body, Exchange, Origin, Request, Response};

use crate::parts::{self, shortened, url};

/// One line, taken apart.
#[derive(Debug, Clone, PartialEq)]
struct Line<'a> {
    host: Option<&'a str>,
    client: &'a str,
    user: Option<String>,
    time: Timestamp,
    request: Vec<u8>,
    status: Option<u16>,
    size: Option<u64>,
    referer: Option<Vec<u8>>,
    user_agent: Option<Vec<u8>>,
    rest: &'a str,
}

/// Reads a line that has referer and user agent; without them both, it is read as `common`.
pub fn read_combined(line: &[u8], number: u64) -> Result<Exchange, String> {
    read(line, number, true)
}

/// Reads a line of the Common Log Format; what follows the size is kept unread.
pub fn read_common(line: &[u8], number: u64) -> Result<Exchange, String> {
    read(line, number, false)
}

fn read(bytes: &[u8], number: u64, combined: bool) -> Result<Exchange, String> {
    let text = String::from_utf8_lossy(bytes);
    let line = take_apart(&text, combined)?;
    let mut exchange = Exchange::new(
        parts::stable_id(line.time, &[b"access_log", bytes, &number.to_le_bytes()]),
        line.time,
        Request::default(),
    );
    set_request_line(&mut exchange, &line.request);
    if let Some(host) = line.host.filter(|host| exchange.request.host.is_empty() && *host != "_") {
        exchange.request.host = host.to_ascii_lowercase().into();
    }
    exchange.origin = Origin { source: "access_log".into(), ..Origin::default() };
    exchange.client = parts::peer(line.client);
    if exchange.client.address.is_none() && line.client != "-" {
        exchange.attributes.set("access_log.client", line.client);
    }
    exchange.identity.user = line.user.map(Into::into);
    for (name, value) in [("Referer", line.referer), ("User-Agent", line.user_agent)] {
        if let Some(value) = value.filter(|value| value != b"-" && !value.is_empty()) {
            exchange.request.headers.push(name, Bytes::from(value));
        }
    }
    exchange.response = line.status.map(|status| Response {
        status,
        version: exchange.request.version.clone(),
        body: line.size.map_or_else(Body::default, Body::of_size),
        ..Response::default()
    });
    if !line.rest.is_empty() && !set_traefik(&mut exchange, line.rest) {
        exchange.attributes.set("access_log.rest", shortened(line.rest, 1_000));
    }
    Ok(exchange)
}

fn take_apart(text: &str, combined: bool) -> Result<Line<'_>, String> {
    let (before, time, after) = split_at_time(text)
        .ok_or_else(|| format!("no time like [10/Oct/2000:13:55:36 -0700] in {:?}", shortened(text, 60)))?;
    let (host, client, user) = callers(before)?;
    let (request, after) = quoted(after.trim_start(), "request line")?;
    let (status, after) = token(after);
    let (size, after) = token(after);
    let mut line = Line {
        host,
        client,
        user: Some(user).filter(|user| !matches!(user.as_str(), "-" | "" | "\"\"")),
        time,
        request,
        status: number(status, "status")?,
        // Apache writes a dash for no bytes.
        size: number(size, "size")?.or(Some(0)),
        referer: None,
        user_agent: None,
        rest: after.trim(),
    };
    if combined && line.rest.starts_with('"') {
        let (referer, after) = quoted(line.rest, "referer")?;
        let (user_agent, after) = quoted(after.trim_start(), "user agent")?;
        (line.referer, line.user_agent, line.rest) = (Some(referer), Some(user_agent), after.trim());
    }
    Ok(line)
}

/// Finds the time in brackets; it is what tells a log line from other text.
fn split_at_time(text: &str) -> Option<(&str, Timestamp, &str)> {
    const LENGTH: usize = 26;
    text.match_indices('[').take(8).find_map(|(at, _)| {
        let inside = text.get(at + 1..at + 1 + LENGTH)?;
        let after = text.get(at + 1 + LENGTH..)?.strip_prefix(']')?;
        Some((text.get(..at)?, clf_time(inside)?, after))
    })
}

/// Reads `10/Oct/2000:13:55:36 -0700`.
pub(super) fn clf_time(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let bytes = text.as_bytes();
    if bytes.len() != 26 || bytes[2] != b'/' || bytes[6] != b'/' || bytes[11] != b':' || bytes[20] != b' ' {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok();
    let small = |from: usize| i8::try_from(number(from, from + 2)?).ok();
    let month = MONTHS.iter().position(|month| text.get(3..6) == Some(month))?;
    let date = jiff::civil::DateTime::new(
        i16::try_from(number(7, 11)?).ok()?,
        i8::try_from(month + 1).ok()?,
        small(0)?,
        small(12)?,
        small(15)?,
        small(18)?,
        0,
    );
    let away = i32::from(number(22, 24)?) * 3600 + i32::from(number(24, 26)?) * 60;
    let offset = jiff::tz::Offset::from_seconds(if bytes[21] == b'-' { -away } else { away }).ok()?;
    Some(Timestamp::from_micros(offset.to_timestamp(date.ok()?).ok()?.as_microsecond()))
}

/// Virtual host, client and user from what stands before the time, after a syslog header if there is one.
fn callers(before: &str) -> Result<(Option<&str>, &str, String), String> {
    let all: Vec<&str> = before.split_ascii_whitespace().collect();
    let is_address = |token: &&str| token.parse::<std::net::IpAddr>().is_ok();
    let header = all.iter().rposition(|token| token.ends_with(':') && !is_address(token));
    let tokens = header.and_then(|at| all.get(at + 1..)).unwrap_or(&all);
    match tokens {
        // Some formats leave out a user that is not known.
        [client, _] if is_address(client) => Ok((None, client, String::new())),
        [client, _, user] => Ok((None, client, (*user).to_owned())),
        // A user name may hold spaces.
        [client, _, user @ ..] if is_address(client) && !user.is_empty() => {
            Ok((None, client, user.join(" ")))
        }
        [host, client, _, .., user] => Ok((Some(host), client, (*user).to_owned())),
        _ => Err(format!("no client, identity and user before the time: {:?}", shortened(before, 60))),
    }
}

/// Reads a quoted value and undoes its escapes; gives what follows.
fn quoted<'a>(text: &'a str, what: &str) -> Result<(Vec<u8>, &'a str), String> {
    let inside =
        text.strip_prefix('"').ok_or_else(|| format!("no quoted {what} at {:?}", shortened(text, 60)))?;
    let bytes = inside.as_bytes();
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let end = memchr::memchr2(b'"', b'\\', rest)
            .ok_or_else(|| format!("the quote of the {what} is never closed: {:?}", shortened(text, 60)))?;
        value.extend_from_slice(&rest[..end]);
        at += end;
        if bytes[at] == b'"' {
            return Ok((value, inside.get(at + 1..).unwrap_or_default()));
        }
        at += unescape(&bytes[at..], &mut value);
    }
}

/// Undoes one escape as Apache and nginx write them; returns its length. What is none stays as it is.
fn unescape(text: &[u8], value: &mut Vec<u8>) -> usize {
    let hex = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match text {
        [_, b'x', high, low, ..] if hex(high).is_some() && hex(low).is_some() => {
            value.push(hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0));
            return 4;
        }
        [_, b'n', ..] => value.push(b'\n'),
        [_, b'r', ..] => value.push(b'\r'),
        [_, b't', ..] => value.push(b'\t'),
        [_, escaped @ (b'"' | b'\\'), ..] => value.push(*escaped),
        _ => {
            value.push(b'\\');
            return 1;
        }
    }
    2
}

fn token(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_once(' ').unwrap_or((text, ""))
}

fn number<N: std::str::FromStr>(token: &str, what: &str) -> Result<Option<N>, String> {
    match token {
        "-" => Ok(None),
        digits => digits
            .parse()
            .map(Some)
            .map_err(|_| format!("{what} {:?} is not a number", shortened(digits, 20))),
    }
}

/// Sets method, target and version from a request line. What is none is kept as the path, where it can be found, and
/// marked.
pub(super) fn set_request_line(exchange: &mut Exchange, line: &[u8]) {
    let line = String::from_utf8_lossy(line);
    if matches!(line.as_ref(), "-" | "") {
        return;
    }
    let Some((method, target, version)) = request_line(&line) else {
        exchange.request.path = line.into();
        exchange.attributes.set("access_log.malformed_request", true);
        return;
    };
    exchange.request.method = method.into();
    exchange.request.version = parts::protocol_version(version).into();
    set_target(&mut exchange.request, target);
}

fn request_line(line: &str) -> Option<(&str, &str, &str)> {
    let (method, rest) = line.split_once(' ')?;
    let is_token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let (target, version) = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => (target, version),
        _ if rest.starts_with("HTTP/") => return None,
        _ => (rest, ""),
    };
    let plausible = !version.is_empty() || target.starts_with('/');
    (is_token(method) && plausible).then_some((method, target, version))
}

/// Sets path and query, and scheme and host where the target names them (proxy requests, CONNECT).
pub(super) fn set_target(request: &mut Request, target: &str) {
    if let Some(parts) = url::split(target) {
        (request.scheme, request.host) = (parts.scheme.into(), parts.host.into());
        request.path = parts.path.into();
        request.query = parts.query.map(Into::into);
    } else if request.method == "CONNECT" {
        request.host = target.to_ascii_lowercase().into();
    } else {
        let (path, query) = url::split_target(target);
        request.path = path.into();
        request.query = query.map(Into::into);
    }
}

/// Traefik adds the number of the request, the router, the upstream and the duration.
fn set_traefik(exchange: &mut Exchange, rest: &str) -> bool {
    let pieces = || {
        let (count, rest) = token(rest);
        count.parse::<u64>().ok()?;
        let (router, rest) = quoted(rest.trim_start(), "router").ok()?;
        let (upstream, rest) = quoted(rest.trim_start(), "upstream").ok()?;
        let millis: f64 = rest.trim().strip_suffix("ms")?.parse().ok()?;
        let text = |bytes: Vec<u8>| Cow::from(String::from_utf8_lossy(&bytes).into_owned());
        Some((text(router), text(upstream), parts::from_millis(millis)?))
    };
    let Some((router, upstream, total)) = pieces() else { return false };
    exchange.route = Some(router.into()).filter(|name| name != "-");
    if upstream != "-" {
        exchange.attributes.set("access_log.upstream", upstream.into_owned());
    }
    exchange.timings.total = Some(total);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Exchange {
        read_combined(line.as_bytes(), 1).unwrap()
    }

    const TIME: &str = "[10/Oct/2000:13:55:36 -0700]";

    #[test]
    fn every_part_finds_its_place() {
        let exchange = read(&format!(
            r#"192.0.2.7 - frank {TIME} "GET /a%20b?x=1 HTTP/1.0" 200 2326 "http://r.test/" "Mo\"z\x41\\""#
        ));
        assert_eq!(exchange.started_at.to_string(), "2000-10-10T20:55:36Z");
        assert_eq!(exchange.client, parts::peer("192.0.2.7"));
        assert_eq!(exchange.identity.user.as_deref(), Some("frank"));
        assert_eq!(
            (exchange.request.method.as_str(), exchange.request.target().as_str()),
            ("GET", "/a%20b?x=1")
        );
        assert_eq!(exchange.request.version, "1.0");
        assert_eq!(exchange.request.headers.text("user-agent").unwrap(), "Mo\"zA\\");
        assert_eq!(exchange.request.headers.text("referer").unwrap(), "http://r.test/");
        let answer = exchange.response.unwrap();
        assert_eq!((answer.status, answer.body.size), (200, Some(2_326)));
    }

    #[test]
    fn hosts_and_headers_before_the_client_are_told_apart() {
        for (before, host, client, user) in [
            ("192.0.2.7 - -", "", "192.0.2.7", None),
            ("::1 - -", "", "::1", None),
            ("192.0.2.7 - John Doe", "", "192.0.2.7", Some("John Doe")),
            ("A.test 192.0.2.7 - -", "a.test", "192.0.2.7", None),
            ("a.test:443 192.0.2.7 - -", "a.test:443", "192.0.2.7", None),
            ("a.test 192.0.2.7 - 95386da - ", "a.test", "192.0.2.7", None),
            ("Sep 15 16:13:46 ip-1.internal nginx[2869]: 192.0.2.7 - bob", "", "192.0.2.7", Some("bob")),
        ] {
            let exchange = read(&format!("{before} {TIME} \"GET / HTTP/1.1\" 200 -"));
            assert_eq!(exchange.request.host, host, "{before}");
            assert_eq!(exchange.client, parts::peer(client), "{before}");
            assert_eq!(exchange.identity.user.as_deref(), user, "{before}");
            assert_eq!(exchange.response.unwrap().body.size, Some(0), "{before}");
        }
    }

    #[test]
    fn request_lines_of_every_kind_are_kept() {
        for (line, method, host, path, version, malformed) in [
            ("GET / HTTP/1.1", "GET", "", "/", "1.1", false),
            ("GET /a b HTTP/1.1", "GET", "", "/a b", "1.1", false),
            ("GET /", "GET", "", "/", "", false),
            ("OPTIONS * HTTP/1.0", "OPTIONS", "", "*", "1.0", false),
            ("CONNECT Foo.com:25 HTTP/1.1", "CONNECT", "foo.com:25", "", "1.1", false),
            ("GET http://b.test/x HTTP/1.1", "GET", "b.test", "/x", "1.1", false),
            (r"\x16\x03\x01", "", "", "\u{16}\u{3}\u{1}", "", true),
            ("hello there", "", "", "hello there", "", true),
            ("-", "", "", "", "", false),
        ] {
            let exchange = read(&format!("192.0.2.7 - - {TIME} \"{line}\" 400 0"));
            let asked = &exchange.request;
            assert_eq!((asked.method.as_str(), asked.host.as_str()), (method, host), "{line}");
            assert_eq!((asked.path.as_str(), asked.version.as_str()), (path, version), "{line}");
            assert_eq!(
                exchange.attributes.get("access_log.malformed_request").is_some(),
                malformed,
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |line: &str| read_combined(line.as_bytes(), 1).unwrap_err();
        assert_eq!(wrong("hello"), "no time like [10/Oct/2000:13:55:36 -0700] in \"hello\"");
        assert_eq!(wrong(&format!("a {TIME} \"x\"")), "no client, identity and user before the time: \"a \"");
        assert_eq!(wrong(&format!("a - - {TIME} x")), "no quoted request line at \"x\"");
        assert_eq!(wrong(&format!("a - - {TIME} \"x\" two 1")), "status \"two\" is not a number");
        assert_eq!(wrong(&format!("a - - {TIME} \"x\" 200")), "size \"\" is not a number");
        let unclosed = wrong(&format!("a - - {TIME} \"x\" 200 1 \"-\" \"Moz"));
        assert_eq!(unclosed, "the quote of the user agent is never closed: \"\\\"Moz\"");
        assert!(wrong("a - - [31/Feb/2000:13:55:36 -0700] \"x\" 200 1").starts_with("no time"));
    }

    #[test]
    fn traefik_adds_router_upstream_and_duration() {
        let exchange = read(&format!(
            r#"192.0.2.7 - - {TIME} "GET / HTTP/1.1" 200 4 "-" "-" 500 "test@docker" "http://172.17.0.3:80" 12ms"#
        ));
        assert_eq!(exchange.route.as_deref(), Some("test@docker"));
        assert_eq!(exchange.duration(), Some(std::time::Duration::from_millis(12)));
        assert_eq!(exchange.attributes.text("access_log.upstream"), Some("http://172.17.0.3:80"));
    }
}
