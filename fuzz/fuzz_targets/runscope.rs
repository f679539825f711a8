//! Whatever is sent to a bucket of the Messages API.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_kit::Timestamp;
use weir_wire::runscope::decode::{self, Context};

fuzz_target!(|body: &[u8]| {
    let received_at = Timestamp::from_seconds(1_460_376_000);
    let context = Context { bucket: "b1", token: "t1", received_at, seed: b"call" };
    if let Ok(decoded) = decode::call(body, &context) {
        assert_eq!(decoded.offered, decoded.accepted.len() + decoded.rejected.len());
    }
});
