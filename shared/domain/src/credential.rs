//! What a credential, an API token or an app, may be given.

use crate::{Error, Instant, OrganizationKind, Result, Role, role::Reach};

/// The roles, each once and in the order of their names, if there are any and all are of organizations of this kind.
pub fn check_roles(roles: &[Role], kind: OrganizationKind) -> Result<Vec<Role>> {
    if roles.is_empty() {
        return Err(Error::invalid("/roles", "is empty; name at least one role of GET /v1/roles"));
    }
    if let Some((index, role)) = roles.iter().enumerate().find(|(_, role)| role.row().kind != kind) {
        return Err(Error::invalid(
            format!("/roles/{index}"),
            format!("{role} is a role in organizations of the kind {}; this one is of the kind {kind}", role.row().kind),
        ));
    }
    if let Some((index, role)) = roles.iter().enumerate().find(|(_, role)| role.row().reach == Reach::Bound) {
        return Err(Error::invalid(
            format!("/roles/{index}"),
            format!(
                "{role} holds in the customers that are bound to a member, and to an API token or an app none can be bound, so it would permit nothing; issue one in each customer, with a role of GET /v1/roles for a CUSTOMER"
            ),
        ));
    }
    let mut roles = roles.to_vec();
    roles.sort_unstable_by_key(|role| role.as_str());
    roles.dedup();
    Ok(roles)
}

/// When a credential ends that is asked for at `now`: as it is wanted, and no later than its owner, if that is a credential
/// which ends.
pub fn end(wanted: Option<Instant>, owner_ends: Option<Instant>, now: Instant) -> Result<Option<Instant>> {
    match (wanted, owner_ends) {
        (Some(end), _) if end <= now => {
            Err(Error::invalid("/expiresAt", "is in the past; choose a later instant, or leave it out"))
        }
        (Some(end), Some(last)) if end > last => Err(Error::invalid(
            "/expiresAt",
            format!(
                "is later than {last:?}, when the credential ends that asks for it; choose an earlier instant, or leave it out"
            ),
        )),
        (wanted, owner_ends) => Ok(wanted.or(owner_ends)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::ROLES;
    use proptest::prelude::*;

    fn at(millis: i64) -> Instant {
        Instant::from_timestamp_millis(millis).unwrap()
    }

    #[test]
    fn roles_are_of_the_kind_and_each_counts_once() {
        let both = [Role::ProviderBillingUser, Role::ProviderAdministrator, Role::ProviderBillingUser];
        let sorted = vec![Role::ProviderAdministrator, Role::ProviderBillingUser];
        assert_eq!(check_roles(&both, OrganizationKind::Provider), Ok(sorted));
        assert_eq!(check_roles(&[], OrganizationKind::Provider).unwrap_err().fields[0].pointer, "/roles");
        let mixed = [Role::ProviderAdministrator, Role::CustomerUser];
        assert_eq!(check_roles(&mixed, OrganizationKind::Provider).unwrap_err().fields[0].pointer, "/roles/1");
        for row in ROLES {
            let can_have = |kind| kind == row.kind && row.reach != Reach::Bound;
            assert!(OrganizationKind::ALL.iter().all(|&kind| check_roles(&[row.role], kind).is_ok() == can_have(kind)));
        }
    }

    proptest! {
        #[test]
        fn nothing_outlives_its_owner(wanted in proptest::option::of(0i64..1000), owner in proptest::option::of(1i64..1000), now in 0i64..1000) {
            if let Ok(end) = end(wanted.map(at), owner.map(at), at(now)) {
                prop_assert!(wanted.is_none_or(|wanted| end == Some(at(wanted)) && wanted > now));
                prop_assert!(owner.is_none_or(|owner| end.is_some_and(|end| end <= at(owner))));
                prop_assert_eq!(end.is_none(), wanted.is_none() && owner.is_none());
            }
        }
    }
}
