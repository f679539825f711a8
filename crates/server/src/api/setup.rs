//! What the first-run page shows.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use weir_query::{Filter, Listing, Order, TimeRange};

use super::{App, json};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::views::ExchangeRow;

/// How to reach this installation, and whether anything has arrived yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Setup {
    /// Of the program.
    version: &'static str,
    addresses: SetupAddresses,
    /// How many exchanges there are.
    exchanges: u64,
    #[schema(required)]
    first_exchange: Option<ExchangeRow>,
    /// A collector credential for use in snippets; null when any will do.
    #[schema(required)]
    token: Option<String>,
}

/// Where the listeners are, as a client on that machine would use them; null where one is off.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SetupAddresses {
    #[schema(required)]
    proxy: Option<String>,
    #[schema(required)]
    proxy_tls: Option<String>,
    #[schema(required)]
    admin: Option<String>,
    #[schema(required)]
    server: Option<String>,
}

/// Addresses, and the first exchange once there is one.
#[utoipa::path(
    get, path = "/api/v1/setup", operation_id = "getSetup", tag = "operations",
    params(("project" = Option<String>, Query, description = "whose traffic; `default` when not given")),
    responses((status = 200, body = Setup, description = "what the first-run page shows"))
)]
pub(crate) async fn setup(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let project = Parameters::only_project(query.as_deref())?;
    let first = Listing {
        project,
        range: TimeRange::ALL,
        filter: Filter::Any,
        order: Order::OldestFirst,
        limit: 1,
        after: None,
    };
    let page = app.ask(app.store.list(&first)).await?;
    let (weir_store::Total::Exactly(exchanges) | weir_store::Total::About(exchanges)) = page.total;
    let addresses = app.addresses.clone();
    Ok(json(&Setup {
        version: app.version,
        addresses: SetupAddresses {
            proxy: addresses.proxy,
            proxy_tls: addresses.proxy_tls,
            admin: addresses.admin,
            server: addresses.server,
        },
        exchanges,
        first_exchange: page.exchanges.first().map(ExchangeRow::new),
        token: app.settings.collector_token.clone(),
    }))
}
