//! `/v1/organizations/import` and `/v1/organizations/export`: customers in bulk.

use crate::organizations::parent;
use domain::{Error, FieldError, Id, JsonSchema, OrganizationKind, Result, id, organization::check_kind, table};
use serde::{Deserialize, Serialize};
use store::organizations::{self, Filter, NewOrganization, Organization};
use web::{Bytes, CSV, Caller, File, Hub, Multi, NDJSON, Page, Query, Rows, Sent, limits, permit, read_json};

/// The columns of a file. The first is in what is exported only: an import gives new ids, and takes no notice of these.
const COLUMNS: [&str; 17] = [
    "id", "displayName", "companyName", "description", "country", "state", "city", "zip", "addressLine1", "addressLine2", "domain",
    "tag", "currency", "alternateContact.name", "alternateContact.email", "tenantType", "kind",
];

/// Where rows go, and whether some may without the others.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportQuery {
    /// The provider whose customers they are to be; the acting organization when left out.
    parent_id: Option<Id<id::Organization>>,
    /// All or nothing: when a row is against the rules, none is imported.
    atomic: Option<bool>,
}

/// What came of each row.
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

/// What came of a row.
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
    hub.write(&caller, async |tx| {
        let parent = parent(tx, &caller, query.parent_id).await?;
        check_kind(OrganizationKind::Customer, parent.kind)
            .map_err(|_| Error::invalid("/parentId", format!("is of the kind {}; customers stand below a PROVIDER", parent.kind)))?;
        let numbered = || rows.iter().zip(0u32..);
        let new: Vec<_> = numbered().filter_map(|(row, number)| Some((first.nth(number), row.as_ref().ok()?))).collect();
        organizations::insert_all(tx, &parent, &new, hub.now()).await?;
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
        errors.extend(error.fields.iter().map(|field| FieldError {
            pointer: format!("/{row}{}", field.pointer),
            detail: field.detail.clone(),
        }));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid_fields(errors)) }
}

fn json_rows(bytes: &[u8]) -> Result<Vec<Row>> {
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    if lines.len() > limits::ROWS as usize {
        return Err(table::too_many(limits::ROWS as usize));
    }
    Ok(lines.into_iter().map(|line| customer(&read_json(line)?)).collect())
}

fn csv_rows(bytes: &[u8]) -> Result<Vec<Row>> {
    let rows = table::read(bytes, &COLUMNS, limits::ROWS as usize)?;
    let object = |cells: Vec<(&str, String)>| {
        let mut row = Object::new();
        for (column, text) in cells {
            match column.split_once('.') {
                Some((outer, inner)) => {
                    let outer = row.entry(outer).or_insert_with(|| Object::new().into());
                    outer.as_object_mut().and_then(|outer| outer.insert(inner.into(), text.into()))
                }
                None => row.insert(column.into(), text.into()),
            };
        }
        row
    };
    Ok(rows.into_iter().map(|cells| customer(&object(cells))).collect())
}

type Object = serde_json::Map<String, serde_json::Value>;

/// The customer of a row. A row need not say that it is one, nor below whom; and ids are given anew.
fn customer(row: &Object) -> Row {
    let mut row = row.clone();
    row.remove("id");
    row.entry("kind").or_insert_with(|| OrganizationKind::Customer.as_str().into());
    let bytes = serde_json::to_vec(&row).map_err(|error| Error::unavailable(error.to_string()))?;
    let new: NewOrganization = read_json(&bytes)?;
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
    cursor: Option<Id<id::Organization>>,
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
    let page = Page::of_rows(query.limit)?;
    let filter = Filter {
        kind: Some(OrganizationKind::Customer),
        parent_id: query.parent_id,
        after: query.cursor,
        ..Filter::default()
    };
    let mut found = organizations::list(hub.db().await?, &caller.scope(), &filter, page.rows()).await?;
    let mut link = None;
    if found.len() > page.limit as usize {
        found.truncate(page.limit as usize);
        link = found.last().map(|last| page.link(hub.target(), &last.id.to_string()));
    }
    let csv = query.format != Some(Format::Ndjson);
    let mut text = String::new();
    if csv {
        table::write_row(&mut text, COLUMNS);
    }
    for organization in &found {
        let row = row(organization)?;
        if csv {
            table::write_row(&mut text, COLUMNS.map(|column| cell(&row, column)));
        } else {
            text += &serde_json::to_string(&row).map_err(|error| Error::unavailable(error.to_string()))?;
            text.push('\n');
        }
    }
    let (media_type, name) = if csv { (CSV, "customers.csv") } else { (NDJSON, "customers.ndjson") };
    Ok(File { media_type, name, text, link })
}

/// Of what an organization shows, what the columns name and is there.
fn row(organization: &Organization) -> Result<Object> {
    let shown = serde_json::to_value(organization).map_err(|error| Error::unavailable(error.to_string()))?;
    let serde_json::Value::Object(mut shown) = shown else { return Ok(Object::new()) };
    let first = |name: &str| COLUMNS.iter().any(|column| column.split('.').next() == Some(name));
    shown.retain(|name, value| first(name) && !value.is_null());
    Ok(shown)
}

fn cell<'a>(row: &'a Object, column: &str) -> &'a str {
    let value = match column.split_once('.') {
        Some((outer, inner)) => row.get(outer).and_then(|outer| outer.get(inner)),
        None => row.get(column),
    };
    value.and_then(|value| value.as_str()).unwrap_or_default()
}
