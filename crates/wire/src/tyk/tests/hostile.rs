//! Foreign bytes: never a panic, never more memory than the bytes allow; and what is written is read back.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::tyk::record::{
    Geo, GraphQl, GraphQlError, Latency, Layout, MAX_ITEMS, Mcp, Network, PathItem, Record, Text, Time,
};
use crate::tyk::{msgpack, protobuf};

fn text() -> impl Strategy<Value = Text<'static>> {
    prop_oneof![".{0,12}", "[a-z]{30,34}", "[a-z]{254,258}"].prop_map(Cow::Owned)
}

fn time() -> impl Strategy<Value = Time> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Time { seconds, nanos })
}

fn geo() -> impl Strategy<Value = Geo<'static>> {
    (text(), any::<u32>(), option::of(vec((text(), text()), 0..3)), -90.0..90.0, -180.0..180.0, text())
        .prop_map(|(country, id, names, latitude, longitude, time_zone)| Geo {
            country,
            geo_name_id: u64::from(id),
            names,
            latitude,
            longitude,
            time_zone,
        })
}

fn graphql() -> impl Strategy<Value = GraphQl<'static>> {
    let step = prop_oneof![text().prop_map(PathItem::Field), any::<i64>().prop_map(PathItem::Index)];
    let error = (text(), option::of(vec(step, 0..3)));
    let error = error.prop_map(|(message, path)| GraphQlError { message, path });
    let types = vec((text(), option::of(vec(text(), 0..3))), 0..3);
    (
        text(),
        option::of(vec(text(), 0..3)),
        option::of(types),
        option::of(vec(error, 0..3)),
        any::<i32>(),
        any::<bool>(),
    )
        .prop_map(|(variables, root_fields, types, errors, operation, has_errors)| GraphQl {
            variables,
            root_fields,
            types,
            errors,
            operation_type: i64::from(operation),
            has_errors,
            is_graphql: true,
        })
}

prop_compose! {
    pub(super) fn record()(
        texts in vec(text(), 20),
        numbers in vec(any::<i64>(), 10),
        small in vec(any::<i32>(), 5),
        times in (time(), time()),
        geo in geo(),
        tags in option::of(vec(text(), 0..20)),
        graphql in graphql(),
        track_path: bool,
    ) -> Record<'static> {
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap();
        let [day, month, year, hour, response_code] = [0, 1, 2, 3, 4].map(|index| i64::from(small[index]));
        Record {
            method: text(), host: text(), path: text(), raw_path: text(), user_agent: text(), api_key: text(),
            api_version: text(), api_name: text(), api_id: text(), org_id: text(), oauth_id: text(),
            raw_request: text(), raw_response: text(), ip_address: text(), alias: text(), api_schema: text(),
            original_path: text(), listen_path: text(),
            content_length: numbers[0], request_time: numbers[1], day, month, year, hour, response_code,
            time_stamp: times.0, expire_at: times.1, geo, tags, graphql, track_path,
            network: Network {
                open_connections: numbers[2], closed_connections: numbers[3], bytes_in: numbers[4],
                bytes_out: numbers[5],
            },
            latency: Latency { total: numbers[6], upstream: numbers[7], gateway: numbers[8] },
            mcp: Mcp { is_mcp: true, method: text(), primitive_type: text(), primitive_name: "x".into() },
            collection_name: "".into(), time_zone: "".into(),
        }
    }
}

proptest! {
    #[test]
    fn any_record_is_read_back_from_msgpack(record in record()) {
        let mut bytes = Vec::new();
        msgpack::encode(&record, Layout::Current, &mut bytes);
        prop_assert_eq!(msgpack::decode(&bytes).unwrap(), record);
    }

    #[test]
    fn fields_come_in_any_order(record in record(), seed: u64) {
        for layout in [Layout::Current, Layout::V3] {
            let mut bytes = Vec::new();
            msgpack::encode(&record, layout, &mut bytes);
            let mut entries = msgpack::entries(&bytes);
            entries.shuffle(&mut StdRng::seed_from_u64(seed));
            // A map of up to 65,535 entries, with how many those are in two bytes.
            let shuffled = [&[0xDE, 0, entries.len() as u8], entries.concat().as_slice()].concat();
            prop_assert_eq!(msgpack::decode(&shuffled).unwrap(), msgpack::decode(&bytes).unwrap());
        }
    }

    #[test]
    fn any_record_comes_back_from_protobuf_with_the_same_bytes(record in record()) {
        let mut bytes = Vec::new();
        protobuf::encode(&record, &mut bytes);
        let mut again = Vec::new();
        protobuf::encode(&protobuf::decode(&bytes).unwrap(), &mut again);
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _either = msgpack::decode(&bytes);
        let _either = protobuf::decode(&bytes);
    }

    #[test]
    fn damaged_records_never_panic(record in record(), at: usize, byte: u8, cut: usize) {
        for protobuf in [false, true] {
            let mut bytes = Vec::new();
            if protobuf { protobuf::encode(&record, &mut bytes) } else { msgpack::encode(&record, Layout::Current, &mut bytes) }
            let cut = cut % bytes.len();
            let whole = bytes.clone();
            let at = at % bytes.len();
            bytes[at] = byte;
            let decode = |bytes| if protobuf { protobuf::decode(bytes).map(|_| ()) } else { msgpack::decode(bytes).map(|_| ()) };
            let _either = decode(&bytes);
            // A part of a map is never taken for the whole.
            prop_assert!(protobuf || decode(&whole[..cut]).is_err());
        }
    }
}

#[test]
fn what_is_no_record_is_named() {
    let map = |entries: &[u8]| [&[0x81], entries].concat();
    for (bytes, said) in [
        (b"hello".to_vec(), "record: expected a map, not 0x68"),
        (vec![], "record: the bytes end within it"),
        (vec![0xC0], "record: nil"),
        (vec![0x80], "TimeStamp: is missing"),
        (map(b"\xA4Host\x07"), "Host: expected text, not 0x07"),
        (map(b"\xA3Geo\x81\xA7Country\x81\xA7ISOCode\x01"), "Geo: Country: ISOCode: expected text, not 0x01"),
        (map(b"\xA9TimeStamp\xD6\xFF\0\0\0\0"), "TimeStamp: expected a list, not 0xd6"),
        (map(b"\xA9TimeStamp\x92\x01\xCE\x3B\x9A\xCA\x00"), "TimeStamp: nanoseconds are not within a second"),
        (map(b"\xA9TimeStamp\xC0\0"), "record: 1 bytes follow it"),
        (map(b"\xA4Tags\xDD\xFF\xFF\xFF\xFF"), "Tags: more than 20000 items"),
        (vec![0xDF, 0xFF, 0xFF, 0xFF, 0xFF], "record: more than 20000 items"),
        (map(&[&[0xA1, b'x'][..], &[0x91; 40], &[0xC0]].concat()), "unknown field: nested too deeply"),
    ] {
        assert_eq!(msgpack::decode(&bytes).unwrap_err().to_string(), said, "{bytes:?}");
    }
    for (bytes, said) in [
        (b"\x0A\x05abc".as_slice(), "record: ends within a field"),
        (b"", "TimeStamp: is missing"),
        (b"\x08\x01", "Host: is not text or a message"),
        (b"\x6A\x03\x10\x80\x80", "TimeStamp: ends within a field"),
        (b"\x00\x01", "record: has a field with number 0"),
        (b"\x0B", "record: has a field of a kind that is not in use"),
        (&[0xFF; 11], "record: has a number of more than ten bytes"),
    ] {
        assert_eq!(protobuf::decode(bytes).unwrap_err().to_string(), said, "{bytes:?}");
    }
}

#[test]
fn fields_of_other_writers_are_read() {
    let record = |entries: &[u8]| [&[0x83, 0xA9][..], b"TimeStamp\x92\x01\x02", entries].concat();
    // A float where a whole number belongs, `bin` instead of text, an unknown field that holds a map with an extension.
    let bytes = record(b"\xACResponseCode\xCB\x40\x69\0\0\0\0\0\0\xA3New\x81\xD4\x01\x01\xC4\x01x");
    assert_eq!(msgpack::decode(&bytes).unwrap().response_code, 200);
    let bytes = record(b"\xA4Host\xC4\x02a\xFF\xA4Tags\xC0");
    let read = msgpack::decode(&bytes).unwrap();
    assert_eq!((read.host.as_ref(), read.tags), ("a\u{FFFD}", None));
}

#[test]
fn many_items_in_few_bytes_are_refused() {
    let mut bytes = vec![0x81, 0xA4];
    bytes.extend_from_slice(b"Tags\xDD");
    let count = u32::try_from(MAX_ITEMS).unwrap() - 1;
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend(std::iter::repeat_n(0xC0, MAX_ITEMS));
    assert_eq!(msgpack::decode(&bytes).unwrap_err().to_string(), "record: 1 bytes follow it");
    let many = [b"\xCA\x01\x00".repeat(MAX_ITEMS + 1), b"\x6A\0".to_vec()].concat();
    assert_eq!(protobuf::decode(&many).unwrap_err().to_string(), "record: has too many fields");
}
