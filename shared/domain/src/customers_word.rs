//! A customer's word binds its provider: who gives tokens, roles, policies, identity providers and passwords inside a customer.
//!
//! Until a customer has an administrator of its own, those above it set it up. From then on, and for good, only its own people give
//! and take there; a customer that has lost its last administrator gets another by a [recovery](crate::recovery) alone.

use crate::{Error, Id, Kind, OrganizationKind, Result, id};

/// How somebody stands to an organization in which they give something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The organization is no customer, or they speak for it: they have a role of its own that may give, and that it gave itself.
    Own,
    /// They act from above, in a customer that has had no administrator of its own.
    Above,
}

/// Whether somebody may give and take inside an organization, as far as that is not a matter of their roles. `self_administered` says
/// that it has had an administrator of its own, `speaks` that they speak for it.
pub fn standing(
    organization: Id<id::Organization>,
    kind: OrganizationKind,
    self_administered: bool,
    speaks: bool,
) -> Result<Standing> {
    match (kind, self_administered, speaks) {
        (OrganizationKind::Customer, false, false) => Ok(Standing::Above),
        (OrganizationKind::Customer, true, false) => Err(customer_decides(organization)),
        _ => Ok(Standing::Own),
    }
}

/// The refusal of whoever is above a customer that gives for itself.
pub fn customer_decides(customer: Id<id::Organization>) -> Error {
    Error::new(
        Kind::Forbidden,
        "customer_decides",
        format!(
            "{customer} has an administrator of its own, so the tokens, roles, policies and passwords in it are its own to give and to take. Ask one of its administrators. If it has lost the last one, start a recovery: POST /v1/organizations/{customer}/recoveries."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        OrganizationPath, Permission, Role,
        role::{ACTING, Authority, Binding, Permissions, WORD},
    };
    use proptest::prelude::*;

    #[test]
    fn nobody_gives_in_a_customer_that_has_had_an_administrator_but_its_own() {
        let id = Id::from_uuid(uuid::Uuid::from_u128(1));
        for &kind in OrganizationKind::ALL {
            for (administered, speaks) in [(false, false), (false, true), (true, false), (true, true)] {
                let expected = match (kind, administered, speaks) {
                    (OrganizationKind::Customer, true, false) => Err("customer_decides"),
                    (OrganizationKind::Customer, false, false) => Ok(Standing::Above),
                    _ => Ok(Standing::Own),
                };
                assert_eq!(standing(id, kind, administered, speaks).map_err(|error| error.code), expected);
            }
        }
    }

    /// Those above a customer, and what they have in it. The first has every role above that gives anything.
    #[derive(Clone, Debug)]
    struct House {
        paths: [OrganizationPath; 4],
        /// By principal: people above, machines that were issued, and at last the customer's own administrator.
        held: Vec<Vec<Held>>,
        self_administered: bool,
    }

    #[derive(Clone, Debug)]
    struct Held {
        role: Role,
        path: OrganizationPath,
        bound: bool,
        from_above: bool,
    }

    const ABOVE: [(usize, Role); 7] = [
        (0, Role::OperatorAdministrator),
        (1, Role::DistributorAdministrator),
        (2, Role::ProviderAdministrator),
        (2, Role::ProviderOperationsAdministrator),
        (2, Role::ProviderAccountAdministrator),
        (2, Role::ProviderSupportUser),
        (2, Role::ProviderServiceManager),
    ];

    impl House {
        fn new() -> Self {
            let id = |n| Id::from_uuid(uuid::Uuid::from_u128(n));
            let operator = OrganizationPath::root(id(1));
            let distributor = operator.child(id(2));
            let provider = distributor.child(id(3));
            let paths = [operator, distributor, provider.clone(), provider.child(id(4))];
            let above =
                |&(place, role): &(usize, Role)| vec![Held { role, path: paths[place].clone(), bound: false, from_above: false }];
            Self { held: ABOVE.iter().map(above).collect(), paths: paths.clone(), self_administered: false }
        }

        fn customer(&self) -> &OrganizationPath {
            &self.paths[3]
        }

        fn bindings(&self, who: usize) -> Vec<Binding> {
            let binding = |held: &Held| Binding {
                role: held.role,
                path: held.path.clone(),
                bound: held.bound,
                overruled: self.self_administered && held.path == *self.customer() && (held.from_above || held.bound),
            };
            self.held[who].iter().map(binding).collect()
        }

        /// What they may do in the customer by what they were given inside it.
        fn inside(&self, who: usize) -> Permissions {
            let own: Vec<_> = self.bindings(who).into_iter().filter(|binding| binding.path == *self.customer()).collect();
            Authority::of(&own, self.customer()).here
        }

        fn standing(&self, who: usize) -> Result<Standing> {
            let speaks =
                |held: &Held| held.role.speaks_for_customer() && held.path == *self.customer() && !held.bound && !held.from_above;
            let id = self.customer().id().unwrap();
            standing(id, OrganizationKind::Customer, self.self_administered, self.held[who].iter().any(speaks))
        }

        /// Gives a role in the customer to somebody, or to a new machine; as far as the rules let them.
        fn give(&mut self, by: usize, to: Option<usize>, role: Role) {
            let Ok(standing) = self.standing(by) else { return };
            let authority = Authority::of(&self.bindings(by), self.customer());
            let needed = if to.is_some() { Permission::MemberWrite } else { Permission::ApiTokenWrite };
            let first = to.is_some_and(|to| to != by) && !self.self_administered;
            if !authority.here.has(needed) || authority.check(role, first).is_err() {
                return;
            }
            let own = to.is_some() && role.speaks_for_customer();
            let from_above = standing == Standing::Above && !own;
            let held = Held { role, path: self.customer().clone(), bound: false, from_above };
            match to {
                Some(to) => self.held[to].push(held),
                None => self.held.push(vec![held]),
            }
            self.self_administered |= own;
        }

        fn bind(&mut self, by: usize, to: usize) {
            let role = Role::ProviderAccountAdministrator;
            let authority = Authority::of(&self.bindings(by), &self.paths[2]);
            if authority.here.has(Permission::MemberWrite) && authority.covers(role) {
                let held = |path: &OrganizationPath, bound| Held { role, path: path.clone(), bound, from_above: false };
                let both = [held(&self.paths[2], false), held(self.customer(), true)];
                self.held[to].extend(both);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever those above do, before the customer has an administrator and after, in whatever order: once it has one, nobody has
        /// inside it more than an acting session gives, nor can give anything; but for the administrator.
        #[test]
        fn nobody_above_has_more_inside_than_an_acting_session_gives(
            before in proptest::collection::vec((0..3u8, 0usize..40, 0usize..7, 0usize..4), 0..20),
            after in proptest::collection::vec((0..3u8, 0usize..40, 0usize..7, 0usize..4), 1..20),
        ) {
            let roles: Vec<_> = Role::ALL.iter().copied().filter(|role| role.row().kind == OrganizationKind::Customer).collect();
            let mut house = House::new();
            let act = |house: &mut House, (what, by, to, role): (u8, usize, usize, usize)| {
                let (by, role) = (by % house.held.len(), roles[role % roles.len()]);
                match what {
                    // That somebody above is made the administrator is told below: it is then the customer's word.
                    0 if !role.speaks_for_customer() => house.give(by, Some(to), role),
                    0 | 1 => house.give(by, None, role),
                    _ => house.bind(by, to),
                }
            };
            before.into_iter().for_each(|wish| act(&mut house, wish));
            let administrator = house.held.len();
            house.held.push(Vec::new());
            house.give(2, Some(administrator), Role::CustomerAdministrator);
            prop_assert!(house.self_administered && house.standing(administrator) == Ok(Standing::Own));
            let cap = Permissions::of([Role::OperatorAdministrator]).within(ACTING);
            let known = house.held.len();
            for wish in after {
                // The administrator does nothing here: what they give is the customer's.
                if wish.1 % house.held.len() != administrator {
                    act(&mut house, wish);
                }
                prop_assert_eq!(house.held.len(), known);
                for who in (0..house.held.len()).filter(|who| *who != administrator) {
                    prop_assert_eq!(house.standing(who).map_err(|error| error.code), Err("customer_decides"));
                    let bound = house.held[who].iter().any(|held| held.bound);
                    let inside = house.inside(who);
                    // An account administrator has besides what its provider does from above, and gives nothing.
                    prop_assert!(cap.covers(inside) || bound);
                    prop_assert!(WORD.iter().all(|permission| !inside.has(*permission)), "{:?}", house.held[who]);
                }
            }
        }
    }
}
