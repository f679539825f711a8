//! OpenAPI documents with `x-tyk-api-gateway` (tyk-gateway-analytics, sections 4.2 and 7).

use std::time::Duration;

use serde_json::Value;
use weir_kit::units;

use super::api::{
    Api, Endpoint, Endpoints, GoesTo, KeySource, Keys, ListenPath, Location, Recording, Upstream, Version,
    Versions,
};
use super::classic::SELF;
use super::document::Document;

/// The member that makes a document a definition.
pub(super) const EXTENSION: &str = "x-tyk-api-gateway";

const KEYS: Keys = Keys {
    id: "x-tyk-api-gateway.info.id",
    listen_path: "x-tyk-api-gateway.server.listenPath.value",
    targets: "x-tyk-api-gateway.upstream.loadBalancing.targets",
    versions: "x-tyk-api-gateway.info.versioning",
};

/// Keys below the extension that are read, and keys that mean nothing by themselves.
const KNOWN: &[&str] = &[
    // Read.
    "info.id",
    "info.name",
    "info.orgId",
    "info.state",
    "info.versioning",
    "upstream.url",
    "upstream.loadBalancing.enabled",
    "upstream.loadBalancing.targets",
    "upstream.preserveHostHeader",
    "upstream.preserveTrailingSlash",
    "upstream.tlsTransport.insecureSkipVerify",
    "server.listenPath",
    "server.customDomain.enabled",
    "server.customDomain.name",
    "server.protocol",
    "server.gatewayTags",
    "server.detailedActivityLogs",
    "server.authentication",
    "middleware.global.trafficLogs.enabled",
    "middleware.global.trafficLogs.tagHeaders",
    "middleware.global.trafficLogs.customRetentionPeriod",
    "middleware.operations.*.doNotTrackEndpoint",
    "middleware.operations.*.trackEndpoint",
    // Of the database, for what is not supported, and limits that are switched off.
    "info.dbId",
    "middleware.global.contextVariables",
    "middleware.global.pluginConfig.data",
    "middleware.global.pluginConfig.driver",
    "middleware.global.skipRateLimit",
    "middleware.global.skipQuota",
    "middleware.global.skipQuotaReset",
];

/// Keys below `server.authentication` that are read, or say only how another works. Schemes have a list of their own.
const KNOWN_OF_AUTHENTICATION: &[&str] = &[
    "enabled",
    "stripAuthorizationData",
    "securitySchemes",
    "baseIdentityProvider",
    "customKeyLifetime",
    "security",
    "securityProcessingMode",
];

/// Keys of a scheme with a key in a header or the query.
const KNOWN_OF_SCHEME: &[&str] = &["enabled", "header", "query"];

/// Reads a definition; `None` when there is nothing to serve or too much is wrong with it.
pub(super) fn read(document: &mut Document<'_>) -> Option<Api> {
    if document.at(&[EXTENSION, "info", "state", "active"]) == Some(&Value::Bool(false)) {
        return None;
    }
    if matches!(document.text(&[EXTENSION, "server", "protocol"]), "tcp" | "tls") {
        document.leave_out("x-tyk-api-gateway.server.protocol", "the API is left out: only HTTP is proxied");
        return None;
    }
    let upstream = upstream(document);
    let has_domain = document.is_on(&[EXTENSION, "server", "customDomain", "enabled"]);
    let endpoints = endpoints(document);
    let api = Api {
        file: document.file.to_owned(),
        keys: &KEYS,
        id: document.required(&[EXTENSION, "info", "id"]).to_owned(),
        name: document.required(&[EXTENSION, "info", "name"]).to_owned(),
        organisation: document.text(&[EXTENSION, "info", "orgId"]).to_owned(),
        internal: document.is_on(&[EXTENSION, "info", "state", "internal"]),
        domain: if has_domain { document.host(&[EXTENSION, "server", "customDomain", "name"]) } else { None },
        listen_path: ListenPath {
            path: document.listen_path(&[EXTENSION, "server", "listenPath", "value"]),
            strip: document.is_on(&[EXTENSION, "server", "listenPath", "strip"]),
        },
        tls_only: document.text(&[EXTENSION, "server", "protocol"]) == "https",
        key: key(document),
        recording: recording(document),
        upstream: upstream?,
        versions: versions(document, &endpoints),
        endpoints,
    };
    document.leave_out_rest(&[EXTENSION], KNOWN);
    document.leave_out_rest(&["x-tyk-streaming"], &[]);
    Some(api)
}

fn upstream(document: &mut Document<'_>) -> Option<Upstream> {
    let balancing = [EXTENSION, "upstream", "loadBalancing"];
    let balanced = document.is_on(&[&balancing[..], &["enabled"]].concat());
    let list = document.items(&[&balancing[..], &["targets"]].concat());
    let targets = if balanced && !list.is_empty() {
        let read = |item: &Value| {
            let key = "x-tyk-api-gateway.upstream.loadBalancing.targets";
            let mut target = document.target(key, item["url"].as_str().unwrap_or_default())?;
            target.weight = item["weight"].as_u64().unwrap_or(0).min(HIGHEST_WEIGHT);
            Some(target)
        };
        list.iter().filter_map(read).collect()
    } else {
        let url = document.required(&[EXTENSION, "upstream", "url"]);
        let usable = !url.is_empty();
        let target = usable.then(|| document.target("x-tyk-api-gateway.upstream.url", url)).flatten();
        target.into_iter().collect::<Vec<_>>()
    };
    (!targets.is_empty()).then(|| Upstream {
        targets,
        preserve_host: document.is_on(&[EXTENSION, "upstream", "preserveHostHeader", "enabled"]),
        insecure: document.is_on(&[EXTENSION, "upstream", "tlsTransport", "insecureSkipVerify"]),
        keep_slash: document.is_on(&[EXTENSION, "upstream", "preserveTrailingSlash", "enabled"]),
    })
}

/// The highest weight that a target can have.
const HIGHEST_WEIGHT: u64 = 65_535;

/// Schemes of the kind `apiKey` are ours; any other is named, and its API asks for a key all the same.
fn key(document: &mut Document<'_>) -> Option<KeySource> {
    let place = [EXTENSION, "server", "authentication"];
    let under = |name| [&place[..], &[name]].concat();
    if !document.is_on(&under("enabled")) {
        return None;
    }
    document.leave_out_rest(&place, KNOWN_OF_AUTHENTICATION);
    let (mut header, mut parameter) = (None, None);
    for name in document.members(&under("securitySchemes")) {
        let scheme = [&place[..], &["securitySchemes", name]].concat();
        let on = document.is_on(&[&scheme[..], &["enabled"]].concat());
        let described = ["components", "securitySchemes", name];
        if on && document.text(&[&described[..], &["type"]].concat()) == "apiKey" {
            add_scheme(document, &scheme, &described, &mut header, &mut parameter);
        } else if on {
            document.leave_out(&scheme.join("."), "callers need a key of key-auth instead");
        }
    }
    Some(KeySource::new(header, parameter, document.is_on(&under("stripAuthorizationData"))))
}

fn add_scheme(
    document: &mut Document<'_>,
    scheme: &[&str],
    described: &[&str],
    header: &mut Option<String>,
    parameter: &mut Option<String>,
) {
    let name = document.header(&[described, &["name"]].concat()).map(str::to_owned);
    match document.text(&[described, &["in"]].concat()) {
        "query" => *parameter = name,
        "cookie" => document.leave_out(&described.join("."), "keys in cookies are not read"),
        _ => *header = name,
    }
    for (kind, place) in [("header", header), ("query", parameter)] {
        if document.is_on(&[scheme, &[kind, "enabled"]].concat())
            && let Some(name) = document.header(&[scheme, &[kind, "name"]].concat())
        {
            *place = Some(name.to_owned());
        }
    }
    document.leave_out_rest(scheme, KNOWN_OF_SCHEME);
}

fn recording(document: &mut Document<'_>) -> Recording {
    let logs = [EXTENSION, "middleware", "global", "trafficLogs"];
    let under = |name| [&logs[..], &[name]].concat();
    let tagged = document.is_on(&[EXTENSION, "server", "gatewayTags", "enabled"]);
    Recording {
        // On unless switched off: what Tyk's own tools write when nothing is said.
        off: document.at(&under("enabled")) == Some(&Value::Bool(false)),
        detailed: document.is_on(&[EXTENSION, "server", "detailedActivityLogs", "enabled"]),
        tag_headers: document.texts(&under("tagHeaders")),
        tags: if tagged { document.texts(&[EXTENSION, "server", "gatewayTags", "tags"]) } else { Vec::new() },
        expire_after: match duration(document.text(&under("customRetentionPeriod"))) {
            Ok(duration) => duration.as_secs(),
            Err(message) => {
                document.problem(&under("customRetentionPeriod").join("."), &message);
                0
            }
        },
    }
}

/// Reads `30d` and `1h30m`; nothing is 0.
fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut whole = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        let (part, after) = rest.split_at(digits + unit);
        whole =
            whole.saturating_add(units::duration(part).map_err(|_| format!("{text:?} is not a duration"))?);
        rest = after;
    }
    Ok(whole)
}

/// What operations say of their recording, by the method and path that their id stands for.
fn endpoints(document: &mut Document<'_>) -> Endpoints {
    let place = [EXTENSION, "middleware", "operations"];
    let mut endpoints = Endpoints::default();
    for id in document.members(&place) {
        let mut is_on = |kind| document.is_on(&[&place[..], &[id, kind, "enabled"]].concat());
        let (untracked, tracked) = (is_on("doNotTrackEndpoint"), is_on("trackEndpoint"));
        if !untracked && !tracked {
            continue;
        }
        let Some(endpoint) = endpoint(document, id) else {
            let key = [&place[..], &[id]].concat().join(".");
            document.leave_out(&key, "no path has an operation of this id");
            continue;
        };
        if untracked {
            endpoints.untracked.push(endpoint.clone());
        }
        if tracked {
            endpoints.tracked.push(endpoint);
        }
    }
    endpoints
}

fn endpoint(document: &Document<'_>, id: &str) -> Option<Endpoint> {
    let paths = document.at(&["paths"])?.as_object()?;
    paths.iter().find_map(|(path, item)| {
        let methods = item.as_object()?;
        let (method, _) = methods.iter().find(|(_, operation)| operation["operationId"] == id)?;
        Some(Endpoint { method: method.to_ascii_uppercase(), path: path.clone() })
    })
}

fn versions(document: &mut Document<'_>, endpoints: &Endpoints) -> Option<Versions> {
    let place = [EXTENSION, "info", "versioning"];
    let under = |name| [&place[..], &[name]].concat();
    if !document.is_on(&under("enabled")) {
        return None;
    }
    let own = document.text(&under("name")).to_owned();
    let default = document.text(&under("default")).to_owned();
    let mut list = vec![Version { name: own.clone(), goes_to: GoesTo::Own, endpoints: endpoints.clone() }];
    for item in document.items(&under("versions")) {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        list.push(Version {
            name: text("name"),
            goes_to: GoesTo::Api(text("id")),
            endpoints: Endpoints::default(),
        });
    }
    Some(Versions {
        location: match document.text(&under("location")) {
            "header" => Location::Header(document.required_header(&under("key"))),
            "url" => Location::Path,
            _ => Location::Elsewhere,
        },
        default: if default == SELF { own } else { default },
        fall_back: document.is_on(&under("fallbackToDefault")),
        strip: document.is_on(&under("stripVersioningData")),
        list,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in
            [("", Some(0)), ("30d", Some(2_592_000)), ("1h30m", Some(5_400)), ("0s", Some(0))]
        {
            assert_eq!(duration(text).ok().map(|read| read.as_secs()), seconds, "{text}");
        }
        for bad in ["soon", "5", "1h30", "h", "1x"] {
            assert_eq!(duration(bad).unwrap_err(), format!("{bad:?} is not a duration"));
        }
    }
}
