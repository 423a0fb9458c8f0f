//! Certificates of environments: which there are, and the jobs that warn before they end.

use domain::{
    Error, Id, Instant, Kind, Result,
    certificate::{next_warning, warning_due},
    form::{read, written},
    id,
};
use serde_json::{Value, value::RawValue};
use store::{
    Scope, Tx,
    certificates::{self, Certificate, NoteCertificates, WarnOfCertificate},
    environments,
    jobs::{self, Job, NewJob},
};
use web::{Hub, Record};

/// The environment that certificates are installed in.
#[derive(Clone, Copy)]
pub struct Owner {
    pub organization_id: Id<id::Organization>,
    pub environment_id: Id<id::Environment>,
}

/// Notes which certificates an environment has with these products, and forgets the others along with their warnings.
pub async fn follow(tx: &Tx<'_>, hub: &Hub, scope: &Scope, owner: Owner, products: &Value) -> Result<()> {
    let mut known = certificates::of_environment(tx, scope, owner.environment_id).await?;
    for product in products.as_array().into_iter().flatten() {
        let (Some(product_id), Some(thumbprint)) = (product["productId"].as_str(), thumbprint(product)) else { continue };
        let same = known.iter().position(|known| known.product_id == product_id && known.thumbprint == thumbprint);
        if let Some(place) = same {
            known.swap_remove(place);
            continue;
        }
        if let Some(place) = known.iter().position(|known| known.product_id == product_id) {
            forget(tx, &known.swap_remove(place)).await?;
        }
        insert(tx, hub, owner, product).await?;
    }
    for gone in &known {
        forget(tx, gone).await?;
    }
    Ok(())
}

/// Does the same for a job that a hub of before schema step 33 has left; since then the task itself does it.
pub async fn note(hub: Hub, job: Job, NoteCertificates { environment_id }: NoteCertificates) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    let owner = Owner { organization_id: job.organization_id, environment_id };
    let db = hub.db().await?;
    db.in_transaction(async |tx| {
        let products = match environments::find(tx, &scope, environment_id).await {
            Ok(found) => read(found.products.get().as_bytes())
                .map_err(|error| Error::fault(format!("the products of an environment: {error}")))?,
            // One that is gone has none.
            Err(error) if error.kind == Kind::NotFound => Value::Null,
            Err(error) => return Err(error),
        };
        follow(tx, &hub, &scope, owner, &products).await?;
        jobs::finish(tx, &job).await
    })
    .await
}

fn thumbprint(product: &Value) -> Option<&str> {
    product["certificate"]["thumbprint"].as_str()
}

async fn forget(tx: &Tx<'_>, gone: &Certificate) -> Result<()> {
    jobs::forget(tx, gone.job_id).await?;
    certificates::delete(tx, gone.id).await
}

async fn insert(tx: &Tx<'_>, hub: &Hub, owner: Owner, product: &Value) -> Result<()> {
    let Owner { organization_id, environment_id } = owner;
    let fault = |what: &str| Error::unavailable(format!("the certificate of a product of {environment_id}: {what}"));
    let facts = &product["certificate"];
    let valid_to: Instant = facts["validTo"].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| fault("it has no end"))?;
    let new = Certificate {
        id: hub.id(),
        organization_id,
        environment_id,
        product_id: product["productId"].as_str().unwrap_or_default().to_owned(),
        certificate: RawValue::from_string(written(facts)).map_err(|error| fault(&error.to_string()))?,
        valid_to,
        warned_days: None,
        noted_at: hub.now(),
        thumbprint: thumbprint(product).unwrap_or_default().to_owned(),
        job_id: hub.id(),
    };
    certificates::insert(tx, &new).await?;
    let due = warning_due(valid_to, None, hub.now()).map(|_| hub.now());
    let Some(due_at) = due.or_else(|| next_warning(valid_to, hub.now())) else { return Ok(()) };
    let trace = hub.traceparent();
    let warn = NewJob::of(new.job_id, organization_id, &WarnOfCertificate { certificate_id: new.id }, hub.now())?;
    jobs::enqueue(tx, NewJob { due_at, trace: Some(&trace), ..warn }).await
}

/// Gives the warning that is due for a certificate, and comes back for the next one.
pub async fn warn(hub: Hub, job: Job, WarnOfCertificate { certificate_id: id }: WarnOfCertificate) -> Result<()> {
    let scope = Scope::below(job.organization_path.clone());
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let found = match certificates::find(tx, &scope, id).await {
                Err(error) if error.kind == Kind::NotFound => return jobs::finish(tx, &job).await,
                found => found?,
            };
            if let Some(days) = warning_due(found.valid_to, found.warned_days, hub.now()) {
                certificates::set_warned(tx, id, days).await?;
                record(tx, &hub, &job, &found, days).await?;
            }
            match next_warning(found.valid_to, hub.now()) {
                Some(at) => jobs::again(tx, &job, at).await,
                None => jobs::finish(tx, &job).await,
            }
        })
        .await
}

async fn record(tx: &Tx<'_>, hub: &Hub, job: &Job, found: &Certificate, days: i64) -> Result<()> {
    hub.audit("environmentId", &found.environment_id.to_string());
    hub.audit("productId", &found.product_id);
    hub.audit("thumbprint", &found.thumbprint);
    hub.audit("validTo", &found.valid_to.to_string());
    hub.audit("days", &days.to_string());
    let what = Record::of_job(
        job.id,
        found.organization_id,
        if days > 0 { "certificates.warn" } else { "certificates.expire" },
        found.id.to_string(),
    );
    hub.record(tx, what).await
}
