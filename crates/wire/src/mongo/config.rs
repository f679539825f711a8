//! The settings of Tyk Pump's `mongo`, `mongo-pump-selective` and `mongo-pump-aggregate`.

use std::time::Duration;

use mongodb::options::{ConnectionString, Tls, TlsOptions};
use serde::Deserialize;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret};
use weir_pipeline::QueueSettings;

use crate::parts::aggregate::{
    AggregateOptions, IGNORE_AGGREGATIONS, IGNORE_TAG_PREFIX_LIST, STORE_ANALYTICS_PER_MINUTE,
    THRESHOLD_LEN_TAG_LIST, TRACK_ALL_PATHS,
};
use crate::parts::record::{RECORD, RecordOptions};

/// How long to look for a server that takes writes.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Of a batch and of a document, when nothing else is said.
const DEFAULT_BYTES: usize = 10 * 1024 * 1024;
/// Of a capped collection, when nothing else is said.
const DEFAULT_CAP: u64 = 5 * 1024 * 1024 * 1024;
/// No server takes a document of 16 MiB or more; the rest is room for what the server adds.
const MOST_DOCUMENT_BYTES: usize = 16 * 1024 * 1024 - 16 * 1024;

const MONGO_URL: FieldSpec = FieldSpec {
    required: true,
    secret: true,
    ..FieldSpec::new(
        "mongo_url",
        FieldKind::Text,
        "`mongodb://user:password@host:27017/database`, or `mongodb+srv://…`",
    )
};
const MONGO_USE_SSL: FieldSpec = flag("mongo_use_ssl", "speak TLS; the address may say so, too");
const SKIP_VERIFY: FieldSpec = flag("mongo_ssl_insecure_skip_verify", "accept any certificate of the server");
const INVALID_HOSTNAMES: FieldSpec = flag(
    "mongo_ssl_allow_invalid_hostnames",
    "refused when true: a certificate is checked with its host, or not at all",
);
const CA_FILE: FieldSpec = FieldSpec::new(
    "mongo_ssl_ca_file",
    FieldKind::Text,
    "PEM file of authorities to trust in place of the usual ones",
);
const PEM_KEYFILE: FieldSpec = FieldSpec::new(
    "mongo_ssl_pem_keyfile",
    FieldKind::Text,
    "PEM file of the certificate to show and its key",
);
const DB_TYPE: FieldSpec = FieldSpec {
    default: Some("0"),
    ..FieldSpec::new(
        "mongo_db_type",
        FieldKind::Integer { min: 0, max: 2 },
        "0 MongoDB, 1 Amazon DocumentDB, 2 Azure Cosmos DB",
    )
};
const OMIT_INDEX_CREATION: FieldSpec = flag("omit_index_creation", "make no index on new collections");
const CONSISTENCY: FieldSpec = FieldSpec::new(
    "mongo_session_consistency",
    FieldKind::Text,
    "accepted without effect: nothing is read to be shown",
);
const DRIVER: FieldSpec = FieldSpec::new("driver", FieldKind::Text, "accepted without effect");
const DIRECT: FieldSpec =
    flag("mongo_direct_connection", "use only the server that is named, not the others of its set");
const BATCH_BYTES: FieldSpec = FieldSpec {
    default: Some("10485760"),
    ..FieldSpec::new(
        "max_insert_batch_size_bytes",
        FieldKind::Integer { min: 0, max: 1 << 30 },
        "about how many bytes are inserted at once; 0 means 10 MiB",
    )
};
const DOCUMENT_BYTES: FieldSpec = FieldSpec {
    default: Some("10485760"),
    ..FieldSpec::new(
        "max_document_size_bytes",
        FieldKind::Integer { min: 0, max: 1 << 30 },
        "bytes of a document above which it loses its dumps; 0 means 10 MiB, and never more than 16 MiB",
    )
};

const fn flag(name: &'static str, about: &'static str) -> FieldSpec {
    FieldSpec { default: Some("false"), ..FieldSpec::new(name, FieldKind::Boolean, about) }
}

/// The settings of the connection, and these.
macro_rules! connected {
    ($($field:expr),* $(,)?) => {
        &[
            MONGO_URL,
            MONGO_USE_SSL,
            SKIP_VERIFY,
            INVALID_HOSTNAMES,
            CA_FILE,
            PEM_KEYFILE,
            DB_TYPE,
            OMIT_INDEX_CREATION,
            CONSISTENCY,
            DRIVER,
            DIRECT,
            $($field),*
        ]
    };
}

pub(super) const FIELDS: &[FieldSpec] = connected![
    FieldSpec {
        default: Some("\"tyk_analytics\""),
        ..FieldSpec::new("collection_name", FieldKind::Text, "collection of the documents")
    },
    BATCH_BYTES,
    DOCUMENT_BYTES,
    flag("collection_cap_enable", "make the collection a capped one, when it is made"),
    FieldSpec {
        default: Some("0"),
        ..FieldSpec::new(
            "collection_cap_max_size_bytes",
            FieldKind::Integer { min: 0, max: 1 << 50 },
            "bytes of the capped collection; 0 means 5 GiB",
        )
    },
    RECORD,
];

pub(super) const SELECTIVE_FIELDS: &[FieldSpec] = connected![BATCH_BYTES, DOCUMENT_BYTES, RECORD,];

pub(super) const AGGREGATE_FIELDS: &[FieldSpec] = connected![
    flag("use_mixed_collection", "keep all organisations in `tyk_analytics_aggregates`, too"),
    TRACK_ALL_PATHS,
    IGNORE_TAG_PREFIX_LIST,
    THRESHOLD_LEN_TAG_LIST,
    STORE_ANALYTICS_PER_MINUTE,
    FieldSpec {
        default: Some("60"),
        ..FieldSpec::new(
            "aggregation_time",
            FieldKind::Integer { min: 0, max: 1 << 31 },
            "minutes of a bucket, 1 to 60; all else means 60",
        )
    },
    flag(
        "enable_aggregate_self_healing",
        "go on in narrower buckets when a document is full, in place of refusing calls",
    ),
    IGNORE_AGGREGATIONS,
];

/// Settings of any of the three.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    mongo_url: Secret,
    mongo_use_ssl: bool,
    mongo_ssl_insecure_skip_verify: bool,
    mongo_ssl_allow_invalid_hostnames: bool,
    mongo_ssl_ca_file: Option<String>,
    mongo_ssl_pem_keyfile: Option<String>,
    mongo_db_type: u8,
    pub(super) omit_index_creation: bool,
    mongo_direct_connection: bool,
    pub(super) collection_name: String,
    max_insert_batch_size_bytes: usize,
    max_document_size_bytes: usize,
    collection_cap_enable: bool,
    collection_cap_max_size_bytes: u64,
    pub(super) record: RecordOptions,
    pub(super) use_mixed_collection: bool,
    aggregation_time: u32,
    pub(super) enable_aggregate_self_healing: bool,
    #[serde(flatten)]
    pub(super) aggregate: AggregateOptions,
}

impl Config {
    /// Where to connect, and the database.
    ///
    /// # Errors
    /// An address that is none or names no database, and what cannot be kept.
    pub(super) fn connection(&self) -> Result<(ConnectionString, String), ConfigError> {
        if self.mongo_ssl_allow_invalid_hostnames {
            let message = "is not supported: name the host as its certificate does, \
                           or set mongo_ssl_insecure_skip_verify";
            return Err(ConfigError::one("mongo_ssl_allow_invalid_hostnames", message));
        }
        let mut connection = ConnectionString::parse(self.mongo_url.expose())
            .map_err(|error| ConfigError::one("mongo_url", error.kind.to_string()))?;
        let database = connection.default_database.clone().filter(|name| !name.is_empty());
        let database = database
            .ok_or_else(|| ConfigError::one("mongo_url", "names no database: mongodb://host/database"))?;
        if self.mongo_use_ssl {
            connection.tls = Some(Tls::Enabled(self.tls(connection.tls.take())));
        }
        if self.mongo_direct_connection {
            connection.direct_connection = Some(true);
        }
        connection.server_selection_timeout.get_or_insert(SELECTION_TIMEOUT);
        connection.app_name.get_or_insert_with(|| "weir".to_owned());
        Ok((connection, database))
    }

    /// What the address says of TLS, with our settings over it.
    fn tls(&self, said: Option<Tls>) -> TlsOptions {
        let mut options = match said {
            Some(Tls::Enabled(options)) => options,
            _ => TlsOptions::default(),
        };
        let path = |text: &Option<String>| text.as_ref().filter(|text| !text.is_empty()).map(Into::into);
        if self.mongo_ssl_insecure_skip_verify {
            options.allow_invalid_certificates = Some(true);
        }
        options.ca_file_path = path(&self.mongo_ssl_ca_file).or(options.ca_file_path);
        options.cert_key_file_path = path(&self.mongo_ssl_pem_keyfile).or(options.cert_key_file_path);
        options
    }

    pub(super) fn queue(&self) -> QueueSettings {
        QueueSettings { max_batch_bytes: self.batch_bytes(), ..QueueSettings::default() }
    }

    pub(super) fn batch_bytes(&self) -> usize {
        or_default(self.max_insert_batch_size_bytes)
    }

    pub(super) fn document_bytes(&self) -> usize {
        or_default(self.max_document_size_bytes).min(MOST_DOCUMENT_BYTES)
    }

    /// Bytes of a capped collection, when there shall be one.
    pub(super) fn cap(&self) -> Option<u64> {
        let size = self.collection_cap_max_size_bytes;
        self.collection_cap_enable.then_some(if size == 0 { DEFAULT_CAP } else { size })
    }

    /// Whether documents can expire by an index.
    pub(super) fn expires(&self) -> bool {
        self.mongo_db_type != 2
    }

    /// Minutes of a bucket.
    pub(super) fn bucket_minutes(&self) -> i64 {
        match self.aggregation_time {
            minutes @ 1..=60 => minutes.into(),
            _ => 60,
        }
    }
}

fn or_default(bytes: usize) -> usize {
    if bytes == 0 { DEFAULT_BYTES } else { bytes }
}
