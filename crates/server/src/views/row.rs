//! Lists of exchanges.

use serde::Serialize;
use utoipa::ToSchema;
use weir_model::field::without_port;
use weir_model::{Exchange, Field, FieldValue};
use weir_store::Page;

use super::{milliseconds, owned};
use crate::parameters::write_cursor;

/// One page of exchanges.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExchangeList {
    /// In the order asked for.
    pub(crate) exchanges: Vec<ExchangeRow>,
    /// The `cursor` of the next page; null on the last.
    #[schema(required)]
    pub(crate) next: Option<String>,
    /// How many match in all.
    pub(crate) total: Total,
}

/// How many exchanges match.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Total {
    /// The number.
    pub(crate) value: u64,
    /// Whether it was counted or estimated.
    pub(crate) relation: Relation,
}

/// Whether a number was counted or estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Relation {
    /// Counted.
    Eq,
    /// Estimated.
    Approx,
}

/// An exchange without headers and bodies.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExchangeRow {
    /// Its id, a UUID.
    id: String,
    /// When the request began.
    #[schema(format = DateTime)]
    start_time: String,
    /// First byte of the request to last byte of the answer, in milliseconds.
    #[schema(required)]
    duration_ms: Option<f64>,
    /// As sent.
    method: String,
    /// `http` or `https`.
    scheme: String,
    /// Without the port.
    host: String,
    /// As sent.
    path: String,
    /// As sent, without the `?`.
    #[schema(required)]
    query: Option<String>,
    /// Null when nobody answered.
    #[schema(required)]
    status: Option<u16>,
    /// The path with its variable parts templated.
    #[schema(required)]
    endpoint: Option<String>,
    /// GraphQL operation, JSON-RPC method, SOAP action, ...
    #[schema(required)]
    operation: Option<String>,
    /// rest, graphql, json_rpc, soap, grpc or websocket.
    #[schema(required)]
    protocol: Option<String>,
    /// The service that answered.
    #[schema(required)]
    service: Option<String>,
    /// The gateway route that matched.
    #[schema(required)]
    route: Option<String>,
    /// The consumer as authenticated by the gateway.
    #[schema(required)]
    consumer: Option<String>,
    /// Who called.
    #[schema(required)]
    user: Option<String>,
    /// The company the user belongs to.
    #[schema(required)]
    company: Option<String>,
    /// The caller's address.
    #[schema(required)]
    client: Option<String>,
    /// Bytes of the request body on the wire.
    #[schema(required)]
    request_size: Option<u64>,
    /// Bytes of the response body on the wire.
    #[schema(required)]
    response_size: Option<u64>,
    /// What went wrong on the way.
    #[schema(required)]
    error: Option<String>,
    /// How it reached weir.
    source: String,
    /// What detectors saw.
    findings: Vec<String>,
    /// How many calls it stands for.
    weight: u32,
}

impl ExchangeList {
    pub(crate) fn new(page: &Page) -> Self {
        Self {
            exchanges: page.exchanges.iter().map(ExchangeRow::new).collect(),
            next: page.next.as_ref().map(write_cursor),
            total: page.total.into(),
        }
    }
}

impl From<weir_store::Total> for Total {
    fn from(total: weir_store::Total) -> Self {
        match total {
            weir_store::Total::Exactly(value) => Self { value, relation: Relation::Eq },
            weir_store::Total::About(value) => Self { value, relation: Relation::Approx },
        }
    }
}

impl ExchangeRow {
    pub(crate) fn new(exchange: &Exchange) -> Self {
        let request = &exchange.request;
        let operation = exchange.operation.as_ref();
        Self {
            id: exchange.id.to_string(),
            start_time: exchange.started_at.to_string(),
            duration_ms: exchange.duration().map(milliseconds),
            method: request.method.to_string(),
            scheme: request.scheme.to_string(),
            host: without_port(&request.host).to_owned(),
            path: request.path.to_string(),
            query: owned(&request.query),
            status: exchange.status(),
            endpoint: operation.map(|operation| operation.template.to_string()),
            operation: operation.and_then(|operation| owned(&operation.name)),
            protocol: operation.map(|operation| operation.protocol.name().to_owned()),
            service: owned(&exchange.service),
            route: owned(&exchange.route),
            consumer: field_text(exchange, "consumer"),
            user: field_text(exchange, "user"),
            company: owned(&exchange.identity.company),
            client: exchange.client.address.map(|address| address.to_string()),
            request_size: request.body.size,
            response_size: exchange.response.as_ref().and_then(|response| response.body.size),
            error: owned(&exchange.error),
            source: exchange.origin.source.to_string(),
            findings: exchange.findings.iter().map(|finding| finding.kind.to_string()).collect(),
            weight: exchange.weight,
        }
    }
}

/// The first text a field of the table has, so that a row shows what a filter on the field sees.
fn field_text(exchange: &Exchange, name: &str) -> Option<String> {
    let Some(Field::Row(row)) = Field::named(name) else { return None };
    let mut found = None;
    (row.get)(exchange, &mut |value| {
        if let FieldValue::Text(text) = value {
            found.get_or_insert_with(|| text.into_owned());
        }
    });
    found
}
