//! Whatever lies in a list of traffic records.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_wire::tyk::record::Layout;
use weir_wire::tyk::{msgpack, protobuf};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = msgpack::decode(bytes) {
        let mut written = Vec::new();
        msgpack::encode(&record, Layout::Current, &mut written);
        assert!(msgpack::decode(&written).is_ok());
    }
    if let Ok(record) = protobuf::decode(bytes) {
        let mut written = Vec::new();
        protobuf::encode(&record, &mut written);
        assert!(protobuf::decode(&written).is_ok());
    }
});
