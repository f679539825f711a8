//! From exchanges to events. Pure.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;
use weir_kit::inflate::{Coding, inflate};
use weir_model::attribute::Value;
use weir_model::body::ContentCoding;
use weir_model::{Body, Captured, CompactString, Exchange, Headers, Request, WhyNot};

use super::attribute;
use super::client_ip::client_ip;
use super::config::{Config, MessageConfig, Unparsed};
use super::event::{self, Capture, Content, Event, Field, Fields, Kong, Metadata, Time};
use super::mask::{self, BodyMasks};
use super::sampling::Facts;
use crate::parts::lenient::Members;
use crate::parts::url;

/// Most bytes that a body is decompressed to, whatever its limit.
const MAX_INFLATED_BYTES: usize = 1024 * 1024;

/// Why a body is missing of which only a part was captured.
const INCOMPLETE: &str = "incomplete";

/// Writes exchanges as events, as settings say.
#[derive(Debug)]
pub struct Encoder {
    config: Config,
    request_masks: BodyMasks,
    response_masks: BodyMasks,
}

/// Who called, as far as events tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The user.
    pub user: Option<Cow<'a, str>>,
    /// The company.
    pub company: Option<Cow<'a, str>>,
}

impl Encoder {
    /// An encoder for these settings.
    pub fn new(config: Config) -> Self {
        let masks =
            |message: &MessageConfig| BodyMasks::new(&message.body_masks, config.mask_case_insensitive);
        Self { request_masks: masks(&config.request), response_masks: masks(&config.response), config }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// One exchange as an event that stands for `weight` times as many calls as the exchange does.
    pub fn event<'a>(&'a self, exchange: &'a Exchange, weight: u32) -> Event<'a> {
        let caller = self.caller(exchange);
        let ended_at = exchange.started_at + exchange.duration().unwrap_or_default();
        let mut capture = Capture::default();
        let request = self.request(exchange, &mut capture);
        let response = exchange.response.as_ref().map(|answer| {
            let (content, why_not) =
                self.content(&answer.headers, &answer.body, &self.config.response, &self.response_masks);
            capture.response_body = why_not;
            event::Response {
                time: Time(ended_at),
                status: answer.status,
                headers: fields(&answer.headers, &self.config.response),
                content,
            }
        });
        let attribute = |name| exchange.attributes.text(name);
        Event {
            request,
            response,
            session_token: self.session_token(exchange),
            user_id: caller.user,
            company_id: caller.company,
            subscription_id: non_empty(exchange.identity.subscription.as_deref()),
            transaction_id: exchange.id.to_string(),
            trace_id: attribute(attribute::TRACE_ID),
            span: json(exchange, attribute::SPAN),
            action_name: attribute(attribute::ACTION_NAME),
            direction: attribute(attribute::DIRECTION).unwrap_or("Incoming"),
            weight: exchange.weight.max(1).saturating_mul(weight),
            blocked_by: attribute(attribute::BLOCKED_BY),
            tags: attribute(attribute::TAGS),
            metadata: metadata(exchange, capture),
        }
    }

    /// Who called: as the gateway's policy or a reporter found out, else by the headers that are still there (moesif-plugin,
    /// section 7, at the end of a call).
    pub fn caller<'a>(&self, exchange: &'a Exchange) -> Caller<'a> {
        let identity = &self.config.identity;
        let asked = |name: &str| self.header(&exchange.request.headers, &self.config.request, name);
        let answered = |name: &str| {
            exchange
                .response
                .as_ref()
                .and_then(|answer| self.header(&answer.headers, &self.config.response, name))
        };
        let given = |text: &'a Option<CompactString>| non_empty(text.as_deref()).map(Cow::Borrowed);
        let user_header = identity.user_id_header.as_deref();
        let company_header = identity.company_id_header.as_deref();
        Caller {
            user: given(&exchange.identity.user)
                .or_else(|| user_header.and_then(asked))
                .or_else(|| consumer(exchange).map(Cow::Borrowed))
                .or_else(|| CONSUMER_HEADERS.iter().find_map(|name| asked(name)))
                .or_else(|| user_header.and_then(answered)),
            company: given(&exchange.identity.company)
                .or_else(|| company_header.and_then(asked))
                .or_else(|| company_header.and_then(answered)),
        }
    }

    /// What sampling looks at.
    pub fn facts<'a>(&self, exchange: &Exchange, caller: &'a Caller<'_>) -> Facts<'a> {
        Facts {
            user: caller.user.as_deref(),
            company: caller.company.as_deref(),
            ip_address: client_ip(&exchange.request.headers, exchange.client, &self.config.trusted),
        }
    }

    /// A header that is not masked and not empty.
    fn header<'a>(&self, headers: &'a Headers, message: &MessageConfig, name: &str) -> Option<Cow<'a, str>> {
        let is_masked = message.header_masks.iter().any(|mask| mask.eq_ignore_ascii_case(name));
        headers.text(name).filter(|value| !value.is_empty() && !is_masked)
    }

    fn session_token<'a>(&self, exchange: &'a Exchange) -> Option<Cow<'a, str>> {
        let given = non_empty(exchange.identity.session.as_deref()).map(Cow::Borrowed);
        given.or_else(|| {
            let id = exchange.consumer.as_ref().and_then(|consumer| consumer.credential.as_deref());
            let token = self.config.identity.session_token;
            token.of(&self.config.application_id, None, id).map(Cow::Owned)
        })
    }

    fn request<'a>(&'a self, exchange: &'a Exchange, capture: &mut Capture) -> event::Request<'a> {
        let asked = &exchange.request;
        let (content, why_not) =
            self.content(&asked.headers, &asked.body, &self.config.request, &self.request_masks);
        capture.request_body = why_not;
        event::Request {
            time: Time(exchange.started_at),
            uri: self.uri(exchange),
            verb: &asked.method,
            headers: fields(&asked.headers, &self.config.request),
            api_version: exchange.attributes.text(attribute::API_VERSION).unwrap_or(&self.config.api_version),
            ip_address: client_ip(&asked.headers, exchange.client, &self.config.trusted),
            content,
        }
    }

    /// The address with the port always, as the original writes it: that of the gateway, else the one that the client
    /// named, else the usual one.
    fn uri(&self, exchange: &Exchange) -> String {
        let asked = &exchange.request;
        let scheme = if asked.scheme.is_empty() { "http" } else { &asked.scheme };
        let host = url::without_port(&asked.host);
        let named = || asked.host.strip_prefix(host)?.strip_prefix(':')?.parse().ok();
        let usual = if scheme == "https" { 443 } else { 80 };
        let port: u16 = exchange.server.port.or_else(named).unwrap_or(usual);
        let target = self.target(asked);
        let slash = if target.is_empty() || target.starts_with(['/', '?']) { "" } else { "/" };
        format!("{scheme}://{host}:{port}{slash}{target}")
    }

    fn target<'a>(&self, asked: &'a Request) -> Cow<'a, str> {
        match asked.query.as_deref() {
            None => Cow::Borrowed(&asked.path),
            Some(query) => {
                let query = mask::query(query, &self.config.query_masks, self.config.mask_case_insensitive);
                Cow::Owned(format!("{}?{query}", asked.path))
            }
        }
    }

    /// What is sent of a body, or why nothing is.
    fn content<'a>(
        &self,
        headers: &Headers,
        body: &'a Body,
        message: &MessageConfig,
        masks: &BodyMasks,
    ) -> (Option<Content<'a>>, Option<&'static str>) {
        if !message.capture_body {
            return (None, None);
        }
        let bytes = match sendable(headers, body, message.max_body_bytes) {
            Ok(bytes) if bytes.is_empty() => return (None, None),
            Ok(bytes) => bytes,
            Err(why_not) => return (None, why_not),
        };
        let kind = headers.text("content-type").unwrap_or_default();
        let plain = match read(headers, body, bytes, &kind, self.inflated_limit(message)) {
            Read::Json(text) if masks.is_empty() => return (Some(Content::json(text)), None),
            Read::Json(text) => {
                let masked = masks.json(text.get()).map(RawValue::from_string);
                return match masked {
                    None => (Some(Content::json(text)), None),
                    Some(Ok(masked)) => (Some(Content::json(Cow::Owned(masked))), None),
                    // Cannot be: what is left of JSON is JSON. Nothing unmasked leaves in any case.
                    Some(Err(_)) => (None, Some(WhyNot::Unmaskable.name())),
                };
            }
            Read::TooDeep if !masks.is_empty() => return (None, Some(WhyNot::Unmaskable.name())),
            Read::TooDeep => Cow::Borrowed(&**bytes),
            Read::Other(plain) => plain,
        };
        if masks.is_empty() || self.config.mask_unparsed == Unparsed::Keep {
            return (Some(Content::base64(plain)), None);
        }
        match std::str::from_utf8(&plain) {
            Ok(form) if kind.to_ascii_lowercase().contains("x-www-form-urlencoded") => {
                (Some(Content::base64(Cow::Owned(masks.form(form).into_bytes()))), None)
            }
            _ => (None, Some(WhyNot::Unmaskable.name())),
        }
    }

    /// To how many bytes a body may be decompressed; 0 for not at all.
    fn inflated_limit(&self, message: &MessageConfig) -> usize {
        let limit = message.max_body_bytes.saturating_mul(10).min(MAX_INFLATED_BYTES);
        if self.config.decompress_gzip { limit } else { 0 }
    }
}

/// Headers by which Kong tells who the consumer is.
const CONSUMER_HEADERS: [&str; 3] = ["x-consumer-custom-id", "x-consumer-username", "x-consumer-id"];

fn consumer(exchange: &Exchange) -> Option<&str> {
    let consumer = exchange.consumer.as_ref()?;
    [&consumer.custom_id, &consumer.username, &consumer.id]
        .into_iter()
        .find_map(|name| non_empty(name.as_deref()))
}

fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn json(exchange: &Exchange, name: &str) -> Option<Box<RawValue>> {
    match exchange.attributes.get(name)? {
        Value::Json(text) => RawValue::from_string(text.to_string()).ok(),
        _ => None,
    }
}

/// The bytes of a body that is whole and not too large.
fn sendable<'a>(
    headers: &Headers,
    body: &'a Body,
    max_bytes: usize,
) -> Result<&'a Bytes, Option<&'static str>> {
    let too_large = Some(WhyNot::TooLarge.name());
    match &body.captured {
        Captured::Whole(bytes) => {
            // The limit is one of bytes on the wire; a body that was decoded since has more.
            let was_packed =
                body.coding == ContentCoding::default() && headers.get("content-encoding").is_some();
            let size = body.size.filter(|_| was_packed).unwrap_or(bytes.len() as u64);
            if size > max_bytes as u64 { Err(too_large) } else { Ok(bytes) }
        }
        Captured::Cut(_) => {
            let fits = body.size.is_some_and(|size| size <= max_bytes as u64);
            Err(if fits { Some(INCOMPLETE) } else { too_large })
        }
        Captured::No(WhyNot::Unknown | WhyNot::Off) => Err(None),
        Captured::No(why_not) => Err(Some(why_not.name())),
    }
}

/// What a body turned out to be.
enum Read<'a> {
    Json(Cow<'a, RawValue>),
    /// JSON, of a depth that others do not read.
    TooDeep,
    Other(Cow<'a, [u8]>),
}

/// The original's decision how a body is written (moesif-plugin, section 5): by `Content-Type` and first byte, then by
/// `Content-Encoding`.
fn read<'a>(
    headers: &Headers,
    body: &'a Body,
    bytes: &'a Bytes,
    kind: &str,
    max_inflated: usize,
) -> Read<'a> {
    if kind.contains("json") && begins_document(bytes) {
        return document(bytes);
    }
    let is_named = headers.text("content-encoding").is_some_and(|coding| coding.contains("gzip"));
    match &body.coding {
        ContentCoding::Known(Coding::Gzip) if max_inflated > 0 => {
            match inflate(Coding::Gzip, bytes, max_inflated) {
                Ok(plain) if begins_document(&plain) => owned_document(plain),
                Ok(plain) => Read::Other(Cow::Owned(plain)),
                Err(_) => Read::Other(Cow::Borrowed(bytes)),
            }
        }
        // Something before this took the coding off.
        ContentCoding::Known(Coding::Identity) if is_named && begins_document(bytes) => document(bytes),
        _ => Read::Other(Cow::Borrowed(bytes)),
    }
}

fn begins_document(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'{' | b'['))
}

fn document(bytes: &[u8]) -> Read<'_> {
    match serde_json::from_slice::<&RawValue>(bytes) {
        Ok(text) if mask::is_shallow(text.get()) => Read::Json(Cow::Borrowed(text)),
        Ok(_) => Read::TooDeep,
        Err(_) => Read::Other(Cow::Borrowed(bytes)),
    }
}

fn owned_document<'a>(plain: Vec<u8>) -> Read<'a> {
    let text = match serde_json::from_slice::<&RawValue>(&plain) {
        Ok(text) if mask::is_shallow(text.get()) => Some(text.to_owned()),
        Ok(_) => return Read::TooDeep,
        Err(_) => None,
    };
    text.map_or(Read::Other(Cow::Owned(plain)), |text| Read::Json(Cow::Owned(text)))
}

/// Fields that are not masked, by name in lower case, in the order in which names first occur.
fn fields<'a>(headers: &'a Headers, message: &MessageConfig) -> Fields<'a> {
    let is_kept = |name: &str| !message.header_masks.iter().any(|mask| mask.eq_ignore_ascii_case(name));
    let kept = headers.iter().filter(|(name, _)| is_kept(name));
    let mut sorted: Vec<(Cow<'_, str>, &Bytes, usize)> =
        kept.enumerate().map(|(index, (name, value))| (lower_case(name), value, index)).collect();
    // Stable, so that the values of a name stay in order.
    sorted.sort_by(|one, other| one.0.cmp(&other.0));
    let mut grouped: Vec<(usize, Field<'_>)> = Vec::with_capacity(sorted.len());
    for (name, value, index) in sorted {
        let value = String::from_utf8_lossy(value);
        match grouped.last_mut() {
            Some((_, field)) if field.name == name => field.values.push(value),
            _ => grouped.push((index, Field { name, values: vec![value] })),
        }
    }
    grouped.sort_by_key(|(index, _)| *index);
    Fields(grouped.into_iter().map(|(_, field)| field).collect())
}

fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

fn metadata(exchange: &Exchange, capture: Capture) -> Metadata<'_> {
    let other = match exchange.attributes.get(attribute::METADATA) {
        Some(Value::Json(text)) => serde_json::from_str::<Members<'_>>(text).map(|members| members.0),
        _ => Ok(Vec::new()),
    };
    let is_ours = |name: &str| name == "kong" || name == "capture";
    Metadata {
        other: other.unwrap_or_default().into_iter().filter(|(name, _)| !is_ours(name)).collect(),
        kong: Kong {
            route_hosts: json(exchange, attribute::ROUTE_HOSTS),
            service_name: non_empty(exchange.service.as_deref()),
        },
        capture,
    }
}
