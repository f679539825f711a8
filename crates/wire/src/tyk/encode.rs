//! From exchanges to records, as the gateway would have written them (sections 3 and 5). Pure.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use weir_kit::Timestamp;
use weir_model::{Attributes, Exchange, Request, Value, recording};

use super::hash::{self, KeyHash};
use super::normalise::Normaliser;
use super::record::{Geo, GraphQl, GraphQlError, Latency, Mcp, Network, PathItem, Record, Text, Time};
use super::{NAMES, NO_KEY, SOURCE, civil, dump};
use crate::parts::content_length;

/// Tags of an ordinary record, for the room that they are given at first.
const USUAL_TAGS: usize = 4;

/// Which records have dumps of request and response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dumps {
    /// Those of calls that were to be recorded whole, as their API or key says.
    #[default]
    WhereAsked,
    /// All.
    Always,
    /// None.
    Never,
}

/// What settings say about records. The default is a gateway without any analytics setting, for organisation `default`.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Which have requests and responses whole.
    pub dumps: Dumps,
    /// Whether paths become the templates that were learned from traffic, where no endpoint is tracked by name.
    pub templates: bool,
    /// Organisation of exchanges that name none.
    pub org_id: String,
    /// Whether keys are hashed, and how when they do not say.
    pub hash_keys: Option<KeyHash>,
    /// Headers whose values become tags, in lower case.
    pub tag_headers: Vec<String>,
    /// Tags of every record: those of the node.
    pub node_tags: Vec<String>,
    /// What becomes of values in paths.
    pub normaliser: Normaliser,
    /// How long stores with an expiry keep a record; `None`: 100 years.
    pub expire_after: Option<Duration>,
}

/// The record of an exchange. One that came from a record gives that record again, but for what the format's page names
/// as lost; of any other the record is made up.
pub fn record<'a>(exchange: &'a Exchange, profile: &Profile) -> Record<'a> {
    let facts = Facts { exchange, attributes: &exchange.attributes, ours: exchange.origin.source != SOURCE };
    let total = exchange.duration().unwrap_or_default();
    let ended = exchange.started_at + total;
    let (year, month, day, hour) = facts.local_time().unwrap_or_else(|| civil(ended));
    let latency = latency(exchange, total);
    let (raw_request, raw_response) =
        if facts.detailed(profile.dumps) { facts.dumps() } else { Default::default() };
    let (api_key, org_id) = (facts.api_key(profile), facts.org_id(profile));
    let api_id = facts.text_or(NAMES.api_id, facts.api_name());
    let tags = facts.tags(&api_key, &org_id, &api_id, profile);
    Record {
        method: Cow::Borrowed(&exchange.request.method),
        host: facts.text(NAMES.host, || Cow::Borrowed(&exchange.request.host)),
        path: slashed(profile.normaliser.apply(facts.path(profile))),
        raw_path: slashed(facts.raw_path()),
        content_length: facts
            .integer(NAMES.content_length)
            .unwrap_or_else(|| announced_length(&exchange.request)),
        user_agent: facts.user_agent(),
        day,
        month,
        year,
        hour,
        response_code: facts.response_code(),
        api_key,
        time_stamp: Time::of(ended),
        api_version: facts.text_or(NAMES.api_version, "Non Versioned"),
        api_name: Cow::Borrowed(facts.api_name()),
        api_id,
        org_id,
        oauth_id: facts.text_or(NAMES.oauth_id, ""),
        request_time: latency.total,
        raw_request,
        raw_response,
        ip_address: facts.ip_address(),
        geo: facts.geo(),
        network: facts.network(),
        latency,
        tags,
        alias: facts.alias(),
        track_path: facts.says(NAMES.track_path) || facts.endpoint(profile).is_some(),
        expire_at: facts.expire_at(ended, profile),
        api_schema: facts.text_or(NAMES.api_schema, ""),
        original_path: facts.original_path(),
        listen_path: facts.listen_path(),
        graphql: facts.graphql(),
        mcp: facts.mcp(),
        time_zone: Cow::Borrowed("UTC"),
        collection_name: Text::default(),
    }
}

/// Length of the request body as the gateway writes it: -1 when chunked, 0 when there is none.
pub(super) fn announced_length(request: &Request) -> i64 {
    if request.headers.get("transfer-encoding").is_some() {
        return -1;
    }
    let announced = content_length(&request.headers).or(request.body.size);
    announced.and_then(|length| i64::try_from(length).ok()).unwrap_or(0)
}

fn slashed(path: Text<'_>) -> Text<'_> {
    if path.is_empty() || path.starts_with('/') { path } else { format!("/{path}").into() }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Whole milliseconds. What came from a record has the time until the upstream's headers as the wait.
fn latency(exchange: &Exchange, total: Duration) -> Latency {
    let total = millis(total);
    let upstream = exchange.timings.wait.map_or(0, millis).min(total);
    Latency { total, upstream, gateway: total - upstream }
}

/// An exchange with a shorter way to its attributes.
struct Facts<'a> {
    exchange: &'a Exchange,
    attributes: &'a Attributes,
    /// Whether no record of Tyk's lies behind the exchange; what is not known is then made up.
    ours: bool,
}

impl<'a> Facts<'a> {
    fn text(&self, name: &str, otherwise: impl FnOnce() -> Text<'a>) -> Text<'a> {
        self.attributes.text(name).map_or_else(otherwise, Cow::Borrowed)
    }

    /// The attribute, else what is made up for exchanges that no record lies behind.
    fn text_or(&self, name: &str, made_up: &'a str) -> Text<'a> {
        self.text(name, || Cow::Borrowed(if self.ours { made_up } else { "" }))
    }

    fn integer(&self, name: &str) -> Option<i64> {
        match self.attributes.get(name)? {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    fn float(&self, name: &str) -> f64 {
        match self.attributes.get(name) {
            Some(Value::Float(number)) => *number,
            _ => 0.0,
        }
    }

    /// Whether the attribute is true.
    fn says(&self, name: &str) -> bool {
        matches!(self.attributes.get(name), Some(Value::Bool(true)))
    }

    fn json(&self, name: &str) -> Option<Json> {
        self.read(name)
    }

    fn read<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        match self.attributes.get(name)? {
            Value::Json(text) => serde_json::from_str(text).ok(),
            _ => None,
        }
    }

    /// A list of texts, which are not copied where JSON has them as they are.
    fn texts(&self, name: &str) -> Option<Vec<Text<'a>>> {
        if let Some(Value::Json(text)) = self.attributes.get(name)
            && let Some(texts) = plain_texts(text)
        {
            return Some(texts);
        }
        #[derive(Deserialize)]
        struct Item<'t>(#[serde(borrow)] Text<'t>);
        let items: Vec<Item<'a>> = self.read(name)?;
        Some(items.into_iter().map(|item| item.0).collect())
    }

    fn raw_path(&self) -> Text<'a> {
        let otherwise = || {
            // A record with an original path and none at the upstream has none at all.
            let none = !self.ours && self.attributes.get(NAMES.raw_path).is_some();
            Cow::Borrowed(if none { "" } else { self.upstream_path() })
        };
        self.text(NAMES.raw_path, otherwise)
    }

    /// What the client asked for, without the API's listen path where that is known and taken off.
    fn upstream_path(&self) -> &'a str {
        let path = self.exchange.request.path.as_str();
        let keeps = matches!(self.attributes.get(NAMES.strip_listen_path), Some(Value::Bool(false)));
        let listen_path = self.attributes.text(NAMES.listen_path).filter(|_| self.ours && !keeps);
        let rest = listen_path.and_then(|listen| path.strip_prefix(listen.trim_end_matches('/')));
        match rest {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }

    fn path(&self, profile: &Profile) -> Text<'a> {
        let otherwise = || self.endpoint(profile).map_or_else(|| self.raw_path(), Cow::Borrowed);
        self.text(NAMES.path, otherwise)
    }

    /// The endpoint that stands for the path: one that is tracked by name, else, where they are wanted, one that was learned.
    fn endpoint(&self, profile: &Profile) -> Option<&'a str> {
        let operation = self.exchange.operation.as_ref().filter(|_| self.ours && profile.templates);
        let learned = operation.map(|operation| operation.template.as_str()).filter(|path| !path.is_empty());
        self.attributes.text(recording::ENDPOINT).or(learned)
    }

    fn original_path(&self) -> Text<'a> {
        if self.ours || self.attributes.get(NAMES.raw_path).is_some() {
            return Cow::Owned(self.exchange.request.target());
        }
        Text::default()
    }

    fn listen_path(&self) -> Text<'a> {
        let route = self.exchange.route.as_deref().filter(|_| !self.ours);
        self.text(NAMES.listen_path, || Cow::Borrowed(route.unwrap_or_default()))
    }

    fn user_agent(&self) -> Text<'a> {
        self.text(NAMES.user_agent, || self.exchange.request.headers.text("user-agent").unwrap_or_default())
    }

    /// As the gateway words what went wrong when nobody answered (section 4).
    fn response_code(&self) -> i64 {
        if let Some(status) = self.exchange.status() {
            return i64::from(status);
        }
        self.integer(NAMES.response_code).unwrap_or_else(|| match self.exchange.error.as_deref() {
            Some(error) if error.contains("timeout") => 504,
            Some(error) if error.starts_with("client") => 499,
            _ => 500,
        })
    }

    fn api_name(&self) -> &'a str {
        let service = self.exchange.service.as_deref();
        let made_up = || {
            let host = Some(self.exchange.request.host.as_str());
            self.exchange.route.as_deref().or(host).filter(|_| self.ours)
        };
        self.attributes.text(NAMES.api_name).or(service).or_else(made_up).unwrap_or_default()
    }

    fn org_id(&self, profile: &Profile) -> Text<'a> {
        self.text(NAMES.org_id, || {
            let project = self.exchange.project.as_str();
            match (self.ours, profile.org_id.as_str()) {
                (false, _) => Text::default(),
                (true, "") => Cow::Borrowed(project),
                (true, organisation) => Cow::Owned(organisation.to_owned()),
            }
        })
    }

    fn api_key(&self, profile: &Profile) -> Text<'a> {
        if !self.ours {
            return self.text_or(NAMES.api_key, "");
        }
        let consumer = self.exchange.consumer.as_ref();
        let caller = consumer.and_then(|consumer| consumer.credential.as_deref().or(consumer.id.as_deref()));
        let caller = caller.or(self.exchange.identity.session.as_deref());
        let key = self.attributes.text(NAMES.api_key).or(caller).unwrap_or_default();
        match profile.hash_keys {
            Some(_) if key.is_empty() => Cow::Borrowed(NO_KEY),
            Some(_) if hash::is_hash(key) => Cow::Borrowed(key),
            Some(algorithm) => hash::hash(key, algorithm).into(),
            None => Cow::Borrowed(key),
        }
    }

    fn alias(&self) -> Text<'a> {
        let consumer = self.exchange.consumer.as_ref();
        let name =
            consumer.and_then(|consumer| consumer.username.as_deref().or(consumer.custom_id.as_deref()));
        self.text(NAMES.alias, || Cow::Borrowed(name.unwrap_or_default()))
    }

    fn ip_address(&self) -> Text<'a> {
        match self.exchange.client.address {
            Some(address) => shown(address).into(),
            None => self.text_or(NAMES.ip_address, ""),
        }
    }

    /// Whether the dumps are written: for all, or because the API or the key says so (section 4.1). A record had them or not.
    fn detailed(&self, dumps: Dumps) -> bool {
        match dumps {
            Dumps::Never => false,
            Dumps::Always => true,
            Dumps::WhereAsked => !self.ours || self.says(NAMES.detailed) || self.says(recording::DETAILED),
        }
    }

    fn dumps(&self) -> (Text<'a>, Text<'a>) {
        let (request, response) = (&self.exchange.request, self.exchange.response.as_ref());
        let had_request = self.ours || !request.version.is_empty();
        let had_response = |response: &&weir_model::Response| self.ours || !response.headers.is_empty();
        let target = || match (self.attributes.text(NAMES.target), &request.query) {
            (Some(target), _) => target.to_owned(),
            (None, Some(query)) => format!("{}?{query}", self.raw_path()),
            (None, None) => self.raw_path().into_owned(),
        };
        let asked = had_request.then(|| dump::write_request(request, &target(), self.ours));
        let answered =
            response.filter(had_response).map(|response| dump::write_response(response, self.ours));
        (asked.unwrap_or_default().into(), answered.unwrap_or_default().into())
    }

    fn expire_at(&self, ended: Timestamp, profile: &Profile) -> Time {
        if let Some(seconds) = self.integer(NAMES.expire_at) {
            return Time { seconds, nanos: 0 };
        }
        const HUNDRED_YEARS: Duration = Duration::from_secs(365 * 100 * 86_400);
        if !self.ours {
            return Time::ZERO;
        }
        let own = self.integer(recording::KEEP_FOR).and_then(|seconds| u64::try_from(seconds).ok());
        let keep_for = own.map(Duration::from_secs).or(profile.expire_after).unwrap_or(HUNDRED_YEARS);
        Time::of(ended + keep_for)
    }

    fn local_time(&self) -> Option<(i64, i64, i64, i64)> {
        let mut parts = self.attributes.text(NAMES.local_time)?.split(' ').map(|part| part.parse().ok());
        let mut next = || parts.next().flatten();
        Some((next()?, next()?, next()?, next()?))
    }

    /// Those of the record, or the gateway's in its order (section 5.3).
    fn tags(&self, api_key: &str, org_id: &str, api_id: &str, profile: &Profile) -> Option<Vec<Text<'a>>> {
        let known = self.texts(NAMES.tags);
        if !self.ours {
            return known;
        }
        let mut tags = known.unwrap_or_default();
        tags.extend(self.texts(recording::TAGS).into_iter().flatten());
        for (name, value) in self.exchange.request.headers.iter() {
            if profile.tag_headers.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)) {
                let value = String::from_utf8_lossy(value);
                tags.push(format!("{}-{value}", name.to_ascii_lowercase()).into());
            }
        }
        tags.extend(profile.node_tags.iter().cloned().map(Cow::Owned));
        let named = |kind: &str, id: &str| Cow::Owned(format!("{kind}-{id}"));
        tags.extend((!api_key.is_empty()).then(|| named("key", api_key)));
        tags.extend((!org_id.is_empty()).then(|| named("org", org_id)));
        tags.push(named("api", api_id));
        Some(tags)
    }

    fn geo(&self) -> Geo<'a> {
        let names: Option<Map<String, Json>> = self.read(NAMES.geo_names);
        let made_up = || {
            let city = self.attributes.text(NAMES.city).filter(|_| self.ours)?;
            Some(vec![(Cow::Borrowed("en"), Cow::Borrowed(city))])
        };
        let name = |(language, name): (String, Json)| {
            (Cow::Owned(language), Cow::Owned(name.as_str().unwrap_or_default().to_owned()))
        };
        Geo {
            country: self.text(NAMES.country, Text::default),
            geo_name_id: self.integer(NAMES.geo_name_id).and_then(|id| u64::try_from(id).ok()).unwrap_or(0),
            names: names.map(|names| names.into_iter().map(name).collect()).or_else(made_up),
            latitude: self.float(NAMES.latitude),
            longitude: self.float(NAMES.longitude),
            time_zone: self.text(NAMES.geo_time_zone, Text::default),
        }
    }

    fn network(&self) -> Network {
        let counts = self.json(NAMES.network);
        let count = |name: &str| counts.as_ref().and_then(|counts| counts[name].as_i64()).unwrap_or(0);
        Network {
            open_connections: count("open_connections"),
            closed_connections: count("closed_connections"),
            bytes_in: count("bytes_in"),
            bytes_out: count("bytes_out"),
        }
    }

    fn graphql(&self) -> GraphQl<'a> {
        #[derive(Deserialize)]
        struct Stored {
            is_graphql: bool,
            operation_type: i64,
            variables: String,
            root_fields: Option<Vec<String>>,
            types: Option<Vec<(String, Option<Vec<String>>)>>,
            has_errors: bool,
            errors: Option<Vec<StoredError>>,
        }
        let Some(stored) = self.read::<Stored>(NAMES.graphql) else { return GraphQl::default() };
        let owned = |texts: Vec<String>| texts.into_iter().map(Cow::Owned).collect::<Vec<_>>();
        let types = |types: Vec<(String, Option<Vec<String>>)>| {
            types.into_iter().map(|(name, fields)| (Cow::Owned(name), fields.map(owned))).collect()
        };
        GraphQl {
            variables: stored.variables.into(),
            root_fields: stored.root_fields.map(owned),
            types: stored.types.map(types),
            errors: stored.errors.map(|errors| errors.into_iter().map(StoredError::into_record).collect()),
            operation_type: stored.operation_type,
            has_errors: stored.has_errors,
            is_graphql: stored.is_graphql,
        }
    }

    fn mcp(&self) -> Mcp<'a> {
        let Some(stored) = self.json(NAMES.mcp) else { return Mcp::default() };
        let text = |name: &str| Cow::Owned(stored[name].as_str().unwrap_or_default().to_owned());
        Mcp {
            is_mcp: true,
            method: text("method"),
            primitive_type: text("primitive_type"),
            primitive_name: text("primitive_name"),
        }
    }
}

/// The texts of a JSON list in its shortest form, when nothing in them is escaped, as in nearly all lists of tags.
fn plain_texts(json: &str) -> Option<Vec<Text<'_>>> {
    let mut rest = json.strip_prefix('[')?;
    let mut texts = Vec::with_capacity(USUAL_TAGS);
    loop {
        rest = rest.strip_prefix('"')?;
        let end = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
        let text = rest.get(..end)?;
        rest = rest.get(end..)?.strip_prefix('"')?;
        texts.push(Cow::Borrowed(text));
        match rest.as_bytes() {
            b"]" => return Some(texts),
            [b',', ..] => rest = rest.get(1..)?,
            _ => return None,
        }
    }
}

/// The address as its `Display` writes it, which is slow where it is short.
fn shown(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { return address.to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for octet in address.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(itoa::Buffer::new().format(octet));
    }
    text
}

#[derive(Deserialize)]
struct StoredError {
    message: String,
    path: Option<Vec<Json>>,
}

impl StoredError {
    fn into_record<'a>(self) -> GraphQlError<'a> {
        let step = |step: Json| match step {
            Json::String(name) => Some(PathItem::Field(name.into())),
            step => step.as_i64().map(PathItem::Index),
        };
        let path = self.path.map(|steps| steps.into_iter().filter_map(step).collect());
        GraphQlError { message: self.message.into(), path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_everywhere() {
        for text in ["0.0.0.0", "127.0.0.1", "10.20.255.199", "::1", "2001:db8::ff00:42:8329"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(shown(address), address.to_string());
        }
    }

    #[test]
    fn a_list_is_read_as_json_or_left_to_its_reader() {
        for json in [
            r#"["a"]"#,
            r#"["a","b c",""]"#,
            r#"["é",",",", ","[]"]"#,
            r#"[""]"#,
            r#"["a\"b"]"#,
            r#"["a\\","b"]"#,
            r#"["a", "b"]"#,
            r#"["a",1,"b"]"#,
            r#"["a",["b"],"c"]"#,
            "[]",
        ] {
            let read: Option<Vec<String>> = serde_json::from_str(json).ok();
            let plain = plain_texts(json);
            assert!(
                plain.is_none() || plain.map(|texts| texts.iter().map(ToString::to_string).collect()) == read,
                "{json}"
            );
        }
        assert_eq!(plain_texts(r#"["a","b c"]"#).map(|texts| texts.len()), Some(2));
    }
}
