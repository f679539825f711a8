//! One HAR entry, which must also survive being written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_wire::har;

fuzz_target!(|text: &[u8]| {
    if let Ok(exchange) = har::decode::entry(text, 0, None) {
        let mut out = Vec::new();
        (har::RENDERER.open)().exchange(&exchange, &mut out);
        har::decode::entry(&out, 0, None).expect("what weir writes it reads");
    }
});
