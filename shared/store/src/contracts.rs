//! Commit contracts.

use crate::{Db, Placed, Row, Scope, Stored, Tx, Value, job_payload, params, value::numbers};
use domain::{
    Currency, Date, Decimal, Error, Id, Instant, JsonSchema, List, Money, OrganizationPath, Period, Result, Text,
    contract::{self, Contact, ContractEvent, ContractStatus, ContractType, Dates, Terms, Used},
    country::Country,
    id,
    person::Email,
};
use serde::{Deserialize, Serialize};

job_payload! {
    /// Looks at a contract's dates on one of them.
    AdvanceContract {
        /// The contract.
        contract_id: Id<id::Contract>
    } queue "onboarding" kind "contract.advance"
}

job_payload! {
    /// Adds up what was used on contracts.
    AddUse {
        /// The first id that the usage may have.
        first: Id<id::Usage>,
        /// The last.
        last: Id<id::Usage>
    } queue "onboarding" kind "contract.use"
}

job_payload! {
    /// Takes voided usage out of the sums of contracts.
    TakeUseOut {
        /// The void.
        usage_void_id: Id<id::UsageVoid>
    } queue "onboarding" kind "contract.void"
}

/// A provider that has no organization yet.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProspectiveProvider {
    /// Where its first administrator gets mail; its issuer's contracts with one address are with one provider.
    pub email: Email,
    /// The name its organization is to be known by.
    pub display_name: Text<1, 120>,
    /// The name of the legal entity.
    pub company_name: Text<1, 200>,
    /// ISO 3166-1 alpha-2.
    pub country: Country,
}

/// A commit contract: it lets a provider provision a service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Contract {
    /// Its id.
    pub id: Id<id::Contract>,
    /// Who offers it: a distributor, or the operator.
    pub issuer_id: Id<id::Organization>,
    /// Who may provision on it; absent while that provider has no organization.
    pub provider_id: Option<Id<id::Organization>>,
    /// Who is to provision on it, while that provider has no organization.
    pub provider: Option<ProspectiveProvider>,
    /// What may be provisioned on it.
    pub service_id: Id<id::Service>,
    /// How it is paid.
    pub contract_type: ContractType,
    /// Where it stands.
    pub status: ContractStatus,
    /// The first day (UTC) on which it is in force.
    pub effective_date: Date,
    /// The currency it is charged in.
    pub currency: Currency,
    /// The parties' own reference.
    pub reference: Option<String>,
    /// Whether a subscription for which no contract is named runs on it.
    pub is_default: bool,
    /// The contract that it follows.
    pub renews_id: Option<Id<id::Contract>>,
    /// The day (UTC) on which it is terminated.
    pub termination_date: Option<Date>,
    /// Why it was rejected, terminated or deactivated.
    pub reason: Option<String>,
    /// What was agreed.
    #[serde(flatten)]
    pub terms: Terms,
    /// When it was drawn up.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Counts the changes; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
}

impl Contract {
    /// What an amendment cannot change, beside what every change changes.
    pub const NOT_EDITED: &[&str] =
        &["id", "issuerId", "status", "isDefault", "renewsId", "terminationDate", "reason", "createdAt", "updatedAt"];

    /// The dates that decide about it.
    pub fn dates(&self) -> Dates {
        self.terms.dates(self.effective_date, self.termination_date)
    }

    /// Whose it is: its provider's, or its issuer's while the provider has no organization.
    pub fn owner_id(&self) -> Id<id::Organization> {
        self.provider_id.unwrap_or(self.issuer_id)
    }
}

/// What is said of a contract that is to be drawn up.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewContract {
    /// Who is to provision on it: a provider below the acting organization.
    pub provider_id: Option<Id<id::Organization>>,
    /// Instead of `providerId`: a provider that has no organization yet. It is invited when its first contract comes into
    /// force.
    pub provider: Option<ProspectiveProvider>,
    /// What is to be provisioned on it.
    pub service_id: Id<id::Service>,
    /// How it is to be paid.
    pub contract_type: ContractType,
    /// The first day (UTC) on which it is to be in force; of the years 2000 to 2999.
    pub effective_date: Date,
    /// The currency it is to be charged in.
    pub currency: Currency,
    /// The parties' own reference.
    pub reference: Option<Text<1, 80>>,
    /// Leaves it a draft, which can be amended, instead of sending it for approval at once.
    pub draft: Option<bool>,
    /// For how many months, 1 to 120. PREPAY and CUSTOM need it.
    #[schemars(range(min = 1, max = 120))]
    pub term: Option<u32>,
    /// How many months, 1 to 120, after its end what was provisioned may go on.
    #[schemars(range(min = 1, max = 120))]
    pub grace_term: Option<u32>,
    /// The first day (UTC) on which it is no longer in force. Of PAY_GO only; that of the others follows from `term`.
    pub end_date: Option<Date>,
    /// In percent of the list price, 0 to 100. PREPAY and CUSTOM need it.
    pub discount: Option<Decimal>,
    /// The service provider factor, above zero. PREPAY and CUSTOM need it.
    pub spf: Option<Decimal>,
    /// The least that is charged in each calendar month: as many amounts as `term`, and one more when the effective date is
    /// not the first of a month; then the first and the last are parts that add up to one month. PREPAY and CUSTOM need it,
    /// but for services of the family VELO.
    pub min_commits: Option<List<Money, 121>>,
    /// What is paid in advance, at least the sum of `minCommits`. PREPAY needs it.
    pub prepayment: Option<Money>,
    /// Below which balance of the prepayment the parties are told. Of PREPAY only.
    pub trigger_point: Option<Money>,
    /// Above which use in a month the issuer is told. Services of the family MSP need it.
    pub threshold: Option<Money>,
    /// Who gets the licenses. Services of the families RENTAL, SOV and LPCAAS need it.
    pub license_contact: Option<Contact>,
    /// Whom to turn to at the provider.
    pub provider_contact: Option<Contact>,
    /// Where it holds, in the parties' own words.
    pub region: Option<Text<1, 80>>,
    /// The issuer's purchase order.
    pub purchase_order: Option<Text<1, 80>>,
    /// What a point costs; not below zero.
    pub selling_price_per_point: Option<Decimal>,
}

impl NewContract {
    /// What is said of it as terms, unchecked.
    pub fn terms(&self) -> Terms {
        Terms {
            term: self.term,
            grace_term: self.grace_term,
            end_date: self.end_date,
            discount: self.discount,
            spf: self.spf,
            min_commits: self.min_commits.clone(),
            prepayment: self.prepayment,
            trigger_point: self.trigger_point,
            threshold: self.threshold,
            license_contact: self.license_contact.clone(),
            provider_contact: self.provider_contact.clone(),
            region: self.region.clone(),
            purchase_order: self.purchase_order.clone(),
            selling_price_per_point: self.selling_price_per_point,
        }
    }
}

const COLUMNS: &str = "c.id, c.issuer_id, c.provider_id, c.provider_email, p.display_name, p.company_name, p.country, c.service_id, c.contract_type, c.status, c.effective_date, c.currency, c.reference, c.is_default, c.renews_id, c.termination_date, c.reason, c.created_at, c.updated_at, c.version";
/// The columns of a contract's terms, in the order of [`read_terms`].
const TERMS: &str = "term, grace_term, end_date, discount, spf, min_commits, prepayment, trigger_point, threshold, license_contact_first_name, license_contact_last_name, license_contact_email, provider_contact_first_name, provider_contact_last_name, provider_contact_email, region, purchase_order, selling_price_per_point";
/// A contract belongs to its provider, so whoever is above the provider sees it, its issuer included; while the provider
/// has no organization, to its issuer.
const FROM: &str = "contracts c JOIN organizations o ON o.id = c.provider_id LEFT JOIN prospective_providers p ON p.issuer_id = c.issuer_id AND p.email = c.provider_email";

fn read(row: &mut Row) -> Result<Contract> {
    let (id, issuer_id, owner_id) = (row.take()?, row.take()?, row.take()?);
    let provider = match (row.take()?, row.take()?, row.take()?, row.take()?) {
        (Some(email), Some(display_name), Some(company_name), Some(country)) if owner_id == issuer_id => {
            Some(ProspectiveProvider { email, display_name, company_name, country })
        }
        _ => None,
    };
    let (service_id, contract_type, status, effective_date) = (row.take()?, row.take()?, row.take()?, row.take()?);
    let currency = row.take()?;
    Ok(Contract {
        id,
        issuer_id,
        provider_id: provider.is_none().then_some(owner_id),
        provider,
        service_id,
        contract_type,
        status,
        effective_date,
        currency,
        reference: row.take()?,
        is_default: row.take::<i64>()? == 1,
        renews_id: row.take()?,
        termination_date: row.take()?,
        reason: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        version: row.take()?,
        terms: read_terms(row, currency)?,
    })
}

fn read_terms(row: &mut Row, currency: Currency) -> Result<Terms> {
    let money = |amount: Option<i64>| amount.map(|minor_units| Money { minor_units, currency });
    Ok(Terms {
        term: row.take()?,
        grace_term: row.take()?,
        end_date: row.take()?,
        discount: row.take()?,
        spf: row.take()?,
        min_commits: row.take::<Option<String>>()?.and_then(|amounts| {
            let amounts: Option<_> = amounts.split(' ').map(|amount| money(amount.parse().ok())).collect();
            List::new(amounts?).ok()
        }),
        prepayment: money(row.take()?),
        trigger_point: money(row.take()?),
        threshold: money(row.take()?),
        license_contact: contact(row)?,
        provider_contact: contact(row)?,
        region: row.take()?,
        purchase_order: row.take()?,
        selling_price_per_point: row.take()?,
    })
}

fn contact(row: &mut Row) -> Result<Option<Contact>> {
    Ok(match (row.take()?, row.take()?, row.take()?) {
        (Some(first_name), Some(last_name), Some(email)) => Some(Contact { first_name, last_name, email }),
        _ => None,
    })
}

/// The columns of what is agreed in a contract beside its terms; the values of both come from [`agreed`].
const AGREED: &str = "provider_id, provider_email, service_id, contract_type, effective_date, currency, reference";

fn agreed(contract: &Contract) -> Vec<Value> {
    let terms = &contract.terms;
    let amount = |money: Option<Money>| money.map(|money| money.minor_units);
    let commits = terms
        .min_commits
        .as_ref()
        .map(|commits| commits.iter().map(|commit| commit.minor_units.to_string()).collect::<Vec<_>>().join(" "));
    let mut values = params![
        contract.owner_id(),
        contract.provider.as_ref().map(|provider| &provider.email),
        contract.service_id,
        contract.contract_type,
        contract.effective_date,
        contract.currency,
        contract.reference,
        terms.term,
        terms.grace_term,
        terms.end_date,
        terms.discount,
        terms.spf,
        commits,
        amount(terms.prepayment),
        amount(terms.trigger_point),
        amount(terms.threshold)
    ];
    for contact in [&terms.license_contact, &terms.provider_contact] {
        let contact = contact.as_ref();
        values.extend(params![
            contact.map(|contact| &contact.first_name),
            contact.map(|contact| &contact.last_name),
            contact.map(|contact| &contact.email)
        ]);
    }
    values.extend(params![terms.region, terms.purchase_order, terms.selling_price_per_point]);
    values
}

/// What is read of a contract by [`read`].
fn columns() -> String {
    format!("{COLUMNS}, c.{}", TERMS.replace(", ", ", c."))
}

/// Draws a contract up; its provider and its service were found by the caller.
pub async fn insert(tx: &Tx<'_>, contract: &Contract) -> Result<()> {
    let mut values = params![
        contract.id,
        contract.issuer_id,
        contract.status,
        contract.renews_id,
        contract.version,
        contract.created_at,
        contract.updated_at
    ];
    values.extend(agreed(contract));
    tx.exec(
        &format!(
            "INSERT INTO contracts (id, issuer_id, status, renews_id, version, created_at, updated_at, {AGREED}, {TERMS}, organization_path)
             VALUES ({}, (SELECT o.path FROM organizations o WHERE o.id = ?8))",
            numbers(1, values.len())
        ),
        values,
    )
    .await
}

/// Writes what is agreed in a contract, in place of what was.
pub async fn amend(tx: &Tx<'_>, contract: &Contract) -> Result<()> {
    let mut values = params![contract.id, contract.version, contract.updated_at];
    values.extend(agreed(contract));
    let set: Vec<_> = AGREED
        .split(", ")
        .chain(TERMS.split(", "))
        .enumerate()
        .map(|(index, column)| format!("{column} = ?{}", index + 4))
        .collect();
    let set = set.join(", ");
    let path = "organization_path = (SELECT o.path FROM organizations o WHERE o.id = ?4)";
    tx.exec(&format!("UPDATE contracts SET version = ?2, updated_at = ?3, {path}, {set} WHERE id = ?1"), values).await
}

/// One contract within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Contract>) -> Result<Contract> {
    let values = scope.after(params![id]);
    db.query_opt(&format!("SELECT {} FROM {FROM} WHERE c.id = ?1 AND o.path >= ?2 AND o.path < ?3", columns()), values, read)
        .await?
        .ok_or_else(|| Error::not_found("contract_not_found", "contract", id))
}

/// One contract within the scope that is still at `version`; anything else is stale.
pub async fn find_to_edit(tx: &Tx<'_>, scope: &Scope, id: Id<id::Contract>, version: Option<i64>) -> Result<Contract> {
    let contract = find(tx, scope, id).await?;
    if version.is_some_and(|version| version != contract.version) {
        return Err(crate::stale("contract"));
    }
    Ok(contract)
}

/// The contract that follows this one, if there is one that was not terminated.
pub async fn find_renewal(tx: &Tx<'_>, id: Id<id::Contract>) -> Result<Option<Contract>> {
    tx.query_opt(
        &format!("SELECT {} FROM {FROM} WHERE c.renews_id = ?1 AND c.status <> 'TERMINATED'", columns()),
        params![id],
        read,
    )
    .await
}

/// Which contracts to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those of this provider.
    pub provider_id: Option<Id<id::Organization>>,
    /// Only those for this service.
    pub service_id: Option<Id<id::Service>>,
    /// Only those that stand there.
    pub status: Option<ContractStatus>,
}

/// A page of the contracts within the scope, in the order of the tree and those of one provider oldest first.
pub async fn list(db: &Db, scope: &Scope, filter: &Filter, after: &[String], limit: u32) -> Result<Vec<Placed<Contract>>> {
    let mut values = params![limit];
    let mut conditions = scope.page("c", after, &mut values);
    // Only what is asked for, because an index serves no condition that may be absent. Of several the first has the index.
    let asked = [
        ("c.provider_id", filter.provider_id.map(|id| id.to_value())),
        ("c.status", filter.status.map(|status| status.to_value())),
        ("c.service_id", filter.service_id.map(|id| id.to_value())),
    ];
    for (column, value) in asked.into_iter().filter_map(|(column, value)| Some((column, value?))) {
        values.push(value);
        conditions += &format!(" AND {column} = ?{}", values.len());
    }
    // One provider's all have one path.
    let order = if filter.provider_id.is_some() { "c.id" } else { "c.organization_path, c.id" };
    let sql = format!("SELECT {}, c.organization_path, c.id FROM {FROM} WHERE {conditions} ORDER BY {order} LIMIT ?1", columns());
    db.query_all(&sql, values, |row| Placed::read(row, read, 2)).await
}

/// Where a contract, as read in this transaction, goes to, and what is said with it.
pub struct Change {
    /// The status.
    pub status: ContractStatus,
    /// The day of its termination; none any more, when absent.
    pub termination_date: Option<Date>,
    /// Why.
    pub reason: Option<String>,
}

/// Moves a contract, as read in this transaction, to another status. One that is not in force is no default.
pub async fn set_status(tx: &Tx<'_>, contract: Contract, change: Change, now: Instant) -> Result<Contract> {
    let is_default = contract.is_default && change.status.is_in_force();
    tx.exec(
        "UPDATE contracts SET status = ?2, is_default = ?3, termination_date = ?4, reason = ?5, version = version + 1, updated_at = ?6
         WHERE id = ?1",
        params![contract.id, change.status, i64::from(is_default), change.termination_date, change.reason, now],
    )
    .await?;
    Ok(Contract {
        status: change.status,
        is_default,
        termination_date: change.termination_date,
        reason: change.reason,
        updated_at: now,
        version: contract.version + 1,
        ..contract
    })
}

/// Makes a contract, as read in this transaction, the default of its provider for its service, and whichever was no longer.
pub async fn set_default(tx: &Tx<'_>, contract: Contract, now: Instant) -> Result<Contract> {
    if contract.is_default {
        return Ok(contract);
    }
    tx.exec(
        "UPDATE contracts SET is_default = 0, version = version + 1, updated_at = ?3 WHERE provider_id = ?1 AND service_id = ?2 AND is_default = 1",
        params![contract.owner_id(), contract.service_id, now],
    )
    .await?;
    tx.exec(
        "UPDATE contracts SET is_default = 1, version = version + 1, updated_at = ?2 WHERE id = ?1",
        params![contract.id, now],
    )
    .await?;
    Ok(Contract { is_default: true, updated_at: now, version: contract.version + 1, ..contract })
}

/// Whether a contract is a default.
pub async fn is_default(tx: &Tx<'_>, id: Id<id::Contract>) -> Result<bool> {
    let found: Option<i64> =
        tx.query_opt("SELECT is_default FROM contracts WHERE id = ?1", params![id], |row| row.take()).await?;
    Ok(found == Some(1))
}

/// The provider with this address of this issuer: keeps what is said of it, unless it is known already, and gives its
/// organization, if it has one by now.
pub async fn prospective_provider(
    tx: &Tx<'_>,
    issuer: Id<id::Organization>,
    provider: &ProspectiveProvider,
    currency: Currency,
    now: Instant,
) -> Result<Option<Id<id::Organization>>> {
    tx.exec(
        "INSERT INTO prospective_providers (issuer_id, email, display_name, company_name, country, currency, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        params![issuer, provider.email, provider.display_name, provider.company_name, provider.country, currency, now],
    )
    .await?;
    let sql = "SELECT organization_id FROM prospective_providers WHERE issuer_id = ?1 AND email = ?2";
    let found: Option<Option<Id<id::Organization>>> =
        tx.query_opt(sql, params![issuer, provider.email], |row| row.take()).await?;
    Ok(found.flatten())
}

/// The one answer to "may the provider of this customer provision this service now, and on which contract": whatever
/// provisions asks here. `customer` is where the customer stands; its provider is the organization right above it.
pub async fn allows(
    db: &Db,
    customer: &OrganizationPath,
    provider_id: Id<id::Organization>,
    service_id: Id<id::Service>,
    named: Option<Id<id::Contract>>,
    now: Instant,
) -> Result<Id<id::Contract>> {
    let in_force = in_force(db, customer, provider_id, service_id, named, now).await?;
    contract::choose(&in_force, |of| *of, named).map(|of| of.0)
}

/// The contracts of a provider in force for a service, and which is the default: the named one and the default first. A contract
/// counts by its dates, also when the job that moves it on is late.
pub async fn in_force(
    db: &Db,
    customer: &OrganizationPath,
    provider_id: Id<id::Organization>,
    service_id: Id<id::Service>,
    named: Option<Id<id::Contract>>,
    now: Instant,
) -> Result<Vec<(Id<id::Contract>, bool)>> {
    let found = db
        .query_all(
            "SELECT c.id, c.is_default, c.status, c.effective_date, c.end_date, c.termination_date
             FROM contracts c JOIN organizations o ON o.id = c.provider_id WHERE c.provider_id = ?1 AND c.service_id = ?2
             AND c.status IN ('PENDING_EFFECTIVE_DATE', 'ACTIVE', 'PENDING_TERMINATION')
             AND o.status = 'ACTIVE' AND substr(?3, 1, length(o.path)) = o.path
             ORDER BY CASE WHEN c.id = ?4 THEN 0 ELSE 1 END, c.is_default DESC, c.id LIMIT 100",
            // The named one and the default first, so that they are found among however many.
            params![provider_id, service_id, customer, named],
            |row| {
                let of = (row.take()?, row.take::<i64>()? == 1);
                let status = row.take()?;
                // Of one that is in force nobody asks for its grace.
                let dates = Dates { effective: row.take()?, end: row.take()?, grace_end: None, termination: row.take()? };
                Ok((of, contract::status_at(status, &dates, now).is_in_force()))
            },
        )
        .await?;
    Ok(found.into_iter().filter(|(_, in_force)| *in_force).map(|(of, _)| of).collect())
}

/// The contract that follows this one, if there is one that was not terminated.
pub async fn followed_by(db: &Db, id: Id<id::Contract>) -> Result<Option<Id<id::Contract>>> {
    let sql = "SELECT id FROM contracts WHERE renews_id = ?1 AND status <> 'TERMINATED'";
    db.query_opt(sql, params![id], |row| row.take()).await
}

/// The most that a month's use adds up to, in minor units: a hundred trillion dollars. A sum of all months stays an integer.
const MOST: i64 = 10_000_000_000_000_000;

/// Adds what was used on a contract in a month, or takes it out when it is negative: what it came to before and after.
pub async fn add_use(tx: &Tx<'_>, id: Id<id::Contract>, period: Period, minor_units: i64) -> Result<Used> {
    let added = minor_units.clamp(-MOST, MOST);
    let month: Option<i64> = tx
        .query_opt(
            "INSERT INTO contract_uses (contract_id, period, minor_units) VALUES (?1, ?2, ?3)
             ON CONFLICT (contract_id, period) DO UPDATE SET minor_units = contract_uses.minor_units + excluded.minor_units
             WHERE contract_uses.minor_units + excluded.minor_units <= ?4 RETURNING minor_units",
            params![id, period, added, MOST],
            |row| row.take(),
        )
        .await?;
    let all: Option<i64> = tx
        .query_opt("SELECT CAST(SUM(minor_units) AS BIGINT) FROM contract_uses WHERE contract_id = ?1", params![id], |row| {
            row.take()
        })
        .await?;
    let (month, all) = (month.unwrap_or(MOST), all.unwrap_or(added));
    Ok(Used { month: ((month - added).max(0), month), all: ((all - added).max(0), all) })
}

/// What its dates do to a contract at `now`, if anything.
pub fn due(contract: &Contract, now: Instant) -> Option<ContractEvent> {
    contract::due(contract.status, &contract.dates(), now)
}
