//! What the bench measures of tasks: how many a second go through the driver `builtin`, how long the first step waits, and what
//! becomes of both behind another tenant's queue and beside readers and writers.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
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
    /// The order of another customer.
    other: String,
}

/// How many tasks of one tenant are to wait: enough to be 2,000 when another one asks, and not to run out in three measurements.
const QUEUE: usize = 4_000;
/// How many times two seconds it may take until they do.
const ROUNDS: u32 = 60;

/// Measures the first two on a hub that is ticked. The operator asks: what it may do reaches everywhere.
/// Of the requests, `tolerated` is the share that may be refused.
pub fn measure(ground: &Ground, token: &str, connections: u32, seconds: u32, tolerated: f64) -> Result<Tasks> {
    let shop = Shop::open(ground, token)?;
    let first = (0..20).map(|_| Ok(shop.ask(&shop.order)?.first_step)).collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    let asked = shop.load(tolerated).run(&ground.folder, connections, seconds, "0")?;
    shop.wait_for_all()?;
    let tasks = asked.per_second * f64::from(seconds);
    Ok(Tasks { per_second: tasks / began.elapsed().as_secs_f64(), first_step: load::middle(first) })
}

/// What becomes of tasks that are not alone.
#[derive(Clone, Copy)]
pub struct Crowd {
    /// From a tenant's request to the end of its task while another tenant's tasks wait, in milliseconds.
    pub behind: f64,
    /// How many tasks waited still when it had ended.
    pub queue: usize,
    /// Tasks that ended in a second: while nothing else was asked, beside readers, beside writers.
    pub rates: [f64; 3],
}

/// Fills the queue of a hub that is not ticked with one tenant's tasks. Gives the order of another tenant.
pub fn fill(ground: &Ground, token: &str, connections: u32, tolerated: f64) -> Result<String> {
    let shop = Shop::open(ground, token)?;
    shop.fill(&shop.load(tolerated), connections)?;
    Ok(shop.other)
}

/// Measures what becomes of tasks beside those that [`fill`] left, on the same data, now that the hub is ticked.
pub fn crowd(
    ground: &Ground,
    token: &str,
    other: String,
    [connections, seconds]: [u32; 2],
    [reads, writes]: [&Load<'_>; 2],
) -> Result<Crowd> {
    let shop = Shop { ground, token, order: String::new(), other };
    let behind = shop.ask(&shop.other)?.whole;
    let queue = shop.waiting()?;
    let pause = || -> Result<()> {
        sleep(Duration::from_secs(seconds.into()));
        Ok(())
    };
    let beside = |load: &Load<'_>| load.run(&ground.folder, connections, seconds, "beside").map(drop);
    let mut rates = [0.0; 3];
    for (rate, meanwhile) in rates.iter_mut().zip([&pause as &dyn Fn() -> Result<()>, &|| beside(reads), &|| beside(writes)]) {
        *rate = shop.rate(meanwhile)?;
    }
    Ok(Crowd { behind, queue, rates })
}

/// How long a task took, in milliseconds by the hub's own clock.
struct Took {
    first_step: f64,
    whole: f64,
}

impl<'a> Shop<'a> {
    fn open(ground: &'a Ground, token: &'a str) -> Result<Self> {
        let mut shop = Self { ground, token, order: String::new(), other: String::new() };
        let organization = |kind: &str, parent: Option<&str>| json!({ "kind": kind, "displayName": "Bench", "companyName": "Bench Ltd", "country": "US", "currency": "USD", "parentId": parent });
        let provider = shop.made("/v1/organizations", &organization("PROVIDER", None), 201)?;
        let customer = || shop.made("/v1/organizations", &organization("CUSTOMER", Some(&provider)), 201);
        let (customer, other) = (customer()?, customer()?);
        let service = json!({ "code": "bench", "displayName": "Bench", "productFamily": "MSP", "driver": "BUILTIN" });
        let service = shop.made("/v1/services", &service, 201)?;
        let contract = json!({
            "providerId": provider, "serviceId": service, "contractType": "PAY_GO", "effectiveDate": "2026-01-01", "currency": "USD",
            "threshold": { "minorUnits": 1, "currency": "USD" }
        });
        let contract = shop.made("/v1/contracts", &contract, 201)?;
        shop.made(&format!("/v1/contracts/{contract}/approve"), &json!({}), 200)?;
        let order = |of: &str| json!({ "organizationId": of, "serviceId": service, "quantity": "1" }).to_string();
        (shop.order, shop.other) = (order(&customer), order(&other));
        Ok(shop)
    }

    fn load(&self, tolerated: f64) -> Load<'_> {
        Load {
            name: "provision",
            url: format!("{}/v1/subscriptions", self.ground.hub.base),
            token: Some(self.token),
            body: Some(&self.order),
            keyed: false,
            tolerated,
        }
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

    /// Asks for one subscription and waits for the end of its task.
    fn ask(&self, order: &str) -> Result<Took> {
        let call = Call::post("/v1/subscriptions").bearer("OPERATOR", self.token).json(order);
        let asked = self.ground.hub.client().expect(&call, 202)?.json()?;
        let path = format!("/v1/tasks/{}", asked["id"].as_str().context("a task has no id")?);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let task = self.get(&path)?;
            if task["status"] == "SUCCESS" {
                let at = |value: &Value| value.as_str().and_then(millis).context("a task has no instants");
                let created = at(&task["createdAt"])?;
                // Past midnight the day begins anew.
                let took = |until: &Value| Ok::<_, anyhow::Error>((at(until)? - created).rem_euclid(DAY));
                return Ok(Took { first_step: took(&task["steps"][0]["updatedAt"])?, whole: took(&task["endedAt"])? });
            }
            sleep(Duration::from_millis(5));
        }
        bail!("{path} has not ended within {PATIENCE:?}")
    }

    /// Asks until [`QUEUE`] tasks wait.
    fn fill(&self, load: &Load<'_>, connections: u32) -> Result<()> {
        for _ in 0..ROUNDS {
            if self.waiting()? >= QUEUE {
                return Ok(());
            }
            load.run(&self.ground.folder, connections, 2, "queue")?;
        }
        bail!("after {ROUNDS} rounds of two seconds no {QUEUE} tasks wait")
    }

    /// How many tasks have not ended, counted page by page.
    fn waiting(&self) -> Result<usize> {
        let mut count = 0;
        for status in ["NOT_STARTED", "IN_PROGRESS"] {
            let mut cursor = String::new();
            loop {
                let page = self.get(&format!("/v1/tasks?status={status}&limit=200{cursor}"))?;
                count += page["items"].as_array().map_or(0, Vec::len);
                let Some(next) = page["nextCursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
        }
        Ok(count)
    }

    /// How many tasks end in a second meanwhile.
    fn rate(&self, meanwhile: &dyn Fn() -> Result<()>) -> Result<f64> {
        let before = self.waiting()?;
        let began = Instant::now();
        meanwhile()?;
        let elapsed = began.elapsed();
        let after = self.waiting()?;
        ensure!(after > 0, "no task was left before the time was up; raise QUEUE");
        let ended = before.saturating_sub(after);
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let ended = ended as f64;
        Ok(ended / elapsed.as_secs_f64())
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
