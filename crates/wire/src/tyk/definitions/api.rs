//! What a definition says of an API, whichever of the two formats it has.

/// One API.
#[derive(Debug, Clone)]
pub(super) struct Api {
    /// The file it is from.
    pub(super) file: String,
    pub(super) keys: &'static Keys,
    pub(super) id: String,
    pub(super) name: String,
    /// Empty when not given.
    pub(super) organisation: String,
    /// Whether only other APIs reach it: as a version of theirs.
    pub(super) internal: bool,
    /// Host that calls must name.
    pub(super) domain: Option<String>,
    pub(super) listen_path: ListenPath,
    /// Whether calls must come over TLS.
    pub(super) tls_only: bool,
    pub(super) upstream: Upstream,
    /// How callers show their key; `None` for everybody.
    pub(super) key: Option<KeySource>,
    pub(super) recording: Recording,
    pub(super) endpoints: Endpoints,
    pub(super) versions: Option<Versions>,
}

/// What the format calls things that are compared with those of other files.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) id: &'static str,
    pub(super) listen_path: &'static str,
    pub(super) targets: &'static str,
    pub(super) versions: &'static str,
}

/// Where an API listens.
#[derive(Debug, Clone)]
pub(super) struct ListenPath {
    /// A prefix; `{name}` and `{name:expression}` are one segment.
    pub(super) path: String,
    /// Whether it is taken off before the call goes on.
    pub(super) strip: bool,
}

/// Where calls go on to.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    /// Never empty; several share the calls.
    pub(super) targets: Vec<Target>,
    /// Whether the client's `Host` goes on.
    pub(super) preserve_host: bool,
    /// Whether certificates are not checked.
    pub(super) insecure: bool,
    /// Whether the slash at the end of a target's path stays.
    pub(super) keep_slash: bool,
}

/// One place that calls go on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// As a service names it: `http`, `https`, `grpc`.
    pub(super) protocol: &'static str,
    pub(super) host: String,
    pub(super) port: u16,
    /// Empty or with a slash at its start.
    pub(super) path: String,
    pub(super) weight: u64,
}

/// Where a caller's key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeySource {
    pub(super) header: Option<String>,
    pub(super) parameter: Option<String>,
    /// Whether the key is taken off before the call goes on.
    pub(super) strip: bool,
}

impl KeySource {
    /// With the header that Tyk takes when nothing else is on: an API with keys is never open.
    pub(super) fn new(header: Option<String>, parameter: Option<String>, strip: bool) -> Self {
        let header = header.or_else(|| parameter.is_none().then(|| DEFAULT_HEADER.to_owned()));
        Self { header, parameter, strip }
    }
}

/// Where keys are when nothing is said.
pub(super) const DEFAULT_HEADER: &str = "Authorization";

/// What is recorded of calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Recording {
    /// Whether nothing is.
    pub(super) off: bool,
    pub(super) detailed: bool,
    /// Headers whose values become tags.
    pub(super) tag_headers: Vec<String>,
    pub(super) tags: Vec<String>,
    /// Seconds until a record expires; 0 for the gateway's own time.
    pub(super) expire_after: u64,
}

/// Endpoints that are recorded in another way.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints {
    /// Not at all.
    pub(super) untracked: Vec<Endpoint>,
    /// Under their template.
    pub(super) tracked: Vec<Endpoint>,
}

/// A method and a template of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Empty for any.
    pub(super) method: String,
    pub(super) path: String,
}

/// The versions of an API.
#[derive(Debug, Clone)]
pub(super) struct Versions {
    pub(super) location: Location,
    /// The version of calls that name none; empty when they are refused.
    pub(super) default: String,
    /// Whether calls that name an unknown version get the default.
    pub(super) fall_back: bool,
    /// Whether the version is taken off before the call goes on.
    pub(super) strip: bool,
    pub(super) list: Vec<Version>,
}

/// Where a call names its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// In this header.
    Header(String),
    /// In the first segment after the listen path.
    Path,
    /// Where routes cannot look: in the query.
    Elsewhere,
}

/// One version.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) goes_to: GoesTo,
    pub(super) endpoints: Endpoints,
}

/// Where calls of a version go.
#[derive(Debug, Clone)]
pub(super) enum GoesTo {
    /// To the API's own upstream.
    Own,
    /// To another place.
    Place(Target),
    /// To the API of this id, with its upstream and its settings.
    Api(String),
}
