//! What a path names.

use percent_encoding::percent_decode_str;

use crate::entities::{ENTITIES, Entity, Parent};

/// What a path names.
#[derive(Debug, Clone)]
pub(super) enum Resource {
    /// Entities of a kind, all or those below a parent.
    Collection { entity: &'static Entity, below: Option<Below> },
    /// One entity.
    Item { entity: &'static Entity, key: String, below: Option<Below> },
    /// The parent of an entity: `/routes/x/service`.
    Above { entity: &'static Entity, key: String, parent: &'static Parent },
    /// `/upstreams/{u}/health`
    UpstreamHealth { upstream: String },
    /// What is not an entity.
    Info(Info),
}

/// The parent that a path goes through.
#[derive(Debug, Clone)]
pub(super) struct Below {
    pub(super) entity: &'static Entity,
    pub(super) key: String,
    /// The child's field that refers to it.
    pub(super) field: &'static str,
}

/// What can be asked beside entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Info {
    Root,
    Status,
    Endpoints,
    EnabledPlugins,
    /// `/plugins/schema/{name}`, in the form that its time knew.
    OldPluginSchema(String),
    PluginSchema(String),
    EntitySchema(String),
    ValidatePlugin,
    ValidateEntity(String),
    Tags(Option<String>),
    Config,
}

/// Segments of a path, decoded; one slash at the end does not count.
pub(super) fn segments(path: &str) -> Vec<String> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Vec::new();
    }
    path.split('/').map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect()
}

/// What these segments name.
pub(super) fn resolve(segments: &[String]) -> Option<Resource> {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let Some(info) = info(&segments) {
        return Some(Resource::Info(info));
    }
    let (first, rest) = segments.split_first()?;
    let first = if *first == "plugins_configurations" { "plugins" } else { first };
    let entity = ENTITIES.iter().copied().find(|entity| entity.path == first)?;
    let below =
        |key: &str, parent: &'static Parent| Below { entity, key: key.to_owned(), field: parent.field };
    Some(match *rest {
        [] => Resource::Collection { entity, below: None },
        [key] => Resource::Item { entity, key: key.to_owned(), below: None },
        [upstream, "health"] if entity.name == "upstreams" => {
            Resource::UpstreamHealth { upstream: upstream.to_owned() }
        }
        [key, segment] => match (entity.child(segment), above(entity, segment)) {
            (Some((child, parent)), _) => {
                Resource::Collection { entity: child, below: Some(below(key, parent)) }
            }
            (None, Some(parent)) => Resource::Above { entity, key: key.to_owned(), parent },
            (None, None) => return None,
        },
        [key, segment, child_key] => {
            let (child, parent) = entity.child(segment)?;
            let below = Some(below(key, parent));
            if child.name == "targets" && child_key == "all" {
                return Some(Resource::Collection { entity: child, below });
            }
            Resource::Item { entity: child, key: child_key.to_owned(), below }
        }
        _ => return None,
    })
}

fn above(entity: &'static Entity, segment: &str) -> Option<&'static Parent> {
    entity.parents.iter().find(|parent| parent.field == segment)
}

fn info(segments: &[&str]) -> Option<Info> {
    Some(match *segments {
        [] => Info::Root,
        ["status"] => Info::Status,
        ["endpoints"] => Info::Endpoints,
        ["config"] => Info::Config,
        ["tags"] => Info::Tags(None),
        ["tags", tag] => Info::Tags(Some(tag.to_owned())),
        ["plugins", "enabled"] => Info::EnabledPlugins,
        ["plugins", "schema", name] | ["plugins", name, "schema"] => Info::OldPluginSchema(name.to_owned()),
        ["schemas", "plugins", "validate"] => Info::ValidatePlugin,
        ["schemas", "plugins", name] => Info::PluginSchema(name.to_owned()),
        ["schemas", entity] => Info::EntitySchema(entity.to_owned()),
        ["schemas", entity, "validate"] => Info::ValidateEntity(entity.to_owned()),
        _ => return None,
    })
}

/// The paths there are, for `/endpoints`.
pub(super) fn templates() -> Vec<String> {
    let mut paths: Vec<String> = [
        "/",
        "/status",
        "/endpoints",
        "/config",
        "/tags",
        "/tags/{tags}",
        "/plugins/enabled",
        "/plugins/schema/{name}",
        "/schemas/{name}",
        "/schemas/{db_entity_name}/validate",
        "/schemas/plugins/{name}",
        "/schemas/plugins/validate",
        "/upstreams/{upstreams}/health",
        "/upstreams/{upstreams}/targets/all",
    ]
    .map(str::to_owned)
    .into();
    for entity in ENTITIES {
        let item = format!("/{}/{{{}}}", entity.path, entity.name);
        paths.extend([format!("/{}", entity.path), item.clone()]);
        paths.extend(entity.parents.iter().map(|parent| format!("{item}/{}", parent.field)));
        for (child, _) in entity.children() {
            for segment in child.nested {
                paths.push(format!("{item}/{segment}"));
                paths.push(format!("{item}/{segment}/{{{}}}", child.name));
            }
        }
    }
    paths.sort_unstable();
    paths.dedup();
    paths
}
