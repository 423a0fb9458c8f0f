//! What the bench measures of tasks: how many a second go through the driver `builtin`, and how long the first step waits.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::http::Call;
use crate::load::{self, Load};

/// The longest that the tasks of a load may take to their end.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was measured.
#[derive(Clone, Copy)]
pub struct Tasks {
    /// Tasks of three steps each that ended in a second, from the first request to the end of the last task.
    pub per_second: f64,
    /// From a request to the end of its task's first step while nothing else is done, the median in milliseconds.
    pub first_step: f64,
}

/// Who asks for what.
struct Shop<'a> {
    ground: &'a Ground,
    token: &'a str,
    order: String,
}

/// Measures both on a hub that is ticked. The operator asks: what it may do reaches everywhere.
/// Of the requests, `tolerated` is the share that may be refused.
pub fn measure(ground: &Ground, token: &str, connections: u32, seconds: u32, tolerated: f64) -> Result<Tasks> {
    let shop = Shop::open(ground, token)?;
    let first = (0..20).map(|_| shop.first_step()).collect::<Result<Vec<_>>>()?;
    let load = Load {
        name: "provision",
        url: format!("{}/v1/subscriptions", ground.hub.base),
        token: Some(token),
        body: Some(&shop.order),
        keyed: false,
        tolerated,
    };
    let began = Instant::now();
    let asked = load.run(&ground.folder, connections, seconds, "0")?;
    shop.wait_for_all()?;
    let tasks = asked.per_second * f64::from(seconds);
    Ok(Tasks { per_second: tasks / began.elapsed().as_secs_f64(), first_step: load::middle(first) })
}

impl<'a> Shop<'a> {
    fn open(ground: &'a Ground, token: &'a str) -> Result<Self> {
        let mut shop = Self { ground, token, order: String::new() };
        let organization = |kind: &str, parent: Option<&str>| json!({ "kind": kind, "displayName": "Bench", "companyName": "Bench Ltd", "country": "US", "currency": "USD", "parentId": parent });
        let provider = shop.made("/v1/organizations", &organization("PROVIDER", None), 201)?;
        let customer = shop.made("/v1/organizations", &organization("CUSTOMER", Some(&provider)), 201)?;
        let service = json!({ "code": "bench", "displayName": "Bench", "productFamily": "MSP", "driver": "BUILTIN" });
        let service = shop.made("/v1/services", &service, 201)?;
        let contract = json!({
            "providerId": provider, "serviceId": service, "contractType": "PAY_GO", "effectiveDate": "2026-01-01", "currency": "USD",
            "threshold": { "minorUnits": 1, "currency": "USD" }
        });
        let contract = shop.made("/v1/contracts", &contract, 201)?;
        shop.made(&format!("/v1/contracts/{contract}/approve"), &json!({}), 200)?;
        shop.order = json!({ "organizationId": customer, "serviceId": service, "quantity": "1" }).to_string();
        Ok(shop)
    }

    /// Makes something and gives its id.
    fn made(&self, path: &str, body: &Value, status: u16) -> Result<String> {
        let call = Call::post(path).bearer("OPERATOR", self.token).json(body.to_string());
        let made = self.ground.hub.client().expect(&call, status)?.json()?;
        Ok(made["id"].as_str().with_context(|| format!("{path} answered without an id"))?.to_owned())
    }

    fn get(&self, path: &str) -> Result<Value> {
        self.ground.hub.client().expect(&Call::get(path).bearer("OPERATOR", self.token), 200)?.json()
    }

    /// Asks for one subscription, and for how long its first step took to its end, in milliseconds by the hub's own clock.
    fn first_step(&self) -> Result<f64> {
        let call = Call::post("/v1/subscriptions").bearer("OPERATOR", self.token).json(&self.order);
        let asked = self.ground.hub.client().expect(&call, 202)?.json()?;
        let path = format!("/v1/tasks/{}", asked["id"].as_str().context("a task has no id")?);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let task = self.get(&path)?;
            if task["status"] == "SUCCESS" {
                let at = |value: &Value| value.as_str().and_then(millis).context("a task has no instants");
                let took = at(&task["steps"][0]["updatedAt"])? - at(&task["createdAt"])?;
                // Past midnight the day begins anew.
                return Ok(took.rem_euclid(DAY));
            }
            sleep(Duration::from_millis(5));
        }
        bail!("{path} has not ended within {PATIENCE:?}")
    }

    fn wait_for_all(&self) -> Result<()> {
        let began = Instant::now();
        for status in ["NOT_STARTED", "IN_PROGRESS"] {
            while self.get(&format!("/v1/tasks?status={status}&limit=1"))?["items"] != json!([]) {
                if began.elapsed() > PATIENCE {
                    bail!("there are tasks that have not ended within {PATIENCE:?}");
                }
                sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

/// Milliseconds in a day.
const DAY: f64 = 86_400_000.0;

/// The milliseconds since midnight of an instant as the hub writes it.
fn millis(text: &str) -> Option<f64> {
    let (_, time) = text.split_once('T')?;
    let mut parts = time.strip_suffix('Z')?.splitn(3, ':');
    let mut next = || parts.next()?.parse::<f64>().ok();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Some(((hours * 60.0 + minutes) * 60.0 + seconds) * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::millis;

    #[test]
    fn instants_are_read() {
        assert_eq!(millis("2026-11-21T01:02:03.250Z"), Some(3_723_250.0));
        assert_eq!((millis(""), millis("2026-11-21T01:02Z")), (None, None));
    }
}
