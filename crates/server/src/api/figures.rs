//! Explorations and aggregations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use weir_kit::Timestamp;
use weir_model::{Field, ProjectId};
use weir_query::json::{Exploration, aggregation, exploration};
use weir_query::table::{Cell, Table as Figures};
use weir_query::{Aggregation, Dimension, Listing, Measure, Mistake, Order, Place, TimeRange};

use super::{App, json, took_ms};
use crate::error::{Origin, Problem};
use crate::parameters::{NOT_A_CURSOR, Parameters, read_cursor};
use crate::views::{ExchangeList, Table};

/// First page, histogram and total of what matches.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explore {
    #[serde(flatten)]
    list: ExchangeList,
    /// How long it took, in milliseconds.
    took_ms: f64,
    /// First instant of the range asked for; where it was open, of what there is.
    #[schema(format = DateTime)]
    from: String,
    /// Instant after the last.
    #[schema(format = DateTime)]
    to: String,
    histogram: Histogram,
}

/// How many calls there were when.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Histogram {
    /// Width of a bucket in milliseconds.
    interval_ms: u64,
    /// In order of time, without gaps.
    buckets: Vec<Bucket>,
}

/// One interval.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bucket {
    /// Where it begins.
    #[schema(format = DateTime)]
    start: String,
    /// Calls by status class.
    counts: Counts,
}

/// Calls by status class; a class without calls is 0.
#[derive(Debug, Default, Clone, Serialize, ToSchema)]
pub(crate) struct Counts {
    #[serde(rename = "1xx")]
    informational: i64,
    #[serde(rename = "2xx")]
    success: i64,
    #[serde(rename = "3xx")]
    redirection: i64,
    #[serde(rename = "4xx")]
    client_error: i64,
    #[serde(rename = "5xx")]
    server_error: i64,
    /// Any other status.
    other: i64,
    /// Nobody answered.
    none: i64,
}

/// A question for a first page and a histogram.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the shape is described here and read by weir_query::json")]
pub(crate) struct ExploreRequest {
    /// Query text; what it and `filter` ask for must both hold.
    q: Option<String>,
    filter: Option<FilterJson>,
    /// First instant: RFC 3339, a date, epoch milliseconds, now-6h, now/d.
    from: Option<String>,
    /// Instant after the last.
    to: Option<String>,
    /// Rows of the page, 1 to 1000, default 50.
    limit: Option<u32>,
    /// `next` of the page before, for the pages after the first.
    cursor: Option<String>,
    /// About how many buckets the histogram shall have, 0 to 1000, default 60.
    buckets: Option<u32>,
}

/// A question for a table of figures.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the shape is described here and read by weir_query::json")]
pub(crate) struct AggregateRequest {
    /// Query text; what it and `filter` ask for must both hold.
    q: Option<String>,
    filter: Option<FilterJson>,
    /// First instant: RFC 3339, a date, epoch milliseconds, now-6h, now/d.
    from: Option<String>,
    /// Instant after the last.
    to: Option<String>,
    /// At most 4 field names or bands.
    group_by: Option<Vec<GroupBy>>,
    /// Width of intervals, such as `1m`; the first column is then `time`.
    interval: Option<String>,
    /// count, error_ratio, sum(f), mean(f), min(f), max(f), p50(f) to p99.9(f), distinct(f); default `["count"]`.
    measures: Option<Vec<String>>,
    /// A measure as written above, largest first; default the first measure, or `time` where an interval is set.
    order_by: Option<String>,
    /// Rows, 1 to 10000, default 100.
    limit: Option<u32>,
}

/// A field name, or bands of a number field.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "the shape is described here and read by weir_query::json")]
pub(crate) enum GroupBy {
    Field(String),
    Bands(Bands),
}

/// Bands of a number field, durations in milliseconds.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the shape is described here and read by weir_query::json")]
pub(crate) struct Bands {
    field: String,
    /// Ascending; n bounds make n + 1 bands.
    bounds: Vec<f64>,
}

/// The JSON form of a query: exactly one of `and`, `or`, `not`, `text`, or `field` with `op` and what the operator needs.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the shape is described here and read by weir_query::json")]
pub(crate) struct FilterJson {
    #[schema(no_recursion)]
    and: Option<Vec<FilterJson>>,
    #[schema(no_recursion)]
    or: Option<Vec<FilterJson>>,
    #[schema(no_recursion)]
    not: Option<Box<FilterJson>>,
    /// A phrase in path, query, headers or bodies.
    text: Option<String>,
    /// A field name.
    field: Option<String>,
    /// exists, eq, in, prefix, like or range.
    op: Option<String>,
    /// For eq, prefix and like (with `*` as wildcard): a string, number or boolean.
    value: Option<Value>,
    /// For in.
    values: Option<Vec<Value>>,
    /// For range: above.
    gt: Option<Value>,
    /// For range: at least.
    gte: Option<Value>,
    /// For range: below.
    lt: Option<Value>,
    /// For range: at most.
    lte: Option<Value>,
}

/// First page, histogram and total in one call.
#[utoipa::path(
    post, path = "/api/v1/explore", operation_id = "explore", tag = "questions",
    params(("project" = Option<String>, Query, description = "whose traffic; `default` when not given")),
    request_body = ExploreRequest,
    responses(
        (status = 200, body = Explore, description = "the first page"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
    )
)]
pub(crate) async fn explore(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let started = Instant::now();
    let project = Parameters::only_project(query.as_deref())?;
    let body = app.question(body).await?;
    let asked = exploration(&body, app.now()).map_err(|mistakes| problem(&mistakes, &body))?;
    let after = match asked.cursor.as_deref().map(read_cursor) {
        Some(None) => {
            let place = Place::Pointer("/cursor".to_owned());
            return Err(problem(&[Mistake { place, detail: NOT_A_CURSOR.to_owned() }], &body));
        }
        after => after.flatten(),
    };
    let range = closed(&app, asked.range).await?;
    let listing = Listing {
        project: project.clone(),
        range: asked.range,
        filter: asked.filter.clone(),
        order: Order::NewestFirst,
        limit: asked.limit,
        after,
    };
    let (page, histogram) =
        tokio::try_join!(app.ask(app.store.list(&listing)), histogram(&app, project, range, &asked))?;
    Ok(json(&Explore {
        list: ExchangeList::new(&page),
        from: range.from.to_string(),
        to: range.to.to_string(),
        histogram,
        took_ms: took_ms(started),
    }))
}

/// Measures by groups and intervals.
#[utoipa::path(
    post, path = "/api/v1/aggregate", operation_id = "aggregate", tag = "questions",
    params(("project" = Option<String>, Query, description = "whose traffic; `default` when not given")),
    request_body = AggregateRequest,
    responses(
        (status = 200, body = Table, description = "the figures"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
    )
)]
pub(crate) async fn aggregate(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let started = Instant::now();
    let project = Parameters::only_project(query.as_deref())?;
    let body = app.question(body).await?;
    let asked = aggregation(&body, project, app.now()).map_err(|mistakes| problem(&mistakes, &body))?;
    let figures = app.ask(app.store.aggregate(&asked)).await?;
    Ok(json(&Table::new(&asked, column_names(&body), &figures, took_ms(started))))
}

/// The names of the columns, as a question that has been checked wrote them.
fn column_names(body: &Value) -> Vec<String> {
    let list = |name: &str| body.get(name).and_then(Value::as_array).into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let interval = body.get("interval").filter(|value| !value.is_null()).map(|_| "time".to_owned());
    let dimensions = list("group_by").map(|item| text(item.get("field").unwrap_or(item)));
    let mut measures: Vec<String> = list("measures").map(text).collect();
    if measures.is_empty() {
        measures.push("count".to_owned());
    }
    interval.into_iter().chain(dimensions).chain(measures).collect()
}

fn problem(mistakes: &[Mistake], body: &Value) -> Problem {
    Problem::mistakes(mistakes, Origin::Body(body.get("q").and_then(Value::as_str).unwrap_or("")))
}

/// The range with its open ends put where the stored exchanges begin and end.
async fn closed(app: &App, range: TimeRange) -> Result<TimeRange, Problem> {
    let (open_from, open_to) = (range.from == Timestamp::MIN, range.to == Timestamp::MAX);
    if !open_from && !open_to {
        return Ok(range);
    }
    let status = app.ask(app.store.status()).await?;
    let now = app.now();
    let to = if open_to {
        status.newest.map_or(now, |newest| newest + Duration::from_micros(1))
    } else {
        range.to
    };
    let to = to.max(range.from);
    let from = if open_from { status.oldest.unwrap_or(to) } else { range.from };
    Ok(TimeRange { from: from.min(to), to })
}

/// Widths that people read easily, in seconds.
const WIDTHS: &[u64] = &[
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
    172_800, 604_800,
];

/// The smallest easy width of which at most `buckets` cover the range.
fn width(range: TimeRange, buckets: usize) -> Duration {
    let span = range.to.since(range.from).as_micros();
    let most = u128::try_from(buckets).unwrap_or(1).max(1);
    let fits = |seconds: u64| u128::from(seconds) * 1_000_000 * most >= span;
    if let Some(seconds) = WIDTHS.iter().find(|seconds| fits(**seconds)) {
        return Duration::from_secs(*seconds);
    }
    let week: u64 = 604_800;
    let weeks = span.div_ceil(u128::from(week) * 1_000_000 * most);
    Duration::from_secs(week.saturating_mul(u64::try_from(weeks).unwrap_or(u64::MAX)))
}

async fn histogram(
    app: &App,
    project: ProjectId,
    range: TimeRange,
    asked: &Exploration,
) -> Result<Histogram, Problem> {
    let width = width(range, asked.buckets);
    let interval_ms = u64::try_from(width.as_millis()).unwrap_or(u64::MAX);
    if asked.buckets == 0 || range.from >= range.to {
        return Ok(Histogram { interval_ms, buckets: Vec::new() });
    }
    let class = Field::named("http.response.status_class").map(Dimension::Field);
    let aggregation = Aggregation {
        project,
        range,
        filter: asked.filter.clone(),
        dimensions: std::iter::once(Dimension::Time(width)).chain(class).collect(),
        measures: vec![Measure::Count],
        order_by: None,
        // One more bucket than fit, as the first one begins before the range; seven classes each.
        limit: (asked.buckets + 2) * 7,
    };
    let figures = app.ask(app.store.aggregate(&aggregation)).await?;
    Ok(Histogram { interval_ms, buckets: buckets(&figures, range, width) })
}

/// Every interval of the range with its counts, those without calls too.
fn buckets(figures: &Figures, range: TimeRange, width: Duration) -> Vec<Bucket> {
    let mut counts: BTreeMap<Timestamp, Counts> = BTreeMap::new();
    let mut start = range.from.floor(width);
    while start < range.to {
        counts.insert(start, Counts::default());
        start = start + width;
    }
    for row in &figures.rows {
        let [Cell::Time(start), class, count] = row.as_slice() else { continue };
        let counts = counts.entry(*start).or_default();
        let count = match count {
            Cell::Integer(count) => *count,
            // Counts are whole; stores that sum in floats give them as such.
            Cell::Float(count) => count.round() as i64,
            _ => 0,
        };
        let slot = match class {
            Cell::Text(class) => match class.as_str() {
                "1xx" => &mut counts.informational,
                "2xx" => &mut counts.success,
                "3xx" => &mut counts.redirection,
                "4xx" => &mut counts.client_error,
                "5xx" => &mut counts.server_error,
                _ => &mut counts.other,
            },
            _ => &mut counts.none,
        };
        *slot += count;
    }
    counts.into_iter().map(|(start, counts)| Bucket { start: start.to_string(), counts }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_easy_and_few_enough() {
        let from = Timestamp::from_seconds(1_000);
        for (span, buckets, expected) in [
            (3_600, 60, 60),
            (3_601, 60, 120),
            (6 * 3_600, 60, 600),
            (1, 60, 1),
            (86_400 * 365, 60, 7 * 86_400),
            (86_400 * 3_650, 60, 9 * 7 * 86_400),
        ] {
            let range = TimeRange { from, to: from + Duration::from_secs(span) };
            assert_eq!(width(range, buckets).as_secs(), expected, "{span} s in {buckets}");
        }
    }

    #[test]
    fn buckets_have_no_gaps() {
        let at = Timestamp::from_seconds;
        let range = TimeRange { from: at(90), to: at(241) };
        let row = |start, class: Cell, count| vec![Cell::Time(at(start)), class, Cell::Integer(count)];
        let text = |class: &str| Cell::Text(class.to_owned());
        let rows = vec![row(60, text("2xx"), 3), row(60, text("5xx"), 1), row(180, Cell::Null, 2)];
        let buckets = buckets(&Figures { rows, ..Figures::default() }, range, Duration::from_secs(60));
        let shown: Vec<_> = buckets
            .iter()
            .map(|bucket| (bucket.counts.success, bucket.counts.server_error, bucket.counts.none))
            .collect();
        assert_eq!(shown, [(3, 1, 0), (0, 0, 0), (0, 0, 2), (0, 0, 0)]);
    }
}
