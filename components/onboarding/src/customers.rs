//! `/v1/organizations/import` and `/v1/organizations/export`: customers in bulk.

use crate::first_administrators;
use domain::{Error, FieldError, Id, JsonSchema, OrganizationKind, Result, id, organization::check_kind, table};
use serde::{Deserialize, Serialize};
use store::{
    Placed,
    organizations::{self, Filter, NewOrganization},
};
use web::{
    Bytes, CSV, Caller, Cursor, File, Hub, Mailbox, Multi, NDJSON, Page, Query, Rows, Sent, json, limits, permit, read_json,
};

/// The columns of a file. The first is in what is exported only: an import gives new ids, and takes no notice of these.
const COLUMNS: [&str; 17] = [
    "id",
    "displayName",
    "companyName",
    "description",
    "country",
    "state",
    "city",
    "zip",
    "addressLine1",
    "addressLine2",
    "domain",
    "tag",
    "currency",
    "alternateContact.name",
    "alternateContact.email",
    "tenantType",
    "kind",
];

/// The columns of what is said of a row only when it comes in.
const IMPORTED_ONLY: [&str; 2] = ["adminUserEmail", "adminUserName"];

/// What the columns of the object in a row begin with.
const CONTACT: &str = "alternateContact.";

/// Where rows go, and whether some may without the others.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportQuery {
    /// The provider whose customers they are to be; the acting organization when left out.
    parent_id: Option<Id<id::Organization>>,
    /// All or nothing: when a row is against the rules, none is imported.
    atomic: Option<bool>,
}

/// The outcome of an import, row by row.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// How many were imported.
    succeeded: u32,
    /// How many were not.
    failed: u32,
    /// One result a row, in the order of the rows.
    items: Vec<RowResult>,
}

/// The outcome of a row.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowResult {
    /// The row, from 1; the row with the names of the columns is not counted.
    row: u32,
    /// 201 when it was imported, 422 when it is against the rules.
    status: u16,
    /// The organization it has become.
    id: Option<Id<id::Organization>>,
    /// Why it was not imported.
    problem: Option<RowProblem>,
}

/// Why a row was not imported.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowProblem {
    /// Stable and machine-readable.
    code: &'static str,
    /// What was wrong, and what to do.
    detail: String,
    /// Which fields of the row are at fault.
    errors: Vec<RowField>,
}

/// A field of a row that is at fault.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RowField {
    /// A JSON Pointer (RFC 6901) to it.
    pointer: String,
    /// What is wrong with it and what would be right.
    detail: String,
}

pub async fn import(
    hub: Hub,
    caller: Caller<permit::OrganizationWrite>,
    Query(query): Query<ImportQuery>,
    Bytes { bytes, media_type, .. }: Bytes<Rows>,
) -> Result<Sent<Multi<Imported>>> {
    let rows = if media_type == CSV { csv_rows(&bytes)? } else { json_rows(&bytes)? };
    if query.atomic == Some(true) {
        check_all(&rows)?;
    }
    let first = hub.id::<id::Organization>();
    let mailbox = Mailbox::open().await?;
    hub.write(&caller, async |tx| {
        let parent = organizations::find_in_use(tx, &caller.scope(), query.parent_id.unwrap_or(caller.acting().id)).await?;
        check_kind(OrganizationKind::Customer, parent.kind).map_err(|_| {
            Error::invalid("/parentId", format!("is of the kind {}; customers stand below a PROVIDER", parent.kind))
        })?;
        let numbered = || rows.iter().zip(0u32..);
        let new: Vec<_> = numbered().filter_map(|(row, number)| Some((first.nth(number), row.as_ref().ok()?))).collect();
        organizations::insert_all(tx, &parent, &new, hub.now()).await?;
        first_administrators::invite_named((&hub, &mailbox), tx, &caller, &parent.path, &new).await?;
        hub.concerns(parent.id);
        for (id, row) in &new {
            let mut details = domain::audit::AuditDetails::default();
            if let Some(email) = &row.admin_user_email {
                details.add("adminUserEmail", None, Some(email.as_str()));
            }
            hub.audit_item(id.to_string(), details);
        }
        let items: Vec<_> = numbered().map(|(row, number)| result(number, first.nth(number), row)).collect();
        Ok(Multi(Imported { succeeded: new.len() as u32, failed: (items.len() - new.len()) as u32, items }))
    })
    .await
}

type Row = Result<NewOrganization>;

fn result(number: u32, id: Id<id::Organization>, row: &Row) -> RowResult {
    let problem = row.as_ref().err().map(|error| RowProblem {
        code: error.code,
        detail: error.public.clone(),
        errors: error
            .fields
            .iter()
            .map(|field| RowField { pointer: field.pointer.clone(), detail: field.detail.clone() })
            .collect(),
    });
    RowResult { row: number + 1, status: if problem.is_some() { 422 } else { 201 }, id: problem.is_none().then_some(id), problem }
}

/// Refuses all rows when one of them is against the rules, with every fault of every row.
fn check_all(rows: &[Row]) -> Result<()> {
    let mut errors = Vec::new();
    for (row, error) in rows.iter().zip(1..).filter_map(|(row, number): (_, u32)| Some((number, row.as_ref().err()?))) {
        if error.fields.is_empty() {
            errors.push(FieldError { pointer: format!("/{row}"), detail: error.public.clone() });
        }
        errors.extend(
            error
                .fields
                .iter()
                .map(|field| FieldError { pointer: format!("/{row}{}", field.pointer), detail: field.detail.clone() }),
        );
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid_fields(errors)) }
}

fn json_rows(bytes: &[u8]) -> Result<Vec<Row>> {
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    if lines.len() > limits::ROWS as usize {
        return Err(table::too_many(limits::ROWS as usize));
    }
    Ok(lines.into_iter().map(|line| customer(&json::fields(line)?)).collect())
}

fn csv_rows(bytes: &[u8]) -> Result<Vec<Row>> {
    let known: Vec<&str> = COLUMNS.into_iter().chain(IMPORTED_ONLY).collect();
    let rows = table::read(bytes, &known, limits::ROWS as usize)?;
    Ok(rows.into_iter().map(|cells| customer_of_cells(&cells)).collect())
}

/// A row of cells, of which those with a dot in their column's name are in an object of their own.
fn customer_of_cells(cells: &[(&str, String)]) -> Row {
    let cells: Vec<(&str, String)> = cells.iter().map(|(column, text)| (*column, json::string(text))).collect();
    let inner = cells.iter().filter_map(|(column, text)| Some((column.strip_prefix(CONTACT)?, text.as_str())));
    let contact = json::object(inner);
    let mut fields: json::Fields<'_> = cells
        .iter()
        .filter(|(column, _)| !column.contains('.'))
        .map(|(column, text)| ((*column).to_owned(), text.as_str()))
        .collect();
    if contact != "{}" {
        fields.push((CONTACT.trim_end_matches('.').to_owned(), &contact));
    }
    customer(&fields)
}

/// The customer of a row. The kind may be left out, the parent must be, and the id is given anew.
fn customer(fields: &json::Fields<'_>) -> Row {
    let said = fields.iter().map(|(name, value)| (name.as_str(), *value)).filter(|(name, _)| *name != "id");
    let kind = ("kind", "\"CUSTOMER\"");
    let kind = (!fields.iter().any(|(name, _)| name == kind.0)).then_some(kind);
    let new: NewOrganization = read_json(json::object(said.chain(kind)).as_bytes())?;
    if new.kind != OrganizationKind::Customer {
        return Err(Error::invalid("/kind", "must be CUSTOMER: only customers are imported in bulk; leave it out"));
    }
    if new.parent_id.is_some() {
        return Err(Error::invalid("/parentId", "is said for all rows, in the query; leave it out"));
    }
    new.checked()
}

/// Which customers to export, and as what.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExportQuery {
    /// As what; CSV when left out.
    format: Option<Format>,
    /// Only those directly below this one.
    parent_id: Option<Id<id::Organization>>,
    /// How many rows a page holds: 1 to 1000, 1000 when left out.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// Where the page begins: see the `Link` of the page before.
    cursor: Option<Cursor>,
}

/// What rows are exported as.
#[derive(Clone, Copy, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Format {
    /// CSV (RFC 4180), with the names of the columns in the first row of each page.
    Csv,
    /// A JSON object a line.
    Ndjson,
}

pub async fn export(hub: Hub, caller: Caller<permit::OrganizationRead>, Query(query): Query<ExportQuery>) -> Result<File> {
    let page = Page::of_rows(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let mut filter = Filter { kind: Some(OrganizationKind::Customer), parent_id: query.parent_id, ..Filter::default() };
    filter.after = page.place(filter.sorted_by())?.to_vec();
    let mut found = organizations::list(hub.db().await?, &caller.scope(), &filter, page.rows()).await?;
    let mut link = None;
    if found.len() > page.limit as usize {
        found.truncate(page.limit as usize);
        if let Some(last) = found.last() {
            link = Some(page.link(&page.cursor(&last.place).await?));
        }
    }
    let csv = query.format != Some(Format::Ndjson);
    let mut text = String::new();
    if csv {
        table::write_row(&mut text, COLUMNS);
    }
    for Placed { item: organization, .. } in &found {
        let shown = json::write(organization)?;
        let shown = json::fields(shown.as_bytes())?;
        if csv {
            let cells = cells(&shown)?;
            table::write_row(&mut text, cells.iter().map(String::as_str));
        } else {
            // What the columns name and is there.
            let named = |name: &str| COLUMNS.iter().any(|column| column.split('.').next() == Some(name));
            let there = shown.iter().filter(|(name, value)| named(name) && *value != "null");
            text += &json::object(there.map(|(name, value)| (name.as_str(), *value)));
            text.push('\n');
        }
    }
    let (media_type, name) = if csv { (CSV, "customers.csv") } else { (NDJSON, "customers.ndjson") };
    Ok(File { media_type, name, text, link })
}

/// What an organization shows in each of the columns.
fn cells(shown: &json::Fields<'_>) -> Result<[String; COLUMNS.len()]> {
    let value = |fields: &json::Fields<'_>, name: &str| {
        fields.iter().find(|(known, _)| known == name).and_then(|(_, value)| json::text(value)).unwrap_or_default()
    };
    let contact = shown.iter().find(|(name, value)| CONTACT.starts_with(name.as_str()) && *value != "null");
    let contact = match contact {
        Some((_, contact)) => json::fields(contact.as_bytes())?,
        None => Vec::new(),
    };
    Ok(COLUMNS.map(|column| match column.strip_prefix(CONTACT) {
        Some(inner) => value(&contact, inner),
        None => value(shown, column),
    }))
}
