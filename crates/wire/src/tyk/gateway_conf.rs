//! `tyk.conf` of Tyk's gateway and its `TYK_GW_…` variables, as settings of the exporter (tyk-gateway-analytics, section 2).

use serde_json::{Map, Value, json};
use weir_kit::{ConfigError, schema};

use super::{config, connection};

/// What a gateway's configuration says about its records.
#[derive(Debug)]
pub struct Conversion {
    /// Whether it records at all (`enable_analytics`).
    pub enabled: bool,
    /// Settings of the exporter `tyk`: those that are given.
    pub config: Value,
    /// The database of places, where it is to be asked (`enable_geo_ip`): weir's setting `identify.geo_database`.
    pub geo_database: Option<String>,
    /// Keys and variables that are given and were not taken over, by name.
    pub unsupported: Vec<String>,
}

/// Keys that are read, below their groups, but for those of Redis.
const KEYS: &[&str] = &[
    "enable_analytics",
    "hash_keys",
    "hash_key_function",
    "enable_separate_analytics_store",
    "analytics_config.type",
    "analytics_config.ignored_ips",
    "analytics_config.enable_detailed_recording",
    "analytics_config.enable_geo_ip",
    "analytics_config.geo_ip_db_path",
    "analytics_config.normalise_urls.enabled",
    "analytics_config.normalise_urls.normalise_uuids",
    "analytics_config.normalise_urls.normalise_ulids",
    "analytics_config.normalise_urls.normalise_numbers",
    "analytics_config.normalise_urls.custom_patterns",
    "analytics_config.pool_size",
    "analytics_config.records_buffer_size",
    "analytics_config.storage_expiration_time",
    "analytics_config.enable_multiple_analytics_keys",
    "analytics_config.purge_interval",
    "analytics_config.serializer_type",
    "db_app_conf_options.node_is_segmented",
    "db_app_conf_options.tags",
];

/// Keys of the gateway's own analytics that weir does not have; their variables are recognised by this list.
const WITHOUT_MEANING: &[&str] = &[
    "enforce_org_data_age",
    "enforce_org_data_detail_logging",
    "http_server_options.enable_path_prefix_matching",
    "http_server_options.enable_path_suffix_matching",
    "http_server_options.xff_depth",
    "ignore_endpoint_case",
];

/// Keys that old files still have and that mean nothing to the gateway itself.
const OLD: &[&str] = &["csv_dir", "mongo_url", "mongo_db_name", "mongo_collection", "purge_delay"];

const STORES: [&str; 2] = ["storage", "analytics_storage"];

/// With this on, there is no file.
const OMIT_FILE: &str = "TYK_GW_OMITCONFIGFILE";

/// Reads the text of a file, empty for none, and the variables.
///
/// # Errors
/// When the file is no JSON, or a value is none of its key's.
pub fn read(
    text: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Conversion, ConfigError> {
    let environment: Vec<(String, String)> = environment.collect();
    let omitted = environment.iter().any(|(name, value)| name == OMIT_FILE && value == "true");
    let text = if omitted || text.trim().is_empty() { "{}" } else { text };
    let file: Value = serde_json::from_str(text)
        .map_err(|error| ConfigError::one("", format!("tyk.conf is not JSON: {error}")))?;
    let mut given = Map::new();
    flatten("", &file, &mut given);
    let mut unsupported = Vec::new();
    let known = known_keys();
    for (variable, text) in environment {
        let Some(name) = variable.strip_prefix("TYK_GW_").filter(|_| variable != OMIT_FILE) else { continue };
        match known.iter().find(|key| variable_of(key) == name) {
            Some(key) => drop(given.insert(key.clone(), value(key, text))),
            None => unsupported.push(variable),
        }
    }
    let is_old = |key: &str| key.strip_prefix("analytics_config.").is_some_and(|name| OLD.contains(&name));
    let foreign = |key: &&String| !KEYS.contains(&key.as_str()) && !is_redis(key) && !is_old(key);
    unsupported.extend(given.keys().filter(foreign).cloned());
    let config = exporter(&given);
    // Every mistake is told now, not when the settings are used.
    let checked = schema::check(config::FIELDS, config.clone())?;
    config::Config::read(checked)?;
    let enabled = is_on(&given, "enable_analytics");
    let place = given.get("analytics_config.geo_ip_db_path").and_then(Value::as_str);
    let asked = is_on(&given, "analytics_config.enable_geo_ip");
    let geo_database = place.filter(|path| asked && !path.is_empty()).map(str::to_owned);
    Ok(Conversion { enabled, config, geo_database, unsupported })
}

fn known_keys() -> Vec<String> {
    let plain = KEYS.iter().chain(WITHOUT_MEANING).map(|key| (*key).to_owned());
    let redis = STORES
        .iter()
        .flat_map(|store| connection::FIELDS.iter().map(move |field| format!("{store}.{}", field.name)));
    plain.chain(redis).collect()
}

fn is_redis(key: &str) -> bool {
    key.split_once('.').is_some_and(|(store, rest)| {
        STORES.contains(&store)
            && schema::named(connection::FIELDS, rest.split('.').next().unwrap_or(rest)).is_some()
    })
}

/// `TYK_GW_` and this: groups joined with `_`, names without, and some that are not those of the file.
fn variable_of(key: &str) -> String {
    let name = |part: &str| match part {
        "geo_ip_db_path" => "GEOIPDBLOCATION".to_owned(),
        "custom_patterns" => "CUSTOM".to_owned(),
        "enable_separate_analytics_store" => "ENABLESEPERATEANALYTICSSTORE".to_owned(),
        "optimisation_max_idle" => "MAXIDLE".to_owned(),
        "optimisation_max_active" => "MAXACTIVE".to_owned(),
        part => part.replace('_', "").to_ascii_uppercase(),
    };
    key.split('.').map(name).collect::<Vec<_>>().join("_")
}

/// Every value that is not a group, by its path; maps of hosts stay whole.
fn flatten(path: &str, value: &Value, out: &mut Map<String, Value>) {
    match value {
        Value::Object(group) if !path.ends_with(".hosts") => {
            for (name, value) in group {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, out);
            }
        }
        value => drop(out.insert(path.to_owned(), value.clone())),
    }
}

fn value(key: &str, text: String) -> Value {
    let list = ["ignored_ips", "custom_patterns", "tags", "addrs"].iter().any(|name| key.ends_with(name));
    if list {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
    } else {
        Value::String(text)
    }
}

fn is_on(given: &Map<String, Value>, key: &str) -> bool {
    match given.get(key) {
        Some(Value::Bool(on)) => *on,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

fn exporter(given: &Map<String, Value>) -> Value {
    let mut config = Map::new();
    for (key, value) in given.iter().filter(|(key, _)| KEYS.contains(&key.as_str())) {
        if let Some(rest) = key.strip_prefix("analytics_config.normalise_urls.") {
            let group = config.entry("normalise_urls").or_insert_with(|| json!({}));
            group[rest] = value.clone();
        } else if let Some(rest) =
            key.strip_prefix("analytics_config.").filter(|rest| !rest.contains("geo_ip"))
        {
            config.insert(rest.to_owned(), value.clone());
        }
    }
    for key in ["hash_keys", "hash_key_function"] {
        config.extend(given.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    if is_on(given, "db_app_conf_options.node_is_segmented") {
        config.extend(given.get("db_app_conf_options.tags").map(|tags| ("tags".to_owned(), tags.clone())));
    }
    let store = STORES[usize::from(is_on(given, "enable_separate_analytics_store"))];
    let redis: Map<String, Value> = given
        .iter()
        .filter(|(key, _)| is_redis(key))
        .filter_map(|(key, value)| {
            let (group, name) = key.split_once('.')?;
            (group == store).then(|| (name.to_owned(), value.clone()))
        })
        .collect();
    if !redis.is_empty() {
        config.insert("storage".to_owned(), Value::Object(redis));
    }
    Value::Object(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(file: &Value, variables: &[(&str, &str)]) -> Conversion {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read(&file.to_string(), variables).unwrap()
    }

    #[test]
    fn file_and_variables_become_settings() {
        let file = json!({
            "listen_port": 8080, "enable_analytics": true, "hash_keys": true,
            "storage": {"type": "redis", "host": "r", "port": 1, "database": 0},
            "analytics_storage": {"host": "a", "port": 2},
            "analytics_config": {"type": "", "ignored_ips": ["192.0.2.1"], "storage_expiration_time": 90,
                "enable_geo_ip": true, "geo_ip_db_path": "/geo/city.mmdb", "csv_dir": "/tmp",
                "normalise_urls": {"enabled": true, "normalise_uuids": true}},
            "db_app_conf_options": {"node_is_segmented": true, "tags": ["edge"]},
        });
        let conversion = converted(&file, &[]);
        assert!(conversion.enabled);
        assert_eq!(conversion.config["storage"]["host"], "r");
        assert_eq!(conversion.config["storage_expiration_time"], 90);
        assert_eq!(conversion.config["normalise_urls"]["normalise_uuids"], true);
        assert_eq!(conversion.config["tags"], json!(["edge"]));
        assert_eq!(conversion.geo_database.as_deref(), Some("/geo/city.mmdb"));
        assert_eq!(conversion.unsupported, ["listen_port"]);
        let conversion = converted(
            &file,
            &[
                ("TYK_GW_ENABLEANALYTICS", "false"),
                ("TYK_GW_ENABLESEPERATEANALYTICSSTORE", "true"),
                ("TYK_GW_ANALYTICSSTORAGE_ADDRS", "x:1,y:2"),
                ("TYK_GW_ANALYTICSSTORAGE_PASSWORD", "p"),
                ("TYK_GW_ANALYTICSCONFIG_NORMALISEURLS_CUSTOM", "a+,b+"),
                ("TYK_GW_ANALYTICSCONFIG_SERIALIZERTYPE", "protobuf"),
                ("TYK_GW_ANALYTICSCONFIG_ENABLEGEOIP", "false"),
                ("TYK_GW_HTTPSERVEROPTIONS_XFFDEPTH", "1"),
                ("TYK_GW_LISTENPORT", "1"),
            ],
        );
        assert!(!conversion.enabled);
        assert_eq!(conversion.config["storage"]["addrs"], json!(["x:1", "y:2"]));
        assert_eq!(conversion.config["normalise_urls"]["custom_patterns"], json!(["a+", "b+"]));
        assert_eq!(conversion.config["serializer_type"], "protobuf");
        assert_eq!(conversion.geo_database, None);
        assert!(conversion.unsupported.contains(&"TYK_GW_LISTENPORT".to_owned()));
        assert!(conversion.unsupported.contains(&"http_server_options.xff_depth".to_owned()));
        let alone = converted(
            &file,
            &[
                ("TYK_GW_OMITCONFIGFILE", "true"),
                ("TYK_GW_ENABLEANALYTICS", "true"),
                ("TYK_GW_ANALYTICSCONFIG_ENABLEGEOIP", "true"),
                ("TYK_GW_ANALYTICSCONFIG_GEOIPDBLOCATION", "/geo/other.mmdb"),
            ],
        );
        assert!(alone.enabled && alone.unsupported.is_empty(), "{:?}", alone.unsupported);
        assert_eq!(alone.config, json!({}));
        assert_eq!(alone.geo_database.as_deref(), Some("/geo/other.mmdb"));
    }

    #[test]
    fn mistakes_are_told() {
        let error =
            read("{\"analytics_config\": {\"pool_size\": \"many\"}}", std::iter::empty()).unwrap_err();
        assert!(error.to_string().starts_with("pool_size: "), "{error}");
        assert!(read("{", std::iter::empty()).is_err());
    }
}
