//! Every route of every component, for every role, on what belongs to the caller's own organization, to its parent, a child,
//! a sibling and a stranger: let in, refused or not there, exactly as the role table says. What must come of each follows from
//! the table here and the role table; a route that is not in the table here fails the test.

use crate::{
    billing_support::{Row, csv, subscription},
    environments_certificates_support::certificate,
    environments_data_centers_support::component,
    environments_support::environment,
    openapi::tables,
};
use domain::{
    Permission::{self, *},
    Role,
    role::{Permissions, Reach},
};
use host::{Fault, Target};
use http::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tests::{Actor, World, simulated};
use web::openapi::Document;

/// Whom a route lets in.
pub enum Needs {
    /// Whoever asks: there is no caller yet.
    Nothing,
    /// Whoever is known.
    Token,
    /// Whoever has this permission where they act.
    One(Permission),
}
use Needs::{Nothing, One, Token};

/// What must hold of a route.
pub struct Route {
    /// Method and path, as the component's table has them.
    pub route: &'static str,
    pub needs: Needs,
    /// The query, with names as in paths.
    pub query: &'static str,
    /// The body, with names as in paths.
    pub body: &'static str,
    /// What its answer lists, by the name it has in paths, of all organizations that the caller reaches.
    pub lists: &'static str,
    /// Whether it is about the caller alone, whatever it names: a machine has nothing there.
    personal: bool,
}

const fn route(needs: Needs, route: &'static str) -> Route {
    Route { route, needs, query: "", body: "{}", lists: "", personal: false }
}

impl Route {
    const fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }
    const fn body(self, body: &'static str) -> Self {
        Self { body, ..self }
    }
    const fn lists(self, lists: &'static str) -> Self {
        Self { lists, ..self }
    }
    const fn personal(self) -> Self {
        Self { personal: true, ..self }
    }
}

/// One line a route. Names in `{}` stand for something of the organization that is asked about; where none does, the route
/// is asked once a caller.
pub const ROUTES: &[Route] = &[
    // access
    route(Nothing, "POST /v1/access-tokens"),
    route(Token, "DELETE /v1/access-tokens/current"),
    route(Nothing, "POST /v1/oauth/token"),
    route(Token, "GET /v1/me"),
    route(Token, "PATCH /v1/me"),
    route(One(ApiTokenWrite), "POST /v1/api-tokens")
        .body(r#"{"name":"x","organizationId":"{organizationId}","roles":["{role}"]}"#),
    route(One(ApiTokenRead), "GET /v1/api-tokens").lists("apiTokenId"),
    route(One(ApiTokenRead), "GET /v1/api-tokens/{apiTokenId}"),
    route(One(ApiTokenWrite), "POST /v1/api-tokens/{apiTokenId}/regenerate"),
    route(One(ApiTokenWrite), "DELETE /v1/api-tokens/{apiTokenId}"),
    route(One(ApiTokenWrite), "POST /v1/apps").body(r#"{"name":"x","organizationId":"{organizationId}","roles":["{role}"]}"#),
    route(One(ApiTokenRead), "GET /v1/apps").lists("appId"),
    route(One(ApiTokenRead), "GET /v1/apps/{appId}"),
    route(One(ApiTokenWrite), "POST /v1/apps/{appId}/regenerate"),
    route(One(ApiTokenWrite), "DELETE /v1/apps/{appId}"),
    // sign-in
    route(Nothing, "POST /v1/sign-in/password"),
    route(Token, "PUT /v1/sign-in/password"),
    route(One(MemberWrite), "POST /v1/sign-in/password-reset").body(r#"{"personId":"{personId}"}"#),
    route(Nothing, "PUT /v1/account-links"),
    route(One(IdentityProviderWrite), "POST /v1/identity-providers")
        .body(r#"{"name":"x","organizationId":"{organizationId}","issuer":"https://id.example.com","clientId":"x"}"#),
    route(One(IdentityProviderRead), "GET /v1/identity-providers").lists("identityProviderId"),
    route(One(IdentityProviderRead), "GET /v1/identity-providers/{identityProviderId}"),
    route(One(IdentityProviderWrite), "PATCH /v1/identity-providers/{identityProviderId}"),
    route(One(IdentityProviderWrite), "DELETE /v1/identity-providers/{identityProviderId}"),
    route(One(MemberWrite), "POST /v1/identity-providers/{identityProviderId}/trust"),
    route(One(MemberWrite), "POST /v1/identity-providers/{identityProviderId}/distrust"),
    // federation
    route(Nothing, "POST /v1/sign-in/oidc"),
    route(Nothing, "POST /v1/sign-in/oidc/callback"),
    // onboarding
    route(One(OrganizationWrite), "POST /v1/organizations").body(
        r#"{"kind":"CUSTOMER","parentId":"{organizationId}","displayName":"X","companyName":"X","country":"US","currency":"USD"}"#,
    ),
    route(One(OrganizationRead), "GET /v1/organizations").lists("organizationId"),
    route(One(OrganizationRead), "GET /v1/organizations/{organizationId}"),
    route(One(OrganizationWrite), "PATCH /v1/organizations/{organizationId}").body(r#"{"tag":"x"}"#),
    route(One(OrganizationWrite), "DELETE /v1/organizations/{organizationId}"),
    route(One(OrganizationWrite), "POST /v1/organizations/{organizationId}/disable"),
    route(One(OrganizationWrite), "POST /v1/organizations/{organizationId}/enable"),
    // branding
    route(One(OrganizationRead), "GET /v1/organizations/{organizationId}/branding"),
    route(One(OrganizationWrite), "PUT /v1/organizations/{organizationId}/branding"),
    // enrollment
    route(One(OrganizationWrite), "POST /v1/organizations/import"),
    route(One(OrganizationRead), "GET /v1/organizations/export"),
    route(One(ContractRead), "GET /v1/onboarding-invitations").lists("onboardingInvitationId"),
    route(Nothing, "POST /v1/onboarding-invitations/accept"),
    route(One(ContractRead), "GET /v1/onboarding-invitations/{onboardingInvitationId}"),
    route(One(ContractWrite), "POST /v1/onboarding-invitations/{onboardingInvitationId}/resend"),
    route(One(ContractWrite), "POST /v1/onboarding-invitations/{onboardingInvitationId}/revoke"),
    // contracts
    route(One(ContractWrite), "POST /v1/contracts").body(
        r#"{"providerId":"{organizationId}","serviceId":"{serviceId}","contractType":"PAY_GO","effectiveDate":"2026-09-01","currency":"USD","threshold":{"minorUnits":1,"currency":"USD"}}"#,
    ),
    route(One(ContractRead), "GET /v1/contracts").lists("contractId"),
    route(One(ContractRead), "GET /v1/contracts/{contractId}"),
    route(One(ContractWrite), "PATCH /v1/contracts/{contractId}"),
    route(One(ContractWrite), "POST /v1/contracts/{contractId}/submit"),
    route(One(ContractWrite), "POST /v1/contracts/{contractId}/redraft"),
    route(One(ContractApprove), "POST /v1/contracts/{contractId}/approve"),
    route(One(ContractApprove), "POST /v1/contracts/{contractId}/reject"),
    route(One(ContractWrite), "POST /v1/contracts/{contractId}/default"),
    route(One(ContractWrite), "POST /v1/contracts/{contractId}/terminate"),
    route(One(ContractWrite), "POST /v1/contracts/{contractId}/cancel-termination"),
    route(One(ContractApprove), "POST /v1/contracts/{contractId}/deactivate"),
    route(One(ContractApprove), "POST /v1/contracts/{contractId}/reactivate"),
    route(One(ContractWrite), "POST /v1/contracts/{contractId}/renew"),
    // members
    route(One(MemberWrite), "POST /v1/members")
        .body(r#"{"organizationId":"{organizationId}","roles":["{role}"],"people":[{"email":"x@example.com"}]}"#),
    route(One(MemberRead), "GET /v1/members").query("organizationId={organizationId}"),
    route(One(MemberWrite), "PATCH /v1/members")
        .body(r#"{"organizationId":"{organizationId}","personIds":["{personId}"],"addRoles":["{role}"]}"#),
    route(One(ServiceRoleWrite), "PATCH /v1/members/service-roles")
        .body(r#"{"organizationId":"{organizationId}","personIds":["{personId}"]}"#),
    route(One(MemberRead), "GET /v1/members/{personId}").query("organizationId={organizationId}"),
    route(One(MemberWrite), "DELETE /v1/members/{personId}").query("organizationId={organizationId}"),
    route(One(MemberWrite), "POST /v1/organizations/{organizationId}/recoveries").body(r#"{"reason":"x","email":"x@example.com"}"#),
    route(One(OrganizationRead), "GET /v1/organizations/{organizationId}/recoveries"),
    route(One(OrganizationRead), "GET /v1/organizations/{organizationId}/recoveries/{recoveryId}"),
    route(One(OrganizationRead), "POST /v1/organizations/{organizationId}/recoveries/{recoveryId}/refuse"),
    route(One(MemberWrite), "POST /v1/organizations/{organizationId}/recoveries/{recoveryId}/withdraw"),
    route(One(MemberRead), "GET /v1/organizations/{organizationId}/credentials-from-above"),
    route(One(MemberWrite), "DELETE /v1/organizations/{organizationId}/credentials-from-above/{principalId}"),
    route(One(MemberRead), "GET /v1/member-invitations").query("organizationId={organizationId}"),
    route(Nothing, "POST /v1/member-invitations/accept"),
    route(One(MemberRead), "GET /v1/member-invitations/{memberInvitationId}"),
    route(One(MemberWrite), "POST /v1/member-invitations/{memberInvitationId}/resend"),
    route(One(MemberWrite), "DELETE /v1/member-invitations/{memberInvitationId}"),
    route(Token, "GET /v1/me/invitations"),
    route(Token, "POST /v1/me/invitations/{memberInvitationId}/accept").personal(),
    route(Token, "POST /v1/me/invitations/{memberInvitationId}/decline").personal(),
    route(Token, "DELETE /v1/me/memberships/{organizationId}").personal(),
    route(One(MailRead), "GET /v1/mailbox"),
    // roles
    route(Token, "GET /v1/roles"),
    route(Token, "GET /v1/me/service-roles"),
    route(One(ServiceWrite), "POST /v1/service-roles"),
    route(One(ServiceRead), "GET /v1/service-roles"),
    route(One(ServiceRead), "GET /v1/service-roles/{serviceRoleId}"),
    route(One(ServiceWrite), "PATCH /v1/service-roles/{serviceRoleId}"),
    route(One(ServiceWrite), "DELETE /v1/service-roles/{serviceRoleId}"),
    // catalog
    route(One(ServiceWrite), "POST /v1/services"),
    route(One(ServiceRead), "GET /v1/services"),
    route(One(ServiceRead), "GET /v1/services/{serviceId}"),
    route(One(ServiceWrite), "PATCH /v1/services/{serviceId}"),
    route(One(ServiceWrite), "POST /v1/services/{serviceId}/publish"),
    route(One(ServiceWrite), "POST /v1/services/{serviceId}/deprecate"),
    route(One(ServiceWrite), "POST /v1/services/{serviceId}/retire"),
    route(One(ServiceRead), "POST /v1/services/{serviceId}/validate").body(r#"{"quantity":"1"}"#),
    // packages
    route(One(ServiceWrite), "POST /v1/package-repositories")
        .body(r#"{"displayName":"X","baseUrl":"https://other.packages.example/x"}"#),
    route(One(ServiceRead), "GET /v1/package-repositories"),
    route(One(ServiceRead), "GET /v1/package-repositories/{packageRepositoryId}"),
    route(One(ServiceWrite), "DELETE /v1/package-repositories/{packageRepositoryId}"),
    route(One(ServiceRead), "GET /v1/package-repositories/{packageRepositoryId}/files"),
    route(One(ServiceWrite), "POST /v1/package-repositories/{packageRepositoryId}/refresh"),
    route(One(ServiceWrite), "POST /v1/package-repositories/{packageRepositoryId}/verify"),
    route(One(ServiceRead), "GET /v1/interop"),
    route(One(ServiceWrite), "PUT /v1/interop").body(r#"{"compatibilities":[],"upgrades":[]}"#),
    route(One(ServiceRead), "POST /v1/interop/check").body(r#"{"products":[]}"#),
    // subscriptions
    route(One(SubscriptionWrite), "POST /v1/subscriptions")
        .body(r#"{"organizationId":"{organizationId}","serviceId":"{serviceId}","quantity":"1"}"#),
    route(One(SubscriptionRead), "GET /v1/subscriptions").lists("subscriptionId"),
    route(One(SubscriptionRead), "GET /v1/subscriptions/{subscriptionId}"),
    route(One(SubscriptionWrite), "PATCH /v1/subscriptions/{subscriptionId}").body(r#"{"quantity":"2"}"#),
    route(One(SubscriptionWrite), "POST /v1/subscriptions/{subscriptionId}/suspend"),
    route(One(SubscriptionWrite), "POST /v1/subscriptions/{subscriptionId}/resume"),
    route(One(SubscriptionWrite), "POST /v1/subscriptions/{subscriptionId}/renew"),
    route(One(SubscriptionWrite), "POST /v1/subscriptions/{subscriptionId}/terminate"),
    // approvals
    route(One(SubscriptionRead), "GET /v1/approval-policies/{organizationId}"),
    route(One(SubscriptionApprove), "PUT /v1/approval-policies/{organizationId}").body(r#"{"rules":[]}"#),
    route(One(SubscriptionRead), "GET /v1/approvals").lists("approvalId"),
    route(One(SubscriptionRead), "GET /v1/approvals/{approvalId}"),
    route(One(SubscriptionApprove), "POST /v1/approvals/{approvalId}/approve"),
    route(One(SubscriptionApprove), "POST /v1/approvals/{approvalId}/reject").body(r#"{"reason":"x"}"#),
    route(One(SubscriptionWrite), "POST /v1/approvals/{approvalId}/withdraw"),
    // renewals
    route(One(SubscriptionRead), "GET /v1/renewals"),
    route(One(SubscriptionRead), "GET /v1/subscriptions/{subscriptionId}/renewal"),
    route(One(SubscriptionWrite), "PUT /v1/subscriptions/{subscriptionId}/renewal").body(r#"{"renewalPreference":"AUTO"}"#),
    // service-brokers
    route(One(ServiceWrite), "POST /v1/service-brokers")
        .body(r#"{"displayName":"X","baseUrl":"https://broker.example/x","bearerToken":"x"}"#),
    route(One(ServiceWrite), "GET /v1/service-brokers"),
    route(One(ServiceWrite), "GET /v1/service-brokers/{serviceBrokerId}"),
    route(One(ServiceWrite), "PATCH /v1/service-brokers/{serviceBrokerId}"),
    route(One(ServiceWrite), "DELETE /v1/service-brokers/{serviceBrokerId}"),
    route(One(ServiceWrite), "POST /v1/service-brokers/{serviceBrokerId}/import").body(r#"{"productFamily":"ISV"}"#),
    // service-bindings
    route(One(SubscriptionWrite), "POST /v1/service-bindings").body(r#"{"subscriptionId":"{subscriptionId}","name":"x"}"#),
    route(One(SubscriptionRead), "GET /v1/service-bindings").lists("serviceBindingId"),
    route(One(SubscriptionRead), "GET /v1/service-bindings/{serviceBindingId}"),
    route(One(CredentialRead), "GET /v1/service-bindings/{serviceBindingId}/credentials"),
    route(One(SubscriptionWrite), "DELETE /v1/service-bindings/{serviceBindingId}"),
    // tasks
    route(One(SubscriptionRead), "GET /v1/tasks").lists("taskId"),
    route(One(SubscriptionRead), "GET /v1/tasks/{taskId}"),
    route(One(SubscriptionRead), "GET /v1/tasks/{taskId}/request"),
    route(One(TaskWrite), "POST /v1/tasks/{taskId}/cancel"),
    route(One(TaskWrite), "POST /v1/tasks/{taskId}/restart"),
    route(One(TaskWrite), "POST /v1/tasks/{taskId}/resume"),
    route(One(TaskWrite), "POST /v1/tasks/{taskId}/steps/{step}/complete"),
    route(One(TaskWrite), "POST /v1/tasks/{taskId}/steps/{step}/fail").body(r#"{"message":"no"}"#),
    // stored-passwords
    route(One(DataCenterWrite), "POST /v1/stored-passwords")
        .body(r#"{"organizationId":"{organizationId}","alias":"x","password":"Secret1!"}"#),
    route(One(DataCenterRead), "GET /v1/stored-passwords").lists("storedPasswordId"),
    route(One(DataCenterRead), "GET /v1/stored-passwords/{storedPasswordId}"),
    route(One(DataCenterWrite), "PATCH /v1/stored-passwords/{storedPasswordId}"),
    route(One(DataCenterWrite), "DELETE /v1/stored-passwords/{storedPasswordId}"),
    // data-centers
    route(One(DataCenterWrite), "POST /v1/data-centers").body(
        r#"{"organizationId":"{organizationId}","componentName":"x","componentType":"VCENTER","version":"8.0.2","fqdn":"x.example.com","username":"x","password":"Pa55-of-the-tests!","target":"BUILTIN"}"#,
    ),
    route(One(DataCenterRead), "GET /v1/data-centers").lists("dataCenterId"),
    route(One(DataCenterRead), "GET /v1/data-centers/{dataCenterId}"),
    route(One(DataCenterWrite), "PATCH /v1/data-centers/{dataCenterId}"),
    route(One(DataCenterWrite), "DELETE /v1/data-centers/{dataCenterId}"),
    route(One(DataCenterWrite), "POST /v1/data-centers/{dataCenterId}/validate"),
    route(One(DataCenterWrite), "POST /v1/data-centers/{dataCenterId}/discover"),
    route(One(DataCenterWrite), "POST /v1/data-centers/{dataCenterId}/inventory"),
    // environments
    route(One(EnvironmentWrite), "POST /v1/environments").body(
        r#"{"organizationId":"{organizationId}","name":"xyz","products":[{"productType":"VCD","productId":"vcd","version":"10.5","dataCenterId":"{dataCenterId}","adminPassword":"N0de-of-the-tests","nodes":[{"hostName":"x","vmName":"vm-x","rootPassword":"N0de-of-the-tests"}],"properties":{"systemName":"vcd","dbPassword":"N0de-of-the-tests"}}]}"#,
    ),
    route(One(EnvironmentRead), "GET /v1/environments").lists("environmentId"),
    route(One(EnvironmentRead), "GET /v1/environments/{environmentId}"),
    route(One(EnvironmentWrite), "PUT /v1/environments/{environmentId}").body(
        r#"{"products":[{"productType":"VCD","productId":"vcd","version":"10.5","dataCenterId":"{dataCenterId}","adminPassword":"N0de-of-the-tests","nodes":[{"hostName":"x","vmName":"vm-x","rootPassword":"N0de-of-the-tests"}],"properties":{"systemName":"vcd","dbPassword":"N0de-of-the-tests"}}]}"#,
    ),
    route(One(EnvironmentWrite), "DELETE /v1/environments/{environmentId}"),
    route(One(EnvironmentRead), "GET /v1/environments/{environmentId}/products/{productId}/certificate"),
    route(One(EnvironmentWrite), "PUT /v1/environments/{environmentId}/products/{productId}/certificate")
        .body(r#"{"certificate":"x","privateKey":"x"}"#),
    // access levels, of roles
    route(One(SubscriptionRead), "GET /v1/access-levels/{organizationId}"),
    route(One(SubscriptionWrite), "PUT /v1/access-levels/{organizationId}").body(r#"{"level":"VIEW"}"#),
    route(One(MemberRead), "GET /v1/access-levels/{organizationId}/people"),
    route(One(MemberRead), "GET /v1/access-levels/{organizationId}/people/{personId}"),
    route(One(ServiceRoleWrite), "PUT /v1/access-levels/{organizationId}/people/{personId}").body(r#"{"level":"VIEW"}"#),
    route(Token, "GET /v1/me/access-levels"),
    // cloud-endpoints
    route(One(CloudEndpointWrite), "POST /v1/cloud-endpoints").body(
        r#"{"organizationId":"{organizationId}","displayName":"X","kind":"VCD","url":"https://x.example.com","region":"x"}"#,
    ),
    route(One(CloudEndpointRead), "GET /v1/cloud-endpoints").lists("cloudEndpointId"),
    route(One(CloudEndpointRead), "GET /v1/cloud-endpoints/{cloudEndpointId}"),
    route(One(CloudEndpointWrite), "PATCH /v1/cloud-endpoints/{cloudEndpointId}"),
    route(One(CloudEndpointWrite), "DELETE /v1/cloud-endpoints/{cloudEndpointId}"),
    route(One(CloudEndpointAccess), "GET /v1/cloud-endpoints/{cloudEndpointId}/access"),
    route(One(CloudEndpointWrite), "POST /v1/cloud-endpoints/{cloudEndpointId}/assignments")
        .body(r#"{"organizationId":"{organizationId}"}"#),
    route(One(CloudEndpointRead), "GET /v1/cloud-endpoints/{cloudEndpointId}/assignments"),
    route(One(CloudEndpointWrite), "DELETE /v1/cloud-endpoints/{cloudEndpointId}/assignments/{customerId}"),
    route(One(EnvironmentWrite), "POST /v1/environments/{environmentId}/nodes/{hostName}/redeploy"),
    route(One(EnvironmentRead), "GET /v1/certificates").lists("certificateId"),
    route(One(EnvironmentRead), "GET /v1/plans").lists("planId"),
    route(One(EnvironmentRead), "GET /v1/plans/{planId}"),
    route(One(PlanApprove), "POST /v1/plans/{planId}/approve"),
    route(One(EnvironmentWrite), "POST /v1/plans/{planId}/apply"),
    // billing
    route(One(UsageWrite), "POST /v1/usage-reports"),
    route(One(UsageRead), "GET /v1/usage-reports").lists("usageReportId"),
    route(One(UsageRead), "GET /v1/usage-reports/{usageReportId}"),
    route(One(UsageRead), "GET /v1/usage-reports/{usageReportId}/rows"),
    route(One(UsageWrite), "POST /v1/usage-voids"),
    route(One(UsageRead), "GET /v1/usage-voids").lists("usageVoidId"),
    route(One(UsageRead), "GET /v1/usage-voids/{usageVoidId}"),
    route(One(InvoiceWrite), "POST /v1/invoices").body(r#"{"organizationId":"{organizationId}","period":"2026-09"}"#),
    route(One(InvoiceRead), "GET /v1/invoices").lists("invoiceId"),
    route(One(InvoiceRead), "GET /v1/invoices/{invoiceId}"),
    route(One(InvoiceRead), "GET /v1/invoices/{invoiceId}/lines/{line}/usage"),
    // audit
    route(One(AuditRead), "GET /v1/audit-entries").query("organizationId={organizationId}"),
    route(One(AuditRead), "GET /v1/audit-entries/export").query("organizationId={organizationId}"),
    route(One(AuditRead), "GET /v1/audit-entries/verification").query("organizationId={organizationId}"),
    route(One(ActingSessionRead), "GET /v1/acting-policies/{organizationId}"),
    route(One(ActingSessionWrite), "PUT /v1/acting-policies/{organizationId}").body(r#"{"policy":"ASK"}"#),
    route(One(ActingSessionWrite), "POST /v1/acting-sessions")
        .body(r#"{"organizationId":"{organizationId}","reason":"x","durationMinutes":1}"#),
    route(One(ActingSessionRead), "GET /v1/acting-sessions").lists("actingSessionId"),
    route(One(ActingSessionRead), "GET /v1/acting-sessions/{actingSessionId}"),
    route(One(ActingSessionWrite), "POST /v1/acting-sessions/{actingSessionId}/approve"),
    route(One(ActingSessionWrite), "POST /v1/acting-sessions/{actingSessionId}/refuse"),
    route(One(ActingSessionWrite), "POST /v1/acting-sessions/{actingSessionId}/end"),
    // scheduler
    route(Nothing, "GET /health"),
    route(Nothing, "GET /openapi.json"),
    route(One(JobRead), "GET /v1/jobs"),
    route(One(JobWrite), "POST /v1/jobs/{jobId}/replay"),
];

/// The tree, each organization with its parent and its kind.
pub const TREE: &[(&str, &str, &str)] = &[
    ("operator", "", "OPERATOR"),
    ("distributor", "operator", "DISTRIBUTOR"),
    ("other distributor", "operator", "DISTRIBUTOR"),
    ("reseller", "distributor", "RESELLER"),
    ("other reseller", "distributor", "RESELLER"),
    ("provider", "reseller", "PROVIDER"),
    ("other provider", "reseller", "PROVIDER"),
    ("strange provider", "other distributor", "PROVIDER"),
    ("customer", "provider", "CUSTOMER"),
    ("other customer", "provider", "CUSTOMER"),
    ("strange customer", "strange provider", "CUSTOMER"),
];

fn parent(place: &str) -> &'static str {
    TREE.iter().find(|(name, ..)| *name == place).map_or("", |(_, parent, _)| parent)
}

fn kind(place: &str) -> &'static str {
    TREE.iter().find(|(name, ..)| *name == place).map_or("", |(.., kind)| kind)
}

/// Whether the organization is the other or below it.
pub fn is_below(place: &str, top: &str) -> bool {
    place == top || (!place.is_empty() && is_below(parent(place), top))
}

/// What another organization is to one's own. Each relation once; those further up or down are to be seen like the nearest.
pub fn relation(own: &str, other: &str) -> &'static str {
    match () {
        () if own == other => "own organization",
        () if parent(own) == other => "parent",
        () if parent(other) == own => "child",
        () if parent(own) == parent(other) => "sibling",
        () if is_below(own, other) => "above",
        () if is_below(other, own) => "below",
        () => "stranger",
    }
}

/// Somebody with one role, and where they act.
pub struct Caller {
    pub role: Role,
    pub actor: Actor,
    pub acting: &'static str,
    /// What they may do there.
    pub held: Permissions,
}

impl Caller {
    pub fn reaches(&self, place: &str) -> bool {
        match self.role.row().reach {
            Reach::Tree => is_below(place, self.acting),
            Reach::Own | Reach::Bound => place == self.acting,
        }
    }
}

/// A hub in which every organization has one of everything that it can have.
pub struct Ground {
    pub world: World,
    /// Ids by organization and by the name that they have in paths.
    pub things: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    pub callers: Vec<Caller>,
    operator: Actor,
}

impl Ground {
    pub async fn new() -> Self {
        let world = World::new().await;
        let operator = world.bootstrap().await;
        let service = world.service(&operator, "builtin", "BUILTIN").await;
        let body = json!({ "serviceId": service, "name": "user", "displayName": "User" });
        let service_role = world.post("/v1/service-roles", body).by(&operator).send().await.expect(201).text("/id");
        let body = json!({ "displayName": "Packages", "baseUrl": "https://packages.example/vcd" });
        let repository = world.post("/v1/package-repositories", body).by(&operator).send().await.expect(201).text("/id");
        let body = json!({ "displayName": "Broker", "baseUrl": "https://broker.example/osb", "bearerToken": "x" });
        let broker = world.post("/v1/service-brokers", body).by(&operator).send().await.expect(201).text("/id");
        let mut things: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
        for &(place, parent, kind) in TREE {
            let id = match things.get(parent) {
                None => operator.organization.clone(),
                Some(parent) => world.organization(&operator, kind, place, Some(&parent["organizationId"])).await,
            };
            let role = Role::ALL.iter().rfind(|role| role.row().kind.as_str() == kind).unwrap().as_str();
            let mut has = BTreeMap::from([
                ("organizationId", id.clone()),
                ("serviceId", service.clone()),
                ("serviceRoleId", service_role.clone()),
                ("packageRepositoryId", repository.clone()),
                ("serviceBrokerId", broker.clone()),
                ("jobId", "job_01h455vb4pex5vsknk084sn02q".into()),
                ("role", role.into()),
                ("line", "1".into()),
                ("step", "PROVISION".into()),
            ]);
            let credential = json!({ "name": "x", "organizationId": id, "roles": [role] });
            for (name, path) in [("apiTokenId", "/v1/api-tokens"), ("appId", "/v1/apps")] {
                let made = world.post(path, credential.clone()).by(&operator).send().await;
                has.insert(name, made.expect(201).text("/id"));
            }
            has.insert("principalId", has["apiTokenId"].clone());
            let trusted = json!({ "name": "x", "organizationId": id, "issuer": "https://id.example.com", "clientId": "x" });
            let trusted = world.post("/v1/identity-providers", trusted).by(&operator).send().await;
            has.insert("identityProviderId", trusted.expect(201).text("/id"));
            let name = place.replace(' ', "-");
            has.insert("personId", world.member(&operator, &id, &format!("{name}@example.com"), &[role]).await.id);
            let people = json!([{ "email": format!("invited-{name}@example.com") }]);
            let invite = json!({ "organizationId": id, "roles": [role], "people": people });
            let invited = world.post("/v1/members", invite).by(&operator).send().await;
            has.insert("memberInvitationId", invited.expect(207).text("/succeeded/invited/0/id"));
            if matches!(kind, "OPERATOR" | "DISTRIBUTOR") {
                has.insert("onboardingInvitationId", invite_provider(&world, &operator, &id, &service).await);
            }
            if kind == "PROVIDER" {
                has.insert("contractId", world.contract(&operator, &id, &service).await);
                let endpoint = json!({
                    "organizationId": id, "displayName": "x", "kind": "VCD", "url": "https://x.example.com", "region": "x"
                });
                let endpoint = world.post("/v1/cloud-endpoints", endpoint).by(&operator).send().await;
                has.insert("cloudEndpointId", endpoint.expect(201).text("/id"));
            }
            if kind != "CUSTOMER" {
                has.extend(deploy(&world, &operator, &id).await);
            }
            things.insert(place, has);
        }
        for (place, provider, _) in TREE.iter().filter(|(.., kind)| *kind == "CUSTOMER") {
            bill(&world, &operator, &mut things, place, provider).await;
        }
        // The one customer that no caller here acts in: whoever did would see its provider's.
        let assigned = json!({ "organizationId": things["strange customer"]["organizationId"] });
        let path = format!("/v1/cloud-endpoints/{}/assignments", things["strange provider"]["cloudEndpointId"]);
        world.post(&path, assigned).by(&operator).send().await.expect(201);
        let customer = things["strange customer"]["organizationId"].clone();
        things.get_mut("strange provider").unwrap().insert("customerId", customer);
        let callers = callers(&world, &operator, &things).await;
        Self { world, things, callers, operator }
    }

    /// Who made it all.
    pub fn operator(&self) -> &Actor {
        &self.operator
    }

    /// The organizations' names, from the operator down.
    pub fn places(&self) -> impl Iterator<Item = &'static str> {
        TREE.iter().map(|(place, ..)| *place)
    }

    /// The text with what its names stand for in an organization; `None` when the organization has no such thing.
    pub fn filled(&self, text: &str, place: &str) -> Option<String> {
        let mut filled = text.to_owned();
        for name in names(text) {
            filled = filled.replace(&format!("{{{name}}}"), self.things[place].get(name)?);
        }
        Some(filled)
    }
}

/// What stands in `{}` in a text: words of letters alone, so that JSON is left as it is.
pub fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(word, _)| word);
    words.filter(|word| !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphabetic()))
}

/// Whether a name stands for something that belongs to an organization.
fn is_owned(name: &str) -> bool {
    !["serviceId", "serviceRoleId", "packageRepositoryId", "serviceBrokerId", "jobId", "productId", "role", "line", "step"]
        .contains(&name)
}

/// An onboarding invitation of an issuer, to a provider that it has a contract with.
async fn invite_provider(world: &World, operator: &Actor, issuer: &str, service: &str) -> String {
    let contract = json!({
        "provider": { "email": "new@example.com", "displayName": "N", "companyName": "N", "country": "US" }, "serviceId": service,
        "contractType": "PAY_GO", "effectiveDate": "2026-09-01", "currency": "USD", "threshold": { "minorUnits": 1, "currency": "USD" }
    });
    let drawn = world.post("/v1/contracts", contract).by(operator).acting_in(issuer).send().await;
    let approve = format!("/v1/contracts/{}/approve", drawn.expect(201).text("/id"));
    world.post(&approve, json!({})).by(operator).send().await.expect(200);
    let listed = world.get("/v1/onboarding-invitations?limit=200").by(operator).send().await.at("/items");
    let own = listed.as_array().unwrap().iter().find(|one| one["issuerId"] == *issuer).unwrap();
    own["id"].as_str().unwrap().to_owned()
}

/// A data center component of an organization, an environment that is deployed to it, and the plan of another.
async fn deploy(world: &World, operator: &Actor, organization: &str) -> [(&'static str, String); 7] {
    let ask = async |path: &str, mut body: Value| {
        body["organizationId"] = organization.into();
        world.post(path, body).by(operator).header("prefer", "wait=5").send().await
    };
    let component = ask("/v1/data-centers", component("vc", "BUILTIN")).await.expect(200).text("/dataCenterId");
    let mut one = environment("one", &component, &["a"]);
    one["products"][0]["certificate"] = certificate("server");
    let deployed = ask("/v1/environments", one).await.expect(200).text("/environmentId");
    world.settle().await;
    let certificates = world.get(&format!("/v1/certificates?environmentId={deployed}")).by(operator).send().await;
    let certificate = certificates.expect(200).text("/items/0/id");
    let plan = ask("/v1/environments?dryRun=true", environment("two", &component, &["a"])).await.expect(201).text("/id");
    let password = ask("/v1/stored-passwords", json!({ "alias": "vc", "password": "Secret1!" })).await.expect(201).text("/id");
    [
        ("storedPasswordId", password),
        ("hostName", "a".to_owned()),
        ("dataCenterId", component),
        ("environmentId", deployed),
        ("productId", "vcd".to_owned()),
        ("certificateId", certificate),
        ("planId", plan),
    ]
}

/// A subscription of a customer, its task, a report of its usage by its provider, and the invoice for that.
async fn bill(
    world: &World,
    operator: &Actor,
    things: &mut BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    place: &'static str,
    provider: &'static str,
) {
    let (organization, service) = (things[place]["organizationId"].clone(), things[place]["serviceId"].clone());
    let of_provider = things[provider]["organizationId"].clone();
    let subscription = subscription(world, operator, &organization, &service).await;
    let list = world.get(&format!("/v1/subscriptions/{subscription}")).by(operator).send().await;
    let row = Row {
        organization: organization.clone(),
        service,
        subscription: subscription.clone(),
        sku: "cpu".into(),
        day: "2026-10-05".into(),
        price: "1".into(),
        quantity: "1".into(),
    };
    let report = world.call(Method::POST, "/v1/usage-reports").body("text/csv", csv(std::slice::from_ref(&row))).by(operator);
    let report = report.acting_in(&of_provider).send().await;
    let wrong = Row { sku: "wrong".into(), ..row.clone() };
    let wrong = world.call(Method::POST, "/v1/usage-reports").body("text/csv", csv(&[wrong])).by(operator);
    let wrong = wrong.acting_in(&of_provider).send().await.expect(201).text("/id");
    let void = json!({ "usageReportId": wrong, "reason": "x" });
    let void = world.post("/v1/usage-voids", void).by(operator).acting_in(&of_provider).send().await;
    let invoice = json!({ "organizationId": organization, "period": "2026-10" });
    let invoice = world.post("/v1/invoices", invoice).by(operator).send().await;
    let act = json!({ "organizationId": organization, "reason": "x", "durationMinutes": 1 });
    let session = world.post("/v1/acting-sessions", act).by(operator).send().await;
    let has = things.get_mut(place).unwrap();
    has.insert("actingSessionId", session.expect(201).text("/id"));
    has.insert("taskId", list.text("/taskId"));
    // As if its plan had terms.
    let renewal = "INSERT INTO renewals (subscription_id, organization_id, months, anchor_at, months_done, starts_at, ends_at, renewal_preference, version, created_at, updated_at)
        VALUES (?1, ?2, 12, 1795262400000, 12, 1795262400000, 1826798400000, 'AUTO', 1, 0, 0)";
    world.database().execute(renewal, [&subscription, &organization]).unwrap();
    let approval = subscription.replace("sub_", "apv_");
    let sql = "INSERT INTO approvals (id, organization_id, organization_path, action, subscription_id, service_id, request, status, asked_by,
             asked_by_name, asked_in, created_at, lapses_at, disable_rollback, lapse_job_id)
         SELECT ?1, o.id, o.path, 'SUSPEND', s.id, s.service_id, '{}', 'PENDING', 'tok_01h455vb4pex5vsknk084sn02q', 'x', o.id, 0,
             4102444800000, 0, 'job_01h455vb4pex5vsknk084sn02q' FROM subscriptions s JOIN organizations o ON o.id = s.organization_id WHERE s.id = ?2";
    world.database().execute(sql, (&approval, &subscription)).unwrap();
    has.insert("approvalId", approval);
    let recovery = subscription.replace("sub_", "rec_");
    let sql = "INSERT INTO recoveries (id, organization_id, reason, email, started_by, started_by_name, started_in, status, due_at, created_at)
         VALUES (?1, ?2, 'x', 'x@example.com', 'tok_01h455vb4pex5vsknk084sn02q', 'x', ?2, 'ANNOUNCED', 4102444800000, 0)";
    world.database().execute(sql, (&recovery, &organization)).unwrap();
    has.insert("recoveryId", recovery);
    let binding = subscription.replace("sub_", "bnd_");
    let sql = "INSERT INTO service_bindings (id, organization_id, subscription_id, name, status, task_id, created_at, updated_at)
         VALUES (?1, ?2, ?3, 'app', 'ACTIVE', ?4, 0, 0)";
    world.database().execute(sql, (&binding, &organization, &subscription, list.text("/taskId"))).unwrap();
    has.insert("serviceBindingId", binding);
    has.insert("subscriptionId", subscription);
    has.insert("invoiceId", invoice.expect(201).text("/id"));
    // Of a provider with two customers, the last one.
    things.get_mut(provider).unwrap().insert("usageReportId", report.expect(201).text("/id"));
    things.get_mut(provider).unwrap().insert("usageVoidId", void.expect(201).text("/id"));
}

/// A caller of each role in an organization of the kind that the role is for; of those that hold in bound organizations, one
/// where the role was given and one in the customer bound to it.
async fn callers(
    world: &World,
    operator: &Actor,
    things: &BTreeMap<&'static str, BTreeMap<&'static str, String>>,
) -> Vec<Caller> {
    let mut callers = Vec::new();
    for &role in Role::ALL {
        let home = *TREE.iter().map(|(name, ..)| name).find(|name| kind(name) == role.row().kind.as_str()).unwrap();
        let id = &things[home]["organizationId"];
        let held = Permissions::of([role]);
        if role.row().reach != Reach::Bound {
            let actor = world.actor(operator, id, role.as_str()).await;
            callers.push(Caller { role, actor, acting: home, held });
            continue;
        }
        let bound = *TREE.iter().map(|(name, ..)| name).find(|name| parent(name) == home).unwrap();
        let person = world.member(operator, id, "bound@example.com", &[role.as_str()]).await;
        let bind = json!({ "organizationId": id, "personIds": [person.id], "addBoundOrganizationIds": [things[bound]["organizationId"]] });
        let answer = world.patch("/v1/members", bind).by(operator).send().await;
        assert_eq!(answer.expect(207).at("/failed"), json!([]));
        callers.push(Caller { role, actor: person.actor.clone(), acting: home, held: Permissions::default() });
        callers.push(Caller { role, actor: person.actor, acting: bound, held });
    }
    callers
}

#[test]
fn the_table_here_has_every_route_and_says_what_the_routes_say() {
    let mut document = Document::default();
    tables().iter().for_each(|table| table.document(&mut document));
    let document = document.whole("test");
    let known: BTreeSet<&str> = ROUTES.iter().map(|route| route.route).collect();
    assert_eq!(known.len(), ROUTES.len(), "a route is in the table twice");
    let mut there = BTreeSet::new();
    for table in tables() {
        let health = format!("/health/{}", table.component());
        for (method, path) in table.all().filter(|(_, path)| !path.starts_with("/internal/") && *path != health) {
            let name = format!("{method} {path}");
            let Some(route) = ROUTES.iter().find(|route| route.route == name) else {
                panic!("{name} is not in the table of this test: add who may call it and what it names")
            };
            let operation = &document["paths"][path][method.as_str().to_ascii_lowercase()];
            let (security, permission) = match route.needs {
                Nothing => (json!([]), Value::Null),
                Token => (json!([{ "accessToken": [] }]), Value::Null),
                One(permission) => (json!([{ "accessToken": [] }]), json!(permission)),
            };
            assert_eq!((&operation["security"], &operation["x-permission"]), (&security, &permission), "{name}");
            there.insert(route.route);
        }
    }
    assert_eq!(there, known, "the table has routes that no component has");
}

#[test]
fn every_route_lets_in_refuses_and_hides_exactly_as_the_role_table_says() {
    simulated(|| async {
        let ground = Ground::new().await;
        let world = &ground.world;
        // Whatever is let in gets as far as committing and no further, so that all see the same.
        world.hub.faults().push(Fault::on(Target::SqlMatching("COMMIT".into())).fail("disk I/O error"));
        let before = world.dump();
        let mut seen: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
        for route in ROUTES.iter().filter(|route| !matches!(route.needs, Nothing)) {
            let (method, path) = route.route.split_once(' ').unwrap();
            let method: Method = method.parse().unwrap();
            let target = if route.query.is_empty() { path.to_owned() } else { format!("{path}?{}", route.query) };
            let all = format!("{target} {}", route.body);
            let owned: Vec<_> = names(&all).filter(|name| !route.personal && is_owned(name)).collect();
            let call = |place: &str| {
                let body: Value = serde_json::from_str(&ground.filled(route.body, place)?).unwrap();
                let call = world.call(method.clone(), &ground.filled(&target, place)?).header("if-match", "*");
                Some(if method == Method::GET { call } else { call.json(&body) })
            };
            let any = TREE.iter().map(|(place, ..)| *place).find(|place| call(place).is_some());
            let any = any.unwrap_or_else(|| panic!("{all}: no organization has such a thing; let Ground::new make one"));
            call(any).unwrap().send().await.expect_problem(401, "access_token_missing");

            for caller in &ground.callers {
                let acting = &ground.things[caller.acting]["organizationId"];
                let may = match route.needs {
                    One(permission) => caller.held.has(permission),
                    _ => true,
                };
                let mut relations = BTreeSet::new();
                for (place, ..) in TREE {
                    let relation = relation(caller.acting, place);
                    // Of each relation one; where nothing is named, or nothing may be done, it makes no difference.
                    if (owned.is_empty() || !may) && !relations.is_empty() || relations.contains(relation) {
                        continue;
                    }
                    let Some(call) = call(place) else { continue };
                    relations.insert(relation);
                    let answer = call.by(&caller.actor).acting_in(acting).send().await;
                    let expected = match (may, owned.is_empty() || caller.reaches(place)) {
                        (false, _) => "refused",
                        (true, true) => "let in",
                        (true, false) => "not there",
                    };
                    let found = match (answer.status(), answer.at("/code").as_str()) {
                        (403, Some("permission_missing")) => "refused",
                        // Of the caller's own, which is nothing.
                        (404, _) if route.personal => "let in",
                        (404, _) => "not there",
                        (401, _) => "unknown",
                        _ => "let in",
                    };
                    assert_eq!(
                        found,
                        expected,
                        "{} as {} in the {}, of its {relation}, the {place}: {} {}",
                        route.route,
                        caller.role,
                        caller.acting,
                        answer.status(),
                        answer.json()
                    );
                    // A fault must be ours.
                    assert!(answer.status() < 500 || method != Method::GET, "{}: {}", route.route, answer.json());
                    seen.entry(route.route).or_default().insert((expected, relation));
                }
                if may && !route.lists.is_empty() {
                    let listed = world.get(&format!("{path}?limit=200")).by(&caller.actor).acting_in(acting).send().await;
                    let listed = listed.expect(200).at("/items");
                    let listed: BTreeSet<_> = listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
                    for (place, has) in &ground.things {
                        let Some(id) = has.get(route.lists) else { continue };
                        let is_listed = listed.contains(id.as_str());
                        assert_eq!(is_listed, caller.reaches(place), "{} as {}: the {place}'s", route.route, caller.role);
                    }
                }
            }
            let seen = &seen[route.route];
            let came = |what: &str| seen.iter().any(|(found, _)| *found == what);
            assert!(came("let in"), "{}: nobody was let in", route.route);
            assert!(came("refused") || matches!(route.needs, Token), "{}: nobody was refused", route.route);
            // The operator alone may do some things, and from the operator nothing is hidden.
            let operators = matches!(route.needs, One(permission) if Role::ALL.iter().all(|role|
                role.row().kind.as_str() == "OPERATOR" || !Permissions::of([*role]).has(permission)));
            assert!(came("not there") || owned.is_empty() || operators, "{}: it hid nothing", route.route);
        }
        assert_eq!(world.dump(), before);
        for relation in ["own organization", "parent", "child", "sibling", "stranger"] {
            assert!(seen.values().any(|seen| seen.iter().any(|(_, of)| *of == relation)), "{relation}");
        }
    });
}

/// Where somebody may act at all: where a role of theirs reaches, and else there is no such organization.
#[test]
fn everybody_acts_where_their_roles_reach_and_nowhere_else() {
    simulated(|| async {
        let ground = Ground::new().await;
        for caller in &ground.callers {
            for (place, ..) in TREE {
                let id = &ground.things[place]["organizationId"];
                let answer = ground.world.get("/v1/me").by(&caller.actor).acting_in(id).send().await;
                // Whoever has a role of bound organizations is at home where it was given, too.
                let bound = caller.role.row().reach == Reach::Bound && ["provider", "customer"].contains(place);
                // Into a customer there is a way from above only by an acting session.
                let from_above = kind(place) == "CUSTOMER" && caller.acting != *place && !bound;
                if caller.reaches(place) && from_above {
                    answer.expect_problem(403, "acting_session_required");
                } else if bound || caller.reaches(place) {
                    answer.expect(200);
                } else {
                    answer.expect_problem(404, "organization_not_found");
                }
            }
        }
    });
}
