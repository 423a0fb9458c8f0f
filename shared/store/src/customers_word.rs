//! The customer's word: who may give and take inside an organization. What gives something there takes a [`Word`], so that no route can
//! do it without having asked.

use crate::{Db, Stored, Tx, Value, access_levels, params, value::numbers};
use domain::{
    Id, OrganizationKind, OrganizationPath, PrincipalId, Result, Role,
    access_level::AccessLevel,
    customers_word::{Standing, customer_decides, standing},
    id,
    role::Authority,
};

/// Proof that a principal may give and take inside an organization, as far as that is not a matter of its roles: tokens, roles, roles in
/// services, access levels, policies, identity providers and passwords. It is good for the transaction it was made in.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    organization: Id<id::Organization>,
    standing: Standing,
    /// Whether those above have said that the customer's own people may order, which its administrator then gives.
    may_order: bool,
    /// Whether a recovery gives it.
    recovers: bool,
}

impl Word {
    /// Asks whether a principal may give and take inside an organization that it has found within its scope.
    pub async fn of(db: &Db, principal: PrincipalId, organization: Id<id::Organization>) -> Result<Self> {
        let (kind, self_administered) = place(db, organization).await?;
        if kind != OrganizationKind::Customer {
            return Ok(Self { organization, standing: Standing::Own, may_order: false, recovers: false });
        }
        let standing = standing(organization, kind, self_administered, speaks(db, principal, organization).await?)?;
        let level = access_levels::find(db, organization, None).await?.level;
        Ok(Self { organization, standing, may_order: level == Some(AccessLevel::Manage), recovers: false })
    }

    /// Asks whether a principal has a say in any of these organizations, in which it found a person: whoever gives a person another
    /// password has one where the person belongs.
    pub async fn of_any(db: &Db, principal: PrincipalId, organizations: &[Id<id::Organization>]) -> Result<()> {
        let mut refused = Ok(());
        for organization in organizations {
            refused = match Self::of(db, principal, *organization).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind == domain::Kind::Unavailable => return Err(error),
                Err(error) => Err(error),
            };
        }
        refused
    }

    /// For what an administrator is given by a [recovery](crate::recoveries) that was carried out.
    pub(crate) fn of_recovery(organization: Id<id::Organization>) -> Self {
        Self { organization, standing: Standing::Above, may_order: false, recovers: true }
    }

    /// Whether it is of a recovery: what it gives is as if the customer had no administrator.
    pub fn is_of_recovery(&self) -> bool {
        self.recovers
    }

    /// Where it is good.
    pub fn organization(&self) -> Id<id::Organization> {
        self.organization
    }

    /// Whether it is somebody above who gives, in a customer that has had no administrator of its own.
    pub fn is_from_above(&self) -> bool {
        self.standing == Standing::Above
    }

    /// Refuses where the customer has got its administrator since this was asked: of several who are named at once, one is the first.
    pub(crate) async fn check_still(&self, db: &Db) -> Result<()> {
        if self.is_from_above() && !self.recovers && is_self_administered(db, self.organization).await? {
            return Err(customer_decides(self.organization));
        }
        Ok(())
    }

    /// What a principal's roles let it give, and what those above allow beside.
    pub fn authority(&self, authority: Authority) -> Authority {
        match self.may_order {
            true => authority.allowed(Role::CustomerOperationsAdministrator),
            false => authority,
        }
    }
}

/// What an organization is, and whether it has had an administrator of its own.
async fn place(db: &Db, organization: Id<id::Organization>) -> Result<(OrganizationKind, bool)> {
    db.query_opt("SELECT kind, self_administered FROM organizations WHERE id = ?1", params![organization], |row| {
        Ok((row.take()?, row.take::<i64>()? != 0))
    })
    .await?
    .ok_or_else(|| domain::Error::not_found("organization_not_found", "organization", organization))
}

/// Whether it is a customer that has had an administrator of its own.
pub async fn is_self_administered(db: &Db, organization: Id<id::Organization>) -> Result<bool> {
    place(db, organization).await.map(|(kind, administered)| kind == OrganizationKind::Customer && administered)
}

/// The roles whose holders speak for a customer.
fn speaking() -> Vec<Value> {
    Role::ALL.iter().filter(|role| role.speaks_for_customer()).map(Stored::to_value).collect()
}

/// Whether a principal speaks for a customer: by a role that the customer gave it, or its first administrator was given.
async fn speaks(db: &Db, principal: PrincipalId, customer: Id<id::Organization>) -> Result<bool> {
    let roles = speaking();
    let sql = format!(
        "SELECT role FROM bindings WHERE principal_id = ?1 AND organization_id = ?2 AND bound_by IS NULL AND from_above = 0
         AND role IN ({}) LIMIT 1",
        numbers(3, roles.len())
    );
    let mut values = params![principal, customer];
    values.extend(roles);
    let found: Option<Role> = db.query_opt(&sql, values, |row| row.take()).await?;
    Ok(found.is_some())
}

/// A person has become an administrator: if the organization is a customer that had none so far, it speaks for itself from now on. A
/// policy that was set in its stead ends.
pub(crate) async fn taken_up(tx: &Tx<'_>, organization: Id<id::Organization>) -> Result<()> {
    let first: Option<OrganizationPath> = tx
        .query_opt(
            "UPDATE organizations SET self_administered = 1 WHERE id = ?1 AND kind = 'CUSTOMER' AND self_administered = 0 RETURNING path",
            params![organization],
            |row| row.take(),
        )
        .await?;
    if first.is_some() {
        tx.exec("DELETE FROM acting_policies WHERE organization_id = ?1", params![organization]).await?;
    }
    Ok(())
}

/// Refuses whoever is above a customer that gives for itself: for what is taken and not given.
pub async fn check(db: &Db, principal: PrincipalId, organization: Id<id::Organization>) -> Result<()> {
    Word::of(db, principal, organization).await.map(drop)
}

/// Refuses anybody but those who speak for the customer, whether or not it has had an administrator.
pub async fn check_speaks(db: &Db, principal: PrincipalId, customer: Id<id::Organization>) -> Result<()> {
    if speaks(db, principal, customer).await? { Ok(()) } else { Err(customer_decides(customer)) }
}

/// Whether a customer that gives for itself has to agree to what a principal does in it.
pub async fn awaits(db: &Db, principal: PrincipalId, organization: Id<id::Organization>) -> Result<bool> {
    Ok(is_self_administered(db, organization).await? && !speaks(db, principal, organization).await?)
}

/// Whether a token or an app was given from above, in a customer that has an administrator of its own.
pub async fn is_from_above(db: &Db, principal: PrincipalId) -> Result<bool> {
    let sql = "SELECT b.role FROM bindings b JOIN organizations o ON o.id = b.organization_id
         WHERE b.principal_id = ?1 AND b.from_above = 1 AND o.self_administered = 1 LIMIT 1";
    let found: Option<Role> = db.query_opt(sql, params![principal], |row| row.take()).await?;
    Ok(found.is_some())
}
