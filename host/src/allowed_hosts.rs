//! Which peers a component may call: `allowed_outbound_hosts`, rule by rule as Spin reads it.

use std::net::IpAddr;
use std::ops::Range;

use anyhow::{Context as _, Result, bail, ensure};
use url::Host;

use crate::variables::Variables;

/// The domain of service chaining, with its dot.
pub(crate) const CHAINING_SUFFIX: &str = ".spin.internal";

/// What one component may reach.
#[derive(Debug, Default)]
pub(crate) struct AllowedHosts(Vec<Rule>);

#[derive(Debug, PartialEq)]
struct Rule {
    /// `None` is any.
    scheme: Option<String>,
    host: HostRule,
    /// `None` is any.
    ports: Option<Range<u32>>,
}

#[derive(Debug, PartialEq)]
enum HostRule {
    Any,
    Subdomains(String),
    Myself,
    Exactly(Host),
    Network(IpAddr, u8),
}

impl AllowedHosts {
    /// Reads the manifest's list. `components` are the names that `*.spin.internal` stands for.
    pub(crate) fn parse(list: &[String], variables: &Variables, components: &[String]) -> Result<Self> {
        let mut rules = Vec::new();
        for text in list {
            let resolved = variables.expand(text)?;
            // A template that comes out empty means "no such peer"; a literal that is empty is a mistake.
            let templated = text.contains("{{");
            if templated && matches!(resolved.as_str(), "" | "http://" | "https://") {
                continue;
            }
            let rule = Rule::parse(&resolved)?;
            match &rule.host {
                HostRule::Subdomains(suffix) if suffix == CHAINING_SUFFIX => {
                    for id in components {
                        rules.push(Rule {
                            scheme: rule.scheme.clone(),
                            host: HostRule::Exactly(Host::Domain(format!("{id}{CHAINING_SUFFIX}"))),
                            ports: rule.ports.clone(),
                        });
                    }
                }
                _ => rules.push(rule),
            }
        }
        Ok(Self(rules))
    }

    /// May the component call this peer?
    pub(crate) fn allows(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let Ok(host) = Host::parse(host) else {
            return false;
        };
        let Some(port) = port.or_else(|| well_known_port(scheme)) else {
            return self.0.iter().any(|r| r.ports.is_none() && r.scheme_and_host(scheme, &host));
        };
        self.0.iter().any(|r| r.scheme_and_host(scheme, &host) && r.ports.as_ref().is_none_or(|p| p.contains(&port.into())))
    }

    /// May the component call its own application's public address?
    pub(crate) fn allows_self(&self) -> bool {
        self.0.iter().any(|rule| {
            matches!(rule.host, HostRule::Any | HostRule::Myself)
                && rule.scheme.as_deref().is_none_or(|s| matches!(s, "http" | "https"))
        })
    }

    /// May the component call this component of its own application? Only rules that name the internal domain count:
    /// a rule for the whole world outside does not open what is inside.
    pub(crate) fn allows_chaining(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let internal = |rule: &&Rule| matches!(&rule.host, HostRule::Exactly(Host::Domain(d)) if d.ends_with(CHAINING_SUFFIX));
        let Ok(host) = Host::parse(host) else {
            return false;
        };
        let port = port.or_else(|| well_known_port(scheme)).unwrap_or_default();
        self.0
            .iter()
            .filter(internal)
            .any(|r| r.scheme_and_host(scheme, &host) && r.ports.as_ref().is_none_or(|p| p.contains(&port.into())))
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            bail!("{text:?} does not name a scheme; write <scheme>://<host>[:<port>], for example \"https://example.com\"");
        };
        let (host, port) = match rest.rsplit_once(':') {
            None => (rest, ""),
            Some((host, "")) => (host, ""),
            Some(_) if HostRule::parse(rest).is_ok() => (rest, ""),
            Some((host, tail)) => match tail.split_once('/') {
                Some((port, "")) => (host, port),
                Some(_) => bail!("{text:?} has a path; a rule names a host and a port only"),
                None => (host, tail),
            },
        };
        let ports = parse_ports(port, scheme).with_context(|| format!("in {text:?}"))?;
        let host = HostRule::parse(host).with_context(|| format!("in {text:?}"))?;
        let scheme = match scheme {
            "*" => None,
            s => {
                ensure!(s.chars().all(char::is_alphabetic), "in {text:?}: a scheme is `*` or letters only");
                Some(s.to_owned())
            }
        };
        Ok(Self { scheme, host, ports })
    }

    fn scheme_and_host(&self, scheme: &str, host: &Host) -> bool {
        self.scheme.as_deref().is_none_or(|s| s == scheme) && self.host.allows(host)
    }
}

impl HostRule {
    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        match text {
            "*" => return Ok(Self::Any),
            "self" | "self.alt" => return Ok(Self::Myself),
            _ => {}
        }
        if let Some((address, bits)) = text.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse::<u8>())
        {
            let width = if address.is_ipv4() { 32 } else { 128 };
            ensure!(bits <= width, "{text:?}: a prefix has at most {width} bits");
            return Ok(Self::Network(address, bits));
        }
        let text = text.strip_suffix('/').unwrap_or(text);
        ensure!(!text.contains('/'), "a rule must not include a path");
        if let Some(domain) = text.strip_prefix("*.") {
            ensure!(!domain.contains('*'), "a wildcard may stand only at the front");
            let Host::Domain(domain) = Host::parse(domain).context("invalid domain")? else {
                bail!("a wildcard needs a domain after it");
            };
            return Ok(Self::Subdomains(format!(".{domain}")));
        }
        ensure!(!text.contains('*'), "a wildcard may stand only for subdomains, as in \"*.example.com\"");
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Network(address, if address.is_ipv4() { 32 } else { 128 }));
        }
        Ok(Self::Exactly(Host::parse(text).context("invalid host")?))
    }

    fn allows(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Subdomains(suffix), Host::Domain(domain)) => domain.ends_with(suffix),
            (Self::Exactly(literal), host) => literal == host,
            (Self::Network(net, bits), Host::Ipv4(ip)) => same_network(*net, (*ip).into(), *bits),
            (Self::Network(net, bits), Host::Ipv6(ip)) => same_network(*net, (*ip).into(), *bits),
            _ => false,
        }
    }
}

fn same_network(a: IpAddr, b: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0,
        _ => false,
    }
}

fn parse_ports(text: &str, scheme: &str) -> Result<Option<Range<u32>>> {
    let number = |text: &str| text.parse::<u16>().map(u32::from).with_context(|| format!("port {text:?} is not a number"));
    match text {
        "*" => Ok(None),
        "" => {
            let port = well_known_port(scheme)
                .with_context(|| format!("scheme {scheme:?} has no default port, so the rule needs one"))?;
            Ok(Some(port.into()..u32::from(port) + 1))
        }
        _ => match text.split_once("..") {
            Some((start, end)) => Ok(Some(number(start)?..number(end)?)),
            None => number(text).map(|port| Some(port..port + 1)),
        },
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "postgres" => Some(5432),
        "mysql" => Some(3306),
        "redis" => Some(6379),
        "mqtt" => Some(1883),
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rules: &[&str]) -> AllowedHosts {
        let list: Vec<_> = rules.iter().map(|r| r.to_string()).collect();
        let none = Variables::resolve(&Default::default(), &Default::default()).unwrap();
        AllowedHosts::parse(&list, &none, &["billing".to_owned()]).unwrap()
    }

    #[test]
    fn rules() {
        let yes = [
            ("https://example.com", "https", "example.com", None),
            ("https://example.com", "https", "EXAMPLE.com", Some(443)),
            ("http://example.com:8080", "http", "example.com", Some(8080)),
            ("*://example.com:*", "http", "example.com", Some(1)),
            ("https://*.example.com", "https", "a.b.example.com", None),
            ("http://localhost:3000..3010", "http", "localhost", Some(3009)),
            ("http://10.0.0.0/8", "http", "10.1.2.3", None),
            ("http://127.0.0.1:80", "http", "127.0.0.1", None),
            ("http://[::1]:8080", "http", "[::1]", Some(8080)),
            ("*://*:*", "https", "anything.at.all", Some(9)),
        ];
        for (rule, scheme, host, port) in yes {
            assert!(allowed(&[rule]).allows(scheme, host, port), "{rule} {host}");
        }
        let no = [
            ("https://example.com", "http", "example.com", None),
            ("https://example.com", "https", "example.com", Some(8443)),
            ("https://example.com", "https", "a.example.com", None),
            ("https://*.example.com", "https", "example.com", None),
            ("http://localhost:3000..3010", "http", "localhost", Some(3010)),
            ("http://10.0.0.0/8", "http", "11.1.2.3", None),
            ("http://self", "http", "self", None),
        ];
        for (rule, scheme, host, port) in no {
            assert!(!allowed(&[rule]).allows(scheme, host, port), "{rule} {host}");
        }
    }

    #[test]
    fn chaining_needs_its_own_rule() {
        let chain = |rule| allowed(&[rule]).allows_chaining("http", "billing.spin.internal", None);
        assert!(chain("http://billing.spin.internal"));
        assert!(chain("http://*.spin.internal"));
        assert!(!chain("*://*:*"));
        assert!(!chain("http://other.spin.internal"));
        assert!(!chain("https://billing.spin.internal"));
        let other = allowed(&["http://*.spin.internal"]);
        assert!(!other.allows_chaining("http", "unknown.spin.internal", None));
    }

    #[test]
    fn refuses_what_is_not_a_rule() {
        let none = Variables::resolve(&Default::default(), &Default::default()).unwrap();
        for rule in ["", "*", "example.com", "https://a/b", "https://a.*", "x://a", "http://a:b", "http://a:1/b"] {
            let parsed = AllowedHosts::parse(&[rule.to_owned()], &none, &[]);
            assert!(parsed.is_err(), "{rule}");
        }
    }
}
