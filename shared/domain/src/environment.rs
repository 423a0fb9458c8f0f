//! Environments: products that are deployed together, what they may be, and what a change of them comes to.

use crate::{
    Error, FieldError, Result,
    data_center::{ADDRESS, HOST, PASSWORD},
    form::{Field, Form, Shape, Word},
    task::TaskType,
    text_enum,
};
use serde_json::{Map, Value};

text_enum! {
    /// Where an environment stands.
    pub enum EnvironmentStatus {
        /// It is being deployed or taken over.
        Deploying = "DEPLOYING",
        /// It is what it is said to be.
        Active = "ACTIVE",
        /// It could not be deployed or taken over.
        Failed = "FAILED",
        /// It is being deleted.
        Removing = "REMOVING",
    }
}

text_enum! {
    /// Where a plan stands.
    pub enum PlanStatus {
        /// It was made, and waits to be approved.
        Planned = "PLANNED",
        /// Somebody approved it.
        Approved = "APPROVED",
        /// It is being carried out, or was.
        Applied = "APPLIED",
    }
}

text_enum! {
    /// What a product is.
    pub enum ProductType {
        /// VMware Cloud Director.
        Vcd = "VCD",
        /// RabbitMQ.
        Rmq = "RMQ",
        /// Usage Meter.
        Usage = "USAGE",
        /// The tenant app of vRealize Operations, Chargeback.
        Vropsta = "VROPSTA",
    }
}

/// `[a-zA-Z0-9_\-.]{3,}`, of 80 characters at most.
const CODE: Word = Word {
    is: |text| (3..=80).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)),
    hint: "give 3 to 80 letters, digits, _, - and .",
    pattern: r"^[a-zA-Z0-9_\-.]{3,80}$",
};

/// The name of a virtual machine.
const VM_NAME: Word = Word {
    is: |text| {
        text.len() <= 80
            && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.()[]{}".contains(&byte))
    },
    hint: "give 1 to 80 letters, digits and -_.()[]{}, the first a letter or digit",
    pattern: r"^[a-zA-Z0-9][a-zA-Z0-9\-_.()\[\]{}]{0,79}$",
};

/// A license or a token.
const KEY: Word = Word {
    is: |text| (1..=500).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()),
    hint: "give 1 to 500 visible ASCII characters without spaces",
    pattern: "^[!-~]{1,500}$",
};

/// A chain of certificates in PEM.
const CHAIN: Word = Word {
    is: |text| (1..=64 * 1024).contains(&text.len()),
    hint: "give the certificate and whoever signed it in PEM, 64 KiB at most",
    pattern: r"^[\s\S]{1,65536}$",
};

/// A private key in PEM.
const PRIVATE_KEY: Word = Word {
    is: |text| (1..=16 * 1024).contains(&text.len()),
    hint: "give the private key in PEM, 16 KiB at most",
    pattern: r"^[\s\S]{1,16384}$",
};

/// What a private key is encrypted with.
const KEY_PASSWORD: Word = Word {
    is: |text| (1..=1024).contains(&text.chars().count()),
    hint: "give 1 to 1024 characters",
    pattern: r"^[\s\S]{1,1024}$",
};

/// Where something is reached: a host, perhaps with a port, as an address of the web or without what stands around it.
const REACHED: Word = Word {
    is: |text| text.len() <= 500 && text.bytes().all(|byte| byte.is_ascii_graphic()) && host_of(text).is_some(),
    hint: "give an address of the web, for example https://vcd.example.com, or a host with a port, for example vcd.example.com:443",
    pattern: "^(https?://)?[A-Za-z0-9._:-]+([/?#][!-~]*)?$",
};

/// The host of an address of [`REACHED`].
fn host_of(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://")).unwrap_or(address);
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0) && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && (HOST.is)(host)).then_some(host)
}

const fn field(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { name, shape, about }
}

const NIC: Shape = Shape::Object(
    &[
        field("networkName", Shape::Text(1, 80), "The port group that it is in."),
        field("ipAddress", Shape::Word(&ADDRESS), "Its address; by DHCP, when left out."),
        field("staticRoutes", Shape::List(&Shape::Text(1, 60), 20), "Routes of its own."),
    ],
    &["networkName"],
);

const NODE: Shape = Shape::Object(
    &[
        field("hostName", Shape::Word(&HOST), "The host's name, unique in the environment: a node is known by it."),
        field("vmName", Shape::Word(&VM_NAME), "The virtual machine's name, unique in the environment."),
        field("rootPassword", Shape::Secret(&PASSWORD), "The password of root, or where it is kept."),
        field("isPrimary", Shape::Truth, "Whether it is the first of its product's nodes."),
        field("powerState", Shape::OneOf(&["ON", "OFF"]), "Whether it is to run; ON when left out."),
        field("cpuNum", Shape::Whole(1, 256), "Processors."),
        field("ramMemory", Shape::Whole(128, 16_777_216), "Memory, in MB."),
        field("deploymentOption", Shape::Text(1, 80), "The size that the product's appliance names so."),
        field("datastoreName", Shape::Text(1, 255), "Where its disks are; the first datastore, when left out."),
        field("clusterName", Shape::Text(1, 255), "The cluster that it runs in."),
        field("resourcePool", Shape::Text(1, 255), "The resource pool that it runs in."),
        field("datacenterName", Shape::Text(1, 255), "The vCenter's data center that it runs in."),
        field("gateway", Shape::Word(&ADDRESS), "The way out of its network."),
        field("nics", Shape::List(&NIC, 10), "Its network interfaces."),
    ],
    &["hostName", "vmName", "rootPassword"],
);

const INTEGRATION: Shape = Shape::Object(
    &[
        field("integrationId", Shape::Word(&CODE), "Its name."),
        field("integrationUsername", Shape::Text(1, 120), "Who the product is to it."),
        field("integrationPassword", Shape::Secret(&PASSWORD), "The password of that user, or where it is kept."),
        field("ref", Shape::Text(1, 255), "What is integrated."),
        field("version", Shape::Text(1, 40), "Its version."),
    ],
    &["integrationId"],
);

const CERTIFICATE_FIELD: Field =
    field("certificate", Shape::Secret(&CHAIN), "The certificate, and whoever signed it after it, in PEM.");
const PRIVATE_KEY_FIELD: Field = field("privateKey", Shape::Secret(&PRIVATE_KEY), "Its private key, in PEM.");
const KEY_PASSWORD_FIELD: Field =
    field("keyPassword", Shape::Secret(&KEY_PASSWORD), "The password of the private key, if that is encrypted (AES, PBKDF2).");

/// A certificate that a product comes with; or the one that it has, by its thumbprint. What the hub knows of one may be sent
/// back, and is not looked at.
const CERTIFICATE: Shape = Shape::Object(
    &[
        CERTIFICATE_FIELD,
        PRIVATE_KEY_FIELD,
        KEY_PASSWORD_FIELD,
        field("thumbprint", Shape::Text(1, 95), "The one that the product has, for who sends no other."),
        field("thumbprintSha1", Shape::Text(1, 59), "Known to the hub."),
        field("subject", Shape::Text(0, 500), "Known to the hub."),
        field("issuer", Shape::Text(0, 500), "Known to the hub."),
        field("serialNumber", Shape::Text(1, 500), "Known to the hub."),
        field("keyType", Shape::Text(1, 40), "Known to the hub."),
        field("names", Shape::List(&Shape::Text(1, 253), 200), "Known to the hub."),
        field("validFrom", Shape::Text(1, 40), "Known to the hub."),
        field("validTo", Shape::Text(1, 40), "Known to the hub."),
    ],
    &[],
);

/// A certificate that is to be installed.
pub enum CertificateChange {}

impl Form for CertificateChange {
    const NAME: &'static str = "CertificateChange";
    const SHAPE: Shape =
        Shape::Object(&[CERTIFICATE_FIELD, PRIVATE_KEY_FIELD, KEY_PASSWORD_FIELD], &["certificate", "privateKey"]);
}

/// Where a VCD is reached from outside.
const PUBLIC_ADDRESS: Shape = Shape::Object(
    &[
        field("restApiBaseUri", Shape::Word(&REACHED), "The API, by HTTPS: a host that the certificate must be for."),
        field("restApiBaseHttpUri", Shape::Word(&REACHED), "The API, by HTTP."),
        field(
            "tenantPortalExternalAddress",
            Shape::Word(&REACHED),
            "The portal, by HTTPS: a host that the certificate must be for.",
        ),
        field("tenantPortalExternalHttpAddress", Shape::Word(&REACHED), "The portal, by HTTP."),
        field("consoleProxyExternalAddress", Shape::Word(&REACHED), "The consoles: a host that the certificate must be for."),
    ],
    &[],
);

/// The hosts at which a product is reached with its certificate, each once.
pub fn hosts(product: &Value) -> Vec<String> {
    let addresses = &product["properties"]["publicAddress"];
    let mut hosts: Vec<String> = Vec::new();
    for field in ["restApiBaseUri", "tenantPortalExternalAddress", "consoleProxyExternalAddress"] {
        let host = addresses[field].as_str().and_then(host_of);
        if let Some(host) = host.filter(|host| !hosts.iter().any(|known| known == host)) {
            hosts.push(host.to_owned());
        }
    }
    hosts
}

/// How a Usage Meter gets out.
const PROXY: Shape = Shape::Object(
    &[
        field("type", Shape::OneOf(&["HTTP", "HTTPS", "SOCKS"]), "Which protocol it speaks."),
        field("host", Shape::Word(&HOST), "Where it is."),
        field("port", Shape::Whole(1, 65_535), "At which port."),
        field("user", Shape::Text(1, 120), "Who the product is to it."),
        field("password", Shape::Secret(&PASSWORD), "The password of that user, or where it is kept."),
    ],
    &["host", "port"],
);

/// How a Usage Meter is registered.
const REGISTRATION: Shape = Shape::Object(
    &[
        field("label", Shape::Text(1, 120), "Its name."),
        field("meteringMode", Shape::Text(1, 40), "What it meters for."),
        field("connectivityMode", Shape::OneOf(&["ONLINE", "OFFLINE"]), "Whether it reports by itself."),
        field("contractNumber", Shape::Text(1, 60), "The contract that it reports to."),
        field("siteName", Shape::Text(1, 120), "The site of that contract."),
        field("token", Shape::Secret(&KEY), "The token of the registration."),
    ],
    &[],
);

/// How a Usage Meter works without a way out.
const OFFLINE_MODE: Shape = Shape::Object(
    &[
        field("enabled", Shape::Truth, "Whether it does."),
        field("token", Shape::Secret(&KEY), "The token of the mode."),
        field("retainUsageData", Shape::Truth, "Whether what it metered before stays."),
    ],
    &["enabled"],
);

/// The properties of products of any type; [`PROPERTIES_OF`] says whose they are.
const PROPERTIES: Shape = Shape::Object(
    &[
        field("installationId", Shape::Whole(1, 63), "VCD: the installation's number."),
        field("systemName", Shape::Text(1, 128), "VCD: the system's name."),
        field("dbPassword", Shape::Secret(&PASSWORD), "VCD: the database's password."),
        field("adminEmail", Shape::Text(3, 254), "VCD: the administrator's address."),
        field("adminFullName", Shape::Text(1, 120), "VCD: the administrator's name."),
        field("adminUsername", Shape::Text(1, 120), "VCD: who the administrator is."),
        field("nfsMount", Shape::Text(1, 255), "VCD: the transfer share."),
        field("deploymentOption", Shape::Text(1, 80), "VCD, RMQ, VROPSTA: the appliance's size."),
        field("diskMode", Shape::OneOf(&["thin", "thick", "eagerZeroedThick"]), "How disks are provisioned."),
        field("enableSsh", Shape::Truth, "VCD, RMQ, VROPSTA: whether SSH is on."),
        field("expireRootPassword", Shape::Truth, "VCD: whether root's password must be changed at once."),
        field("clusterFailoverMode", Shape::OneOf(&["MANUAL", "AUTOMATIC"]), "VCD: how the database fails over."),
        field("keystorePassword", Shape::Secret(&PASSWORD), "VCD: the key store's password."),
        field("rootPassword", Shape::Secret(&PASSWORD), "Root's password."),
        field("auditorPassword", Shape::Secret(&PASSWORD), "USAGE: the auditor's password."),
        field("acceptTerms", Shape::Truth, "USAGE: whether the terms are accepted."),
        field("publicAddress", PUBLIC_ADDRESS, "VCD: where it is reached from outside."),
        field("proxy", PROXY, "USAGE: how it gets out."),
        field("registration", REGISTRATION, "USAGE: how it is registered."),
        field("offlineMode", OFFLINE_MODE, "USAGE: how it works without a way out."),
        field("virtualHost", Shape::Text(1, 80), "RMQ: the virtual host."),
        field("erlangCookie", Shape::Secret(&KEY), "RMQ: the secret that its nodes share."),
    ],
    &[],
);

/// Which properties the products of a type have.
const PROPERTIES_OF: &[(ProductType, &[&str])] = &[
    (
        ProductType::Vcd,
        &[
            "installationId",
            "systemName",
            "dbPassword",
            "adminEmail",
            "adminFullName",
            "adminUsername",
            "nfsMount",
            "deploymentOption",
            "diskMode",
            "enableSsh",
            "expireRootPassword",
            "clusterFailoverMode",
            "keystorePassword",
            "rootPassword",
            "publicAddress",
        ],
    ),
    (ProductType::Usage, &["diskMode", "auditorPassword", "rootPassword", "acceptTerms", "proxy", "registration", "offlineMode"]),
    (ProductType::Rmq, &["deploymentOption", "diskMode", "enableSsh", "rootPassword", "virtualHost", "erlangCookie"]),
    (ProductType::Vropsta, &["deploymentOption", "diskMode", "enableSsh", "rootPassword"]),
];

const PRODUCT: Shape = Shape::Object(
    &[
        field("productType", Shape::OneOf(ProductType::TEXTS), "What it is."),
        field("productId", Shape::Word(&CODE), "Its name, unique in the environment."),
        field("version", Shape::Text(1, 40), "Its version."),
        field("buildNumber", Shape::Text(1, 40), "Its build."),
        field("dataCenterId", Shape::Text(1, 60), "The vCenter that it is deployed to: a registered data center component."),
        field("adminPassword", Shape::Secret(&PASSWORD), "The administrator's password, or where it is kept."),
        field("license", Shape::Secret(&KEY), "Its license."),
        field("integrations", Shape::List(&INTEGRATION, 20), "What it works with."),
        field("nodes", Shape::List(&NODE, 50), "Its machines."),
        field("certificate", CERTIFICATE, "Its certificate; with another, or none, than it has, it is given that."),
        field("properties", PROPERTIES, "What is particular to its type."),
    ],
    &["productType", "productId", "version", "dataCenterId", "adminPassword", "nodes"],
);

/// The products of an environment.
const PRODUCTS: Field = field("products", Shape::List(&PRODUCT, 10), "Its products: all of them.");

/// What is said of an environment that is to be.
pub enum Description {}

impl Form for Description {
    const NAME: &'static str = "NewEnvironment";
    const SHAPE: Shape = Shape::Object(
        &[
            field("organizationId", Shape::Text(1, 60), "Whose it is to be; the organization acted in, when left out."),
            field("name", Shape::Text(1, 80), "The name it is known by."),
            field("code", Shape::Word(&CODE), "Its short name, unique in the organization; made of the name, when left out."),
            PRODUCTS,
        ],
        &["name", "products"],
    );
}

/// What an environment is to become.
pub enum Change {}

impl Form for Change {
    const NAME: &'static str = "EnvironmentChange";
    const SHAPE: Shape = Shape::Object(
        &[field("name", Shape::Text(1, 80), "The name it is known by; as it was, when left out."), PRODUCTS],
        &["products"],
    );
}

/// The short name that an environment gets which is given none: its name, with one `-` for whatever cannot stand there.
pub fn code_of(name: &str) -> Result<String> {
    let mut code = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || "_.".contains(character) {
            code.push(character);
        } else if !code.is_empty() && !code.ends_with('-') {
            code.push('-');
        }
    }
    let code = code.trim_end_matches('-').to_owned();
    if (CODE.is)(&code) {
        return Ok(code);
    }
    Err(Error::invalid("/code", "is missing; no code of 3 characters can be made of this name, so give one"))
}

fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Checks products, each of which is right by itself, in themselves and against each other; every fault is named with its
/// place. `body` is what has them.
pub fn check_products(body: &Value) -> Result<()> {
    let mut faults = Vec::new();
    let products = items(body, "products");
    if products.is_empty() {
        faults.push(FieldError { pointer: "/products".into(), detail: "is empty; an environment has a product at least".into() });
    }
    let mut names: Vec<(&str, String)> = Vec::new();
    for (at, product) in products.iter().enumerate() {
        let place = format!("/products/{at}");
        let mut fault = |field: String, detail: &str| {
            faults.push(FieldError { pointer: format!("{place}/{field}"), detail: detail.to_owned() })
        };
        let mut once = |kind: &'static str, value: &Value, field: String, fault: &mut dyn FnMut(String, &str)| {
            let Some(text) = value.as_str() else { return };
            if names.contains(&(kind, text.to_owned())) {
                fault(field, "is in the environment already; each must be its own");
            } else {
                names.push((kind, text.to_owned()));
            }
        };
        once("product", &product["productId"], "productId".into(), &mut fault);
        let nodes = items(product, "nodes");
        if nodes.is_empty() {
            fault("nodes".into(), "is empty; a product has a node at least");
        }
        if nodes.iter().filter(|node| node["isPrimary"] == true).count() > 1 {
            fault("nodes".into(), "has more than one that is primary; one is");
        }
        for (n, node) in nodes.iter().enumerate() {
            for name in ["hostName", "vmName"] {
                once(name, &node[name], format!("nodes/{n}/{name}"), &mut fault);
            }
            for (i, nic) in items(node, "nics").iter().enumerate() {
                once("address", &nic["ipAddress"], format!("nodes/{n}/nics/{i}/ipAddress"), &mut fault);
            }
        }
        let known = PROPERTIES_OF.iter().find(|(product_type, _)| product["productType"] == product_type.as_str());
        let known = known.map_or(&[] as &[&str], |(_, known)| known);
        for name in product["properties"].as_object().into_iter().flat_map(Map::keys) {
            if !known.contains(&name.as_str()) {
                fault(format!("properties/{name}"), "is no property of products of this type");
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::invalid_fields(faults)) }
}

/// What is different between what an environment is and what it is to be: one entry a field, with what stood there and
/// what is to stand there. Products are known by their ids and nodes by their host names, so that none is taken for
/// another that has its place in the list. Where a secret changes nothing is seen, for masks are compared.
pub fn changes(before: &Value, after: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    compare("/products", before, after, &mut found);
    found
}

fn compare(pointer: &str, before: &Value, after: &Value, found: &mut Vec<Value>) {
    let mut add = |action: &str| {
        // Not by `json!`, which would write the values to read them again.
        let mut change = Map::new();
        for (name, value) in [("pointer", &pointer.into()), ("action", &action.into()), ("before", before), ("after", after)] {
            change.insert(name.to_owned(), Value::clone(value));
        }
        found.push(Value::Object(change));
    };
    match (before, after) {
        _ if before == after => {}
        (Value::Null, _) => add("CREATED"),
        (_, Value::Null) => add("DESTROYED"),
        (Value::Object(one), Value::Object(other)) => {
            let more = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(more) {
                compare(&format!("{pointer}/{key}"), &before[key], &after[key], found);
            }
        }
        (Value::Array(one), Value::Array(other)) => match ["productId", "hostName", "integrationId"]
            .into_iter()
            .find(|key| one.iter().chain(other).all(|item| item[*key].is_string()))
        {
            Some(key) => {
                // Not collected: that sorts first, and its code is a component's 10 kB.
                let by = |list: &[Value]| {
                    let mut named = Map::new();
                    for item in list {
                        named.insert(item[key].as_str().unwrap_or_default().to_owned(), item.clone());
                    }
                    Value::Object(named)
                };
                compare(pointer, &by(one), &by(other), found);
            }
            None => add("CHANGED"),
        },
        _ => add("CHANGED"),
    }
}

/// What a change is, by what it changes: the one kind if it is of one kind, else a deployment anew.
pub fn kind_of(changes: &[Value]) -> TaskType {
    let kind = |change: &Value| {
        let words: Vec<&str> = change["pointer"].as_str().unwrap_or_default().split('/').skip(2).collect();
        match (words.as_slice(), change["action"].as_str()) {
            ([_, "version" | "buildNumber"], _) => TaskType::Upgrade,
            ([_, "nodes", _], Some("CREATED")) => TaskType::NodeAdd,
            ([_, "nodes", _], Some("DESTROYED")) => TaskType::NodeDelete,
            ([_, "nodes", _, "powerState"], _) => TaskType::NodePower,
            ([_, "nodes", _, ..], _) => TaskType::NodeUpdate,
            ([_, "certificate", ..], _) => TaskType::CertificateUpdate,
            ([_, "integrations", _], Some("CREATED")) => TaskType::IntegrationAdd,
            ([_, "integrations", _], Some("DESTROYED")) => TaskType::IntegrationDelete,
            ([_, "integrations", _, ..], _) => TaskType::IntegrationUpdate,
            ([_, "integrations"], Some("CREATED")) => TaskType::IntegrationAdd,
            ([_, "integrations"], Some("DESTROYED")) => TaskType::IntegrationDelete,
            ([_], Some("DESTROYED")) => TaskType::ProductDelete,
            _ => TaskType::EnvironmentDeploy,
        }
    };
    let mut kinds = changes.iter().map(kind);
    let first = kinds.next().unwrap_or(TaskType::EnvironmentDeploy);
    if kinds.all(|kind| kind == first) { first } else { TaskType::EnvironmentDeploy }
}

/// What it comes to when a node is redeployed: its machine is replaced, and what is known of it stays. None where no product has
/// the node.
pub fn redeployment(products: &Value, host_name: &str) -> Option<Value> {
    let products = products.as_array().map(Vec::as_slice).unwrap_or_default();
    let nodes = products.iter().flat_map(|product| items(product, "nodes").iter().map(move |node| (product, node)));
    let (product, node) = nodes.into_iter().find(|(_, node)| node["hostName"] == host_name)?;
    let pointer = format!("/products/{}/nodes/{host_name}", product["productId"].as_str().unwrap_or_default());
    let mut change = Map::new();
    for (name, value) in
        [("pointer", pointer.into()), ("action", REPLACED.into()), ("before", node.clone()), ("after", node.clone())]
    {
        change.insert(name.to_owned(), value);
    }
    Some(Value::Object(change))
}

/// The action of changes that replace machines.
const REPLACED: &str = "REPLACED";

/// The host names of the nodes whose machines these changes replace.
pub fn replaced(changes: &Value) -> Vec<&str> {
    let changes = changes.as_array().map(Vec::as_slice).unwrap_or_default();
    changes
        .iter()
        .filter(|change| change["action"] == REPLACED)
        .filter_map(|change| change["after"]["hostName"].as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn product(id: &str, hosts: &[&str]) -> Value {
        let nodes: Vec<Value> = hosts
            .iter()
            .map(|host| json!({ "hostName": host, "vmName": format!("vm-{host}"), "rootPassword": "Secret1" }))
            .collect();
        json!({
            "productType": "VCD", "productId": id, "version": "10.5", "dataCenterId": "dtc_x", "adminPassword": "Secret1", "nodes": nodes
        })
    }

    fn places(products: Value) -> Vec<String> {
        let body = json!({ "name": "x", "products": products });
        let shape: Vec<_> = Description::SHAPE.check(&body).into_iter().map(|fault| fault.pointer).collect();
        let more = check_products(&body).err().into_iter().flat_map(|error| error.fields).map(|field| field.pointer);
        shape.into_iter().chain(more).collect()
    }

    #[test]
    fn a_code_is_made_of_the_name() {
        for (name, code) in [("Prod 1", "Prod-1"), ("  a  b c ", "a-b-c"), ("über_cloud.de", "ber_cloud.de"), ("a--b", "a-b")] {
            assert_eq!(code_of(name.trim()).unwrap(), code);
        }
        assert!(code_of("äöü").is_err() && code_of("ab").is_err());
    }

    #[test]
    fn products_and_nodes_are_checked_against_each_other() {
        assert_eq!(places(json!([product("vcd", &["a", "b"]), product("two", &["c"])])), [""; 0]);
        assert_eq!(places(json!([])), ["/products"]);
        assert_eq!(
            places(json!([product("vcd", &["a", "a"]), product("vcd", &[])])),
            ["/products/0/nodes/1/hostName", "/products/0/nodes/1/vmName", "/products/1/productId", "/products/1/nodes"]
        );
        let mut one = product("vcd", &["a", "b"]);
        one["properties"] = json!({ "systemName": "x", "acceptTerms": true });
        for n in 0..2 {
            one["nodes"][n]["isPrimary"] = json!(true);
            one["nodes"][n]["nics"] = json!([{ "networkName": "m", "ipAddress": "10.0.0.1" }]);
        }
        assert_eq!(
            places(json!([one])),
            ["/products/0/nodes", "/products/0/nodes/1/nics/0/ipAddress", "/products/0/properties/acceptTerms"]
        );
        let mut one = product("v", &["a"]);
        (one["nodes"][0]["vmName"], one["nodes"][0]["cpuNum"]) = (json!("-x"), json!(0));
        assert_eq!(places(json!([one])), ["/products/0/nodes/0/cpuNum", "/products/0/nodes/0/vmName", "/products/0/productId"]);
    }

    #[test]
    fn addresses_and_what_is_within_properties_are_checked_field_by_field() {
        for (address, host) in [
            ("https://vcd.example.com", Some("vcd.example.com")),
            ("https://vcd.example.com:8443/tenant?x", Some("vcd.example.com")),
            ("http://10.0.0.1/", Some("10.0.0.1")),
            ("console.example.com:443", Some("console.example.com")),
            ("https://", None),
            ("https://user@host", None),
            ("https://host:0", None),
            ("https://host:+1", None),
            ("https://host:99999", None),
            ("ftp://host", None),
            ("a b", None),
        ] {
            assert_eq!(host_of(address), host, "{address}");
        }
        let mut vcd = product("vcd", &["a"]);
        vcd["properties"] = json!({ "publicAddress": {
            "restApiBaseUri": "https://vcd.example.com", "tenantPortalExternalAddress": "https://vcd.example.com/tenant",
            "restApiBaseHttpUri": "http://plain.example.com", "consoleProxyExternalAddress": "console.example.com:443"
        } });
        assert_eq!(places(json!([vcd.clone()])), [""; 0]);
        assert_eq!(hosts(&vcd), ["vcd.example.com", "console.example.com"]);
        vcd["properties"]["publicAddress"]["restApiBaseUri"] = json!("https://");
        vcd["properties"]["proxy"] = json!({ "host": "proxy", "port": 0 });
        assert_eq!(
            places(json!([vcd])),
            [
                "/products/0/properties/proxy/port",
                "/products/0/properties/publicAddress/restApiBaseUri",
                "/products/0/properties/proxy"
            ]
        );
        let mut usage = product("usage", &["a"]);
        usage["productType"] = json!("USAGE");
        usage["properties"] = json!({
            "proxy": { "type": "HTTP", "host": "proxy", "port": 3128, "user": "u", "password": "Secret1" },
            "registration": { "label": "one", "connectivityMode": "ONLINE", "token": "abc" },
            "offlineMode": { "enabled": false }
        });
        assert_eq!(places(json!([usage.clone()])), [""; 0]);
        usage["properties"]["registration"]["more"] = json!(1);
        usage["properties"]["offlineMode"] = json!({});
        usage["properties"]["proxy"]["password"] = json!("it's");
        assert_eq!(
            places(json!([usage])),
            [
                "/products/0/properties/offlineMode/enabled",
                "/products/0/properties/proxy/password",
                "/products/0/properties/registration/more"
            ]
        );
    }

    #[test]
    fn a_change_is_named_by_what_it_changes() {
        let before = json!([product("vcd", &["a", "b"])]);
        let kind = |edit: &dyn Fn(&mut Value)| {
            let mut after = before.clone();
            edit(&mut after);
            let changes = changes(&before, &after);
            (kind_of(&changes), changes.iter().map(|change| change["pointer"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(kind(&|after| after[0]["version"] = json!("10.6")), (TaskType::Upgrade, vec!["/products/vcd/version".into()]));
        assert_eq!(
            kind(&|after| after[0]["nodes"][1]["powerState"] = json!("OFF")),
            (TaskType::NodePower, vec!["/products/vcd/nodes/b/powerState".into()])
        );
        assert_eq!(
            kind(&|after| after[0]["nodes"] = product("vcd", &["b"])["nodes"].clone()),
            (TaskType::NodeDelete, vec!["/products/vcd/nodes/a".into()])
        );
        assert_eq!(
            kind(&|after| after[0]["nodes"] = product("vcd", &["c", "b", "a"])["nodes"].clone()),
            (TaskType::NodeAdd, vec!["/products/vcd/nodes/c".into()])
        );
        assert_eq!(kind(&|after| after[0]["nodes"][0]["cpuNum"] = json!(4)).0, TaskType::NodeUpdate);
        assert_eq!(
            kind(&|after| (after[0]["version"], after[0]["nodes"][0]["cpuNum"]) = (json!("9"), json!(4))).0,
            TaskType::EnvironmentDeploy
        );
        assert_eq!(kind(&|after| *after = Value::Null).1, ["/products"]);
        assert_eq!(
            kind(&|after| after[0]["certificate"] = json!({ "thumbprint": "AB" })),
            (TaskType::CertificateUpdate, vec!["/products/vcd/certificate".into()])
        );
        let before = json!([product("vcd", &["a"]), product("rmq", &["b"])]);
        let integrations = |list: Value| {
            let mut products = before.clone();
            products[0]["integrations"] = list;
            products
        };
        let nsx = |version: &str| json!({ "integrationId": "nsx", "version": version });
        let kind_between = |before: &Value, after: &Value| kind_of(&changes(before, after));
        for (one, other, kind) in [
            (before.clone(), integrations(json!([nsx("1")])), TaskType::IntegrationAdd),
            (
                integrations(json!([nsx("1")])),
                integrations(json!([nsx("1"), { "integrationId": "vrops" }])),
                TaskType::IntegrationAdd,
            ),
            (integrations(json!([nsx("1")])), integrations(json!([nsx("2")])), TaskType::IntegrationUpdate),
            (integrations(json!([nsx("1")])), integrations(json!([])), TaskType::IntegrationDelete),
            (integrations(json!([nsx("1")])), before.clone(), TaskType::IntegrationDelete),
            (before.clone(), json!([before[1].clone()]), TaskType::ProductDelete),
            (before.clone(), Value::Null, TaskType::EnvironmentDeploy),
        ] {
            assert_eq!(kind_between(&one, &other), kind, "{one} {other}");
        }
    }

    #[test]
    fn a_redeployment_names_the_node_whose_machine_is_replaced() {
        let products = json!([product("vcd", &["a", "b"]), product("two", &["c"])]);
        let change = redeployment(&products, "c").unwrap();
        assert_eq!(change["pointer"], "/products/two/nodes/c");
        assert_eq!((&change["before"], &change["after"]), (&products[1]["nodes"][0], &products[1]["nodes"][0]));
        assert_eq!(replaced(&json!([change])), ["c"]);
        assert_eq!(redeployment(&products, "d"), None);
        assert_eq!(replaced(&Value::Array(changes(&Value::Null, &products))), [""; 0]);
    }

    proptest! {
        /// There are no changes exactly where nothing is different but the order.
        #[test]
        fn changes_are_what_differs(hosts in proptest::collection::btree_set("[a-c]", 1..3), other in proptest::collection::btree_set("[a-c]", 1..3)) {
            let list = |hosts: &std::collections::BTreeSet<String>| {
                json!([product("vcd", &hosts.iter().rev().map(String::as_str).collect::<Vec<_>>())])
            };
            let found = changes(&list(&hosts), &list(&other));
            prop_assert_eq!(found.len(), hosts.symmetric_difference(&other).count());
        }
    }
}
