//! Who called, by the headers that proxies add (moesif-plugin, section 7).

use std::net::IpAddr;
use std::str::FromStr;

use weir_model::Peer;

use super::identity::Fields;

/// In this order; the first that names a valid address counts.
const HEADERS: [&str; 10] = [
    "x-client-ip",
    "x-forwarded-for",
    "cf-connecting-ip",
    "fastly-client-ip",
    "true-client-ip",
    "x-real-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "forwarded-for",
    "forwarded",
];

/// The client's address: as named by the headers when the peer is believed, else the peer's.
pub fn client_ip(headers: &impl Fields, peer: Peer, trusted: &[Network]) -> Option<IpAddr> {
    let believed = match peer.address {
        Some(address) => trusted.iter().any(|network| network.contains(address)),
        // Nobody is known who could be doubted.
        None => !trusted.is_empty(),
    };
    let named = || HEADERS.iter().find_map(|name| headers.first(name).and_then(|text| first_address(&text)));
    if believed { named().or(peer.address) } else { peer.address }
}

/// The left-most valid address of a list; ports, quotes, brackets and the `for=` of RFC 7239 are taken off.
fn first_address(list: &str) -> Option<IpAddr> {
    list.split([',', ';']).find_map(address)
}

fn address(item: &str) -> Option<IpAddr> {
    let item = item.trim();
    let item = match item.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("for") => value,
        _ => item,
    };
    let item = item.trim_matches('"');
    let bare = match item.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        // One colon separates a port; more belong to the address.
        None if item.bytes().filter(|byte| *byte == b':').count() == 1 => {
            item.split(':').next().unwrap_or(item)
        }
        None => item,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u32,
}

impl Network {
    /// All addresses there are.
    pub fn everything() -> Vec<Self> {
        let any = |base: [u8; 4]| Self { base: base.into(), prefix: 0 };
        vec![any([0; 4]), Self { base: [0; 16].into(), prefix: 0 }]
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let differs = u32::from(base) ^ u32::from(address);
                differs.checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let differs = u128::from(base) ^ u128::from(address);
                differs.checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    /// Reads an address, or a network such as `10.0.0.0/8`.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("not an address or network: {:?}", crate::parts::shortened(text, 60));
        let (base, prefix) = match text.trim().split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text.trim(), None),
        };
        let base: IpAddr = base.parse().map_err(|_| bad())?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= longest).ok_or_else(bad)?,
            None => longest,
        };
        Ok(Self { base, prefix })
    }
}

#[cfg(test)]
mod tests {
    use weir_model::Headers;

    use super::*;

    #[test]
    fn addresses_are_found_in_any_dress() {
        for (list, found) in [
            ("203.0.113.5:443, 10.0.0.1", Some("203.0.113.5")),
            ("unknown, 2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("for=\"[2001:db8::2]:9\";proto=http, for=192.0.2.60", Some("2001:db8::2")),
            ("for=192.0.2.60;by=203.0.113.43", Some("192.0.2.60")),
            ("unknown", None),
            ("", None),
            ("999.1.1.1, x:y", None),
        ] {
            assert_eq!(first_address(list), found.map(|text| text.parse().unwrap()), "{list}");
        }
    }

    #[test]
    fn headers_are_believed_only_of_the_trusted() {
        let headers = Headers::from_iter([("X-Forwarded-For", "203.0.113.5"), ("X-Real-IP", "192.0.2.9")]);
        let peer = Peer::new([10, 1, 2, 3].into(), None);
        let ip = |trusted: &[&str]| {
            let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
            client_ip(&headers, peer, &trusted).unwrap().to_string()
        };
        assert_eq!(ip(&["0.0.0.0/0"]), "203.0.113.5");
        assert_eq!(ip(&["::/0", "10.0.0.0/8"]), "203.0.113.5");
        assert_eq!(ip(&["10.1.2.3"]), "203.0.113.5");
        assert_eq!(ip(&["10.1.2.4", "11.0.0.0/8", "::/0"]), "10.1.2.3");
        assert_eq!(ip(&[]), "10.1.2.3");
        assert_eq!(client_ip(&headers, Peer::default(), &[]), None);
    }

    #[test]
    fn networks_that_are_none_are_named() {
        for text in ["", "10.0.0.0/33", "a/8", "10.0.0.0/", "::/129"] {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
