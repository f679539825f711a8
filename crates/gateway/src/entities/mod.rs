//! What can be configured: services, routes, consumers and the rest, as data.
//!
//! One file for each, one line in [`ENTITIES`]. The Admin API, declarative files, schemas and the generic tests walk the
//! list; what an entity has of its own is its table of fields and two functions, one before and one after the table.
//!
//! A stored body has every field (null when unset), `id`, `created_at` and `updated_at` in milliseconds, `tags`, and each
//! parent as `{"id": "..."}` or null.

mod api;
mod certificate;
mod checks;
mod consumer;
mod draft;
mod key_auth;
mod plugin;
mod repository;
mod route;
mod service;
mod sni;
mod target;
mod upstream;

use serde_json::{Map, Value};
use weir_kit::{FieldKind, FieldSpec, Problem, Timestamp};

pub use api::Spelling;
pub use checks::is_expression;
pub use draft::Draft;
pub(crate) use draft::id_of;
pub(crate) use repository::find;
pub use repository::{Fault, Repository, Unique};

use crate::plugins::PluginRegistry;

/// A JSON object.
pub type Object = Map<String, Value>;

/// Key under which mistakes are told that belong to no single field.
pub const WHOLE: &str = "@entity";

/// One kind of thing that can be configured.
#[derive(Debug)]
pub struct Entity {
    /// Its collection, also its name in declarative files and messages.
    pub name: &'static str,
    /// One of them, which is also the name of fields that refer to it.
    pub singular: &'static str,
    /// First segment of its paths in the Admin API.
    pub path: &'static str,
    /// Segments under which it stands below its parents.
    pub nested: &'static [&'static str],
    /// The field that can stand in a path in place of the id.
    pub key: Option<&'static str>,
    /// Its fields, without those that all have (id, times, tags) and without parents.
    pub fields: &'static [FieldSpec],
    /// What it belongs to.
    pub parents: &'static [Parent],
    /// Sets of fields that no two share.
    pub unique: &'static [&'static [&'static str]],
    /// Brings other spellings and shorthands into shape, before the table is applied.
    pub reshape: fn(&mut Draft<'_>, &Context<'_>),
    /// Checks what the table cannot say, and fills in what depends on other fields.
    pub check: fn(&mut Object, &Context<'_>, &mut Vec<Problem>),
}

/// A reference to another entity.
#[derive(Debug, Clone, Copy)]
pub struct Parent {
    /// The field that holds it.
    pub field: &'static str,
    /// The collection it points into.
    pub entity: &'static str,
    /// Whether it must be set.
    pub required: bool,
    /// What becomes of the child when the parent is deleted.
    pub on_delete: OnDelete,
}

/// What becomes of a child when its parent is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// The parent cannot be deleted.
    Refuse,
    /// The child is deleted too.
    Cascade,
}

/// What checking an entity may look at beside it.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The plugins that can be configured.
    pub plugins: &'a PluginRegistry,
    /// The current time.
    pub now: Timestamp,
    /// Whether only paths that begin with `~` are expressions (Kong 3), without the guess of earlier versions.
    pub strict_paths: bool,
}

/// Every entity, parents before children.
pub static ENTITIES: &[&Entity] = &[
    &certificate::ENTITY,
    &sni::ENTITY,
    &service::ENTITY,
    &route::ENTITY,
    &consumer::ENTITY,
    &upstream::ENTITY,
    &target::ENTITY,
    &key_auth::ENTITY,
    &api::ENTITY,
    &plugin::ENTITY,
];

impl Entity {
    /// The entity with this collection name.
    pub fn named(name: &str) -> Option<&'static Entity> {
        ENTITIES.iter().copied().find(|entity| entity.name == name)
    }

    /// The reference to `entity`, if this one has one.
    pub fn parent(&self, entity: &str) -> Option<&'static Parent> {
        self.parents.iter().find(|parent| parent.entity == entity)
    }

    /// Entities that refer to this one, with the reference.
    pub fn children(&self) -> impl Iterator<Item = (&'static Entity, &'static Parent)> {
        let name = self.name;
        ENTITIES.iter().flat_map(move |entity| {
            let parents = entity.parents.iter().filter(move |parent| parent.entity == name);
            parents.map(|parent| (*entity, parent))
        })
    }

    /// The child that stands below this one under `segment`.
    pub fn child(&self, segment: &str) -> Option<(&'static Entity, &'static Parent)> {
        self.children().find(|(entity, _)| entity.nested.contains(&segment))
    }
}

/// For entities without other spellings.
fn as_given(_draft: &mut Draft<'_>, _context: &Context<'_>) {}

const fn optional(name: &'static str, kind: FieldKind, about: &'static str) -> FieldSpec {
    FieldSpec::new(name, kind, about)
}

const fn required(name: &'static str, kind: FieldKind, about: &'static str) -> FieldSpec {
    FieldSpec { required: true, ..FieldSpec::new(name, kind, about) }
}

/// A field that is never unset.
const fn preset(
    name: &'static str,
    kind: FieldKind,
    default: &'static str,
    about: &'static str,
) -> FieldSpec {
    FieldSpec { required: true, default: Some(default), ..FieldSpec::new(name, kind, about) }
}

/// What Kong lets services, routes and plugins name as a protocol.
const PROTOCOL: FieldKind = FieldKind::OneOf(&[
    "grpc",
    "grpcs",
    "http",
    "https",
    "tcp",
    "tls",
    "tls_passthrough",
    "udp",
    "ws",
    "wss",
]);

const PORT: FieldKind = FieldKind::Integer { min: 0, max: 65_535 };
const TIMEOUT: FieldKind = FieldKind::Integer { min: 1, max: 2_147_483_646 };
const RETRIES: FieldKind = FieldKind::Integer { min: 0, max: 32_767 };

const fn parent(field: &'static str, entity: &'static str, on_delete: OnDelete) -> Parent {
    Parent { field, entity, required: false, on_delete }
}

#[cfg(test)]
mod tests;
