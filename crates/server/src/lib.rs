//! weir's own HTTP: the API under `/api/v1`, the collector endpoints of foreign formats, the page, metrics and health.
//!
//! In reading order: [`parts`] (what it is given), `serve` (connections), `router` (what is served where), `guard` (who may),
//! `api` (one file per group of endpoints), `views` (the shapes of answers), `collector` (foreign reports), `ui` (the page).
//!
//! It never learns a foreign format, opens no file and holds no state beside what it is given.

mod api;
mod collector;
mod error;
mod governance;
mod guard;
mod metrics;
pub mod openapi;
mod parameters;
pub mod parts;
mod router;
mod serve;
mod spelling;
mod ui;
mod views;

pub use error::Problem;
pub use parts::{
    Addresses, Figure, FigureKind, Figures, Mask, Pipeline, ReadyCheck, ServerParts, Settings, Tap,
    UnknownCredentials, Wanted,
};
pub use serve::{Server, ServerHandle, StartError};
