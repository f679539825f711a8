//! Whatever is sent to the ALF endpoints.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_wire::galileo::decode;

fuzz_target!(|body: &[u8]| {
    if let Ok(decoded) = decode::call(body, Some("key")) {
        assert_eq!(decoded.offered, decoded.accepted.len() + decoded.rejected.len());
        assert_eq!(decoded.offered, decode::entries_per_alf(body).iter().sum::<usize>());
    }
});
