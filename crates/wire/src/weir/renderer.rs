//! Writes one line per exchange.

use weir_model::Exchange;
use weir_pipeline::Renderer;

use super::encode;

#[derive(Debug)]
pub(super) struct Ndjson;

impl Renderer for Ndjson {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn exchange(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, &encode::record(exchange))
            .expect("strings and numbers always serialise");
        out.push(b'\n');
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}
