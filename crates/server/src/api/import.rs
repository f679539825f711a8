//! Reading files of exchanges, as they come in.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use weir_model::ProjectId;
use weir_pipeline::{Imported, Rejected};

use super::{App, json};
use crate::error::Problem;
use crate::parameters::Parameters;

/// Exchanges handed on at a time.
const BATCH: usize = 500;
/// Rejections told in full.
const TOLD: usize = 100;
/// The account that files are booked under.
const SOURCE: &str = "import";
/// How long to wait for room before giving up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to try to hand a batch on once there is room.
const ATTEMPTS: usize = 3;

/// What became of a file.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ImportReport {
    /// Entries or lines in the file.
    offered: u64,
    /// Exchanges that are safe in the journal.
    accepted: u64,
    /// Entries that could not be used.
    rejected: u64,
    /// The first 100 of them.
    rejections: Vec<Rejection>,
}

/// An entry that could not be used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rejection {
    /// Its line (from 1) or entry (from 0), as the reason says.
    line: usize,
    reason: String,
}

/// Reads a file of any size; memory stays bounded.
#[utoipa::path(
    post, path = "/api/v1/import", operation_id = "importFile", tag = "files",
    params(
        ("format" = String, Query, description = "har, combined, common, json: one of the formats this program reads"),
        ("project" = Option<String>, Query, description = "whose traffic it is; `default` when not given"),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "the file"),
    responses(
        (status = 200, body = ImportReport, description = "the file was read to its end"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "no such format, or the file broke off"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "there was no room for a minute; what had been read before is kept"),
    )
)]
pub(crate) async fn import(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let names: Vec<&'static str> = app.importers.iter().map(|kind| kind.name).collect();
    let mut parameters = Parameters::read(query.as_deref(), &["format", "project"]);
    let project = parameters.project();
    if parameters.text("format").is_none() {
        parameters.wrong("format", format!("missing; one of {}", names.join(", ")));
    }
    let format = parameters.choice("format", &names);
    parameters.done()?;
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let detail = "files are read as they are; unpack them before sending";
        return Err(Problem::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let kind = app.importers.iter().find(|kind| kind.name == format);
    let kind = kind.ok_or_else(|| Problem::invalid("this program reads no files"))?;
    let mut importer = (kind.open)();
    let mut reading =
        Reading { app: &app, project, imported: Imported::default(), report: ImportReport::default() };
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| {
            let accepted = reading.report.accepted;
            Problem::invalid(format!("the file broke off: {error}; {accepted} exchanges of it are kept"))
        })?;
        importer.feed(&piece, &mut reading.imported);
        if reading.imported.accepted.len() >= BATCH {
            reading.hand_on().await?;
        }
        reading.note_rejections();
    }
    importer.finish(&mut reading.imported);
    reading.hand_on().await?;
    reading.note_rejections();
    Ok(json(&reading.report))
}

struct Reading<'a> {
    app: &'a App,
    project: ProjectId,
    imported: Imported,
    report: ImportReport,
}

impl Reading<'_> {
    /// Gives what has been read to the pipeline, waiting while there is no room: the sender is slowed down with us.
    async fn hand_on(&mut self) -> Result<(), Problem> {
        let mut read = std::mem::take(&mut self.imported.accepted);
        while !read.is_empty() {
            let rest = read.split_off(read.len().min(BATCH));
            for exchange in &mut read {
                exchange.project = self.project.clone();
            }
            let count = read.len() as u64;
            self.submit(read).await?;
            self.report.accepted += count;
            read = rest;
        }
        Ok(())
    }

    async fn submit(&self, batch: Vec<weir_model::Exchange>) -> Result<(), Problem> {
        let pipeline = &self.app.pipeline;
        // Room may be taken by others between the two; each attempt that fails is booked as a drop, so there are few.
        for _ in 0..ATTEMPTS {
            if pipeline.room(PATIENCE).await.is_ok() && pipeline.submit(SOURCE, batch.clone()).await.is_ok() {
                return Ok(());
            }
        }
        let accepted = self.report.accepted;
        Err(Problem::busy(format!("there is no room for more exchanges; {accepted} of the file are kept")))
    }

    fn note_rejections(&mut self) {
        self.report.offered = self.imported.offered;
        let rejected = std::mem::take(&mut self.imported.rejected);
        self.report.rejected += rejected.len() as u64;
        self.app.pipeline.rejected(SOURCE, crate::collector::MALFORMED, rejected.len() as u64);
        let room = TOLD.saturating_sub(self.report.rejections.len());
        let told = rejected.into_iter().take(room);
        self.report
            .rejections
            .extend(told.map(|Rejected { index, reason }| Rejection { line: index, reason }));
    }
}
