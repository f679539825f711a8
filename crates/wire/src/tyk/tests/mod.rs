//! Vectors, hostile bytes, records to exchanges and back, what those take in memory, and a real Redis.

mod hostile;
mod mapping;
mod memory;
pub(super) mod sentinel;
pub(super) mod server;
mod vectors;
mod writing;

fn base64(text: &str) -> String {
    use base64::Engine;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}
