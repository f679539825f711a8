//! Settings of the first generation as those of the second (kong-analytics, section 6).

use serde_json::{Map, Value};
use url::Url;

use super::exporter::DEFAULT_HOST;

/// The settings of `galileo` that mean what these of `mashape-analytics` meant; what is left to defaults is left out.
/// `collector` takes the place of the historical host, whose name leads nowhere.
pub fn migrate(old: &Map<String, Value>, collector: Option<&Url>) -> Map<String, Value> {
    let mut new = Map::new();
    for (to, from) in [
        ("service_token", "service_token"),
        ("environment", "environment"),
        ("log_bodies", "log_body"),
        ("queue_size", "batch_size"),
        ("flush_timeout", "delay"),
    ] {
        if let Some(value) = old.get(from).filter(|value| !value.is_null()) {
            new.insert(to.to_owned(), value.clone());
        }
    }
    let address = match (old.get("host").and_then(Value::as_str), collector) {
        (None | Some(DEFAULT_HOST), None) => None,
        (None | Some(DEFAULT_HOST), Some(collector)) => Some((
            collector.host_str().unwrap_or_default().to_owned(),
            collector.port_or_known_default().unwrap_or(443).into(),
            collector.scheme() == "https",
        )),
        (Some(host), _) => {
            let port = old.get("port").filter(|port| !port.is_null()).cloned();
            Some((host.to_owned(), port.unwrap_or(80.into()), false))
        }
    };
    if let Some((host, port, https)) = address {
        new.insert("host".to_owned(), host.into());
        new.insert("port".to_owned(), port);
        new.insert("https".to_owned(), https.into());
    }
    new.insert("https_verify".to_owned(), false.into());
    new
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::galileo::config::{Config, FIELDS};

    fn migrated(old: &Value, collector: Option<&str>) -> Value {
        let collector = collector.map(|text| text.parse().unwrap());
        let new = Value::Object(migrate(old.as_object().unwrap(), collector.as_ref()));
        let complete = weir_kit::schema::check(FIELDS, new.clone()).unwrap();
        Config::read(complete).unwrap();
        new
    }

    #[test]
    fn old_settings_keep_their_meaning() {
        let old = json!({
            "service_token": "tok-1", "environment": "staging", "batch_size": 7, "log_body": true, "delay": 3,
            "host": "alf.test", "port": 8080, "path": "/1.0.0/batch", "max_sending_queue_size": 10,
        });
        let new = json!({
            "service_token": "tok-1", "environment": "staging", "queue_size": 7, "log_bodies": true,
            "flush_timeout": 3, "host": "alf.test", "port": 8080, "https": false, "https_verify": false,
        });
        assert_eq!(migrated(&old, None), new);
        assert_eq!(migrated(&old, Some("https://other.test")), new, "a host of one's own stays");
    }

    #[test]
    fn the_historical_host_gives_way() {
        let old = json!({"service_token": "t", "environment": null, "host": DEFAULT_HOST, "port": 80});
        assert_eq!(migrated(&old, None), json!({"service_token": "t", "https_verify": false}));
        let new = json!({"service_token": "t", "host": "weir.test", "port": 8002, "https": false, "https_verify": false});
        assert_eq!(migrated(&old, Some("http://weir.test:8002")), new);
        assert_eq!(migrated(&json!({"service_token": "t"}), Some("https://weir.test"))["port"], 443);
    }
}
