//! Which calls go where: every API and every version of it as services with routes.

use std::collections::HashSet;

use super::api::{Api, GoesTo, Location, Target, Version, Versions};
use super::listen_path;

/// A service in the making.
#[derive(Debug)]
pub(super) struct Way<'a> {
    /// Whose settings apply.
    pub(super) api: &'a Api,
    /// Unique.
    pub(super) name: String,
    pub(super) targets: Vec<Target>,
    pub(super) routes: Vec<Route<'a>>,
}

/// A route in the making.
#[derive(Debug)]
pub(super) struct Route<'a> {
    /// Unique.
    pub(super) name: String,
    /// Where calls come in.
    pub(super) listener: &'a Api,
    pub(super) path: RoutePath,
    pub(super) strip: bool,
    /// A header with the name of the version.
    pub(super) header: Option<(&'a str, &'a str)>,
    /// The version, where there are some.
    pub(super) version: Option<&'a Version>,
}

/// The path of a route.
#[derive(Debug, Clone)]
pub(super) struct RoutePath {
    /// As routes write it.
    pub(super) text: String,
    pub(super) is_expression: bool,
    /// Higher goes first.
    pub(super) rank: usize,
}

impl RoutePath {
    fn of(listen_path: &str) -> Self {
        let is_expression = listen_path::is_pattern(listen_path);
        let text = if is_expression { listen_path::expression(listen_path) } else { listen_path.to_owned() };
        Self { text, is_expression, rank: listen_path::rank(listen_path) }
    }

    /// `/listen/v1`, with or without more after it.
    fn with_version(listen_path: &str, version: &str) -> Self {
        let before = listen_path::expression(listen_path.trim_end_matches('/'));
        let text = format!("{before}/{}(?:/|$)", regex::escape(version));
        Self { text, is_expression: true, rank: listen_path::rank(listen_path) + version.len() }
    }
}

/// All of them. What cannot be done is added to `left_out`.
pub(super) fn of<'a>(apis: &'a [Api], left_out: &mut Vec<String>) -> Vec<Way<'a>> {
    let mut ways =
        Ways { apis, left_out, ways: Vec::new(), services: HashSet::new(), routes: HashSet::new() };
    for api in apis {
        ways.tell_of_targets(api);
    }
    for api in apis.iter().filter(|api| !api.internal) {
        match &api.versions {
            None => ways.add(api, Destination::of(api), Entrance::at(api, None)),
            Some(versions) => ways.add_versions(api, versions),
        }
        ways.tell_of_shadow(api);
    }
    let mut ways = ways.ways;
    order(&mut ways);
    ways
}

/// Where calls go in.
#[derive(Debug)]
struct Entrance<'a> {
    path: RoutePath,
    strip: bool,
    header: Option<(&'a str, &'a str)>,
    version: Option<&'a Version>,
    /// Whether only calls that name the version come in.
    is_for_version: bool,
}

impl<'a> Entrance<'a> {
    /// The listen path.
    fn at(api: &'a Api, version: Option<&'a Version>) -> Self {
        let listen = &api.listen_path;
        let path = RoutePath::of(&listen.path);
        Self { path, strip: listen.strip, header: None, version, is_for_version: false }
    }
}

/// Where calls come out.
#[derive(Debug, Clone)]
struct Destination<'a> {
    api: &'a Api,
    targets: Vec<Target>,
}

impl<'a> Destination<'a> {
    fn of(api: &'a Api) -> Self {
        let targets = &api.upstream.targets;
        let together = |target: &&Target| targets.first().is_some_and(|first| shares_service(first, target));
        Self::at(api, targets.iter().filter(together).cloned().collect())
    }

    fn at(api: &'a Api, mut targets: Vec<Target>) -> Self {
        if !api.upstream.keep_slash {
            targets
                .iter_mut()
                .for_each(|target| target.path.truncate(target.path.trim_end_matches('/').len()));
        }
        Self { api, targets }
    }

    /// With more at the end of its path.
    fn below(mut self, path: &str) -> Self {
        for target in &mut self.targets {
            target.path = format!("{}{path}", target.path.trim_end_matches('/'));
        }
        self
    }
}

/// Whether two targets differ in nothing but their place.
fn shares_service(a: &Target, b: &Target) -> bool {
    let path = |target: &Target| target.path.trim_end_matches('/').to_owned();
    a.protocol == b.protocol && path(a) == path(b)
}

struct Ways<'a, 'b> {
    apis: &'a [Api],
    left_out: &'b mut Vec<String>,
    ways: Vec<Way<'a>>,
    services: HashSet<String>,
    routes: HashSet<String>,
}

impl<'a> Ways<'a, '_> {
    fn add(&mut self, listener: &'a Api, destination: Destination<'a>, entrance: Entrance<'a>) {
        let version = entrance.version.map(|version| version.name.as_str());
        let known = self
            .ways
            .iter()
            .position(|way| std::ptr::eq(way.api, destination.api) && way.targets == destination.targets);
        let index = known.unwrap_or_else(|| {
            let is_own = Destination::of(destination.api).targets == destination.targets;
            let distinction = if is_own { None } else { version };
            let name = unique(&mut self.services, &name(&destination.api.name, distinction));
            let Destination { api, targets } = destination;
            self.ways.push(Way { api, name, targets, routes: Vec::new() });
            self.ways.len() - 1
        });
        let distinction = version.filter(|_| entrance.is_for_version);
        let name = unique(&mut self.routes, &name(&listener.name, distinction));
        let Entrance { path, strip, header, version, .. } = entrance;
        if let Some(way) = self.ways.get_mut(index) {
            way.routes.push(Route { name, listener, path, strip, header, version });
        }
    }

    fn add_versions(&mut self, api: &'a Api, versions: &'a Versions) {
        self.tell_of_versions(api, versions);
        for version in &versions.list {
            let is_default = version.name == versions.default;
            let Some(destination) = self.destination(api, version) else { continue };
            let entrance = Entrance::at(api, Some(version));
            match &versions.location {
                Location::Header(_) | Location::Elsewhere if is_default => {
                    self.add(api, destination, entrance)
                }
                Location::Header(header) if !version.name.is_empty() => {
                    let header = Some((header.as_str(), version.name.as_str()));
                    self.add(api, destination, Entrance { header, is_for_version: true, ..entrance });
                }
                Location::Path if !version.name.is_empty() => {
                    self.add_in_path(api, versions, version, destination.clone());
                    if is_default && versions.fall_back {
                        self.add(api, destination, entrance);
                    }
                }
                _ => {}
            }
        }
    }

    fn destination(&mut self, api: &'a Api, version: &Version) -> Option<Destination<'a>> {
        match &version.goes_to {
            GoesTo::Own => Some(Destination::of(api)),
            GoesTo::Place(target) => Some(Destination::at(api, vec![target.clone()])),
            GoesTo::Api(id) => {
                let other = self.apis.iter().find(|other| other.id == *id);
                if other.is_none() {
                    let name = &version.name;
                    self.tell(
                        api,
                        &format!("version {name:?} is left out: no definition here has the id {id:?}"),
                    );
                }
                other.map(Destination::of)
            }
        }
    }

    /// `/listen/v1/…`: what is taken off the path, and what is put on again.
    fn add_in_path(
        &mut self,
        api: &'a Api,
        versions: &Versions,
        version: &'a Version,
        destination: Destination<'a>,
    ) {
        let listen = api.listen_path.path.trim_end_matches('/');
        let path = RoutePath::with_version(&api.listen_path.path, &version.name);
        let (strip, destination) = match (api.listen_path.strip, versions.strip) {
            (true, true) => (true, destination),
            (true, false) => (true, destination.below(&format!("/{}", version.name))),
            (false, true) if !listen_path::is_pattern(listen) => (true, destination.below(listen)),
            (false, _) => (false, destination),
        };
        self.add(
            api,
            destination,
            Entrance { path, strip, header: None, version: Some(version), is_for_version: true },
        );
    }

    fn tell_of_versions(&mut self, api: &Api, versions: &Versions) {
        let default = &versions.default;
        let (has_default, listen) = (!default.is_empty(), &api.listen_path);
        let mut tell = |applies: bool, what: &str| {
            if applies {
                self.tell(api, what)
            }
        };
        match versions.location {
            Location::Header(_) => {
                let only_default = has_default && !versions.fall_back;
                tell(only_default, &format!("calls with an unknown version get {default:?}"));
                tell(versions.strip, "the header with the version goes on to the upstream");
            }
            Location::Path => {
                tell(has_default && !versions.fall_back, "calls without a version get no default");
                let stays = versions.strip && !listen.strip && listen_path::is_pattern(&listen.path);
                tell(stays, "the version stays in the path");
            }
            Location::Elsewhere => {
                let query = "versions in the query are not supported";
                tell(has_default, &format!("{query}: all calls get {default:?}"));
                tell(!has_default, &format!("the API is left out: {query}"));
            }
        }
    }

    fn tell_of_targets(&mut self, api: &Api) {
        let targets = &api.upstream.targets;
        let Some(first) = targets.first() else { return };
        for Target { host, port, .. } in targets.iter().filter(|target| !shares_service(first, target)) {
            self.left_out.push(format!(
                "{}: {}: {host}:{port} is left out: its scheme or path is not that of the first",
                api.file, api.keys.targets
            ));
        }
    }

    /// A route with a header goes before routes without, however long their paths are.
    fn tell_of_shadow(&mut self, api: &Api) {
        let Some(Versions { location: Location::Header(header), .. }) = &api.versions else { return };
        let path = &api.listen_path.path;
        let below = |other: &&Api| {
            !std::ptr::eq(*other, api)
                && !other.internal
                && (other.domain.is_none() || other.domain == api.domain)
                && other.listen_path.path.starts_with(path)
        };
        for other in self.apis.iter().filter(below) {
            let (file, own) = (&other.file, &other.listen_path.path);
            self.left_out.push(format!(
                "{file}: {}: {own:?}: calls with a version in the header {header} go to {path:?} of {}",
                other.keys.listen_path, api.file
            ));
        }
    }

    fn tell(&mut self, api: &Api, what: &str) {
        self.left_out.push(format!("{}: {}: {what}", api.file, api.keys.versions));
    }
}

/// Makes expressions of plain paths that must go before one.
fn order(ways: &mut [Way<'_>]) {
    let mut paths: Vec<&mut RoutePath> =
        ways.iter_mut().flat_map(|way| &mut way.routes).map(|route| &mut route.path).collect();
    let expressions = paths.iter().filter(|path| path.is_expression);
    let Some(lowest) = expressions.map(|path| path.rank).min() else { return };
    for path in paths.iter_mut().filter(|path| !path.is_expression && path.rank > lowest) {
        path.text = listen_path::expression(&path.text);
        path.is_expression = true;
    }
}

/// A name that services and routes can have.
fn name(api: &str, distinction: Option<&str>) -> String {
    let whole = distinction.map_or_else(|| api.to_owned(), |distinction| format!("{api}-{distinction}"));
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~') || !c.is_ascii();
    let mut name = String::new();
    for c in whole.chars() {
        match c {
            c if allowed(c) && !c.is_whitespace() => name.push(c),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.truncate(name.trim_end_matches('-').len());
    if name.is_empty() { "api".to_owned() } else { name }
}

fn unique(taken: &mut HashSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}-{number}");
        number += 1;
    }
    name
}
