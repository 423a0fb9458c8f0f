//! `/v1/me/memberships`: leaving an organization.

use domain::{Error, Id, Instant, Kind, PrincipalId, Result, id, member::last_administrator};
use store::{Tx, bindings, members};
use web::{Caller, Hub, NoContent, Path, Sent, permit};

/// Takes all roles of the person who asks in an organization. The last administrator stays, for nobody could run it.
pub async fn leave(
    hub: Hub,
    caller: Caller<permit::Anybody>,
    Path(organization): Path<Id<id::Organization>>,
) -> Result<Sent<NoContent>> {
    let PrincipalId::Person(person) = caller.principal() else {
        let text = "Only people leave an organization. An API token or an app is revoked: DELETE /v1/api-tokens/{apiTokenId}.";
        return Err(Error::new(Kind::Forbidden, "not_a_person", text));
    };
    let member = caller.bindings().iter().any(|binding| !binding.bound && binding.path.id() == Some(organization));
    hub.write(&caller, async |tx| {
        if !member {
            return Err(Error::not_found("membership_not_found", "membership of yours in the organization", organization));
        }
        end(tx, organization, person, hub.now()).await?;
        hub.concerns(organization);
        Ok(NoContent)
    })
    .await
}

/// Ends a membership unless the organization would be left without an administrator.
pub async fn end(tx: &Tx<'_>, organization: Id<id::Organization>, person: Id<id::Person>, now: Instant) -> Result<()> {
    bindings::lock(tx, organization).await?;
    let roles = bindings::roles(tx, PrincipalId::Person(person), organization).await?;
    let runs = roles.iter().any(|role| role.is_administrator());
    if runs && !bindings::any_administrator(tx, organization, Some(person)).await? {
        return Err(last_administrator());
    }
    members::delete(tx, organization, person, now).await
}
