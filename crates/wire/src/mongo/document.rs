//! A record as a document of Tyk Pump (tyk-pump, section 4.3). Pure.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc};
use weir_model::ExchangeId;

use crate::parts::record::{Entry, city_names};
use crate::tyk::record::{Geo, Record, Time};

/// A hundred years, which is what Tyk's gateway gives records without an expiry.
const FOR_EVER: i64 = 100 * 365 * 24 * 3_600;

/// The document of a record in at most `most` bytes; a larger one loses its dumps, as in the original.
///
/// # Errors
/// Why there is none: it is too large even so.
pub fn encoded(entry: &Entry<'_>, most: usize) -> Result<RawDocumentBuf, String> {
    let failed = |error: mongodb::bson::error::Error| format!("no document: {error}");
    let mut document = document(entry);
    let whole = RawDocumentBuf::try_from(&document).map_err(failed)?;
    if whole.as_bytes().len() <= most {
        return Ok(whole);
    }
    document.insert("rawrequest", "");
    document.insert("rawresponse", "");
    let small = RawDocumentBuf::try_from(&document).map_err(failed)?;
    match small.as_bytes().len() {
        bytes if bytes <= most => Ok(small),
        bytes => Err(format!("{bytes} bytes without its dumps; max_document_size_bytes is {most}")),
    }
}

/// Keys are the names of Tyk's fields in lower case.
fn document(entry: &Entry<'_>) -> Document {
    let record = &entry.record;
    let tags = record.tags.iter().flatten().map(|tag| Bson::from(&**tag));
    doc! {
        "_id": object_id(entry.id),
        "method": &*record.method,
        "host": &*record.host,
        "path": &*record.path,
        "rawpath": &*record.raw_path,
        "contentlength": record.content_length,
        "useragent": &*record.user_agent,
        "day": small(record.day),
        "month": small(record.month),
        "year": small(record.year),
        "hour": small(record.hour),
        "responsecode": small(record.response_code),
        "apikey": &*record.api_key,
        "timestamp": date(record.time_stamp),
        "apiversion": &*record.api_version,
        "apiname": &*record.api_name,
        "apiid": &*record.api_id,
        "orgid": &*record.org_id,
        "oauthid": &*record.oauth_id,
        "requesttime": record.request_time,
        "rawrequest": &*record.raw_request,
        "rawresponse": &*record.raw_response,
        "ipaddress": &*record.ip_address,
        "geo": geo(&record.geo),
        "network": {
            "openconnections": record.network.open_connections,
            "closedconnection": record.network.closed_connections,
            "bytesin": record.network.bytes_in,
            "bytesout": record.network.bytes_out,
        },
        "latency": {
            "total": record.latency.total,
            "upstream": record.latency.upstream,
            "gateway": record.latency.gateway,
        },
        "tags": tags.collect::<Vec<Bson>>(),
        "alias": &*record.alias,
        "trackpath": record.track_path,
        "expireAt": date(expire_at(record)),
        "originalpath": &*record.original_path,
        "listenpath": &*record.listen_path,
    }
}

fn geo(geo: &Geo<'_>) -> Document {
    let mut names = Document::new();
    for (language, name) in city_names(geo) {
        // Keys end at the character zero.
        names.insert(language.replace('\0', "\u{FFFD}"), name);
    }
    doc! {
        "country": {"isocode": &*geo.country},
        "city": {"geonameid": i64::try_from(geo.geo_name_id).unwrap_or(i64::MAX), "names": names},
        "location": {"latitude": geo.latitude, "longitude": geo.longitude, "timezone": &*geo.time_zone},
    }
}

/// When a record may be forgotten. Go's zero time would mean at once.
pub fn expire_at(record: &Record<'_>) -> Time {
    if record.expire_at == Time::ZERO {
        return Time { seconds: record.time_stamp.seconds.saturating_add(FOR_EVER), nanos: 0 };
    }
    record.expire_at
}

/// To the millisecond, as dates are.
pub fn date(time: Time) -> DateTime {
    let millis = time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos) / 1_000_000);
    DateTime::from_millis(millis)
}

/// The original's whole numbers are small where they can be.
fn small(number: i64) -> Bson {
    i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32)
}

/// The id of a document: like all of its kind it begins with the seconds, and the rest is all that is random in the id of the
/// exchange. The same for the same exchange, so what is sent again is stored once.
pub fn object_id(id: ExchangeId) -> ObjectId {
    let bits = u128::from_be_bytes(id.to_bytes());
    let seconds = u32::try_from((bits >> 80) / 1_000).unwrap_or(u32::MAX);
    // The two fixed bits of the lower half are covered by twelve random ones of the upper.
    let lower = u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0);
    let upper = u64::try_from((bits >> 64) & 0xFFF).unwrap_or(0);
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    bytes[4..].copy_from_slice(&(lower ^ (upper << 52)).to_be_bytes());
    ObjectId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use weir_kit::Timestamp;

    use super::*;

    fn entry() -> Entry<'static> {
        let at = Timestamp::from_seconds(1_795_175_537);
        let record = Record {
            method: "GET".into(),
            raw_request: "x".repeat(10_000).into(),
            time_stamp: Time::of(at),
            response_code: 404,
            geo: Geo { names: Some(vec![("d\0e".into(), "Köln".into())]), ..Geo::default() },
            ..Record::default()
        };
        Entry { id: ExchangeId::with_random(at, [7; 16]), weight: 1, record }
    }

    #[test]
    fn ids_begin_with_their_second_and_differ_by_every_random_bit() {
        let at = Timestamp::from_seconds(1_795_175_537);
        let id = |random: [u8; 16]| object_id(ExchangeId::with_random(at, random));
        assert_eq!(id([7; 16]), id([7; 16]));
        assert_eq!(id([7; 16]).timestamp().timestamp_millis(), 1_795_175_537_000);
        for position in 6..16 {
            let mut random = [7; 16];
            random[position] ^= 1;
            // One bit of each of the two bytes that version and variant share may be fixed, but not the lowest.
            assert_ne!(id(random), id([7; 16]), "{position}");
        }
    }

    #[test]
    fn a_document_that_is_too_large_loses_its_dumps() {
        let entry = entry();
        let whole = encoded(&entry, 1 << 20).unwrap();
        assert_eq!(whole.get_str("rawrequest").unwrap().len(), 10_000);
        assert_eq!(encoded(&entry, 5_000).unwrap().get_str("rawrequest").unwrap(), "");
        let error = encoded(&entry, 100).unwrap_err();
        assert!(error.ends_with("bytes without its dumps; max_document_size_bytes is 100"), "{error}");
    }

    #[test]
    fn a_record_without_expiry_does_not_expire_at_once() {
        let document = document(&entry());
        let at = document.get_datetime("expireAt").unwrap().timestamp_millis();
        assert_eq!(at, (1_795_175_537 + FOR_EVER) * 1_000);
        assert_eq!(document.get_i32("responsecode").unwrap(), 404);
        let names = document.get_document("geo").unwrap().get_document("city").unwrap();
        assert_eq!(names.get_document("names").unwrap().get_str("d\u{FFFD}e").unwrap(), "Köln");
    }
}
