//! Classic definitions: one JSON object for an API (tyk-gateway-analytics, section 7).

use super::api::{
    Api, DEFAULT_HEADER, Endpoints, GoesTo, KeySource, Keys, ListenPath, Location, Recording, Upstream,
    Version, Versions,
};
use super::document::Document;

/// How a version's default names its own API.
pub(super) const SELF: &str = "self";

const KEYS: Keys = Keys {
    id: "api_id",
    listen_path: "proxy.listen_path",
    targets: "proxy.target_list",
    versions: "definition",
};

/// Keys that are read, and keys that mean nothing by themselves: they belong to a switch, which is named when it is on, or
/// to what weir has no counterpart of and needs none.
const KNOWN: &[&str] = &[
    // Read.
    "name",
    "api_id",
    "org_id",
    "slug",
    "active",
    "internal",
    "is_oas",
    "domain",
    "domain_disabled",
    "protocol",
    "use_keyless",
    "use_standard_auth",
    "strip_auth_data",
    "auth.auth_header_name",
    "auth.disable_header",
    "auth.use_param",
    "auth.param_name",
    "auth_configs.authToken.auth_header_name",
    "auth_configs.authToken.disable_header",
    "auth_configs.authToken.use_param",
    "auth_configs.authToken.param_name",
    "do_not_track",
    "enable_detailed_recording",
    "tag_headers",
    "tags",
    "tags_disabled",
    "expire_analytics_after",
    "definition",
    "version_data.not_versioned",
    "version_data.default_version",
    "version_data.versions.*.name",
    "version_data.versions.*.expires",
    "version_data.versions.*.override_target",
    "version_data.versions.*.use_extended_paths",
    "version_data.versions.*.extended_paths.track_endpoints",
    "version_data.versions.*.extended_paths.do_not_track_endpoints",
    "proxy.listen_path",
    "proxy.target_url",
    "proxy.strip_listen_path",
    "proxy.preserve_host_header",
    "proxy.disable_strip_slash",
    "proxy.enable_load_balancing",
    "proxy.target_list",
    "proxy.transport.ssl_insecure_skip_verify",
    // Of the database, and for people.
    "id",
    "_id",
    "api_model",
    "created_at",
    "updated_at",
    "user_owners",
    "user_group_owners",
    "hook_references",
    "is_site",
    "sort_by",
    "config_data",
    "config_data_disabled",
    // Limits that are switched off, and variables for what is not supported.
    "disable_rate_limit",
    "disable_quota",
    "enable_context_vars",
    "dont_set_quota_on_create",
    "certificate_pinning_disabled",
    "upstream_certificates_disabled",
    "custom_middleware_bundle_disabled",
    "ip_access_control_disabled",
    "error_overrides_disabled",
    "version_data.versions.*.global_headers_disabled",
    "version_data.versions.*.global_response_headers_disabled",
    "version_data.versions.*.global_size_limit_disabled",
    "version_data.versions.*.global_enforce_timeout_disabled",
    "custom_middleware.driver",
    "custom_middleware.id_extractor.extract_from",
    "custom_middleware.id_extractor.extract_with",
    "custom_middleware.id_extractor.extractor_config",
    // Where keys and sessions are kept, and for how long.
    "auth_provider",
    "session_provider",
    "session_lifetime",
    "session_lifetime_respects_key_expiration",
    "notifications",
    "base_identity_provided_by",
    "security_requirements",
    "security_requirement_scopes",
    // Details of what another key switches on.
    "auth.name",
    "auth.cookie_name",
    "auth.signature",
    "auth_configs.*.name",
    "auth_configs.*.cookie_name",
    "auth_configs.*.signature",
    "auth_configs.jwt",
    "auth_configs.oauth",
    "auth_configs.oidc",
    "auth_configs.basic",
    "auth_configs.hmac",
    "auth_configs.coprocess",
    "auth_configs.externalOAuth",
    "oauth_meta",
    "openid_options",
    "basic_auth",
    "hmac_allowed_clock_skew",
    "hmac_allowed_algorithms",
    "jwt_signing_method",
    "jwt_source",
    "jwt_jwks_uris",
    "jwt_identity_base_field",
    "jwt_client_base_field",
    "jwt_policy_field_name",
    "jwt_default_policies",
    "jwt_issued_at_validation_skew",
    "jwt_expires_at_validation_skew",
    "jwt_not_before_validation_skew",
    "jwt_skip_kid",
    "jwt_scope_to_policy_mapping",
    "jwt_scope_claim_name",
    "idp_client_id_mapping_disabled",
    "scopes",
    "client_certificates",
    "allowed_ips",
    "blacklisted_ips",
    "uptime_tests.config",
];

/// Other ways to say who calls; each is named when it is on, and its API asks for a key of ours instead.
const OTHER_AUTHENTICATION: &[&str] = &[
    "use_oauth2",
    "use_openid",
    "use_basic_auth",
    "use_mutual_tls_auth",
    "use_go_plugin_auth",
    "enable_coprocess_auth",
    "custom_plugin_auth_enabled",
    "enable_jwt",
    "enable_signature_checking",
];

/// Reads a definition; `None` when there is nothing to serve or too much is wrong with it.
pub(super) fn read(document: &mut Document<'_>) -> Option<Api> {
    let active = document.at(&["active"]).is_none() || document.is_on(&["active"]);
    if !active && document.problems.is_empty() {
        return None;
    }
    if matches!(document.text(&["protocol"]), "tcp" | "tls") {
        document.leave_out("protocol", "the API is left out: only HTTP is proxied");
        return None;
    }
    let upstream = upstream(document);
    let domain_off = document.is_on(&["domain_disabled"]);
    let api = Api {
        file: document.file.to_owned(),
        keys: &KEYS,
        id: document.required(&["api_id"]).to_owned(),
        name: document.required(&["name"]).to_owned(),
        organisation: document.text(&["org_id"]).to_owned(),
        internal: document.is_on(&["internal"]),
        domain: if domain_off { None } else { document.host(&["domain"]) },
        listen_path: ListenPath {
            path: document.listen_path(&["proxy", "listen_path"]),
            strip: document.is_on(&["proxy", "strip_listen_path"]),
        },
        tls_only: document.text(&["protocol"]) == "https",
        key: key(document),
        recording: recording(document),
        upstream: upstream?,
        endpoints: own_endpoints(document),
        versions: versions(document),
    };
    leave_out(document);
    Some(api)
}

fn upstream(document: &mut Document<'_>) -> Option<Upstream> {
    let balanced = document.is_on(&["proxy", "enable_load_balancing"]);
    let list = document.texts(&["proxy", "target_list"]);
    let targets = if balanced && !list.is_empty() {
        // A target that is named twice gets twice the calls.
        list.iter().filter_map(|text| document.target("proxy.target_list", text)).collect()
    } else {
        let url = document.required(&["proxy", "target_url"]);
        let target = if url.is_empty() { None } else { document.target("proxy.target_url", url) };
        target.into_iter().collect::<Vec<_>>()
    };
    (!targets.is_empty()).then(|| Upstream {
        targets,
        preserve_host: document.is_on(&["proxy", "preserve_host_header"]),
        insecure: document.is_on(&["proxy", "transport", "ssl_insecure_skip_verify"]),
        keep_slash: document.is_on(&["proxy", "disable_strip_slash"]),
    })
}

fn key(document: &mut Document<'_>) -> Option<KeySource> {
    if document.is_on(&["use_keyless"]) {
        return None;
    }
    // The newer place goes before the older one as a whole.
    let newer: &[&str] = &["auth_configs", "authToken"];
    let place = if document.at(newer).is_some() { newer } else { &["auth"] };
    let at = |name| [place, &[name]].concat();
    let header = document.header(&at("auth_header_name")).unwrap_or(DEFAULT_HEADER);
    let header_off = document.is_on(&at("disable_header"));
    let parameter = document.header(&at("param_name")).unwrap_or(header);
    let in_query = document.is_on(&at("use_param"));
    Some(KeySource::new(
        (!header_off).then(|| header.to_owned()),
        in_query.then(|| parameter.to_owned()),
        document.is_on(&["strip_auth_data"]),
    ))
}

fn recording(document: &mut Document<'_>) -> Recording {
    let tags_off = document.is_on(&["tags_disabled"]);
    Recording {
        off: document.is_on(&["do_not_track"]),
        detailed: document.is_on(&["enable_detailed_recording"]),
        tag_headers: document.texts(&["tag_headers"]),
        tags: if tags_off { Vec::new() } else { document.texts(&["tags"]) },
        expire_after: document.count(&["expire_analytics_after"]),
    }
}

/// The endpoints of an API without versions, or those of the version that has no name in calls.
fn own_endpoints(document: &mut Document<'_>) -> Endpoints {
    let names = document.members(&["version_data", "versions"]);
    let own = match names.as_slice() {
        [one] => Some(*one),
        names => names.iter().copied().find(|name| matches!(*name, "Default" | "default" | "")),
    };
    own.map(|name| endpoints(document, name)).unwrap_or_default()
}

fn versions(document: &mut Document<'_>) -> Option<Versions> {
    let (default, list) = if document.is_on(&["definition", "enabled"]) {
        versions_by_id(document)
    } else {
        if document.at(&["version_data"]).is_none() || document.is_on(&["version_data", "not_versioned"]) {
            return None;
        }
        let names = document.members(&["version_data", "versions"]);
        let list = names.into_iter().filter_map(|name| version(document, name)).collect();
        (document.text(&["version_data", "default_version"]).to_owned(), list)
    };
    Some(Versions {
        location: location(document),
        default,
        fall_back: document.is_on(&["definition", "fallback_to_default"]),
        strip: document.is_on(&["definition", "strip_versioning_data"])
            || document.is_on(&["definition", "strip_path"]),
        list,
    })
}

/// Versions that are APIs of their own, with the name of the default.
fn versions_by_id(document: &mut Document<'_>) -> (String, Vec<Version>) {
    let own = document.text(&["definition", "name"]).to_owned();
    let default = document.text(&["definition", "default"]);
    let default = if default == SELF { own.clone() } else { default.to_owned() };
    let endpoints = own_endpoints(document);
    let mut list = vec![Version { name: own, goes_to: GoesTo::Own, endpoints }];
    for name in document.members(&["definition", "versions"]) {
        let id = document.text(&["definition", "versions", name]).to_owned();
        list.push(Version {
            name: name.to_owned(),
            goes_to: GoesTo::Api(id),
            endpoints: Endpoints::default(),
        });
    }
    (default, list)
}

/// A version that stands in the definition itself.
fn version(document: &mut Document<'_>, name: &str) -> Option<Version> {
    let place = ["version_data", "versions", name, "override_target"];
    let goes_to = match document.text(&place) {
        "" => GoesTo::Own,
        target => GoesTo::Place(document.target(&place.join("."), target)?),
    };
    Some(Version { name: name.to_owned(), goes_to, endpoints: endpoints(document, name) })
}

fn location(document: &mut Document<'_>) -> Location {
    match document.text(&["definition", "location"]) {
        "header" => Location::Header(document.required_header(&["definition", "key"])),
        "url" => Location::Path,
        _ => Location::Elsewhere,
    }
}

fn endpoints(document: &mut Document<'_>, version: &str) -> Endpoints {
    let version = ["version_data", "versions", version];
    if !document.is_on(&[&version[..], &["use_extended_paths"]].concat()) {
        return Endpoints::default();
    }
    let mut list = |name| document.endpoints(&[&version[..], &["extended_paths", name]].concat());
    Endpoints { untracked: list("do_not_track_endpoints"), tracked: list("track_endpoints") }
}

/// Names all that is not done here.
fn leave_out(document: &mut Document<'_>) {
    for name in document.members(&["version_data", "versions"]) {
        let place = ["version_data", "versions", name, "expires"];
        let expires = document.text(&place);
        // Samples and the Dashboard write the year 3000 for never.
        if !matches!(expires, "" | "-1" | "never") && !expires.starts_with(['3', '9']) {
            document.leave_out(&place.join("."), "the version does not expire");
        }
    }
    // A keyless API looks at none of them.
    let keyless = document.is_on(&["use_keyless"]);
    for name in OTHER_AUTHENTICATION.iter().filter(|_| !keyless) {
        if document.is_on(&[name]) {
            document.leave_out(name, "callers need a key of key-auth instead");
        }
    }
    let known: Vec<&str> = KNOWN.iter().chain(OTHER_AUTHENTICATION).copied().collect();
    document.leave_out_rest(&[], &known);
    for name in document.members(&["version_data", "versions"]) {
        let version = ["version_data", "versions", name];
        if !document.is_on(&[&version[..], &["use_extended_paths"]].concat()) {
            let unused = format!("{}: {}.extended_paths", document.file, version.join("."));
            document.left_out.retain(|key| !key.starts_with(&unused));
        }
    }
}
