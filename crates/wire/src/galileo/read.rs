//! ALF as it is met: versions 0.0.1, 1.0.0, 1.1.0 and the proposed 2.0.0 in one forgiving shape.
//!
//! Members that weir has no use for (`cache`, `cookies`, `comment`, ...) are skipped without being read.

use serde::Deserialize;

use super::decode::MAX_ENTRIES;
use crate::parts::lenient::{Many, Number, Pair, Text, Unread};

/// Entries or ALFs, unread.
pub(super) type Entries<'a> = Unread<'a, MAX_ENTRIES>;

/// The object around the entries.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) version: Text<'a>,
    #[serde(borrow, rename = "serviceToken")]
    pub(super) service_token: Text<'a>,
    #[serde(borrow)]
    pub(super) environment: Text<'a>,
    #[serde(borrow, rename = "clientIPAddress", alias = "clientIpAddress")]
    pub(super) client_ip_address: Text<'a>,
    /// 1.1.0 and before.
    #[serde(borrow)]
    pub(super) har: Option<Har<'a>>,
    /// 2.0.0.
    #[serde(borrow)]
    pub(super) service: Option<Service<'a>>,
    /// 2.0.0.
    #[serde(borrow)]
    pub(super) creator: Option<Creator<'a>>,
    /// 2.0.0.
    #[serde(borrow)]
    pub(super) entries: Option<Entries<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Har<'a> {
    #[serde(borrow)]
    pub(super) log: Option<Log<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Log<'a> {
    #[serde(borrow)]
    pub(super) creator: Option<Creator<'a>>,
    #[serde(borrow)]
    pub(super) entries: Option<Entries<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service<'a> {
    #[serde(borrow)]
    pub(super) token: Text<'a>,
    #[serde(borrow)]
    pub(super) environment: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Creator<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) version: Text<'a>,
}

/// One exchange.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    pub(super) time: Number,
    #[serde(borrow)]
    pub(super) started_date_time: Option<Text<'a>>,
    #[serde(borrow, rename = "serverIPAddress", alias = "serverIpAddress")]
    pub(super) server_ip_address: Text<'a>,
    #[serde(borrow, rename = "clientIPAddress", alias = "clientIpAddress")]
    pub(super) client_ip_address: Text<'a>,
    #[serde(borrow)]
    pub(super) request: Option<Request<'a>>,
    #[serde(borrow)]
    pub(super) response: Option<Response<'a>>,
    pub(super) timings: Option<Timings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    pub(super) method: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) url: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) http_version: Text<'a>,
    #[serde(borrow)]
    pub(super) query_string: Many<Pair<'a>>,
    #[serde(borrow)]
    pub(super) headers: Many<Pair<'a>>,
    pub(super) headers_size: Number,
    pub(super) body_captured: Option<bool>,
    pub(super) body_size: Number,
    #[serde(borrow)]
    pub(super) post_data: Option<Content<'a>>,
    /// 0.0.1, 2.0.0 and some senders of 1.0.0.
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Response<'a> {
    pub(super) status: Number,
    #[serde(borrow)]
    pub(super) status_text: Text<'a>,
    #[serde(borrow)]
    pub(super) http_version: Text<'a>,
    #[serde(borrow)]
    pub(super) headers: Many<Pair<'a>>,
    pub(super) headers_size: Number,
    pub(super) body_captured: Option<bool>,
    pub(super) body_size: Number,
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) mime_type: Text<'a>,
    #[serde(borrow)]
    pub(super) encoding: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) params: Many<Pair<'a>>,
    pub(super) size: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Timings {
    pub(super) blocked: Number,
    pub(super) dns: Number,
    pub(super) connect: Number,
    pub(super) ssl: Number,
    pub(super) send: Number,
    pub(super) wait: Number,
    pub(super) receive: Number,
}
