//! The threads that take records from the workers to the sink.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use weir_model::Exchange;
use weir_pipeline::record::{decode, frames};

use super::Sink;
use super::pool::ChunkPool;

/// How long records may lie in a chunk that does not fill up.
const PATIENCE: Duration = Duration::from_millis(200);

/// Running drain threads.
#[derive(Debug)]
pub(crate) struct Drain {
    pool: Arc<ChunkPool>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts `threads` drain threads.
pub(crate) fn start(pool: &Arc<ChunkPool>, sink: &Sink, threads: usize) -> io::Result<Drain> {
    let mut drain = Drain { pool: Arc::clone(pool), threads: Vec::new() };
    for index in 0..threads.max(1) {
        let (pool, sink) = (Arc::clone(pool), Arc::clone(sink));
        let thread = std::thread::Builder::new().name(format!("gateway-drain-{index}"));
        drain.threads.push(thread.spawn(move || run(&pool, &sink))?);
    }
    Ok(drain)
}

impl Drain {
    /// Hands over what is left and ends the threads. Waits for the sink.
    pub(crate) fn finish(self) {
        self.pool.close();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a drain thread panicked");
            }
        }
    }
}

fn run(pool: &ChunkPool, sink: &Sink) {
    while let Some(chunks) = pool.take(PATIENCE) {
        for chunk in chunks {
            // One copy, so that the chunk is free again at once however long its exchanges live.
            let copy = Bytes::copy_from_slice(&chunk);
            pool.give_back(chunk);
            let exchanges = read(pool, copy);
            if !exchanges.is_empty() {
                let count = exchanges.len();
                sink(exchanges);
                pool.delivered(count);
            }
        }
    }
}

fn read(pool: &ChunkPool, chunk: Bytes) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    for record in frames(chunk) {
        match record.and_then(decode) {
            Ok(exchange) => exchanges.push(exchange),
            Err(error) => {
                pool.undecodable();
                tracing::error!(%error, "a record of the gateway cannot be read back");
            }
        }
    }
    exchanges
}
