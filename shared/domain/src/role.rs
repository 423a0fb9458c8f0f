//! Roles and what they may do: one table, one page.
//!
//! A binding gives a principal a role in an organization. Roles add up; what any of them permits is permitted. How far
//! one reaches is in its row: most reach down the organization tree (a Provider Administrator of a provider is one in all
//! its customers), some hold in their own organization alone, and an account administrator's holds in the customers bound
//! to it and nowhere else.
//!
//! Nobody grants above their own level: whoever grants a role must be permitted all that it permits, wherever it would
//! reach. The one exception is the first administrator of an organization, whom the rows name under `may_grant`.

use crate::{Error, Kind, OrganizationKind, OrganizationPath, Result, text_enum};

text_enum! {
    /// One thing that a caller may be permitted to do. Every route names the one it needs.
    pub enum Permission {
        /// See organizations.
        OrganizationRead = "ORGANIZATION_READ",
        /// Create and edit organizations.
        OrganizationWrite = "ORGANIZATION_WRITE",
        /// See who is a member of an organization, and who was invited.
        MemberRead = "MEMBER_READ",
        /// Add, invite and remove members, and change their roles.
        MemberWrite = "MEMBER_WRITE",
        /// Give members roles in services, and take them.
        ServiceRoleWrite = "SERVICE_ROLE_WRITE",
        /// See commit contracts.
        ContractRead = "CONTRACT_READ",
        /// Draw up commit contracts with providers below.
        ContractWrite = "CONTRACT_WRITE",
        /// Approve commit contracts.
        ContractApprove = "CONTRACT_APPROVE",
        /// See API tokens and apps (never their secrets).
        ApiTokenRead = "API_TOKEN_READ",
        /// Issue and revoke API tokens and apps.
        ApiTokenWrite = "API_TOKEN_WRITE",
        /// See identity providers (never their client secrets).
        IdentityProviderRead = "IDENTITY_PROVIDER_READ",
        /// Say which identity providers are trusted, and for whom.
        IdentityProviderWrite = "IDENTITY_PROVIDER_WRITE",
        /// See the catalog.
        ServiceRead = "SERVICE_READ",
        /// Edit the catalog.
        ServiceWrite = "SERVICE_WRITE",
        /// See subscriptions, and the tasks of whatever can be seen.
        SubscriptionRead = "SUBSCRIPTION_READ",
        /// Provision services to customers.
        SubscriptionWrite = "SUBSCRIPTION_WRITE",
        /// In a customer, approve what is asked for it, and say what needs that.
        SubscriptionApprove = "SUBSCRIPTION_APPROVE",
        /// See the credentials of service bindings.
        CredentialRead = "CREDENTIAL_READ",
        /// Complete or fail the manual steps of tasks; cancel, restart and resume tasks: those whose subjects may be changed.
        TaskWrite = "TASK_WRITE",
        /// See data center components.
        DataCenterRead = "DATA_CENTER_READ",
        /// Register, validate, update, discover and remove data center components.
        DataCenterWrite = "DATA_CENTER_WRITE",
        /// See cloud endpoints and whom they are assigned to; in a customer, those that are assigned to it.
        CloudEndpointRead = "CLOUD_ENDPOINT_READ",
        /// Register, edit and remove cloud endpoints, and say which customers are let at them.
        CloudEndpointWrite = "CLOUD_ENDPOINT_WRITE",
        /// Enter cloud endpoints.
        CloudEndpointAccess = "CLOUD_ENDPOINT_ACCESS",
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
        /// Read the hub's mailbox: what it has to say to people, with the secrets that are for them alone.
        MailRead = "MAIL_READ",
        /// See the audit.
        AuditRead = "AUDIT_READ",
        /// See who acts, or asks to act, for a customer, and the customer's policy on it.
        ActingSessionRead = "ACTING_SESSION_READ",
        /// Start and end acting for a customer; in the customer, approve, refuse and end it, and set the policy on it.
        ActingSessionWrite = "ACTING_SESSION_WRITE",
    }
}

text_enum! {
    /// A role that a binding gives in an organization.
    pub enum Role {
        /// Runs the hub.
        OperatorAdministrator = "OPERATOR_ADMINISTRATOR",
        /// Sees what every organization has and changes nothing.
        OperatorUser = "OPERATOR_USER",
        /// Runs a distributor and the providers below it.
        DistributorAdministrator = "DISTRIBUTOR_ADMINISTRATOR",
        /// Sees what a distributor has sold and to whom.
        DistributorUser = "DISTRIBUTOR_USER",
        /// Sees what a distributor will be billed for.
        DistributorProformaUser = "DISTRIBUTOR_PROFORMA_USER",
        /// Runs a reseller and what is below it.
        ResellerAdministrator = "RESELLER_ADMINISTRATOR",
        /// Sees what a reseller has sold and to whom.
        ResellerUser = "RESELLER_USER",
        /// Runs a reseller that is billed without a distributor in between.
        DirectResellerAdministrator = "DIRECT_RESELLER_ADMINISTRATOR",
        /// Orders for a reseller that is billed without a distributor in between.
        DirectResellerUser = "DIRECT_RESELLER_USER",
        /// Runs a provider and its customers.
        ProviderAdministrator = "PROVIDER_ADMINISTRATOR",
        /// Runs a provider's customers, their people and what is provisioned to them; not its bills.
        ProviderOperationsAdministrator = "PROVIDER_OPERATIONS_ADMINISTRATOR",
        /// Sees a provider's customers and what is provisioned to them.
        ProviderOperationsUser = "PROVIDER_OPERATIONS_USER",
        /// Looks after those customers of a provider that are bound to the role.
        ProviderAccountAdministrator = "PROVIDER_ACCOUNT_ADMINISTRATOR",
        /// Sees and makes the provider's bills.
        ProviderBillingUser = "PROVIDER_BILLING_USER",
        /// Answers for a provider to its customers.
        ProviderSupportUser = "PROVIDER_SUPPORT_USER",
        /// Says who may do what in the services of the provider's own organization.
        ProviderServiceManager = "PROVIDER_SERVICE_MANAGER",
        /// Builds on the API for the provider's own organization.
        ProviderDeveloper = "PROVIDER_DEVELOPER",
        /// Runs a customer organization.
        CustomerAdministrator = "CUSTOMER_ADMINISTRATOR",
        /// Asks for what a customer organization is to have, changes it and uses it. Its provider grants the role, for it is the
        /// provider's contracts that are drawn on.
        CustomerOperationsAdministrator = "CUSTOMER_OPERATIONS_ADMINISTRATOR",
        /// Uses what a customer organization has.
        CustomerUser = "CUSTOMER_USER",
        /// Sees what a customer organization used and was billed.
        CustomerBillingUser = "CUSTOMER_BILLING_USER",
    }
}

text_enum! {
    /// Where a role holds.
    pub enum Reach {
        /// In its organization and in all below.
        Tree = "TREE",
        /// In its organization alone.
        Own = "OWN",
        /// In those organizations below that are bound to it, each by itself.
        Bound = "BOUND",
    }
}

/// One row of the role table.
pub struct RoleRow {
    /// The role.
    pub role: Role,
    /// The kind of organization it can be bound in.
    pub kind: OrganizationKind,
    /// Where it holds.
    pub reach: Reach,
    /// What it may do there.
    pub permissions: &'static [Permission],
    /// Whom it may make the first administrator of an organization, though they permit more than it does.
    pub may_grant: &'static [Role],
}

use OrganizationKind::{Customer, Distributor, Operator, Provider, Reseller};
use Permission::*;

/// What whoever only looks may see of everything.
const EVERYTHING_SEEN: &[Permission] = &[
    OrganizationRead,
    MemberRead,
    ContractRead,
    ApiTokenRead,
    IdentityProviderRead,
    ServiceRead,
    SubscriptionRead,
    DataCenterRead,
    EnvironmentRead,
    CloudEndpointRead,
    UsageRead,
    InvoiceRead,
    AuditRead,
    ActingSessionRead,
];

/// What whoever runs a distributor may do. To enter cloud endpoints is among it, because whoever makes somebody a user of a customer must
/// be permitted all that those are.
const DISTRIBUTOR_ADMINISTRATOR: &[Permission] = &[
    OrganizationRead,
    OrganizationWrite,
    MemberRead,
    MemberWrite,
    ContractRead,
    ContractWrite,
    ApiTokenRead,
    ApiTokenWrite,
    ServiceRead,
    SubscriptionRead,
    DataCenterRead,
    EnvironmentRead,
    CloudEndpointRead,
    CloudEndpointAccess,
    UsageRead,
    InvoiceRead,
    AuditRead,
    ActingSessionRead,
];

/// What whoever runs a reseller may do.
const RESELLER_ADMINISTRATOR: &[Permission] = &[
    OrganizationRead,
    OrganizationWrite,
    MemberRead,
    MemberWrite,
    ContractRead,
    ApiTokenRead,
    ApiTokenWrite,
    ServiceRead,
    SubscriptionRead,
    DataCenterRead,
    EnvironmentRead,
    CloudEndpointRead,
    CloudEndpointAccess,
    UsageRead,
    InvoiceRead,
    AuditRead,
    ActingSessionRead,
];

/// The same, and ordering.
const DIRECT_RESELLER_ADMINISTRATOR: &[Permission] = &[
    OrganizationRead,
    OrganizationWrite,
    MemberRead,
    MemberWrite,
    ContractRead,
    ApiTokenRead,
    ApiTokenWrite,
    ServiceRead,
    SubscriptionRead,
    SubscriptionWrite,
    DataCenterRead,
    EnvironmentRead,
    CloudEndpointRead,
    CloudEndpointAccess,
    UsageRead,
    InvoiceRead,
    AuditRead,
    ActingSessionRead,
];

/// What whoever runs a provider may do.
const PROVIDER_ADMINISTRATOR: &[Permission] = &[
    OrganizationRead,
    OrganizationWrite,
    MemberRead,
    MemberWrite,
    ServiceRoleWrite,
    ContractRead,
    ApiTokenRead,
    ApiTokenWrite,
    IdentityProviderRead,
    ServiceRead,
    SubscriptionRead,
    SubscriptionWrite,
    SubscriptionApprove,
    CredentialRead,
    TaskWrite,
    DataCenterRead,
    DataCenterWrite,
    EnvironmentRead,
    EnvironmentWrite,
    PlanApprove,
    CloudEndpointRead,
    CloudEndpointWrite,
    CloudEndpointAccess,
    UsageRead,
    UsageWrite,
    InvoiceRead,
    InvoiceWrite,
    AuditRead,
    ActingSessionRead,
    ActingSessionWrite,
];

/// The most that a principal may do in a customer that it is no member of, by an acting session: what those who run and bill
/// the customer's services need. The customer's members, tokens, policies and acting sessions are not among it.
pub const ACTING: &[Permission] = &[
    OrganizationRead,
    ServiceRead,
    SubscriptionRead,
    SubscriptionWrite,
    TaskWrite,
    CloudEndpointRead,
    CloudEndpointAccess,
    UsageRead,
    InvoiceRead,
];

/// By what one gives and takes inside an organization: roles, roles in services, tokens and apps, identity providers, and what a customer
/// says to requests. In a customer with an administrator of its own, nobody from above has any of them.
pub const WORD: &[Permission] =
    &[MemberWrite, ServiceRoleWrite, ApiTokenWrite, IdentityProviderWrite, SubscriptionApprove, ActingSessionWrite];

/// The same without money and tokens.
const PROVIDER_OPERATIONS_ADMINISTRATOR: &[Permission] = &[
    OrganizationRead,
    OrganizationWrite,
    MemberRead,
    MemberWrite,
    ServiceRoleWrite,
    ContractRead,
    ServiceRead,
    SubscriptionRead,
    SubscriptionWrite,
    CredentialRead,
    TaskWrite,
    DataCenterRead,
    DataCenterWrite,
    EnvironmentRead,
    EnvironmentWrite,
    PlanApprove,
    CloudEndpointRead,
    CloudEndpointWrite,
    CloudEndpointAccess,
    ActingSessionRead,
    ActingSessionWrite,
];

/// What whoever looks after a customer may do there.
const PROVIDER_ACCOUNT_ADMINISTRATOR: &[Permission] = &[
    OrganizationRead,
    OrganizationWrite,
    MemberRead,
    MemberWrite,
    ServiceRoleWrite,
    ServiceRead,
    SubscriptionRead,
    CloudEndpointRead,
    CloudEndpointAccess,
];

/// What whoever runs a customer may do.
const CUSTOMER_ADMINISTRATOR: &[Permission] = &[
    OrganizationRead,
    MemberRead,
    MemberWrite,
    ServiceRoleWrite,
    ApiTokenRead,
    ApiTokenWrite,
    IdentityProviderRead,
    ServiceRead,
    SubscriptionRead,
    SubscriptionApprove,
    CredentialRead,
    CloudEndpointRead,
    CloudEndpointAccess,
    UsageRead,
    InvoiceRead,
    AuditRead,
    ActingSessionRead,
    ActingSessionWrite,
];

/// What is there to be seen by whoever uses it.
const USER: &[Permission] = &[OrganizationRead, ServiceRead, SubscriptionRead];

const fn row(role: Role, kind: OrganizationKind, reach: Reach, permissions: &'static [Permission]) -> RoleRow {
    RoleRow { role, kind, reach, permissions, may_grant: &[] }
}

const fn granting(may_grant: &'static [Role], row: RoleRow) -> RoleRow {
    RoleRow { may_grant, ..row }
}

/// The role table. A test walks every route with it.
pub const ROLES: &[RoleRow] = &[
    row(Role::OperatorAdministrator, Operator, Reach::Tree, Permission::ALL),
    row(Role::OperatorUser, Operator, Reach::Tree, EVERYTHING_SEEN),
    granting(
        &[Role::ResellerAdministrator, Role::DirectResellerAdministrator, Role::ProviderAdministrator],
        row(Role::DistributorAdministrator, Distributor, Reach::Tree, DISTRIBUTOR_ADMINISTRATOR),
    ),
    row(
        Role::DistributorUser,
        Distributor,
        Reach::Tree,
        &[OrganizationRead, MemberRead, ContractRead, ServiceRead, SubscriptionRead],
    ),
    row(
        Role::DistributorProformaUser,
        Distributor,
        Reach::Tree,
        &[OrganizationRead, ServiceRead, SubscriptionRead, UsageRead, InvoiceRead],
    ),
    granting(&[Role::ProviderAdministrator], row(Role::ResellerAdministrator, Reseller, Reach::Tree, RESELLER_ADMINISTRATOR)),
    row(Role::ResellerUser, Reseller, Reach::Tree, USER),
    granting(
        &[Role::ProviderAdministrator],
        row(Role::DirectResellerAdministrator, Reseller, Reach::Tree, DIRECT_RESELLER_ADMINISTRATOR),
    ),
    row(
        Role::DirectResellerUser,
        Reseller,
        Reach::Tree,
        &[OrganizationRead, ServiceRead, SubscriptionRead, SubscriptionWrite, UsageRead, InvoiceRead],
    ),
    row(Role::ProviderAdministrator, Provider, Reach::Tree, PROVIDER_ADMINISTRATOR),
    granting(
        &[Role::CustomerAdministrator],
        row(Role::ProviderOperationsAdministrator, Provider, Reach::Tree, PROVIDER_OPERATIONS_ADMINISTRATOR),
    ),
    row(
        Role::ProviderOperationsUser,
        Provider,
        Reach::Tree,
        &[OrganizationRead, MemberRead, ServiceRead, SubscriptionRead, CloudEndpointRead, CloudEndpointAccess],
    ),
    granting(
        &[Role::CustomerAdministrator],
        row(Role::ProviderAccountAdministrator, Provider, Reach::Bound, PROVIDER_ACCOUNT_ADMINISTRATOR),
    ),
    row(
        Role::ProviderBillingUser,
        Provider,
        Reach::Tree,
        &[OrganizationRead, ServiceRead, SubscriptionRead, UsageRead, UsageWrite, InvoiceRead, InvoiceWrite],
    ),
    row(
        Role::ProviderSupportUser,
        Provider,
        Reach::Tree,
        &[OrganizationRead, ServiceRead, SubscriptionRead, ActingSessionRead, ActingSessionWrite],
    ),
    row(
        Role::ProviderServiceManager,
        Provider,
        Reach::Own,
        &[OrganizationRead, MemberRead, ServiceRoleWrite, ServiceRead, SubscriptionRead],
    ),
    row(Role::ProviderDeveloper, Provider, Reach::Own, &[OrganizationRead, ApiTokenRead, ApiTokenWrite, ServiceRead]),
    row(Role::CustomerAdministrator, Customer, Reach::Tree, CUSTOMER_ADMINISTRATOR),
    row(
        Role::CustomerOperationsAdministrator,
        Customer,
        Reach::Own,
        // What it changes it also uses, as whoever manages a service by an access level does.
        &[
            OrganizationRead,
            ServiceRead,
            SubscriptionRead,
            SubscriptionWrite,
            CredentialRead,
            CloudEndpointRead,
            CloudEndpointAccess,
        ],
    ),
    row(
        Role::CustomerUser,
        Customer,
        Reach::Own,
        &[OrganizationRead, ServiceRead, SubscriptionRead, CloudEndpointRead, CloudEndpointAccess],
    ),
    row(
        Role::CustomerBillingUser,
        Customer,
        Reach::Own,
        &[OrganizationRead, ServiceRead, SubscriptionRead, UsageRead, InvoiceRead],
    ),
];

impl Role {
    /// The role's row in the table.
    pub fn row(self) -> &'static RoleRow {
        // Every role has a row: a test counts them.
        ROLES.iter().find(|row| row.role == self).unwrap_or(&ROLES[ROLES.len() - 1])
    }

    /// Whether whoever has it runs the organization: one person with such a role must remain.
    pub fn is_administrator(self) -> bool {
        use Role::*;
        matches!(
            self,
            OperatorAdministrator
                | DistributorAdministrator
                | ResellerAdministrator
                | DirectResellerAdministrator
                | ProviderAdministrator
                | CustomerAdministrator
        )
    }

    /// Whether its holders speak for a customer: they give roles and tokens in it, set its policies and answer requests.
    pub fn speaks_for_customer(self) -> bool {
        self.row().kind == Customer && Permissions::of([self]).has(MemberWrite)
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Permissions(u64);

impl Permissions {
    /// What these roles permit together.
    pub fn of(roles: impl IntoIterator<Item = Role>) -> Self {
        Self(roles.into_iter().fold(0, |all, role| all | bits(role.row().permissions)))
    }

    /// What it permits of this list.
    pub fn within(self, list: &[Permission]) -> Self {
        Self(self.0 & bits(list))
    }

    /// Whether it permits this.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & 1 << permission as u64 != 0
    }

    /// Whether it permits all that the other does.
    pub fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What either permits.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What it permits and the other does not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// A role that a principal has, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binding {
    /// The role.
    pub role: Role,
    /// The organization it was given in, or one that was bound to it.
    pub path: OrganizationPath,
    /// Whether the organization was bound to the role: only of roles that reach [`Reach::Bound`] organizations.
    pub bound: bool,
    /// Whether it was given from above in a customer that has an administrator of its own by now. A role of the customer permits no more
    /// than an acting session then, a bound role nothing of [`WORD`].
    pub overruled: bool,
}

impl Binding {
    /// Whether the principal may act in the organization at this path because of it.
    pub fn reaches(&self, place: &OrganizationPath) -> bool {
        match self.role.row().reach {
            Reach::Tree => self.path.reaches(place),
            Reach::Own | Reach::Bound => self.path == *place,
        }
    }

    /// What it permits in the organization at this path. Where a role of bound organizations was given, it permits
    /// nothing: its holder is at home there and sees only who they are.
    fn permits_at(&self, place: &OrganizationPath) -> Permissions {
        let nothing = !self.reaches(place) || (self.role.row().reach == Reach::Bound && !self.bound);
        let permissions = if nothing { Permissions::default() } else { Permissions::of([self.role]) };
        match (self.overruled, self.bound) {
            (false, _) => permissions,
            (true, false) => permissions.within(ACTING),
            (true, true) => permissions.without(Permissions(bits(WORD))),
        }
    }
}

/// What somebody may do in one organization, and in those below it.
#[derive(Clone, Debug, Default)]
pub struct Authority {
    /// What is permitted in the organization.
    pub here: Permissions,
    /// What is permitted in it and in all below; never more than `here`.
    pub below: Permissions,
    /// Whom the holder may make the first administrator.
    may_grant: Vec<Role>,
    /// What else it may grant: those above have said so.
    allowed: Vec<Role>,
}

impl Authority {
    /// What these bindings come to in the organization at this path.
    pub fn of(bindings: &[Binding], place: &OrganizationPath) -> Self {
        let mut authority = Self::default();
        for binding in bindings {
            let permissions = binding.permits_at(place);
            authority.here = authority.here.and(permissions);
            // Below a bound organization, a customer, there is nothing: what holds in it holds all the way down.
            if binding.role.row().reach != Reach::Own {
                authority.below = authority.below.and(permissions);
            }
            if permissions != Permissions::default() {
                authority.may_grant.extend(binding.role.row().may_grant);
            }
        }
        authority
    }

    /// The same, and what acting for a customer adds of what `above` would permit.
    pub fn acting(mut self, above: &Self) -> Self {
        self.here = self.here.and(above.here.within(ACTING));
        self.below = self.below.and(above.below.within(ACTING));
        self
    }

    /// The same, and this role may be granted too: those above have said that the customer may have people with it.
    #[must_use]
    pub fn allowed(mut self, role: Role) -> Self {
        self.allowed.push(role);
        self
    }

    /// Whether all that the role permits is permitted to the holder, wherever the role would reach; or those above allow it.
    pub fn covers(&self, role: Role) -> bool {
        if self.allowed.contains(&role) {
            return true;
        }
        let held = if role.row().reach == Reach::Own { self.here } else { self.below };
        held.covers(Permissions::of([role]))
    }

    /// Refuses a role above the holder's own level. `first` says that the organization has no administrator yet and that
    /// the role is for somebody else: then those may be granted whom the holder's own roles name.
    pub fn check(&self, role: Role, first: bool) -> Result<()> {
        if self.covers(role) || (first && self.may_grant.contains(&role)) {
            return Ok(());
        }
        Err(Error::new(
            Kind::Forbidden,
            "role_above_own",
            format!("{role} permits more than your own roles do, so you cannot grant or remove it. GET /v1/roles compares them."),
        ))
    }
}

fn bits(list: &[Permission]) -> u64 {
    list.iter().fold(0, |bits, &one| bits | 1 << one as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acting_for_a_customer_never_touches_who_may_do_what_there() {
        let all = Permissions::of([Role::OperatorAdministrator]).within(ACTING);
        for kept in [ApiTokenRead, ApiTokenWrite, OrganizationWrite, ActingSessionWrite, AuditRead, UsageWrite, InvoiceWrite] {
            assert!(!all.has(kept), "{kept}");
        }
        assert!(all.has(SubscriptionWrite));
        // Nobody gets by acting what they have not at home.
        let billing = Permissions::of([Role::ProviderBillingUser]);
        assert!(billing.covers(billing.within(ACTING)) && !billing.within(ACTING).has(SubscriptionWrite));
    }

    #[test]
    fn permissions_without_others_are_what_the_others_lack() {
        let operator = Permissions::of([Role::OperatorAdministrator]);
        let billing = Permissions::of([Role::ProviderBillingUser]);
        let rest = operator.without(billing);
        for &permission in Permission::ALL {
            assert_eq!(rest.has(permission), operator.has(permission) && !billing.has(permission), "{permission}");
        }
        assert!(billing.without(operator) != operator && billing.without(billing) == Permissions::default());
    }

    /// An acting session adds what [`ACTING`] has of the permissions above, here and below, and takes nothing away.
    #[test]
    fn acting_adds_what_is_permitted_above_and_acting_allows() {
        let (above, place) = (OrganizationPath::stored("org_a.".into()), OrganizationPath::stored("org_a.org_b.".into()));
        let binding = |role, path: &OrganizationPath| Binding { role, path: path.clone(), bound: false, overruled: false };
        let provider = Authority::of(&[binding(Role::ProviderAdministrator, &above)], &above);
        let own = Authority::of(&[binding(Role::CustomerAdministrator, &place)], &place);
        let both = own.clone().acting(&provider);
        for (mine, theirs, sum) in [(own.here, provider.here, both.here), (own.below, provider.below, both.below)] {
            for &permission in Permission::ALL {
                let expected = mine.has(permission) || theirs.within(ACTING).has(permission);
                assert_eq!(sum.has(permission), expected, "{permission}");
            }
        }
        assert_eq!(Authority::default().acting(&provider).here, provider.here.within(ACTING));
        assert!(Authority::default().acting(&provider).below.has(SubscriptionWrite));
    }

    #[test]
    fn every_role_has_one_row() {
        for &role in Role::ALL {
            assert_eq!(ROLES.iter().filter(|row| row.role == role).count(), 1, "{role}");
        }
        assert!(Permission::ALL.len() <= 64);
    }

    #[test]
    fn an_administrator_may_make_every_member_of_their_own_organization_and_every_customer() {
        let path = OrganizationPath::stored("org_a.".into());
        for row in ROLES.iter().filter(|row| row.role.is_administrator()) {
            let authority =
                Authority::of(&[Binding { role: row.role, path: path.clone(), bound: false, overruled: false }], &path);
            for other in ROLES.iter().filter(|other| other.kind == row.kind) {
                // Who buys through a distributor does not become one that does not.
                let direct = row.role == Role::ResellerAdministrator
                    && [Role::DirectResellerAdministrator, Role::DirectResellerUser].contains(&other.role);
                // Who draws on the provider's contracts is made by the provider.
                let orders = other.role == Role::CustomerOperationsAdministrator;
                assert_eq!(authority.covers(other.role), !direct && !orders, "{} {}", row.role, other.role);
            }
        }
        for admin in [Role::OperatorAdministrator, Role::ProviderAdministrator] {
            let authority = Authority::of(&[Binding { role: admin, path: path.clone(), bound: false, overruled: false }], &path);
            for row in ROLES.iter().filter(|row| row.kind == OrganizationKind::Customer) {
                assert!(authority.covers(row.role), "{admin} {}", row.role);
            }
        }
    }

    #[test]
    fn a_role_holds_as_far_as_its_row_says() {
        let provider = OrganizationPath::stored("org_a.".into());
        let (one, other) = (OrganizationPath::stored("org_a.org_b.".into()), OrganizationPath::stored("org_a.org_c.".into()));
        let held = |role, path: &OrganizationPath, bound| Binding { role, path: path.clone(), bound, overruled: false };
        let here = |bindings: &[Binding], place| Authority::of(bindings, place).here;
        let nothing = Permissions::default();

        let tree = [held(Role::ProviderAdministrator, &provider, false)];
        assert!(here(&tree, &one).has(InvoiceWrite) && Authority::of(&tree, &provider).below.has(InvoiceWrite));

        let own = [held(Role::ProviderDeveloper, &provider, false)];
        assert!(here(&own, &provider).has(ApiTokenWrite) && !own[0].reaches(&one));
        assert_eq!((here(&own, &one), Authority::of(&own, &provider).below), (nothing, nothing));

        // What is held in one organization alone is no reason to grant it for all below.
        let manager = Authority::of(&[held(Role::ProviderServiceManager, &provider, false)], &provider);
        assert!(manager.here.covers(Permissions::of([Role::ResellerUser])));
        assert!(manager.covers(Role::ProviderServiceManager) && !manager.covers(Role::ResellerUser));

        let bound =
            [held(Role::ProviderAccountAdministrator, &provider, false), held(Role::ProviderAccountAdministrator, &one, true)];
        assert!(bound[0].reaches(&provider) && !bound[0].reaches(&one) && bound[1].reaches(&one));
        assert!(here(&bound, &one).has(MemberWrite));
        assert_eq!((here(&bound, &provider), here(&bound, &other)), (nothing, nothing));
    }

    #[test]
    fn the_first_administrator_may_be_made_by_whom_the_row_names() {
        let path = OrganizationPath::stored("org_a.".into());
        let authority = Authority::of(
            &[Binding { role: Role::DistributorAdministrator, path: path.clone(), bound: false, overruled: false }],
            &path,
        );
        assert!(authority.check(Role::ProviderAdministrator, true).is_ok());
        assert_eq!(authority.check(Role::ProviderAdministrator, false).unwrap_err().code, "role_above_own");
        assert_eq!(authority.check(Role::ProviderOperationsAdministrator, true).unwrap_err().code, "role_above_own");
        // Whom a row names is an administrator, and below it.
        for row in ROLES {
            assert!(row.may_grant.iter().all(|role| role.is_administrator() && role.row().kind > row.kind), "{}", row.role);
        }
    }

    #[test]
    fn roles_add_up() {
        let both = Permissions::of([Role::CustomerUser, Role::ProviderBillingUser]);
        assert!(both.covers(Permissions::of([Role::CustomerUser])) && both.covers(Permissions::of([Role::ProviderBillingUser])));
        assert!(both.has(InvoiceWrite) && !both.has(SubscriptionWrite));
    }

    #[test]
    fn only_the_operator_edits_the_catalog_or_approves_contracts() {
        for row in ROLES.iter().filter(|row| row.role != Role::OperatorAdministrator) {
            let permissions = Permissions::of([row.role]);
            for permission in [ServiceWrite, ContractApprove, JobRead, JobWrite] {
                assert!(!permissions.has(permission), "{} {permission}", row.role);
            }
        }
    }
}
