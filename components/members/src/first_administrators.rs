//! The first administrators of customers that were made with one.

use crate::{acceptance::place, admission::Admission, member_invitations::Draft};
use domain::{
    Error, Id, Kind, List, Result, Role,
    audit::{AuditPrincipal, AuditResult},
    id,
    member::{FirstAdministrator, Grants},
    role::Authority,
};
use store::{
    Tx, bindings,
    jobs::{self, Job},
};
use web::{Hub, Mailbox, Record};

/// Invites whom the job names to become the customer's administrator. Nobody but their mailbox sees the secret, and nobody waits for
/// the outcome, so a refusal is for the audit of the customer.
pub async fn make(hub: Hub, job: Job, who: FirstAdministrator) -> Result<()> {
    let draft = Draft::new(&hub, who.by);
    let mailbox = Mailbox::open().await?;
    hub.db()
        .await?
        .in_transaction(async |tx| {
            hub.audit("adminUserEmail", who.email.as_str());
            hub.audit("namedBy", &who.by.to_string());
            let (subject_id, result) = match made(tx, (&hub, &mailbox), &job, &who, &draft).await {
                Ok(id) => (Some(id), AuditResult::Success),
                Err(error) if error.kind == Kind::Unavailable => return Err(error),
                Err(error) => {
                    hub.audit("refusal", error.code);
                    (None, AuditResult::Failure)
                }
            };
            let what = Record {
                organization_id: job.organization_id,
                action: "members.add",
                principal: AuditPrincipal::Job(job.id),
                subject_id,
                result,
            };
            hub.record(tx, what).await?;
            jobs::finish(tx, &job).await
        })
        .await
}

/// The invitation.
async fn made(
    tx: &Tx<'_>,
    (hub, mailbox): (&Hub, &Mailbox),
    job: &Job,
    who: &FirstAdministrator,
    draft: &Draft,
) -> Result<String> {
    let organization: Id<id::Organization> = job.organization_id;
    let place = place(tx, organization).await?;
    let roles = List::new(vec![Role::CustomerAdministrator]).map_err(Error::fault)?;
    let grants = Grants { roles, bound_organization_ids: List::default(), service_role_ids: List::default() };
    let authority = Authority::of(&bindings::of(tx, who.by, hub.now()).await?, &place.path);
    Admission::check(tx, (place.id, place.kind), &grants, (who.by, authority)).await?;
    let whom = (&who.email, who.display_name.as_ref());
    draft.send((hub, mailbox), tx, place.id, whom, &grants, false).await.map(|sent| sent.id().to_string())
}
