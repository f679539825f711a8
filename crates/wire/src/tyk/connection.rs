//! Redis as the gateway's and the pump's settings describe it: one node, Sentinel or Cluster; password or user; TLS.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    Pipeline, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, TlsMode, Value,
};
use serde::Deserialize;
use tokio::sync::Mutex;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret};

use crate::parts::tls;

const PORT: FieldKind = FieldKind::Integer { min: 0, max: 65_535 };
const COUNT: FieldKind = FieldKind::Integer { min: 0, max: 1_000_000 };

const fn on_off(name: &'static str, aliases: &'static [&'static str], about: &'static str) -> FieldSpec {
    FieldSpec { default: Some("false"), aliases, ..FieldSpec::new(name, FieldKind::Boolean, about) }
}

const fn file(name: &'static str, aliases: &'static [&'static str], about: &'static str) -> FieldSpec {
    FieldSpec { aliases, ..FieldSpec::new(name, FieldKind::Text, about) }
}

const fn secret(name: &'static str, about: &'static str) -> FieldSpec {
    FieldSpec { secret: true, ..FieldSpec::new(name, FieldKind::Text, about) }
}

/// The settings of a connection, by the names of the gateway (`storage`) and of the pump (`analytics_storage_config`).
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("\"redis\""),
        ..FieldSpec::new("type", FieldKind::OneOf(&["redis", ""]), "only `redis`")
    },
    FieldSpec {
        default: Some("\"localhost\""),
        ..FieldSpec::new("host", FieldKind::Text, "name or address")
    },
    FieldSpec { default: Some("6379"), ..FieldSpec::new("port", PORT, "port") },
    FieldSpec::new("hosts", FieldKind::Map(&FieldKind::Any), "ports by host (deprecated: `addrs`)"),
    FieldSpec::new(
        "addrs",
        FieldKind::Array(&FieldKind::Text),
        "host:port of every node, or of every sentinel; goes before `host` and `hosts`",
    ),
    FieldSpec::new("master_name", FieldKind::Text, "name of the master; makes `addrs` sentinels"),
    secret("sentinel_password", "password of the sentinels"),
    FieldSpec::new("username", FieldKind::Text, "user of the access control list"),
    secret("password", "password"),
    FieldSpec { default: Some("0"), ..FieldSpec::new("database", COUNT, "number of the database") },
    FieldSpec {
        default: Some("5"),
        ..FieldSpec::new("timeout", COUNT, "seconds to connect, and for each answer")
    },
    FieldSpec {
        default: Some("100"),
        ..FieldSpec::new("optimisation_max_idle", COUNT, "accepted; one connection is enough")
    },
    FieldSpec {
        default: Some("500"),
        ..FieldSpec::new("optimisation_max_active", COUNT, "accepted; one connection is enough")
    },
    on_off("enable_cluster", &[], "`addrs` are nodes of a cluster"),
    on_off("use_ssl", &["redis_use_ssl"], "speak TLS"),
    on_off("ssl_insecure_skip_verify", &["redis_ssl_insecure_skip_verify"], "do not check the certificate"),
    file("ca_file", &["ssl_ca_file"], "PEM file of the authorities to trust; the system's when left out"),
    file("cert_file", &["ssl_cert_file"], "PEM file of our certificate"),
    file("key_file", &["ssl_key_file"], "PEM file of its key"),
    FieldSpec {
        aliases: &["ssl_min_version"],
        ..FieldSpec::new(
            "tls_min_version",
            FieldKind::OneOf(&["", "1.0", "1.1", "1.2"]),
            "1.2 and 1.3 are spoken",
        )
    },
    FieldSpec {
        aliases: &["ssl_max_version"],
        ..FieldSpec::new("tls_max_version", FieldKind::OneOf(&["", "1.3"]), "1.2 and 1.3 are spoken")
    },
];

/// The settings, checked and completed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct RedisSettings {
    /// Name or address, for a single node.
    pub host: String,
    /// Port, for a single node.
    pub port: u16,
    /// Ports by host.
    pub hosts: Option<serde_json::Map<String, serde_json::Value>>,
    /// Nodes or sentinels, as host:port.
    pub addrs: Option<Vec<String>>,
    /// Makes the nodes sentinels.
    pub master_name: Option<String>,
    /// Of the sentinels.
    pub sentinel_password: Option<Secret>,
    /// User of the access control list.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Number of the database.
    pub database: i64,
    /// Seconds; 0 is the default of 5.
    pub timeout: u64,
    /// Whether the nodes are those of a cluster.
    pub enable_cluster: bool,
    /// Whether to speak TLS.
    pub use_ssl: bool,
    /// Whether the certificate is not checked.
    pub ssl_insecure_skip_verify: bool,
    /// PEM.
    pub ca_file: Option<String>,
    /// PEM.
    pub cert_file: Option<String>,
    /// PEM.
    pub key_file: Option<String>,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 6379,
            hosts: None,
            addrs: None,
            master_name: None,
            sentinel_password: None,
            username: None,
            password: None,
            database: 0,
            timeout: 5,
            enable_cluster: false,
            use_ssl: false,
            ssl_insecure_skip_verify: false,
            ca_file: None,
            cert_file: None,
            key_file: None,
        }
    }
}

impl RedisSettings {
    /// The nodes to connect to.
    ///
    /// # Errors
    /// Names an address that is none.
    pub fn nodes(&self) -> Result<Vec<(String, u16)>, ConfigError> {
        let host_and_port = |address: &String| {
            let parts = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
            let bad = || ConfigError::one("addrs", format!("{address:?} is not host:port"));
            let (host, port) = parts.filter(|(host, _)| !host.is_empty()).ok_or_else(bad)?;
            Ok((host.trim_matches(['[', ']']).to_owned(), port))
        };
        let addresses = self.addrs.iter().flatten().map(host_and_port).collect::<Result<Vec<_>, _>>()?;
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        let hosts: Vec<String> =
            self.hosts.iter().flatten().map(|(host, port)| spelled(host, port)).collect();
        let hosts = hosts.iter().map(host_and_port).collect::<Result<Vec<_>, _>>()?;
        Ok(if hosts.is_empty() { vec![(self.host.clone(), self.port)] } else { hosts })
    }

    /// How long to wait for a connection, and for each answer.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(if self.timeout == 0 { 5 } else { self.timeout })
    }

    fn address(&self, (host, port): (String, u16)) -> ConnectionAddr {
        if self.use_ssl {
            ConnectionAddr::TcpTls { host, port, insecure: self.ssl_insecure_skip_verify, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    fn tls_mode(&self) -> Option<TlsMode> {
        let mode = if self.ssl_insecure_skip_verify { TlsMode::Insecure } else { TlsMode::Secure };
        self.use_ssl.then_some(mode)
    }

    fn certificates(&self) -> io::Result<TlsCertificates> {
        tls::settle_provider();
        let read = |file: &Option<String>| match file.as_deref().filter(|file| !file.is_empty()) {
            Some(file) => fs::read(file)
                .map(Some)
                .map_err(|error| io::Error::new(error.kind(), format!("{file}: {error}"))),
            None => Ok(None),
        };
        let own = read(&self.cert_file)?.zip(read(&self.key_file)?);
        let client_tls = own.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        Ok(TlsCertificates { client_tls, root_cert: read(&self.ca_file)? })
    }

    fn login(&self) -> RedisConnectionInfo {
        let mut login = RedisConnectionInfo::default().set_db(self.database).set_skip_set_lib_name();
        if let Some(name) = set(self.username.as_deref()) {
            login = login.set_username(name);
        }
        if let Some(password) = set(self.password.as_ref().map(Secret::expose)) {
            login = login.set_password(password);
        }
        login
    }
}

fn spelled(host: &str, port: &serde_json::Value) -> String {
    match port {
        serde_json::Value::String(port) => format!("{host}:{port}"),
        port => format!("{host}:{port}"),
    }
}

fn set(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// A connection that is made when it is needed and again after it broke. Cloning is cheap.
#[derive(Clone)]
pub struct Redis {
    settings: Arc<RedisSettings>,
    open: Arc<Mutex<Option<Open>>>,
}

#[derive(Clone)]
enum Open {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Redis {
    /// Does no IO.
    pub fn new(settings: RedisSettings) -> Self {
        Self { settings: Arc::new(settings), open: Arc::default() }
    }

    /// One command.
    ///
    /// # Errors
    /// What Redis answered, or what happened to the connection, which is then made anew with the next command.
    pub async fn command(&self, command: &Cmd) -> RedisResult<Value> {
        let mut open = self.connection().await?;
        let answer = match &mut open {
            Open::Node(node) => node.req_packed_command(command).await,
            Open::Cluster(cluster) => cluster.req_packed_command(command).await,
        };
        self.after(answer.and_then(Value::extract_error)).await
    }

    /// Several commands with their answers; a failed one fails them all. In a cluster an atomic pipeline must keep to
    /// keys of one slot.
    ///
    /// # Errors
    /// As for [`Redis::command`].
    pub async fn pipeline<T: redis::FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<T> {
        let mut open = self.connection().await?;
        let answer = match &mut open {
            Open::Node(node) => pipeline.query_async(node).await,
            Open::Cluster(cluster) => pipeline.query_async(cluster).await,
        };
        self.after(answer).await
    }

    async fn after<T>(&self, answer: RedisResult<T>) -> RedisResult<T> {
        if let Err(error) = &answer
            && (error.is_io_error()
                || error.is_timeout()
                || error.is_unrecoverable_error()
                || is_moved(error))
        {
            *self.open.lock().await = None;
        }
        answer
    }

    async fn connection(&self) -> RedisResult<Open> {
        let mut open = self.open.lock().await;
        if let Some(open) = &*open {
            return Ok(open.clone());
        }
        // A connection that hangs while it is made must not hang whoever asks for it.
        let connecting = tokio::time::timeout(self.settings.patience() * 2, connect(&self.settings));
        let fresh = connecting.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        *open = Some(fresh.clone());
        Ok(fresh)
    }
}

/// Whether the node is no longer the one to write to.
fn is_moved(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "LOADING"))
}

async fn connect(settings: &RedisSettings) -> RedisResult<Open> {
    let nodes = settings.nodes().map_err(|error| {
        RedisError::from((ErrorKind::InvalidClientConfig, "addresses", error.to_string()))
    })?;
    let patience = settings.patience();
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(Some(patience));
    if let Some(master) = set(settings.master_name.as_deref()) {
        let mut sentinel = sentinel(settings, nodes, master)?;
        return answering(sentinel.get_async_connection_with_config(&config).await?).await;
    }
    if settings.enable_cluster {
        return cluster(settings, nodes)?.get_async_connection().await.map(Open::Cluster);
    }
    let mut last = None;
    for node in nodes {
        let info = settings.address(node).into_connection_info()?.set_redis_settings(settings.login());
        let client = if settings.use_ssl {
            Client::build_with_tls(info, settings.certificates()?)?
        } else {
            Client::open(info)?
        };
        let answering = match client.get_multiplexed_async_connection_with_config(&config).await {
            Ok(node) => answering(node).await,
            Err(error) => Err(error),
        };
        match answering {
            Ok(open) => return Ok(open),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| RedisError::from((ErrorKind::InvalidClientConfig, "no address"))))
}

/// A server that stands still accepts connections and carries out later, all at once, what was sent on each of them. So a new
/// connection is used only when it has answered; otherwise every repetition of a batch would be written in the end.
async fn answering(mut node: MultiplexedConnection) -> RedisResult<Open> {
    let answer: RedisResult<redis::Value> = redis::cmd("PING").query_async(&mut node).await;
    match answer {
        Err(error) if error.is_io_error() || error.is_timeout() => Err(error),
        // A refusal is an answer: the user need not be allowed to ask this.
        _ => Ok(Open::Node(node)),
    }
}

fn sentinel(
    settings: &RedisSettings,
    nodes: Vec<(String, u16)>,
    master: &str,
) -> RedisResult<redis::sentinel::SentinelClient> {
    let sentinels = nodes.into_iter().map(|node| settings.address(node));
    let mut builder = SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
        .set_client_to_redis_db(settings.database);
    if let Some(name) = set(settings.username.as_deref()) {
        builder = builder.set_client_to_redis_username(name);
    }
    if let Some(password) = set(settings.password.as_ref().map(Secret::expose)) {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(password) = set(settings.sentinel_password.as_ref().map(Secret::expose)) {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if let Some(mode) = settings.tls_mode() {
        let certificates = settings.certificates()?;
        builder = builder
            .set_client_to_redis_tls_mode(mode)
            .set_client_to_sentinel_tls_mode(mode)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    builder.build()
}

fn cluster(settings: &RedisSettings, nodes: Vec<(String, u16)>) -> RedisResult<ClusterClient> {
    let nodes = nodes.into_iter().map(|node| settings.address(node));
    let mut builder = ClusterClient::builder(nodes)
        .connection_timeout(settings.patience())
        .response_timeout(settings.patience())
        .retries(3);
    if let Some(name) = set(settings.username.as_deref()) {
        builder = builder.username(name);
    }
    if let Some(password) = set(settings.password.as_ref().map(Secret::expose)) {
        builder = builder.password(password);
    }
    if let Some(mode) = settings.tls_mode() {
        builder = builder.tls(mode).certs(settings.certificates()?);
    }
    builder.build()
}
