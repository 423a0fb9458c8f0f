//! Members of organizations: what they can be given, who must remain, and how long an invitation lives.

use crate::{
    Error, Id, Instant, JsonSchema, Kind, List, OrganizationKind, Permission, PrincipalId, Result, Role, Text, id,
    person::Email,
    role::{Authority, Reach},
    text_enum,
};
use serde::{Deserialize, Serialize};

/// For how many days an invitation can be accepted.
pub const INVITATION_DAYS: i64 = 7;

/// The most people that one request names.
pub const PEOPLE: usize = 100;

/// The most organizations that can be bound to a member's role.
pub const BOUND: usize = 500;

text_enum! {
    /// What became of an invitation.
    pub enum InvitationStatus {
        /// It can be accepted.
        Pending = "PENDING",
        /// It was accepted.
        Accepted = "ACCEPTED",
        /// It was taken back.
        Revoked = "REVOKED",
        /// Nobody accepted it in time. It can be sent again.
        Expired = "EXPIRED",
    }
}

impl InvitationStatus {
    /// The status at `now` of an invitation that is kept with this one and ends at `expires_at`.
    #[must_use]
    pub fn at(self, now: Instant, expires_at: Instant) -> Self {
        if self == Self::Pending && expires_at <= now { Self::Expired } else { self }
    }

    /// Refuses to accept what is not pending.
    pub fn check_acceptable(self) -> Result<()> {
        let (code, text) = match self {
            Self::Pending => return Ok(()),
            Self::Accepted => {
                ("invitation_accepted", "The invitation was accepted before. Sign in; there is nothing left to do.")
            }
            Self::Revoked => ("invitation_revoked", "The invitation was taken back. Ask whoever invited you for another."),
            Self::Expired => ("invitation_expired", "The invitation has expired. Ask whoever invited you to send it again."),
        };
        Err(Error::conflict(code, text))
    }

    /// Refuses to send again or to take back what has come to its end.
    pub fn check_open(self) -> Result<()> {
        match self {
            Self::Pending | Self::Expired => Ok(()),
            Self::Accepted | Self::Revoked => Err(Error::conflict(
                "invitation_closed",
                format!(
                    "The invitation is {self}, so it cannot be sent again or taken back. Invite the person anew, or remove the member."
                ),
            )),
        }
    }
}

/// What a member is given in an organization.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grants {
    /// The roles: at least one, of the organization's kind. They add up.
    pub roles: List<Role, 20>,
    /// The customers that PROVIDER_ACCOUNT_ADMINISTRATOR is to hold in.
    #[serde(default)]
    pub bound_organization_ids: List<Id<id::Organization>, BOUND>,
    /// The roles in services. In services that none of them is of, the member gets the default roles.
    #[serde(default)]
    pub service_role_ids: List<Id<id::ServiceRole>, 100>,
}

/// The person to invite as the first administrator of the organization of a job. Jobs of this kind stand in databases of older versions
/// only.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FirstAdministrator {
    /// Their mail address.
    pub email: Email,
    /// The name they go by, for those the hub does not know yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Text<1, 120>>,
    /// Who named them: the invitation rests on that principal's rights.
    pub by: PrincipalId,
}

/// Whether the inviter sees the secret of a member invitation, which lets its holder set the password of an account that opens the
/// organization. Only the organization's own people do (`own`), and not for its first administrator (`first`): nobody makes a
/// second account of their own the administrator of an organization. The address's mailbox has a secret of its own in any case.
pub fn sees_secret(own: bool, first: bool) -> bool {
    own && !first
}

/// Refuses an account of which nobody knows that it belongs to the owner of its address, where only the owner is meant.
pub fn check_confirmed(confirmed: bool) -> Result<()> {
    if confirmed {
        return Ok(());
    }
    Err(Error::new(
        Kind::Forbidden,
        "address_unconfirmed",
        "The owner of the mail address has not confirmed it. They do by accepting an invitation with the secret in their mail, or by setting a password with the link in the mail that POST /v1/sign-in/password-reset sends.",
    ))
}

/// Refuses roles that no member of an organization of this kind can have. `pointer` is where the request has them.
pub fn check_kind(pointer: &str, roles: &[Role], kind: OrganizationKind) -> Result<()> {
    match roles.iter().find(|role| role.row().kind != kind) {
        None => Ok(()),
        Some(role) => Err(Error::invalid(
            pointer,
            format!(
                "{role} is a role in organizations of the kind {}; this one is of the kind {kind}. GET /v1/roles says which roles there are",
                role.row().kind
            ),
        )),
    }
}

/// Refuses bound organizations without a role that they could be bound to.
pub fn check_bound(roles: &[Role], bound: usize) -> Result<()> {
    if bound == 0 || roles.iter().any(|role| role.row().reach == Reach::Bound) {
        return Ok(());
    }
    Err(Error::invalid(
        "/boundOrganizationIds",
        "can only be given with PROVIDER_ACCOUNT_ADMINISTRATOR; leave it out, or give that role too",
    ))
}

/// Refuses to name first administrators of new customers unless the caller could make them administrators. `own` is the caller's own
/// mail address: nobody makes themselves the first administrator of a customer.
pub fn check_first_administrators<'a>(
    authority: &Authority,
    own: Option<&Email>,
    mut named: impl Iterator<Item = &'a Email>,
) -> Result<()> {
    if !authority.here.has(Permission::MemberWrite) {
        return Err(Error::new(
            Kind::Forbidden,
            "permission_missing",
            format!(
                "Naming an administrator needs the permission {}, which none of your roles gives. Leave adminUserEmail out.",
                Permission::MemberWrite
            ),
        ));
    }
    let oneself = own.is_some_and(|own| named.any(|email| email == own));
    authority.check(Role::CustomerAdministrator, !oneself)
}

/// Refuses to take a role from somebody that permits more than the caller's own do, and the last administrator's from them:
/// nobody could make another. `others` says whether somebody else has an administrator's role there.
pub fn check_removal(authority: &Authority, role: Role, others: bool) -> Result<()> {
    authority.check(role, false)?;
    if role.is_administrator() && !others {
        return Err(last_administrator());
    }
    Ok(())
}

/// The organization would be left without anybody who runs it.
pub fn last_administrator() -> Error {
    Error::conflict(
        "last_administrator",
        "This is the organization's last administrator, without whom nobody could run it. Make another member its administrator first.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        OrganizationPath,
        role::{Binding, Permissions},
    };
    use proptest::prelude::*;

    #[test]
    fn an_invitation_ends_by_itself_and_what_has_ended_stays_so() {
        let at = |seconds: i64| Instant::from_timestamp_millis(1000 * seconds).unwrap();
        use InvitationStatus::*;
        assert_eq!((Pending.at(at(9), at(10)), Pending.at(at(10), at(10))), (Pending, Expired));
        assert_eq!((Accepted.at(at(11), at(10)), Revoked.at(at(11), at(10))), (Accepted, Revoked));
        assert!(Pending.check_acceptable().is_ok() && Pending.check_open().is_ok() && Expired.check_open().is_ok());
        for (status, code) in
            [(Accepted, "invitation_accepted"), (Revoked, "invitation_revoked"), (Expired, "invitation_expired")]
        {
            assert_eq!(status.check_acceptable().unwrap_err().code, code);
        }
        assert!(Accepted.check_open().is_err() && Revoked.check_open().is_err());
    }

    #[test]
    fn roles_are_given_where_they_belong() {
        assert!(check_kind("/roles", &[Role::CustomerUser], OrganizationKind::Customer).is_ok());
        let refused = check_kind("/roles", &[Role::CustomerUser, Role::ProviderDeveloper], OrganizationKind::Customer);
        assert_eq!(refused.unwrap_err().fields[0].pointer, "/roles");
        assert!(check_bound(&[Role::ProviderBillingUser], 1).is_err());
        assert!(check_bound(&[Role::ProviderBillingUser, Role::ProviderAccountAdministrator], 1).is_ok());
    }

    #[test]
    fn nobody_takes_a_role_above_their_own_or_the_last_administrators() {
        let path = OrganizationPath::stored("org_a.".into());
        let authority = |role| Authority::of(&[Binding { role, path: path.clone(), bound: false, overruled: false }], &path);
        let (admin, operations) = (authority(Role::ProviderAdministrator), authority(Role::ProviderOperationsAdministrator));
        let code = |authority, role, others| check_removal(authority, role, others).err().map(|error| error.code);
        assert_eq!(code(&operations, Role::ProviderAdministrator, true), Some("role_above_own"));
        assert_eq!(code(&operations, Role::ProviderSupportUser, false), None);
        assert_eq!(code(&admin, Role::ProviderAdministrator, false), Some("last_administrator"));
        assert_eq!(code(&admin, Role::ProviderAdministrator, true), None);
    }

    #[test]
    fn first_administrators_are_named_by_those_who_could_make_them_and_are_not_themselves() {
        let path = OrganizationPath::stored("org_a.org_c.".into());
        let provider = OrganizationPath::stored("org_a.".into());
        let authority = |role| Authority::of(&[Binding { role, path: provider.clone(), bound: false, overruled: false }], &path);
        let (own, other): (Email, Email) = ("own@x.example".parse().unwrap(), "other@x.example".parse().unwrap());
        let code = |role, named: &[&Email]| {
            let checked = check_first_administrators(&authority(role), Some(&own), named.iter().copied());
            checked.err().map(|error| error.code)
        };
        let operations = Role::ProviderOperationsAdministrator;
        assert_eq!(code(operations, &[&other, &other]), None);
        assert_eq!(code(operations, &[&other, &own]), Some("role_above_own"));
        assert_eq!(code(Role::ProviderAdministrator, &[&own]), None);
        assert_eq!(code(Role::ProviderSupportUser, &[&other]), Some("permission_missing"));
    }

    /// Organizations, who has which role where, and what the hub does when somebody asks for a change.
    #[derive(Clone, Debug)]
    struct Model {
        /// Each with its kind; a parent stands before its children.
        tree: Vec<(OrganizationPath, OrganizationKind)>,
        /// By person.
        bindings: Vec<Vec<Binding>>,
    }

    const PERSONS: usize = 4;

    impl Model {
        fn permissions(&self, person: usize, place: usize) -> Permissions {
            Authority::of(&self.bindings[person], &self.tree[place].0).here
        }

        fn administrators(&self, place: usize) -> Vec<usize> {
            let runs = |binding: &Binding| binding.role.is_administrator() && binding.path == self.tree[place].0;
            (0..PERSONS).filter(|&person| self.bindings[person].iter().any(runs)).collect()
        }

        /// Gives the role, if the rules let `by` give it. Says whether it was as the first administrator.
        fn grant(&mut self, by: usize, to: usize, role: Role, place: usize) -> Option<bool> {
            let (path, kind) = self.tree[place].clone();
            let authority = Authority::of(&self.bindings[by], &path);
            let first = self.administrators(place).is_empty() && by != to;
            if !authority.here.has(Permission::MemberWrite)
                || check_kind("", &[role], kind).is_err()
                || authority.check(role, first).is_err()
            {
                return None;
            }
            let appointed = !authority.covers(role);
            self.bindings[to].push(Binding { role, path, bound: false, overruled: false });
            Some(appointed)
        }

        /// Binds a customer to somebody's role in the organization above it.
        fn bind(&mut self, by: usize, to: usize, place: usize, customer: usize) -> bool {
            let ((path, _), (below, kind)) = (self.tree[place].clone(), self.tree[customer].clone());
            let role = Role::ProviderAccountAdministrator;
            let has = self.bindings[to].iter().any(|binding| binding.role == role && binding.path == path);
            let authority = Authority::of(&self.bindings[by], &path);
            let may = authority.here.has(Permission::MemberWrite) && authority.check(role, false).is_ok();
            let can = has && kind == OrganizationKind::Customer && path.reaches(&below);
            if may && can {
                self.bindings[to].push(Binding { role, path: below, bound: true, overruled: false });
            }
            may && can
        }

        /// Takes the role, if the rules let `by` take it.
        fn remove(&mut self, by: usize, from: usize, role: Role, place: usize) -> bool {
            let path = self.tree[place].0.clone();
            let authority = Authority::of(&self.bindings[by], &path);
            let others = self.administrators(place).iter().any(|&person| person != from);
            let taken = |binding: &Binding| binding.role == role && binding.path == path && !binding.bound;
            if !authority.here.has(Permission::MemberWrite)
                || !self.bindings[from].iter().any(taken)
                || check_removal(&authority, role, others).is_err()
            {
                return false;
            }
            let unbound = |binding: &Binding| binding.role == role && binding.bound && path.reaches(&binding.path);
            self.bindings[from].retain(|binding| !taken(binding) && !unbound(binding));
            true
        }
    }

    fn models() -> impl Strategy<Value = Model> {
        let organizations = proptest::collection::vec((any::<u16>(), any::<u16>()), 3..9);
        let bindings = proptest::collection::vec((0..PERSONS, any::<u16>(), any::<u16>()), 1..6);
        (organizations, bindings).prop_map(|(organizations, bindings)| {
            let id = |n: usize| Id::from_uuid(uuid::Uuid::from_u128(n as u128 + 1));
            let mut tree = vec![(OrganizationPath::root(id(0)), OrganizationKind::Operator)];
            for (number, (parent, kind)) in organizations.into_iter().enumerate() {
                let (path, above) = tree[usize::from(parent) % tree.len()].clone();
                let kinds: Vec<_> = OrganizationKind::ALL.iter().copied().filter(|kind| kind.may_stand_below(above)).collect();
                if let Some(&kind) = kinds.get(usize::from(kind) % kinds.len().max(1)) {
                    tree.push((path.child(id(number + 1)), kind));
                }
            }
            let mut model = Model { tree, bindings: vec![Vec::new(); PERSONS] };
            for (person, place, role) in bindings {
                let (path, kind) = model.tree[usize::from(place) % model.tree.len()].clone();
                let roles: Vec<_> = Role::ALL.iter().copied().filter(|role| role.row().kind == kind).collect();
                let role = roles[usize::from(role) % roles.len()];
                model.bindings[person].push(Binding { role, path, bound: false, overruled: false });
            }
            model
        })
    }

    /// What somebody asks for: what, by whom, for whom, which role, where, which customer.
    type Wish = (u8, usize, usize, u16, u16, u16);

    fn wishes() -> impl Strategy<Value = Vec<Wish>> {
        proptest::collection::vec((0..5u8, 0..PERSONS, 0..PERSONS, any::<u16>(), any::<u16>(), any::<u16>()), 1..40)
    }

    /// Carries a wish out as far as the rules let it. `None` when they refused it, else whether a first administrator was made.
    fn carry_out(model: &mut Model, (what, by, to, role, place, customer): Wish) -> Option<bool> {
        let (place, customer) = (usize::from(place) % model.tree.len(), usize::from(customer) % model.tree.len());
        // Mostly roles of the right kind, or hardly anything would be granted.
        let fitting: Vec<_> = Role::ALL.iter().copied().filter(|role| role.row().kind == model.tree[place].1).collect();
        let role = fitting[usize::from(role) % fitting.len()];
        match what {
            0..=2 => model.grant(by, to, role, place),
            3 => model.bind(by, to, place, customer).then_some(false),
            _ => model.remove(by, to, role, place).then_some(false),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever somebody comes to be permitted anywhere, whoever gave it to them was permitted there before; but for
        /// the first administrator of an organization, who gets no more than that organization and what is below it.
        #[test]
        fn no_grant_gives_what_its_granter_lacked(mut model in models(), wishes in wishes()) {
            for wish in wishes {
                let (by, to, place) = (wish.1, wish.2, usize::from(wish.4) % model.tree.len());
                let before = model.clone();
                let Some(appointed) = carry_out(&mut model, wish) else { continue };
                for (other, (path, _)) in model.tree.iter().enumerate() {
                    let gained = model.permissions(to, other).without(before.permissions(to, other));
                    if appointed {
                        prop_assert!(by != to && before.administrators(place).is_empty());
                        prop_assert!(gained == Permissions::default() || model.tree[place].0.reaches(path));
                    } else {
                        prop_assert!(before.permissions(by, other).covers(gained), "{other} of {model:?} after {wish:?}");
                    }
                    for person in (0..PERSONS).filter(|&person| person != to) {
                        prop_assert_eq!(model.permissions(person, other), before.permissions(person, other));
                    }
                }
            }
        }

        /// Without appointments, nobody ever holds anywhere what nobody held there at first.
        #[test]
        fn nothing_is_permitted_that_nobody_was_permitted_at_first(mut model in models(), wishes in wishes()) {
            let union = |model: &Model, place| {
                (0..PERSONS).fold(Permissions::default(), |all, person| all.and(model.permissions(person, place)))
            };
            let first: Vec<_> = (0..model.tree.len()).map(|place| union(&model, place)).collect();
            for wish in wishes {
                let before = model.clone();
                if carry_out(&mut model, wish) == Some(true) {
                    model = before;
                }
                for (place, first) in first.iter().enumerate() {
                    prop_assert!(first.covers(union(&model, place)));
                }
            }
        }

        /// Nobody comes to more by acting alone, whatever they do and in whatever order.
        #[test]
        fn nobody_promotes_themselves(mut model in models(), mut wishes in wishes(), alone in 0..PERSONS) {
            let before = model.clone();
            for wish in &mut wishes {
                wish.1 = alone;
                let _ = carry_out(&mut model, *wish);
                for place in 0..model.tree.len() {
                    prop_assert!(before.permissions(alone, place).covers(model.permissions(alone, place)), "{model:?}");
                }
            }
        }

        /// An organization that has an administrator never loses the last one.
        #[test]
        fn an_administrator_remains(mut model in models(), wishes in wishes()) {
            for wish in wishes {
                let before = model.clone();
                let _ = carry_out(&mut model, wish);
                for place in 0..model.tree.len() {
                    prop_assert!(before.administrators(place).is_empty() || !model.administrators(place).is_empty());
                }
            }
        }
    }

    /// The account of the owner of address `.0`, or the one that the organization `.1` vouches for.
    type Account = (usize, Option<usize>);

    /// What opens an account.
    #[derive(Clone, Debug, Default)]
    struct Held {
        bindings: Vec<Binding>,
        /// Who knows its password; person `n` owns address `n`.
        known_to: Vec<usize>,
    }

    #[derive(Clone, Debug)]
    struct Invitation {
        by: Account,
        address: usize,
        role: Role,
        place: usize,
        /// Who knows the secret beside the owner of the address, who alone knows the one in the mail.
        seen_by: Option<usize>,
        accepted: bool,
    }

    /// Organizations, accounts, and what people know of them.
    #[derive(Clone, Debug)]
    struct Consent {
        tree: Vec<(OrganizationPath, OrganizationKind)>,
        accounts: std::collections::BTreeMap<Account, Held>,
        invitations: Vec<Invitation>,
    }

    impl Consent {
        /// Somebody runs the operator, somebody runs a customer, and a provider has no administrator but somebody who adds members.
        fn of(mut model: Model) -> Self {
            let roles = [Role::OperatorAdministrator, Role::ProviderOperationsAdministrator, Role::CustomerAdministrator];
            for (person, role) in roles.into_iter().enumerate() {
                if let Some((path, _)) = model.tree.iter().find(|(_, kind)| *kind == role.row().kind) {
                    model.bindings[person].push(Binding { role, path: path.clone(), bound: false, overruled: false });
                }
            }
            let owners = model.bindings.into_iter().enumerate();
            let accounts = owners.map(|(person, bindings)| ((person, None), Held { bindings, known_to: vec![person] })).collect();
            Self { tree: model.tree, accounts, invitations: Vec::new() }
        }

        fn authority(&self, account: Account, place: usize) -> Authority {
            Authority::of(&self.accounts.get(&account).cloned().unwrap_or_default().bindings, &self.tree[place].0)
        }

        fn is_own(&self, account: Account, place: usize) -> bool {
            self.accounts.get(&account).is_some_and(|held| held.bindings.iter().any(|one| one.path == self.tree[place].0))
        }

        fn first(&self, place: usize) -> bool {
            let runs = |binding: &Binding| binding.role.is_administrator() && binding.path == self.tree[place].0;
            !self.accounts.values().any(|held| held.bindings.iter().any(runs))
        }

        /// Somebody who knows an account invites an address with it.
        fn invite(&mut self, person: usize, by: Account, address: usize, role: Role, place: usize) {
            let authority = self.authority(by, place);
            let first = self.first(place);
            if !self.knows(person, by)
                || !authority.here.has(Permission::MemberWrite)
                || check_kind("", &[role], self.tree[place].1).is_err()
                || authority.check(role, first).is_err()
            {
                return;
            }
            let sees = sees_secret(self.is_own(by, place), first && role.is_administrator());
            let seen_by = sees.then_some(person);
            self.invitations.push(Invitation { by, address, role, place, seen_by, accepted: false });
        }

        fn knows(&self, person: usize, account: Account) -> bool {
            self.accounts.get(&account).is_some_and(|held| held.known_to.contains(&person))
        }

        /// Somebody accepts, with the secret in the mail or with the one that the inviter saw.
        fn accept(&mut self, person: usize, number: usize, mailed: bool) {
            let Some(invitation) = self.invitations.get(number).cloned() else { return };
            let owns = person == invitation.address;
            let has = if mailed { owns } else { invitation.seen_by.is_some_and(|inviter| owns || person == inviter) };
            let account = (invitation.address, (!mailed).then_some(invitation.place));
            let authority = self.authority(invitation.by, invitation.place);
            let first = self.first(invitation.place);
            let refused = authority.check(invitation.role, first).is_err()
                || !authority.here.has(Permission::MemberWrite)
                || (first && invitation.role.is_administrator() && check_confirmed(mailed).is_err());
            if !has || invitation.accepted || refused {
                return;
            }
            self.invitations[number].accepted = true;
            if mailed {
                self.confirm(invitation.address, invitation.place);
            }
            let held = self.accounts.entry(account).or_default();
            held.bindings.push(Binding {
                role: invitation.role,
                path: self.tree[invitation.place].0.clone(),
                bound: false,
                overruled: false,
            });
            let knows = if mailed {
                vec![invitation.address]
            } else {
                [Some(person), invitation.seen_by].into_iter().flatten().collect()
            };
            held.known_to.extend(knows);
        }

        /// The owner of an address confirms it, and takes over what an organization vouches for.
        fn confirm(&mut self, address: usize, place: usize) {
            let vouched = self.accounts.remove(&(address, Some(place))).unwrap_or_default();
            self.accounts
                .iter_mut()
                .filter(|((of, by), _)| *of == address && by.is_some())
                .for_each(|(_, held)| held.known_to.clear());
            self.accounts.entry((address, None)).or_default().bindings.extend(vouched.bindings);
        }

        /// An administrator has a link made for an account of the organization, and sees it if it may be seen.
        fn reset(&mut self, person: usize, by: Account, account: Account, place: usize) {
            let own = self.is_own(by, place) && self.authority(by, place).here.has(Permission::MemberWrite);
            let Some(held) = self.accounts.get(&account) else { return };
            let within = |binding: &Binding| binding.path == self.tree[place].0 && self.authority(by, place).covers(binding.role);
            if self.knows(person, by) && own && check_confirmed(account.1.is_none()).is_err() && held.bindings.iter().all(within)
            {
                self.accounts.entry(account).or_default().known_to.push(person);
            }
        }

        /// Gives a role to an account that is a member.
        fn grant(&mut self, person: usize, by: Account, account: Account, role: Role, place: usize) {
            let authority = self.authority(by, place);
            let first = self.first(place);
            let refused = !self.knows(person, by)
                || !self.is_own(account, place)
                || !authority.here.has(Permission::MemberWrite)
                || check_kind("", &[role], self.tree[place].1).is_err()
                || authority.check(role, first && by != account).is_err()
                || (first && role.is_administrator() && check_confirmed(account.1.is_none()).is_err());
            if !refused {
                let path = self.tree[place].0.clone();
                self.accounts.entry(account).or_default().bindings.push(Binding { role, path, bound: false, overruled: false });
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Nobody comes to a permission by an account that somebody else than its address's owner can open, except in the organization
        /// that vouches for it, whose administrator they were; and nobody makes such an account the first administrator.
        #[test]
        fn an_account_that_others_can_open_opens_one_organization_alone(
            model in models(),
            steps in proptest::collection::vec((0..6u8, 0..PERSONS, 0..PERSONS, any::<u16>(), any::<u16>(), any::<u16>()), 20..100),
        ) {
            let mut consent = Consent::of(model);
            for (what, person, address, role, place, other) in steps {
                let place = usize::from(place) % consent.tree.len();
                let fitting: Vec<_> = Role::ALL.iter().copied().filter(|role| role.row().kind == consent.tree[place].1).collect();
                let role = fitting[usize::from(role) % fitting.len()];
                let known: Vec<Account> =
                    consent.accounts.iter().filter(|(_, held)| held.known_to.contains(&person)).map(|(account, _)| *account).collect();
                let Some(&by) = known.get(usize::from(other) % known.len().max(1)) else { continue };
                let accounts: Vec<Account> = consent.accounts.keys().copied().collect();
                let account = accounts[usize::from(other / 7) % accounts.len()];
                let (first, before) = (consent.first(place), consent.clone());
                match what {
                    0..=1 => consent.invite(person, by, address, role, place),
                    2..=3 => {
                        let number = usize::from(other) % consent.invitations.len().max(1);
                        consent.accept(person, number, what == 2);
                    }
                    4 => consent.reset(person, by, account, place),
                    _ => consent.grant(person, by, account, role, place),
                }
                for (account, held) in &consent.accounts {
                    let (address, voucher) = account;
                    let known = |person: &usize| before.accounts.get(account).is_some_and(|held| held.known_to.contains(person));
                    let Some(voucher) = *voucher else {
                        prop_assert!(held.known_to.iter().all(|person| person == address), "{consent:?}");
                        continue;
                    };
                    let path = &consent.tree[voucher].0;
                    prop_assert!(held.bindings.iter().all(|binding| binding.path == *path), "{consent:?}");
                    for person in held.known_to.iter().filter(|person| *person != address && !known(person)) {
                        let adds = |by: &Account| {
                            before.is_own(*by, voucher) && before.authority(*by, voucher).here.has(Permission::MemberWrite)
                        };
                        let was = before.invitations.iter().any(|one| one.place == voucher && one.seen_by == Some(*person));
                        let is = before.accounts.keys().any(|by| before.knows(*person, *by) && adds(by));
                        prop_assert!(was || is, "{person} in {consent:?}");
                    }
                }
                for invitation in consent.invitations.iter().skip(before.invitations.len()).filter(|one| one.seen_by.is_some()) {
                    prop_assert!(before.is_own(invitation.by, invitation.place), "{invitation:?}");
                    prop_assert!(!first || !invitation.role.is_administrator(), "{invitation:?}");
                }
                if first && !consent.first(place) {
                    let path = &consent.tree[place].0;
                    let runs = |held: &Held| held.bindings.iter().any(|one| one.role.is_administrator() && one.path == *path);
                    let running = consent.accounts.iter().filter(|(_, held)| runs(held)).map(|((_, voucher), _)| *voucher);
                    prop_assert!(running.into_iter().all(|voucher| voucher.is_none()), "{consent:?}");
                }
            }
        }
    }
}
