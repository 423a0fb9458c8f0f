//! What the tests of billing share: a customer with a subscription, and reports of its usage.

use serde_json::{Value, json};
use tests::{Actor, Answer, Call, Shop, World};

/// The header of a usage report.
pub const HEADER: &str = "Org Id,Org Name,Org Status,Tag,Service Id,Service Name,Subscription Id,Sku Name,Sku Description,Datacenter,Billable Usage Timestamp,Price,Usage Qty,Commit Qty,Billable Qty,Product Family,Customer Segment,Cross Reference Sku";

/// A hub with a customer that has something to use.
pub struct Ground {
    pub world: World,
    pub shop: Shop,
    pub subscription: String,
}

/// What [`Ground::other_provider`] makes.
pub struct Other {
    pub admin: Actor,
    pub customer: String,
    pub subscription: String,
}

impl Ground {
    pub async fn new() -> Self {
        let world = World::new().await;
        let shop = world.shop().await;
        let subscription = subscription(&world, &shop.admin, &shop.customer, &shop.builtin).await;
        Self { world, shop, subscription }
    }

    /// Another provider, whose customer has a subscription to the same service.
    pub async fn other_provider(&self) -> Other {
        let (world, shop) = (&self.world, &self.shop);
        let provider = world.organization(&shop.operator, "PROVIDER", "Other Cloud", None).await;
        let admin = world.actor(&shop.operator, &provider, "PROVIDER_ADMINISTRATOR").await;
        world.contract(&shop.operator, &provider, &shop.builtin).await;
        let customer = world.organization(&admin, "CUSTOMER", "Theirs", None).await;
        let subscription = subscription(world, &admin, &customer, &shop.builtin).await;
        Other { admin, customer, subscription }
    }

    /// A row of this customer's usage.
    pub fn row(&self, day: &str, sku: &str, price: &str, quantity: &str) -> Row {
        Row {
            organization: self.shop.customer.clone(),
            service: self.shop.builtin.clone(),
            subscription: self.subscription.clone(),
            sku: sku.into(),
            day: day.into(),
            price: price.into(),
            quantity: quantity.into(),
        }
    }

    /// The provider's import of these rows, not yet sent.
    pub fn report(&self, rows: &[Row]) -> Call<'_> {
        self.world.call(http::Method::POST, "/v1/usage-reports").body("text/csv", csv(rows)).by(&self.shop.admin)
    }

    /// Imports these rows.
    pub async fn import(&self, rows: &[Row]) -> Answer {
        let answer = self.report(rows).send().await;
        answer.expect(201);
        answer
    }

    /// The provider's request for the customer's invoice, not yet sent.
    pub fn invoice(&self, period: &str) -> Call<'_> {
        self.world.post("/v1/invoices", json!({ "organizationId": self.shop.customer, "period": period })).by(&self.shop.admin)
    }
}

/// Provisions a service to a customer.
pub async fn subscription(world: &World, admin: &Actor, customer: &str, service: &str) -> String {
    let body = json!({ "organizationId": customer, "serviceId": service, "quantity": "1" });
    let answer = world.post("/v1/subscriptions", body).by(admin).send().await;
    answer.expect(202);
    world.settle().await;
    answer.text("/subscriptionId")
}

/// A row of a report; what it leaves out is the same in all rows.
#[derive(Clone)]
pub struct Row {
    pub organization: String,
    pub service: String,
    pub subscription: String,
    pub sku: String,
    pub day: String,
    pub price: String,
    pub quantity: String,
}

/// The rows as a report.
pub fn csv(rows: &[Row]) -> String {
    let mut csv = format!("{HEADER}\r\n");
    for row in rows {
        let Row { organization, service, subscription, sku, day, price, quantity } = row;
        csv += &format!(
            "{organization},\"Fabrikam, Inc.\",ACTIVE,,{service},Compute,{subscription},{sku},\"Unit \"\"{sku}\"\"\",eu-1,{day}T00:00:00Z,{price},{quantity},0,{quantity},MSP,COMMERCIAL,XR-{sku}\r\n"
        );
    }
    csv
}

/// The pointers of a refusal.
pub fn pointers(answer: &Answer) -> Vec<String> {
    let errors = answer.at("/errors");
    errors.as_array().into_iter().flatten().map(|error| error["pointer"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A line as [`lines`] gives it.
pub fn line(
    period: &str,
    sku: &str,
    quantity: &str,
    price: &str,
    amount: i64,
    rows: u64,
) -> (String, String, String, String, i64, u64) {
    (period.into(), sku.into(), quantity.into(), price.into(), amount, rows)
}

/// What an invoice says, line by line: month, unit of stock, quantity, unit price, minor units, rows.
pub fn lines(invoice: &Value) -> Vec<(String, String, String, String, i64, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |line: &Value| {
        (
            text(&line["usagePeriod"]),
            text(&line["sku"]),
            text(&line["quantity"]),
            text(&line["unitPrice"]),
            line["amount"]["minorUnits"].as_i64().unwrap_or(i64::MIN),
            line["usageRows"].as_u64().unwrap_or_default(),
        )
    };
    invoice["lines"].as_array().into_iter().flatten().map(line).collect()
}
