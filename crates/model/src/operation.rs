//! What a request means to the API it calls.

use compact_str::CompactString;

/// The protocol spoken over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Plain HTTP: the method and the path template say it all.
    Rest,
    /// GraphQL over HTTP.
    GraphQl,
    /// JSON-RPC 2.0.
    JsonRpc,
    /// SOAP 1.1 or 1.2.
    Soap,
    /// gRPC and gRPC-web.
    Grpc,
    /// An upgraded WebSocket connection.
    WebSocket,
}

impl Protocol {
    /// Every protocol.
    pub const ALL: [Self; 6] =
        [Self::Rest, Self::GraphQl, Self::JsonRpc, Self::Soap, Self::Grpc, Self::WebSocket];

    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::GraphQl => "graphql",
            Self::JsonRpc => "json_rpc",
            Self::Soap => "soap",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
        }
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The protocol it was recognised as.
    pub protocol: Protocol,
    /// OpenTelemetry `http.route`: the path with its variable segments templated, such as `/users/{id}`.
    pub template: CompactString,
    /// Operation, method or action named inside the body (`graphql.operation.name`, `rpc.method`, SOAP action).
    pub name: Option<CompactString>,
    /// GraphQL operation type: `query`, `mutation`, `subscription`.
    pub kind: Option<CompactString>,
    /// Error reported inside the answer of a protocol that reports success by status (GraphQL, JSON-RPC, SOAP, gRPC).
    pub error: Option<CompactString>,
}
