//! How the hub presents itself in an organization.

mod branding;

use web::Routes;

/// The route table.
pub fn routes() -> Routes {
    Routes::new("branding")
        .get("/v1/organizations/{organizationId}/branding", "branding.show", branding::show, "Read an organization's branding")
        .put("/v1/organizations/{organizationId}/branding", "branding.put", branding::put, "Write an organization's branding")
}

web::serve!(routes);
