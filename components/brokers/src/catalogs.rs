//! `/internal/broker-catalogs`: what brokers offer.

use crate::client::{self, BrokerReply, BrokerRequest};
use domain::{Id, Result, id, service_broker::BrokerCatalog};
use store::service_brokers as brokers;
use web::{Hub, Internal, Path, Shown};

/// Reads a broker's catalog. Where that fails, the answer is a sentence for the caller of the import.
pub async fn show(hub: Hub, _: Internal, Path(id): Path<Id<id::ServiceBroker>>) -> Result<Shown<BrokerCatalog>> {
    let broker = brokers::find(hub.db().await?, id).await?;
    let request = BrokerRequest { limit: client::CATALOG, ..BrokerRequest::get("v2/catalog".to_owned()) };
    let refusal = |why: &str| Ok(Shown(BrokerCatalog::Refusal(why.to_owned())));
    let (status, body) = match client::ask(&hub, &broker, request).await? {
        BrokerReply::Denied => return refusal(client::DENIED),
        BrokerReply::Nothing => return refusal("the broker did not answer in time. Try again in a while."),
        BrokerReply::Unreached => return refusal("nobody is there. Correct its baseUrl, or start it."),
        BrokerReply::Answer { status, body, .. } => (status, body),
    };
    if status != 200 {
        let way = match status {
            401 | 403 => " Edit the broker's credentials.",
            404 => " Correct its baseUrl: /v2/catalog is below it.",
            412 => " It does not take version 2.17 of the Open Service Broker API.",
            _ => "",
        };
        return refusal(&format!("the broker answered {status}.{way}"));
    }
    match serde_json::from_slice(&body) {
        Ok(catalog) => Ok(Shown(BrokerCatalog::Catalog(catalog))),
        Err(error) => refusal(&format!("it is not what the specification says ({error}).")),
    }
}
