//! Asking a service broker, with a bound on everything that it could make too long.

use domain::{
    Result,
    service_broker::{API_VERSION, Heard, PLATFORM},
};
use http::Method;
use std::time::Duration;
use store::service_brokers::ServiceBroker;
use web::{
    Hub,
    outbound::{self, NoAnswer, Outgoing},
    secret,
};

/// How long one answer may take, its body included. Shorter than a job's lease, and than a request may take here.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The most bytes of an answer that are read.
const ANSWER: u64 = 256 * 1024;
/// The most bytes of a catalog that are read.
pub const CATALOG: u64 = 2 * 1024 * 1024;

/// A request to a broker.
pub struct BrokerRequest<'a> {
    /// What is to be done.
    pub method: Method,
    /// Below the broker's URL, with its query.
    pub path: String,
    /// JSON; nothing, when it is empty.
    pub body: String,
    /// Who caused it, as JSON; nobody, where the hub itself did.
    pub identity: Option<&'a str>,
    /// The most bytes of the answer that are read.
    pub limit: u64,
}

impl BrokerRequest<'_> {
    /// One that changes nothing.
    pub fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: String::new(), identity: None, limit: ANSWER }
    }
}

/// What a broker answered.
pub enum BrokerReply {
    /// The hub may not reach the broker, so nothing was sent.
    Denied,
    /// No answer in time, or not the whole of one.
    Nothing,
    /// Nobody is there.
    Unreached,
    /// An answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its body; empty when it was too long.
        body: Vec<u8>,
        /// After how many seconds to come back, if it says so.
        retry_after: Option<u32>,
    },
}

impl BrokerReply {
    /// The same in the words of the rules. What was not sent was not heard.
    pub fn heard(&self) -> Heard<'_> {
        match self {
            Self::Nothing => Heard::Nothing,
            Self::Denied | Self::Unreached => Heard::Unreached,
            Self::Answer { status, body, retry_after } => Heard::Answer { status: *status, body, retry_after: *retry_after },
        }
    }

    /// The status, if there is an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// After how many seconds to come back, if the broker says so.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Answer { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What to say of a broker that the hub may not reach.
pub const DENIED: &str = "The hub may not reach the broker: set the variable service_broker to its host and start the hub again.";

/// Asks a broker something.
pub async fn ask(hub: &Hub, broker: &ServiceBroker, request: BrokerRequest<'_>) -> Result<BrokerReply> {
    let secret = hub.unseal(&broker.id.to_string(), &broker.secret).await?;
    let authorization = match &broker.username {
        Some(username) => format!("Basic {}", secret::base64(&format!("{username}:{secret}"))),
        None => format!("Bearer {secret}"),
    };
    let mut headers = vec![
        ("authorization", authorization),
        ("accept", "application/json".to_owned()),
        ("x-broker-api-version", API_VERSION.to_owned()),
        ("x-broker-api-request-identity", hub.id::<domain::id::Request>().uuid().to_string()),
    ];
    if let Some(identity) = request.identity {
        headers.push(("x-broker-api-originating-identity", format!("{PLATFORM} {}", secret::base64(identity))));
    }
    if !request.body.is_empty() {
        headers.push(("content-type", "application/json".to_owned()));
    }
    let url = broker.base_url.file(&request.path);
    let asked = async {
        let outgoing = Outgoing { method: request.method, url: &url, headers, body: request.body.into_bytes() };
        let answered = outbound::send(outgoing).await?;
        let status = answered.status();
        // The other form, a date, needs the broker's clock to be right; the specification recommends this one.
        let retry_after = answered.header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
        let mut body = Vec::new();
        if answered.read(request.limit, |piece| body.extend_from_slice(piece)).await? > request.limit {
            // Nobody reads it to its end, so it says nothing.
            body.clear();
        }
        Ok(BrokerReply::Answer { status, body, retry_after })
    };
    Ok(match outbound::within(PATIENCE, asked).await {
        Ok(answered) => answered,
        Err(NoAnswer::Denied) => BrokerReply::Denied,
        Err(NoAnswer::Unreached(_)) => BrokerReply::Unreached,
        Err(NoAnswer::TimeOut | NoAnswer::Broken(_)) => BrokerReply::Nothing,
    })
}

/// A query of these names and values, those that there are.
pub fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        if let Some(value) = value {
            query.push(if query.is_empty() { '?' } else { '&' });
            query += name;
            query.push('=');
            for byte in value.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => query.push(byte as char),
                    _ => query += &format!("%{byte:02X}"),
                }
            }
        }
    }
    query
}
