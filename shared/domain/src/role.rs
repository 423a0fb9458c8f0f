//! Roles and what they may do: one table, one page.
//!
//! A binding gives a principal a role in an organization. Roles add up; what any of them permits is permitted. An
//! administrator's role reaches down the organization tree (a Provider Administrator of a provider is one in all its
//! customers); the other roles hold in their own organization and below it too, so that a billing user sees the
//! provider's customers, but permit less.

use crate::{OrganizationKind, text_enum};

text_enum! {
    /// One thing that a caller may be permitted to do. Every route names the one it needs.
    pub enum Permission {
        /// See organizations.
        OrganizationRead = "ORGANIZATION_READ",
        /// Create and edit organizations.
        OrganizationWrite = "ORGANIZATION_WRITE",
        /// See commit contracts.
        ContractRead = "CONTRACT_READ",
        /// Draw up commit contracts with providers below.
        ContractWrite = "CONTRACT_WRITE",
        /// Approve commit contracts.
        ContractApprove = "CONTRACT_APPROVE",
        /// See API tokens (never their secrets).
        ApiTokenRead = "API_TOKEN_READ",
        /// Issue and revoke API tokens.
        ApiTokenWrite = "API_TOKEN_WRITE",
        /// See the catalogue.
        ServiceRead = "SERVICE_READ",
        /// Edit the catalogue.
        ServiceWrite = "SERVICE_WRITE",
        /// See subscriptions, and the tasks of whatever can be seen.
        SubscriptionRead = "SUBSCRIPTION_READ",
        /// Provision services to customers.
        SubscriptionWrite = "SUBSCRIPTION_WRITE",
        /// Complete or fail the manual steps of tasks; cancel, restart and resume tasks.
        TaskWrite = "TASK_WRITE",
        /// See data center components.
        DataCenterRead = "DATA_CENTER_READ",
        /// Register, validate, update, discover and remove data center components.
        DataCenterWrite = "DATA_CENTER_WRITE",
        /// See environments and plans of their changes.
        EnvironmentRead = "ENVIRONMENT_READ",
        /// Deploy, import, change and delete environments.
        EnvironmentWrite = "ENVIRONMENT_WRITE",
        /// Approve plans of changes of environments.
        PlanApprove = "PLAN_APPROVE",
        /// See usage reports and usage.
        UsageRead = "USAGE_READ",
        /// Import usage reports.
        UsageWrite = "USAGE_WRITE",
        /// See invoices.
        InvoiceRead = "INVOICE_READ",
        /// Issue invoices.
        InvoiceWrite = "INVOICE_WRITE",
        /// See the hub's jobs.
        JobRead = "JOB_READ",
        /// Replay parked jobs.
        JobWrite = "JOB_WRITE",
    }
}

text_enum! {
    /// A role that a binding gives in an organization.
    pub enum Role {
        /// Runs the hub.
        OperatorAdministrator = "OPERATOR_ADMINISTRATOR",
        /// Runs a distributor and the providers below it.
        DistributorAdministrator = "DISTRIBUTOR_ADMINISTRATOR",
        /// Runs a reseller and what is below it.
        ResellerAdministrator = "RESELLER_ADMINISTRATOR",
        /// Runs a provider and its customers.
        ProviderAdministrator = "PROVIDER_ADMINISTRATOR",
        /// Sees and makes the provider's bills.
        ProviderBillingUser = "PROVIDER_BILLING_USER",
        /// Runs a customer organization.
        CustomerAdministrator = "CUSTOMER_ADMINISTRATOR",
        /// Uses what a customer organization has.
        CustomerUser = "CUSTOMER_USER",
    }
}

/// One row of the role table.
pub struct RoleRow {
    /// The role.
    pub role: Role,
    /// The kind of organization it can be bound in.
    pub kind: OrganizationKind,
    /// What it may do there and below.
    pub permissions: &'static [Permission],
}

use Permission::*;

/// What whoever runs a provider may do.
const PROVIDER_ADMINISTRATOR: &[Permission] = &[
    OrganizationRead,
    OrganizationWrite,
    ContractRead,
    ApiTokenRead,
    ApiTokenWrite,
    ServiceRead,
    SubscriptionRead,
    SubscriptionWrite,
    TaskWrite,
    DataCenterRead,
    DataCenterWrite,
    EnvironmentRead,
    EnvironmentWrite,
    PlanApprove,
    UsageRead,
    UsageWrite,
    InvoiceRead,
    InvoiceWrite,
];

/// The role table. A test walks every route with it.
pub const ROLES: &[RoleRow] = &[
    RoleRow { role: Role::OperatorAdministrator, kind: OrganizationKind::Operator, permissions: Permission::ALL },
    RoleRow {
        role: Role::DistributorAdministrator,
        kind: OrganizationKind::Distributor,
        permissions: &[
            OrganizationRead,
            OrganizationWrite,
            ContractRead,
            ContractWrite,
            ApiTokenRead,
            ApiTokenWrite,
            ServiceRead,
            SubscriptionRead,
            DataCenterRead,
            EnvironmentRead,
            UsageRead,
            InvoiceRead,
        ],
    },
    RoleRow {
        role: Role::ResellerAdministrator,
        kind: OrganizationKind::Reseller,
        permissions: &[
            OrganizationRead,
            OrganizationWrite,
            ContractRead,
            ApiTokenRead,
            ApiTokenWrite,
            ServiceRead,
            SubscriptionRead,
            DataCenterRead,
            EnvironmentRead,
            UsageRead,
            InvoiceRead,
        ],
    },
    RoleRow { role: Role::ProviderAdministrator, kind: OrganizationKind::Provider, permissions: PROVIDER_ADMINISTRATOR },
    RoleRow {
        role: Role::ProviderBillingUser,
        kind: OrganizationKind::Provider,
        permissions: &[OrganizationRead, ServiceRead, SubscriptionRead, UsageRead, UsageWrite, InvoiceRead, InvoiceWrite],
    },
    RoleRow {
        role: Role::CustomerAdministrator,
        kind: OrganizationKind::Customer,
        permissions: &[OrganizationRead, ApiTokenRead, ApiTokenWrite, ServiceRead, SubscriptionRead, UsageRead, InvoiceRead],
    },
    RoleRow {
        role: Role::CustomerUser,
        kind: OrganizationKind::Customer,
        permissions: &[OrganizationRead, ServiceRead, SubscriptionRead],
    },
];

impl Role {
    /// The role's row in the table.
    pub fn row(self) -> &'static RoleRow {
        // Every role has a row: a test counts them.
        ROLES.iter().find(|row| row.role == self).unwrap_or(&ROLES[ROLES.len() - 1])
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Permissions(u64);

impl Permissions {
    /// What these roles permit together.
    pub fn of(roles: impl IntoIterator<Item = Role>) -> Self {
        let bits = roles.into_iter().flat_map(|role| role.row().permissions).fold(0, |bits, &one| bits | 1 << one as u64);
        Self(bits)
    }

    /// Whether it permits this.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & 1 << permission as u64 != 0
    }

    /// Whether it permits all that the other does. Nobody grants a role above their own: this is how that is decided.
    pub fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_one_row() {
        for &role in Role::ALL {
            assert_eq!(ROLES.iter().filter(|row| row.role == role).count(), 1, "{role}");
        }
        assert!(Permission::ALL.len() <= 64);
    }

    #[test]
    fn roles_add_up() {
        let both = Permissions::of([Role::CustomerUser, Role::ProviderBillingUser]);
        assert!(both.covers(Permissions::of([Role::CustomerUser])) && both.covers(Permissions::of([Role::ProviderBillingUser])));
        assert!(both.has(InvoiceWrite) && !both.has(SubscriptionWrite));
    }

    #[test]
    fn only_the_operator_edits_the_catalogue_or_approves_contracts() {
        for row in ROLES.iter().filter(|row| row.role != Role::OperatorAdministrator) {
            let permissions = Permissions::of([row.role]);
            for permission in [ServiceWrite, ContractApprove, JobRead, JobWrite] {
                assert!(!permissions.has(permission), "{} {permission}", row.role);
            }
        }
    }
}
