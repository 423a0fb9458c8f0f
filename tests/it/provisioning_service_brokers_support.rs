//! A service broker in the test's hand, with what it has made and every habit that a test needs.

use crate::provisioning_support::again;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tests::{Actor, Shop, World};

/// A URL that the hub may reach.
pub const BASE: &str = "https://broker.example/osb";
/// What the broker tells of every binding, and nothing else may.
pub const PASSWORD: &str = "pa55-of-the-binding";

/// What the broker does with a request instead of serving it.
#[derive(Clone, Debug)]
pub enum Habit {
    /// Serves it, and never answers.
    Hangs,
    /// Serves it after so many seconds, and answers then.
    Late(u64),
    /// Does not serve it, and answers so.
    Answers(u16, &'static str),
    /// The same with a Retry-After.
    Throttles(u16, u32),
    /// Serves it, and answers so.
    Says(u16, &'static str),
}

/// One request as the broker saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Below `/v2/`, with the query.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

#[derive(Default)]
struct State {
    catalog: Value,
    instances: BTreeMap<String, Value>,
    bindings: BTreeMap<String, Value>,
    /// Every id that was ever made, so that none is made twice.
    made: Vec<String>,
    /// How often `last_operation` says that it is under way; none: the broker does everything at once.
    polls: Option<u32>,
    left: u32,
    /// What the operation under way ends with.
    fails: bool,
    /// By method and a part of the path; the first that fits is used up.
    habits: Vec<(&'static str, &'static str, Habit)>,
    seen: Vec<Seen>,
}

/// The broker.
#[derive(Clone, Default)]
pub struct Broker(Arc<Mutex<State>>);

impl Broker {
    /// One that the world's hub can reach.
    pub fn new(world: &World) -> Self {
        let broker = Self::default();
        broker.0.lock().unwrap().catalog = catalog(&["small", "large"]);
        broker.listen(world);
        broker
    }

    /// Answers another hub on the same data.
    pub fn listen(&self, world: &World) {
        let peer = self.clone();
        world.hub.outbound("broker.example", move |request| {
            let peer = peer.clone();
            async move { peer.answer(&request).await }
        });
    }

    /// From now on everything takes so many looks.
    pub fn asynchronous(&self, polls: u32) {
        self.0.lock().unwrap().polls = Some(polls);
    }

    /// What is under way next fails.
    pub fn fails(&self) {
        self.0.lock().unwrap().fails = true;
    }

    pub fn habit(&self, method: &'static str, path: &'static str, habit: Habit) {
        self.0.lock().unwrap().habits.push((method, path, habit));
    }

    /// From now on it has no bad habits.
    pub fn heal(&self) {
        self.0.lock().unwrap().habits.clear();
    }

    pub fn set_catalog(&self, catalog: Value) {
        self.0.lock().unwrap().catalog = catalog;
    }

    /// The requests since the last time.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }

    /// How many there were of a method whose path has this in it, since `seen` was asked.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.0.lock().unwrap().seen.iter().filter(|seen| seen.method == method && seen.path.contains(path)).count()
    }

    pub fn instances(&self) -> BTreeMap<String, Value> {
        self.0.lock().unwrap().instances.clone()
    }

    pub fn bindings(&self) -> usize {
        self.0.lock().unwrap().bindings.len()
    }

    /// No id was ever used for two things.
    pub fn check_ids(&self) {
        let made = self.0.lock().unwrap().made.clone();
        assert_eq!(made.iter().collect::<BTreeSet<_>>().len(), made.len(), "{made:?}");
    }

    async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path_and_query().unwrap().as_str().trim_start_matches("/osb/v2/").to_owned();
        let method = request.method().to_string();
        let habit = {
            let mut state = self.0.lock().unwrap();
            let headers = request.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
            let body = serde_json::from_slice(request.body()).unwrap_or_default();
            state.seen.push(Seen { method: method.clone(), path: path.clone(), headers: headers.collect(), body });
            let found = state.habits.iter().position(|(of, part, _)| *of == method && path.contains(part));
            found.map(|found| state.habits.remove(found).2)
        };
        let body = serde_json::from_slice(request.body()).unwrap_or_default();
        let serve = || self.0.lock().unwrap().serve(&method, &path, body);
        let (status, text, wait) = match habit {
            None => serve(),
            Some(Habit::Hangs) => {
                serve();
                std::future::pending().await
            }
            Some(Habit::Late(seconds)) => {
                // Whether anybody still listens or not.
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                serve()
            }
            Some(Habit::Answers(status, text)) => (status, text.to_owned(), None),
            Some(Habit::Throttles(status, seconds)) => (status, "{}".to_owned(), Some(seconds)),
            Some(Habit::Says(status, text)) => {
                serve();
                (status, text.to_owned(), None)
            }
        };
        let mut answer = Response::builder().status(status).header("content-type", "application/json");
        if let Some(wait) = wait {
            answer = answer.header("retry-after", wait.to_string());
        }
        answer.body(text.into()).unwrap()
    }
}

impl State {
    fn serve(&mut self, method: &str, target: &str, body: Value) -> (u16, String, Option<u32>) {
        let path = target.split('?').next().unwrap();
        let parts: Vec<&str> = path.split('/').collect();
        let plain = |status: u16, value: Value| (status, value.to_string(), None);
        if path == "catalog" {
            return plain(200, self.catalog.clone());
        }
        let (id, binding) =
            (parts[1].to_owned(), parts.get(3).filter(|_| parts[2] == "service_bindings").map(|id| (*id).to_owned()));
        let begun = |state: &mut Self, done: u16, value: Value| match state.polls {
            Some(polls) => {
                state.left = polls;
                plain(202, json!({ "operation": "op/1 & more" }))
            }
            None => plain(done, value),
        };
        if path.ends_with("last_operation") {
            assert!(target.contains("operation=op%2F1%20%26%20more"), "{target}");
            if self.left > 0 {
                self.left -= 1;
                return (200, json!({ "state": "in progress", "description": "half-way" }).to_string(), Some(7));
            }
            if std::mem::take(&mut self.fails) {
                return plain(200, json!({ "state": "failed", "description": "no room" }));
            }
            let gone = match &binding {
                Some(binding) => !self.bindings.contains_key(binding),
                None => !self.instances.contains_key(&id),
            };
            return if gone { plain(410, json!({})) } else { plain(200, json!({ "state": "succeeded" })) };
        }
        let given = json!({ "credentials": { "user": "u", "password": PASSWORD } });
        match (method, binding) {
            ("PUT", None) => {
                if self.instances.insert(id.clone(), body).is_none() {
                    self.made.push(id);
                }
                begun(self, 201, json!({ "dashboard_url": "https://dash.example/1" }))
            }
            ("PUT", Some(binding)) => {
                assert!(self.instances.contains_key(&id), "a binding of nothing");
                if self.bindings.insert(binding.clone(), body).is_none() {
                    self.made.push(binding);
                }
                begun(self, 201, given)
            }
            ("GET", Some(binding)) if self.bindings.contains_key(&binding) => plain(200, given),
            ("PATCH", None) => {
                let Some(instance) = self.instances.get_mut(&id) else { return plain(404, json!({})) };
                for field in ["plan_id", "parameters"] {
                    if !body[field].is_null() {
                        instance[field] = body[field].clone();
                    }
                }
                begun(self, 200, json!({}))
            }
            ("DELETE", None) => {
                assert!(target.contains("service_id=") && target.contains("plan_id="), "{target}");
                match self.instances.remove(&id) {
                    Some(_) => begun(self, 200, json!({})),
                    None => plain(410, json!({})),
                }
            }
            ("DELETE", Some(binding)) => match self.bindings.remove(&binding) {
                Some(_) => begun(self, 200, json!({})),
                None => plain(410, json!({})),
            },
            _ => plain(404, json!({})),
        }
    }
}

/// A catalog with one service that has these plans.
pub fn catalog(plans: &[&str]) -> Value {
    let schema = json!({
        "$schema": "http://json-schema.org/draft-04/schema#", "type": "object",
        "properties": { "size": { "type": "integer", "minimum": 1 } }, "additionalProperties": false
    });
    let plans: Vec<Value> = plans
        .iter()
        .map(|name| {
            json!({
                "id": format!("plan-{name}"), "name": name, "description": "A plan.", "maximum_polling_duration": 3600,
                "schemas": { "service_instance": { "create": { "parameters": schema } } }
            })
        })
        .collect();
    json!({ "services": [{
        "id": "offering/1", "name": "database", "description": "A database.", "bindable": true, "plan_updateable": true,
        "metadata": { "displayName": "Database" }, "plans": plans
    }] })
}

/// A shop that sells what a broker offers.
pub struct Stall {
    pub shop: Shop,
    pub broker: Broker,
    /// The broker's path in the hub.
    pub path: String,
    /// The broker's service in the hub's catalog.
    pub service: String,
}

pub async fn register(world: &World, operator: &Actor) -> String {
    let body = json!({ "displayName": "Broker", "baseUrl": BASE, "username": "hub", "password": "secret-of-the-hub" });
    let made = world.post("/v1/service-brokers", body).by(operator).send().await;
    made.expect(201);
    made.header("location").to_owned()
}

pub async fn import(world: &World, operator: &Actor, path: &str) -> Value {
    let operator = again(world, operator).await;
    let body = json!({ "status": "PUBLISHED", "productFamily": "ISV" });
    world.post(&format!("{path}/import"), body).by(&operator).send().await.expect(200).json()
}

impl Stall {
    pub async fn new(world: &World) -> Self {
        let shop = world.shop().await;
        let broker = Broker::new(world);
        let path = register(world, &shop.operator).await;
        let imported = import(world, &shop.operator, &path).await;
        let service = imported["services"][0]["serviceId"].as_str().expect("a service").to_owned();
        world.contract(&shop.operator, &shop.provider, &service).await;
        broker.seen();
        Self { shop, broker, path, service }
    }

    /// Asks for the broker's service for the shop's customer.
    pub async fn subscribe(&self, world: &World) -> Result<tests::Answer, host::RequestError> {
        let body = json!({
            "organizationId": self.shop.customer, "serviceId": self.service, "planCode": "small", "quantity": "1",
            "properties": { "size": 3 }
        });
        world.post("/v1/subscriptions", body).by(&self.shop.admin).key("one").try_send().await
    }

    /// Has the customer have the service.
    pub async fn subscribed(&self, world: &World) -> String {
        let asked = self.subscribe(world).await.unwrap();
        asked.expect(202);
        run_out(world).await;
        let id = asked.text("/subscriptionId");
        let by = again(world, &self.shop.admin).await;
        let shown = world.get(&format!("/v1/subscriptions/{id}")).by(&by).send().await;
        assert_eq!(shown.expect(200).text("/status"), "ACTIVE");
        id
    }

    /// Asks for a service binding.
    pub async fn bind(&self, world: &World, subscription: &str, name: &str) -> tests::Answer {
        let by = again(world, &self.shop.admin).await;
        let body = json!({ "subscriptionId": subscription, "name": name, "parameters": { "secret": "sh-1" } });
        world.post("/v1/service-bindings", body).by(&by).send().await
    }
}

/// Lets time pass, a little at a time, until no job is left that will ever run by itself.
pub async fn run_out(world: &World) {
    for _ in 0..400 {
        world.settle().await;
        if world.count("SELECT COUNT(*) FROM jobs WHERE state <> 'PARKED'") == 0 {
            return;
        }
        world.hub.clock().advance(Duration::from_secs(10)).await;
    }
    panic!("there are still jobs: {:?}", world.hub.logs().last());
}
