//! Whatever is sent to the endpoints for events, and whatever a service may answer; what is read is written and read again.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use weir_wire::moesif::config::Config;
use weir_wire::moesif::decode::{self, Reporter};
use weir_wire::moesif::encode::Encoder;
use weir_wire::moesif::served;

fn encoder() -> &'static Encoder {
    static ENCODER: OnceLock<Encoder> = OnceLock::new();
    ENCODER.get_or_init(|| {
        let settings = r#"{"application_id":"app","request_body_masks":["a","a.b"],"request_query_masks":["a"],
            "response_header_masks":["a"],"mask_unparsed":"drop"}"#;
        let settings = settings.parse().expect("valid JSON");
        Encoder::new(Config::read(settings).expect("valid settings"))
    })
}

fuzz_target!(|body: &[u8]| {
    let kong = Reporter { application_id: "app", user_agent: Some("kong-plugin-moesif/2"), ..Reporter::default() };
    let plain = Reporter { user_agent: None, ..kong };
    for decoded in [decode::one(body, &kong), decode::batch(body, &plain)].into_iter().flatten() {
        assert_eq!(decoded.offered, decoded.accepted.len() + decoded.rejected.len());
        for (_, exchange) in &decoded.accepted {
            let text = serde_json::to_string(&encoder().event(exchange, 1)).expect("events are written");
            decode::event(&text, &plain).expect("what weir writes it reads");
        }
    }
    let _config = served::config(body);
    let _rules = served::rules(body);
});
