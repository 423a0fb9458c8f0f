//! Confirming that an account is the address owner's, which ends every credential that others may have set.

use crate::{
    Tx, params,
    people::{self, NewAccount, Person},
};
use domain::{Id, Instant, PrincipalId, Result, id, person::Email};

/// The account of the owner of an address, who has shown a secret that only the mailbox saw and becomes a member of `new.home`.
/// Credentials that others may have set end: those of accounts that organizations vouch for, and those of an account that was
/// never confirmed. The account that `new.home` vouches for becomes the owner's.
pub async fn confirm(tx: &Tx<'_>, new: &NewAccount<'_>) -> Result<Person> {
    end_vouched_credentials(tx, new.email).await?;
    let vouched = people::find_vouched(tx, new.email, new.home).await?;
    match (people::find_by_email(tx, new.email).await?, vouched) {
        (None, None) => people::find_or_insert_confirmed(tx, new).await,
        (None, Some(vouched)) => promote(tx, vouched, new.now).await,
        (Some(owner), vouched) => {
            let owner = confirm_owner(tx, owner, new.now).await?;
            if let Some(vouched) = vouched {
                merge(tx, &vouched, &owner, new.now).await?;
            }
            Ok(owner)
        }
    }
}

/// Confirms that this account is its address owner's. Gives the account that is theirs from now on: for an account that an
/// organization vouches for, the owner's own if there is one.
pub async fn confirm_account(tx: &Tx<'_>, person: Person, now: Instant) -> Result<Person> {
    end_vouched_credentials(tx, &person.email).await?;
    match people::find_by_email(tx, &person.email).await? {
        Some(owner) if owner.id == person.id => confirm_owner(tx, owner, now).await,
        Some(owner) => {
            let owner = confirm_owner(tx, owner, now).await?;
            merge(tx, &person, &owner, now).await?;
            Ok(owner)
        }
        None => promote(tx, person, now).await,
    }
}

/// Confirms an account by an identity provider that may speak for the address's domain. An account that an organization vouches for
/// becomes the owner's, if there is no other; one from before confirmation was asked for stays unconfirmed while it has a
/// password, which this must not end and nobody knows who set.
pub async fn confirm_by_provider(tx: &Tx<'_>, person: Person, now: Instant) -> Result<Person> {
    if person.confirmed_at.is_some() {
        return Ok(person);
    }
    if person.vouched_by.is_some() {
        return match people::find_by_email(tx, &person.email).await? {
            None => confirm_account(tx, person, now).await,
            Some(_) => Ok(person),
        };
    }
    if has_credential(tx, person.id).await? {
        return Ok(person);
    }
    confirm_account(tx, person, now).await
}

async fn confirm_owner(tx: &Tx<'_>, owner: Person, now: Instant) -> Result<Person> {
    if owner.confirmed_at.is_some() {
        return Ok(owner);
    }
    end_credentials(tx, "person_id = ?1", owner.id.to_string()).await?;
    tx.exec("UPDATE people SET confirmed_at = ?2 WHERE id = ?1", params![owner.id, now]).await?;
    Ok(Person { confirmed_at: Some(now), ..owner })
}

/// Makes an account that an organization vouches for the one of its address's owner, of whom there is no other.
async fn promote(tx: &Tx<'_>, vouched: Person, now: Instant) -> Result<Person> {
    tx.exec(
        "UPDATE people SET email = ?2, address = NULL, vouched_by = NULL, confirmed_at = ?3 WHERE id = ?1",
        params![vouched.id, vouched.email, now],
    )
    .await?;
    Ok(Person { vouched_by: None, confirmed_at: Some(now), ..vouched })
}

/// Gives the owner's account all that the account has that an organization vouches for, and closes that.
pub async fn merge(tx: &Tx<'_>, vouched: &Person, owner: &Person, now: Instant) -> Result<()> {
    let (from, to) = (vouched.id, owner.id);
    for (table, who, others) in [
        ("bindings", "principal_id", "role, organization_id, bound_by, from_above"),
        ("member_service_roles", "person_id", "organization_id, service_role_id"),
        ("access_levels", "person_id", "organization_id, service_id, level, version, updated_at"),
    ] {
        tx.exec(
            &format!(
                "INSERT INTO {table} ({who}, {others}) SELECT ?2, {others} FROM {table} WHERE {who} = ?1 ON CONFLICT DO NOTHING"
            ),
            params![from, to],
        )
        .await?;
        tx.exec(&format!("DELETE FROM {table} WHERE {who} = ?1"), params![from]).await?;
    }
    for table in ["api_tokens", "apps"] {
        tx.exec(&format!("UPDATE {table} SET owner_id = ?2 WHERE owner_id = ?1"), params![from, to]).await?;
    }
    tx.exec(
        "UPDATE member_invitations SET invited_by = ?2 WHERE organization_id = ?3 AND invited_by = ?1",
        params![from, to, vouched.vouched_by],
    )
    .await?;
    tx.exec("UPDATE member_invitations SET person_id = ?2 WHERE email = ?3 AND person_id = ?1", params![from, to, vouched.email])
        .await?;
    end_credentials(tx, "person_id = ?1", from.to_string()).await?;
    // Its key is free again, for an account that may be vouched for anew.
    tx.exec(
        "UPDATE people SET email = email || ' ' || id, status = 'DISABLED', default_organization_id = NULL, version = version + 1,
             updated_at = ?2 WHERE id = ?1",
        params![from, now],
    )
    .await
}

/// Ends all that an account is signed in to with.
pub async fn close(tx: &Tx<'_>, person: Id<id::Person>) -> Result<()> {
    end_credentials(tx, "person_id = ?1", person.to_string()).await
}

/// Ends the credentials of all accounts with this address that organizations vouch for.
async fn end_vouched_credentials(tx: &Tx<'_>, email: &Email) -> Result<()> {
    end_credentials(tx, "person_id IN (SELECT id FROM people WHERE address = ?1)", email.to_string()).await
}

/// Ends passwords, links to set them, subjects of identity providers, sessions and access tokens.
async fn end_credentials(tx: &Tx<'_>, whose: &str, value: String) -> Result<()> {
    for table in ["passwords", "account_links", "person_identities", "sessions"] {
        tx.exec(&format!("DELETE FROM {table} WHERE {whose}"), params![value]).await?;
    }
    let whose = whose.replacen("person_id", "principal_id", 1);
    tx.exec(&format!("DELETE FROM access_tokens WHERE {whose}"), params![value]).await
}

/// Whether the account has anything to sign in with.
pub async fn has_credential(tx: &Tx<'_>, person: Id<id::Person>) -> Result<bool> {
    let found: Option<PrincipalId> = tx
        .query_opt(
            "SELECT person_id FROM passwords WHERE person_id = ?1
             UNION ALL SELECT person_id FROM person_identities WHERE person_id = ?1 LIMIT 1",
            params![person],
            |row| row.take(),
        )
        .await?;
    Ok(found.is_some())
}
