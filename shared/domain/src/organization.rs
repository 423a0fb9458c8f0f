//! Organizations and the tree they form.

use crate::{Error, FieldError, Id, Result, country::Country, id, subdivision, text_enum};
use std::fmt;

text_enum! {
    /// What an organization is. The kinds are ranked: an organization stands below one of a higher rank, and levels
    /// may be absent.
    pub enum OrganizationKind {
        /// Runs the hub; the root of the tree.
        Operator = "OPERATOR",
        /// Signs commit contracts with providers (an aggregator).
        Distributor = "DISTRIBUTOR",
        /// Sells through providers.
        Reseller = "RESELLER",
        /// Provisions services to its customers.
        Provider = "PROVIDER",
        /// Consumes services (a tenant).
        Customer = "CUSTOMER",
    }
}

impl OrganizationKind {
    /// Refuses what only customers have, of the organization `id`, which is of this kind. `what` says what that is.
    pub fn check_customer(self, id: Id<id::Organization>, what: &str) -> Result<()> {
        if self == Self::Customer {
            return Ok(());
        }
        Err(Error::conflict(
            "not_a_customer",
            format!("{id} is of the kind {self}, and only a CUSTOMER has {what}. Name a customer."),
        ))
    }
}

text_enum! {
    /// Whether an organization can be acted in.
    pub enum OrganizationStatus {
        /// It can.
        Active = "ACTIVE",
        /// It cannot, since it or one above it is disabled; what it has stays.
        Disabled = "DISABLED",
        /// It is no more. Its record stays, so that invoices and the audit can name it.
        Removed = "REMOVED",
    }
}

text_enum! {
    /// What a customer is to its provider.
    pub enum TenantType {
        /// A customer.
        Default = "DEFAULT",
        /// A part of the provider's own house.
        Internal = "INTERNAL",
    }
}

text_enum! {
    /// How far a provider has come.
    pub enum ProviderStatus {
        /// It tries the hub out.
        Trial = "TRIAL",
        /// It pays.
        Paid = "PAID",
    }
}

text_enum! {
    /// Whether a provider is a main or an additional one.
    pub enum ProviderType {
        /// A provider by itself.
        Standard = "STANDARD",
        /// Another organization of a provider, beside its main one: to test in, or to administer apart.
        Additional = "ADDITIONAL",
    }
}

text_enum! {
    /// How an organization takes part in selling.
    pub enum PartnerType {
        /// As a partner.
        Partner = "PARTNER",
        /// Orders for its customers.
        Reseller = "RESELLER",
        /// Orders, quotes and amends for its customers.
        DirectReseller = "DIRECT_RESELLER",
    }
}

/// How many additional organizations a provider may have.
pub const ADDITIONAL_PROVIDERS: u32 = 20;

impl OrganizationKind {
    /// Whether an organization of this kind may stand directly below one of `parent`. Customers stand below providers only, since
    /// a provider is who answers for them.
    pub fn may_stand_below(self, parent: Self) -> bool {
        self > parent && (self != Self::Customer || parent == Self::Provider)
    }
}

/// Where an organization stands in the tree: the ids from the root down to itself, each ended by a dot. One
/// organization is above another exactly when its path begins the other's, which an index answers with one range.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OrganizationPath(String);

impl OrganizationPath {
    /// The path of the tree's root.
    pub fn root(operator: Id<id::Organization>) -> Self {
        Self(format!("{operator}."))
    }

    /// The path of an organization directly below this one.
    pub fn child(&self, id: Id<id::Organization>) -> Self {
        Self(format!("{}{id}.", self.0))
    }

    /// The path as it was stored. Only `store` calls this.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// Whether the other organization is this one or below it.
    pub fn reaches(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The organization at the path's end. `None` for what no database of ours holds.
    pub fn id(&self) -> Option<Id<id::Organization>> {
        self.0.strip_suffix('.')?.rsplit('.').next()?.parse().ok()
    }

    /// The organizations from the root down to the one at the path's end.
    pub fn line(&self) -> impl Iterator<Item = Id<id::Organization>> {
        self.0.split('.').filter_map(|id| id.parse().ok())
    }

    /// The text of the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The end of the range of texts that begin with this path. `/` follows the dot in ASCII, and in every collation
    /// that orders by bytes.
    pub fn range_end(&self) -> String {
        let mut end = self.0.clone();
        end.pop();
        end.push('/');
        end
    }
}

impl fmt::Display for OrganizationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses a child of the wrong kind, saying which kinds would do.
pub fn check_kind(child: OrganizationKind, parent: OrganizationKind) -> Result<()> {
    if child.may_stand_below(parent) {
        return Ok(());
    }
    let possible: Vec<_> =
        OrganizationKind::ALL.iter().filter(|kind| kind.may_stand_below(parent)).map(|kind| kind.as_str()).collect();
    Err(Error::invalid(
        "/kind",
        match possible.as_slice() {
            [] => format!("no organization can stand below one of the kind {parent}; choose another parentId"),
            kinds => format!("{child} cannot stand below {parent}; below it can stand: {}", kinds.join(", ")),
        },
    ))
}

/// Refuses a first administrator of what is no customer, and the name of nobody.
pub fn check_admin_user(kind: OrganizationKind, is_named: bool, has_name: bool) -> Result<()> {
    if is_named && kind != OrganizationKind::Customer {
        return Err(Error::invalid(
            "/adminUserEmail",
            format!(
                "is of CUSTOMER organizations only; leave it out, and add the administrator of the {kind} with POST /v1/members"
            ),
        ));
    }
    if has_name && !is_named {
        return Err(Error::invalid(
            "/adminUserName",
            "is the name of whom adminUserEmail names; say that as well, or leave it out",
        ));
    }
    Ok(())
}

/// What is said of an organization that only some kinds have.
#[derive(Clone, Debug, Default)]
pub struct Traits {
    /// Of customers.
    pub tenant_type: Option<TenantType>,
    /// Of providers.
    pub provider_status: Option<ProviderStatus>,
    /// Of providers.
    pub provider_type: Option<ProviderType>,
    /// Of additional providers.
    pub main_provider_id: Option<Id<id::Organization>>,
    /// Of whoever sells: distributors, resellers and providers; each at most once.
    pub partner_types: Vec<PartnerType>,
}

impl Traits {
    /// Refuses what an organization of this kind does not have, and fills in what it has when nothing was said.
    pub fn checked(mut self, kind: OrganizationKind) -> Result<Self> {
        let (customer, provider) = (kind == OrganizationKind::Customer, kind == OrganizationKind::Provider);
        let seller = provider || matches!(kind, OrganizationKind::Distributor | OrganizationKind::Reseller);
        let mut errors = Vec::new();
        let mut refuse = |wrong: bool, pointer: &str, detail: &str| {
            if wrong {
                errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
            }
        };
        refuse(self.tenant_type.is_some() && !customer, "/tenantType", "is said of a CUSTOMER only; leave it out");
        refuse(self.provider_status.is_some() && !provider, "/providerStatus", "is said of a PROVIDER only; leave it out");
        refuse(self.provider_type.is_some() && !provider, "/providerType", "is said of a PROVIDER only; leave it out");
        refuse(
            !self.partner_types.is_empty() && !seller,
            "/partnerTypes",
            "is said of a DISTRIBUTOR, RESELLER or PROVIDER only; leave it out",
        );
        let additional = self.provider_type == Some(ProviderType::Additional);
        refuse(
            self.main_provider_id.is_some() && !additional,
            "/mainProviderId",
            "is said of a provider of the providerType ADDITIONAL only; leave it out",
        );
        refuse(
            additional && self.main_provider_id.is_none(),
            "/mainProviderId",
            "is missing: say which STANDARD provider the ADDITIONAL one belongs to",
        );
        let twice = self.partner_types.iter().enumerate().any(|(index, one)| self.partner_types[..index].contains(one));
        refuse(twice, "/partnerTypes", "has one twice; say each once");
        if !errors.is_empty() {
            return Err(Error::invalid_fields(errors));
        }
        if customer {
            self.tenant_type.get_or_insert(TenantType::Default);
        }
        if provider {
            self.provider_status.get_or_insert(ProviderStatus::Paid);
            self.provider_type.get_or_insert(ProviderType::Standard);
        }
        Ok(self)
    }
}

/// A state or province as it is kept: see [`subdivision::normalized`].
pub fn checked_state(country: Country, state: Option<&str>) -> Result<Option<String>> {
    state.map(|state| subdivision::normalized(country, state).map_err(|detail| Error::invalid("/state", detail))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use OrganizationKind::*;

    #[test]
    fn each_kind_has_its_own_traits_and_defaults() {
        let of = |kind| Traits::default().checked(kind).unwrap();
        assert_eq!(of(Customer).tenant_type, Some(TenantType::Default));
        assert_eq!(
            (of(Provider).provider_status, of(Provider).provider_type),
            (Some(ProviderStatus::Paid), Some(ProviderType::Standard))
        );
        assert!(of(Reseller).tenant_type.is_none() && of(Customer).provider_type.is_none());
        let wrong = |traits: Traits, kind| {
            traits.checked(kind).unwrap_err().fields.into_iter().map(|field| field.pointer).collect::<Vec<_>>()
        };
        let all = Traits {
            tenant_type: Some(TenantType::Internal),
            provider_status: Some(ProviderStatus::Trial),
            provider_type: Some(ProviderType::Additional),
            main_provider_id: None,
            partner_types: vec![PartnerType::Partner, PartnerType::Partner],
        };
        assert_eq!(wrong(all.clone(), Provider), ["/tenantType", "/mainProviderId", "/partnerTypes"]);
        assert_eq!(
            wrong(all, Customer),
            ["/providerStatus", "/providerType", "/partnerTypes", "/mainProviderId", "/partnerTypes"]
        );
    }

    #[test]
    fn levels_may_be_absent_but_not_turned_round() {
        assert!(
            Provider.may_stand_below(Operator) && Provider.may_stand_below(Distributor) && Provider.may_stand_below(Reseller)
        );
        assert!(!Distributor.may_stand_below(Provider) && !Provider.may_stand_below(Provider));
        assert!(Customer.may_stand_below(Provider) && !Customer.may_stand_below(Operator));
        assert!(OrganizationKind::ALL.iter().all(|&kind| !Operator.may_stand_below(kind)));
    }

    #[test]
    fn a_path_reaches_itself_and_what_is_below() {
        let id = |n| Id::<id::Organization>::from_uuid(uuid::Uuid::from_u128(n));
        let root = OrganizationPath::root(id(1));
        let (left, right) = (root.child(id(2)), root.child(id(3)));
        let leaf = left.child(id(4));
        assert!(root.reaches(&root) && root.reaches(&leaf) && left.reaches(&leaf));
        assert!(!left.reaches(&right) && !left.reaches(&root) && !leaf.reaches(&left));
        for (above, below) in [(&root, &leaf), (&left, &leaf), (&left, &left)] {
            assert!(above.as_str() <= below.as_str() && below.as_str() < above.range_end().as_str());
        }
        assert!(!(right.as_str() >= left.as_str() && right.as_str() < left.range_end().as_str()));
    }
}
