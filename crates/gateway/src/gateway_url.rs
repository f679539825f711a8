//! Gateway URLs: a host name that says where a call goes on to and under which bucket it is recorded (kong-runscope, C1).
//!
//! `http://foo-bar.example.com/path` through bucket `b1` is `http://foo--bar-example-com-b1.<suffix>/path`; a port goes into the header
//! `Runscope-Request-Port`. `http://b1.<suffix>/` is a capture URL: the call is recorded and goes nowhere.
//!
//! A call goes through the plugins that are global, as calls without a route do.
//!
//! Off unless a suffix is set. A gateway that goes wherever a caller says is an open proxy, so targets must be listed.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, HOST, HeaderName, HeaderValue, LOCATION,
};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, StatusCode, request};

use crate::answer::Answer;
use crate::capture::host_of;
use crate::headers::split_port;
use crate::plugins::{Call, Chain};
use crate::snapshot::{PathHandling, Route, Service, UpstreamProtocol};

static REQUEST_PORT: HeaderName = HeaderName::from_static("runscope-request-port");
static BUCKET_AUTH: HeaderName = HeaderName::from_static("runscope-bucket-auth");
static MESSAGE_ID: HeaderName = HeaderName::from_static("runscope-message-id");

/// The attribute that names the bucket.
pub const BUCKET_ATTRIBUTE: &str = "runscope.bucket";

/// How long a target may take to be connected to, and between two reads or writes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What gateway URLs there are.
#[derive(Debug, Clone, Default)]
pub struct GatewayUrls {
    /// What hosts end with, after a dot; lower case.
    suffix: String,
    targets: Vec<TargetRule>,
    /// What callers of a bucket must show, by bucket.
    tokens: Vec<(String, String)>,
}

/// A target that may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TargetRule {
    /// A host, or what follows the `*` of `*.example.com`, the dot included.
    host: String,
    below: bool,
    /// `None`: those of the schemes.
    port: PortRule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortRule {
    Usual,
    Any,
    This(u16),
}

/// A target's rule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a target: {0:?}; write it as example.com, *.example.com, example.com:8080 or example.com:*")]
pub struct BadTarget(String);

impl std::str::FromStr for TargetRule {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let bad = || BadTarget(text.chars().take(80).collect());
        let (host, port) = match text.rsplit_once(':') {
            None => (text, PortRule::Usual),
            Some((host, "*")) => (host, PortRule::Any),
            Some((host, port)) => (host, PortRule::This(port.parse().map_err(|_| bad())?)),
        };
        let (host, below) = match host.strip_prefix('*') {
            Some(rest) => (rest, true),
            None => (host, false),
        };
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let name = if below { host.strip_prefix('.').unwrap_or_default() } else { host };
        if name.is_empty() || !host.bytes().all(known) {
            return Err(bad());
        }
        Ok(Self { host: host.to_ascii_lowercase(), below, port })
    }
}

impl TargetRule {
    fn allows(&self, host: &str, port: u16, usual: u16) -> bool {
        let host_fits = if self.below { host.ends_with(&self.host) } else { host == self.host };
        let port_fits = match self.port {
            PortRule::Usual => port == usual,
            PortRule::Any => true,
            PortRule::This(allowed) => port == allowed,
        };
        host_fits && port_fits
    }
}

/// A call under a gateway URL that goes on.
#[derive(Debug)]
pub struct Bucketed {
    /// Where the call goes.
    pub service: Service,
    /// How.
    pub route: Route,
    /// The host that the caller named.
    gateway_host: String,
}

impl GatewayUrls {
    /// URLs under this suffix, for these targets; `tokens` are what callers of a bucket must show.
    ///
    /// # Errors
    /// A target that cannot be read.
    pub fn new(
        suffix: &str,
        targets: &[String],
        tokens: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, BadTarget> {
        let targets = targets.iter().map(|target| target.parse()).collect::<Result<_, _>>()?;
        let suffix = suffix.trim_start_matches('.').to_ascii_lowercase();
        Ok(Self { suffix, targets, tokens: tokens.into_iter().collect() })
    }

    /// Makes a call under a gateway URL one to its target; does nothing for other calls. `Err` is the answer to a call
    /// that goes nowhere.
    pub(crate) fn apply(&self, call: &mut Call) -> Result<(), Box<Answer>> {
        let (host, _) = split_port(host_of(&call.request));
        let host = host.to_ascii_lowercase();
        let Some(name) = host.strip_suffix(&self.suffix).and_then(|name| name.strip_suffix('.')) else {
            return Ok(());
        };
        let (target, bucket) = match name.rsplit_once('-') {
            Some((target, bucket)) => (Some(unfold(target)), bucket),
            None => (None, name),
        };
        call.attributes.set(BUCKET_ATTRIBUTE, bucket);
        let shown = take_credential(&mut call.request);
        let wanted = self.tokens.iter().find(|(known, _)| known == bucket).map(|(_, token)| token);
        if wanted.is_some_and(|wanted| shown.as_deref() != Some(wanted)) {
            let message = "this bucket wants its token in Runscope-Bucket-Auth";
            return Err(Answer::message(StatusCode::UNAUTHORIZED, message).into());
        }
        let id = HeaderValue::from_str(&call.id.to_string()).ok();
        call.response_headers.extend(id.map(|id| (MESSAGE_ID.clone(), id)));
        call.response_headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        call.response_headers
            .insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Runscope-Message-Id"));
        let Some(target) = target else { return Err(Answer::empty(StatusCode::OK).into()) };
        let usual = if call.tls { 443 } else { 80 };
        let port = match call.request.headers.remove(&REQUEST_PORT) {
            None => usual,
            Some(port) => port.to_str().ok().and_then(|port| port.parse().ok()).ok_or_else(|| {
                Answer::message(StatusCode::BAD_REQUEST, "Runscope-Request-Port is not a port")
            })?,
        };
        if !self.targets.iter().any(|rule| rule.allows(&target, port, usual)) {
            let message = format!("{target}:{port} is not among the targets of this gateway's URLs");
            return Err(Answer::message(StatusCode::FORBIDDEN, &message).into());
        }
        readdress(&mut call.request, &target, port, usual)?;
        call.bucketed = Some(Rc::new(bucketed(bucket, &target, port, call.tls, host.clone())));
        Ok(())
    }
}

/// The host that a label stands for: `--` is a dash, `-` a dot.
fn unfold(label: &str) -> String {
    label.split("--").map(|part| part.replace('-', ".")).collect::<Vec<_>>().join("-")
}

/// The token of a bucket, from the header or the query, and both without it.
fn take_credential(request: &mut request::Parts) -> Option<String> {
    let header = request.headers.remove(&BUCKET_AUTH);
    let header = header.and_then(|value| value.to_str().ok().map(str::to_owned));
    let Some(query) = request.uri.query() else { return header };
    let is_ours = |pair: &&str| {
        pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case(BUCKET_AUTH.as_str()))
    };
    let Some(found) = query.split('&').find(is_ours) else { return header };
    let value = found.split_once('=').map(|(_, value)| value.to_owned());
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_ours(pair)).collect();
    let path = request.uri.path();
    let whole = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    if let Ok(whole) = PathAndQuery::try_from(whole) {
        let mut parts = std::mem::take(&mut request.uri).into_parts();
        parts.path_and_query = Some(whole);
        request.uri = Uri::from_parts(parts).unwrap_or_default();
    }
    header.or(value)
}

/// From here on the request names its target, in the record, too.
fn readdress(request: &mut request::Parts, target: &str, port: u16, usual: u16) -> Result<(), Box<Answer>> {
    let host = if port == usual { target.to_owned() } else { format!("{target}:{port}") };
    let value = HeaderValue::from_str(&host).map_err(|_| Answer::standard(StatusCode::BAD_REQUEST))?;
    request.headers.insert(HOST, value);
    let path = request.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    request.uri = Uri::from(path);
    Ok(())
}

fn bucketed(bucket: &str, target: &str, port: u16, tls: bool, gateway_host: String) -> Bucketed {
    let name: Arc<str> = target.into();
    let service = Service {
        id: name.clone(),
        name: Some(name.clone()),
        protocol: if tls { UpstreamProtocol::Https } else { UpstreamProtocol::Http },
        host: name,
        port,
        path: None,
        connect_timeout: TIMEOUT,
        write_timeout: TIMEOUT,
        read_timeout: TIMEOUT,
        retries: 0,
        tls_verify: true,
        upstream: None,
    };
    let label: Arc<str> = format!("bucket {bucket}").into();
    let route = Route {
        id: label.clone(),
        name: Some(label),
        hosts: Vec::new(),
        service: None,
        strip_path: false,
        preserve_host: false,
        accepts_plain: true,
        https_redirect_status: StatusCode::UPGRADE_REQUIRED,
        path_handling: PathHandling::V0,
        request_buffering: false,
        response_buffering: false,
        chain: Chain::default(),
    };
    Bucketed { service, route, gateway_host }
}

impl Bucketed {
    /// A redirection within the target stays under the gateway URL.
    pub(crate) fn rewrite_location(&self, headers: &mut HeaderMap) {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(uri) = location.and_then(|text| text.parse::<Uri>().ok()) else { return };
        let same_host = uri.host().is_some_and(|host| host.eq_ignore_ascii_case(&self.service.host));
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        // Another port could not be said in a host; the caller makes a gateway URL of the new address again.
        if !same_host || uri.port_u16().unwrap_or(usual) != usual || self.service.port != usual {
            return;
        }
        let (scheme, path) = (uri.scheme_str().unwrap_or("http"), uri.path_and_query());
        let path = path.map_or("/", PathAndQuery::as_str);
        if let Ok(value) = HeaderValue::from_str(&format!("{scheme}://{}{path}", self.gateway_host)) {
            headers.insert(LOCATION, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_for_hosts() {
        for (label, host) in [
            ("example-org", "example.org"),
            ("foo--bar-example-org", "foo-bar.example.org"),
            ("127-0-0-1", "127.0.0.1"),
            ("a----b-c", "a--b.c"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(unfold(label), host, "{label}");
        }
    }

    #[test]
    fn only_listed_targets_are_called() {
        let allowed =
            |rule: &str, host: &str, port: u16| rule.parse::<TargetRule>().unwrap().allows(host, port, 80);
        assert!(allowed("example.org", "example.org", 80));
        assert!(!allowed("example.org", "example.org", 8080));
        assert!(!allowed("example.org", "evil-example.org", 80));
        assert!(!allowed("example.org", "a.example.org", 80));
        assert!(allowed("*.example.org", "a.b.example.org", 80));
        assert!(!allowed("*.example.org", "example.org", 80));
        assert!(!allowed("*.example.org", "evilexample.org", 80));
        assert!(allowed("example.org:8080", "example.org", 8080));
        assert!(allowed("example.org:*", "example.org", 1));
        for rule in ["", "*", "*.", "a b", "http://a", "a:port", "*a*"] {
            assert!(rule.parse::<TargetRule>().is_err(), "{rule:?}");
        }
    }

    fn parts(uri: &str) -> request::Parts {
        http::Request::get(uri).body(()).unwrap().into_parts().0
    }

    #[test]
    fn credentials_are_taken_off() {
        let mut request = parts("http://h/p?a=1&Runscope-Bucket-Auth=t&b=2");
        assert_eq!(take_credential(&mut request).as_deref(), Some("t"));
        assert_eq!(request.uri, "http://h/p?a=1&b=2");
        let mut request = parts("/p?runscope-bucket-auth=t");
        request.headers.insert("runscope-bucket-auth", HeaderValue::from_static("header"));
        assert_eq!(take_credential(&mut request).as_deref(), Some("header"));
        assert_eq!((request.uri.to_string().as_str(), request.headers.len()), ("/p", 0));
        assert_eq!(take_credential(&mut parts("/p")), None);
    }

    #[test]
    fn redirections_within_the_target_stay_under_the_gateway_url() {
        let bucketed = bucketed("b", "example.org", 80, false, "example-org-b.gw.test".to_owned());
        for (given, expected) in [
            ("http://example.org/x?y", "http://example-org-b.gw.test/x?y"),
            ("http://example.org:81/x", "http://example.org:81/x"),
            ("http://other.org/x", "http://other.org/x"),
            ("/x", "/x"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(given));
            bucketed.rewrite_location(&mut headers);
            assert_eq!(headers[LOCATION], expected);
        }
    }
}
