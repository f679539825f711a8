//! `Exchange::memory` beside what the allocator was asked for.

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use weir_model::{Exchange, ExchangeId};
use weir_pipeline::record;
use weir_pipeline::testing::random_exchange;

use super::vectors::{all, hex};
use crate::tyk::{decode, msgpack};

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
    for vector in all()["vectors"].as_array().unwrap() {
        let (name, bytes) = (&vector["name"], hex(&vector["msgpack_hex"]));
        let from_record = || {
            let record = msgpack::decode(&bytes).unwrap();
            decode::exchange(&record, ExchangeId::new)
        };
        check(&format!("{name} from its record"), || vec![from_record()]);
        let mut journalled = Vec::new();
        record::encode(&from_record(), &mut journalled);
        check(&format!("{name} from the journal"), || {
            vec![record::decode(Bytes::copy_from_slice(&journalled)).unwrap()]
        });
    }
    let mut rng = StdRng::seed_from_u64(1);
    check("anything", || (0..2_000).map(|_| random_exchange(&mut rng)).collect());
}
