//! Writing files of exchanges, as they are read from the store.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use weir_pipeline::Renderer;
use weir_query::{Listing, Order};
use weir_store::Page;

use super::App;
use crate::error::Problem;
use crate::parameters::Parameters;

/// Exchanges read at a time. Each may hold bodies, so this bounds memory.
const PAGE: usize = 50;

/// Every exchange that matches, as a file.
#[utoipa::path(
    get, path = "/api/v1/export", operation_id = "exportFile", tag = "files",
    params(
        ("q" = Option<String>, Query, description = "query text"),
        ("from" = Option<String>, Query, description = "first instant"),
        ("to" = Option<String>, Query, description = "instant after the last"),
        ("order" = Option<String>, Query, description = "`asc` (oldest first, the default) or `desc`"),
        ("format" = Option<String>, Query, description = "har (the default), ndjson: one of the formats this program writes"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream", description = "the file, in the media type of its format; a connection that breaks off means that it is not whole"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
    )
)]
pub(crate) async fn export(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let names: Vec<&'static str> = app.renderers.iter().map(|kind| kind.name).collect();
    let names = if names.contains(&"har") { [vec!["har"], names].concat() } else { names };
    let mut parameters =
        Parameters::read(query.as_deref(), &["q", "from", "to", "order", "format", "project"]);
    let now = app.now();
    let mut listing = Listing {
        project: parameters.project(),
        range: parameters.range(now),
        filter: parameters.filter(now),
        order: match parameters.choice("order", &["asc", "desc"]) {
            "desc" => Order::NewestFirst,
            _ => Order::OldestFirst,
        },
        limit: PAGE,
        after: None,
    };
    // What arrives while the file is written would make it endless.
    listing.range.to = listing.range.to.min(now);
    let format = parameters.choice("format", &names);
    parameters.done()?;
    let kind = app.renderers.iter().find(|kind| kind.name == format);
    let kind = kind.ok_or_else(|| Problem::not_found("this program writes no files"))?;
    // The first page is asked for here, so that a store that fails is a proper answer.
    let first = app.ask(app.store.list(&listing)).await?;
    let name = format!("attachment; filename=\"weir-{}.{}\"", now.seconds(), kind.name);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind.media_type)),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("attachment")),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    let writing = Writing { app, listing, renderer: (kind.open)(), ready: Some(first), begun: false };
    let pieces = stream::try_unfold(Some(writing), |writing| async {
        let Some(writing) = writing else { return Ok(None) };
        writing.step().await
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}

struct Writing {
    app: Arc<App>,
    listing: Listing,
    renderer: Box<dyn Renderer>,
    /// A page that has been read and not yet written.
    ready: Option<Page>,
    begun: bool,
}

impl Writing {
    /// Writes one page; gives the bytes and what is left to do. An error breaks the connection off, so that a file that is
    /// not whole is not taken for one.
    async fn step(mut self) -> Result<Option<(Bytes, Option<Self>)>, std::io::Error> {
        let page = match self.ready.take() {
            Some(page) => page,
            None => {
                let app = self.app.clone();
                let page = app.ask(app.store.list(&self.listing)).await;
                page.map_err(|problem| {
                    tracing::warn!(detail = problem.detail, "an export broke off");
                    std::io::Error::other(problem.detail)
                })?
            }
        };
        let mut out = Vec::new();
        if !self.begun {
            self.renderer.begin(&mut out);
            self.begun = true;
        }
        for exchange in &page.exchanges {
            self.renderer.exchange(exchange, &mut out);
        }
        let left = match page.next {
            Some(next) => {
                self.listing.after = Some(next);
                Some(self)
            }
            None => {
                self.renderer.end(&mut out);
                None
            }
        };
        Ok(Some((Bytes::from(out), left)))
    }
}
