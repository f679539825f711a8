//! The plugin's settings: its names, types, units and both sets of defaults (moesif-plugin, section 2), the former names,
//! and some of our own.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret, kind};
use weir_pipeline::{CaptureWish, QueueSettings};

use super::client_ip::Network;
use super::session::SessionToken;

/// The service of the original product.
pub const DEFAULT_ENDPOINT: &str = "https://api.moesif.net";

/// How often the original empties its queue.
const FLUSH_INTERVAL: Duration = Duration::from_millis(1_500);

/// Most events in one call, whatever the settings say.
const MAX_BATCH_SIZE: usize = 10_000;

/// Largest body that settings can ask for, in bytes.
const MAX_BODY_BYTES: usize = 15_000_000;

const ANY_NUMBER: FieldKind = FieldKind::Number { min: f64::MIN, max: f64::MAX };
const TEXTS: FieldKind = FieldKind::Array(&FieldKind::Text);

/// Headers that the preset `strict` removes from requests and responses.
pub const STRICT_HEADER_MASKS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "apikey",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
];

/// Keys that the preset `strict` removes from bodies and stars in queries.
pub const STRICT_KEY_MASKS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "client_secret",
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "api_key",
    "apikey",
    "authorization",
    "credit_card",
    "card_number",
    "cvv",
    "ssn",
    "pin",
];

const fn with(name: &'static str, kind: FieldKind, default: &'static str, about: &'static str) -> FieldSpec {
    FieldSpec { default: Some(default), ..FieldSpec::new(name, kind, about) }
}

/// What the settings may hold.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        secret: true,
        ..FieldSpec::new("application_id", FieldKind::Text, "identifies the account at the service")
    },
    with(
        "api_endpoint",
        FieldKind::Url,
        "\"https://api.moesif.net\"",
        "where the service is, without /v1/...",
    ),
    with("timeout", ANY_NUMBER, "1000", "deprecated and without effect"),
    with(
        "connect_timeout",
        ANY_NUMBER,
        "1000",
        "milliseconds to connect, and for one fetch of configuration",
    ),
    FieldSpec::new("send_timeout", ANY_NUMBER, "milliseconds for one call with events; 2000, current: 5000"),
    with("keepalive", ANY_NUMBER, "5000", "milliseconds that an unused connection is kept"),
    with("api_version", FieldKind::Text, "\"1.0\"", "reported as the version of the API that was called"),
    FieldSpec::new("user_id_header", FieldKind::Text, "request or response header that names the user"),
    FieldSpec::new("company_id_header", FieldKind::Text, "request or response header that names the company"),
    with(
        "authorization_header_name",
        FieldKind::Text,
        "\"authorization\"",
        "headers that may hold a token, separated by commas; the first that is there counts",
    ),
    with("authorization_user_id_field", FieldKind::Text, "\"sub\"", "claim of the token that names the user"),
    FieldSpec::new(
        "authorization_company_id_field",
        FieldKind::Text,
        "claim of the token that names the company",
    ),
    with("disable_capture_request_body", FieldKind::Boolean, "false", "leave request bodies out"),
    with("disable_capture_response_body", FieldKind::Boolean, "false", "leave response bodies out"),
    with("request_header_masks", TEXTS, "[]", "request headers to leave out"),
    with("response_header_masks", TEXTS, "[]", "response headers to leave out"),
    with(
        "request_body_masks",
        TEXTS,
        "[]",
        "keys to remove from request bodies, at every depth; or dotted paths",
    ),
    with(
        "response_body_masks",
        TEXTS,
        "[]",
        "keys to remove from response bodies, at every depth; or dotted paths",
    ),
    with("request_query_masks", TEXTS, "[]", "query arguments whose values become *****"),
    with("request_masks", TEXTS, "[]", "deprecated: request_body_masks, when that is empty"),
    with("response_masks", TEXTS, "[]", "deprecated: response_body_masks, when that is empty"),
    FieldSpec::new("batch_size", ANY_NUMBER, "most events in one call; 200, current: 50"),
    FieldSpec::new("event_queue_size", ANY_NUMBER, "accepted and without effect: the journal is the queue"),
    FieldSpec::new(
        "max_callback_time_spent",
        ANY_NUMBER,
        "accepted and without effect: nothing waits for it",
    ),
    FieldSpec::new(
        "request_max_body_size_limit",
        ANY_NUMBER,
        "bytes; larger request bodies are left out; 100000",
    ),
    FieldSpec::new(
        "response_max_body_size_limit",
        ANY_NUMBER,
        "bytes; larger response bodies are left out; 100000",
    ),
    with(
        "disable_gzip_payload_decompression",
        FieldKind::Boolean,
        "false",
        "send bodies that are compressed with gzip as they are",
    ),
    with(
        "disable_transaction_id",
        FieldKind::Boolean,
        "false",
        "add no X-Moesif-Transaction-Id to requests and responses",
    ),
    with("debug", FieldKind::Boolean, "false", "log more"),
    FieldSpec::new("enable_compression", FieldKind::Boolean, "compress calls with zlib; false"),
    // Ours.
    with(
        "defaults",
        FieldKind::OneOf(&["documented", "current"]),
        "\"documented\"",
        "which defaults hold: those of the documentation, or those of plugin 2.1 (ours)",
    ),
    with("https_verify", FieldKind::Boolean, "true", "check the service's certificate (ours)"),
    with(
        "session_token",
        FieldKind::OneOf(&["hashed", "raw"]),
        "\"hashed\"",
        "send a keyed hash of the credential as session_token, or the credential itself (ours)",
    ),
    with(
        "mask_case_insensitive",
        FieldKind::Boolean,
        "false",
        "compare body and query masks without regard to case (ours)",
    ),
    with(
        "mask_unparsed",
        FieldKind::OneOf(&["keep", "drop"]),
        "\"keep\"",
        "what becomes of a body that masks cannot be applied to, because it is not JSON; with drop, forms are masked (ours)",
    ),
    with(
        "mask_preset",
        FieldKind::OneOf(&["none", "strict"]),
        "\"none\"",
        "with strict, usual names of secrets are masked beside those that are given (ours)",
    ),
    with(
        "trusted_ips",
        FieldKind::Set(&FieldKind::Text),
        "[\"0.0.0.0/0\",\"::/0\"]",
        "peers whose headers are believed when they name the client; addresses or networks (ours)",
    ),
    // Former names.
    FieldSpec::new(
        "sampling_percentage",
        FieldKind::Any,
        "former: percentage that holds until the service names one",
    ),
    FieldSpec::new("max_body_size_limit", FieldKind::Any, "former: both size limits"),
    FieldSpec::new(
        "max_body_sime_limit",
        FieldKind::Any,
        "former: both size limits, as it was once misspelt",
    ),
    FieldSpec::new(
        "enable_skip_gzip_payload_decompression",
        FieldKind::Any,
        "former: disable_gzip_payload_decompression",
    ),
    FieldSpec::new(
        "disable_moesif_payload_compression",
        FieldKind::Any,
        "former: the opposite of enable_compression",
    ),
    FieldSpec::new("max_events_sent_per_callback", FieldKind::Any, "former, without effect"),
    FieldSpec::new(
        "enable_reading_send_event_response",
        FieldKind::Any,
        "former, without effect: answers are read",
    ),
    FieldSpec { secret: true, ..FieldSpec::new("access_token", FieldKind::Any, "former, without effect") },
];

/// The settings as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    application_id: Secret,
    api_endpoint: Option<String>,
    timeout: Option<f64>,
    connect_timeout: Option<f64>,
    send_timeout: Option<f64>,
    keepalive: Option<f64>,
    api_version: Option<String>,
    user_id_header: Option<String>,
    company_id_header: Option<String>,
    authorization_header_name: Option<String>,
    authorization_user_id_field: Option<String>,
    authorization_company_id_field: Option<String>,
    disable_capture_request_body: Option<bool>,
    disable_capture_response_body: Option<bool>,
    request_header_masks: Option<Vec<String>>,
    response_header_masks: Option<Vec<String>>,
    request_body_masks: Option<Vec<String>>,
    response_body_masks: Option<Vec<String>>,
    request_query_masks: Option<Vec<String>>,
    request_masks: Option<Vec<String>>,
    response_masks: Option<Vec<String>>,
    batch_size: Option<f64>,
    event_queue_size: Option<f64>,
    max_callback_time_spent: Option<f64>,
    request_max_body_size_limit: Option<f64>,
    response_max_body_size_limit: Option<f64>,
    disable_gzip_payload_decompression: Option<bool>,
    disable_transaction_id: Option<bool>,
    debug: Option<bool>,
    enable_compression: Option<bool>,
    defaults: Defaults,
    https_verify: Option<bool>,
    session_token: SessionToken,
    mask_case_insensitive: Option<bool>,
    mask_unparsed: Unparsed,
    mask_preset: Preset,
    trusted_ips: Option<Vec<String>>,
    sampling_percentage: Value,
    max_body_size_limit: Value,
    max_body_sime_limit: Value,
    enable_skip_gzip_payload_decompression: Value,
    disable_moesif_payload_compression: Value,
    max_events_sent_per_callback: Value,
    enable_reading_send_event_response: Value,
    access_token: Value,
}

/// Which defaults hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Defaults {
    #[default]
    Documented,
    Current,
}

/// Which masks hold beside those that are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Preset {
    #[default]
    None,
    Strict,
}

/// What becomes of a body that the body masks cannot be applied to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unparsed {
    /// It is sent as it is, as the original does.
    #[default]
    Keep,
    /// It is left out; forms are masked by key.
    Drop,
}

/// The settings, checked and completed.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Identifies the account.
    pub application_id: Secret,
    /// Where the service is, without a slash at the end.
    pub endpoint: String,
    /// To connect, and for a fetch of configuration or rules.
    pub connect_timeout: Duration,
    /// For one call with events.
    pub send_timeout: Duration,
    /// How long an unused connection is kept.
    pub keep_alive: Duration,
    /// Whether the service's certificate is checked.
    pub verify_certificate: bool,
    /// Reported with each event.
    pub api_version: String,
    /// How callers are recognised.
    pub identity: IdentityConfig,
    /// What is reported of requests.
    pub request: MessageConfig,
    /// What is reported of responses.
    pub response: MessageConfig,
    /// Query arguments to star.
    pub query_masks: Vec<String>,
    /// Whether body and query masks compare without regard to case.
    pub mask_case_insensitive: bool,
    /// What becomes of bodies that masks cannot be applied to.
    pub mask_unparsed: Unparsed,
    /// Peers that are believed when their headers name the client.
    pub trusted: Vec<Network>,
    /// Most events in one call.
    pub batch_size: usize,
    /// Whether bodies compressed with gzip are reported without it.
    pub decompress_gzip: bool,
    /// Whether `X-Moesif-Transaction-Id` is added to requests and responses.
    pub transaction_id: bool,
    /// Whether to log more.
    pub debug: bool,
    /// Whether calls are compressed.
    pub compress: bool,
    /// Percentage of events to send while the service has named none.
    pub sample_rate: f64,
    /// Settings that were given and are deprecated or without effect, in words.
    pub warnings: Vec<String>,
}

/// How callers are recognised (moesif-plugin, section 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityConfig {
    /// Header that names the user.
    pub user_id_header: Option<String>,
    /// Header that names the company.
    pub company_id_header: Option<String>,
    /// Headers that may hold a token, in lower case; the first that is there counts.
    pub authorization_headers: Vec<String>,
    /// Claim that names the user, in lower case.
    pub user_claim: String,
    /// Claim that names the company, in lower case.
    pub company_claim: Option<String>,
    /// What becomes of the credential.
    pub session_token: SessionToken,
}

/// What is reported of requests, or of responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageConfig {
    /// Whether bodies are captured and sent.
    pub capture_body: bool,
    /// Bytes on the wire; a larger body is left out.
    pub max_body_bytes: usize,
    /// Headers to leave out, in lower case.
    pub header_masks: Vec<String>,
    /// Keys to remove from bodies.
    pub body_masks: Vec<String>,
}

impl Config {
    /// Reads the settings.
    pub fn read(settings: Value) -> Result<Self, ConfigError> {
        let given: Given = kind::read(settings)?;
        if given.application_id.expose().is_empty() {
            return Err(ConfigError::one("application_id", weir_kit::schema::REQUIRED));
        }
        if http::HeaderValue::from_str(given.application_id.expose()).is_err() {
            return Err(ConfigError::one("application_id", "has characters that a header cannot hold"));
        }
        let current = given.defaults == Defaults::Current;
        let trusted = networks(given.trusted_ips.as_deref())?;
        Ok(Self {
            endpoint: endpoint(given.api_endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT)),
            connect_timeout: millis(given.connect_timeout, 1_000),
            send_timeout: millis(given.send_timeout, if current { 5_000 } else { 2_000 }),
            keep_alive: millis(given.keepalive, 5_000),
            verify_certificate: given.https_verify.unwrap_or(true),
            identity: identity(&given, current),
            request: request(&given),
            response: response(&given),
            query_masks: masks(given.request_query_masks.as_deref(), given.mask_preset, STRICT_KEY_MASKS),
            mask_case_insensitive: given.mask_case_insensitive.unwrap_or(false)
                || given.mask_preset == Preset::Strict,
            mask_unparsed: if given.mask_preset == Preset::Strict {
                Unparsed::Drop
            } else {
                given.mask_unparsed
            },
            trusted,
            batch_size: count(given.batch_size, if current { 50 } else { 200 }).clamp(1, MAX_BATCH_SIZE),
            decompress_gzip: !(given.disable_gzip_payload_decompression == Some(true)
                || flag(&given.enable_skip_gzip_payload_decompression) == Some(true)),
            transaction_id: !given.disable_transaction_id.unwrap_or(false),
            debug: given.debug.unwrap_or(false),
            compress: given
                .enable_compression
                .or(flag(&given.disable_moesif_payload_compression).map(|disabled| !disabled))
                .unwrap_or(false),
            sample_rate: number(&given.sampling_percentage).map_or(100.0, |rate| rate.clamp(0.0, 100.0)),
            warnings: warnings(&given),
            api_version: given.api_version.unwrap_or_else(|| "1.0".to_owned()),
            application_id: given.application_id,
        })
    }

    /// How batches are made and repeated (moesif-plugin, section 3). The service repeats nothing for ever: while it does
    /// not accept, the journal keeps what is to be sent.
    pub fn queue(&self) -> QueueSettings {
        QueueSettings {
            max_batch_size: self.batch_size,
            max_coalescing_delay: FLUSH_INTERVAL,
            initial_retry_delay: FLUSH_INTERVAL,
            max_retry_delay: Duration::from_secs(60),
            max_attempts: None,
            // A batch may take many calls when the service refuses some of its entries.
            timeout: self.send_timeout.saturating_mul(20).max(Duration::from_secs(60)),
            ..QueueSettings::default()
        }
    }

    /// What the gateway must capture.
    pub fn capture(&self) -> CaptureWish {
        let bytes = |message: &MessageConfig| if message.capture_body { message.max_body_bytes } else { 0 };
        CaptureWish { request_body_bytes: bytes(&self.request), response_body_bytes: bytes(&self.response) }
    }
}

/// The 2018 releases named the whole address for events; later ones only where the service is.
fn endpoint(given: &str) -> String {
    let base = given.trim().trim_end_matches('/');
    let base = base.strip_suffix("/batch").unwrap_or(base);
    let base = base.strip_suffix("/v1/events").unwrap_or(base);
    base.trim_end_matches('/').to_owned()
}

fn identity(given: &Given, current: bool) -> IdentityConfig {
    let documented = (!current).then(|| "x-consumer-custom-id".to_owned());
    let header = |name: &Option<String>| named(name.as_deref()).map(|name| name.to_ascii_lowercase());
    let headers = named(given.authorization_header_name.as_deref()).unwrap_or("authorization");
    let claim = named(given.authorization_user_id_field.as_deref()).unwrap_or("sub");
    IdentityConfig {
        user_id_header: header(&given.user_id_header).or(documented),
        company_id_header: header(&given.company_id_header),
        authorization_headers: headers
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty())
            .collect(),
        user_claim: claim.to_lowercase(),
        company_claim: named(given.authorization_company_id_field.as_deref()).map(str::to_lowercase),
        session_token: given.session_token,
    }
}

fn request(given: &Given) -> MessageConfig {
    let limit = given.request_max_body_size_limit.or_else(|| former_limit(given));
    MessageConfig {
        capture_body: !given.disable_capture_request_body.unwrap_or(false),
        max_body_bytes: count(limit, 100_000).min(MAX_BODY_BYTES),
        header_masks: header_masks(given.request_header_masks.as_deref(), given.mask_preset),
        body_masks: body_masks(&given.request_body_masks, &given.request_masks, given.mask_preset),
    }
}

fn response(given: &Given) -> MessageConfig {
    let limit = given.response_max_body_size_limit.or_else(|| former_limit(given));
    MessageConfig {
        capture_body: !given.disable_capture_response_body.unwrap_or(false),
        max_body_bytes: count(limit, 100_000).min(MAX_BODY_BYTES),
        header_masks: header_masks(given.response_header_masks.as_deref(), given.mask_preset),
        body_masks: body_masks(&given.response_body_masks, &given.response_masks, given.mask_preset),
    }
}

fn former_limit(given: &Given) -> Option<f64> {
    number(&given.max_body_size_limit).or_else(|| number(&given.max_body_sime_limit))
}

fn header_masks(given: Option<&[String]>, preset: Preset) -> Vec<String> {
    let given = masks(given, preset, STRICT_HEADER_MASKS);
    given.into_iter().map(|name| name.to_ascii_lowercase()).collect()
}

fn body_masks(given: &Option<Vec<String>>, former: &Option<Vec<String>>, preset: Preset) -> Vec<String> {
    let given = given.as_deref().filter(|masks| !masks.is_empty());
    masks(given.or(former.as_deref()), preset, STRICT_KEY_MASKS)
}

fn masks(given: Option<&[String]>, preset: Preset, strict: &[&str]) -> Vec<String> {
    let preset = if preset == Preset::Strict { strict } else { &[] };
    let given = given.unwrap_or_default().iter().map(|mask| mask.trim());
    let mut masks: Vec<String> = Vec::new();
    for mask in given.chain(preset.iter().copied()).filter(|mask| !mask.is_empty()) {
        if !masks.iter().any(|known| known == mask) {
            masks.push(mask.to_owned());
        }
    }
    masks
}

fn networks(given: Option<&[String]>) -> Result<Vec<Network>, ConfigError> {
    let Some(given) = given else { return Ok(Network::everything()) };
    let read = |text: &String| text.parse().map_err(|error: String| ConfigError::one("trusted_ips", error));
    given.iter().map(read).collect()
}

fn warnings(given: &Given) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |is_given: bool, name: &str, what: &str| {
        if is_given {
            warnings.push(format!("{name} is {what}"));
        }
    };
    let any = |value: &Value| !value.is_null();
    let list = |masks: &Option<Vec<String>>| masks.as_ref().is_some_and(|masks| !masks.is_empty());
    warn(given.timeout.is_some_and(|timeout| timeout != 1_000.0), "timeout", "deprecated and without effect");
    warn(list(&given.request_masks), "request_masks", "deprecated: use request_body_masks");
    warn(list(&given.response_masks), "response_masks", "deprecated: use response_body_masks");
    warn(given.event_queue_size.is_some(), "event_queue_size", "without effect: the journal is the queue");
    warn(given.max_callback_time_spent.is_some(), "max_callback_time_spent", "without effect");
    warn(any(&given.sampling_percentage), "sampling_percentage", "deprecated: the service names the rate");
    let limits = "deprecated: use request_max_body_size_limit and response_max_body_size_limit";
    warn(any(&given.max_body_size_limit), "max_body_size_limit", limits);
    warn(any(&given.max_body_sime_limit), "max_body_sime_limit", limits);
    warn(
        any(&given.enable_skip_gzip_payload_decompression),
        "enable_skip_gzip_payload_decompression",
        "deprecated: use disable_gzip_payload_decompression",
    );
    warn(
        any(&given.disable_moesif_payload_compression),
        "disable_moesif_payload_compression",
        "deprecated: use enable_compression",
    );
    warn(any(&given.max_events_sent_per_callback), "max_events_sent_per_callback", "without effect");
    warn(
        any(&given.enable_reading_send_event_response),
        "enable_reading_send_event_response",
        "without effect",
    );
    warn(any(&given.access_token), "access_token", "without effect");
    warnings
}

fn named(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// Milliseconds as written in settings; the default when they make no sense.
fn millis(given: Option<f64>, default: u64) -> Duration {
    let longest = Duration::from_secs(24 * 3600);
    let given = given.and_then(|millis| Duration::try_from_secs_f64(millis / 1_000.0).ok());
    given.filter(|time| !time.is_zero()).map_or(Duration::from_millis(default), |time| time.min(longest))
}

/// A count as written in settings; the default when it is negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate")]
fn count(given: Option<f64>, default: usize) -> usize {
    given.filter(|number| *number >= 0.0).map_or(default, |number| number as usize)
}

/// A number of a former setting, however it is written.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number: &f64| number.is_finite())
}

/// A truth value of a former setting, however it is written.
fn flag(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.trim().parse().ok())
}
