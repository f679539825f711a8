//! The table of settings, in the order of `docs/configuration.md`.

use weir_kit::FieldKind::{
    self, Any, Array, Boolean, Duration, Integer, Listen, Map, OneOf, Record, Size, Text,
};
use weir_kit::FieldSpec;
use weir_wire::tyk::pump;

const fn key(name: &'static str, kind: FieldKind, default: &'static str, about: &'static str) -> FieldSpec {
    FieldSpec { default: Some(default), ..FieldSpec::new(name, kind, about) }
}

const fn section(name: &'static str, fields: &'static [FieldSpec], about: &'static str) -> FieldSpec {
    key(name, Record(fields), "{}", about)
}

const COUNT: FieldKind = Integer { min: 1, max: 1_000_000 };
const NAMES: FieldKind = Array(&Text);

/// Every setting.
pub static SETTINGS: &[FieldSpec] = &[
    key("data_dir", Text, r#""weir-data""#, "folder for everything that is kept"),
    section("log", LOG, "weir's own logs, written to standard error"),
    section("gateway", GATEWAY, "the reverse proxy and its Admin API"),
    section("server", SERVER, "page, API and collector"),
    section("collector", COLLECTOR, "what is accepted from other systems' reporters"),
    section("pump", pump::settings::FIELDS, "traffic records of Tyk's gateways, taken from Redis"),
    section("identify", IDENTIFY, "what is found out about calls before they are kept"),
    section("redact", REDACT, "what is masked before anything is kept or sent"),
    section("sample", SAMPLE, "which calls are kept at all; everything, unless told otherwise"),
    section("journal", JOURNAL, "the log on disk between capture and every target"),
    section("store", STORE, "where exchanges are kept for questions"),
    key(
        "targets",
        Map(&Record(TARGET)),
        "{}",
        "systems that every exchange is sent on to, by a name of your choice",
    ),
];

static LOG: &[FieldSpec] = &[
    key(
        "level",
        Text,
        r#""info""#,
        "error, warn, info, debug or trace, or a filter such as weir_gateway=debug",
    ),
    key("format", OneOf(&["text", "json"]), r#""text""#, "text for people, json for machines"),
];

static GATEWAY: &[FieldSpec] = &[
    key("proxy_listen", Listen, r#""127.0.0.1:8000""#, "HTTP/1.1 and h2c; off for none"),
    key("proxy_tls_listen", Listen, r#""127.0.0.1:8443""#, "HTTP/1.1 and HTTP/2 over TLS; off for none"),
    key("admin_listen", Listen, r#""127.0.0.1:8001""#, "Admin API in Kong's shapes; off for none"),
    FieldSpec::new(
        "tls_certificate",
        Text,
        "PEM file of the certificate chain; a self-signed one is made when left out",
    ),
    FieldSpec::new("tls_certificate_key", Text, "PEM file of its key"),
    FieldSpec::new("declarative_config", Text, "Kong declarative file; makes the Admin API read-only"),
    FieldSpec::new(
        "tyk_definitions",
        Text,
        "folder (or file) of Tyk's API definitions in place of a declarative file; what is not supported is named in the log",
    ),
    FieldSpec::new("workers", COUNT, "proxy threads; as many as processors when left out"),
    key("trusted_ips", NAMES, "[]", "networks whose X-Forwarded-* and X-Real-IP headers are believed"),
    key("max_connections", COUNT, "10000", "open client connections, all workers together"),
    key("max_header_bytes", Size, r#""64KiB""#, "largest request head; above it 431"),
    key("max_header_count", COUNT, "200", "most header fields of a request; above it 431"),
    key("header_timeout", Duration, r#""30s""#, "how long a client may take to send a request head"),
    key("keepalive_timeout", Duration, r#""75s""#, "how long an idle client connection stays open"),
    key("shutdown_timeout", Duration, r#""10s""#, "how long open calls may go on after a signal to stop"),
    key("project", Text, r#""default""#, "project that captured traffic belongs to"),
    FieldSpec::new("environment", Text, "deployment environment put on captured traffic"),
    section("capture", CAPTURE, "what the gateway keeps of each call"),
    section(
        "gateway_urls",
        GATEWAY_URLS,
        "hosts such as foo-example-com-bucket.gw.test, whose calls go on to foo.example.com and are recorded under the bucket",
    ),
];

static GATEWAY_URLS: &[FieldSpec] = &[
    FieldSpec::new("host", Text, "what such hosts end with, after a dot; off when left out"),
    key(
        "targets",
        NAMES,
        "[]",
        "where calls may go: example.com, *.example.com, example.com:8080 or example.com:*; nowhere else, since a gateway that goes \
         wherever callers say is an open proxy into your network",
    ),
    FieldSpec {
        secret: true,
        ..key("tokens", Map(&Text), "{}", "by bucket, what callers must show in Runscope-Bucket-Auth")
    },
];

static CAPTURE: &[FieldSpec] = &[
    key("enabled", Boolean, "true", "keep every call, whether or not a plugin asks for it"),
    key("request_body_bytes", Size, r#""64KiB""#, "most bytes of each request body to keep; 0 for none"),
    key("response_body_bytes", Size, r#""64KiB""#, "most bytes of each response body to keep; 0 for none"),
    key(
        "memory",
        Size,
        r#""64MiB""#,
        "room for calls on their way to the journal; beyond it they are counted as dropped",
    ),
];

static SERVER: &[FieldSpec] = &[
    key("listen", Listen, r#""127.0.0.1:8002""#, "page, API, collector, /metrics, /healthz and /readyz"),
    FieldSpec {
        secret: true,
        ..FieldSpec::new(
            "token",
            Text,
            "token that API callers must show; set it before listening beyond this machine",
        )
    },
    key("max_connections", COUNT, "1000", "open connections"),
];

static COLLECTOR: &[FieldSpec] = &[
    key(
        "unknown_credentials",
        OneOf(&["accept", "refuse"]),
        r#""accept""#,
        "reports under a token not listed: keep them in the default project, or refuse them in the protocol's own way",
    ),
    key("tokens", Map(&Text), "{}", "project by service token, application id or bucket"),
];

static IDENTIFY: &[FieldSpec] = &[FieldSpec::new(
    "geo_database",
    Text,
    "MaxMind database (.mmdb) in which the country, city and position of clients are looked up; read again when it changes",
)];

static REDACT: &[FieldSpec] = &[
    key(
        "enabled",
        Boolean,
        "true",
        "mask well-known secrets: authorization, cookies, API keys, passwords and more",
    ),
    key("mask_headers", NAMES, "[]", "further header names to mask; `*` at an end stands for any characters"),
    key("keep_headers", NAMES, "[]", "header rules as shipped that shall not apply"),
    key(
        "mask_parameters",
        NAMES,
        "[]",
        "further query parameters to mask, also in URLs inside headers and bodies",
    ),
    key("keep_parameters", NAMES, "[]", "parameter rules as shipped that shall not apply"),
    key(
        "mask_fields",
        NAMES,
        "[]",
        "further members of JSON, forms, XML and GraphQL to mask, by name or dotted path",
    ),
    key("keep_fields", NAMES, "[]", "field rules as shipped that shall not apply"),
    key(
        "max_inflated_bytes",
        Size,
        r#""8MiB""#,
        "most that a compressed body may have inside to be read and masked",
    ),
];

static SAMPLE: &[FieldSpec] = &[
    key("one_in", COUNT, "1", "of how many ordinary calls one is kept; counts are multiplied accordingly"),
    key("slow", Duration, r#""1s""#, "calls that took at least this long are always kept, as are errors"),
];

static JOURNAL: &[FieldSpec] = &[
    key(
        "max_bytes",
        Size,
        r#""4GiB""#,
        "most disk it may use; beyond it the oldest goes, counted for each target that had not read it",
    ),
    key(
        "sync_interval",
        Duration,
        r#""250ms""#,
        "longest time captured traffic may stay unsynced; collected traffic is synced before it is acknowledged",
    ),
];

static STORE: &[FieldSpec] = &[
    key(
        "kind",
        OneOf(&["embedded", "memory"]),
        r#""embedded""#,
        "embedded keeps on disk; memory forgets at exit",
    ),
    key("retention", Duration, r#""30d""#, "how long exchanges are kept"),
    key("max_bytes", Size, r#""50GiB""#, "most disk for kept exchanges; beyond it the oldest go"),
    key("writer_memory", Size, r#""128MiB""#, "memory for building the index"),
    key(
        "commit_interval",
        Duration,
        r#""5s""#,
        "the index is written to disk after this time at the latest, and when 32 MiB of memory or a quarter of `journal.max_bytes` wait for it",
    ),
];

static TARGET: &[FieldSpec] = &[
    FieldSpec { required: true, ..FieldSpec::new("kind", Text, "which system; docs/formats.md lists them") },
    key("config", Any, "{}", "its settings, by the names of its own documentation (see docs/formats)"),
];
