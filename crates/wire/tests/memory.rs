//! `Exchange::memory` beside what the allocator was asked for.

#![allow(clippy::expect_used)] // A broken expectation fails the test.

use std::sync::Arc;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId};
use weir_pipeline::record;
use weir_pipeline::testing::random_exchange;
use weir_wire::tyk::{decode, msgpack};

/// The records that real gateways wrote, by name.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../testdata/vectors/tyk-records.json")).expect("it is JSON");
    let vectors = file["vectors"].as_array().expect("there are vectors");
    let bytes_of = |hex: &str| {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    let text = |value: &serde_json::Value| value.as_str().expect("it is text").to_owned();
    vectors.iter().map(|vector| (text(&vector["name"]), bytes_of(&text(&vector["msgpack_hex"])))).collect()
}

/// Compares with what the allocator was asked for while `make` made exchanges that stay.
fn check(what: &str, make: impl FnOnce() -> Vec<Exchange>) {
    let mut made = Vec::new();
    let taken = allocation_counter::measure(|| made = make()).bytes_current as f64;
    let estimate = made.iter().map(Exchange::memory).sum::<usize>() as f64;
    let ratio = estimate / taken;
    assert!((0.75..1.25).contains(&ratio), "{what}: {estimate} bytes estimated, {taken} taken");
}

#[test]
fn the_estimate_is_within_a_quarter_of_what_is_taken() {
    let id = |start: Timestamp| ExchangeId::with_random(start, [7; 16]);
    for (name, bytes) in vectors() {
        let from_record = || {
            let record = msgpack::decode(&bytes).expect("a real encoder wrote it");
            Arc::unwrap_or_clone(decode::exchange(&record, id))
        };
        check(&format!("{name} from its record"), || vec![from_record()]);
        let mut journalled = Vec::new();
        record::encode(&from_record(), &mut journalled);
        check(&format!("{name} from the journal"), || {
            vec![record::decode(Bytes::copy_from_slice(&journalled)).expect("just written")]
        });
    }
    let mut rng = StdRng::seed_from_u64(1);
    check("anything", || (0..2_000).map(|_| random_exchange(&mut rng)).collect());
}
