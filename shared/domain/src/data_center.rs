//! Data center components: the vCenters, NSX managers and the like that environments are deployed to. The hub keeps what
//! is known of them and never deploys them.

use crate::{
    Error, FieldError, Result,
    form::{Field, Form, Shape, Word, written},
    text_enum,
};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};

text_enum! {
    /// What a data center component is.
    pub enum DataCenterType {
        /// vCenter Server.
        Vcenter = "VCENTER",
        /// NSX-T Data Center.
        Nsxt = "NSXT",
        /// vRealize Suite Lifecycle Manager.
        Vrslcm = "VRSLCM",
        /// vRealize Operations.
        Vrops = "VROPS",
        /// vRealize Log Insight.
        Vrli = "VRLI",
        /// NSX Advanced Load Balancer.
        Nsxalb = "NSXALB",
        /// SDDC Manager.
        Sddc = "SDDC",
        /// Tanzu Mission Control.
        Tmc = "TMC",
        /// Site Recovery Manager.
        Srm = "SRM",
        /// vSAN.
        Vsan = "VSAN",
    }
}

text_enum! {
    /// Where a data center component stands.
    pub enum DataCenterStatus {
        /// Its registration is at work.
        Registering = "REGISTERING",
        /// It can be used.
        Registered = "REGISTERED",
        /// It could not be registered.
        Failed = "FAILED",
        /// It is being removed, and can be used no more.
        Removing = "REMOVING",
    }
}

text_enum! {
    /// How the hub reaches a data center component.
    pub enum Target {
        /// Not at all: what was said of it is taken as given.
        Builtin = "BUILTIN",
        /// A person looks and does, and says so.
        Manual = "MANUAL",
        /// The hub itself, by the interfaces of a vCenter.
        Vsphere = "VSPHERE",
    }
}

/// The name of a host in the DNS, or an IP address: labels of letters, digits, `-` and `_`, parted by dots.
pub const HOST: Word = Word {
    is: is_host,
    hint: "give a name in the DNS (labels of letters, digits, - and _, parted by dots, at most 253 characters) or an IP address",
    pattern: r"^([0-9A-Fa-f:.]+|([a-z_A-Z0-9]([a-z_A-Z0-9\-]*[a-zA-Z0-9])?\.)*[a-z_A-Z0-9]([a-z_A-Z0-9\-]*[a-z_A-Z0-9])?)$",
};

/// The name of a domain.
pub const DOMAIN: Word = Word {
    is: |text| is_host(text) && text.parse::<IpAddr>().is_err(),
    hint: "give a name in the DNS, not an address",
    pattern: r"^([a-z_A-Z0-9]([a-z_A-Z0-9\-]*[a-zA-Z0-9])?\.)*[a-z_A-Z0-9]([a-z_A-Z0-9\-]*[a-z_A-Z0-9])?$",
};

/// An IPv4 address.
pub const ADDRESS: Word = Word {
    is: |text| text.parse::<Ipv4Addr>().is_ok(),
    hint: "give an IPv4 address, for example 10.1.2.3",
    pattern: r"^([0-9]{1,3}\.){3}[0-9]{1,3}$",
};

/// A password: itself, or where it is kept. What is wrong with one is not said with it, since refusals are logged.
pub const PASSWORD: Word = Word {
    is: is_password,
    hint: "give 2 to 32 characters without quotes, or ref:password: and 20 letters and digits for one that is kept elsewhere",
    pattern: "(^[^'\"]{2,32}$)|(^ref:password:[a-zA-Z0-9]{20}$)",
};

/// The pattern of [`DOMAIN`], or an IP address. What has
/// nothing but numbers is meant as an address, and must be one.
fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut labels = text.split('.').peekable();
    let mut only_numbers = true;
    let mut right = text.len() <= 253;
    while let Some(label) = labels.next() {
        let (bytes, is_last) = (label.as_bytes(), labels.peek().is_none());
        only_numbers &= bytes.iter().all(u8::is_ascii_digit);
        let end = |byte: u8| if is_last || bytes.len() == 1 { word(byte) } else { byte.is_ascii_alphanumeric() };
        right &= bytes.first().is_some_and(|&byte| word(byte))
            && bytes.last().is_some_and(|&byte| end(byte))
            && bytes.iter().all(|&byte| word(byte) || byte == b'-');
    }
    right && !only_numbers
}

/// `(^[^'"]{2,32}$)|(^ref:password:[a-zA-Z0-9]{20}$)`, where what begins like a reference is meant as one.
fn is_password(text: &str) -> bool {
    match text.strip_prefix("ref:") {
        Some(rest) => rest
            .strip_prefix("password:")
            .is_some_and(|key| key.len() == 20 && key.bytes().all(|byte| byte.is_ascii_alphanumeric())),
        None => (2..=32).contains(&text.chars().count()) && !text.contains(['\'', '"']) && !text.chars().any(char::is_control),
    }
}

/// The IP settings of a port group.
pub const NETWORK: Shape = Shape::Object(
    &[
        Field { name: "portGroupName", shape: Shape::Text(1, 80), about: "The port group's name." },
        Field {
            name: "useDhcp",
            shape: Shape::Truth,
            about: "Whether machines there get their addresses by DHCP; they then need no gateway and no subnet here.",
        },
        Field { name: "subnet", shape: Shape::Word(&ADDRESS), about: "The network's address, for example 10.1.2.0." },
        Field { name: "subnetMask", shape: Shape::Word(&ADDRESS), about: "Its mask, for example 255.255.255.0." },
        Field { name: "gateway", shape: Shape::Word(&ADDRESS), about: "The way out of it: an address in it." },
        Field { name: "domainName", shape: Shape::Word(&DOMAIN), about: "The domain of the machines there." },
        Field {
            name: "searchPath",
            shape: Shape::List(&Shape::Word(&DOMAIN), 10),
            about: "Where unqualified names are looked for, in this order.",
        },
        Field { name: "dns", shape: Shape::List(&Shape::Word(&HOST), 10), about: "The DNS servers." },
        Field { name: "ntp", shape: Shape::List(&Shape::Word(&HOST), 10), about: "The time servers." },
    ],
    &["portGroupName"],
);

const VERSION: Field = Field { name: "version", shape: Shape::Text(1, 40), about: "The version of the product that it runs." };
const FQDN: Field = Field { name: "fqdn", shape: Shape::Word(&HOST), about: "Where it answers." };
const USERNAME: Field = Field { name: "username", shape: Shape::Text(1, 120), about: "Who the hub is to it." };
const THE_PASSWORD: Field =
    Field { name: "password", shape: Shape::Secret(&PASSWORD), about: "The password of that user, or where it is kept." };
const TARGET: Field = Field {
    name: "target",
    shape: Shape::OneOf(Target::TEXTS),
    about: "How the hub reaches it: BUILTIN, not at all, what is said is taken as given; MANUAL, a person looks and says so; VSPHERE, by the interfaces of a vCenter.",
};
const PURPOSE: Field = Field { name: "purpose", shape: Shape::Text(1, 500), about: "What it is for." };
const MANAGED_BY: Field = Field { name: "managedBy", shape: Shape::Text(1, 120), about: "Who sees to it." };
const TAGS: Field =
    Field { name: "tags", shape: Shape::List(&Shape::Text(1, 60), 20), about: "Words to find it by: all of them." };
const NETWORKS: Field =
    Field { name: "networks", shape: Shape::List(&NETWORK, 100), about: "The IP settings of its port groups: all of them." };

/// What is said of a data center component that is to be registered.
pub enum Registration {}

impl Form for Registration {
    const NAME: &'static str = "NewDataCenter";
    const SHAPE: Shape = Shape::Object(
        &[
            Field {
                name: "organizationId",
                shape: Shape::Text(1, 60),
                about: "Whose it is to be; the organization acted in, when left out.",
            },
            Field { name: "componentName", shape: Shape::Text(1, 80), about: "Its name, unique in the organization." },
            Field { name: "componentType", shape: Shape::OneOf(DataCenterType::TEXTS), about: "What it is." },
            VERSION,
            FQDN,
            USERNAME,
            THE_PASSWORD,
            TARGET,
            PURPOSE,
            MANAGED_BY,
            TAGS,
            NETWORKS,
        ],
        &["componentName", "componentType", "fqdn", "username", "password", "target"],
    );
}

/// What is to be changed of a data center component; what is left out stays.
pub enum Edit {}

impl Form for Edit {
    const NAME: &'static str = "DataCenterPatch";
    const SHAPE: Shape =
        Shape::Object(&[VERSION, FQDN, USERNAME, THE_PASSWORD, TARGET, PURPOSE, MANAGED_BY, TAGS, NETWORKS], &[]);
}

/// Refuses to reach a component by interfaces that it does not have.
pub fn check_target(component_type: DataCenterType, target: Target) -> Result<()> {
    if target != Target::Vsphere || component_type == DataCenterType::Vcenter {
        return Ok(());
    }
    Err(Error::invalid(
        "/target",
        format!("is VSPHERE, by which a VCENTER is reached and no {component_type}; take MANUAL or BUILTIN"),
    ))
}

const NAMES: Shape = Shape::List(&Shape::Text(1, 255), 1000);

/// What there is at a data center component, by name.
pub enum Inventory {}

impl Form for Inventory {
    const NAME: &'static str = "Inventory";
    const SHAPE: Shape = Shape::Object(
        &[
            Field { name: "networks", shape: NAMES, about: "The port groups." },
            Field { name: "clusters", shape: NAMES, about: "The clusters." },
            Field { name: "resourcePools", shape: NAMES, about: "The resource pools." },
            Field { name: "datastores", shape: NAMES, about: "The datastores." },
            Field { name: "storageClusters", shape: NAMES, about: "The storage clusters." },
            Field { name: "storagePolicies", shape: NAMES, about: "The storage policies." },
            Field { name: "datacenters", shape: NAMES, about: "The data centers of a vCenter." },
        ],
        &[],
    );
}

/// Checks port groups, each of which is right by itself, in themselves and against each other; every fault is named with
/// its place. `body` is what has the list `networks`, if it has one.
pub fn check_networks(body: &Value) -> Result<()> {
    let networks = body["networks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut faults = Vec::new();
    for (index, network) in networks.iter().enumerate() {
        let mut fault = |field: &str, detail: String| {
            faults.push(FieldError { pointer: format!("/networks/{index}/{field}"), detail });
        };
        if networks[..index].iter().any(|other| other["portGroupName"] == network["portGroupName"]) {
            fault("portGroupName", "is the name of another port group in the list; name each once".into());
        }
        check_addresses(network, &mut fault);
        for field in ["searchPath", "dns", "ntp"] {
            let hosts = network[field].as_array().map(Vec::as_slice).unwrap_or_default();
            for (place, host) in hosts.iter().enumerate().filter(|(place, host)| hosts[..*place].contains(host)) {
                fault(&format!("{field}/{place}"), format!("{} is in the list already; give each once", written(host)));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::invalid_fields(faults)) }
}

fn check_addresses(network: &Value, fault: &mut dyn FnMut(&str, String)) {
    let address = |field: &str| network[field].as_str()?.parse::<Ipv4Addr>().ok().map(u32::from);
    let (subnet, mask, gateway) = (address("subnet"), address("subnetMask"), address("gateway"));
    if gateway.is_some() && mask.is_none() {
        fault("subnetMask", "is missing; a gateway is in a subnet, so say how large that is".into());
    }
    if network["useDhcp"] != true && gateway.is_none() && mask.is_some() {
        fault("gateway", "is missing; without DHCP the machines there need one".into());
    }
    let Some(mask) = mask else { return };
    if mask.leading_ones() + mask.trailing_zeros() != 32 || mask.leading_ones() < 8 {
        return fault("subnetMask", "is no mask of a subnet; its bits are ones and then zeros, for example 255.255.255.0".into());
    }
    let ends = |address: u32| (Ipv4Addr::from(address & mask), Ipv4Addr::from(address | !mask));
    if let Some(subnet) = subnet.filter(|subnet| subnet & !mask != 0) {
        fault("subnet", format!("is an address in the subnet and not its own, which is {}", ends(subnet).0));
    }
    let Some(gateway) = gateway else { return };
    let (first, last) = ends(gateway);
    if subnet.is_some_and(|subnet| subnet & mask != gateway & mask) {
        fault("gateway", format!("is not in the subnet; with this mask it is in {first}"));
    }
    // In a subnet of two addresses both are hosts' (RFC 3021).
    if !mask > 1 && (gateway == u32::from(first) || gateway == u32::from(last)) {
        fault("gateway", format!("is the address of the whole subnet or its broadcast; take one between {first} and {last}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn faults(networks: &[Value]) -> Vec<String> {
        let body = json!({ "networks": networks });
        let mut places: Vec<String> =
            Shape::Object(&[NETWORKS], &[]).check(&body).into_iter().map(|fault| fault.pointer).collect();
        places.extend(check_networks(&body).err().into_iter().flat_map(|error| error.fields).map(|field| field.pointer));
        places
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for right in ["vc.example.com", "vc-1", "_srv.a", "a_b.c", "10.0.0.1", "fe80::1", "1a", "a.b_", "7.seven"] {
            assert!((HOST.is)(right), "{right}");
        }
        let long = "a".repeat(254);
        for wrong in
            ["", ".", "a..b", "-a", "a-", "a.b.", "a b", "ä.de", "10.0.0.256", "10.0.0", "12", "a-.b", "a_.b", "a/b", &long]
        {
            assert!(!(HOST.is)(wrong), "{wrong}");
        }
        assert!((DOMAIN.is)("example.com") && !(DOMAIN.is)("10.0.0.1"));
    }

    #[test]
    fn passwords_are_literal_or_references() {
        for right in ["VMware1!", "ab", "ref:password:abcdefghij0123456789", "ünïcode"] {
            assert!((PASSWORD.is)(right), "{right}");
        }
        let long = "x".repeat(33);
        for wrong in
            ["", "a", "it's", "say \"it\"", "ref:password:short", "ref:password:abcdefghij012345678!", "ref:other", "a\nb", &long]
        {
            assert!(!(PASSWORD.is)(wrong), "{wrong}");
        }
    }

    #[test]
    fn port_groups_are_checked_each_and_against_each_other() {
        let good = json!({
            "portGroupName": "mgmt", "subnet": "10.1.2.0", "subnetMask": "255.255.255.0", "gateway": "10.1.2.1",
            "domainName": "example.com", "searchPath": ["example.com"], "dns": ["10.1.2.2", "ns.example.com"], "ntp": ["ntp.example.com"]
        });
        assert_eq!(faults(std::slice::from_ref(&good)), [""; 0]);
        assert_eq!(faults(&[good.clone(), good.clone()]), ["/networks/1/portGroupName"]);
        for (field, value, at) in [
            ("gateway", json!("10.1.3.1"), "gateway"),
            ("gateway", json!("10.1.2.0"), "gateway"),
            ("gateway", json!("10.1.2.255"), "gateway"),
            ("gateway", json!(null), "gateway"),
            ("subnet", json!("10.1.2.4"), "subnet"),
            ("subnetMask", json!("255.0.255.0"), "subnetMask"),
            ("subnetMask", json!("0.0.0.0"), "subnetMask"),
            ("subnetMask", json!(null), "subnetMask"),
            ("dns", json!(["a", "b", "a"]), "dns/2"),
            ("searchPath", json!(["10.0.0.1"]), "searchPath/0"),
            ("domainName", json!("10.0.0.1"), "domainName"),
            ("useDhcp", json!("no"), "useDhcp"),
        ] {
            let mut wrong = good.clone();
            wrong[field] = value.clone();
            assert_eq!(faults(&[wrong]), [format!("/networks/0/{at}")], "{field} = {value}");
        }
        assert_eq!(faults(&[json!({ "portGroupName": "dhcp", "useDhcp": true })]), [""; 0]);
    }

    proptest! {
        /// Whatever is let through is a gateway that a machine of the subnet can reach.
        #[test]
        fn a_gateway_that_is_let_through_is_a_host_of_its_subnet(subnet: u32, gateway: u32, bits in 0u32..=32) {
            let text = |address: u32| Ipv4Addr::from(address).to_string();
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            let near = (subnet & mask) | (gateway & !mask & 3);
            for gateway in [gateway, near] {
                let network = json!({
                    "portGroupName": "a", "subnet": text(subnet & mask), "subnetMask": text(mask), "gateway": text(gateway)
                });
                let right = bits >= 8
                    && gateway & mask == subnet & mask
                    && (bits >= 31 || (gateway & !mask != 0 && gateway & !mask != !mask));
                prop_assert_eq!(faults(&[network]).is_empty(), right);
            }
        }

        #[test]
        fn no_text_makes_a_check_panic(text in "\\PC{0,300}") {
            let _ = ((HOST.is)(&text), (DOMAIN.is)(&text), (PASSWORD.is)(&text), (ADDRESS.is)(&text));
        }
    }
}
