//! One exchange, whole.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;
use weir_model as model;
use weir_model::{Captured, Exchange};

use super::{milliseconds, owned, text_or_none};

/// Most bytes of each body that an answer holds.
pub(crate) const MAX_INLINE_BODY: usize = 1 << 20;

/// Everything known about an exchange.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExchangeDetail {
    /// Its id, a UUID.
    id: String,
    /// When the request began.
    #[schema(format = DateTime)]
    start_time: String,
    /// First byte of the request to last byte of the answer, in milliseconds.
    #[schema(required)]
    duration_ms: Option<f64>,
    /// Whose traffic it is.
    project: String,
    /// How many calls it stands for.
    weight: u32,
    origin: OriginView,
    /// The service that answered.
    #[schema(required)]
    service: Option<String>,
    /// The gateway route that matched.
    #[schema(required)]
    route: Option<String>,
    #[schema(required)]
    consumer: Option<ConsumerView>,
    identity: IdentityView,
    client: PeerView,
    server: PeerView,
    request: RequestView,
    /// Null when nobody answered.
    #[schema(required)]
    response: Option<ResponseView>,
    timings: TimingsView,
    /// What went wrong on the way.
    #[schema(required)]
    error: Option<String>,
    #[schema(required)]
    operation: Option<OperationView>,
    findings: Vec<FindingView>,
    attributes: Vec<AttributeView>,
}

/// Who saw the exchange.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Origin)]
struct OriginView {
    /// `gateway`, or the format that reported it.
    source: String,
    /// The gateway node or the reporting library.
    #[schema(required)]
    node: Option<String>,
    /// The deployment environment.
    #[schema(required)]
    environment: Option<String>,
}

/// Who called, as the gateway authenticated them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Consumer)]
struct ConsumerView {
    #[schema(required)]
    id: Option<String>,
    #[schema(required)]
    username: Option<String>,
    #[schema(required)]
    custom_id: Option<String>,
    /// Id of the credential, never the credential.
    #[schema(required)]
    credential: Option<String>,
}

/// Who called, as the application knows them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Identity)]
struct IdentityView {
    #[schema(required)]
    user: Option<String>,
    #[schema(required)]
    company: Option<String>,
    #[schema(required)]
    subscription: Option<String>,
    #[schema(required)]
    session: Option<String>,
}

/// One end of a connection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Peer)]
struct PeerView {
    #[schema(required)]
    address: Option<String>,
    #[schema(required)]
    port: Option<u16>,
}

/// What was asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Request)]
struct RequestView {
    method: String,
    scheme: String,
    /// As the client named it, with the port if it was given.
    host: String,
    path: String,
    #[schema(required)]
    query: Option<String>,
    /// Scheme, host, path and query together.
    url: String,
    /// `1.0`, `1.1`, `2` or `3`; empty when unknown.
    version: String,
    headers: Vec<HeaderView>,
    /// Bytes of the head on the wire.
    #[schema(required)]
    headers_size: Option<u64>,
    trailers: Vec<HeaderView>,
    body: BodyView,
}

/// What was answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Response)]
struct ResponseView {
    status: u16,
    #[schema(required)]
    reason: Option<String>,
    version: String,
    headers: Vec<HeaderView>,
    #[schema(required)]
    headers_size: Option<u64>,
    trailers: Vec<HeaderView>,
    body: BodyView,
}

/// A header or trailer field; bytes that are not UTF-8 are shown as U+FFFD.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Header)]
struct HeaderView {
    name: String,
    value: String,
}

/// The content of a message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Body)]
struct BodyView {
    /// Bytes on the wire.
    #[schema(required)]
    size: Option<u64>,
    /// How much of it was kept.
    captured: CapturedView,
    /// Why nothing was kept: off, budget, stream, too_large or unknown.
    #[schema(required)]
    reason: Option<&'static str>,
    /// Bytes kept, in their content coding.
    captured_size: u64,
    /// As given beside the body, else by the `Content-Type` header.
    #[schema(required)]
    media_type: Option<String>,
    /// Content coding of the kept bytes, empty for none.
    coding: String,
    /// The kept bytes without their content coding, when they are UTF-8 and `bodies=true` was asked for; at most 1 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The same in base64, when they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// How much of a body was kept.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Captured)]
enum CapturedView {
    /// All of it.
    Whole,
    /// The beginning.
    Cut,
    /// Nothing.
    No,
}

/// Where the time went, in milliseconds; null where it was not measured.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timings)]
struct TimingsView {
    #[schema(required)]
    blocked: Option<f64>,
    #[schema(required)]
    dns: Option<f64>,
    #[schema(required)]
    connect: Option<f64>,
    #[schema(required)]
    tls: Option<f64>,
    #[schema(required)]
    send: Option<f64>,
    #[schema(required)]
    wait: Option<f64>,
    #[schema(required)]
    receive: Option<f64>,
}

/// What the request means to the API it calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operation)]
struct OperationView {
    protocol: String,
    /// The path with its variable parts templated.
    template: String,
    #[schema(required)]
    name: Option<String>,
    #[schema(required)]
    kind: Option<String>,
    /// Error reported inside a successful answer.
    #[schema(required)]
    error: Option<String>,
}

/// What a detector saw.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
struct FindingView {
    kind: String,
    /// info, warning or critical.
    severity: &'static str,
    location: String,
    evidence: String,
}

/// What else the reporter knew.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attribute)]
struct AttributeView {
    name: String,
    /// Any JSON value.
    value: serde_json::Value,
}

impl ExchangeDetail {
    /// `bodies` says whether the kept bytes are wanted too.
    pub(crate) fn new(exchange: &Exchange, bodies: bool) -> Self {
        Self {
            id: exchange.id.to_string(),
            start_time: exchange.started_at.to_string(),
            duration_ms: exchange.duration().map(milliseconds),
            project: exchange.project.as_str().to_owned(),
            weight: exchange.weight,
            origin: OriginView {
                source: exchange.origin.source.to_string(),
                node: owned(&exchange.origin.node),
                environment: owned(&exchange.origin.environment),
            },
            service: owned(&exchange.service),
            route: owned(&exchange.route),
            consumer: exchange.consumer.as_ref().map(|consumer| ConsumerView {
                id: owned(&consumer.id),
                username: owned(&consumer.username),
                custom_id: owned(&consumer.custom_id),
                credential: owned(&consumer.credential),
            }),
            identity: IdentityView {
                user: owned(&exchange.identity.user),
                company: owned(&exchange.identity.company),
                subscription: owned(&exchange.identity.subscription),
                session: owned(&exchange.identity.session),
            },
            client: peer(&exchange.client),
            server: peer(&exchange.server),
            request: request(&exchange.request, bodies),
            response: exchange.response.as_ref().map(|answer| response(answer, bodies)),
            timings: timings(&exchange.timings),
            error: owned(&exchange.error),
            operation: exchange.operation.as_ref().map(|operation| OperationView {
                protocol: operation.protocol.name().to_owned(),
                template: operation.template.to_string(),
                name: owned(&operation.name),
                kind: owned(&operation.kind),
                error: owned(&operation.error),
            }),
            findings: exchange.findings.iter().map(finding).collect(),
            attributes: exchange.attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        }
    }
}

fn peer(peer: &model::Peer) -> PeerView {
    PeerView { address: peer.address.map(|address| address.to_string()), port: peer.port }
}

fn request(request: &model::Request, bodies: bool) -> RequestView {
    RequestView {
        method: request.method.to_string(),
        scheme: request.scheme.to_string(),
        host: request.host.to_string(),
        path: request.path.to_string(),
        query: owned(&request.query),
        url: match request.scheme.as_str() {
            // Not every reporter knows it.
            "" => format!("{}{}", request.host, request.target()),
            scheme => format!("{scheme}://{}{}", request.host, request.target()),
        },
        version: request.version.to_string(),
        headers: headers(&request.headers),
        headers_size: request.headers_size,
        trailers: headers(&request.trailers),
        body: body(&request.body, &request.headers, bodies),
    }
}

fn response(response: &model::Response, bodies: bool) -> ResponseView {
    ResponseView {
        status: response.status,
        reason: owned(&response.reason),
        version: response.version.to_string(),
        headers: headers(&response.headers),
        headers_size: response.headers_size,
        trailers: headers(&response.trailers),
        body: body(&response.body, &response.headers, bodies),
    }
}

fn headers(headers: &model::Headers) -> Vec<HeaderView> {
    let shown = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| HeaderView { name: name.to_owned(), value: shown(value) }).collect()
}

/// The media type of a body: as reported beside it, else as its headers say.
pub(crate) fn media_type(body: &model::Body, headers: &model::Headers) -> Option<String> {
    let header = || headers.text("content-type").and_then(|value| text_or_none(&value));
    owned(&body.media_type).or_else(header)
}

fn body(body: &model::Body, headers: &model::Headers, bytes_wanted: bool) -> BodyView {
    let (captured, reason) = match &body.captured {
        Captured::Whole(_) => (CapturedView::Whole, None),
        Captured::Cut(_) => (CapturedView::Cut, None),
        Captured::No(reason) => (CapturedView::No, Some(reason.name())),
    };
    let decoded = if bytes_wanted { body.decoded(MAX_INLINE_BODY) } else { None };
    let text = decoded.as_ref().and_then(|bytes| utf8(bytes, body.is_cut()));
    let base64 = if text.is_none() { decoded.map(|bytes| STANDARD.encode(bytes)) } else { None };
    BodyView {
        size: body.size,
        captured,
        reason,
        captured_size: body.bytes().map_or(0, |bytes| bytes.len() as u64),
        media_type: media_type(body, headers),
        coding: body.coding.name().to_owned(),
        text,
        base64,
    }
}

/// The bytes as text; where they were cut, a character cut in two at the end is left out.
fn utf8(bytes: &[u8], cut: bool) -> Option<String> {
    let cut = cut || bytes.len() == MAX_INLINE_BODY;
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(error) if cut && error.error_len().is_none() => {
            let whole = bytes.get(..error.valid_up_to())?;
            std::str::from_utf8(whole).ok().map(str::to_owned)
        }
        Err(_) => None,
    }
}

fn timings(timings: &model::Timings) -> TimingsView {
    TimingsView {
        blocked: timings.blocked.map(milliseconds),
        dns: timings.dns.map(milliseconds),
        connect: timings.connect.map(milliseconds),
        tls: timings.tls.map(milliseconds),
        send: timings.send.map(milliseconds),
        wait: timings.wait.map(milliseconds),
        receive: timings.receive.map(milliseconds),
    }
}

fn finding(finding: &model::Finding) -> FindingView {
    FindingView {
        kind: finding.kind.to_string(),
        severity: finding.severity.name(),
        location: finding.location.to_string(),
        evidence: finding.evidence.to_string(),
    }
}

fn attribute(name: &str, value: &model::Value) -> AttributeView {
    let value = match value {
        model::Value::Bool(flag) => (*flag).into(),
        model::Value::Integer(number) => (*number).into(),
        model::Value::Float(number) => (*number).into(),
        model::Value::Text(text) => text.as_str().into(),
        // Kept as text; text that is no JSON after all is shown as it is.
        model::Value::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
    };
    AttributeView { name: name.to_owned(), value }
}
