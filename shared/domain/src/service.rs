//! The catalog: what can be provisioned or deployed, by which driver, and which requests for it are right.

use crate::{Decimal, Error, FieldError, JsonSchema, List, Result, Text, text_enum};
use json_schema::{MAX_BYTES, Schema, Wrong};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

text_enum! {
    /// What carries a service out.
    pub enum Driver {
        /// A person does it and says so.
        Manual = "MANUAL",
        /// The hub itself records that the customer is entitled to it.
        Builtin = "BUILTIN",
        /// A service broker does it, by the Open Service Broker API.
        Osb = "OSB",
    }
}

text_enum! {
    /// The product families that commit contracts are made for.
    pub enum ProductFamily {
        /// Managed services.
        Msp = "MSP",
        /// Rented licenses.
        Rental = "RENTAL",
        /// Support.
        Gss = "GSS",
        /// Subscriptions run by the vendor.
        Srv = "SRV",
        /// SD-WAN.
        Velo = "VELO",
        /// Software of independent vendors.
        Isv = "ISV",
        /// Sovereign clouds.
        Sov = "SOV",
        /// License portability.
        Lpcaas = "LPCAAS",
    }
}

text_enum! {
    /// What an entry of the catalog is for. Everything else about it is the same for both.
    pub enum ServiceKind {
        /// Customers subscribe to it.
        Service = "SERVICE",
        /// It is deployed as part of an environment; its code is the product's type.
        Product = "PRODUCT",
    }
}

text_enum! {
    /// Where a service stands in the catalog.
    pub enum ServiceStatus {
        /// Being written: only who edits the catalog sees it.
        Draft = "DRAFT",
        /// Can be asked for.
        Published = "PUBLISHED",
        /// Those who have it keep it; it cannot be asked for any more.
        Deprecated = "DEPRECATED",
        /// Nobody has it and nobody can get it. This is the end.
        Retired = "RETIRED",
    }
}

impl ServiceStatus {
    /// Whether a service may go from here to there.
    pub fn may_become(self, next: Self) -> bool {
        use ServiceStatus::{Deprecated, Draft, Published, Retired};
        matches!((self, next), (Draft | Deprecated, Published) | (Published, Deprecated) | (Draft | Deprecated, Retired))
    }

    /// Refuses where a service may not go from here to there.
    pub fn check(self, next: Self) -> Result<()> {
        if self.may_become(next) {
            return Ok(());
        }
        let way = match self {
            Self::Draft => "it can be published or retired",
            Self::Published => "it can be deprecated; only then retired",
            Self::Deprecated => "it can be published again or retired",
            Self::Retired => "that is the end; add another service instead",
        };
        Err(Error::conflict("service_status", format!("The service is {self} and cannot become {next}: {way}.")))
    }
}

/// A name by which plans, roles, meters, regions and versions are known.
pub type Code = Text<1, 60>;

/// One of the ways in which a service can be had.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Its short name, unique among the service's plans.
    pub code: Code,
    /// The name it is known by.
    pub display_name: Text<1, 120>,
    /// What it is.
    pub description: Option<Text<1, 2000>>,
    /// What a quantity of one is: a seat, a vCPU, a TiB.
    pub billing_unit: Text<1, 40>,
    /// The least quantity that can be had; anything above zero when left out.
    pub min_quantity: Option<Decimal>,
    /// The most; no bound when left out.
    pub max_quantity: Option<Decimal>,
    /// Quantities are multiples of this, for example `1` for seats; any when left out.
    pub quantity_step: Option<Decimal>,
    /// For how many months it can be had, 1 to 120 each; without an end when there are none.
    #[serde(default)]
    pub term_months: List<u32, 12>,
    /// Within how many days of a term's beginning it can be ended without charge, 1 to 90; where it is left out, at any time.
    pub cancellation_days: Option<u32>,
    /// How many days before a term's end it has to be said that it is not to be renewed, or to what other conditions, 1 to 90; until
    /// the end when left out.
    pub notice_days: Option<u32>,
}

/// What a plan says of the terms for which it can be had.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TermRules {
    /// [`Plan::cancellation_days`].
    pub cancellation_days: Option<u32>,
    /// [`Plan::notice_days`].
    pub notice_days: Option<u32>,
}

/// A role that people get in a service.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceRole {
    /// Its name, unique among the service's roles, for example `log-intelligence:user`.
    pub name: Text<1, 120>,
    /// The name it is known by.
    pub display_name: Text<1, 120>,
    /// People of the customer get it when nothing else is said. At most one role is this.
    #[serde(default)]
    pub default_role: bool,
    /// People of the provider get it in the provider's own organization. At most one role is this.
    #[serde(default)]
    pub msp_default_role: bool,
    /// People of the provider get it while they act in a customer. At most one role is this.
    #[serde(default)]
    pub msp_default_role_of_provider_at_tenant: bool,
}

/// Something of which a service reports how much was used.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsageMeter {
    /// Its short name, unique among the service's meters: the SKU in usage reports.
    pub code: Code,
    /// The name it is known by.
    pub display_name: Text<1, 120>,
    /// What a quantity of one is, for example `vCPU hour`.
    pub unit: Text<1, 40>,
}

/// What a service offers, and so what can be asked of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Offer {
    /// The ways in which it can be had.
    #[serde(default)]
    pub plans: List<Plan, 50>,
    /// Where it can be had.
    #[serde(default)]
    pub regions: List<Code, 100>,
    /// In which versions it can be had.
    #[serde(default)]
    pub versions: List<Code, 100>,
    /// The roles that people can get in it.
    #[serde(default)]
    pub service_roles: List<ServiceRole, 50>,
    /// What it reports usage of.
    #[serde(default)]
    pub usage_meters: List<UsageMeter, 100>,
    /// The JSON Schema (2020-12) of the properties that requests bring; without one they bring none. At most 64 KiB.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub properties_schema: Option<Box<RawValue>>,
}

impl Offer {
    /// Refuses an offer that contradicts itself, naming every place that does. `at` is where it stands in the request.
    // `inline`, here and below, so that it is compiled where it is used, which is built for size.
    #[inline]
    pub fn check(&self, at: &str) -> Result<()> {
        let mut wrong = self.wrong();
        for error in &mut wrong {
            error.pointer.insert_str(0, at);
        }
        refuse(wrong)
    }

    #[inline]
    fn wrong(&self) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        for (list, field, names) in [
            ("/plans", "/code", self.plans.iter().map(|plan| &*plan.code).collect::<Vec<_>>()),
            ("/regions", "", self.regions.iter().map(|region| &**region).collect()),
            ("/versions", "", self.versions.iter().map(|version| &**version).collect()),
            ("/serviceRoles", "/name", self.service_roles.iter().map(|role| &*role.name).collect()),
            ("/usageMeters", "/code", self.usage_meters.iter().map(|meter| &*meter.code).collect()),
        ] {
            for (index, name) in names.iter().enumerate() {
                if names[..index].contains(name) {
                    wrong.push(error(format!("{list}/{index}{field}"), "is there twice; each can be there once"));
                }
            }
        }
        for (index, plan) in self.plans.iter().enumerate() {
            wrong.extend(plan.wrong().into_iter().map(|(field, detail)| error(format!("/plans/{index}/{field}"), detail)));
        }
        let mut had = [false; 3];
        for (index, role) in self.service_roles.iter().enumerate() {
            let flags = [
                ("defaultRole", role.default_role),
                ("mspDefaultRole", role.msp_default_role),
                ("mspDefaultRoleOfProviderAtTenant", role.msp_default_role_of_provider_at_tenant),
            ];
            for ((name, is), had) in flags.into_iter().zip(&mut had) {
                if is && std::mem::replace(had, true) {
                    let detail = "is true for another role already; one role can be this";
                    wrong.push(error(format!("/serviceRoles/{index}/{name}"), detail));
                }
            }
        }
        match self.properties_schema.as_deref().map(parsed) {
            Some(Ok(schema @ Value::Object(_))) => {
                wrong.extend(Schema::new(&schema, "/propertiesSchema").err().into_iter().flatten().map(field));
            }
            Some(_) => wrong.push(error("/propertiesSchema".into(), "is not an object; write a JSON Schema")),
            None => {}
        }
        wrong
    }

    /// The codes of the plans that are there now and not after a change.
    pub fn plans_lost<'a>(&'a self, after: &Self) -> Vec<&'a str> {
        let codes = self.plans.iter().map(|plan| &*plan.code);
        codes.filter(|code| !after.plans.iter().any(|plan| &*plan.code == *code)).collect()
    }

    /// The term rules of a plan; none, where the offer has no such plan.
    pub fn term_rules(&self, plan_code: Option<&Code>) -> TermRules {
        let plan = self.plans.iter().find(|plan| Some(&plan.code) == plan_code);
        plan.map(|plan| TermRules { cancellation_days: plan.cancellation_days, notice_days: plan.notice_days })
            .unwrap_or_default()
    }

    /// Refuses a request that does not fit, naming every place that does not.
    #[inline]
    pub fn validate(&self, request: &ServiceRequest) -> Result<()> {
        let mut wrong = Vec::new();
        let plan = one_of(&request.plan_code, self.plans.as_slice(), |plan| &plan.code, "planCode", "plans", &mut wrong);
        one_of(&request.region, self.regions.as_slice(), |region| region, "region", "regions", &mut wrong);
        one_of(&request.version, self.versions.as_slice(), |version| version, "version", "versions", &mut wrong);
        if request.quantity <= Decimal::ZERO {
            wrong.push(error("/quantity".into(), "is not above zero; say how much there is to be"));
        }
        match plan {
            Some(plan) => wrong.extend(plan.unfit(request)),
            None if self.plans.is_empty() && request.term_months.is_some() => {
                wrong.push(error(
                    "/termMonths".into(),
                    "is a term, and the service has no plans that would offer one; leave it out",
                ));
            }
            None => {}
        }
        wrong.extend(self.wrong_properties(request.properties.as_deref()));
        refuse(wrong)
    }

    #[inline]
    fn wrong_properties(&self, properties: Option<&RawValue>) -> Vec<FieldError> {
        let wrong = |detail| vec![error("/properties".into(), detail)];
        let properties = match properties.map(parsed) {
            None => Value::Object(Default::default()),
            Some(Ok(properties @ Value::Object(_))) => properties,
            Some(_) => return wrong("is not an object; write {\"name\": value}"),
        };
        if serde_json::to_string(&properties).is_ok_and(|text| text.len() > MAX_BYTES) {
            return wrong("are longer than 65536 bytes");
        }
        match self.properties_schema.as_deref().map(parsed) {
            Some(Ok(schema)) => Schema::known(&schema).errors(&properties, "/properties").into_iter().map(field).collect(),
            Some(Err(_)) => wrong("cannot be checked, for the service's schema cannot be read"),
            None if properties.as_object().is_some_and(|members| members.is_empty()) => Vec::new(),
            None => wrong("are something that this service does not take; leave them out"),
        }
    }
}

/// Kept as they were written, and read where they are looked into. From a `str`: serde_json reads values from those in any
/// case, for the sake of raw values, so that only one reader of them is compiled.
fn parsed(raw: &RawValue) -> serde_json::Result<Value> {
    serde_json::from_str(raw.get())
}

/// What is asked of a service.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceRequest {
    /// Which of its plans; needed when it has some.
    pub plan_code: Option<Code>,
    /// Where; needed when it has regions.
    pub region: Option<Code>,
    /// In which version; needed when it has versions.
    pub version: Option<Code>,
    /// How much of it; above zero and within the plan's bounds.
    pub quantity: Decimal,
    /// For how many months; needed when the plan has terms.
    pub term_months: Option<u32>,
    /// What else it is to be like: an object that its schema takes, of at most 64 KiB. Whoever sees the request sees them, so
    /// they are no place for secrets.
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub properties: Option<Box<RawValue>>,
}

impl Plan {
    /// What is wrong with it, and in which field.
    #[inline]
    fn wrong(&self) -> Vec<(String, &'static str)> {
        let mut wrong = Vec::new();
        let bounds =
            [("minQuantity", self.min_quantity), ("maxQuantity", self.max_quantity), ("quantityStep", self.quantity_step)];
        for (field, bound) in bounds {
            if bound.is_some_and(|bound| bound <= Decimal::ZERO) {
                wrong.push((field.to_owned(), "is not above zero"));
            } else if let (Some(bound), Some(step)) = (bound, self.quantity_step.filter(|step| *step > Decimal::ZERO))
                && !bound.is_multiple_of(step)
            {
                wrong.push((field.to_owned(), "is not a multiple of quantityStep, so it could not be had"));
            }
        }
        if let (Some(min), Some(max)) = (self.min_quantity, self.max_quantity)
            && min > max
        {
            wrong.push(("minQuantity".to_owned(), "is above maxQuantity"));
        }
        for (field, days) in [("cancellationDays", self.cancellation_days), ("noticeDays", self.notice_days)] {
            if days.is_some_and(|days| !(1..=90).contains(&days)) {
                wrong.push((field.to_owned(), "is not from 1 to 90"));
            }
        }
        for (index, term) in self.term_months.iter().enumerate() {
            if !(1..=120).contains(term) {
                wrong.push((format!("termMonths/{index}"), "is not from 1 to 120"));
            } else if self.term_months[..index].contains(term) {
                wrong.push((format!("termMonths/{index}"), "is there twice"));
            }
        }
        wrong
    }

    /// What of a request is outside of its bounds.
    #[inline]
    fn unfit(&self, request: &ServiceRequest) -> Vec<FieldError> {
        let (mut wrong, quantity, unit) = (Vec::new(), request.quantity, &self.billing_unit);
        let mut add = |pointer: &str, detail: String| wrong.push(FieldError { pointer: pointer.to_owned(), detail });
        if let Some(min) = self.min_quantity.filter(|min| quantity < *min) {
            add("/quantity", format!("is below {min} ({unit}), the least of the plan {}", self.code));
        }
        if let Some(max) = self.max_quantity.filter(|max| quantity > *max) {
            add("/quantity", format!("is above {max} ({unit}), the most of the plan {}", self.code));
        }
        if let Some(step) = self.quantity_step.filter(|step| !quantity.is_multiple_of(*step)) {
            add("/quantity", format!("is not a multiple of {step} ({unit}), as the plan {} has it", self.code));
        }
        let terms = || self.term_months.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        match request.term_months {
            None if !self.term_months.is_empty() => {
                add("/termMonths", format!("is missing; the plan {} is had for one of {} months", self.code, terms()));
            }
            Some(_) if self.term_months.is_empty() => {
                add("/termMonths", format!("is a term, and the plan {} has none; leave it out", self.code));
            }
            Some(term) if !self.term_months.contains(&term) => {
                add("/termMonths", format!("is not one of {}, the terms of the plan {}", terms(), self.code));
            }
            _ => {}
        }
        wrong
    }
}

/// The one that was asked for. Wrong is to ask for what is not there, and not to ask where there is a choice.
fn one_of<'a, T>(
    asked: &Option<Code>,
    there: &'a [T],
    code: impl Fn(&T) -> &Code,
    field: &str,
    nouns: &str,
    wrong: &mut Vec<FieldError>,
) -> Option<&'a T> {
    let found = asked.as_ref().and_then(|asked| there.iter().find(|one| code(one) == asked));
    if found.is_none() && (asked.is_some() || !there.is_empty()) {
        let codes: Vec<&str> = there.iter().map(|one| &**code(one)).collect();
        wrong.push(not_one_of(asked.is_some(), &codes, field, nouns));
    }
    found
}

/// Apart from [`one_of`], so that it is compiled once.
fn not_one_of(asked: bool, codes: &[&str], field: &str, nouns: &str) -> FieldError {
    let detail = match (asked, codes) {
        (true, []) => format!("is something that the service does not have {nouns} for; leave it out"),
        (true, codes) => format!("is not one of the service's {nouns}: {}", codes.join(", ")),
        (false, codes) => format!("is missing; the service has the {nouns} {}", codes.join(", ")),
    };
    FieldError { pointer: format!("/{field}"), detail }
}

fn field(Wrong { pointer, detail }: Wrong) -> FieldError {
    FieldError { pointer, detail }
}

fn error(pointer: String, detail: &str) -> FieldError {
    FieldError { pointer, detail: detail.to_owned() }
}

fn refuse(wrong: Vec<FieldError>) -> Result<()> {
    if wrong.is_empty() { Ok(()) } else { Err(Error::invalid_fields(wrong)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// From text: what is kept as it was written cannot be read from a value.
    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    fn offer() -> Offer {
        read(json!({
            "plans": [
                { "code": "seats", "displayName": "Seats", "billingUnit": "seat", "minQuantity": "5", "maxQuantity": "50", "quantityStep": "5", "termMonths": [1, 12] },
                { "code": "flat", "displayName": "Flat", "billingUnit": "site" },
            ],
            "regions": ["eu-1", "us-1"],
            "versions": ["10.4", "10.5"],
            "propertiesSchema": { "type": "object", "properties": { "ha": { "type": "boolean" } }, "required": ["ha"], "additionalProperties": false },
        }))
    }

    fn request(with: Value) -> ServiceRequest {
        let mut body = json!({ "planCode": "seats", "region": "eu-1", "version": "10.5", "quantity": "10", "termMonths": 12, "properties": { "ha": true } });
        body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        read(body)
    }

    fn pointers(outcome: Result<()>) -> Vec<String> {
        outcome.err().into_iter().flat_map(|error| error.fields).map(|field| field.pointer).collect()
    }

    #[test]
    fn a_request_is_refused_at_every_place_that_does_not_fit() {
        offer().check("").unwrap();
        for (with, expected) in [
            (json!({}), vec![]),
            (json!({ "planCode": "flat", "quantity": "0.5", "termMonths": null }), vec![]),
            (json!({ "planCode": null }), vec!["/planCode"]),
            (json!({ "planCode": "gold" }), vec!["/planCode"]),
            (json!({ "region": "ap-1", "version": null }), vec!["/region", "/version"]),
            (json!({ "quantity": "0" }), vec!["/quantity", "/quantity"]),
            (json!({ "quantity": "55" }), vec!["/quantity"]),
            (json!({ "quantity": "12" }), vec!["/quantity"]),
            (json!({ "termMonths": null }), vec!["/termMonths"]),
            (json!({ "termMonths": 3 }), vec!["/termMonths"]),
            (json!({ "planCode": "flat" }), vec!["/termMonths"]),
            (json!({ "properties": null }), vec!["/properties/ha"]),
            (json!({ "properties": [] }), vec!["/properties"]),
            (json!({ "properties": { "ha": 1, "x/y": 2 } }), vec!["/properties/x~1y", "/properties/ha"]),
        ] {
            assert_eq!(pointers(offer().validate(&request(with.clone()))), expected, "{with}");
        }
    }

    #[test]
    fn a_service_without_an_offer_takes_a_quantity_and_nothing_else() {
        let bare = Offer::default();
        let only = json!({ "planCode": null, "region": null, "version": null, "termMonths": null, "properties": null });
        bare.validate(&request(only.clone())).unwrap();
        let wrong = pointers(bare.validate(&request(json!({}))));
        assert_eq!(wrong, ["/planCode", "/region", "/version", "/termMonths", "/properties"]);
        assert_eq!(pointers(bare.validate(&request(json!({ "properties": {} })))).len(), 4);
    }

    #[test]
    fn an_offer_that_contradicts_itself_is_refused() {
        let plan = |with: Value| {
            let mut plan = json!({ "code": "a", "displayName": "A", "billingUnit": "seat" });
            plan.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
            plan
        };
        let role = |name: &str| json!({ "name": name, "displayName": name, "defaultRole": true });
        for (offer, expected) in [
            (json!({ "plans": [plan(json!({})), plan(json!({}))] }), "/plans/1/code"),
            (json!({ "regions": ["a", "a"] }), "/regions/1"),
            (json!({ "versions": ["a", "a"] }), "/versions/1"),
            (json!({ "plans": [plan(json!({ "minQuantity": "0" }))] }), "/plans/0/minQuantity"),
            (json!({ "plans": [plan(json!({ "maxQuantity": "-1" }))] }), "/plans/0/maxQuantity"),
            (json!({ "plans": [plan(json!({ "minQuantity": "3", "maxQuantity": "2" }))] }), "/plans/0/minQuantity"),
            (json!({ "plans": [plan(json!({ "minQuantity": "3", "quantityStep": "2" }))] }), "/plans/0/minQuantity"),
            (json!({ "plans": [plan(json!({ "termMonths": [0] }))] }), "/plans/0/termMonths/0"),
            (json!({ "plans": [plan(json!({ "termMonths": [1, 121] }))] }), "/plans/0/termMonths/1"),
            (json!({ "plans": [plan(json!({ "termMonths": [1, 1] }))] }), "/plans/0/termMonths/1"),
            (json!({ "serviceRoles": [role("a"), role("b")] }), "/serviceRoles/1/defaultRole"),
            (json!({ "propertiesSchema": { "type": "objekt" } }), "/propertiesSchema/type"),
        ] {
            let offer: Offer = read(offer);
            assert_eq!(pointers(offer.check("")), [expected]);
        }
    }

    #[test]
    fn only_these_changes_of_status_are_possible() {
        use ServiceStatus::*;
        let ways: Vec<_> = ServiceStatus::ALL
            .iter()
            .flat_map(|&from| ServiceStatus::ALL.iter().map(move |&to| (from, to)))
            .filter(|(from, to)| from.check(*to).is_ok())
            .collect();
        assert_eq!(
            ways,
            [(Draft, Published), (Draft, Retired), (Published, Deprecated), (Deprecated, Published), (Deprecated, Retired)]
        );
    }

    proptest! {
        #[test]
        fn a_quantity_fits_exactly_when_it_is_a_step_within_the_bounds(quantity in 1u32..80) {
            let fits = offer().validate(&request(json!({ "quantity": quantity.to_string() }))).is_ok();
            prop_assert_eq!(fits, (5..=50).contains(&quantity) && quantity % 5 == 0);
        }
    }
}
