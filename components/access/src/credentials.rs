//! What API tokens and apps have in common: both are issued, listed, given another secret and revoked in the same way.

use domain::{
    Id, JsonSchema, List, Moment, PrincipalId, Result, Role, Text,
    credential::{check_roles, end},
    id,
    role::Authority,
};
use serde::Deserialize;
use store::{
    Tx,
    credentials::{self, Credential},
    customers_word::{self, Word},
    organizations,
};
use web::{Hub, Identity, Listing, NoContent, Page, PageQuery, Sent};

/// What is said of a credential that is to be issued.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCredential {
    /// What it is to be called.
    name: Text<1, 80>,
    /// The organization it is to belong to and act in.
    organization_id: Id<id::Organization>,
    /// The roles it is to have there, at least one. Nobody grants more than they may themselves.
    #[schemars(length(min = 1))]
    roles: List<Role, 8>,
    /// When it is to end by itself: an instant on a whole millisecond, before the year 3000. Never, when left out, or with
    /// the credential that asks for it.
    expires_at: Option<Moment>,
}

/// Issues a credential in the caller's name.
pub async fn issue(
    hub: &Hub,
    caller: &Identity,
    tx: &Tx<'_>,
    id: PrincipalId,
    hash: &str,
    new: &NewCredential,
) -> Result<Credential> {
    let organization = organizations::find_in_use(tx, &caller.scope(), new.organization_id).await?;
    let word = Word::of(tx, caller.principal(), organization.id).await?;
    refuse_above_own(&word.authority(caller.authority_in(&organization.path)), &new.roles)?;
    hub.concerns(organization.id);
    hub.audit("name", &new.name);
    hub.audit("roles", &new.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" "));
    let roles = check_roles(&new.roles, organization.kind)?;
    let owner = caller.principal();
    let owner_ends = credentials::name_and_end(tx, owner).await?.and_then(|(_, end)| end);
    let credential = Credential {
        id,
        organization_id: organization.id,
        name: new.name.to_string(),
        roles,
        owner_id: Some(owner),
        owner_name: None,
        expires_at: end(new.expires_at.map(Moment::instant), owner_ends, hub.now())?,
        last_used_at: None,
        created_at: hub.now(),
    };
    credentials::insert(tx, &credential, hash, &word).await?;
    hub.concerns(organization.id);
    hub.audit("name", &credential.name);
    for role in &credential.roles {
        hub.audit("role", role.as_str());
    }
    credentials::find(tx, &caller.scope(), id).await
}

fn refuse_above_own(authority: &Authority, roles: &[Role]) -> Result<()> {
    roles.iter().try_for_each(|role| authority.check(*role, false))
}

/// Gives a credential another secret, and ends what the old one gave: its access tokens, and the credentials and invitations that it
/// issued, for the secret may have leaked. Who has it then may do what the credential may, so they must be permitted that
/// already; and a person who has it owns it. (A credential does not become an owner this way: two could own each other, and
/// then nobody would stand behind them.)
pub async fn regenerate(hub: &Hub, caller: &Identity, tx: &Tx<'_>, id: PrincipalId, hash: &str) -> Result<Credential> {
    let credential = credentials::find(tx, &caller.scope(), id).await?;
    let organization = organizations::find(tx, &caller.scope(), credential.organization_id).await?;
    let word = Word::of(tx, caller.principal(), organization.id).await?;
    refuse_above_own(&word.authority(caller.authority_in(&organization.path)), &credential.roles)?;
    let owner = match caller.principal() {
        person @ PrincipalId::Person(_) => Some(person),
        _ => credential.owner_id,
    };
    let revoked = credentials::regenerate(tx, id, hash, owner, &word, hub.now()).await?;
    hub.concerns(organization.id);
    if revoked > 0 {
        hub.audit("revokedCredentials", &revoked.to_string());
    }
    credentials::find(tx, &caller.scope(), id).await
}

pub async fn list(hub: &Hub, caller: &Identity, kind: credentials::Kind, query: PageQuery) -> Result<Listing<Credential>> {
    let page = Page::new(hub, caller, query.limit, query.cursor.as_ref()).await?;
    let found = credentials::list(hub.db().await?, &caller.scope(), kind, page.place(2)?, page.rows()).await?;
    Listing::placed(&page, found).await
}

/// Revokes a credential: its owner always, others only one that they could have issued. A customer's own people end everything that was
/// given in it from above.
pub async fn revoke(hub: &Hub, caller: &Identity, id: PrincipalId) -> Result<Sent<NoContent>> {
    hub.write(caller, async |tx| {
        let credential = credentials::find(tx, &caller.scope(), id).await?;
        if credential.owner_id != Some(caller.principal()) && id != caller.principal() {
            let organization = organizations::find(tx, &caller.scope(), credential.organization_id).await?;
            customers_word::check(tx, caller.principal(), organization.id).await?;
            if !customers_word::is_from_above(tx, id).await? {
                refuse_above_own(&caller.authority_in(&organization.path), &credential.roles)?;
            }
        }
        hub.concerns(credentials::revoke(tx, &caller.scope(), id, hub.now()).await?);
        Ok(NoContent)
    })
    .await
}
