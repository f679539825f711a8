//! Ports for servers that cannot be told to choose one.

use std::net::TcpListener;

use rand::Rng;

/// A TCP port of this machine that nothing listens on now. It is below those that are given to connections, and with room for
/// the port of a Redis cluster's bus 10,000 above. Another process may take it before its server does.
pub fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(20_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
