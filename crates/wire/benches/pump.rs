//! What each step of the pump costs a record, from Redis's bytes to the line of a CSV file. One JSON object per line.
//!
//! Run with `cargo bench -p weir-wire --bench pump`. `bench/pump.mjs` measures the whole of it, with Redis, threads and disk.

mod rounds;

use std::hint::black_box;
use std::io::Write;

use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId};
use weir_pipeline::{ProcessorSettings, Processors, record};
use weir_wire::csv::row;
use weir_wire::tyk::{decode, encode, msgpack};

/// As in weir itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORDS: usize = 1_000;

/// Prints what `work`, which does all records once, costs for each of them.
fn measure(name: &str, work: impl FnMut()) {
    let each = 1e6 / (rounds::per_second(work) * RECORDS as f64);
    let line = serde_json::json!({ "bench": name, "microseconds_per_record": (each * 1e3).round() / 1e3 });
    writeln!(std::io::stdout(), "{line}").expect("standard output is open");
}

/// The bytes of a record that a real gateway wrote.
fn sample() -> Vec<u8> {
    let file: serde_json::Value = serde_json::from_str(include_str!("../testdata/vectors/tyk-records.json"))
        .expect("the vectors are JSON");
    let vectors = file["vectors"].as_array().expect("there are vectors");
    let vector =
        vectors.iter().find(|vector| vector["name"] == "live-keyless-get").expect("it is one of them");
    let hex = vector["msgpack_hex"].as_str().expect("it has bytes");
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(byte).collect()
}

/// As the pump makes them: of what it knows, not of chance.
fn id(start: Timestamp) -> ExchangeId {
    ExchangeId::with_random(start, [7; 16])
}

fn exchange(bytes: &[u8]) -> Exchange {
    let record = msgpack::decode(bytes).expect("a real gateway wrote it");
    decode::exchange(&record, id)
}

fn main() {
    let bytes = sample();
    let each = |work: &mut dyn FnMut()| (0..RECORDS).for_each(|_| work());
    measure("read_msgpack", || each(&mut || drop(black_box(msgpack::decode(&bytes)))));
    let read = msgpack::decode(&bytes).expect("a real gateway wrote it");
    measure("to_exchange", || each(&mut || drop(black_box(decode::exchange(&read, id)))));
    let processors = Processors::standard(ProcessorSettings::default());
    let mut processed = exchange(&bytes);
    measure("processors", || {
        each(&mut || {
            black_box(processors.run(&mut processed));
        });
    });
    let mut journal = Vec::new();
    measure("journal_record", || {
        journal.clear();
        each(&mut || record::encode(&processed, &mut journal));
    });
    let profile = encode::Profile::default();
    measure("to_record", || each(&mut || drop(black_box(encode::record(&processed, &profile)))));
    let record = encode::record(&processed, &profile);
    let mut lines = String::new();
    measure("csv_line", || {
        lines.clear();
        each(&mut || row::write(&record, &mut lines));
    });
    measure("copy_and_drop_exchange", || {
        let many = vec![processed.clone(); RECORDS];
        drop(black_box(many));
    });
}
