//! Lists of exchanges, and single ones.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use weir_model::field::FIELDS;
use weir_model::{Exchange, ExchangeId, Field, FieldValue, ProjectId};
use weir_query::json::{DEFAULT_PAGE, MAX_PAGE};
use weir_query::{Filter, Listing, Op, Order, TimeRange};

use super::{App, has_already, json, tag};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::views::{ExchangeDetail, ExchangeList};

/// Exchanges that match, page by page.
#[utoipa::path(
    get, path = "/api/v1/exchanges", operation_id = "listExchanges", tag = "exchanges",
    params(
        ("q" = Option<String>, Query, description = "query text"),
        ("from" = Option<String>, Query, description = "first instant: RFC 3339, a date, epoch milliseconds, now-6h, now/d"),
        ("to" = Option<String>, Query, description = "instant after the last, written as `from`"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 50"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("order" = Option<String>, Query, description = "`desc` (newest first, the default) or `asc`"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = ExchangeList, description = "a page"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let known = ["q", "from", "to", "limit", "cursor", "order", "project"];
    let mut parameters = Parameters::read(query.as_deref(), &known);
    let now = app.now();
    let listing = Listing {
        project: parameters.project(),
        range: parameters.range(now),
        filter: parameters.filter(now),
        order: match parameters.choice("order", &["desc", "asc"]) {
            "asc" => Order::OldestFirst,
            _ => Order::NewestFirst,
        },
        limit: parameters.count("limit", 1..=MAX_PAGE, DEFAULT_PAGE),
        after: parameters.cursor(),
    };
    parameters.done()?;
    let page = app.ask(app.store.list(&listing)).await?;
    Ok(json(&ExchangeList::new(&page)))
}

/// How many exchanges were erased.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Erased {
    /// This many.
    erased: u64,
}

/// Removes the exchanges that match from the store, for ever. When it answers they are gone, also after a crash. What was
/// sent to others is not reached.
#[utoipa::path(
    delete, path = "/api/v1/exchanges", operation_id = "eraseExchanges", tag = "exchanges",
    params(
        ("q" = String, Query, description = "query text; without one nothing is erased"),
        ("from" = Option<String>, Query, description = "first instant: RFC 3339, a date, epoch milliseconds, now-6h, now/d"),
        ("to" = Option<String>, Query, description = "instant after the last, written as `from`"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = Erased, description = "they are gone"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
        (status = 422, body = Problem, content_type = "application/problem+json",
            description = "too many stored exchanges would have to be read to see which match; nothing was erased"),
    )
)]
pub(crate) async fn erase(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref(), &["q", "from", "to", "project"]);
    let now = app.now();
    let project = parameters.project();
    let mut filter = parameters.filter(now);
    let range = parameters.range(now);
    if filter == Filter::Any {
        parameters.wrong("q", "expected a question: without one everything would be erased");
    }
    parameters.done()?;
    if range != TimeRange::ALL {
        filter = Filter::And(vec![filter, begun_within(range)]);
    }
    Ok(json(&Erased { erased: app.erase(&project, &filter).await? }))
}

fn begun_within(range: TimeRange) -> Filter {
    let (from, to) = (FieldValue::Time(range.from), FieldValue::Time(range.to));
    let op = Op::Range { from: Some((from, true)), to: Some((to, false)) };
    Filter::Test { field: Field::Row(&FIELDS[0]), op }
}

/// One exchange, whole; body bytes only when asked for.
#[utoipa::path(
    get, path = "/api/v1/exchanges/{id}", operation_id = "getExchange", tag = "exchanges",
    params(
        ("id" = String, Path, description = "its id"),
        ("bodies" = Option<bool>, Query, description = "whether to add up to 1 MiB of each body as `text` or `base64`"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = ExchangeDetail, description = "the exchange"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "there is none"),
    )
)]
pub(crate) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref(), &["bodies", "project"]);
    let (bodies, project) = (parameters.flag("bodies"), parameters.project());
    parameters.done()?;
    let exchange = find(&app, &project, &id).await?;
    let tag = tag(&format!("{}-{bodies}", exchange.id));
    if has_already(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let mut response = json(&ExchangeDetail::new(&exchange, bodies));
    response.headers_mut().insert(header::ETAG, tag);
    // An exchange does not change once stored; it is asked for again only to see that it is still there.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

/// One exchange as HAR 1.2.
#[utoipa::path(
    get, path = "/api/v1/exchanges/{id}/har", operation_id = "getExchangeHar", tag = "exchanges",
    params(
        ("id" = String, Path, description = "its id"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = Object, content_type = "application/json", description = "HAR 1.2 with one entry"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "there is none"),
    )
)]
pub(crate) async fn har(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let project = Parameters::only_project(query.as_deref())?;
    let kind = app.renderers.iter().find(|kind| kind.name == "har");
    let kind = kind.ok_or_else(|| Problem::not_found("this program cannot write HAR files"))?;
    let exchange = find(&app, &project, &id).await?;
    let mut renderer = (kind.open)();
    let mut body = Vec::new();
    renderer.begin(&mut body);
    renderer.exchange(&exchange, &mut body);
    renderer.end(&mut body);
    let name = format!("attachment; filename=\"{}.har\"", exchange.id);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind.media_type)),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("attachment")),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    Ok((headers, body).into_response())
}

/// The exchange of this id.
pub(crate) async fn find(app: &App, project: &ProjectId, id: &str) -> Result<Exchange, Problem> {
    let parsed: ExchangeId = id
        .parse()
        .map_err(|_| Problem::not_found(format!("{:?} is not an id of an exchange", shortened(id))))?;
    let found = app.ask(app.store.get(project, parsed)).await?;
    found.ok_or_else(|| {
        let detail = format!("there is no exchange {parsed} in project {:?}", shortened(project.as_str()));
        Problem::not_found(detail)
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
