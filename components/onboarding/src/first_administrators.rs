//! The first administrators of customers: invited in the transaction that creates the customer.

use crate::{
    admission::{Admission, joinable},
    member_invitation_mail::{FirstInvitee, InvitationDraft, send_first},
};
use domain::{
    Error, Id, Kind, List, OrganizationPath, PrincipalId, Result, Role,
    audit::{AuditDetails, AuditPrincipal, AuditResult},
    id,
    member::{FirstAdministrator, Grants, check_first_administrators},
    role::Authority,
};
use store::{
    Tx,
    audit::Subject,
    bindings,
    jobs::{self, Job},
    organizations::NewOrganization,
    people,
};
use web::{Hub, Identity, Mailbox, Record};

/// The audit action of an invitation.
const ACTION: &str = "members.add";

/// What the first administrator of a customer is given.
pub fn administrator_grants() -> Result<Grants> {
    let roles = List::new(vec![Role::CustomerAdministrator]).map_err(Error::fault)?;
    Ok(Grants { roles, bound_organization_ids: List::default(), service_role_ids: List::default() })
}

/// Invites the first administrators that new customers name, in the transaction that creates these customers below `parent`; refused
/// unless the caller could make them administrators. A known and an unknown mail address are invited alike, and the mailbox alone sees the
/// secret.
pub async fn invite_named(
    post: (&Hub, &Mailbox),
    tx: &Tx<'_>,
    caller: &Identity,
    parent: &OrganizationPath,
    customers: &[(Id<id::Organization>, &NewOrganization)],
) -> Result<()> {
    let invitees: Vec<_> = customers.iter().filter_map(|(customer, new)| FirstInvitee::of(*customer, new)).collect();
    let Some(first) = invitees.first() else { return Ok(()) };
    let own = match caller.principal() {
        PrincipalId::Person(person) => Some(people::find(tx, person).await?.email),
        _ => None,
    };
    let authority = caller.authority_in(&parent.child(first.organization_id));
    check_first_administrators(&authority, own.as_ref(), invitees.iter().map(|invitee| invitee.email))?;
    let sent = send_first(post, tx, caller.principal(), &administrator_grants()?, &invitees).await?;
    let mut subjects: Vec<_> = invitees
        .iter()
        .zip(sent)
        .map(|(invitee, invitation)| {
            let mut details = AuditDetails::default();
            details.add("adminUserEmail", None, Some(invitee.email.as_str()));
            details.add("namedBy", None, Some(&caller.principal().to_string()));
            (invitee.organization_id, Subject { id: Some(invitation.to_string()), details })
        })
        .collect();
    subjects.sort_unstable_by_key(|(organization_id, _)| *organization_id);
    post.0.record_each(tx, caller, ACTION, &subjects).await
}

/// Invites the first administrator of a customer that an older version of the hub created, which left the invitation to a job. Nobody
/// waits for the outcome, so a refusal is for the customer's audit.
pub async fn invite(hub: Hub, job: Job, named: FirstAdministrator) -> Result<()> {
    let draft = InvitationDraft::new(&hub, named.by);
    let mailbox = Mailbox::open().await?;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            hub.audit("adminUserEmail", named.email.as_str());
            hub.audit("namedBy", &named.by.to_string());
            let (subject_id, result) = match send(tx, (&hub, &mailbox), &job, &named, &draft).await {
                Ok(id) => (Some(id.to_string()), AuditResult::Success),
                Err(error) if error.kind == Kind::Unavailable => return Err(error),
                Err(error) => {
                    hub.audit("refusal", error.code);
                    (None, AuditResult::Failure)
                }
            };
            let principal = AuditPrincipal::Job(job.id);
            let record = Record { organization_id: job.organization_id, action: ACTION, principal, subject_id, result };
            hub.record(tx, record).await?;
            jobs::finish(tx, &job).await
        })
        .await
}

async fn send(
    tx: &Tx<'_>,
    post: (&Hub, &Mailbox),
    job: &Job,
    named: &FirstAdministrator,
    draft: &InvitationDraft,
) -> Result<Id<id::MemberInvitation>> {
    let place = joinable(tx, job.organization_id).await?;
    let grants = administrator_grants()?;
    let authority = Authority::of(&bindings::of(tx, named.by, post.0.now()).await?, &place.path);
    Admission::check(tx, (place.id, place.kind), &grants, (named.by, authority)).await?;
    let invitee = (&named.email, named.display_name.as_ref());
    draft.send(post, tx, place.id, invitee, &grants, false).await.map(|sent| sent.id())
}
