//! The stage `brokers`: a customer gets a service from a real service broker, through a running hub: registered, imported,
//! provisioned, changed, bound, unbound and taken away, all of it in the broker's own time.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::http::{Call, Client};
use crate::peer::Peer;
use crate::{shell, tools};

/// Somebody who asks the hub.
struct Asker<'a> {
    client: &'a Client,
    name: &'static str,
    token: String,
}

impl Asker<'_> {
    fn post(&self, path: &str, body: &Value, status: u16) -> Result<Value> {
        self.call(Call::post(path).json(body.to_string()), status)
    }

    fn call(&self, call: Call, status: u16) -> Result<Value> {
        let call = call.bearer(self.name, &self.token).header("if-match", "*").header("prefer", "wait=25");
        self.client.expect(&call, status)?.json()
    }

    /// Asks for something that a task does, and sees it end so.
    fn task(&self, call: Call, status: &str) -> Result<Value> {
        let task = self.call(call, 200)?;
        ensure!(task["status"] == status, "the task ended otherwise than as {status}: {task}");
        println!("    {}: {status}", task["type"].as_str().unwrap_or_default());
        Ok(task)
    }
}

fn id(of: &Value) -> Result<String> {
    Ok(of["id"].as_str().context("it has an id")?.to_owned())
}

/// Runs the stage.
pub fn run() -> Result<()> {
    let mut python = shell::command(tools::service_broker()?);
    python.arg(shell::root().join("tests/broker/broker.py"));
    let (mut broker, url) = Peer::start("the service broker", &mut python, "url")?;
    let ground = Ground::start_with("brokers", vec![("SPIN_VARIABLE_SERVICE_BROKER", url.clone())])?;
    let client = ground.hub.client();
    let operator = Asker { client: &client, name: "OPERATOR", token: ground.sign_in()? };

    let body = json!({ "displayName": "openbrokerapi", "baseUrl": url, "username": "hub", "password": "secret" });
    let registered = id(&operator.post("/v1/service-brokers", &body, 201)?)?;
    let body = json!({ "status": "PUBLISHED", "productFamily": "ISV" });
    let imported = operator.post(&format!("/v1/service-brokers/{registered}/import"), &body, 200)?;
    let one = &imported["services"][0];
    ensure!(one["planCodes"] == json!(["small", "large"]) && one["warnings"] == json!([]), "the import came to {imported}");
    let service = one["serviceId"].as_str().context("a service was imported")?;
    let (provider, customer) = customer(&operator, service)?;

    // What the broker refuses leaves nothing.
    let order = |size: u32| {
        let body = json!({
            "organizationId": customer, "serviceId": service, "planCode": "small", "quantity": "1", "properties": { "size": size }
        });
        Call::post("/v1/subscriptions").json(body.to_string())
    };
    let refused = provider.task(order(13), "ERROR")?;
    ensure!(
        refused["message"].as_str().is_some_and(|text| text.contains("bad luck")),
        "the broker's words are not there: {refused}"
    );
    ensure!(told(&mut broker)?["instances"] == json!({}), "something is left at the broker");

    let task = provider.task(order(3), "SUCCESS")?;
    let subscription = task["subscriptionId"].as_str().context("it is of a subscription")?.to_owned();
    expect(&mut broker, "plan-small", 3, 0)?;
    let path = format!("/v1/subscriptions/{subscription}");
    let change = json!({ "planCode": "large", "properties": { "size": 9 } });
    let change = Call { method: "PATCH", ..Call::post(path.as_str()).json(change.to_string()) };
    provider.task(change, "SUCCESS")?;
    expect(&mut broker, "plan-large", 9, 0)?;

    let bind =
        |name: &str| Call::post("/v1/service-bindings").json(json!({ "subscriptionId": subscription, "name": name }).to_string());
    provider.task(bind("one"), "SUCCESS")?;
    let bindings = provider.call(Call::get("/v1/service-bindings"), 200)?;
    let binding = format!("/v1/service-bindings/{}", id(&bindings["items"][0])?);
    let given = provider.call(Call::get(format!("{binding}/credentials")), 200)?;
    ensure!(given["credentials"] == json!({ "user": "u", "password": "pa55" }), "the credentials are {given}");
    provider.task(bind("two"), "SUCCESS")?;
    expect(&mut broker, "plan-large", 9, 2)?;
    provider.task(Call { method: "DELETE", ..Call::get(binding) }, "SUCCESS")?;
    expect(&mut broker, "plan-large", 9, 1)?;
    // The other binding goes with the service.
    provider.task(Call::post(format!("{path}/terminate")).json("{}"), "SUCCESS")?;

    let told = told(&mut broker)?;
    ensure!(told["instances"] == json!({}) && told["bindings"] == 0, "something is left at the broker: {told}");
    check_seen(&told, &customer)?;
    ground.stop()
}

/// A provider with a contract for the service, and its customer.
fn customer<'a>(operator: &Asker<'a>, service: &str) -> Result<(Asker<'a>, String)> {
    let organization = |kind: &str, parent: Option<&str>| {
        let mut body = json!({
            "kind": kind, "displayName": kind, "companyName": "Contoso Ltd.", "country": "US", "currency": "USD"
        });
        if let Some(parent) = parent {
            body["parentId"] = json!(parent);
        }
        id(&operator.post("/v1/organizations", &body, 201)?)
    };
    let provider = organization("PROVIDER", None)?;
    let customer = organization("CUSTOMER", Some(&provider))?;
    let contract = json!({
        "providerId": provider, "serviceId": service, "contractType": "PAY_GO", "effectiveDate": "2026-01-01", "currency": "USD",
        "threshold": { "minorUnits": 100_000, "currency": "USD" }
    });
    let contract = id(&operator.post("/v1/contracts", &contract, 201)?)?;
    operator.post(&format!("/v1/contracts/{contract}/approve"), &json!({}), 200)?;
    let token = json!({ "name": "p", "organizationId": provider, "roles": ["PROVIDER_ADMINISTRATOR"] });
    let token = operator.post("/v1/api-tokens", &token, 201)?;
    let token = operator.post("/v1/access-tokens", &json!({ "apiToken": token["apiToken"] }), 201)?;
    let token = token["accessToken"].as_str().context("there is an accessToken")?.to_owned();
    Ok((Asker { client: operator.client, name: "PROVIDER", token }, customer))
}

/// What the broker has, and what it saw.
fn told(broker: &mut Peer) -> Result<Value> {
    broker.ask("")
}

/// The broker has one instance, like this, and so many bindings.
fn expect(broker: &mut Peer, plan: &str, size: u32, bindings: u32) -> Result<()> {
    let told = told(broker)?;
    let instances: Vec<&Value> = told["instances"].as_object().into_iter().flat_map(|all| all.values()).collect();
    let wanted = json!({ "plan": plan, "parameters": { "size": size } });
    ensure!(instances == [&wanted] && told["bindings"] == bindings, "the broker has {told}");
    Ok(())
}

/// Everything was asked for by the book.
fn check_seen(told: &Value, customer: &str) -> Result<()> {
    let headers = told["headers"].as_array().context("the broker saw headers")?;
    for header in headers {
        ensure!(header["X-Broker-Api-Version"] == "2.17" && header["X-Broker-Api-Request-Identity"].is_string(), "{header}");
    }
    let seen = told["seen"].as_array().context("the broker saw something")?;
    let count = |what: &str| seen.iter().filter(|seen| seen["what"] == what).count();
    for (what, times) in [
        ("provision", 1),
        ("last_operation provision & wait", 3),
        ("update", 1),
        ("last_operation update", 3),
        ("bind", 2),
        ("last_binding_operation bind", 6),
        ("get_binding", 2),
        ("unbind", 2),
        ("deprovision", 1),
        ("last_operation deprovision", 3),
    ] {
        // The one that was refused for its parameters is a provision, too.
        let times = times + usize::from(what == "provision");
        ensure!(count(what) == times, "the broker saw {what} {} times and not {times}", count(what));
    }
    for asked in seen
        .iter()
        .filter(|seen| ["provision", "update", "bind", "unbind", "deprovision"].iter().any(|what| seen["what"] == *what))
    {
        let identity = &asked["identity"];
        ensure!(identity["platform"] == "provider-hub" && identity["value"]["organization_id"] == customer, "{asked}");
    }
    Ok(())
}
