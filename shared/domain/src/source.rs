//! Where a request comes from, as far as that can be relied on: the peer of its connection, or what a trusted proxy says of it.

use ipnet::{IpNet, Ipv6Net};
use std::{fmt, net::IpAddr, str::FromStr};

/// The proxies whose word on where a request came from is taken.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them has this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    /// Addresses and networks (`10.0.0.0/8`), separated by commas or spaces; none, when empty.
    fn from_str(text: &str) -> Result<Self, String> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let network = |word: &str| match (word.parse::<IpNet>(), word.parse::<IpAddr>()) {
            (Ok(network), _) => Ok(network),
            (_, Ok(address)) => Ok(IpNet::from(address)),
            _ => Err(format!("{word:?} is no address and no network; write 10.0.0.1 or 10.0.0.0/8, with commas between several")),
        };
        words.map(network).collect::<Result<_, _>>().map(Self)
    }
}

/// Where a request comes from: an address, or, of IPv6, the network of 64 bits that one site has. Unknown behind a proxy that is not
/// trusted, or that does not say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Source(Option<IpNet>);

impl Source {
    /// The source of a request of this peer. `forwarded` and `x_forwarded_for` are what the headers of these names say.
    pub fn of(peer: Option<IpAddr>, forwarded: Option<&str>, x_forwarded_for: Option<&str>, trusted: &TrustedProxies) -> Self {
        let Some(peer) = peer.map(|peer| peer.to_canonical()) else { return Self(None) };
        if !trusted.contains(peer) {
            // Something stands between on this machine or in this network, and nobody has named it.
            let is_near = match peer {
                IpAddr::V4(peer) => peer.is_loopback() || peer.is_private(),
                IpAddr::V6(peer) => peer.is_loopback() || peer.is_unique_local(),
            };
            let is_behind = is_near && trusted.0.is_empty() && (forwarded.is_some() || x_forwarded_for.is_some());
            return if is_behind { Self(None) } else { Self::at(peer) };
        }
        let said = [
            forwarded.map(|header| hop(header, in_forwarded, trusted)),
            x_forwarded_for.map(|header| hop(header, address, trusted)),
        ];
        match said {
            [None, None] => Self(None),
            [Some(one), None] | [None, Some(one)] => one.map_or(Self(None), Self::at),
            // A proxy adds to the one and hands on the other as the client sent it. Which one is which cannot be seen from here, so
            // all who send both share what the proxy itself may.
            [Some(one), Some(other)] => {
                if one == other {
                    one.map_or(Self(None), Self::at)
                } else {
                    Self::at(peer)
                }
            }
        }
    }

    fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => Self(Ipv6Net::new(address, 64).ok().map(|network| network.trunc().into())),
            address => Self(Some(address.into())),
        }
    }

    /// Whether it is known.
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("unknown"),
            Some(network) if network.prefix_len() == network.max_prefix_len() => write!(f, "{}", network.addr()),
            Some(network) => write!(f, "{network}"),
        }
    }
}

/// The last hop that is no trusted proxy; of trusted ones alone, the first. `None` when it is not said. Read from the end, and cut
/// at commas alone: what stands before the last comma may be the client's, quotes that are never closed included.
fn hop(header: &str, read: fn(&str) -> Option<IpAddr>, trusted: &TrustedProxies) -> Option<IpAddr> {
    let mut first = None;
    for element in header.rsplit(',') {
        let address = read(element)?;
        first = Some(address);
        if !trusted.contains(address) {
            break;
        }
    }
    first
}

/// The address of an element of `Forwarded` (RFC 7239): `for=192.0.2.60;proto=http`.
fn in_forwarded(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address(node.trim().trim_matches('"'))
}

/// An address, with or without a port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(peer: &str, forwarded: Option<&str>, x_forwarded_for: Option<&str>, trusted: &str) -> String {
        Source::of(peer.parse().ok(), forwarded, x_forwarded_for, &trusted.parse().unwrap()).to_string()
    }

    #[test]
    fn the_peer_is_the_source_unless_a_trusted_proxy_says_otherwise() {
        for (peer, forwarded, others, trusted, expected) in [
            ("203.0.113.7", None, None, "", "203.0.113.7"),
            ("::ffff:203.0.113.7", None, None, "", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", None, None, "", "2001:db8:1:2::/64"),
            // A client cannot choose its own.
            ("203.0.113.7", Some("for=198.51.100.1"), Some("198.51.100.1"), "", "203.0.113.7"),
            ("203.0.113.7", None, Some("198.51.100.1"), "10.0.0.0/8", "203.0.113.7"),
            // Behind a proxy that nobody named.
            ("127.0.0.1", None, Some("198.51.100.1"), "", "unknown"),
            ("10.1.2.3", Some("for=198.51.100.1"), None, "", "unknown"),
            ("127.0.0.1", None, None, "", "127.0.0.1"),
            ("127.0.0.1", None, Some("198.51.100.1"), "10.0.0.0/8", "127.0.0.1"),
            // The last hop that a trusted proxy wrote.
            ("127.0.0.1", None, Some("6.6.6.6, 198.51.100.1"), "127.0.0.1", "198.51.100.1"),
            ("127.0.0.1", None, Some("6.6.6.6, 198.51.100.1, 10.0.0.9"), "127.0.0.1 10.0.0.0/8", "198.51.100.1"),
            ("10.0.0.9", None, Some("198.51.100.1:4711"), "10.0.0.0/8", "198.51.100.1"),
            ("10.0.0.9", Some("for=\"[2001:db8:cafe::17]:4711\";proto=https"), None, "10.0.0.0/8", "2001:db8:cafe::/64"),
            ("10.0.0.9", Some("for=\", for=198.51.100.1"), None, "10.0.0.0/8", "198.51.100.1"),
            ("10.0.0.9", Some("by=10.0.0.9;For=198.51.100.1"), None, "10.0.0.0/8", "198.51.100.1"),
            // It does not say.
            ("10.0.0.9", None, None, "10.0.0.0/8", "unknown"),
            ("10.0.0.9", Some("for=unknown"), None, "10.0.0.0/8", "unknown"),
            ("10.0.0.9", None, Some(""), "10.0.0.0/8", "unknown"),
            // All hops are proxies.
            ("10.0.0.9", None, Some("10.0.0.7, 10.0.0.8"), "10.0.0.0/8", "10.0.0.7"),
            // Two headers: one of them is the client's.
            ("10.0.0.9", Some("for=6.6.6.6"), Some("198.51.100.1"), "10.0.0.0/8", "10.0.0.9"),
            ("10.0.0.9", Some("for=198.51.100.1"), Some("198.51.100.1"), "10.0.0.0/8", "198.51.100.1"),
            ("", None, None, "", "unknown"),
        ] {
            assert_eq!(source(peer, forwarded, others, trusted), expected, "{peer} {forwarded:?} {others:?} {trusted}");
        }
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        let trusted: TrustedProxies = "10.0.0.0/8, 192.0.2.1 2001:db8::/32".parse().unwrap();
        for (address, expected) in [("10.255.0.1", true), ("192.0.2.1", true), ("192.0.2.2", false), ("2001:db8::1", true)] {
            assert_eq!(trusted.contains(address.parse().unwrap()), expected, "{address}");
        }
        for wrong in ["10.0.0.0/33", "localhost", "10.0.0.1;10.0.0.2"] {
            assert!(wrong.parse::<TrustedProxies>().unwrap_err().contains("10.0.0.0/8"), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in "\\PC{0,40}") {
            let trusted: TrustedProxies = "0.0.0.0/0 ::/0".parse().unwrap();
            Source::of("10.0.0.1".parse().ok(), Some(&header), Some(&header), &trusted).to_string();
        }
    }
}
