//! An environment as it is stored, with its secrets.

use domain::{Error, Id, Result, form::read, id};
use serde_json::{Map, Value};
use store::{
    Db, Scope,
    environments::{self, Environment},
};
use web::Hub;

/// An environment as it is stored, with its secrets.
pub(crate) struct StoredEnvironment {
    pub(crate) environment: Environment,
    pub(crate) products: Value,
    /// The secrets, sealed for the environment's id.
    pub(crate) sealed: Option<String>,
}

impl StoredEnvironment {
    pub(crate) async fn find(db: &Db, scope: &Scope, id: Id<id::Environment>) -> Result<Self> {
        let (environment, sealed) = environments::find_with_secrets(db, scope, id).await?;
        let products = read(environment.products.get().as_bytes())
            .map_err(|error| Error::fault(format!("the products of an environment: {error}")))?;
        Ok(Self { environment, products, sealed })
    }

    /// The secrets, by their JSON pointers.
    pub(crate) async fn secrets(&self, hub: &Hub) -> Result<Map<String, Value>> {
        let Some(sealed) = &self.sealed else { return Ok(Map::new()) };
        let text = hub.unseal(&self.environment.id.to_string(), sealed).await?;
        match read(text.as_bytes()) {
            Ok(Value::Object(secrets)) => Ok(secrets),
            Ok(_) => Err(Error::fault("the secrets of an environment are no object")),
            Err(error) => Err(Error::fault(format!("the secrets of an environment: {error}"))),
        }
    }

    /// Where a product stands in the list of products.
    pub(crate) fn position(&self, product_id: &str) -> Result<usize> {
        let products = self.products.as_array().map(Vec::as_slice).unwrap_or_default();
        products
            .iter()
            .position(|product| product["productId"] == product_id)
            .ok_or_else(|| Error::not_found("product_not_found", "product of this environment", product_id))
    }
}
