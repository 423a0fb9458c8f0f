//! Cloud endpoints: infrastructure that a provider runs and lets customers at.

use crate::{Error, OrganizationKind, Result, text_enum};

text_enum! {
    /// What a cloud endpoint is.
    pub enum CloudEndpointKind {
        /// VMware Cloud Director.
        Vcd = "VCD",
        /// vCenter Server.
        Vcenter = "VCENTER",
        /// NSX-T Data Center.
        Nsxt = "NSXT",
        /// NSX Advanced Load Balancer.
        Nsxalb = "NSXALB",
        /// VMware Cloud Director Availability.
        Vcda = "VCDA",
        /// vRealize Operations.
        Vrops = "VROPS",
        /// vRealize Log Insight.
        Vrli = "VRLI",
        /// vRealize Automation.
        Vra = "VRA",
        /// Tanzu Mission Control.
        Tmc = "TMC",
        /// Something else; its description says what.
        Other = "OTHER",
    }
}

/// Refuses an owner that runs no infrastructure of its own.
pub fn check_owner(kind: OrganizationKind) -> Result<()> {
    if kind == OrganizationKind::Provider {
        return Ok(());
    }
    Err(Error::invalid(
        "/organizationId",
        format!("is of the kind {kind}; cloud endpoints belong to the PROVIDER that runs them, so name that"),
    ))
}

/// Refuses to let anybody but a customer at it.
pub fn check_customer(kind: OrganizationKind) -> Result<()> {
    if kind == OrganizationKind::Customer {
        return Ok(());
    }
    Err(Error::invalid("/organizationId", format!("is of the kind {kind}; cloud endpoints are assigned to a CUSTOMER")))
}
