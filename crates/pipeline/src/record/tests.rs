use bytes::Bytes;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use weir_kit::Timestamp;
use weir_model::{Captured, ExchangeId, WhyNot};

use super::*;
use crate::testing::random_exchange;

fn record(seed: u64) -> (Exchange, Vec<u8>) {
    let exchange = random_exchange(&mut StdRng::seed_from_u64(seed));
    let mut record = Vec::new();
    encode(&exchange, &mut record);
    (exchange, record)
}

proptest! {
    #[test]
    fn every_exchange_comes_back(seed: u64) {
        let (exchange, record) = record(seed);
        prop_assert_eq!(decode(record.into()).unwrap(), exchange);
    }

    #[test]
    fn foreign_bytes_never_panic(mut bytes: Vec<u8>) {
        let _outcome = decode(bytes.clone().into());
        bytes.insert(0, tag::VERSION);
        let _outcome = decode(bytes.into());
    }

    #[test]
    fn changed_bytes_never_panic(seed: u64, place: prop::sample::Index, value: u8) {
        let (_, mut record) = record(seed);
        let place = place.index(record.len());
        record[place] = value;
        let _outcome = decode(record.into());
    }

    #[test]
    fn frames_come_apart_as_they_were_put_together(records: Vec<Vec<u8>>) {
        let mut buffer = Vec::new();
        for record in &records {
            assert!(frame(record, &mut buffer));
        }
        let back: Vec<Bytes> = frames(buffer.into()).map(Result::unwrap).collect();
        prop_assert_eq!(back, records);
    }

    #[test]
    fn foreign_frames_never_panic(bytes: Vec<u8>) {
        for framed in frames(bytes.into()) {
            let _outcome = framed;
        }
    }
}

#[test]
fn a_record_cut_anywhere_is_refused() {
    for seed in 0..20 {
        let (_, record) = record(seed);
        let record = Bytes::from(record);
        for length in 0..record.len() {
            assert!(decode(record.slice(..length)).is_err(), "seed {seed} cut to {length}");
        }
        let mut longer = record.to_vec();
        longer.push(0);
        assert!(decode(longer.into()).is_err());
    }
}

#[test]
fn header_values_and_a_body_in_one_piece_share_memory() {
    let mut record = Vec::new();
    let mut writer = Writer::start(&mut record, ExchangeId::new(Timestamp::default()), Timestamp::default());
    writer.header(Side::Request, "Accept", b"text/plain").body(Side::Request, b"hello");
    writer.body_end(Side::Request, BodyEnd::Whole);
    writer.finish();
    let record = Bytes::from(record);
    let within = |bytes: &Bytes| record.as_ptr_range().contains(&bytes.as_ptr());

    let exchange = decode(record.clone()).unwrap();
    assert!(within(exchange.request.headers.get("accept").unwrap()));
    assert!(within(exchange.request.body.bytes().unwrap()));
}

#[test]
fn sections_come_in_any_order_and_unknown_ones_are_skipped() {
    let id = ExchangeId::new(Timestamp::from_seconds(1_500_000_000));
    let mut record = Vec::new();
    Writer::start(&mut record, id, Timestamp::from_seconds(1_500_000_000))
        .body(Side::Response, b"he")
        .header(Side::Response, "X-Late", b"1");
    record.extend_from_slice(&[200, 3, 9, 9, 9]);
    record.extend_from_slice(&[tag::RESPONSE_PART + 30, 0]);
    let mut writer = Writer::resume(&mut record);
    writer.status(204).body_slices(Side::Response, [&b"ll"[..], b"o"].into_iter());
    writer
        .text(Text::Path, "/first")
        .text(Text::Path, "/second")
        .text(Text::Plugin, "a")
        .text(Text::Plugin, "b");
    writer.body_end(Side::Request, BodyEnd::Not(WhyNot::Budget));
    writer.finish();

    let exchange = decode(record.into()).unwrap();
    assert_eq!(exchange.id, id);
    assert_eq!(exchange.request.path, "/second");
    assert_eq!(exchange.plugins, ["a", "b"]);
    assert_eq!(exchange.request.body.captured, Captured::No(WhyNot::Budget));
    let response = exchange.response.unwrap();
    assert_eq!(response.status, 204);
    assert_eq!(response.headers.text("x-late").unwrap(), "1");
    // Nobody said that the body was whole.
    assert_eq!(response.body.captured, Captured::Cut(Bytes::from_static(b"hello")));
}

#[test]
fn without_a_status_there_is_no_response() {
    let mut record = Vec::new();
    let mut writer = Writer::start(&mut record, ExchangeId::new(Timestamp::default()), Timestamp::default());
    writer.header(Side::Response, "X-Partial", b"1");
    writer.finish();
    assert_eq!(decode(record.into()).unwrap().response, None);
}

#[test]
fn mistakes_say_where_they_are() {
    let start = |tail: &[u8]| {
        let mut record = Vec::new();
        Writer::start(&mut record, ExchangeId::new(Timestamp::default()), Timestamp::default());
        record.extend_from_slice(tail);
        decode(record.into()).unwrap_err()
    };
    assert_eq!(decode(Bytes::from_static(&[9])).unwrap_err(), BadRecord::Version(9));
    assert_eq!(decode(Bytes::from_static(&[1, 0])).unwrap_err(), BadRecord::Missing("id"));
    assert_eq!(start(&[tag::STATUS, 1, 0, 0]), BadRecord::Section { tag: tag::STATUS, end: 32 });
    assert_eq!(start(&[tag::PATH, 1, 0xff, 0]), BadRecord::Section { tag: tag::PATH, end: 32 });
    // A length of more than 64 bits.
    assert_eq!(start(&[[tag::PATH].as_slice(), &[0xff; 10]].concat()), BadRecord::Length(29));
}
