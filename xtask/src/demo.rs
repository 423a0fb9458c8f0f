//! The demo story: from an empty hub to invoices that agree, to the cent, with an independent calculation.
//!
//! Every POST carries an `Idempotency-Key` made of the day's date and the step, so playing the story again on
//! the same day replays it; on another day it plays in a new tree of organizations beside the old one. Only the
//! catalog is shared, because a service's code is unique in the hub.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::calendar::{self, Month};
use crate::http::{Answer, Call, Client, object};
use crate::ledger::{self, Exact, Line, LineKey};
use crate::tour::{Tour, replayed};
use crate::usage;

/// How long a task may take before the demo calls it stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// A customer of the story.
struct Customer {
    key: &'static str,
    name: &'static str,
    country: &'static str,
    city: &'static str,
    zip: &'static str,
    domain: &'static str,
    tag: &'static str,
}

const CUSTOMERS: [Customer; 3] = [
    Customer {
        key: "us",
        name: "Fabrikam Manufacturing, Inc.",
        country: "US",
        city: "Portland",
        zip: "97201",
        domain: "fabrikam.example",
        tag: "cost center 4711",
    },
    Customer {
        key: "de",
        name: "Müller & Söhne GmbH",
        country: "DE",
        city: "Köln",
        zip: "50667",
        domain: "mueller.example",
        tag: "Kostenstelle 0815",
    },
    Customer {
        key: "jp",
        name: "株式会社サンプル商事",
        country: "JP",
        city: "東京",
        zip: "100-0001",
        domain: "sample.example",
        tag: "部門 7",
    },
];

/// A service of the story.
struct Service {
    key: &'static str,
    code: &'static str,
    name: &'static str,
    description: &'static str,
    family: &'static str,
    driver: &'static str,
}

const SERVICES: [Service; 2] = [
    Service {
        key: "compute",
        code: "elastic-compute",
        name: "Elastic Compute",
        family: "SOV",
        driver: "BUILTIN",
        description: "Virtual machines by the hour; an entitlement is all it takes.",
    },
    Service {
        key: "link",
        code: "dedicated-link",
        name: "Dedicated Link",
        family: "SRV",
        driver: "MANUAL",
        description: "A fibre that a person patches in.",
    },
];

/// Who speaks: the name of the shell variable, and the access token.
struct Caller {
    variable: &'static str,
    token: String,
}

struct Story<'a> {
    client: &'a Client,
    tour: &'a mut Tour,
    /// What all idempotency keys of this run begin with.
    name: String,
}

/// Plays the whole story as the operator whose API token this is, and fails at the first thing that differs.
pub fn play(client: &Client, operator_token: &str, tour: &mut Tour) -> Result<()> {
    let month = Month::current().before();
    let mut story = Story { client, tour, name: format!("demo-{}", calendar::date()) };
    story.tour.name("HUB_API_TOKEN", operator_token);
    let operator =
        story.sign_in("OPERATOR", "The operator exchanges the API token for an access token of 30 minutes", operator_token)?;

    let distributor = story.organization(
        &operator,
        "distributor",
        "The operator creates a distributor",
        &[
            ("kind", "DISTRIBUTOR"),
            ("displayName", "Northwind Distribution"),
            ("companyName", "Northwind Distribution Ltd"),
            ("country", "US"),
            ("currency", "USD"),
        ],
    )?;
    let provider = story.organization(
        &operator,
        "provider",
        "Below it the operator creates a provider",
        &[
            ("kind", "PROVIDER"),
            ("parentId", &distributor),
            ("displayName", "Contoso Cloud"),
            ("companyName", "Contoso Cloud LLC"),
            ("country", "US"),
            ("currency", "USD"),
        ],
    )?;
    let mut services = BTreeMap::new();
    for service in &SERVICES {
        services.insert(service.key, story.service(&operator, service)?);
    }
    let token = story.api_token(&operator, "DISTRIBUTOR_API_TOKEN", &distributor, "DISTRIBUTOR_ADMINISTRATOR")?;
    let distributor_caller = story.sign_in("DISTRIBUTOR", "The distributor exchanges it", &token)?;
    let token = story.api_token(&operator, "PROVIDER_API_TOKEN", &provider, "PROVIDER_ADMINISTRATOR")?;
    let provider_caller = story.sign_in("PROVIDER", "The provider exchanges its own", &token)?;

    for service in &SERVICES {
        story.contract(&distributor_caller, &operator, service, &provider, &services[service.key], month)?;
    }
    let mut ids: BTreeMap<String, String> = services.iter().map(|(key, id)| ((*key).to_owned(), id.clone())).collect();
    for customer in &CUSTOMERS {
        let sentence = format!("The provider creates the customer {}", customer.name);
        let id = story.organization(
            &provider_caller,
            customer.key,
            &sentence,
            &[
                ("kind", "CUSTOMER"),
                ("displayName", customer.name),
                ("companyName", customer.name),
                ("country", customer.country),
                ("city", customer.city),
                ("zip", customer.zip),
                ("domain", customer.domain),
                ("tag", customer.tag),
                ("currency", "USD"),
            ],
        )?;
        let subscription = story.provision(&provider_caller, customer, &id, &services["compute"])?;
        ids.insert(format!("{}-compute", customer.key), subscription);
        ids.insert(customer.key.to_owned(), id);
    }
    let link = story.provision_by_hand(&provider_caller, &ids["de"], &services["link"])?;
    ids.insert("de-link".into(), link);

    let values: Vec<(&str, &str)> = ids.iter().map(|(name, id)| (name.as_str(), id.as_str())).collect();
    let report = usage::report(usage::MONTH, month, &values)?;
    let late = usage::report(usage::LATE, month, &values)?;
    story.usage(&provider_caller, &report, month)?;
    let mut invoices = Vec::new();
    for customer in &CUSTOMERS {
        let expected = ledger::lines(&report, &ids[customer.key])?;
        let sentence = format!("The invoice of {} for {month}", customer.name);
        invoices.push(story.invoice(
            &provider_caller,
            &format!("invoice-{}", customer.key),
            &sentence,
            &ids[customer.key],
            month,
            &expected,
        )?);
    }
    story.late_usage(&provider_caller, &late, &ids["us"], month)?;
    story.behind_a_line(&provider_caller, &invoices[0])?;
    story.tour.say("Every line and total agrees, to the cent, with the calculation from the files alone.");
    story.tour.remark("Play it again today and every POST replays; another day plays it in a new tree of organizations.");
    Ok(())
}

impl Story<'_> {
    fn key(&self, step: &str) -> String {
        format!("{}-{step}", self.name)
    }

    /// A POST in this caller's name with this step's idempotency key.
    fn post(&self, caller: &Caller, step: &str, path: impl Into<String>) -> Call {
        Call::post(path).bearer(caller.variable, &caller.token).header("Idempotency-Key", self.key(step))
    }

    fn call(&self, call: &Call, status: u16) -> Result<Answer> {
        self.tour.call(self.client, call, status)
    }

    fn sign_in(&mut self, variable: &'static str, sentence: &str, api_token: &str) -> Result<Caller> {
        self.tour.say(&format!("{sentence}: export {variable}=<its accessToken>."));
        let answer = self.call(&Call::post("/v1/access-tokens").json(object(&[("apiToken", api_token)])), 201)?;
        Ok(Caller { variable, token: text(&answer.json()?, "accessToken")? })
    }

    fn organization(&mut self, caller: &Caller, step: &str, sentence: &str, fields: &[(&str, &str)]) -> Result<String> {
        self.tour.say(&sentence_end(sentence));
        let answer = self.call(&self.post(caller, step, "/v1/organizations").json(object(fields)), 201)?;
        let organization = answer.json()?;
        for (name, value) in fields {
            ensure!(text(&organization, name)? == *value, "the new organization's {name} is not {value}: {}", answer.brief());
        }
        text(&organization, "id")
    }

    /// Puts a service into the catalog, or finds it there: codes are unique and an earlier day's run made it.
    fn service(&mut self, operator: &Caller, service: &Service) -> Result<String> {
        let catalog = self.client.expect(&Call::get("/v1/services?limit=200").bearer(operator.variable, &operator.token), 200)?;
        let id =
            items(&catalog.json()?)?.iter().find(|item| item["code"] == service.code).map(|item| text(item, "id")).transpose()?;
        if let Some(id) = id {
            self.tour.say(&format!("{} is in the catalog already.", service.name));
            self.call(&Call::get(format!("/v1/services/{id}")).bearer(operator.variable, &operator.token), 200)?;
            return Ok(id);
        }
        self.tour.say(&format!("The operator puts {} into the catalog ({} driver).", service.name, service.driver));
        let body = object(&[
            ("code", service.code),
            ("displayName", service.name),
            ("description", service.description),
            ("productFamily", service.family),
            ("driver", service.driver),
        ]);
        let answer = self.call(&self.post(operator, service.key, "/v1/services").json(body), 201)?;
        text(&answer.json()?, "id")
    }

    fn api_token(&mut self, operator: &Caller, variable: &str, organization: &str, role: &str) -> Result<String> {
        self.tour.say(&format!(
            "The operator issues an API token with the role {role}: export {variable}=<its apiToken>, shown only now."
        ));
        let body = format!(r#"{{"name":"demo","organizationId":"{organization}","roles":["{role}"]}}"#);
        let answer = self.call(&self.post(operator, variable, "/v1/api-tokens").json(body), 201)?;
        let token = text(&answer.json()?, "apiToken")?;
        self.tour.name(variable, &token);
        Ok(token)
    }

    fn contract(
        &mut self,
        distributor: &Caller,
        operator: &Caller,
        service: &Service,
        provider: &str,
        service_id: &str,
        month: Month,
    ) -> Result<()> {
        let effective = format!("{}-01", month.before());
        self.tour.say(&format!("The distributor draws up a commit contract for {} from {effective}.", service.name));
        let body = object(&[
            ("providerId", provider),
            ("serviceId", service_id),
            ("contractType", "PAY_GO"),
            ("effectiveDate", &effective),
            ("currency", "USD"),
            ("reference", service.code),
        ]);
        let contact = object(&[("firstName", "Ada"), ("lastName", "Lovelace"), ("email", "ada@contoso.example")]);
        let body = format!("{},\"licenseContact\":{contact}}}", body.trim_end_matches('}'));
        let step = format!("contract-{}", service.key);
        let answer = self.call(&self.post(distributor, &step, "/v1/contracts").json(body), 201)?;
        let contract = answer.json()?;
        ensure!(contract["status"] == "PENDING_APPROVAL", "a new contract waits for approval, but: {}", answer.brief());
        let path = format!("/v1/contracts/{}/approve", text(&contract, "id")?);

        self.tour.say("The operator approves it; its day has come, so it is active at once.");
        let step = format!("approve-{}", service.key);
        let answer = self.call(&self.post(operator, &step, path), 200)?;
        ensure!(answer.json()?["status"] == "ACTIVE", "the contract is not active: {}", answer.brief());
        Ok(())
    }

    /// Provisions the builtin service and waits for it in the request.
    fn provision(&mut self, caller: &Caller, customer: &Customer, organization: &str, service: &str) -> Result<String> {
        self.tour.say(&format!("{} gets Elastic Compute; the request waits for the task.", customer.name));
        let step = format!("provision-{}", customer.key);
        let body = object(&[("organizationId", organization), ("serviceId", service), ("quantity", "10")]);
        let call = self.post(caller, &step, "/v1/subscriptions").header("Prefer", "wait=10").json(body);
        let task = self.call(&call, 200)?.json()?;
        ensure!(task["status"] == "SUCCESS", "the task ended as {}", task["status"]);
        self.active(caller, &text(&task, "subscriptionId")?)
    }

    /// Provisions the manual service: the task stops at a step that waits for a person, who completes it.
    fn provision_by_hand(&mut self, caller: &Caller, organization: &str, service: &str) -> Result<String> {
        self.tour.say("The German customer orders a Dedicated Link: 202, and a task to watch.");
        let body = object(&[("organizationId", organization), ("serviceId", service), ("quantity", "1")]);
        let answer = self.call(&self.post(caller, "provision-link", "/v1/subscriptions").json(body), 202)?;
        let task = answer.json()?;
        let path = format!("/v1/tasks/{}", text(&task, "id")?);
        ensure!(
            answer.header("location").is_some_and(|location| location.ends_with(&path)),
            "Location must name the task: {:?}",
            answer.header("location")
        );
        let look = Call::get(&path).bearer(caller.variable, &caller.token);
        let before = self.poll(&look, &["MANUAL", "SUCCESS"])?;
        if before["status"] == "MANUAL" {
            self.tour.say("The task waits for a person.");
            self.call(&look, 200)?;
        }
        self.tour.say("The fibre is patched in; the technician completes the step.");
        let body = object(&[("message", "patched at Frankfurt, rack 12, port 7")]);
        let answer =
            self.call(&self.post(caller, "complete-link", format!("{path}/steps/PROVISION/complete")).json(body), 200)?;
        ensure!(
            replayed(&answer) || before["status"] == "MANUAL",
            "the step was completed although the task did not wait for a person"
        );
        self.poll(&look, &["SUCCESS"])?;
        self.tour.say("The task goes on by itself and ends.");
        self.call(&look, 200)?;
        self.active(caller, &text(&task, "subscriptionId")?)
    }

    /// Checks that the subscription is active now.
    fn active(&self, caller: &Caller, subscription: &str) -> Result<String> {
        let call = Call::get(format!("/v1/subscriptions/{subscription}")).bearer(caller.variable, &caller.token);
        let status = self.client.expect(&call, 200)?.json()?["status"].clone();
        ensure!(status == "ACTIVE", "{subscription} is {status}, not ACTIVE");
        Ok(subscription.to_owned())
    }

    /// Asks until the status is one of these.
    fn poll(&self, look: &Call, wanted: &[&str]) -> Result<Value> {
        let start = Instant::now();
        loop {
            let value = self.client.expect(look, 200)?.json()?;
            if wanted.iter().any(|status| value["status"] == *status) {
                return Ok(value);
            }
            if start.elapsed() > PATIENCE {
                bail!("{} is {} after {} s, not {}", look.path, value["status"], PATIENCE.as_secs(), wanted.join(" or "));
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// The month's report arrives, and arrives again.
    fn usage(&mut self, caller: &Caller, report: &str, month: Month) -> Result<()> {
        let rows = ledger::count(report)?;
        let repeats = ledger::repeats(report)?;
        let before = late_rows(report, month)?;
        self.tour.say(&format!(
            "The usage of {month} arrives as CSV: {rows} rows, {repeats} of them repeats, {before} of the month before."
        ));
        let call = self.post(caller, "usage", "/v1/usage-reports").csv("demo-usage.csv", report);
        let answer = self.call(&call, 201)?.json()?;
        counts(&answer, rows, rows - repeats, repeats, before)?;

        self.tour.say("The same file comes again: every row is a duplicate, nothing is billed twice.");
        let call = Call::post("/v1/usage-reports").bearer(caller.variable, &caller.token).csv("demo-usage.csv", report);
        let answer = self.call(&call, 201)?.json()?;
        counts(&answer, rows, 0, rows, 0)
    }

    /// Late rows arrive after the invoice; the next one carries them.
    fn late_usage(&mut self, caller: &Caller, late: &str, customer: &str, month: Month) -> Result<()> {
        let rows = ledger::count(late)?;
        self.tour.say(&format!("{rows} late rows arrive after the invoice: an issued invoice never changes."));
        let answer =
            self.call(&self.post(caller, "late-usage", "/v1/usage-reports").csv("demo-usage-late.csv", late), 201)?.json()?;
        counts(&answer, rows, rows, 0, rows)?;
        let expected = ledger::lines(late, customer)?;
        let sentence = "The next invoice carries them as lines that name the month they belong to";
        let invoice = self.invoice(caller, "invoice-late", sentence, customer, month, &expected)?;
        let lines = invoice["lines"].as_array().context("no lines")?;
        let earlier = month.before().to_string();
        ensure!(lines.iter().any(|line| line["usagePeriod"] == earlier.as_str()), "no line names {earlier}");
        Ok(())
    }

    /// Issues an invoice and holds every line of it against the expectation.
    fn invoice(
        &mut self,
        caller: &Caller,
        step: &str,
        sentence: &str,
        customer: &str,
        month: Month,
        expected: &BTreeMap<LineKey, Line>,
    ) -> Result<Value> {
        self.tour.say(&sentence_end(sentence));
        let body = object(&[("organizationId", customer), ("period", &month.to_string())]);
        let issued = self.call(&self.post(caller, step, "/v1/invoices").json(body), 201)?.json()?;
        // What was answered then and what stands now must be the same invoice.
        let call = Call::get(format!("/v1/invoices/{}", text(&issued, "id")?)).bearer(caller.variable, &caller.token);
        let invoice = self.client.expect(&call, 200)?.json()?;
        ensure!(invoice == issued, "the invoice changed after it was issued");
        let total = check(&invoice, expected)?;
        for line in invoice["lines"].as_array().into_iter().flatten() {
            self.tour.detail(&format!(
                "{:>3}  {}  {:<13} {:<15} {:>14} × {:<9} = {:>10}",
                line["line"].as_u64().unwrap_or(0),
                plain(&line["usagePeriod"]),
                plain(&line["sku"]),
                plain(&line["datacenter"]),
                plain(&line["quantity"]),
                plain(&line["unitPrice"]),
                dollars(line["amount"]["minorUnits"].as_i64().unwrap_or(0).into()),
            ));
        }
        self.tour.remark(&format!(
            "{}: {} lines, total {} USD, as calculated from the file.",
            text(&invoice, "number")?,
            expected.len(),
            dollars(total)
        ));
        Ok(invoice)
    }

    /// Shows the usage rows behind one line and adds them up through all pages.
    fn behind_a_line(&mut self, caller: &Caller, invoice: &Value) -> Result<()> {
        let lines = invoice["lines"].as_array().context("an invoice has lines")?;
        let line = lines.iter().max_by_key(|line| line["usageRows"].as_u64()).context("an invoice has lines")?;
        let rows = line["usageRows"].as_u64().context("usageRows is a count")?;
        self.tour.say(&format!("The {rows} usage rows behind line {} of the first invoice, in pages.", line["line"]));
        let path = format!("/v1/invoices/{}/lines/{}/usage", text(invoice, "id")?, line["line"]);
        let call = Call::get(format!("{path}?limit=1")).bearer(caller.variable, &caller.token);
        self.call(&call, 200)?;
        let (mut found, mut sum) = (0, Exact::ZERO);
        let mut next = format!("{path}?limit=10");
        loop {
            let page = self.client.expect(&Call::get(&next).bearer(caller.variable, &caller.token), 200)?.json()?;
            for row in items(&page)? {
                found += 1;
                sum = sum.plus(Exact::parse(&text(row, "billableQuantity")?)?);
            }
            let Some(cursor) = page["nextCursor"].as_str() else { break };
            next = format!("{path}?limit=10&cursor={cursor}");
        }
        let quantity = text(line, "quantity")?;
        ensure!(found == rows, "line {} says {rows} rows, its pages hold {found}", line["line"]);
        ensure!(sum.canonical() == quantity, "line {} bills {quantity}, its rows are {}", line["line"], sum.canonical());
        self.tour.remark(&format!("All pages together: {found} rows, {quantity} billable, as the line says."));
        Ok(())
    }
}

/// Holds an invoice against what it must say; the total in cents.
fn check(invoice: &Value, expected: &BTreeMap<LineKey, Line>) -> Result<i128> {
    let number = text(invoice, "number")?;
    let lines = invoice["lines"].as_array().context("an invoice has lines")?;
    ensure!(lines.len() == expected.len(), "{number} has {} lines, not {}", lines.len(), expected.len());
    let mut total = 0;
    for (index, line) in lines.iter().enumerate() {
        let place = format!("{number} line {}", line["line"]);
        ensure!(line["line"].as_u64() == u64::try_from(index + 1).ok(), "{place} is not numbered {}", index + 1);
        let key = LineKey {
            usage_period: text(line, "usagePeriod")?,
            subscription: text(line, "subscriptionId")?,
            sku: text(line, "sku")?,
            datacenter: text(line, "datacenter")?,
            price: Exact::parse(&text(line, "unitPrice")?)?.canonical(),
        };
        let want = expected.get(&key).with_context(|| format!("{place} bills what nobody used: {line}"))?;
        let quantity = Exact::parse(&text(line, "quantity")?)?.canonical();
        ensure!(quantity == want.quantity.canonical(), "{place}: quantity {quantity}, not {}", want.quantity.canonical());
        ensure!(line["usageRows"].as_u64() == Some(want.rows), "{place}: {} rows, not {}", line["usageRows"], want.rows);
        let cents = money(&line["amount"])?;
        ensure!(cents == want.cents, "{place}: {} USD, not {}", dollars(cents), dollars(want.cents));
        total += want.cents;
    }
    let said = money(&invoice["total"])?;
    ensure!(said == total, "{number}: total {} USD, not {}", dollars(said), dollars(total));
    Ok(total)
}

/// The sentence with a full stop, unless a name already ended in one.
fn sentence_end(sentence: &str) -> String {
    format!("{}.", sentence.trim_end_matches('.'))
}

fn money(value: &Value) -> Result<i128> {
    ensure!(value["currency"] == "USD", "an amount in {}, not USD", value["currency"]);
    Ok(value["minorUnits"].as_i64().context("minorUnits is an integer")?.into())
}

fn dollars(cents: i128) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

fn counts(report: &Value, rows: u64, accepted: u64, duplicates: u64, late: u64) -> Result<()> {
    for (name, wanted) in [("rows", rows), ("accepted", accepted), ("duplicates", duplicates), ("late", late)] {
        ensure!(report[name].as_u64() == Some(wanted), "the usage report says {name}: {}, not {wanted}", report[name]);
    }
    Ok(())
}

/// How many rows of the report are of the month before.
fn late_rows(report: &str, month: Month) -> Result<u64> {
    let mark = format!(",{}-", month.before());
    Ok(u64::try_from(report.lines().filter(|line| line.contains(&mark)).count())?)
}

fn items(page: &Value) -> Result<&Vec<Value>> {
    page["items"].as_array().context("a list has items")
}

fn text(value: &Value, name: &str) -> Result<String> {
    value[name].as_str().map(str::to_owned).with_context(|| format!("the answer has no {name}"))
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
