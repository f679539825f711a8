#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`event`] (the format as written), [`encode`] with [`mask`] and [`client_ip`], `read` (the format as it
//! is met), [`decode`]; [`config`]; [`served`] and [`remote`] (what the service says), [`sampling`],
//! [`exporter`]; [`policy`] (calls under way) with [`identity`], [`rules`] and [`template`]; [`receiver`] with [`actions`],
//! `entities` (users, companies, subscriptions) and `documents` (what we say as the service).

pub mod actions;
pub mod client_ip;
pub mod config;
pub mod decode;
mod documents;
pub mod encode;
mod entities;
pub mod event;
pub mod exporter;
pub mod identity;
pub mod mask;
pub mod policy;
mod read;
pub mod receiver;
pub mod remote;
pub mod rules;
pub mod sampling;
pub mod served;
pub mod session;
pub mod template;

#[cfg(test)]
mod tests;

use weir_kit::Kind;
use weir_pipeline::{ExporterKind, Receiver};

/// Sends events.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "moesif",
    aliases: &[],
    about: "reports calls to Moesif, and enforces its governance rules",
    fields: config::FIELDS,
    build: exporter::build,
};

/// Accepts the whole Collection API.
pub const RECEIVER: Kind<dyn Receiver> =
    Kind { name: "moesif", fields: &[], build: |_| Ok(Box::new(receiver::Moesif)) };

/// Header that identifies the account, on every call.
pub const APPLICATION_ID: &str = "x-moesif-application-id";
/// Header with the id of a call, on requests and responses that pass the gateway.
pub const TRANSACTION_ID: &str = "x-moesif-transaction-id";
/// Header with the tag of the configuration, on answers.
pub const CONFIG_ETAG: &str = "x-moesif-config-etag";
/// Headers with the tag of the governance rules, on answers; the first is the usual one.
pub const RULES_TAGS: [&str; 2] = ["x-moesif-rules-tag", "x-moesif-rules-etag"];

/// Attributes of exchanges that hold what an event says and the model has no field for.
pub mod attribute {
    /// Version of the API that was called.
    pub const API_VERSION: &str = "moesif.api_version";
    /// Name of the operation, as the sender calls it.
    pub const ACTION_NAME: &str = "moesif.action_name";
    /// Id of the governance rule that answered instead of the service.
    pub const BLOCKED_BY: &str = "moesif.blocked_by";
    /// `Outgoing` or `Internal`; incoming calls have none.
    pub const DIRECTION: &str = "moesif.direction";
    /// Metadata of the sender, a JSON object.
    pub const METADATA: &str = "moesif.metadata";
    /// Hosts of the gateway's route, a JSON array.
    pub const ROUTE_HOSTS: &str = "moesif.route_hosts";
    /// OpenTelemetry span, a JSON object.
    pub const SPAN: &str = "moesif.span";
    /// Comma list of old senders.
    pub const TAGS: &str = "moesif.tags";
    /// OpenTelemetry trace.
    pub const TRACE_ID: &str = "moesif.trace_id";
    /// Id of the event as its sender named it.
    pub const TRANSACTION_ID: &str = "moesif.transaction_id";
    /// Whether the request's body was said to be Base64 and is not; it was then kept as it is.
    pub const REQUEST_BODY_NOT_BASE64: &str = "moesif.request_body_not_base64";
    /// The same of the response's body.
    pub const RESPONSE_BODY_NOT_BASE64: &str = "moesif.response_body_not_base64";
}
