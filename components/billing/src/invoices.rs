//! `/v1/invoices`

use domain::{
    Error, Id, JsonSchema, OrganizationKind, Period, Result, id,
    invoice::{LineNumber, check_over},
};
use serde::Deserialize;
use store::{
    invoices::{self, Invoice, InvoiceHead, NewInvoice},
    organizations,
    usage::{self, Usage},
};
use web::{Body, Caller, Created, Cursor, Hub, Listing, Page, PageQuery, Path, Paths, Query, Sent, Shown, permit};

pub async fn create(
    hub: Hub,
    caller: Caller<permit::InvoiceWrite>,
    Body(new): Body<NewInvoice>,
) -> Result<Sent<Created<Invoice>>> {
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let customer = organizations::head(tx, &caller.scope(), new.organization_id).await?;
        if customer.kind != OrganizationKind::Customer {
            return Err(Error::invalid(
                "/organizationId",
                format!("is of the kind {}; an invoice goes to a CUSTOMER", customer.kind),
            ));
        }
        check_over(new.period, hub.now())?;
        let draft = usage::not_invoiced(tx, &caller.scope(), customer.id, new.period).await?;
        if draft.is_empty() {
            return Err(Error::conflict(
                "nothing_to_invoice",
                format!(
                    "All usage of {} up to {} is on invoices already. Import its usage report first, if there is one.",
                    customer.id, new.period
                ),
            ));
        }
        let invoice = invoices::issue(tx, &caller.scope(), id, &customer, new.period, draft, hub.now()).await?;
        hub.concerns(customer.id);
        hub.audit("period", &new.period.to_string());
        Ok(Created::at(format!("/v1/invoices/{id}"), invoice))
    })
    .await
}

/// Which invoices to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListQuery {
    /// Only those to this customer.
    organization_id: Option<Id<id::Organization>>,
    /// Only those for this month.
    period: Option<Period>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list(hub: Hub, caller: Caller<permit::InvoiceRead>, Query(query): Query<ListQuery>) -> Result<Listing<InvoiceHead>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found =
        invoices::list(hub.db().await?, &caller.scope(), query.organization_id, query.period, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |invoice| invoice.id.to_string()).await
}

pub async fn show(hub: Hub, caller: Caller<permit::InvoiceRead>, Path(id): Path<Id<id::Invoice>>) -> Result<Shown<Invoice>> {
    invoices::find(hub.db().await?, &caller.scope(), id).await.map(Shown)
}

pub async fn usage(
    hub: Hub,
    caller: Caller<permit::InvoiceRead>,
    Paths(id, line): Paths<Id<id::Invoice>, LineNumber>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<Usage>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let db = hub.db().await?;
    invoices::check_line(db, &caller.scope(), id, line).await?;
    let found = usage::of_line(db, &caller.scope(), id, line, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |usage| usage.id.to_string()).await
}
