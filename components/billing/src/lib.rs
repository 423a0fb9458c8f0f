//! Usage reports in, voids of what was wrong in them, invoices out.

mod invoices;
mod usage_reports;
mod usage_voids;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("billing")
        .post("/v1/usage-reports", "usage_reports.create", usage_reports::create, "Import a usage report")
        .get("/v1/usage-reports", "usage_reports.list", usage_reports::list, "List usage reports")
        .get("/v1/usage-reports/{usageReportId}", "usage_reports.show", usage_reports::show, "Show a usage report")
        .get("/v1/usage-reports/{usageReportId}/rows", "usage_reports.rows", usage_reports::rows, "List the usage of a report")
        .post("/v1/usage-voids", "usage_voids.create", usage_voids::create, "Void usage that is on no invoice yet")
        .get("/v1/usage-voids", "usage_voids.list", usage_voids::list, "List usage voids")
        .get("/v1/usage-voids/{usageVoidId}", "usage_voids.show", usage_voids::show, "Show a usage void")
        .post("/v1/invoices", "invoices.create", invoices::create, "Issue an invoice for a customer's open usage")
        .get("/v1/invoices", "invoices.list", invoices::list, "List invoices")
        .get("/v1/invoices/{invoiceId}", "invoices.show", invoices::show, "Show an invoice with its lines")
        .get(
            "/v1/invoices/{invoiceId}/lines/{line}/usage",
            "invoices.usage",
            invoices::usage,
            "List the usage behind a line of an invoice",
        )
}

web::serve!(routes);
