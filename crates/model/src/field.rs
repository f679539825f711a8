//! The one table of what can be filtered, grouped and shown.
//!
//! Query checking, store columns, API metadata, the page's pickers and `docs/query.md` are derived from [`FIELDS`].
//! Beside the table stand open families ([`Field`]): headers, query parameters, body members, attributes. Their names
//! come from outside and are data, never columns.

use std::borrow::Cow;

use weir_kit::Timestamp;

use crate::{CompactString, Exchange, Value, place};

/// What kind of value a field holds, and so which operators and measures fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Text compared as a whole, with case.
    Keyword,
    /// A whole number.
    Integer,
    /// A number of bytes.
    Bytes,
    /// A span of time, held in microseconds.
    Duration,
    /// An instant.
    Time,
    /// True or false.
    Bool,
}

impl FieldType {
    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Integer => "integer",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::Time => "time",
            Self::Bool => "bool",
        }
    }

    /// Whether values are numbers that can be summed and averaged.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Bytes | Self::Duration)
    }
}

/// One value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue<'a> {
    /// Of a keyword field or an open family.
    Text(Cow<'a, str>),
    /// Of an integer, byte or duration (microseconds) field, or a whole JSON number.
    Integer(i64),
    /// A JSON number with a fraction.
    Float(f64),
    /// Of a time field.
    Time(Timestamp),
    /// Of a boolean field or a JSON boolean.
    Bool(bool),
}

impl FieldValue<'_> {
    /// The same value, owning its text.
    pub fn into_owned(self) -> FieldValue<'static> {
        match self {
            Self::Text(text) => FieldValue::Text(Cow::Owned(text.into_owned())),
            Self::Integer(number) => FieldValue::Integer(number),
            Self::Float(number) => FieldValue::Float(number),
            Self::Time(instant) => FieldValue::Time(instant),
            Self::Bool(flag) => FieldValue::Bool(flag),
        }
    }
}

/// Receives the values of a field; most fields have at most one.
pub type Emit<'f, 'a> = &'f mut dyn FnMut(FieldValue<'a>);

/// One row of the table.
pub struct FieldRow {
    /// Public name, after OpenTelemetry where it has one.
    pub name: &'static str,
    /// Short names accepted in query text; the first one is shown.
    pub aliases: &'static [&'static str],
    /// What it holds.
    pub field_type: FieldType,
    /// One line for people.
    pub about: &'static str,
    /// Hands out the values of an exchange.
    pub get: for<'a> fn(&'a Exchange, Emit<'_, 'a>),
}

impl std::fmt::Debug for FieldRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for FieldRow {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// A field that a query may name.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// A row of the table.
    Row(&'static FieldRow),
    /// `request.header.<name>` (OpenTelemetry `http.request.header.<name>`), name in lower case.
    RequestHeader(String),
    /// `response.header.<name>`, name in lower case.
    ResponseHeader(String),
    /// `request.query.<name>`: a query parameter, decoded.
    QueryParameter(String),
    /// `request.body.<path>`: a member of a JSON body. Path segments are separated by dots; arrays are looked through.
    RequestBody(Vec<String>),
    /// `response.body.<path>`.
    ResponseBody(Vec<String>),
    /// `attribute.<name>`.
    Attribute(String),
}

impl Field {
    /// The field of this public name or alias.
    ///
    /// A dot inside a member name of a body path is written `\.`, a backslash `\\`.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(row) = FIELDS.iter().find(|row| row.name == name || row.aliases.contains(&name)) {
            return Some(Self::Row(row));
        }
        let name = name.strip_prefix("http.").unwrap_or(name);
        let family = |prefix: &str| name.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        if let Some(rest) = family("request.header.") {
            return Some(Self::RequestHeader(rest.to_lowercase()));
        }
        if let Some(rest) = family("response.header.") {
            return Some(Self::ResponseHeader(rest.to_lowercase()));
        }
        if let Some(rest) = family("request.query.") {
            return Some(Self::QueryParameter(rest.to_owned()));
        }
        if let Some(rest) = family("request.body.") {
            return Some(Self::RequestBody(split_path(rest)));
        }
        if let Some(rest) = family("response.body.") {
            return Some(Self::ResponseBody(split_path(rest)));
        }
        family("attribute.").map(|rest| Self::Attribute(rest.to_owned()))
    }

    /// The public name, as [`Field::named`] reads it.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Row(row) => row.name.into(),
            Self::RequestHeader(name) => format!("request.header.{name}").into(),
            Self::ResponseHeader(name) => format!("response.header.{name}").into(),
            Self::QueryParameter(name) => format!("request.query.{name}").into(),
            Self::RequestBody(path) => format!("request.body.{}", join_path(path)).into(),
            Self::ResponseBody(path) => format!("response.body.{}", join_path(path)).into(),
            Self::Attribute(name) => format!("attribute.{name}").into(),
        }
    }

    /// The type of its values; `None` for open families, whose values are whatever was sent.
    pub fn field_type(&self) -> Option<FieldType> {
        match self {
            Self::Row(row) => Some(row.field_type),
            _ => None,
        }
    }
}

fn split_path(text: &str) -> Vec<String> {
    let mut path = vec![String::new()];
    let mut chars = text.chars();
    while let Some(character) = chars.next() {
        match character {
            '.' => path.push(String::new()),
            '\\' => path.last_mut().into_iter().for_each(|segment| segment.extend(chars.next())),
            _ => path.last_mut().into_iter().for_each(|segment| segment.push(character)),
        }
    }
    path
}

fn join_path(path: &[String]) -> String {
    let escaped: Vec<String> =
        path.iter().map(|segment| segment.replace('\\', "\\\\").replace('.', "\\.")).collect();
    escaped.join(".")
}

fn text<'a>(value: &'a str, emit: Emit<'_, 'a>) {
    if !value.is_empty() {
        emit(FieldValue::Text(Cow::Borrowed(value)));
    }
}

fn optional<'a>(value: Option<&'a CompactString>, emit: Emit<'_, 'a>) {
    if let Some(value) = value {
        text(value, emit);
    }
}

fn number(value: Option<u64>, emit: Emit<'_, '_>) {
    if let Some(value) = value {
        emit(FieldValue::Integer(i64::try_from(value).unwrap_or(i64::MAX)));
    }
}

fn micros(value: Option<std::time::Duration>, emit: Emit<'_, '_>) {
    number(value.map(|value| u64::try_from(value.as_micros()).unwrap_or(u64::MAX)), emit);
}

fn user<'a>(exchange: &'a Exchange, emit: Emit<'_, 'a>) {
    let consumer = exchange.consumer.as_ref();
    let known = exchange.identity.user.as_ref().or_else(|| {
        consumer.and_then(|consumer| {
            consumer.custom_id.as_ref().or(consumer.username.as_ref()).or(consumer.id.as_ref())
        })
    });
    optional(known, emit);
}

macro_rules! fields {
    ($($name:literal [$($alias:literal),*] $type:ident $about:literal |$exchange:ident, $emit:ident| $body:expr;)*) => {
        /// All rows, in the order people should meet them.
        pub static FIELDS: &[FieldRow] = &[$(FieldRow {
            name: $name,
            aliases: &[$($alias),*],
            field_type: FieldType::$type,
            about: $about,
            get: |$exchange, $emit| $body,
        }),*];
    };
}

fields! {
    "start_time" ["time"] Time "when the request began"
        |exchange, emit| emit(FieldValue::Time(exchange.started_at));
    "http.request.method" ["method"] Keyword "request method"
        |exchange, emit| text(&exchange.request.method, emit);
    "http.response.status_code" ["status"] Integer "status code of the answer"
        |exchange, emit| number(exchange.status().map(u64::from), emit);
    "http.response.status_class" ["status_class"] Keyword "class of the status code: 2xx, 3xx, 4xx, 5xx; other when it is none of 1xx to 5xx"
        |exchange, emit| if let Some(status) = exchange.status() { text(status_class(status), emit) };
    "http.route" ["endpoint", "template"] Keyword "path with its variable parts templated, such as /users/{id}"
        |exchange, emit| if let Some(operation) = &exchange.operation { text(&operation.template, emit) };
    "url.path" ["path"] Keyword "path as sent"
        |exchange, emit| text(&exchange.request.path, emit);
    "url.query" ["query"] Keyword "query string as sent"
        |exchange, emit| optional(exchange.request.query.as_ref(), emit);
    "url.scheme" ["scheme"] Keyword "http or https"
        |exchange, emit| text(&exchange.request.scheme, emit);
    "server.address" ["host"] Keyword "host the client named, without the port"
        |exchange, emit| text(without_port(&exchange.request.host), emit);
    "http.server.request.duration" ["latency", "duration"] Duration "from the first byte of the request to the last byte of the answer"
        |exchange, emit| micros(exchange.duration(), emit);
    "timings.wait" ["upstream_latency"] Duration "from the hand-off upstream to the first byte of the answer"
        |exchange, emit| micros(exchange.timings.wait, emit);
    "timings.send" [] Duration "from the first byte of the request to its hand-off upstream"
        |exchange, emit| micros(exchange.timings.send, emit);
    "timings.receive" [] Duration "from the first to the last byte of the answer"
        |exchange, emit| micros(exchange.timings.receive, emit);
    "error.type" ["error"] Keyword "what went wrong on the way, such as upstream.timeout"
        |exchange, emit| optional(exchange.error.as_ref(), emit);
    "service.name" ["service"] Keyword "service that answered"
        |exchange, emit| optional(exchange.service.as_ref(), emit);
    "weir.route" ["route"] Keyword "gateway route that matched"
        |exchange, emit| optional(exchange.route.as_ref(), emit);
    "user.id" ["user"] Keyword "who called: the application's user, else the gateway's consumer"
        |exchange, emit| user(exchange, emit);
    "weir.consumer" ["consumer"] Keyword "consumer as authenticated by the gateway"
        |exchange, emit| if let Some(consumer) = &exchange.consumer { optional(consumer.username.as_ref().or(consumer.id.as_ref()), emit) };
    "weir.company" ["company"] Keyword "company the user belongs to"
        |exchange, emit| optional(exchange.identity.company.as_ref(), emit);
    "session.id" ["session"] Keyword "session or API key, hashed"
        |exchange, emit| optional(exchange.identity.session.as_ref(), emit);
    "client.address" ["client", "ip"] Keyword "address of the caller"
        |exchange, emit| if let Some(address) = exchange.client.address { emit(FieldValue::Text(Cow::Owned(address.to_string()))) };
    "geo.country.iso_code" ["country"] Keyword "country of the caller, as two letters of ISO 3166-1"
        |exchange, emit| if let Some(country) = exchange.attributes.text(place::COUNTRY) { text(country, emit) };
    "user_agent.original" ["user_agent"] Keyword "User-Agent header"
        |exchange, emit| if let Some(agent) = exchange.request.headers.text("user-agent") { emit(FieldValue::Text(agent)) };
    "http.request.body.size" ["request_size"] Bytes "size of the request body on the wire"
        |exchange, emit| number(exchange.request.body.size, emit);
    "http.response.body.size" ["response_size", "size"] Bytes "size of the response body on the wire"
        |exchange, emit| number(exchange.response.as_ref().and_then(|response| response.body.size), emit);
    "network.protocol.version" ["http_version"] Keyword "HTTP version the client spoke"
        |exchange, emit| text(&exchange.request.version, emit);
    "deployment.environment.name" ["environment", "env"] Keyword "deployment environment"
        |exchange, emit| optional(exchange.origin.environment.as_ref(), emit);
    "weir.source" ["source"] Keyword "how it reached weir: gateway, or the format that reported it"
        |exchange, emit| text(&exchange.origin.source, emit);
    "weir.node" ["node"] Keyword "gateway node or reporting library"
        |exchange, emit| optional(exchange.origin.node.as_ref(), emit);
    "weir.protocol" ["protocol"] Keyword "rest, graphql, json_rpc, soap, grpc or websocket"
        |exchange, emit| if let Some(operation) = &exchange.operation { text(operation.protocol.name(), emit) };
    "weir.operation" ["operation"] Keyword "operation, method or action named inside the request"
        |exchange, emit| if let Some(operation) = &exchange.operation { optional(operation.name.as_ref(), emit) };
    "weir.operation.error" ["operation_error"] Keyword "error reported inside a successful answer (GraphQL, JSON-RPC, SOAP, gRPC)"
        |exchange, emit| if let Some(operation) = &exchange.operation { optional(operation.error.as_ref(), emit) };
    "weir.finding.kind" ["finding"] Keyword "what a detector saw"
        |exchange, emit| for finding in &exchange.findings { text(&finding.kind, emit) };
}

/// The class of a status code, as [`FIELDS`] shows it.
pub fn status_class(status: u16) -> &'static str {
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}

/// A host without its port; brackets of an IPv6 address stay.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // An IPv6 address without brackets has no port to remove.
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

/// The value of an attribute as a field value; JSON documents are not values, nor are lists, which hold some.
pub fn attribute_value(value: &Value) -> Option<FieldValue<'_>> {
    Some(match value {
        Value::Bool(flag) => FieldValue::Bool(*flag),
        Value::Integer(number) => FieldValue::Integer(*number),
        Value::Float(number) => FieldValue::Float(*number),
        Value::Text(text) => FieldValue::Text(Cow::Borrowed(text)),
        Value::Json(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_means_one_row() {
        let mut seen = HashSet::new();
        for row in FIELDS {
            for name in std::iter::once(&row.name).chain(row.aliases) {
                assert!(seen.insert(*name), "{name} stands for two fields");
                assert_eq!(Field::named(name), Some(Field::Row(row)));
            }
        }
    }

    #[test]
    fn open_families_are_read_and_named() {
        for name in [
            "request.header.user-agent",
            "response.body.error.code",
            r"request.body.a\.b.c\\d",
            "request.query.page",
            "attribute.tyk.org_id",
        ] {
            assert_eq!(Field::named(name).unwrap().name(), name);
        }
        assert_eq!(Field::named("http.request.header.X-Id"), Some(Field::RequestHeader("x-id".into())));
        assert_eq!(Field::named("request.body."), None);
        assert_eq!(Field::named("http.reqest.method"), None);
    }

    #[test]
    fn ports_are_removed_from_hosts() {
        for (host, name) in [
            ("a.test:80", "a.test"),
            ("a.test", "a.test"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
