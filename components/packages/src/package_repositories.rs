//! `/v1/package-repositories`

use domain::{
    Error, Id, JsonSchema, Result, Text, id,
    package::{PackageFileStatus, PackageWorkStatus, check_idle},
};
use serde::Deserialize;
use store::{
    Tx,
    package_repositories::{
        self as repositories, FileFilter, NewPackageRepository, PackageFile, PackageRepository, RefreshRepository,
        VerifyRepository,
    },
};
use web::{Accepted, Body, Caller, Created, Cursor, Hub, Listing, NoContent, Page, PageQuery, Path, Query, Sent, Shown, permit};

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Body(new): Body<NewPackageRepository>,
) -> Result<Sent<Created<PackageRepository>>> {
    let id = hub.id();
    hub.write(&caller, async |tx| {
        let repository = repositories::insert(tx, id, &new, hub.now()).await?;
        hub.enqueue(tx, caller.acting().id, &RefreshRepository { package_repository_id: id }).await?;
        Ok(Created::at(location(id), repository))
    })
    .await
}

fn location(id: Id<id::PackageRepository>) -> String {
    format!("/v1/package-repositories/{id}")
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::ServiceRead>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<PackageRepository>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = repositories::list(hub.db().await?, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |repository| repository.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    _: Caller<permit::ServiceRead>,
    Path(id): Path<Id<id::PackageRepository>>,
) -> Result<Shown<PackageRepository>> {
    repositories::find(hub.db().await?, id).await.map(Shown)
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::PackageRepository>>,
) -> Result<Sent<NoContent>> {
    hub.write(&caller, async |tx| {
        idle(tx, id).await?;
        repositories::delete(tx, id).await?;
        Ok(NoContent)
    })
    .await
}

/// The repository, when nothing is under way there.
async fn idle(tx: &Tx<'_>, id: Id<id::PackageRepository>) -> Result<PackageRepository> {
    let repository = repositories::find(tx, id).await?;
    check_idle(repository.refresh_status, repository.verification_status)?;
    Ok(repository)
}

/// Which files to list.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileQuery {
    /// Only those of this product.
    product_code: Option<Text<1, 60>>,
    /// Only those of this version.
    version: Option<Text<1, 60>>,
    /// Only those of which this is known.
    status: Option<PackageFileStatus>,
    /// How many a page holds: 1 to 200, 50 when left out.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page begins: the `nextCursor` of the page before.
    cursor: Option<Cursor>,
}

pub async fn list_files(
    hub: Hub,
    caller: Caller<permit::ServiceRead>,
    Path(id): Path<Id<id::PackageRepository>>,
    Query(query): Query<FileQuery>,
) -> Result<Listing<PackageFile>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let db = hub.db().await?;
    repositories::find(db, id).await?;
    let filter = FileFilter { product_code: query.product_code.as_ref(), version: query.version.as_ref(), status: query.status };
    let found = repositories::list_files(db, id, filter, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |file| file.id.to_string()).await
}

pub async fn refresh(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::PackageRepository>>,
) -> Result<Sent<Accepted<PackageRepository>>> {
    hub.write(&caller, async |tx| {
        idle(tx, id).await?;
        repositories::set_refresh(tx, id, PackageWorkStatus::InProgress, None, hub.now()).await?;
        hub.enqueue(tx, caller.acting().id, &RefreshRepository { package_repository_id: id }).await?;
        accepted(tx, id).await
    })
    .await
}

pub async fn verify(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::PackageRepository>>,
) -> Result<Sent<Accepted<PackageRepository>>> {
    hub.write(&caller, async |tx| {
        if idle(tx, id).await?.refreshed_at.is_none() {
            return Err(Error::conflict(
                "package_index_unread",
                "The repository's index could not be read yet, so there is nothing to compare with. See its refreshMessage, mend that and refresh it.",
            ));
        }
        repositories::forget_files(tx, id).await?;
        repositories::set_verification(tx, id, PackageWorkStatus::InProgress, None, hub.now()).await?;
        hub.enqueue(tx, caller.acting().id, &VerifyRepository { package_repository_id: id }).await?;
        accepted(tx, id).await
    })
    .await
}

async fn accepted(tx: &Tx<'_>, id: Id<id::PackageRepository>) -> Result<Accepted<PackageRepository>> {
    Ok(Accepted { value: repositories::find(tx, id).await?, location: location(id), ended: false })
}
