//! What can be asked beside entities (`kong-admin-api`, section 10), and `/config` (section 11).

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::error::Refusal;
use super::resource::{Info, templates};
use super::view::View;
use super::{Answered, Call, Era, Inner, schemas};
use crate::declarative::{self, DeclarativeError};
use crate::entities::{ENTITIES, Entity, Fault, Object};

/// Plugins whose schema was asked for at its old path, in the form of their time.
const OLD_PLUGINS: &[&str] = &["analytics", "galileo", "mashape-analytics", "runscope"];

impl Inner {
    pub(super) fn info(&self, call: &Call, info: Info) -> Answered {
        let found = |body: Value| Ok((StatusCode::OK, body));
        match info {
            Info::Root => found(self.root()?),
            Info::Status => found(self.status()),
            Info::Endpoints => found(json!({"data": templates(), "next": null})),
            Info::EnabledPlugins => found(json!({"enabled_plugins": self.registry.names()})),
            Info::OldPluginSchema(name) => {
                let fields = self.registry.fields(&name).ok_or_else(|| no_plugin(&name))?;
                let old = OLD_PLUGINS.contains(&name.as_str());
                found(json!({"fields": if old { schemas::map(fields) } else { schemas::list(fields) }}))
            }
            Info::PluginSchema(name) => {
                let fields = self.registry.fields(&name).ok_or_else(|| no_plugin(&name))?;
                found(schemas::plugin(fields, self.registry.authenticates(&name)))
            }
            Info::EntitySchema(name) => match Entity::named(&name) {
                Some(entity) => found(schemas::entity(entity)),
                None => Err(Refusal::Message(StatusCode::NOT_FOUND, format!("No entity named '{name}'"))),
            },
            Info::ValidatePlugin => self.validate(call, "plugins"),
            Info::ValidateEntity(name) => self.validate(call, &name),
            Info::Tags(tag) => self.tags(call, tag.as_deref()),
            Info::Config if call.method == Method::POST => self.load_config(call),
            Info::Config => self.show_config(),
        }
    }

    fn root(&self) -> Result<Value, Refusal> {
        let plugins = self.state.read(|reader| reader.all("plugins"))?;
        let mut enabled: Vec<&str> =
            plugins.iter().filter_map(|plugin| plugin.body.get("name").and_then(Value::as_str)).collect();
        enabled.sort_unstable();
        enabled.dedup();
        let names = self.registry.names();
        let available: Map<String, Value> = names
            .into_iter()
            .map(|name| {
                let about = json!({
                    "version": env!("CARGO_PKG_VERSION"),
                    "priority": self.registry.priority(name),
                    "description": self.registry.about(name),
                });
                (name.to_owned(), about)
            })
            .collect();
        let mut configuration = self.node.configuration.clone();
        if let Value::Object(members) = &mut configuration {
            let database = if self.declarative { "off" } else { "sqlite" };
            members.entry("database").or_insert_with(|| database.into());
        }
        Ok(json!({
            "tagline": "Welcome to weir",
            "version": self.node.kong_version,
            "gateway_version": env!("CARGO_PKG_VERSION"),
            "edition": "community",
            "hostname": self.node.hostname,
            "node_id": self.node.node_id,
            "lua_version": "none",
            "plugins": {"available_on_server": available, "enabled_in_cluster": enabled},
            "configuration": configuration,
            "timers": {"running": 0, "pending": 0},
            "pids": {"master": std::process::id(), "workers": []},
        }))
    }

    fn status(&self) -> Value {
        let traffic = (self.node.traffic)();
        let hash = self.state.read(|reader| reader.setting(declarative::HASH));
        let mut status = json!({
            "server": {
                "connections_active": traffic.active,
                "connections_reading": 0,
                "connections_writing": traffic.active,
                "connections_waiting": 0,
                "connections_accepted": traffic.accepted,
                "connections_handled": traffic.handled,
                "total_requests": traffic.requests,
            },
            "database": {"reachable": hash.is_ok()},
            "memory": {"lua_shared_dicts": {}, "workers_lua_vms": []},
        });
        if self.declarative
            && let Some(members) = status.as_object_mut()
        {
            let hash = hash.ok().flatten().unwrap_or_else(|| "0".repeat(32));
            members.insert("configuration_hash".to_owned(), hash.into());
        }
        status
    }

    fn validate(&self, call: &Call, name: &str) -> Answered {
        let entity = Entity::named(name)
            .ok_or_else(|| Refusal::Message(StatusCode::NOT_FOUND, format!("No entity named '{name}'")))?;
        let given = call.given.object.clone();
        entity.create(given, call.given.textual, &self.context()?).map_err(Fault::Invalid)?;
        Ok((StatusCode::OK, json!({"message": "schema validation successful"})))
    }

    fn load_config(&self, call: &Call) -> Answered {
        self.require_declarative()?;
        let text = std::str::from_utf8(&call.raw).map_err(|_| {
            Refusal::message(StatusCode::BAD_REQUEST, "expected a declarative configuration in UTF-8")
        })?;
        if call.argument("check_hash") == Some("1") {
            let loaded = self.state.read(|reader| reader.setting(declarative::HASH))?;
            if loaded == Some(declarative::hash(text)) {
                return Ok((StatusCode::NOT_MODIFIED, Value::Null));
            }
        }
        self.load_declarative(text).map_err(|error| match error {
            DeclarativeError::Invalid(fields) => Refusal::Declarative(fields),
            DeclarativeError::Fault(fault) => Refusal::Fault(fault),
        })?;
        Ok((StatusCode::CREATED, self.by_id()?))
    }

    /// All entities, by collection and id.
    fn by_id(&self) -> Result<Value, Refusal> {
        let view = View { era: Era::Modern, with_value: false };
        let mut all = Object::new();
        for entity in ENTITIES {
            let stored = self.state.read(|reader| reader.all(entity.name))?;
            let shown = stored.iter().map(|stored| (stored.id.to_string(), view.show(entity, &stored.body)));
            let shown: Object = shown.collect();
            if !shown.is_empty() {
                all.insert(entity.name.to_owned(), shown.into());
            }
        }
        Ok(all.into())
    }

    fn show_config(&self) -> Answered {
        self.require_declarative()?;
        let text = self.state.read(|reader| reader.setting(declarative::TEXT))?;
        Ok((
            StatusCode::OK,
            json!({"config": text.unwrap_or_else(|| "_format_version: \"3.0\"\n".to_owned())}),
        ))
    }

    fn require_declarative(&self) -> Result<(), Refusal> {
        if self.declarative {
            return Ok(());
        }
        let message = "this endpoint is only available when Kong is configured to not use a database";
        Err(Refusal::message(StatusCode::BAD_REQUEST, message))
    }
}

fn no_plugin(name: &str) -> Refusal {
    Refusal::Message(StatusCode::NOT_FOUND, format!("No plugin named '{name}'"))
}
