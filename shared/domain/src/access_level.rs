//! Access levels: up to what a customer's own people use the services that the customer has.
//!
//! The provider says it of the customer, the customer's administrator of its people, each for all services or for single ones.
//! The lower of the two counts. What a level permits is what a permission of the role table does, for one service: so where
//! nothing is said, the roles decide as they do without levels.

use crate::{Error, Permission, Result, role::Permissions, text_enum};

text_enum! {
    /// Up to what somebody uses a service. Each includes those before.
    pub enum AccessLevel {
        /// Not at all: it is not there.
        None = "NONE",
        /// See what the customer has of it.
        View = "VIEW",
        /// Also get the credentials of its service bindings, and enter cloud endpoints.
        Use = "USE",
        /// Also order it, change it, suspend it, resume it, terminate it, say what becomes of it when its term ends, and make and
        /// delete service bindings.
        Manage = "MANAGE",
    }
}

/// Up to what a customer uses services of which its provider has said nothing: what the roles permit that the customer itself can
/// grant. More is the provider's to give, by a level or by a role; whoever has it by a role is held by no level that nobody said.
pub const OF_CUSTOMERS: AccessLevel = AccessLevel::Use;

impl AccessLevel {
    /// The level that a request with this permission needs of whoever belongs to a customer, if it is about services at all.
    pub fn needed(permission: Permission) -> Option<Self> {
        match permission {
            // What is not seen is not approved either.
            Permission::SubscriptionRead | Permission::SubscriptionApprove | Permission::CloudEndpointRead => Some(Self::View),
            Permission::CredentialRead | Permission::CloudEndpointAccess => Some(Self::Use),
            Permission::SubscriptionWrite | Permission::TaskWrite => Some(Self::Manage),
            _ => None,
        }
    }

    /// The level that roles come to where none is said of a person.
    pub fn permitted(permissions: Permissions) -> Self {
        let ladder = [
            (Permission::SubscriptionWrite, Self::Manage),
            (Permission::CredentialRead, Self::Use),
            (Permission::SubscriptionRead, Self::View),
        ];
        ladder.into_iter().find(|(permission, _)| permissions.has(*permission)).map_or(Self::None, |(_, level)| level)
    }

    /// What holds for a person in a customer: of what was said of the customer, or [`OF_CUSTOMERS`], and of what was said of the
    /// person, or what their roles permit, the lower.
    pub fn effective(customer: Option<Self>, person: Option<Self>, permitted: Self) -> Self {
        customer.unwrap_or(OF_CUSTOMERS.max(permitted)).min(person.unwrap_or(permitted))
    }

    /// Refuses to say more of a person than holds for their customer, of which `customer` was said. `pointer` is where the request
    /// says it.
    pub fn check_within(self, customer: Option<Self>, pointer: &str) -> Result<()> {
        let most = customer.unwrap_or(OF_CUSTOMERS);
        if self <= most {
            return Ok(());
        }
        Err(Error::invalid(
            pointer,
            format!(
                "is above {most}, up to which the customer itself may use it; say {most} or less, or ask its provider for more"
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::{ROLES, Reach};
    use crate::{OrganizationKind, Role};
    use proptest::prelude::*;

    fn level() -> impl Strategy<Value = AccessLevel> {
        prop::sample::select(AccessLevel::ALL)
    }

    proptest! {
        #[test]
        fn what_holds_is_never_above_either_part(
            customer in prop::option::of(level()), person in prop::option::of(level()), permitted in level(),
        ) {
            let holds = AccessLevel::effective(customer, person, permitted);
            prop_assert!(customer.is_none_or(|customer| holds <= customer));
            prop_assert!(person.is_none_or(|person| holds <= person));
            // Where nothing is said of the person, it is never more than their roles permit.
            prop_assert!(person.is_some() || holds <= permitted);
            // It is one of the two, and not less than both.
            let unsaid = OF_CUSTOMERS.max(permitted);
            prop_assert!(holds == customer.unwrap_or(unsaid) || holds == person.unwrap_or(permitted));
            // To lower either never raises it.
            for lower in AccessLevel::ALL.iter().filter(|lower| Some(**lower) < customer) {
                prop_assert!(AccessLevel::effective(Some(*lower), person, permitted) <= holds);
            }
            for lower in AccessLevel::ALL.iter().filter(|lower| Some(**lower) < person) {
                prop_assert!(AccessLevel::effective(customer, Some(*lower), permitted) <= holds);
            }
            // What may be said holds; what is refused to be said would not hold, but for those whose roles permit as much already.
            if let Some(person) = person {
                let may = person.check_within(customer, "/level").is_ok();
                let right = if may { holds == person } else { holds < person || person <= permitted };
                prop_assert!(right);
            }
        }
    }

    /// Where nobody has said anything, all is as the role table has it.
    #[test]
    fn where_nothing_is_said_the_roles_of_customers_decide() {
        for row in ROLES.iter().filter(|row| row.kind == OrganizationKind::Customer) {
            let permissions = Permissions::of([row.role]);
            let permitted = AccessLevel::permitted(permissions);
            assert_eq!(AccessLevel::effective(None, None, permitted), permitted, "{}", row.role);
            for permission in [Permission::SubscriptionRead, Permission::CredentialRead, Permission::SubscriptionWrite] {
                let needed = AccessLevel::needed(permission).unwrap();
                assert_eq!(permissions.has(permission), permitted >= needed, "{} {permission}", row.role);
            }
            assert!(row.reach != Reach::Bound);
        }
        assert_eq!(AccessLevel::permitted(Permissions::of([Role::CustomerAdministrator])), AccessLevel::Use);
        assert_eq!(AccessLevel::permitted(Permissions::of([Role::CustomerUser])), AccessLevel::View);
        assert_eq!(AccessLevel::permitted(Permissions::default()), AccessLevel::None);
    }
}
