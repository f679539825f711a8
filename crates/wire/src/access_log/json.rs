//! Lines of one JSON object each, as nginx, Caddy, Traefik and Envoy write them and as others name things.

use std::time::Duration;

use serde_json::{Map, Value as Json};
use weir_kit::Timestamp;
use weir_model::{Body, CompactString, Exchange, Headers, Origin, Peer, Request, Response, Value};

use super::clf;
use crate::parts::{self, shortened};

/// Where a fact is found: names in order of preference, dots lead into objects.
mod names {
    pub(super) const STARTED: &[&str] = &[
        "StartUTC",
        "start_time",
        "time_start",
        "@timestamp",
        "timestamp",
        "time",
        "datetime",
        "date",
        "StartLocal",
    ];
    /// Times at which the answer had been sent.
    pub(super) const ENDED: &[&str] = &["ts", "msec", "time_iso8601", "time_local"];
    pub(super) const CLIENT: &[&str] = &[
        "request.client_ip",
        "ClientHost",
        "client_ip",
        "remote_addr",
        "request.remote_ip",
        "remote_ip",
        "clientip",
        "client",
        "downstream_remote_address",
        "ClientAddr",
        "ip",
    ];
    pub(super) const USER: &[&str] = &["remote_user", "user_id", "ClientUsername", "user"];
    pub(super) const LINE: &[&str] = &["request", "request_line", "requestLine"];
    pub(super) const METHOD: &[&str] = &[
        "request_method",
        "method",
        "RequestMethod",
        "request.method",
        "http_method",
        "verb",
        "requestMethod",
    ];
    pub(super) const TARGET: &[&str] = &[
        "request_uri",
        "request.uri",
        "RequestPath",
        "x-envoy-original-path",
        "x-envoy-origin-path",
        "uri",
        "url",
        "path",
        "requestUrl",
    ];
    pub(super) const QUERY: &[&str] = &["args", "query_string", "query"];
    pub(super) const HOST: &[&str] = &[
        "http_host",
        "request.host",
        "RequestHost",
        "RequestAddr",
        ":authority",
        "authority",
        "host",
        "vhost",
        "server_name",
    ];
    pub(super) const SCHEME: &[&str] = &["scheme", "RequestScheme", "request_scheme"];
    pub(super) const VERSION: &[&str] =
        &["server_protocol", "request.proto", "RequestProtocol", "protocol", "proto", "http_version"];
    pub(super) const STATUS: &[&str] =
        &["status", "DownstreamStatus", "response_code", "status_code", "response.status", "http_status"];
    pub(super) const ANSWER_SIZE: &[&str] =
        &["body_bytes_sent", "DownstreamContentSize", "bytes_sent", "size", "response_size", "bytes"];
    pub(super) const REQUEST_SIZE: &[&str] = &["RequestContentSize", "bytes_received", "bytes_read"];
    pub(super) const USER_AGENT: &[&str] =
        &["http_user_agent", "user_agent", "user-agent", "request_User-Agent", "agent", "userAgent"];
    pub(super) const REFERER: &[&str] = &["http_referer", "referer", "referrer", "request_Referer"];
    pub(super) const ROUTE: &[&str] = &["RouterName", "route_name"];
    pub(super) const SERVICE: &[&str] = &["ServiceName", "upstream_cluster"];
}

/// Most members kept as attributes, and their longest text.
const MAX_ATTRIBUTES: usize = 64;
const MAX_ATTRIBUTE_BYTES: usize = 1_024;

/// Reads one line. A header of syslog or of a container runtime before the object is skipped.
pub fn read(line: &[u8], number: u64) -> Result<Exchange, String> {
    let text = String::from_utf8_lossy(line);
    let start = text.find('{').filter(|start| *start < 200).ok_or("no JSON object")?;
    let object: Map<String, Json> = serde_json::from_str(text.get(start..).unwrap_or_default())
        .map_err(|error| format!("not JSON: {error}"))?;
    let facts = Facts(&object);
    let total = facts.duration();
    let started_at = facts.started_at(total)?;
    let mut exchange = Exchange::new(
        parts::stable_id(started_at, &[b"access_log", line, &number.to_le_bytes()]),
        started_at,
        Request::default(),
    );
    facts.set_request(&mut exchange)?;
    facts.set_answer(&mut exchange)?;
    exchange.origin = Origin { source: "access_log".into(), ..Origin::default() };
    exchange.timings.total = total;
    exchange.client = facts.client();
    exchange.identity.user = facts.text(names::USER).filter(|user| user != "-" && !user.is_empty());
    exchange.route = facts.text(names::ROUTE).filter(|name| !name.is_empty());
    exchange.service = facts.text(names::SERVICE).filter(|name| !name.is_empty());
    facts.set_attributes(&mut exchange);
    Ok(exchange)
}

struct Facts<'a>(&'a Map<String, Json>);

impl Facts<'_> {
    fn find(&self, path: &str) -> Option<&Json> {
        if let Some(value) = self.0.get(path) {
            return Some(value);
        }
        let (outer, inner) = path.split_once('.')?;
        self.0.get(outer)?.as_object()?.get(inner)
    }

    /// The first of these that is text or a number.
    fn text(&self, names: &[&str]) -> Option<CompactString> {
        names.iter().find_map(|name| match self.find(name)? {
            Json::String(text) => Some(text.into()),
            Json::Number(number) => Some(number.to_string().into()),
            _ => None,
        })
    }

    fn number(&self, names: &[&str]) -> Option<f64> {
        names.iter().find_map(|name| match self.find(name)? {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    fn size(&self, names: &[&str]) -> Option<u64> {
        crate::parts::lenient::Number(self.number(names)).size()
    }

    /// The whole time. The unit of `duration` depends on who writes it: Caddy seconds, Envoy milliseconds, Traefik (as
    /// `Duration`) nanoseconds.
    fn duration(&self) -> Option<Duration> {
        let envoy = self.0.contains_key("response_code");
        let units: [(&str, f64); 6] = [
            ("request_time", 1_000.0),
            ("Duration", 1e-6),
            ("duration", if envoy { 1.0 } else { 1_000.0 }),
            ("duration_ms", 1.0),
            ("response_time_ms", 1.0),
            ("latency_ms", 1.0),
        ];
        let (name, millis) = units.into_iter().find(|(name, _)| self.0.contains_key(*name))?;
        parts::from_millis(self.number(&[name])? * millis)
    }

    fn started_at(&self, total: Option<Duration>) -> Result<Timestamp, String> {
        let find = |names: &[&'static str]| names.iter().find_map(|name| Some((*name, self.0.get(*name)?)));
        let (name, value, lag) = find(names::STARTED)
            .map(|(name, value)| (name, value, Duration::ZERO))
            .or_else(|| find(names::ENDED).map(|(name, value)| (name, value, total.unwrap_or_default())))
            .ok_or(
                "no time: none of time, timestamp, ts, time_iso8601, time_local, msec, start_time, StartUTC",
            )?;
        let time = time(value)
            .ok_or_else(|| format!("{name} {} is not a time", shortened(&value.to_string(), 60)))?;
        Ok(time - lag)
    }

    fn set_request(&self, exchange: &mut Exchange) -> Result<(), String> {
        let line = names::LINE.iter().find_map(|name| self.0.get(*name)?.as_str());
        let method = self.text(names::METHOD);
        let target = self.text(names::TARGET);
        match (line, method, target) {
            (_, Some(method), Some(target)) => {
                exchange.request.method = method;
                clf::set_target(&mut exchange.request, &target);
            }
            (Some(line), _, _) => clf::set_request_line(exchange, line.as_bytes()),
            _ => return Err("no request: neither a request line nor method and path".to_owned()),
        }
        let asked = &mut exchange.request;
        if asked.query.is_none() {
            asked.query = self.text(names::QUERY).filter(|query| !query.is_empty() && query != "-");
        }
        if let Some(host) = self.text(names::HOST).filter(|host| asked.host.is_empty() && host != "-") {
            asked.host = host.to_ascii_lowercase();
        }
        if let Some(scheme) = self.text(names::SCHEME).filter(|_| asked.scheme.is_empty()) {
            asked.scheme = scheme;
        } else if asked.scheme.is_empty() && self.find("request.tls").is_some() {
            asked.scheme = "https".into();
        }
        if let Some(version) = self.text(names::VERSION) {
            asked.version = parts::protocol_version(&version).into();
        }
        asked.body = self.size(names::REQUEST_SIZE).map_or_else(Body::default, Body::of_size);
        asked.headers = self.headers("request.headers", "request_");
        for (name, found) in [("User-Agent", names::USER_AGENT), ("Referer", names::REFERER)] {
            if asked.headers.get(name).is_none()
                && let Some(value) = self.text(found).filter(|value| value != "-" && !value.is_empty())
            {
                asked.headers.push(name, value.into_string());
            }
        }
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    fn set_answer(&self, exchange: &mut Exchange) -> Result<(), String> {
        let Some(status) = self.number(names::STATUS).filter(|status| *status != 0.0) else { return Ok(()) };
        if !(1.0..=f64::from(u16::MAX)).contains(&status) {
            return Err(format!("status {status} is not a status"));
        }
        exchange.response = Some(Response {
            status: status as u16,
            version: exchange.request.version.clone(),
            headers: self.headers("resp_headers", "downstream_"),
            body: self.size(names::ANSWER_SIZE).map_or_else(Body::default, Body::of_size),
            ..Response::default()
        });
        Ok(())
    }

    /// Caddy gives headers as an object of lists, Traefik as members with a prefix.
    fn headers(&self, object: &str, prefix: &str) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in self.find(object).and_then(Json::as_object).into_iter().flatten() {
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for value in values.iter().filter_map(Json::as_str) {
                headers.push(name.as_str(), value.to_owned());
            }
        }
        let is_header = |name: &&str| name.starts_with(|first: char| first.is_ascii_uppercase());
        for (name, value) in self.0 {
            if let (Some(name), Json::String(value)) = (name.strip_prefix(prefix).filter(is_header), value) {
                headers.push(name, value.clone());
            }
        }
        headers
    }

    fn client(&self) -> Peer {
        let Some(text) = self.text(names::CLIENT) else { return Peer::default() };
        match text.parse::<std::net::SocketAddr>() {
            Ok(socket) => Peer::new(socket.ip(), Some(socket.port())),
            Err(_) => parts::peer(&text),
        }
    }

    /// Keeps the plain members that mean nothing to weir; they may mean something to its user.
    fn set_attributes(&self, exchange: &mut Exchange) {
        const KNOWN: [&[&str]; 19] = [
            names::STARTED,
            names::ENDED,
            names::CLIENT,
            names::USER,
            names::LINE,
            names::METHOD,
            names::TARGET,
            names::QUERY,
            names::HOST,
            names::SCHEME,
            names::VERSION,
            names::STATUS,
            names::ANSWER_SIZE,
            names::REQUEST_SIZE,
            names::USER_AGENT,
            names::REFERER,
            names::ROUTE,
            names::SERVICE,
            &["request_time", "Duration", "duration", "duration_ms", "response_time_ms", "latency_ms"],
        ];
        let is_header = |name: &str| {
            let rest = name.strip_prefix("request_").or(name.strip_prefix("downstream_"));
            rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
        };
        let others = self.0.iter().filter(|(name, _)| {
            !is_header(name) && KNOWN.iter().all(|names| !names.contains(&name.as_str()))
        });
        for (name, value) in others.take(MAX_ATTRIBUTES) {
            let value = match value {
                Json::String(text)
                    if text.len() <= MAX_ATTRIBUTE_BYTES && text != "-" && !text.is_empty() =>
                {
                    text.as_str().into()
                }
                Json::Bool(value) => Value::Bool(*value),
                Json::Number(number) => match number.as_i64() {
                    Some(whole) => Value::Integer(whole),
                    None => Value::Float(number.as_f64().unwrap_or_default()),
                },
                _ => continue,
            };
            exchange.attributes.set(format!("access_log.{}", shortened(name, 100)), value);
        }
    }
}

/// A time in any of the forms that logs use: ISO 8601, that of the Common Log Format, or seconds, milliseconds,
/// microseconds or nanoseconds since 1970, told apart by their size.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn time(value: &Json) -> Option<Timestamp> {
    let number = match value {
        Json::String(text) => match text.trim().parse::<Timestamp>() {
            Ok(time) => return Some(time),
            Err(_) => match clf::clf_time(text.trim()) {
                Some(time) => return Some(time),
                None => text.trim().parse().ok()?,
            },
        },
        Json::Number(number) => number.as_f64()?,
        _ => return None,
    };
    let micros = match number {
        number if !(0.0..1e20).contains(&number) => return None,
        seconds if seconds < 1e11 => seconds * 1e6,
        millis if millis < 1e14 => millis * 1e3,
        micros if micros < 1e17 => micros,
        nanos => nanos / 1e3,
    };
    Some(Timestamp::from_micros(micros.round() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &str) -> Exchange {
        read(line.as_bytes(), 1).unwrap()
    }

    fn check(line: &str, started: &str, target: &str, host: &str, status: u16, millis: u64) -> Exchange {
        let exchange = read_line(line);
        assert_eq!(exchange.started_at.to_string(), started);
        assert_eq!(exchange.request.method, "GET");
        assert_eq!(exchange.request.target(), target);
        assert_eq!(exchange.request.host, host);
        assert_eq!(exchange.client, Peer { port: exchange.client.port, ..parts::peer("192.0.2.7") });
        assert_eq!(exchange.status(), Some(status));
        assert_eq!(exchange.duration(), Some(Duration::from_millis(millis)));
        exchange
    }

    #[test]
    fn nginx_logs_at_the_end() {
        let line = r#"{"time_iso8601":"2026-01-01T00:00:02+00:00","remote_addr":"192.0.2.7","request":"GET /a?b HTTP/1.1",
            "status":"404","request_time":"1.500","http_user_agent":"curl","host":"A.test","body_bytes_sent":7,"trace":"t1"}"#;
        let exchange = check(line, "2026-01-01T00:00:00.500Z", "/a?b", "a.test", 404, 1_500);
        assert_eq!(exchange.request.headers.text("user-agent").unwrap(), "curl");
        assert_eq!(exchange.attributes.text("access_log.trace"), Some("t1"));
        assert_eq!(exchange.response.unwrap().body.size, Some(7));
    }

    #[test]
    fn caddy_nests_the_request() {
        let line = r#"{"ts":1767225602.5,"request":{"remote_ip":"10.0.0.1","client_ip":"192.0.2.7","proto":"HTTP/2.0",
            "method":"GET","host":"a.test","uri":"/x?y=1","headers":{"User-Agent":["curl"],"Accept":["a","b"]},
            "tls":{}},"duration":0.5,"size":3,"status":200,"resp_headers":{"Server":["Caddy"]}}"#;
        let exchange = check(line, "2026-01-01T00:00:02Z", "/x?y=1", "a.test", 200, 500);
        assert_eq!((exchange.request.scheme.as_str(), exchange.request.version.as_str()), ("https", "2"));
        assert_eq!(exchange.request.headers.all("accept").count(), 2);
        assert_eq!(exchange.response.unwrap().headers.text("server").unwrap(), "Caddy");
    }

    #[test]
    fn traefik_counts_nanoseconds() {
        let line = r#"{"StartUTC":"2026-01-01T00:00:00Z","ClientHost":"192.0.2.7","RequestMethod":"GET","RequestPath":"/x",
            "RequestHost":"a.test","DownstreamStatus":200,"Duration":2000000,"RouterName":"r@docker","ServiceName":"s",
            "request_User-Agent":"curl","time":"2026-01-01T00:00:09Z"}"#;
        let exchange = check(line, "2026-01-01T00:00:00Z", "/x", "a.test", 200, 2);
        assert_eq!((exchange.route.as_deref(), exchange.service.as_deref()), (Some("r@docker"), Some("s")));
        assert_eq!(exchange.request.headers.all("user-agent").count(), 1);
    }

    #[test]
    fn envoy_counts_milliseconds_behind_the_runtime_s_header() {
        let line = r#"2026-01-01T00:00:00.4+01:00 stdout F {"start_time":"2026-01-01T00:00:00.479Z","method":"GET",
            "x-envoy-origin-path":"/admin","response_code":404,"duration":11,":authority":"a.test",
            "downstream_remote_address":"192.0.2.7:59292"}"#;
        let exchange = check(line, "2026-01-01T00:00:00.479Z", "/admin", "a.test", 404, 11);
        assert_eq!(exchange.client.port, Some(59_292));
    }

    #[test]
    fn times_are_told_apart_by_their_size() {
        for text in [
            "1767225600",
            "1767225600.0",
            "1767225600000",
            "1767225600000000",
            "1767225600000000000",
            "\"1767225600\"",
        ] {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(time(&value).unwrap().to_string(), "2026-01-01T00:00:00Z", "{text}");
        }
        assert_eq!(time(&Json::from(-1)), None);
        assert_eq!(time(&Json::from("soon")), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let wrong = |line: &str| read(line.as_bytes(), 1).unwrap_err();
        assert_eq!(wrong("hello"), "no JSON object");
        assert!(wrong("{\"a\":").starts_with("not JSON: EOF"));
        assert!(wrong("{}").starts_with("no time: "));
        assert_eq!(wrong(r#"{"ts":"soon"}"#), "ts \"soon\" is not a time");
        assert_eq!(wrong(r#"{"ts":1}"#), "no request: neither a request line nor method and path");
        assert_eq!(
            wrong(r#"{"ts":1,"request":"GET / HTTP/1.1","status":70000}"#),
            "status 70000 is not a status"
        );
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(wrong(&deep).contains("recursion limit"));
    }
}
