//! `pump.conf` of Tyk's pump, read as it is, with `TYK_PMP_…` variables over it (tyk-pump, section 2).

use std::time::Duration;

use serde_json::{Map, Value, json};
use weir_kit::{ConfigError, FieldKind, FieldSpec, Problem, schema};
use weir_pipeline::ExporterKind;

use super::rules::Filters;
use crate::registry;
use crate::tyk::connection::{self, RedisSettings};

/// What a `pump.conf` says.
#[derive(Debug)]
pub struct PumpConf {
    /// Where the lists are.
    pub redis: RedisSettings,
    /// What stands before their names, when it is given.
    pub key_prefix: Option<String>,
    /// Pause after the lists were found empty; never more than this.
    pub delay: Option<Duration>,
    /// Most records read at once, when there is a limit.
    pub chunk: Option<usize>,
    /// Where records go.
    pub outputs: Vec<Output>,
    /// Keys and variables that are given and mean nothing here, by name.
    pub unsupported: Vec<String>,
}

/// One of `pumps`.
#[derive(Debug)]
pub struct Output {
    /// Its name in the file, in lower case.
    pub name: String,
    /// Which exporter it is, by its name in the registry.
    pub kind: &'static str,
    /// The exporter's settings, checked and completed.
    pub config: Value,
    /// What it is fed.
    pub filters: Filters,
    /// How long one delivery may take, when there is a limit.
    pub timeout: Option<Duration>,
}

/// Keys that are read, or mean what weir does anyway.
const KNOWN: &[&str] = &[
    "analytics_storage_type",
    "analytics_storage_config",
    "purge_delay",
    "purge_chunk",
    "storage_expiration_time",
    "pumps",
    "omit_detailed_recording",
    "max_record_size",
    "raw_request_decoded",
    "raw_response_decoded",
];

/// Keys of the original that have no meaning here; variables of theirs are recognised by this list.
const WITHOUT_MEANING: &[&str] = &[
    "dont_purge_uptime_data",
    "uptime_pump_config",
    "health_check_endpoint_name",
    "health_check_endpoint_port",
    "enable_http_profiler",
    "statsd_connection_string",
    "statsd_prefix",
    "log_level",
    "log_format",
    "omit_config_file",
];

/// Members common to all pumps.
const COMMON: &[&str] = &[
    "type",
    "name",
    "filters",
    "timeout",
    "omit_detailed_recording",
    "max_record_size",
    "ignore_fields",
    "raw_request_decoded",
    "raw_response_decoded",
    "meta",
];

/// Outputs whose readers decode dumps themselves; the original refuses to send them decoded.
const KEEPS_BASE64: &[&str] = &["mongo", "mongo-pump-selective", "sql"];

/// Reads the text of a file, empty for none, and the variables.
///
/// # Errors
/// Every mistake at once, each with its key.
pub fn read(
    text: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<PumpConf, ConfigError> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let mut written: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| ConfigError::one("", format!("pump.conf is not a JSON object: {error}")))?;
    let mut unsupported = Vec::new();
    let mut variables: Vec<(String, String)> = environment.collect();
    // What is given again under a later of the three names of Redis wins; the type of a pump tells what its options are.
    variables.sort_by_key(|(name, _)| (!name.ends_with("_TYPE"), redis_rank(name)));
    for (name, text) in variables {
        if let Some(rest) = name.strip_prefix("TYK_PMP_")
            && !lay_over(&mut written, rest, text)
        {
            unsupported.push(name);
        }
    }
    let mut problems = Vec::new();
    unsupported.extend(written.keys().filter(|key| !KNOWN.contains(&key.as_str())).cloned());
    let (redis, key_prefix) = storage(&written, &mut unsupported, &mut problems);
    let outputs = outputs(&written, &mut unsupported, &mut problems);
    let seconds = |key: &str| number(&written, key).filter(|seconds| *seconds > 0);
    let conf = PumpConf {
        redis,
        key_prefix,
        delay: seconds("purge_delay").map(Duration::from_secs),
        chunk: seconds("purge_chunk").and_then(|records| usize::try_from(records).ok()),
        outputs,
        unsupported,
    };
    if problems.is_empty() { Ok(conf) } else { Err(ConfigError { problems }) }
}

/// `purge_delay` of `PURGEDELAY`: internal names are those of the file without underscores, but for a few.
fn squashed(key: &str) -> String {
    match key {
        "optimisation_max_idle" => "MAXIDLE".to_owned(),
        "optimisation_max_active" => "MAXACTIVE".to_owned(),
        "raw_request_decoded" => "DECODERAWREQUEST".to_owned(),
        "raw_response_decoded" => "DECODERAWRESPONSE".to_owned(),
        "org_ids" => "ORGSIDS".to_owned(),
        "skip_org_ids" => "SKIPPEDORGSIDS".to_owned(),
        "skip_api_ids" => "SKIPPEDAPIIDS".to_owned(),
        "skip_response_codes" => "SKIPPEDRESPONSECODES".to_owned(),
        "enable_http_profiler" => "HTTPPROFILE".to_owned(),
        other => other.replace('_', "").to_ascii_uppercase(),
    }
}

const REDIS_NAMES: [&str; 3] = ["ANALYTICSSTORAGECONFIG_", "REDIS_", "TEMPORAL_STORAGE_"];

fn redis_rank(variable: &str) -> usize {
    let name = variable.strip_prefix("TYK_PMP_").unwrap_or_default();
    REDIS_NAMES.iter().position(|prefix| name.starts_with(prefix)).map_or(0, |position| position + 1)
}

/// Lays a variable over what is written; gives whether its name means anything.
fn lay_over(written: &mut Map<String, Value>, name: &str, text: String) -> bool {
    if let Some(option) = REDIS_NAMES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        let names = connection::FIELDS.iter().flat_map(names_of).chain(PREFIX_KEYS.iter().copied());
        let Some(key) = find(names, option) else { return false };
        let list = key == "addrs";
        member(written, "analytics_storage_config").insert(key.to_owned(), value(text, list));
        return true;
    }
    if let Some(rest) = name.strip_prefix("PUMPS_") {
        let Some((pump, option)) = rest.split_once('_') else { return false };
        return lay_over_pump(written, pump, option, text);
    }
    match find(KNOWN.iter().chain(WITHOUT_MEANING).copied(), name) {
        Some(key) => {
            written.insert(key.to_owned(), value(text, false));
            true
        }
        None => false,
    }
}

fn lay_over_pump(written: &mut Map<String, Value>, name: &str, option: &str, text: String) -> bool {
    let pumps = member(written, "pumps");
    // Names of the file and of variables are the same but for case.
    let known = pumps.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned();
    let key = known.unwrap_or_else(|| name.to_ascii_lowercase());
    let pump = member(pumps, &key);
    if let Some(option) = option.strip_prefix("META_") {
        let kind = pump.get("type").and_then(Value::as_str).unwrap_or(&key).to_ascii_lowercase();
        let fields = registry::exporter(&kind).map_or(&[][..], |kind| kind.fields);
        let squashed_option = |field: &&FieldSpec| names_of(field).any(|name| squashed(name) == option);
        // An option that the exporter does not have is listed as unsupported later, by the name it has here.
        let key = fields.iter().find(squashed_option).map_or(option, |field| field.name).to_owned();
        let list = fields.iter().any(|field| field.name == key && is_list(field.kind));
        member(pump, "meta").insert(key, value(text, list));
        return true;
    }
    if let Some(option) = option.strip_prefix("FILTERS_") {
        let Some(key) = find(FILTERS.iter().copied(), option) else { return false };
        member(pump, "filters").insert(key.to_owned(), value(text, true));
        return true;
    }
    let Some(key) = find(COMMON.iter().copied(), option) else { return false };
    pump.insert(key.to_owned(), value(text, key == "ignore_fields"));
    true
}

const FILTERS: &[&str] =
    &["api_ids", "org_ids", "response_codes", "skip_api_ids", "skip_org_ids", "skip_response_codes"];
const PREFIX_KEYS: &[&str] = &["key_prefix", "redis_key_prefix"];

fn names_of(field: &FieldSpec) -> impl Iterator<Item = &'static str> + use<> {
    std::iter::once(field.name).chain(field.aliases.iter().copied())
}

fn find<'a>(mut keys: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    keys.find(|key| squashed(key) == name)
}

fn is_list(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Array(_) | FieldKind::Set(_))
}

/// The text of a variable: a list by commas, a number or truth value where it is one.
fn value(text: String, list: bool) -> Value {
    if list {
        return text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| value(item.to_owned(), false))
            .collect();
    }
    match serde_json::from_str(&text) {
        Ok(plain @ (Value::Bool(_) | Value::Number(_))) => plain,
        _ => Value::String(text),
    }
}

/// The group of this name, made when there is none.
fn member<'a>(group: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = group.entry(key).or_insert_with(|| json!({}));
    if !slot.is_object() {
        *slot = json!({});
    }
    slot.as_object_mut().expect("was just made one")
}

fn number(group: &Map<String, Value>, key: &str) -> Option<u64> {
    let value = group.get(key)?;
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
}

fn flag(group: &Map<String, Value>, key: &str) -> Option<bool> {
    let value = group.get(key)?;
    value.as_bool().or_else(|| value.as_str().map(|text| text == "true"))
}

fn storage(
    written: &Map<String, Value>,
    unsupported: &mut Vec<String>,
    problems: &mut Vec<Problem>,
) -> (RedisSettings, Option<String>) {
    match written.get("analytics_storage_type").and_then(Value::as_str) {
        None | Some("" | "redis") => {}
        Some(other) => problems.push(problem("analytics_storage_type", format!("{other:?} is not redis"))),
    }
    let mut settings =
        written.get("analytics_storage_config").and_then(Value::as_object).cloned().unwrap_or_default();
    let prefixes: Vec<Option<Value>> = PREFIX_KEYS.iter().map(|key| settings.remove(*key)).collect();
    let prefix = prefixes.into_iter().flatten().find_map(|prefix| prefix.as_str().map(ToOwned::to_owned));
    let known = |key: &str| schema::named(connection::FIELDS, key).is_some();
    let strange: Vec<String> = settings.keys().filter(|key| !known(key)).cloned().collect();
    for key in strange {
        settings.remove(&key);
        unsupported.push(format!("analytics_storage_config.{key}"));
    }
    let checked = schema::check(connection::FIELDS, Value::Object(settings))
        .and_then(weir_kit::kind::read::<RedisSettings>)
        .and_then(|redis| redis.nodes().map(|_| redis));
    match checked {
        Ok(redis) => (redis, prefix),
        Err(error) => {
            problems.extend(
                error
                    .problems
                    .into_iter()
                    .map(|found| problem(&format!("analytics_storage_config.{}", found.key), found.message)),
            );
            (RedisSettings::default(), prefix)
        }
    }
}

fn problem(key: &str, message: String) -> Problem {
    Problem { key: key.to_owned(), message }
}

fn outputs(
    written: &Map<String, Value>,
    unsupported: &mut Vec<String>,
    problems: &mut Vec<Problem>,
) -> Vec<Output> {
    let Some(Value::Object(pumps)) = written.get("pumps") else { return Vec::new() };
    let mut outputs = Vec::new();
    for (name, pump) in pumps {
        let Some(pump) = pump.as_object() else {
            problems.push(problem(&format!("pumps.{name}"), "is not an object".to_owned()));
            continue;
        };
        let kind = ["type", "name"].iter().find_map(|key| pump.get(*key)?.as_str());
        let kind = kind.filter(|kind| !kind.is_empty()).unwrap_or(name).to_ascii_lowercase();
        // `dummy` takes everything and does nothing.
        if kind == "dummy" {
            continue;
        }
        let Some(exporter) = registry::exporter(&kind) else {
            unsupported.push(format!("pumps.{name} (type {kind})"));
            continue;
        };
        let strange = pump.keys().filter(|key| !COMMON.contains(&key.as_str()));
        unsupported.extend(strange.map(|key| format!("pumps.{name}.{key}")));
        match output(name, exporter, pump, written, unsupported) {
            Ok(output) => outputs.push(output),
            Err(error) => problems.extend(
                error
                    .problems
                    .into_iter()
                    .map(|found| problem(&format!("pumps.{name}.{}", found.key), found.message)),
            ),
        }
    }
    outputs
}

fn output(
    name: &str,
    kind: &'static ExporterKind,
    pump: &Map<String, Value>,
    global: &Map<String, Value>,
    unsupported: &mut Vec<String>,
) -> Result<Output, ConfigError> {
    let mut config = Map::new();
    for (key, value) in pump.get("meta").and_then(Value::as_object).into_iter().flatten() {
        match schema::named(kind.fields, key) {
            Some(_) => drop(config.insert(key.clone(), value.clone())),
            None => unsupported.push(format!("pumps.{name}.meta.{key}")),
        }
    }
    let changes_records = schema::named(kind.fields, "record").is_some();
    let decodes = changes_records && !KEEPS_BASE64.contains(&kind.name);
    if changes_records {
        config.insert("record".to_owned(), changes(pump, global, decodes));
    }
    let refused = CHANGES.iter().filter(|_| !changes_records).chain(DECODES.iter().filter(|_| !decodes));
    let given = refused.filter(|key| pump.contains_key(**key));
    unsupported.extend(given.map(|key| format!("pumps.{name}.{key}")));
    let mut filters = pump.get("filters").filter(|filters| !filters.is_null()).cloned();
    // Go's tools write null for an empty list.
    if let Some(Value::Object(lists)) = &mut filters {
        lists.retain(|_, list| !list.is_null());
    }
    let filters = serde_json::from_value(filters.unwrap_or_else(|| json!({})))
        .map_err(|error| ConfigError::one("filters", error.to_string()))?;
    let config = schema::check(kind.fields, Value::Object(config))?;
    (kind.build)(config.clone())?;
    Ok(Output {
        name: name.to_ascii_lowercase(),
        kind: kind.name,
        config,
        filters,
        timeout: number(pump, "timeout").filter(|seconds| *seconds > 0).map(Duration::from_secs),
    })
}

/// Members that change a record before it goes out.
const CHANGES: &[&str] = &["omit_detailed_recording", "max_record_size", "ignore_fields"];

/// Members that take its dumps out of Base64.
const DECODES: &[&str] = &["raw_request_decoded", "raw_response_decoded"];

/// What is changed of a record before it goes out: the pump's own word goes before the general one.
fn changes(pump: &Map<String, Value>, global: &Map<String, Value>, decodes: bool) -> Value {
    let omit = |group| flag(group, "omit_detailed_recording").unwrap_or(false);
    let decoded = |key| decodes && flag(pump, key).or_else(|| flag(global, key)).unwrap_or(false);
    let size = |group| number(group, "max_record_size").filter(|size| *size > 0);
    json!({
        "detailed_recording": !(omit(pump) || omit(global)),
        "max_record_size": size(pump).or_else(|| size(global)).unwrap_or(0),
        "ignore_fields": pump.get("ignore_fields").filter(|names| !names.is_null()).cloned().unwrap_or_else(|| json!([])),
        "raw_request_decoded": decoded("raw_request_decoded"),
        "raw_response_decoded": decoded("raw_response_decoded"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(text: &Value, variables: &[(&str, &str)]) -> Result<PumpConf, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read(&text.to_string(), variables)
    }

    #[test]
    fn a_file_is_read_as_it_is() {
        let file = json!({
            "analytics_storage_type": "redis",
            "analytics_storage_config": {"type": "redis", "host": "r", "port": 6380, "hosts": null, "username": "",
                "password": "p", "database": 2, "optimisation_max_idle": 100, "enable_cluster": false,
                "redis_use_ssl": true, "redis_key_prefix": "a-", "strange": 1},
            "purge_delay": 2, "purge_chunk": 100, "storage_expiration_time": 60, "log_level": "info",
            "dont_purge_uptime_data": true,
            "pumps": {
                "Dummy": {"type": "dummy", "meta": {}},
                "old": {"type": "Galileo", "timeout": 3, "omit_detailed_recording": true,
                    "filters": {"org_ids": ["o"], "skip_response_codes": [500]},
                    "meta": {"service_token": "t", "queue_size": 7, "weird": true}},
                "cloud": {"type": "timestream", "meta": {}},
            },
        });
        let conf = conf(&file, &[]).unwrap();
        assert_eq!(conf.redis.nodes().unwrap(), [("r".to_owned(), 6380)]);
        assert!(conf.redis.use_ssl);
        assert_eq!((conf.redis.database, conf.key_prefix.as_deref()), (2, Some("a-")));
        assert_eq!((conf.delay, conf.chunk), (Some(Duration::from_secs(2)), Some(100)));
        let [output] = conf.outputs.as_slice() else { panic!("{:?}", conf.outputs) };
        assert_eq!((output.name.as_str(), output.kind), ("old", "galileo"));
        assert_eq!(output.timeout, Some(Duration::from_secs(3)));
        assert_eq!(output.config["queue_size"], 7);
        assert_eq!(output.filters.org_ids, ["o"]);
        assert_eq!(output.filters.skip_response_codes, [500]);
        let mut unsupported = conf.unsupported;
        unsupported.sort();
        assert_eq!(
            unsupported,
            [
                "analytics_storage_config.strange",
                "dont_purge_uptime_data",
                "log_level",
                "pumps.cloud (type timestream)",
                "pumps.old.meta.weird",
                "pumps.old.omit_detailed_recording",
            ]
        );
    }

    #[test]
    fn variables_go_over_the_file() {
        let file =
            json!({"purge_delay": 2, "pumps": {"Old": {"type": "galileo", "meta": {"service_token": "t"}}}});
        let variables = [
            ("TYK_PMP_PURGEDELAY", "9"),
            ("TYK_PMP_TEMPORAL_STORAGE_HOST", "late"),
            ("TYK_PMP_REDIS_HOST", "early"),
            ("TYK_PMP_ANALYTICSSTORAGECONFIG_ADDRS", "a:1, b:2"),
            ("TYK_PMP_PUMPS_OLD_META_SERVICETOKEN", "u"),
            ("TYK_PMP_PUMPS_OLD_META_LOGBODIES", "true"),
            ("TYK_PMP_PUMPS_OLD_FILTERS_SKIPPEDAPIIDS", "x,y"),
            ("TYK_PMP_PUMPS_OLD_TIMEOUT", "4"),
            ("TYK_PMP_PUMPS_MASHAPEANALYTICS_TYPE", "mashape-analytics"),
            ("TYK_PMP_PUMPS_MASHAPEANALYTICS_META_SERVICETOKEN", "v"),
            ("TYK_PMP_NOSUCHTHING", "1"),
            ("HOME", "/"),
        ];
        let conf = conf(&file, &variables).unwrap();
        assert_eq!(conf.delay, Some(Duration::from_secs(9)));
        assert_eq!(conf.redis.host, "late");
        assert_eq!(conf.redis.addrs.as_deref(), Some(&["a:1".to_owned(), "b:2".to_owned()][..]));
        let old = conf.outputs.iter().find(|output| output.name == "old").unwrap();
        assert_eq!(
            (old.config["service_token"].as_str(), old.config["log_bodies"].as_bool()),
            (Some("u"), Some(true))
        );
        assert_eq!(old.filters.skip_api_ids, ["x", "y"]);
        assert_eq!(old.timeout, Some(Duration::from_secs(4)));
        assert!(conf.unsupported.contains(&"TYK_PMP_NOSUCHTHING".to_owned()));
    }

    /// What the original's own documentation shows for these types.
    #[test]
    fn mongo_and_prometheus_are_read_as_they_are() {
        let url = "mongodb://tyk-mongo:27017/tyk_analytics";
        let file = json!({"pumps": {
            "mongo": {"type": "mongo", "raw_request_decoded": true, "meta": {"collection_name": "tyk_analytics",
                "mongo_url": url, "max_insert_batch_size_bytes": 80000, "max_document_size_bytes": 20112,
                "collection_cap_enable": true, "mongo_session_consistency": "strong", "driver": "mongo-go"}},
            "mongo-pump-aggregate": {"meta": {"mongo_url": url, "use_mixed_collection": true,
                "aggregation_time": 50, "enable_aggregate_self_healing": true}},
            "selective": {"type": "mongo-pump-selective", "meta": {"mongo_url": url, "mongo_db_type": 1}},
        }});
        let variables = [
            ("TYK_PMP_PUMPS_PROMETHEUS_TYPE", "prometheus"),
            ("TYK_PMP_PUMPS_PROMETHEUS_META_ADDR", "localhost:9090"),
            ("TYK_PMP_PUMPS_SELECTIVE_META_MONGOUSESSL", "true"),
        ];
        let conf = conf(&file, &variables).unwrap();
        assert_eq!(conf.unsupported, ["pumps.mongo.raw_request_decoded"]);
        let output = |name: &str| &conf.outputs.iter().find(|output| output.name == name).unwrap().config;
        assert_eq!(output("mongo")["record"]["raw_request_decoded"], false);
        assert_eq!(output("mongo")["max_document_size_bytes"], 20_112);
        assert_eq!(output("mongo-pump-aggregate")["aggregation_time"], 50);
        assert_eq!(output("selective")["mongo_use_ssl"], true);
        assert_eq!(output("prometheus")["listen_address"], "localhost:9090");
    }

    #[test]
    fn what_is_changed_of_records_is_said_for_one_pump_or_for_all() {
        let sql = json!({"type": "sql", "raw_request_decoded": true,
            "meta": {"type": "postgres", "connection_string": "host=db"}});
        let file = json!({"omit_detailed_recording": false, "max_record_size": 1000, "raw_request_decoded": true,
        "pumps": {
            "a": {"type": "csv", "meta": {"csv_dir": "/a"}, "ignore_fields": null,
                "filters": {"org_ids": null, "response_codes": [200]}},
            "b": {"type": "csv", "meta": {"csv_dir": "/b"}, "max_record_size": 10, "raw_request_decoded": false,
                "raw_response_decoded": true, "omit_detailed_recording": true, "ignore_fields": ["api_key"]},
            "c": sql,
        }});
        let variables =
            [("TYK_PMP_DECODERAWRESPONSE", "true"), ("TYK_PMP_PUMPS_A_IGNOREFIELDS", "alias, api_key")];
        let conf = conf(&file, &variables).unwrap();
        let changes = |name: &str| {
            let output = conf.outputs.iter().find(|output| output.name == name).unwrap();
            output.config["record"].clone()
        };
        assert_eq!(
            changes("a"),
            json!({"detailed_recording": true, "max_record_size": 1000, "ignore_fields": ["alias", "api_key"],
                "raw_request_decoded": true, "raw_response_decoded": true})
        );
        assert_eq!(
            changes("b"),
            json!({"detailed_recording": false, "max_record_size": 10, "ignore_fields": ["api_key"],
                "raw_request_decoded": false, "raw_response_decoded": true})
        );
        // Readers of the tables expect Base64.
        assert_eq!(changes("c")["raw_request_decoded"], false);
        assert_eq!(changes("c")["raw_response_decoded"], false);
        assert_eq!(conf.unsupported, ["pumps.c.raw_request_decoded"]);
        assert_eq!(conf.outputs[0].filters.response_codes, [200]);
    }

    #[test]
    fn mistakes_name_their_key() {
        for (file, said) in [
            (json!([]), "pump.conf is not a JSON object"),
            (json!({"analytics_storage_type": "mongo"}), "analytics_storage_type: \"mongo\" is not redis"),
            (json!({"analytics_storage_config": {"port": "x"}}), "analytics_storage_config.port: "),
            (json!({"pumps": {"galileo": {"meta": {}}}}), "pumps.galileo.service_token: "),
            (json!({"pumps": {"galileo": 1}}), "pumps.galileo: is not an object"),
            (json!({"pumps": {"csv": {"meta": {"csv_dir": "/a"}, "filters": 5}}}), "pumps.csv.filters: "),
        ] {
            let error = conf(&file, &[]).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
