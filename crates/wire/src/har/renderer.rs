//! Writes HAR files entry by entry.

use weir_model::Exchange;
use weir_pipeline::Renderer;

use super::encode;

/// The position in one file.
#[derive(Debug, Default)]
pub(super) struct Har {
    begun: bool,
}

impl Renderer for Har {
    fn begin(&mut self, out: &mut Vec<u8>) {
        const HEAD: &str = concat!(
            r#"{"log":{"version":"1.2","creator":{"name":"weir","version":""#,
            env!("CARGO_PKG_VERSION"),
            r#""},"pages":[],"entries":["#
        );
        out.extend_from_slice(HEAD.as_bytes());
    }

    fn exchange(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        if self.begun {
            out.push(b',');
        }
        self.begun = true;
        out.push(b'\n');
        serde_json::to_writer(out, &encode::entry(exchange)).expect("strings and numbers always serialise");
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n]}}\n");
    }
}
