//! What the bench measures of usage and invoices on a database that holds a million rows of usage.

use std::path::Path;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::calendar::Month;
use crate::ground::{Ground, Ticker};
use crate::http::{Call, Client};
use crate::hub::Hub;
use crate::secrets::Secrets;
use crate::{load, shell, usage};

/// How many ask at once.
const AT_ONCE: usize = 8;
/// The rows that the large invoice is made of.
const LARGE: usize = 300_000;
/// The rows of this month and the next for each of eight further customers; together with the large one's a million.
const SMALL: (usize, usize) = (20_000, 67_500);
/// What a body may have.
const BODY: usize = 1 << 20;
/// The longest that a subscription may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured, all in milliseconds.
pub struct UsageLoad {
    /// A report as large as a body may be, alone; the median.
    pub report: f64,
    /// Eight such reports that come at once, until the last is answered.
    pub reports_at_once: f64,
    /// An invoice of 300,000 rows, alone.
    pub invoice: f64,
    /// Eight invoices of 20,000 rows that are issued at once, until the last is answered.
    pub invoices_at_once: f64,
}

/// A customer with something to use.
struct Customer {
    organization: String,
    subscription: String,
}

/// A hub and who asks it.
struct Shop<'a> {
    client: Client,
    token: &'a str,
    service: String,
    month: Month,
}

/// Measures on a new hub; `fill` is the program that fills its database, `restart` starts it again on the same folder, and
/// `ticks` says whether it must be ticked from outside.
pub fn measure(ground: Ground, fill: &Path, ticks: bool, restart: impl Fn(&Path, &Secrets) -> Result<Hub>) -> Result<UsageLoad> {
    let token = ground.sign_in()?;
    let ticker = ticks.then(|| Ticker::start(&ground.hub.base, &ground.secrets));
    let mut shop = Shop { client: ground.hub.client(), token: &token, service: String::new(), month: Month::current().before() };
    let customers = shop.open()?;
    shop.report(&[shop.row(&customers[0], 0, "FIRST")])?;
    drop(ticker);
    let Ground { hub, secrets, folder, .. } = ground;
    drop(hub);
    for (number, customer) in customers.iter().enumerate() {
        let (now, later) = if number == 0 { (LARGE - 1, 0) } else { SMALL };
        let mut command = shell::command(fill);
        command.arg(folder.join("sqlite_db.db")).args([&customer.organization, &customer.subscription]);
        command.args([now.to_string(), later.to_string(), Month::current().to_string()]);
        shell::capture(&mut command)?;
    }
    let hub = restart(&folder, &secrets)?;
    shop.client = hub.client();

    let alone = (0..5).map(|number| shop.timed(|| shop.full(&customers[0], &format!("ONE{number}"))));
    let report = load::middle(alone.collect::<Result<_>>()?);
    let invoice = shop.timed(|| shop.invoice(&customers[0], LARGE))?;
    let reports_at_once =
        shop.timed(|| at_once(|number| shop.full(&customers[number % customers.len()], &format!("EIGHT{number}"))))?;
    let invoices_at_once = shop.timed(|| at_once(|number| shop.invoice(&customers[number + 1], SMALL.0)))?;
    Ok(UsageLoad { report, reports_at_once, invoice, invoices_at_once })
}

fn at_once(ask: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let ask = &ask;
        let all: Vec<_> = (0..AT_ONCE).map(|number| scope.spawn(move || ask(number))).collect();
        all.into_iter().try_for_each(|one| one.join().map_err(|_| anyhow!("a request panicked"))?)
    })
}

impl Shop<'_> {
    /// A provider with nine customers, each with a subscription.
    fn open(&mut self) -> Result<Vec<Customer>> {
        let organization = |kind: &str, parent: Option<&str>| json!({ "kind": kind, "displayName": "Bench", "companyName": "Bench Ltd", "country": "US", "currency": "USD", "parentId": parent });
        let provider = self.made("/v1/organizations", &organization("PROVIDER", None), 201, "id")?;
        let service = json!({ "code": "bench", "displayName": "Bench", "productFamily": "MSP", "driver": "BUILTIN" });
        self.service = self.made("/v1/services", &service, 201, "id")?;
        let contract = json!({
            "providerId": provider, "serviceId": self.service, "contractType": "PAY_GO", "effectiveDate": "2026-01-01",
            "currency": "USD", "threshold": { "minorUnits": 1, "currency": "USD" }
        });
        let contract = self.made("/v1/contracts", &contract, 201, "id")?;
        self.made(&format!("/v1/contracts/{contract}/approve"), &json!({}), 200, "id")?;
        let customer = |_| {
            let organization = self.made("/v1/organizations", &organization("CUSTOMER", Some(&provider)), 201, "id")?;
            let order = json!({ "organizationId": organization, "serviceId": self.service, "quantity": "1" });
            let subscription = self.made("/v1/subscriptions", &order, 202, "subscriptionId")?;
            self.wait_for(&format!("/v1/subscriptions/{subscription}"))?;
            Ok(Customer { organization, subscription })
        };
        (0..=AT_ONCE).map(customer).collect()
    }

    fn send(&self, call: Call, status: u16) -> Result<Value> {
        self.client.expect(&call.bearer("OPERATOR", self.token), status)?.json()
    }

    /// Makes something and gives this text of the answer.
    fn made(&self, path: &str, body: &Value, status: u16, field: &str) -> Result<String> {
        let made = self.send(Call::post(path).json(body.to_string()), status)?;
        Ok(made[field].as_str().with_context(|| format!("{path} answered without {field}"))?.to_owned())
    }

    fn wait_for(&self, subscription: &str) -> Result<()> {
        let began = Instant::now();
        while self.send(Call::get(subscription), 200)?["status"] != "ACTIVE" {
            if began.elapsed() > PATIENCE {
                bail!("{subscription} is not active after {PATIENCE:?}");
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn row(&self, customer: &Customer, number: usize, sku: &str) -> String {
        let Customer { organization, subscription } = customer;
        let (unit, day) = (number / 28, number % 28 + 1);
        format!(
            "{organization},Bench,ACTIVE,,{},Bench,{subscription},{sku}-{unit:03},Unit,eu-1,{}-{day:02}T00:00:00Z,0.01,1,0,1,MSP,COMMERCIAL,X\n",
            self.service, self.month
        )
    }

    fn report(&self, rows: &[String]) -> Result<()> {
        let text = usage::header()? + &rows.concat();
        let report = self.send(Call::post("/v1/usage-reports").csv("bench.csv", text), 201)?;
        if report["accepted"] != rows.len() {
            bail!("{} of {} rows were new", report["accepted"], rows.len());
        }
        Ok(())
    }

    /// Sends as many rows as a report may have.
    fn full(&self, customer: &Customer, sku: &str) -> Result<()> {
        let each = self.row(customer, 0, sku).len();
        let rows: Vec<String> = (0..(BODY - 400) / each).map(|number| self.row(customer, number, sku)).collect();
        self.report(&rows)
    }

    /// Has an invoice issued that has at least so many rows.
    fn invoice(&self, customer: &Customer, at_least: usize) -> Result<()> {
        let body = json!({ "organizationId": customer.organization, "period": self.month.to_string() });
        let invoice = self.send(Call::post("/v1/invoices").json(body.to_string()), 201)?;
        let lines = invoice["lines"].as_array().context("an invoice has lines")?;
        let rows: u64 = lines.iter().filter_map(|line| line["usageRows"].as_u64()).sum();
        if rows < at_least as u64 {
            bail!("{rows} rows are on an invoice of at least {at_least}");
        }
        Ok(())
    }

    /// How long it took, in milliseconds.
    fn timed(&self, work: impl FnOnce() -> Result<()>) -> Result<f64> {
        let began = Instant::now();
        work()?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }
}
