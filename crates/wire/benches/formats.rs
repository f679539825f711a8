//! How fast formats are written and read, beside what `serde_json` alone needs for the same bytes. One JSON object per line.
//!
//! Run with `cargo bench -p weir-wire --bench formats`.

mod rounds;
mod sample;

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;

use sample::exchange;
use serde::de::IgnoredAny;
use serde_json::Value;
use weir_kit::Timestamp;
use weir_model::{Body, Exchange};
use weir_pipeline::{Imported, ImporterKind};
use weir_wire::galileo::{decode, encode, first};
use weir_wire::{access_log, har, moesif, runscope, weir};

const EVENTS: usize = 1_000;

/// Prints how much of `work` fits into a second.
fn measure(name: &str, body_bytes: usize, events: usize, bytes: usize, work: impl FnMut()) {
    let rate = rounds::per_second(work);
    let line = serde_json::json!({
        "bench": name,
        "body_bytes": body_bytes,
        "events_per_second": (rate * events as f64).round(),
        "megabytes_per_second": (rate * bytes as f64 / 1e5).round() / 10.0,
        "microseconds_per_event": (1e9 / (rate * events as f64)).round() / 1e3,
    });
    writeln!(std::io::stdout(), "{line}").expect("standard output is open");
}

fn import(kind: &ImporterKind, file: &[u8]) -> Imported {
    let (mut importer, mut out) = ((kind.open)(), Imported::default());
    for piece in file.chunks(64 * 1024) {
        importer.feed(piece, &mut out);
    }
    importer.finish(&mut out);
    assert!(out.rejected.is_empty());
    out
}

type Plan = fn(&[Arc<Exchange>], &str, Option<&str>, &encode::Profile) -> encode::Plan;

fn alf(version: &str, plan: Plan, body_bytes: usize) {
    let batch: Vec<Arc<Exchange>> =
        (0..EVENTS).map(|number| Arc::new(exchange(number, body_bytes))).collect();
    let profile = encode::Profile { log_bodies: body_bytes > 0, ..encode::Profile::default() };
    let plan = || plan(&batch, "token", None, &profile);
    let call = plan().calls.remove(0);
    let (body, events) = (call.body, call.entries.len());
    let name = |what: &str| format!("alf_{version}_{what}");
    measure(&name("encode"), body_bytes, events, body.len(), || {
        black_box(plan());
    });
    let tree: Value = serde_json::from_slice(&body).expect("what was written is JSON");
    measure(&name("floor_serde_json_write_tree"), body_bytes, events, body.len(), || {
        black_box(serde_json::to_vec(&tree).expect("a tree serialises"));
    });
    measure(&name("decode"), body_bytes, events, body.len(), || {
        black_box(decode::call(&body, Some("key")).expect("what was written is read"));
    });
    measure(&name("floor_serde_json_read_tree"), body_bytes, events, body.len(), || {
        black_box(serde_json::from_slice::<Value>(&body).expect("what was written is JSON"));
    });
    measure(&name("floor_serde_json_skip"), body_bytes, events, body.len(), || {
        black_box(serde_json::from_slice::<IgnoredAny>(&body).expect("what was written is JSON"));
    });
}

fn moesif(body_bytes: usize) {
    let batch: Vec<Exchange> =
        (0..EVENTS).map(|number| with_json_bodies(exchange(number, body_bytes))).collect();
    let settings = serde_json::json!({"application_id": "app"});
    let config = moesif::config::Config::read(settings).expect("settings are complete");
    let encoder = moesif::encode::Encoder::new(config);
    let write = || {
        let events: Vec<_> = batch.iter().map(|exchange| encoder.event(exchange, 1)).collect();
        serde_json::to_vec(&events).expect("events serialise")
    };
    let body = write();
    measure("moesif_encode", body_bytes, EVENTS, body.len(), || {
        black_box(write());
    });
    let tree: Value = serde_json::from_slice(&body).expect("what was written is JSON");
    measure("moesif_floor_serde_json_write_tree", body_bytes, EVENTS, body.len(), || {
        black_box(serde_json::to_vec(&tree).expect("a tree serialises"));
    });
    let reporter = moesif::decode::Reporter::default();
    measure("moesif_decode", body_bytes, EVENTS, body.len(), || {
        black_box(moesif::decode::batch(&body, &reporter).expect("what was written is read"));
    });
    measure("moesif_floor_serde_json_read_tree", body_bytes, EVENTS, body.len(), || {
        black_box(serde_json::from_slice::<Value>(&body).expect("what was written is JSON"));
    });
    measure("moesif_floor_serde_json_skip", body_bytes, EVENTS, body.len(), || {
        black_box(serde_json::from_slice::<IgnoredAny>(&body).expect("what was written is JSON"));
    });
}

/// The bodies as arrays: events carry JSON as it is.
fn with_json_bodies(mut exchange: Exchange) -> Exchange {
    let array = |body: &mut Body| {
        let items = body.bytes().filter(|bytes| !bytes.is_empty()).map(|bytes| &bytes[..bytes.len() - 1]);
        if let Some(items) = items {
            *body = Body::whole([b"[", items, b"]"].concat());
        }
    };
    array(&mut exchange.request.body);
    if let Some(response) = &mut exchange.response {
        array(&mut response.body);
    }
    exchange
}

fn messages(body_bytes: usize) {
    let batch: Vec<Arc<Exchange>> =
        (0..EVENTS).map(|number| Arc::new(exchange(number, body_bytes))).collect();
    let profile = runscope::encode::Profile { log_body: body_bytes > 0, strict: false };
    let plan = || runscope::encode::plan(&batch, &profile, EVENTS);
    let call = plan().calls.remove(0);
    let (body, events) = (call.body, call.exchanges.len());
    measure("runscope_encode", body_bytes, events, body.len(), || {
        black_box(plan());
    });
    let context = runscope::decode::Context {
        bucket: "b1",
        token: "token",
        received_at: Timestamp::from_seconds(1_767_225_600),
        seed: b"",
    };
    measure("runscope_decode", body_bytes, events, body.len(), || {
        black_box(runscope::decode::call(&body, &context).expect("what was written is read"));
    });
    measure("runscope_floor_serde_json_skip", body_bytes, events, body.len(), || {
        black_box(serde_json::from_slice::<IgnoredAny>(&body).expect("what was written is JSON"));
    });
}

fn file(kind: &ImporterKind, renderer: &weir_pipeline::RendererKind, body_bytes: usize) {
    let exchanges: Vec<Exchange> = (0..EVENTS).map(|number| exchange(number, body_bytes)).collect();
    let render = || {
        let (mut renderer, mut out) = ((renderer.open)(), Vec::new());
        renderer.begin(&mut out);
        exchanges.iter().for_each(|exchange| renderer.exchange(exchange, &mut out));
        renderer.end(&mut out);
        out
    };
    let text = render();
    measure(&format!("{}_write", renderer.name), body_bytes, EVENTS, text.len(), || {
        black_box(render());
    });
    measure(&format!("{}_read", kind.name), body_bytes, EVENTS, text.len(), || {
        black_box(import(kind, &text));
    });
}

fn main() {
    for body_bytes in [0, 2_048] {
        alf("1.1.0", encode::plan, body_bytes);
        alf("1.0.0", first::encode::plan, body_bytes);
        moesif(body_bytes);
        messages(body_bytes);
        file(&har::IMPORTER, &har::RENDERER, body_bytes);
        file(&weir::IMPORTER, &weir::RENDERER, body_bytes);
    }
    let line = |number: usize| {
        format!(
            "203.0.113.7 - - [10/Oct/2025:13:55:36 -0700] \"GET /items/{number}?a=1 HTTP/1.1\" 200 2326 \
             \"https://shop.example.test/\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0\"\n"
        )
    };
    let log: String = (0..EVENTS).map(line).collect();
    measure("combined_read", 0, EVENTS, log.len(), || {
        black_box(import(&access_log::COMBINED, log.as_bytes()));
    });
}
