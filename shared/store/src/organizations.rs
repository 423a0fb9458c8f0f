//! Organizations and the tree they form.

use crate::{
    Db, Placed, Row, Scope, Stored, Tx, Value, access_levels,
    access_tokens::{Place, read_place},
    cloud_endpoints, credentials, identity_providers, params,
    value::{batches, packed},
};
use domain::{
    Currency, Error, Id, Instant, JsonSchema, List, OrganizationKind, OrganizationPath, Result, Text,
    country::Country,
    id,
    organization::{
        ADDITIONAL_PROVIDERS, OrganizationStatus, PartnerType, ProviderStatus, ProviderType, TenantType, Traits,
        check_admin_user, checked_state,
    },
    person::Email,
    text::folded,
};
use serde::{Deserialize, Serialize};

/// Whom to turn to in an organization beside its administrators.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlternateContact {
    /// Who it is.
    pub name: Text<1, 120>,
    /// Where they get their mail.
    pub email: Email,
}

/// An organization as it is shown.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// Its id.
    pub id: Id<id::Organization>,
    /// The organization above it; none for the operator.
    pub parent_id: Option<Id<id::Organization>>,
    /// What it is.
    pub kind: OrganizationKind,
    /// Whether it can be acted in.
    pub status: OrganizationStatus,
    /// Which organization's being disabled binds it: itself, or one above it.
    pub disabled_by: Option<Id<id::Organization>>,
    /// The name it is known by.
    pub display_name: String,
    /// The name of the legal entity.
    pub company_name: String,
    /// What it is about.
    pub description: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Country,
    /// State or province: the code of ISO 3166-2 without the country's, where the hub knows it.
    pub state: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Postal code.
    pub zip: Option<String>,
    /// Street and number.
    pub address_line1: Option<String>,
    /// What else the address needs.
    pub address_line2: Option<String>,
    /// Internet domain.
    pub domain: Option<String>,
    /// A free mark for the caller's own use.
    pub tag: Option<String>,
    /// The currency it is billed in.
    pub currency: Currency,
    /// Whom to turn to beside its administrators.
    pub alternate_contact: Option<AlternateContact>,
    /// Of customers: what it is to its provider.
    pub tenant_type: Option<TenantType>,
    /// Of providers: how far it has come.
    pub provider_status: Option<ProviderStatus>,
    /// Of providers: whether it is a main or an additional one.
    pub provider_type: Option<ProviderType>,
    /// Of additional providers: the provider it belongs to.
    pub main_provider_id: Option<Id<id::Organization>>,
    /// How it takes part in selling.
    pub partner_types: Vec<PartnerType>,
    /// When it was created.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// When it was removed.
    pub removed_at: Option<Instant>,
    /// Counts the edits; shown as the ETag.
    #[serde(skip)]
    pub version: i64,
    /// Where it stands in the tree.
    #[serde(skip)]
    pub path: OrganizationPath,
}

impl Organization {
    /// What an edit cannot change, beside what every edit changes.
    pub const NOT_EDITED: &[&str] = &["id", "status", "disabledBy", "createdAt", "updatedAt", "removedAt"];
}

/// An organization as far as work for it needs it: where it stands, and whether something can be begun in it.
#[derive(Clone, Debug)]
pub struct OrganizationHead {
    /// Its id.
    pub id: Id<id::Organization>,
    /// The organization above it; none for the operator.
    pub parent_id: Option<Id<id::Organization>>,
    /// What it is.
    pub kind: OrganizationKind,
    /// Whether it can be acted in.
    pub status: OrganizationStatus,
    /// Which organization's being disabled binds it.
    pub disabled_by: Option<Id<id::Organization>>,
    /// The currency it is billed in.
    pub currency: Currency,
    /// Where it stands in the tree.
    pub path: OrganizationPath,
}

impl OrganizationHead {
    /// Refuses when nothing new can be begun in it, since it is removed or disabled.
    pub fn in_use(self) -> Result<Self> {
        check_in_use(self.id, self.status).map(|()| self)
    }
}

fn check_in_use(id: Id<id::Organization>, status: OrganizationStatus) -> Result<()> {
    let (code, text) = match status {
        OrganizationStatus::Active => return Ok(()),
        OrganizationStatus::Disabled => {
            ("organization_disabled", "is disabled, so nothing new can be begun in it. Enable it first")
        }
        OrganizationStatus::Removed => return Err(removed(id)),
    };
    Err(Error::conflict(code, format!("The organization {id} {text}.")))
}

fn removed(id: Id<id::Organization>) -> Error {
    Error::conflict("organization_removed", format!("The organization {id} was removed. Choose another."))
}

/// What is said of an organization that is to be created.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewOrganization {
    /// What it is: DISTRIBUTOR, RESELLER, PROVIDER or CUSTOMER, of a lower rank than its parent. It stays so.
    pub kind: OrganizationKind,
    /// The organization above it; the acting one when left out. It stays there.
    pub parent_id: Option<Id<id::Organization>>,
    /// The name it is to be known by.
    pub display_name: Text<1, 120>,
    /// The name of the legal entity.
    pub company_name: Text<1, 200>,
    /// What it is about.
    pub description: Option<Text<1, 1000>>,
    /// ISO 3166-1 alpha-2.
    pub country: Country,
    /// State or province: its code in ISO 3166-2, with or without the country's, or its name.
    pub state: Option<Text<1, 80>>,
    /// City.
    pub city: Option<Text<1, 80>>,
    /// Postal code.
    pub zip: Option<Text<1, 20>>,
    /// Street and number.
    pub address_line1: Option<Text<1, 200>>,
    /// What else the address needs.
    pub address_line2: Option<Text<1, 200>>,
    /// Internet domain.
    pub domain: Option<Text<1, 253>>,
    /// A free mark for the caller's own use.
    pub tag: Option<Text<1, 80>>,
    /// The currency it is to be billed in. It stays so.
    pub currency: Currency,
    /// Whom to turn to beside its administrators.
    pub alternate_contact: Option<AlternateContact>,
    /// Of customers: what it is to its provider; DEFAULT when left out.
    pub tenant_type: Option<TenantType>,
    /// Of providers: how far it has come; PAID when left out. Only those above it say so.
    pub provider_status: Option<ProviderStatus>,
    /// Of providers: STANDARD, or ADDITIONAL beside another; STANDARD when left out. It stays so.
    pub provider_type: Option<ProviderType>,
    /// Of additional providers: the STANDARD provider it belongs to, whose parent is its own. It stays so.
    pub main_provider_id: Option<Id<id::Organization>>,
    /// How a distributor, reseller or provider takes part in selling.
    pub partner_types: Option<List<PartnerType, 3>>,
    /// Of customers, when they are created: who is to be its first CUSTOMER_ADMINISTRATOR. Whom the hub knows is made one at
    /// once; others get an invitation there, of which `/v1/member-invitations` gives the secret (resend).
    pub admin_user_email: Option<Email>,
    /// The name that they go by, if the hub does not know them yet.
    pub admin_user_name: Option<Text<1, 120>>,
}

impl NewOrganization {
    /// An organization of which no more than this is said.
    pub fn named(
        kind: OrganizationKind,
        display_name: Text<1, 120>,
        company_name: Text<1, 200>,
        country: Country,
        currency: Currency,
    ) -> Self {
        Self {
            kind,
            parent_id: None,
            display_name,
            company_name,
            description: None,
            country,
            state: None,
            city: None,
            zip: None,
            address_line1: None,
            address_line2: None,
            domain: None,
            tag: None,
            currency,
            alternate_contact: None,
            tenant_type: None,
            provider_status: None,
            provider_type: None,
            main_provider_id: None,
            partner_types: None,
            admin_user_email: None,
            admin_user_name: None,
        }
    }

    /// The same with its state normalized and what follows from its kind filled in, or what is against the rules.
    pub fn checked(mut self) -> Result<Self> {
        let traits = Traits {
            tenant_type: self.tenant_type,
            provider_status: self.provider_status,
            provider_type: self.provider_type,
            main_provider_id: self.main_provider_id,
            partner_types: self.partner_types.as_deref().unwrap_or_default().to_vec(),
        };
        let traits = traits.checked(self.kind)?;
        check_admin_user(self.kind, self.admin_user_email.is_some(), self.admin_user_name.is_some())?;
        (self.tenant_type, self.provider_status, self.provider_type) =
            (traits.tenant_type, traits.provider_status, traits.provider_type);
        self.state = match checked_state(self.country, self.state.as_deref())? {
            Some(state) => Some(state.parse().map_err(|error: String| Error::invalid("/state", error))?),
            None => None,
        };
        Ok(self)
    }

    fn partner_types(&self) -> Option<String> {
        let types: Vec<_> = self.partner_types.as_deref()?.iter().map(|one| one.as_str()).collect();
        (!types.is_empty()).then(|| types.join(" "))
    }

    /// The values of [`SAID`], in its order.
    fn values(&self) -> Vec<Value> {
        let contact = self.alternate_contact.as_ref();
        params![
            self.display_name,
            self.company_name,
            self.description,
            self.country,
            self.state,
            self.city,
            self.zip,
            self.address_line1,
            self.address_line2,
            self.domain,
            self.tag,
            contact.map(|contact| &contact.name),
            contact.map(|contact| &contact.email),
            self.tenant_type,
            self.provider_status,
            self.partner_types(),
            folded(&self.display_name)
        ]
    }
}

/// What is said of an organization and can be edited.
const SAID: [&str; 17] = [
    "display_name",
    "company_name",
    "description",
    "country",
    "state",
    "city",
    "zip",
    "address_line1",
    "address_line2",
    "domain",
    "tag",
    "alternate_contact_name",
    "alternate_contact_email",
    "tenant_type",
    "provider_status",
    "partner_types",
    "name_key",
];

const COLUMNS: &str = packed!(
    "id",
    "parent_id",
    "kind",
    "status",
    "disabled_by",
    "display_name",
    "company_name",
    "description",
    "country",
    "state",
    "city",
    "zip",
    "address_line1",
    "address_line2",
    "domain",
    "tag",
    "currency",
    "alternate_contact_name",
    "alternate_contact_email",
    "tenant_type",
    "provider_status",
    "provider_type",
    "main_provider_id",
    "partner_types",
    "created_at",
    "updated_at",
    "removed_at",
    "version",
    "path"
);

fn read(row: &mut Row) -> Result<Organization> {
    let mut organization = Organization {
        id: row.take()?,
        parent_id: row.take()?,
        kind: row.take()?,
        status: row.take()?,
        disabled_by: row.take()?,
        display_name: row.take()?,
        company_name: row.take()?,
        description: row.take()?,
        country: row.take()?,
        state: row.take()?,
        city: row.take()?,
        zip: row.take()?,
        address_line1: row.take()?,
        address_line2: row.take()?,
        domain: row.take()?,
        tag: row.take()?,
        currency: row.take()?,
        alternate_contact: match (row.take()?, row.take()?) {
            (Some(name), Some(email)) => Some(AlternateContact { name, email }),
            _ => None,
        },
        tenant_type: row.take()?,
        provider_status: row.take()?,
        provider_type: row.take()?,
        main_provider_id: row.take()?,
        partner_types: row
            .take::<Option<String>>()?
            .map_or_else(Vec::new, |types| types.split(' ').filter_map(|one| one.parse().ok()).collect()),
        created_at: row.take()?,
        updated_at: row.take()?,
        removed_at: row.take()?,
        version: row.take()?,
        path: row.take()?,
    };
    if organization.removed_at.is_some() {
        (organization.status, organization.disabled_by) = (OrganizationStatus::Removed, None);
    }
    Ok(organization)
}

/// One organization within the scope, removed or not.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::Organization>) -> Result<Organization> {
    db.query_opt(
        &["SELECT ", COLUMNS, " FROM organizations WHERE id = ?1 AND path >= ?2 AND path < ?3"].concat(),
        vec![id.to_value(), scope.from(), scope.until()],
        read,
    )
    .await?
    .ok_or_else(|| Error::not_found("organization_not_found", "organization", id))
}

/// One organization within the scope, removed or not, as far as work for it needs it.
pub async fn head(db: &Db, scope: &Scope, id: Id<id::Organization>) -> Result<OrganizationHead> {
    db.query_opt(
        concat!(
            "SELECT ",
            packed!("id", "parent_id", "kind", "status", "disabled_by", "currency", "path", "removed_at"),
            " FROM organizations WHERE id = ?1 AND path >= ?2 AND path < ?3"
        ),
        vec![id.to_value(), scope.from(), scope.until()],
        |row| {
            let mut head = OrganizationHead {
                id: row.take()?,
                parent_id: row.take()?,
                kind: row.take()?,
                status: row.take()?,
                disabled_by: row.take()?,
                currency: row.take()?,
                path: row.take()?,
            };
            if row.take::<Option<Instant>>()?.is_some() {
                head.status = OrganizationStatus::Removed;
            }
            Ok(head)
        },
    )
    .await?
    .ok_or_else(|| Error::not_found("organization_not_found", "organization", id))
}

/// One organization within the scope in which something new can be begun.
pub async fn find_in_use(db: &Db, scope: &Scope, id: Id<id::Organization>) -> Result<OrganizationHead> {
    head(db, scope, id).await?.in_use()
}

/// The same as far as who only asks whose it will be needs it: without what it is billed in, and the code to read that.
pub async fn find_place_in_use(db: &Db, scope: &Scope, id: Id<id::Organization>) -> Result<Place> {
    let place = db
        .query_opt(
            "SELECT id, path, kind, CASE WHEN removed_at IS NULL THEN status ELSE 'REMOVED' END FROM organizations
             WHERE id = ?1 AND path >= ?2 AND path < ?3",
            vec![id.to_value(), scope.from(), scope.until()],
            read_place,
        )
        .await?
        .ok_or_else(|| Error::not_found("organization_not_found", "organization", id))?;
    check_in_use(place.id, place.status).map(|()| place)
}

/// Which organizations to list, and from where on.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those of this kind.
    pub kind: Option<OrganizationKind>,
    /// Only those directly below this one.
    pub parent_id: Option<Id<id::Organization>>,
    /// Only those that stand there; without it, all but the removed.
    pub status: Option<OrganizationStatus>,
    /// Only those of this country.
    pub country: Option<Country>,
    /// Only those with this mark.
    pub tag: Option<String>,
    /// Only those whose display name begins so, whatever its case and accents. Needs the parent.
    pub name: Option<String>,
    /// Only those created at this instant or later. Needs the parent.
    pub created_after: Option<Instant>,
    /// Only those after this place: the values that [`Filter::sorted_by`] counts.
    pub after: Vec<String>,
}

impl Filter {
    /// By how many values the list is sorted.
    pub fn sorted_by(&self) -> usize {
        if self.name.is_some() { 2 } else { 1 }
    }
}

/// A page of the organizations within the scope, in the order of the tree: what is directly below one organization is
/// listed oldest first; a list by name is in the order of the names.
///
/// The statement has only the conditions that are asked for, because an index serves no condition that may be absent; so
/// every filter by itself costs the page and not the subtree. Of several, one has the index, that which fewer can be expected to
/// have, and the others are looked at row by row.
pub async fn list(db: &Db, scope: &Scope, filter: &Filter, limit: u32) -> Result<Vec<Placed<Organization>>> {
    let mut values = vec![scope.from(), scope.until(), limit.to_value()];
    let mut conditions = String::new();
    let mut indexed = false;
    let mut also = |condition: &str, value: Value| {
        values.push(value);
        conditions += &condition.replace("?#", &format!("?{}", values.len()));
    };
    // Whatever stands directly below one is in its part of the tree, which is one range of every index that ends with the path.
    // So what few have is looked for there, and not among all that the parent has.
    let narrowed = filter.name.is_none()
        && (filter.tag.is_some() || filter.country.is_some() || filter.status == Some(OrganizationStatus::Disabled));
    if let Some(parent) = filter.parent_id.filter(|_| narrowed) {
        let path = "(SELECT p.path FROM organizations p WHERE p.id = ?#)";
        let from = if filter.after.is_empty() { "path" } else { "path || ''" };
        let range = format!("{from} >= {path} AND path < substr({path}, 1, length({path}) - 1) || '/'");
        also(&format!(" AND {range} AND parent_id || '' = ?#"), parent.to_value());
    }
    // What is joined to something is no bare column, so the planner does not choose its index.
    let mut equals = |column: &str, value: Value, also: &mut dyn FnMut(&str, Value)| {
        let bare = if indexed { format!(" AND {column} || '' = ?#") } else { format!(" AND {column} = ?#") };
        indexed = true;
        also(&bare, value);
    };
    if let Some(parent) = filter.parent_id.filter(|_| !narrowed) {
        equals("parent_id", parent.to_value(), &mut also);
    }
    if let Some(name) = &filter.name {
        let from = folded(name);
        also(" AND name_key >= ?#", from.to_value());
        // The last character of all follows whatever begins so.
        also(" AND name_key < ?#", format!("{from}\u{10ffff}").to_value());
    }
    // Those first which fewer have: most organizations are customers.
    let kind = filter.kind.map(|kind| ("kind", kind.to_value()));
    let is_rare = filter.kind.is_some_and(|kind| kind != OrganizationKind::Customer);
    let tag = filter.tag.as_ref().map(|tag| ("tag", tag.to_value()));
    let country = filter.country.map(|country| ("country", country.to_value()));
    let last = if is_rare { [kind, tag, country] } else { [tag, country, kind] };
    for (column, value) in last.into_iter().flatten() {
        equals(column, value, &mut also);
    }
    let order = match (&filter.name, filter.parent_id) {
        (Some(_), _) => "name_key, id",
        (None, Some(_)) if !narrowed => "id",
        (None, _) => "path",
    };
    if let Some(created_after) = filter.created_after {
        // Ids begin with the instant of their making.
        also(" AND id >= ?#", Id::<id::Organization>::new(created_after, [0; 10]).to_value());
        also(" AND created_at >= ?#", created_after.to_value());
    }
    match &filter.after[..] {
        [] => {}
        [name, id] => {
            values.extend([Value::Text(name.clone()), Value::Text(id.clone())]);
            conditions += &format!(" AND (name_key, id) > (?{}, ?{})", values.len() - 1, values.len());
        }
        [after, ..] => {
            values.push(Value::Text(after.clone()));
            conditions += &format!(" AND {order} > ?{}", values.len());
        }
    }
    // Of several lower bounds the planner takes any; the highest is to be the one.
    let is_higher = (narrowed && filter.parent_id.is_some()) || (!filter.after.is_empty() && order == "path");
    let from = if is_higher { "path || ''" } else { "path" };
    let status = match filter.status {
        None => "removed_at IS NULL",
        Some(OrganizationStatus::Active) => "removed_at IS NULL AND status = 'ACTIVE'",
        Some(OrganizationStatus::Disabled) => "removed_at IS NULL AND status = 'DISABLED'",
        Some(OrganizationStatus::Removed) => "removed_at IS NOT NULL",
    };
    db.query_all(
        &format!(
            "SELECT {COLUMNS}, {order} FROM organizations WHERE {from} >= ?1 AND path < ?2 AND {status}{conditions}
             ORDER BY {order} LIMIT ?3"
        ),
        values,
        |row| Placed::read(row, read, filter.sorted_by()),
    )
    .await
}

/// Creates an organization below `parent`, which the caller has found within its scope. What is said of it was checked.
pub async fn insert(
    tx: &Tx<'_>,
    parent: &OrganizationHead,
    id: Id<id::Organization>,
    new: &NewOrganization,
    now: Instant,
) -> Result<Organization> {
    check_main_provider(tx, parent, new).await?;
    let (sql, values) = insertion(Some(parent), &[(id, new)], now);
    tx.query_opt(&(sql + COLUMNS), values, read).await?.ok_or_else(taken)
}

/// Creates many organizations below `parent`, which the caller has found within its scope. What is said of them was checked.
pub async fn insert_all(
    tx: &Tx<'_>,
    parent: &OrganizationHead,
    new: &[(Id<id::Organization>, &NewOrganization)],
    now: Instant,
) -> Result<()> {
    for batch in batches(new) {
        let (sql, values) = insertion(Some(parent), batch, now);
        let written: Vec<Id<id::Organization>> = tx.query_all(&(sql + "id"), values, |row| row.take()).await?;
        if written.len() < batch.len() {
            return Err(taken());
        }
    }
    Ok(())
}

fn taken() -> Error {
    Error::fault("an organization id was taken")
}

/// An additional provider stands beside the provider that it belongs to, and there is a bound to how many do.
async fn check_main_provider(tx: &Tx<'_>, parent: &OrganizationHead, new: &NewOrganization) -> Result<()> {
    let Some(main_id) = new.main_provider_id else { return Ok(()) };
    let main: Option<Id<id::Organization>> = tx
        .query_opt(
            "SELECT id FROM organizations WHERE id = ?1 AND parent_id = ?2 AND provider_type = 'STANDARD' AND status = 'ACTIVE'",
            params![main_id, parent.id],
            |row| row.take(),
        )
        .await?;
    if main.is_none() {
        return Err(Error::invalid(
            "/mainProviderId",
            format!("is not an active STANDARD provider directly below {}, where the additional one is to stand", parent.id),
        ));
    }
    let count: Option<i64> = tx
        .query_opt(
            "SELECT COUNT(*) FROM organizations WHERE main_provider_id = ?1 AND removed_at IS NULL",
            params![main_id],
            |row| row.take(),
        )
        .await?;
    if count.unwrap_or_default() >= i64::from(ADDITIONAL_PROVIDERS) {
        return Err(Error::conflict(
            "too_many_additional_providers",
            format!("The provider has {ADDITIONAL_PROVIDERS} additional organizations, the most there can be. Remove one first."),
        ));
    }
    Ok(())
}

/// Creates the operator; `false` when there is one already.
pub async fn insert_operator(tx: &Tx<'_>, id: Id<id::Organization>, new: &NewOrganization, now: Instant) -> Result<bool> {
    let (sql, values) = insertion(None, &[(id, new)], now);
    let written: Option<Id<id::Organization>> = tx.query_opt(&(sql + "id"), values, |row| row.take()).await?;
    Ok(written.is_some())
}

/// The operator, if there is one. Only bootstrapping asks, before anybody is there who could have a scope.
pub async fn find_operator(tx: &Tx<'_>) -> Result<Option<Organization>> {
    tx.query_opt(&format!("SELECT {COLUMNS} FROM organizations WHERE kind = 'OPERATOR'"), vec![], read).await
}

/// The statement that writes organizations below one parent, up to what it is to say of those that it wrote, and its values.
/// What is below a disabled organization is disabled with it.
fn insertion(
    parent: Option<&OrganizationHead>,
    rows: &[(Id<id::Organization>, &NewOrganization)],
    now: Instant,
) -> (String, Vec<Value>) {
    let disabled_by = parent.and_then(|parent| parent.disabled_by);
    let status = if disabled_by.is_some() { OrganizationStatus::Disabled } else { OrganizationStatus::Active };
    let mut values = params![parent.map(|parent| parent.id), status, disabled_by, now];
    let mut tuples = String::new();
    for (id, new) in rows {
        let path = parent.map_or_else(|| OrganizationPath::root(*id), |parent| parent.path.child(*id));
        let first = values.len() + 1;
        values.extend(params![id, path, new.kind, new.currency, new.provider_type, new.main_provider_id]);
        values.extend(new.values());
        tuples.push_str(if tuples.is_empty() { "(?1, ?2, ?3, 1, ?4, ?4, " } else { ", (?1, ?2, ?3, 1, ?4, ?4, " });
        tuples.push_str(&crate::value::numbers(first, values.len() + 1 - first));
        tuples.push(')');
    }
    let sql = [
        "INSERT INTO organizations (parent_id, status, disabled_by, version, created_at, updated_at,
             id, path, kind, currency, provider_type, main_provider_id, ",
        &SAID.join(", "),
        ") VALUES ",
        &tuples,
        " ON CONFLICT DO NOTHING RETURNING ",
    ]
    .concat();
    (sql, values)
}

/// An organization within the scope that is still at `version`; anything else is stale.
pub async fn find_to_edit(tx: &Tx<'_>, scope: &Scope, id: Id<id::Organization>, version: Option<i64>) -> Result<Organization> {
    let current = find(tx, scope, id).await?;
    if version.is_some_and(|version| version != current.version) {
        return Err(crate::stale("organization"));
    }
    if current.status == OrganizationStatus::Removed {
        return Err(removed(current.id));
    }
    Ok(current)
}

/// Edits an organization as read in this transaction: all that is said of it from now on.
pub async fn update(tx: &Tx<'_>, current: &Organization, said: &NewOrganization, now: Instant) -> Result<Organization> {
    let mut values = params![current.id, now];
    values.extend(said.values());
    let set: Vec<_> = SAID.iter().enumerate().map(|(index, column)| format!("{column} = ?{}", index + 3)).collect();
    changed(tx, &format!("{}, updated_at = ?2, version = version + 1", set.join(", ")), values).await
}

async fn changed(tx: &Tx<'_>, set: &str, values: Vec<Value>) -> Result<Organization> {
    tx.query_opt(&format!("UPDATE organizations SET {set} WHERE id = ?1 RETURNING {COLUMNS}"), values, read)
        .await?
        .ok_or_else(|| Error::fault("an organization vanished inside a transaction"))
}

/// Disables an organization as read in this transaction, and with it all below it. Done again it changes nothing.
pub async fn disable(tx: &Tx<'_>, current: Organization, now: Instant) -> Result<Organization> {
    if current.disabled_by == Some(current.id) {
        return Ok(current);
    }
    if current.disabled_by.is_none() {
        bind(tx, &current.path, "", Some(current.id)).await?;
    }
    changed(tx, "disabled_at = COALESCE(disabled_at, ?2), updated_at = ?2, version = version + 1", params![current.id, now]).await
}

/// Enables an organization as read in this transaction, and all below it that nothing else binds. Done again it changes nothing.
pub async fn enable(tx: &Tx<'_>, current: Organization, now: Instant) -> Result<Organization> {
    let set = "disabled_at = NULL, updated_at = ?2, version = version + 1";
    if current.disabled_by != Some(current.id) {
        // What binds it from above still does; what it bound itself ends.
        return if current.disabled_by.is_some() { changed(tx, set, params![current.id, now]).await } else { Ok(current) };
    }
    changed(tx, set, params![current.id, now]).await?;
    bind(tx, &current.path, " AND disabled_by = ?3", None).await?;
    // Below it, others may be disabled by themselves: those without anything below at once, the few others each with its subtree.
    tx.exec(
        "UPDATE organizations SET status = 'DISABLED', disabled_by = id
         WHERE path >= ?1 AND path < ?2 AND disabled_at IS NOT NULL AND removed_at IS NULL",
        vec![current.path.as_str().to_value(), current.path.range_end().to_value()],
    )
    .await?;
    let mut after = current.path.clone();
    loop {
        let found: Option<(Id<id::Organization>, OrganizationPath)> = tx
            .query_opt(
                "SELECT id, path FROM organizations WHERE path >= ?1 AND path < ?2 AND status = 'DISABLED' AND kind <> 'CUSTOMER'
                 AND disabled_at IS NOT NULL AND removed_at IS NULL ORDER BY path LIMIT 1",
                vec![after.as_str().to_value(), current.path.range_end().to_value()],
                |row| Ok((row.take()?, row.take()?)),
            )
            .await?;
        let Some((id, path)) = found else { break };
        bind(tx, &path, "", Some(id)).await?;
        after = OrganizationPath::stored(path.range_end());
    }
    changed(tx, "version = version", params![current.id]).await
}

/// Writes into a subtree, or the part of it that a condition on `?3` = the id at its top chooses, which organization's being
/// disabled binds it. What is removed stays as it is.
async fn bind(tx: &Tx<'_>, path: &OrganizationPath, condition: &str, by: Option<Id<id::Organization>>) -> Result<()> {
    let status = if by.is_some() { "'DISABLED', disabled_by = ?3" } else { "'ACTIVE', disabled_by = NULL" };
    tx.exec(
        &format!("UPDATE organizations SET status = {status} WHERE path >= ?1 AND path < ?2 AND removed_at IS NULL{condition}"),
        vec![path.as_str().to_value(), path.range_end().to_value(), by.or(path.id()).to_value()],
    )
    .await
}

/// What keeps an organization from being removed: a statement that finds such a thing of `?1`, and what it is called. Issued
/// invoices do not: nothing keeps track of what was paid, so none of them is ever settled; use that is not on an invoice yet does.
/// There are no tickets yet (the component `support` is to bring them): open ones belong to this list then.
const IN_THE_WAY: [(&str, &str); 6] = [
    (
        "organizations below it that are not removed",
        "SELECT id FROM organizations WHERE parent_id = ?1 AND removed_at IS NULL ORDER BY id LIMIT ?2",
    ),
    (
        "subscriptions that are not ended",
        "SELECT id FROM subscriptions WHERE organization_id = ?1 AND status NOT IN ('FAILED', 'TERMINATED') ORDER BY id LIMIT ?2",
    ),
    ("tasks that have not ended", "SELECT id FROM tasks WHERE organization_id = ?1 AND ended_at IS NULL ORDER BY id LIMIT ?2"),
    (
        "usage that is on no invoice yet",
        "SELECT u.id FROM usage_rows u WHERE u.organization_id = ?1 AND NOT EXISTS (SELECT 1 FROM invoice_usage i WHERE i.usage_id = u.id) ORDER BY u.period, u.id LIMIT ?2",
    ),
    ("cloud endpoints", "SELECT id FROM cloud_endpoints WHERE organization_id = ?1 ORDER BY id LIMIT ?2"),
    (
        "contracts that are not over",
        "SELECT id FROM contracts WHERE (provider_id = ?1 OR issuer_id = ?1) AND status NOT IN ('REJECTED', 'EXPIRED', 'TERMINATED') ORDER BY id LIMIT ?2",
    ),
];

/// Refuses to remove an organization that something still depends on, naming what: of each kind the first few.
async fn check_removable(tx: &Tx<'_>, id: Id<id::Organization>) -> Result<()> {
    const NAMED: usize = 3;
    let mut found = Vec::new();
    for (what, sql) in IN_THE_WAY {
        let ids: Vec<String> = tx.query_all(sql, params![id, NAMED as i64 + 1], |row| row.take()).await?;
        if !ids.is_empty() {
            let more = if ids.len() > NAMED { " and more" } else { "" };
            found.push(format!("{what} ({}{more})", ids[..ids.len().min(NAMED)].join(", ")));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(
        "organization_in_use",
        format!("The organization {id} still has {}. End these first, or disable the organization.", found.join("; ")),
    ))
}

/// Removes an organization as read in this transaction, unless something still depends on it. Its record stays; whoever
/// could act in it alone cannot act any more.
pub async fn remove(tx: &Tx<'_>, current: &Organization, now: Instant) -> Result<()> {
    check_removable(tx, current.id).await?;
    credentials::revoke_all(tx, current.id, now).await?;
    identity_providers::delete_all(tx, current.id).await?;
    tx.exec("DELETE FROM bindings WHERE organization_id = ?1 OR bound_by = ?1", params![current.id]).await?;
    tx.exec("DELETE FROM member_service_roles WHERE organization_id = ?1", params![current.id]).await?;
    tx.exec(
        "UPDATE member_invitations SET status = 'REVOKED', closed_at = ?2 WHERE organization_id = ?1 AND status = 'PENDING'",
        params![current.id, now],
    )
    .await?;
    tx.exec("DELETE FROM access_tokens WHERE organization_id = ?1", params![current.id]).await?;
    tx.exec("DELETE FROM branding WHERE organization_id = ?1", params![current.id]).await?;
    cloud_endpoints::unassign_all(tx, current.id).await?;
    access_levels::forget_all(tx, current.id).await?;
    changed(
        tx,
        "status = 'DISABLED', disabled_by = id, removed_at = ?2, updated_at = ?2, version = version + 1",
        params![current.id, now],
    )
    .await
    .map(drop)
}
