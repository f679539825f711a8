//! The reverse proxy: takes calls, routes them as Kong would, passes them on unchanged and tells what happened, without
//! making any call wait for the telling.
//!
//! In reading order: `proxy` (the story of a call, top to bottom), [`snapshot`] (what it is configured to do),
//! [`plugins`] (who may look and change on the way), [`answer`] (what it says itself), [`framing`] (what is refused
//! before anybody reads it), `forward` and `upstream` (connections to services), `bodies`, `headers`, [`capture`] (the
//! record of a call), `listener`, [`gateway`] (start and stop), [`gateway_url`] (hosts that name their target themselves), [`settings`].
//!
//! How it is configured, in reading order: [`entities`] (what can be configured), [`admin`] and [`declarative`] (how), [`assemble`]
//! (from entities to a snapshot), [`router`].
//!
//! It will never: wait for a record to be kept, read configuration files or the environment, know an exporter.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admin;
pub mod answer;
pub mod assemble;
mod bodies;
pub mod capture;
pub mod declarative;
mod draining;
pub mod entities;
mod forward;
pub mod framing;
pub mod gateway;
pub mod gateway_url;
mod headers;
mod listener;
pub mod plugins;
mod proxy;
mod real_ip;
pub mod router;
pub mod settings;
pub mod snapshot;
mod timer;
mod tunnel;
mod upstream;
pub mod upstream_path;
mod worker;

pub use gateway::{Gateway, GatewayCounter, GatewayCounts, GatewayHandle, StartError, self_signed};
pub use settings::Settings;
