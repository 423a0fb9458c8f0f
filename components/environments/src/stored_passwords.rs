//! `/v1/stored-passwords`. None of these answers has a password in it.

use domain::{
    Error, Id, OrganizationKind, Result,
    form::{Form, Shape},
    id,
    stored_password::{NewStoredPassword, StoredPasswordPatch, reference},
};
use serde_json::Value;
use store::{
    organizations,
    stored_passwords::{self, Edit, StoredPassword},
};
use web::{
    Caller, Created, Edited, Filled, Hub, IfMatch, Listing, NoContent, OrganizationPageQuery, Page, Path, Query, Sent,
    check_state, permit,
};

/// A field of a body that was found right.
fn said(body: &Value, field: &str) -> Option<String> {
    body[field].as_str().map(str::to_owned)
}

/// The password of a body, sealed for what it is stored as.
async fn sealed(hub: &Hub, id: Id<id::StoredPassword>, body: &mut Value, shape: &Shape) -> Result<Option<String>> {
    match shape.mask(body).pop() {
        Some((_, password)) => hub.seal(&id.to_string(), &password).await.map(Some),
        None => Ok(None),
    }
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::DataCenterWrite>,
    mut new: Filled<NewStoredPassword>,
) -> Result<Sent<Created<StoredPassword>>> {
    let id = hub.id();
    let secret = sealed(&hub, id, &mut new.value, &NewStoredPassword::SHAPE).await?.unwrap_or_default();
    let owner = match new.value["organizationId"].as_str() {
        Some(text) => text.parse().map_err(|error: id::NotAnId| Error::invalid("/organizationId", error.to_string()))?,
        None => caller.acting().id,
    };
    let stored = StoredPassword {
        id,
        organization_id: owner,
        alias: said(&new.value, "alias").unwrap_or_default(),
        reference: reference(web::random()),
        username: said(&new.value, "username"),
        description: said(&new.value, "description"),
        created_at: hub.now(),
        updated_at: hub.now(),
        version: 1,
    };
    hub.write(&caller, async |tx| {
        let owner = organizations::find_place_in_use(tx, &caller.scope(), owner).await?;
        if owner.kind == OrganizationKind::Customer {
            return Err(Error::invalid(
                "/organizationId",
                "is a CUSTOMER; passwords are stored for who runs what they are for, so name its provider",
            ));
        }
        hub.concerns(owner.id);
        stored_passwords::insert(tx, &stored, &secret).await?;
        Ok(Created { location: format!("/v1/stored-passwords/{id}"), version: Some(1), value: stored.clone() })
    })
    .await
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::DataCenterRead>,
    Query(query): Query<OrganizationPageQuery>,
) -> Result<Listing<StoredPassword>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let scope = caller.scope();
    let found = stored_passwords::list(hub.db().await?, &scope, query.organization_id, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |stored| stored.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::DataCenterRead>,
    Path(id): Path<Id<id::StoredPassword>>,
) -> Result<Edited<StoredPassword>> {
    let value = stored_passwords::find(hub.db().await?, &caller.scope(), id).await?;
    Ok(Edited { version: value.version, value })
}

pub async fn edit(
    hub: Hub,
    caller: Caller<permit::DataCenterWrite>,
    Path(id): Path<Id<id::StoredPassword>>,
    condition: IfMatch,
    mut patch: Filled<StoredPasswordPatch>,
) -> Result<Sent<Edited<StoredPassword>>> {
    let edit = Edit {
        sealed: sealed(&hub, id, &mut patch.value, &StoredPasswordPatch::SHAPE).await?,
        alias: said(&patch.value, "alias"),
        username: said(&patch.value, "username"),
        description: said(&patch.value, "description"),
    };
    hub.write(&caller, async |tx| {
        let value = stored_passwords::update(tx, &caller.scope(), id, condition.version, &edit, hub.now()).await?;
        hub.concerns(value.organization_id);
        if edit.sealed.is_some() {
            hub.audit_changed("password");
        }
        Ok(Edited { version: value.version, value })
    })
    .await
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::DataCenterWrite>,
    Path(id): Path<Id<id::StoredPassword>>,
    condition: Option<IfMatch>,
) -> Result<Sent<NoContent>> {
    let version = IfMatch::named(condition);
    hub.write(&caller, async |tx| {
        let found = stored_passwords::find(tx, &caller.scope(), id).await?;
        check_state(version, found.version)?;
        hub.concerns(found.organization_id);
        stored_passwords::check_unused(tx, &found).await?;
        stored_passwords::delete(tx, &caller.scope(), id).await?;
        Ok(NoContent)
    })
    .await
}
