//! Who calls, when the peer is a proxy that is believed.

use http::HeaderMap;
use weir_model::Peer;

use crate::worker::ClientConnection;

/// The client: the peer, or whom a trusted peer names in `X-Real-IP`, else in `X-Forwarded-For` (the last address that is
/// not trusted itself).
pub(crate) fn client_of(connection: &ClientConnection, headers: &HeaderMap) -> Peer {
    if !connection.trusted {
        return connection.peer;
    }
    let parse = |text: &str| text.trim().parse().ok().map(|address| Peer::new(address, None));
    let real_ip = headers.get("x-real-ip").and_then(|value| parse(value.to_str().ok()?));
    if let Some(client) = real_ip {
        return client;
    }
    let trusted = &connection.worker.common.settings.trusted_ips;
    let lists: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let mut client = connection.peer;
    for text in lists.iter().rev().flat_map(|list| list.rsplit(',')) {
        let Some(named) = parse(text) else { break };
        client = named;
        let known =
            named.address.is_some_and(|address| trusted.iter().any(|network| network.contains(address)));
        if !known {
            break;
        }
    }
    client
}
