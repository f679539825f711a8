//! The sections of a record. Numbers are never reused; a reader skips those it does not know.

/// Version of the layout, the first byte of every record.
pub(super) const VERSION: u8 = 1;

pub(super) const END: u8 = 0;
pub(super) const ID: u8 = 1;
pub(super) const STARTED_AT: u8 = 2;
pub(super) const PROJECT: u8 = 3;
pub(super) const ORIGIN_SOURCE: u8 = 4;
pub(super) const ORIGIN_NODE: u8 = 5;
pub(super) const ORIGIN_ENVIRONMENT: u8 = 6;
pub(super) const SERVICE: u8 = 7;
pub(super) const ROUTE: u8 = 8;
/// There was a consumer, whatever is known of it.
pub(super) const CONSUMER: u8 = 9;
pub(super) const CONSUMER_ID: u8 = 10;
pub(super) const CONSUMER_USERNAME: u8 = 11;
pub(super) const CONSUMER_CUSTOM_ID: u8 = 12;
pub(super) const CONSUMER_CREDENTIAL: u8 = 13;
pub(super) const USER: u8 = 14;
pub(super) const COMPANY: u8 = 15;
pub(super) const SUBSCRIPTION: u8 = 16;
pub(super) const SESSION: u8 = 17;
pub(super) const CLIENT: u8 = 18;
pub(super) const SERVER: u8 = 19;
pub(super) const METHOD: u8 = 20;
pub(super) const SCHEME: u8 = 21;
pub(super) const HOST: u8 = 22;
pub(super) const PATH: u8 = 23;
pub(super) const QUERY: u8 = 24;
/// Status of the answer; without it there was none.
pub(super) const STATUS: u8 = 25;
pub(super) const REASON: u8 = 26;
pub(super) const TIMING: u8 = 27;
pub(super) const ERROR: u8 = 28;
pub(super) const OPERATION: u8 = 29;
pub(super) const OPERATION_NAME: u8 = 30;
pub(super) const OPERATION_KIND: u8 = 31;
pub(super) const OPERATION_ERROR: u8 = 32;
pub(super) const FINDING: u8 = 33;
pub(super) const WEIGHT: u8 = 34;
pub(super) const PLUGIN: u8 = 35;
pub(super) const ATTRIBUTE: u8 = 36;

/// Sections that a request and a response both have: `REQUEST_PART + part` or `RESPONSE_PART + part`.
pub(super) const REQUEST_PART: u8 = 64;
pub(super) const RESPONSE_PART: u8 = 96;
pub(super) const LAST_PART: u8 = 127;

pub(super) const PART_VERSION: u8 = 0;
pub(super) const PART_HEADER: u8 = 1;
pub(super) const PART_HEADERS_SIZE: u8 = 2;
pub(super) const PART_TRAILER: u8 = 3;
pub(super) const PART_BODY_SIZE: u8 = 4;
/// A piece of the body; pieces follow one another.
pub(super) const PART_BODY: u8 = 5;
/// The pieces are the whole body. Pieces without this mark are the beginning of one.
pub(super) const PART_BODY_WHOLE: u8 = 6;
/// Nothing of the body was kept, and why.
pub(super) const PART_BODY_NOT: u8 = 7;
/// The beginning of a body was kept, be it empty.
pub(super) const PART_BODY_CUT: u8 = 8;
pub(super) const PART_CODING: u8 = 9;
pub(super) const PART_MEDIA_TYPE: u8 = 10;
