//! Invitations of people to become members of an organization.

use crate::{
    Db, Row, Scope, Stored, Tx, mailbox, params,
    value::{batches, numbers, start},
};
use domain::{
    Error, Id, Instant, JsonSchema, OrganizationPath, PrincipalId, Result, Text, id,
    member::{Grants, InvitationStatus},
    person::Email,
};
use serde::Serialize;

/// An invitation as it is shown: never its secret.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberInvitation {
    /// Its id.
    pub id: Id<id::MemberInvitation>,
    /// The organization that the person is to become a member of.
    pub organization_id: Id<id::Organization>,
    /// The mail address of whom is invited.
    pub email: Email,
    /// The name whoever invited goes by for them.
    pub display_name: Option<String>,
    /// Who invited them, or sent the invitation again: it rests on their rights until it is accepted.
    pub invited_by: PrincipalId,
    /// What they are to be given.
    pub grants: Grants,
    /// What became of it.
    pub status: InvitationStatus,
    /// Until when it can be accepted.
    pub expires_at: Instant,
    /// When the person was first invited.
    pub created_at: Instant,
    /// When it was accepted or taken back.
    pub closed_at: Option<Instant>,
}

/// An invitation that is to be made.
pub struct NewMemberInvitation<'a> {
    /// Its id.
    pub id: Id<id::MemberInvitation>,
    /// The organization, which the caller has found within its scope.
    pub organization_id: Id<id::Organization>,
    /// Whom.
    pub email: &'a Email,
    /// The name whoever invites goes by for them.
    pub display_name: Option<&'a Text<1, 120>>,
    /// Who invites.
    pub invited_by: PrincipalId,
    /// What the person is to be given.
    pub grants: &'a Grants,
    /// The hash of the secret that whoever invites sees, or nobody.
    pub hash: &'a str,
    /// The hash of the secret that goes to the mailbox.
    pub confirming_hash: &'a str,
    /// Now.
    pub now: Instant,
    /// Until when it can be accepted.
    pub expires_at: Instant,
}

const COLUMNS: &str =
    "i.id, i.organization_id, i.email, i.display_name, i.invited_by, i.grants, i.status, i.expires_at, i.created_at, i.closed_at";
const FROM: &str = "member_invitations i JOIN organizations o ON o.id = i.organization_id";

fn read(row: &mut Row, now: Instant) -> Result<MemberInvitation> {
    let mut invitation = MemberInvitation {
        id: row.take()?,
        organization_id: row.take()?,
        email: row.take()?,
        display_name: row.take()?,
        invited_by: row.take()?,
        grants: serde_json::from_str(&row.take::<String>()?)
            .map_err(|error| Error::fault(format!("what an invitation grants cannot be read: {error}")))?,
        status: row.take()?,
        expires_at: row.take()?,
        created_at: row.take()?,
        closed_at: row.take()?,
    };
    invitation.status = invitation.status.at(now, invitation.expires_at);
    Ok(invitation)
}

/// Invites somebody who is not invited there yet.
pub async fn insert(tx: &Tx<'_>, new: &NewMemberInvitation<'_>) -> Result<MemberInvitation> {
    expire(tx, new.organization_id, new.email, new.now).await?;
    let grants = written(new.grants)?;
    let made: Option<Id<id::MemberInvitation>> = tx
        .query_opt(
            "INSERT INTO member_invitations (id, organization_id, email, display_name, invited_by, grants, hash, status, expires_at, created_at, confirming_hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'PENDING', ?8, ?9, ?10) ON CONFLICT DO NOTHING RETURNING id",
            params![
                new.id,
                new.organization_id,
                new.email,
                new.display_name,
                new.invited_by,
                grants,
                new.hash,
                new.expires_at,
                new.now,
                new.confirming_hash
            ],
            |row| row.take(),
        )
        .await?;
    made.ok_or_else(pending)?;
    Ok(MemberInvitation {
        id: new.id,
        organization_id: new.organization_id,
        email: new.email.clone(),
        display_name: new.display_name.map(ToString::to_string),
        invited_by: new.invited_by,
        grants: new.grants.clone(),
        status: InvitationStatus::Pending,
        expires_at: new.expires_at,
        created_at: new.now,
        closed_at: None,
    })
}

/// Invites people to organizations that were created in this transaction, so that nobody has an invitation there: with few
/// statements.
pub async fn insert_all(tx: &Tx<'_>, new: &[NewMemberInvitation<'_>]) -> Result<()> {
    const WIDTH: usize = 10;
    for batch in batches(new) {
        let mut values = Vec::with_capacity(WIDTH * batch.len());
        for one in batch {
            values.extend(params![
                one.id,
                one.organization_id,
                one.email,
                one.display_name,
                one.invited_by,
                written(one.grants)?,
                one.hash,
                one.expires_at,
                one.now,
                one.confirming_hash
            ]);
        }
        let row = |row: usize| format!("({}, 'PENDING')", numbers(WIDTH * row + 1, WIDTH));
        let rows: Vec<_> = (0..batch.len()).map(row).collect();
        let sql = format!(
            "INSERT INTO member_invitations (id, organization_id, email, display_name, invited_by, grants, hash, expires_at, created_at, confirming_hash, status) VALUES {}",
            rows.join(", ")
        );
        tx.exec(&sql, values).await?;
    }
    Ok(())
}

fn written(grants: &Grants) -> Result<String> {
    serde_json::to_string(grants).map_err(|error| Error::fault(format!("grants cannot be written: {error}")))
}

/// Notes that an earlier invitation to the same address has expired, so that there can be another.
async fn expire(tx: &Tx<'_>, organization: Id<id::Organization>, email: &Email, now: Instant) -> Result<()> {
    tx.exec(
        "UPDATE member_invitations SET status = 'EXPIRED'
         WHERE organization_id = ?1 AND email = ?2 AND status = 'PENDING' AND expires_at <= ?3",
        params![organization, email, now],
    )
    .await
}

fn pending() -> Error {
    Error::conflict(
        "invitation_pending",
        "The address has an invitation there that can still be accepted. Send that one again, or take it back first.",
    )
}

/// One invitation within the scope.
pub async fn find(db: &Db, scope: &Scope, id: Id<id::MemberInvitation>, now: Instant) -> Result<MemberInvitation> {
    db.query_opt(
        &format!("SELECT {COLUMNS} FROM {FROM} WHERE i.id = ?1 AND o.path >= ?2 AND o.path < ?3"),
        scope.after(params![id]),
        |row| read(row, now),
    )
    .await?
    .ok_or_else(|| Error::not_found("member_invitation_not_found", "member invitation", id))
}

/// An invitation found by one of its secrets.
pub struct BySecret {
    /// The invitation.
    pub invitation: MemberInvitation,
    /// Whether the secret is the one that only the mailbox saw.
    pub confirms: bool,
    /// The account that accepted it, while its organization vouches for that.
    pub vouched: Option<Id<id::Person>>,
}

/// The invitation with the secret of this hash. Whoever has the secret is whom it is for, so there is no scope.
pub async fn find_by_hash(db: &Db, hash: &str, now: Instant) -> Result<Option<BySecret>> {
    for (column, confirms) in [("confirming_hash", true), ("hash", false)] {
        let sql = format!(
            "SELECT {COLUMNS}, (SELECT p.id FROM people p JOIN bindings b ON b.principal_id = p.id
                 WHERE p.id = i.person_id AND p.vouched_by = i.organization_id AND b.organization_id = i.organization_id LIMIT 1)
             FROM member_invitations i WHERE i.{column} = ?1"
        );
        let read = |row: &mut Row| Ok(BySecret { invitation: read(row, now)?, confirms, vouched: row.take()? });
        let found = db.query_opt(&sql, params![hash], read).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// An invitation as the person sees it whom it is for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnInvitation {
    /// The invitation.
    #[serde(flatten)]
    pub invitation: MemberInvitation,
    /// The name of the organization.
    pub organization_name: String,
    /// Whether it was accepted for you with a secret that others saw: an account with your mail address is a member of the
    /// organization, and the organization vouches for it. Accept to make the membership yours, or decline to end it.
    pub accepted_by_others: bool,
}

/// The part of the tree that invitations are read of: everything, or an organization and those below.
fn within(reach: Option<&OrganizationPath>) -> (String, String) {
    reach.map_or_else(|| (String::new(), "~".to_owned()), |path| (path.as_str().to_owned(), path.range_end()))
}

const OWN: &str = "i.email = ?1 AND o.path >= ?2 AND o.path < ?3 AND o.status = 'ACTIVE'
    AND ((i.status = 'PENDING' AND i.expires_at > ?4) OR (i.status = 'ACCEPTED' AND EXISTS (
        SELECT 1 FROM people p JOIN bindings b ON b.principal_id = p.id
        WHERE p.id = i.person_id AND p.vouched_by = i.organization_id AND b.organization_id = i.organization_id)))";

fn read_own(row: &mut Row, now: Instant) -> Result<OwnInvitation> {
    let invitation = read(row, now)?;
    let accepted_by_others = invitation.status == InvitationStatus::Accepted;
    Ok(OwnInvitation { organization_name: row.take()?, invitation, accepted_by_others })
}

/// A page of the invitations that the owner of a mail address can still answer, oldest first, to organizations that the session
/// reaches.
pub async fn list_own(
    db: &Db,
    email: &Email,
    reach: Option<&OrganizationPath>,
    after: Option<Id<id::MemberInvitation>>,
    now: Instant,
    limit: u32,
) -> Result<Vec<OwnInvitation>> {
    let (from, until) = within(reach);
    db.query_all(
        &format!("SELECT {COLUMNS}, o.display_name FROM {FROM} WHERE {OWN} AND i.id > ?5 ORDER BY i.id LIMIT ?6"),
        params![email, from, until, now, start(after), limit],
        |row| read_own(row, now),
    )
    .await
}

/// One of these, and the account that accepted it for the owner.
pub async fn find_own(
    db: &Db,
    email: &Email,
    reach: Option<&OrganizationPath>,
    id: Id<id::MemberInvitation>,
    now: Instant,
) -> Result<(OwnInvitation, Option<Id<id::Person>>)> {
    let (from, until) = within(reach);
    db.query_opt(
        &format!("SELECT {COLUMNS}, o.display_name, i.person_id FROM {FROM} WHERE {OWN} AND i.id = ?5"),
        params![email, from, until, now, id],
        |row| Ok((read_own(row, now)?, row.take()?)),
    )
    .await?
    .ok_or_else(|| Error::not_found("member_invitation_not_found", "invitation of yours that can be answered", id))
}

/// A page of the invitations to an organization within the scope, oldest first.
pub async fn list(
    db: &Db,
    scope: &Scope,
    organization: Id<id::Organization>,
    status: Option<InvitationStatus>,
    after: Option<Id<id::MemberInvitation>>,
    now: Instant,
    limit: u32,
) -> Result<Vec<MemberInvitation>> {
    let mut values = scope.after(params![organization, start(after), limit]);
    // What was not accepted in time is still kept as pending, or noted as expired by now.
    let status = match status {
        None => "",
        Some(InvitationStatus::Pending) => " AND i.status = 'PENDING' AND i.expires_at > ?6",
        Some(InvitationStatus::Expired) => " AND i.status IN ('PENDING', 'EXPIRED') AND i.expires_at <= ?6",
        Some(InvitationStatus::Accepted) => " AND i.status = 'ACCEPTED'",
        Some(InvitationStatus::Revoked) => " AND i.status = 'REVOKED'",
    };
    if status.contains("?6") {
        values.push(now.to_value());
    }
    db.query_all(
        &format!(
            "SELECT {COLUMNS} FROM {FROM} WHERE i.organization_id = ?1 AND o.path >= ?4 AND o.path < ?5 AND i.id > ?2{status}
             ORDER BY i.id LIMIT ?3"
        ),
        values,
        |row| read(row, now),
    )
    .await
}

/// Gives an invitation that the caller has found open another secret, sender and end. The secret before is worth nothing
/// any more.
pub async fn renew(
    tx: &Tx<'_>,
    invitation: MemberInvitation,
    (hash, confirming_hash): (&str, &str),
    invited_by: PrincipalId,
    now: Instant,
    expires_at: Instant,
) -> Result<MemberInvitation> {
    expire(tx, invitation.organization_id, &invitation.email, now).await?;
    let renewed: Option<Id<id::MemberInvitation>> = tx
        .query_opt(
            "UPDATE member_invitations SET status = 'PENDING', hash = ?2, invited_by = ?3, expires_at = ?4, confirming_hash = ?7
             WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM member_invitations o WHERE o.organization_id = ?5 AND o.email = ?6
                 AND o.status = 'PENDING' AND o.id <> ?1) RETURNING id",
            params![invitation.id, hash, invited_by, expires_at, invitation.organization_id, invitation.email, confirming_hash],
            |row| row.take(),
        )
        .await?;
    renewed.ok_or_else(pending)?;
    Ok(MemberInvitation { status: InvitationStatus::Pending, invited_by, expires_at, ..invitation })
}

/// Closes an invitation that the caller has found open: accepted or taken back.
pub async fn close(tx: &Tx<'_>, id: Id<id::MemberInvitation>, status: InvitationStatus, now: Instant) -> Result<()> {
    tx.exec("UPDATE member_invitations SET status = ?2, closed_at = ?3 WHERE id = ?1", params![id, status, now]).await?;
    mailbox::delete(tx, &id.to_string()).await
}

/// Notes that an account has accepted an invitation. Its mail stays while an organization vouches for the account: the owner of
/// the address may confirm it yet.
pub async fn accepted(
    tx: &Tx<'_>,
    id: Id<id::MemberInvitation>,
    person: Id<id::Person>,
    vouched: bool,
    now: Instant,
) -> Result<()> {
    tx.exec(
        "UPDATE member_invitations SET status = 'ACCEPTED', closed_at = ?3, person_id = ?2 WHERE id = ?1",
        params![id, person, now],
    )
    .await?;
    if vouched { Ok(()) } else { mailbox::delete(tx, &id.to_string()).await }
}

/// Takes back whatever invitation a person could still accept in an organization.
pub async fn revoke_of(tx: &Tx<'_>, organization: Id<id::Organization>, person: Id<id::Person>, now: Instant) -> Result<()> {
    tx.exec(
        "DELETE FROM mailbox WHERE subject_id IN (SELECT id FROM member_invitations
         WHERE organization_id = ?1 AND email = (SELECT COALESCE(address, email) FROM people WHERE id = ?2) AND status = 'PENDING')",
        params![organization, person],
    )
    .await?;
    tx.exec(
        "UPDATE member_invitations SET status = 'REVOKED', closed_at = ?3
         WHERE organization_id = ?1 AND email = (SELECT COALESCE(address, email) FROM people WHERE id = ?2) AND status = 'PENDING'",
        params![organization, person, now],
    )
    .await
}
