//! Branding: what organizations say of it, and what holds where.

use crate::{Db, Row, Scope, Tx, Value, organizations::OrganizationHead, params, value::numbers};
use domain::{
    Error, Id, Instant, OrganizationPath, Result,
    branding::{Branding, BrandingSource, EffectiveBranding},
    id,
};

/// What an organization says of its own branding, and at which version that is: 0 while it says nothing.
pub async fn find(db: &Db, organization_id: Id<id::Organization>) -> Result<(Branding, i64)> {
    let sql = "SELECT portal_name, logo_url, icon_url, primary_color, background_color, links, version FROM branding WHERE organization_id = ?1";
    let found = db.query_opt(sql, params![organization_id], |row| Ok((read(row)?, row.take()?))).await?;
    Ok(found.unwrap_or_default())
}

fn read(row: &mut Row) -> Result<Branding> {
    Ok(Branding {
        portal_name: row.take()?,
        logo_url: row.take()?,
        icon_url: row.take()?,
        primary_color: row.take()?,
        background_color: row.take()?,
        links: match row.take::<Option<String>>()? {
            Some(json) => Some(serde_json::from_str(&json).map_err(|error| Error::fault(format!("links: {error}")))?),
            None => None,
        },
    })
}

/// The branding that holds in an organization, which the caller has found within its scope. Fields are inherited from
/// above the scope too, but which organization says them is told only within it.
pub async fn effective(db: &Db, scope: &Scope, organization: &OrganizationHead) -> Result<EffectiveBranding> {
    let line: Vec<Value> = organization.path.line().map(|id| crate::Stored::to_value(&id)).collect();
    let sql = format!(
        "SELECT o.path, o.kind, b.portal_name, b.logo_url, b.icon_url, b.primary_color, b.background_color, b.links
         FROM branding b JOIN organizations o ON o.id = b.organization_id WHERE b.organization_id IN ({}) ORDER BY o.path DESC",
        numbers(1, line.len())
    );
    let said = db
        .query_all(&sql, line, |row| {
            let path: OrganizationPath = row.take()?;
            let organization_id = path.id().filter(|_| scope.path().reaches(&path));
            Ok((BrandingSource { organization_id, organization_kind: row.take()? }, read(row)?))
        })
        .await?;
    Ok(EffectiveBranding::of(said))
}

/// Writes what an organization says of its own branding, in place of what it said at `version`; anything else is stale.
pub async fn put(
    tx: &Tx<'_>,
    organization_id: Id<id::Organization>,
    version: Option<i64>,
    branding: &Branding,
    now: Instant,
) -> Result<()> {
    let (_, current) = find(tx, organization_id).await?;
    if version.is_some_and(|version| version != current) {
        return Err(crate::stale("branding"));
    }
    let links = branding.links.as_ref().map(serde_json::to_string).transpose();
    let links = links.map_err(|error| Error::fault(format!("links: {error}")))?;
    tx.exec(
        "INSERT INTO branding (organization_id, portal_name, logo_url, icon_url, primary_color, background_color, links, version, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (organization_id) DO UPDATE SET portal_name = excluded.portal_name, logo_url = excluded.logo_url,
             icon_url = excluded.icon_url, primary_color = excluded.primary_color, background_color = excluded.background_color,
             links = excluded.links, version = excluded.version, updated_at = excluded.updated_at",
        params![
            organization_id,
            branding.portal_name,
            branding.logo_url,
            branding.icon_url,
            branding.primary_color,
            branding.background_color,
            links,
            current + 1,
            now
        ],
    )
    .await
}
