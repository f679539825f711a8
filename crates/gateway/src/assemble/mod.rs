//! From stored entities to a routing snapshot, built aside and handed over whole.

mod chains;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use url::Url;
use weir_kit::{ConfigError, Problem, Timestamp};
use weir_state::Reader;

use self::chains::{Place, Scoped, chain};
use self::rows::{
    ApiRow, ConsumerRow, KeyRow, PluginRow, Reference, RouteRow, Row, Rows, ServiceRow, TargetRow,
    UpstreamRow,
};
use crate::entities::{Fault, Spelling, WHOLE};
use crate::plugins::{Asked, Configured, Directory, PluginRegistry};
use crate::router::{Conditions, KongRouter, NoMatch, Tier};
use crate::snapshot::{PathHandling, Route, Service, Snapshot, Target, Upstream, UpstreamProtocol};

/// One active configuration of an exporter, for whoever runs the targets.
#[derive(Debug, Clone, PartialEq)]
pub struct ExporterPlugin {
    /// Id of the configuration; records name it when they are for this target.
    pub id: Arc<str>,
    /// The exporter's own name.
    pub kind: &'static str,
    /// The name it was configured under.
    pub name: Arc<str>,
    /// Its settings, complete and checked.
    pub config: Value,
}

/// What a configuration amounts to.
#[derive(Debug)]
pub struct Assembled {
    /// What the gateway does.
    pub snapshot: Snapshot,
    /// The targets it reports to.
    pub exporters: Vec<ExporterPlugin>,
}

/// Builds snapshots, from what it remembers and what has changed since.
#[derive(Debug)]
pub struct Assembler {
    registry: PluginRegistry,
    services: Rows<ServiceRow>,
    routes: Rows<RouteRow>,
    apis: Rows<ApiRow>,
    consumers: Rows<ConsumerRow>,
    keys: Rows<KeyRow>,
    upstreams: Rows<UpstreamRow>,
    targets: Rows<TargetRow>,
    plugins: Rows<PluginRow>,
    /// What exporters ask of the gateway, by plugin id; asking builds them.
    asked: Mutex<HashMap<String, (Value, Asked)>>,
    /// The router and what it was built from.
    router: Mutex<Option<(RoutedBy, Arc<KongRouter>)>>,
}

/// What a router depends on: strict paths, and the revisions of services, routes and APIs.
type RoutedBy = (bool, Vec<(i64, i64)>);

impl Assembler {
    /// An assembler that knows these plugins.
    pub fn new(registry: PluginRegistry) -> Self {
        Self {
            registry,
            services: Rows::of("services"),
            routes: Rows::of("routes"),
            apis: Rows::of("apis"),
            consumers: Rows::of("consumers"),
            keys: Rows::of("keyauth_credentials"),
            upstreams: Rows::of("upstreams"),
            targets: Rows::of("targets"),
            plugins: Rows::of("plugins"),
            asked: Mutex::default(),
            router: Mutex::default(),
        }
    }

    /// Builds what the stored entities say.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for what passed the checks of single entities but cannot be served.
    pub fn assemble(&self, reader: &Reader<'_>, strict_paths: bool) -> Result<Assembled, Fault> {
        let directory = Arc::new(self.directory(reader)?);
        let (plugins, exporters) = self.configured(reader, &directory)?;
        let upstreams = self.upstreams(reader)?;
        let mut parts = Parts { plugins, upstreams, strict_paths, ..Parts::default() };
        let services = self.services.load(reader)?;
        let routes = self.routes.load(reader)?;
        let apis = self.apis.load(reader)?;
        parts.add_services(&services);
        routes.iter().for_each(|row| parts.add_route(row));
        apis.iter().for_each(|row| parts.add_api(row));
        let revisions = revisions(&services).chain(revisions(&routes)).chain(revisions(&apis)).collect();
        let no_match = no_match(routes.is_empty(), &apis);
        let router = self.router((strict_paths, revisions), &parts.conditions, no_match)?;
        let snapshot = Snapshot {
            version: reader.version()?,
            services: parts.services,
            routes: parts.routes,
            router: Box::new(router),
            global: chain(&parts.plugins, Place::default()),
        };
        Ok(Assembled { snapshot, exporters })
    }

    /// The router for these conditions, the last one if nothing it depends on has changed.
    fn router(
        &self,
        routed_by: RoutedBy,
        conditions: &[Conditions],
        no_match: NoMatch,
    ) -> Result<Arc<KongRouter>, Fault> {
        let mut last = self.router.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((same, router)) = &*last
            && *same == routed_by
        {
            return Ok(router.clone());
        }
        let router = KongRouter::new(conditions, no_match)
            .map_err(|message| Fault::Invalid(vec![Problem { key: WHOLE.to_owned(), message }]))?;
        let router = Arc::new(router);
        *last = Some((routed_by, router.clone()));
        Ok(router)
    }

    fn configured(
        &self,
        reader: &Reader<'_>,
        directory: &Arc<Directory>,
    ) -> Result<(Vec<Scoped>, Vec<ExporterPlugin>), Fault> {
        let mut scoped = Vec::new();
        let mut exporters = Vec::new();
        let mut problems = Vec::new();
        for Row { value: row, .. } in self.plugins.load(reader)? {
            if !row.enabled {
                continue;
            }
            let id: Arc<str> = row.id.as_str().into();
            let configured = Configured { id: id.clone(), config: &row.config, directory };
            let built = self.asked(&row).and_then(|asked| self.registry.build(&row.name, configured, asked));
            let plugin = match built {
                Ok(plugin) => plugin,
                Err(error) => {
                    problems.extend(error.problems.into_iter().map(|problem| Problem {
                        key: format!("plugins.{}.config.{}", row.id, problem.key),
                        message: problem.message,
                    }));
                    continue;
                }
            };
            if let Some(kind) = self.registry.exporter(&row.name) {
                let (name, config) = (row.name.as_str().into(), row.config.clone());
                exporters.push(ExporterPlugin { id, kind: kind.name, name, config });
            }
            let reference =
                |reference: &Option<Reference>| reference.as_ref().map(|reference| reference.id.clone());
            scoped.push(Scoped {
                priority: self.registry.priority(&row.name),
                adds_up: self.registry.adds_up(&row.name),
                name: row.name.clone(),
                service: reference(&row.service),
                route: reference(&row.route),
                consumer: reference(&row.consumer),
                api: reference(&row.api),
                plugin,
            });
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|id, _| exporters.iter().any(|exporter| *exporter.id == **id));
        drop(asked);
        if problems.is_empty() { Ok((scoped, exporters)) } else { Err(Fault::Invalid(problems)) }
    }

    /// What an exporter asks of the gateway, built once per configuration.
    fn asked(&self, row: &PluginRow) -> Result<Asked, ConfigError> {
        if self.registry.exporter(&row.name).is_none() {
            return Ok(Asked::default());
        }
        let mut known = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((config, asked)) = known.get(&row.id)
            && *config == row.config
        {
            return Ok(asked.clone());
        }
        let asked = self.registry.asked(&row.name, &row.config)?;
        known.insert(row.id.clone(), (row.config.clone(), asked.clone()));
        Ok(asked)
    }

    fn directory(&self, reader: &Reader<'_>) -> Result<Directory, Fault> {
        let mut directory = Directory::default();
        let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
        for Row { value: row, .. } in self.consumers.load(reader)? {
            directory.add_consumer(row.id.as_str().into(), shared(&row.username), shared(&row.custom_id));
        }
        for Row { value: row, .. } in self.keys.load(reader)? {
            let created = Timestamp::from_millis(row.created_at);
            let lives =
                row.ttl.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
            let ends_at = lives.map(|seconds| created + Duration::from_secs(seconds));
            if !directory.add_key(row.id.as_str().into(), &row.key, &row.consumer.id, ends_at) {
                tracing::warn!(credential = %row.id, "a key without consumer is left out");
            }
        }
        Ok(directory)
    }

    fn upstreams(&self, reader: &Reader<'_>) -> Result<HashMap<String, Arc<Upstream>>, Fault> {
        let mut targets: HashMap<&str, Vec<Target>> = HashMap::new();
        let rows = self.targets.load(reader)?;
        for Row { value: row, .. } in &rows {
            // Targets are stored with their port.
            let Some((host, port)) = row.target.rsplit_once(':') else { continue };
            let Ok(port) = port.parse() else { continue };
            let target = Target { host: host.into(), port, weight: row.weight };
            targets.entry(&row.upstream.id).or_default().push(target);
        }
        let upstream = |Row { value: row, .. }: Row<UpstreamRow>| {
            let targets = targets.remove(row.id.as_str()).unwrap_or_default();
            let host_header = row.host_header.as_deref().map(Arc::from);
            (row.name.clone(), Arc::new(Upstream::new(targets, host_header)))
        };
        Ok(self.upstreams.load(reader)?.into_iter().map(upstream).collect())
    }
}

fn revisions<T>(rows: &[Row<T>]) -> impl Iterator<Item = (i64, i64)> {
    rows.iter().map(|row| (row.sequence, row.revision))
}

/// A snapshot in the making.
#[derive(Default)]
struct Parts {
    services: Vec<Service>,
    service_index: HashMap<String, usize>,
    /// Services that are known but not served: disabled, or of a protocol that is no HTTP.
    unserved: Vec<String>,
    routes: Vec<Route>,
    conditions: Vec<Conditions>,
    plugins: Vec<Scoped>,
    upstreams: HashMap<String, Arc<Upstream>>,
    strict_paths: bool,
}

impl Parts {
    fn add_services(&mut self, rows: &[Row<ServiceRow>]) {
        for Row { value: row, .. } in rows {
            let Some(protocol) = protocol(&row.protocol).filter(|_| row.enabled) else {
                self.unserved.push(row.id.clone());
                continue;
            };
            self.service_index.insert(row.id.clone(), self.services.len());
            self.services.push(Service {
                id: row.id.as_str().into(),
                name: row.name.as_deref().map(Arc::from),
                protocol,
                host: row.host.as_str().into(),
                port: row.port,
                path: row.path.as_deref().map(Arc::from),
                connect_timeout: Duration::from_millis(row.connect_timeout),
                write_timeout: Duration::from_millis(row.write_timeout),
                read_timeout: Duration::from_millis(row.read_timeout),
                retries: row.retries,
                tls_verify: row.tls_verify.unwrap_or(false),
                upstream: self.upstreams.get(&row.host).cloned(),
            });
        }
    }

    fn add_route(&mut self, Row { sequence, value: row, .. }: &Row<RouteRow>) {
        let is_http = row.protocols.iter().any(|name| protocol(name).is_some() || name.starts_with("ws"));
        let service = row.service.as_ref().map(|service| service.id.as_str());
        if !is_http || service.is_some_and(|id| self.unserved.iter().any(|unserved| unserved == id)) {
            return;
        }
        let place = Place { service, route: Some(&row.id), api: None };
        let index = self.routes.len();
        self.routes.push(Route {
            id: row.id.as_str().into(),
            name: row.name.as_deref().map(Arc::from),
            service: service.and_then(|id| self.service_index.get(id).copied()),
            strip_path: row.strip_path,
            hosts: row.hosts.clone().unwrap_or_default(),
            preserve_host: row.preserve_host,
            accepts_plain: row.protocols.iter().any(|name| matches!(name.as_str(), "http" | "grpc" | "ws")),
            https_redirect_status: StatusCode::from_u16(row.https_redirect_status_code)
                .unwrap_or(StatusCode::UPGRADE_REQUIRED),
            path_handling: if row.path_handling == "v1" { PathHandling::V1 } else { PathHandling::V0 },
            request_buffering: row.request_buffering,
            response_buffering: row.response_buffering,
            chain: chain(&self.plugins, place),
        });
        self.conditions.push(Conditions {
            route: index,
            tier: Tier::Route,
            hosts: row.hosts.clone().unwrap_or_default(),
            paths: row.paths.clone().unwrap_or_default(),
            strict_paths: self.strict_paths,
            whole_segments: false,
            methods: row.methods.clone().unwrap_or_default(),
            headers: row.headers.clone().unwrap_or_default().into_iter().collect(),
            snis: row.snis.clone().unwrap_or_default(),
            regex_priority: row.regex_priority,
            created: (row.created_at.div_euclid(1_000), *sequence),
        });
    }

    /// An API is a route and its service in one.
    fn add_api(&mut self, Row { sequence, value: row, .. }: &Row<ApiRow>) {
        let Some(service) = self.api_service(row) else { return };
        let route = self.routes.len();
        self.routes.push(Route {
            id: row.id.as_str().into(),
            name: row.name.as_deref().map(Arc::from),
            service: Some(self.services.len()),
            strip_path: row.strip_uri,
            hosts: row.hosts.clone().unwrap_or_default(),
            preserve_host: row.preserve_host,
            accepts_plain: !row.https_only,
            https_redirect_status: StatusCode::UPGRADE_REQUIRED,
            path_handling: PathHandling::V0,
            request_buffering: true,
            response_buffering: true,
            chain: chain(&self.plugins, Place { api: Some(&row.id), ..Place::default() }),
        });
        self.services.push(service);
        let old = row.spelling != Spelling::CURRENT;
        let all = Conditions {
            route,
            tier: Tier::Api,
            hosts: row.hosts.clone().unwrap_or_default(),
            paths: row.uris.clone().unwrap_or_default(),
            strict_paths: self.strict_paths,
            whole_segments: old,
            methods: row.methods.clone().unwrap_or_default(),
            headers: Vec::new(),
            snis: Vec::new(),
            regex_priority: 0,
            created: (row.created_at.div_euclid(1_000), *sequence),
        };
        if !old {
            self.conditions.push(all);
            return;
        }
        // Up to 0.9 host and path were alternatives.
        if !all.hosts.is_empty() {
            self.conditions.push(Conditions { tier: Tier::OldApiHost, paths: Vec::new(), ..all.clone() });
        }
        if !all.paths.is_empty() {
            self.conditions.push(Conditions { tier: Tier::OldApiPath, hosts: Vec::new(), ..all });
        }
    }

    fn api_service(&self, row: &ApiRow) -> Option<Service> {
        let url = Url::parse(&row.upstream_url).ok()?;
        let host = url.host_str()?;
        let protocol = protocol(url.scheme())?;
        let path = Some(url.path()).filter(|path| !matches!(*path, "" | "/"));
        Some(Service {
            id: row.id.as_str().into(),
            name: row.name.as_deref().map(Arc::from),
            protocol,
            host: host.into(),
            port: url.port().unwrap_or(protocol.default_port()),
            path: path.map(Arc::from),
            connect_timeout: Duration::from_millis(row.upstream_connect_timeout),
            write_timeout: Duration::from_millis(row.upstream_send_timeout),
            read_timeout: Duration::from_millis(row.upstream_read_timeout),
            retries: row.retries,
            tls_verify: false,
            upstream: self.upstreams.get(host).cloned(),
        })
    }
}

fn protocol(name: &str) -> Option<UpstreamProtocol> {
    Some(match name {
        "http" | "ws" => UpstreamProtocol::Http,
        "https" | "wss" => UpstreamProtocol::Https,
        "grpc" => UpstreamProtocol::Grpc,
        "grpcs" => UpstreamProtocol::Grpcs,
        _ => return None,
    })
}

fn no_match(no_routes: bool, apis: &[Row<ApiRow>]) -> NoMatch {
    let old = |row: &Row<ApiRow>| row.value.spelling != Spelling::CURRENT;
    match (no_routes, apis.is_empty()) {
        (_, true) => NoMatch::Route,
        (false, false) => NoMatch::RouteAndApi,
        (true, false) if apis.iter().all(old) => NoMatch::OldApi,
        (true, false) => NoMatch::Api,
    }
}
