//! The audit of what a request or a job does.
//!
//! Whatever goes through [`Hub::write`] is recorded there, in its transaction: who did which operation to what. A handler has
//! nothing to do for that, and so cannot forget it; it may add which organizations it concerns besides and what changed.

use crate::{
    Answer, Hub, Identity,
    route::{LocalIn, OperationName},
};
use domain::{
    Id, Result,
    audit::{AuditDetails, AuditPrincipal, AuditResult, is_id, tells_no_secret},
    id,
};
use store::{
    Tx,
    audit::{NewEntry, Subject},
};

/// What a request does, as far as it is known.
#[derive(Default)]
pub(crate) struct Deed {
    action: OperationName,
    /// The values of the path's `{names}`.
    path: Vec<(&'static str, String)>,
    told: Told,
}

/// What the handler told of it.
#[derive(Default)]
struct Told {
    /// Each once, in their order: so chains are added to in one order everywhere, and no two wait for each other.
    concerned: Vec<Id<id::Organization>>,
    subject: Subject,
    /// Where one request may change several things or none: those that it changed.
    items: Option<Vec<Subject>>,
}

impl Told {
    fn concerns(&mut self, organization_id: Id<id::Organization>) {
        if let Err(place) = self.concerned.binary_search(&organization_id) {
            self.concerned.insert(place, organization_id);
        }
    }
}

impl Deed {
    /// The action, what it was done to, and the rest, once the answer is known. The transaction may be run again afterwards.
    fn finish(&mut self, answer: &Answer) -> (&'static str, Told) {
        let mut told = std::mem::take(&mut self.told);
        let location = answer.headers.iter().find(|(name, _)| name == "location");
        let made = location.and_then(|(_, location)| location.rsplit('/').next());
        let named = self.path.iter().rev().map(|(_, value)| value.as_str());
        if told.subject.id.is_none() {
            told.subject.id = made.into_iter().chain(named).find(|id| is_id(id)).map(str::to_owned);
        }
        for (name, value) in &self.path {
            if Some(value) != told.subject.id.as_ref() && tells_no_secret(value) {
                told.subject.details.add(name, None, Some(value));
            }
        }
        (self.action.0, told)
    }
}

/// Something that is recorded for nobody who calls: by a job, by the hub itself, or of somebody who is not known yet.
pub struct Record<'a> {
    /// In whose chain; besides those that [`Hub::concerns`] named.
    pub organization_id: Id<id::Organization>,
    /// What was done: two words with a dot between them, as `contracts.activate`.
    pub action: &'a str,
    /// Who did it.
    pub principal: AuditPrincipal,
    /// What it was done to.
    pub subject_id: Option<String>,
    /// Whether it was done.
    pub result: AuditResult,
}

impl<'a> Record<'a> {
    /// What a job has done.
    pub fn of_job(job: Id<id::Job>, organization_id: Id<id::Organization>, action: &'a str, subject_id: String) -> Self {
        let principal = AuditPrincipal::Job(job);
        Self { organization_id, action, principal, subject_id: Some(subject_id), result: AuditResult::Success }
    }
}

impl Hub {
    /// Says whose things are changed, where that is not the organization acted in: it stands in the audit of that organization
    /// too. This, as whatever is told to the audit, is said inside the transaction.
    pub fn concerns(&self, organization_id: Id<id::Organization>) {
        self.0.deed.borrow_mut().told.concerns(organization_id);
    }

    /// Says what is changed, where that is neither what the answer's Location names nor the last id of the path.
    pub fn audit_subject(&self, id: String) {
        self.0.deed.borrow_mut().told.subject.id = Some(id);
    }

    /// Tells the audit a value that belongs to what is done. Never a secret.
    pub fn audit(&self, name: &str, value: &str) {
        self.0.deed.borrow_mut().told.subject.details.add(name, None, Some(value));
    }

    /// Tells the audit what a value was and what it is now, if that is not the same.
    pub fn audit_change(&self, name: &str, from: Option<&str>, to: Option<&str>) {
        if from != to {
            self.0.deed.borrow_mut().told.subject.details.add(name, from, to);
        }
    }

    /// Tells the audit of a secret that it changed, and no more.
    pub fn audit_changed(&self, name: &str) {
        self.0.deed.borrow_mut().told.subject.details.add(name, None, None);
    }

    /// Says that this request may change several things, or none: each that it does change is told with [`Hub::audit_item`] and
    /// gets an entry of its own, in place of the one for the request.
    pub fn audit_each(&self) {
        self.0.deed.borrow_mut().told.items = Some(Vec::new());
    }

    /// Tells the audit of one thing among several that one request changes.
    pub fn audit_item(&self, subject_id: String, details: AuditDetails) {
        let item = Subject { id: Some(subject_id), details };
        self.0.deed.borrow_mut().told.items.get_or_insert_default().push(item);
    }

    pub(crate) fn set_deed(&self, action: OperationName, path: &[(&'static str, String)]) {
        *self.0.deed.borrow_mut() = Deed { action, path: path.to_vec(), told: Told::default() };
    }

    /// Forgets what was told by an attempt that was rolled back.
    pub(crate) fn begin_deed(&self) {
        self.0.deed.borrow_mut().told = Told::default();
    }

    /// Records what a caller did: in the chain of the organization acted in, of the caller's own and of those concerned. So
    /// each organization sees what was done in it and to it, and what its own did elsewhere.
    pub(crate) fn record_deed<'a>(&'a self, tx: &'a Tx<'_>, caller: &'a Identity, answer: &'a Answer) -> LocalIn<'a, Result<()>> {
        let (action, mut told) = self.0.deed.borrow_mut().finish(answer);
        Box::pin(async move {
            told.concerns(caller.acting().id);
            told.concerns(caller.home().id);
            record(tx, self.entry_of(caller, action), told).await
        })
    }

    /// Records what a caller did beside the request's own action: an entry in the chain of each of these organizations, which come in
    /// the order of their ids.
    pub async fn record_each(
        &self,
        tx: &Tx<'_>,
        caller: &Identity,
        action: &str,
        subjects: &[(Id<id::Organization>, Subject)],
    ) -> Result<()> {
        store::audit::record_each(tx, subjects, &self.entry_of(caller, action)).await
    }

    fn entry_of<'a>(&'a self, caller: &Identity, action: &'a str) -> NewEntry<'a> {
        NewEntry {
            principal_organization_id: Some(caller.home().id),
            acting_organization_id: Some(caller.acting().id),
            acting_session_id: caller.acting_session(),
            ..self.entry(action, caller.principal().into(), AuditResult::Success)
        }
    }

    /// Records what is done without a caller, with what was told to the audit before. In its transaction; of a refusal, in one
    /// of its own.
    pub async fn record(&self, tx: &Tx<'_>, what: Record<'_>) -> Result<()> {
        let mut told = std::mem::take(&mut self.0.deed.borrow_mut().told);
        told.concerns(what.organization_id);
        told.subject.id = what.subject_id;
        let entry = self.entry(what.action, what.principal, what.result);
        record(tx, entry, told).await
    }

    fn entry<'a>(&'a self, action: &'a str, principal: AuditPrincipal, result: AuditResult) -> NewEntry<'a> {
        NewEntry {
            at: self.now(),
            action,
            principal,
            principal_organization_id: None,
            acting_organization_id: None,
            acting_session_id: None,
            request_id: self.trace().request_id,
            trace_id: self.trace().trace_id(),
            result,
        }
    }
}

/// Boxed, because it would otherwise be compiled into everything that records.
fn record<'a>(tx: &'a Tx<'_>, entry: NewEntry<'a>, told: Told) -> LocalIn<'a, Result<()>> {
    Box::pin(async move {
        let subjects = told.items.as_deref().unwrap_or(std::slice::from_ref(&told.subject));
        if subjects.is_empty() {
            return Ok(());
        }
        store::audit::record(tx, &told.concerned, &entry, subjects).await
    })
}
