//! `/v1/api-tokens`

use domain::{Error, Id, JsonSchema, Moment, Result, Role, Text, id};
use serde::{Deserialize, Serialize};
use store::{
    api_tokens::{self, ApiToken},
    organizations,
};
use web::{Body, Caller, Created, Hub, Listing, NoContent, Page, PageQuery, Path, Query, Sent, permit, secret};

/// What is said of an API token that is to be issued.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewApiToken {
    /// What it is to be called.
    name: Text<1, 80>,
    /// The organization it is to belong to and act in.
    organization_id: Id<id::Organization>,
    /// The role it is to have there. Nobody grants more than they may themselves.
    role: Role,
    /// When it is to end by itself: an instant on a whole millisecond, before the year 3000. Never, when left out.
    expires_at: Option<Moment>,
}

/// An API token with its secret, as it is shown once.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuedApiToken {
    #[serde(flatten)]
    token: ApiToken,
    /// The secret. It is stored nowhere: keep it now.
    api_token: String,
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ApiTokenWrite>,
    Body(new): Body<NewApiToken>,
) -> Result<Sent<Created<IssuedApiToken>>> {
    let expires_at = new.expires_at.map(Moment::instant);
    if expires_at.is_some_and(|end| end <= hub.now()) {
        return Err(Error::invalid("/expiresAt", "is in the past; choose a later instant, or leave it out"));
    }
    let (id, api_token) = (hub.id(), secret::new("hubpt_"));
    hub.write(&caller, async |tx| {
        let organization = organizations::find_in_use(tx, &caller.scope(), new.organization_id).await?;
        caller.authority_in(&organization.path).check(new.role, false)?;
        if new.role.row().kind != organization.kind {
            return Err(Error::invalid(
                "/role",
                format!(
                    "{} is a role in organizations of the kind {}; {} is of the kind {}",
                    new.role,
                    new.role.row().kind,
                    organization.id,
                    organization.kind
                ),
            ));
        }
        let token = ApiToken {
            id,
            organization_id: organization.id,
            name: new.name.to_string(),
            role: new.role,
            expires_at,
            last_used_at: None,
            created_at: hub.now(),
        };
        api_tokens::insert(tx, &token, &secret::hash(&api_token)).await?;
        hub.concerns(organization.id);
        hub.audit("name", &token.name);
        hub.audit("role", token.role.as_str());
        Ok(Created::at(format!("/v1/api-tokens/{id}"), IssuedApiToken { token, api_token: api_token.clone() }))
    })
    .await
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::ApiTokenRead>,
    Query(query): Query<PageQuery<id::ApiToken>>,
) -> Result<Listing<ApiToken>> {
    let page = Page::new(query.limit)?;
    let found = api_tokens::list(hub.db().await?, &caller.scope(), query.cursor, page.rows()).await?;
    Ok(Listing::new(&page, found, hub.target(), |token| token.id.to_string()))
}

pub async fn revoke(
    hub: Hub,
    caller: Caller<permit::ApiTokenWrite>,
    Path(id): Path<Id<id::ApiToken>>,
) -> Result<Sent<NoContent>> {
    hub.write(&caller, async |tx| {
        hub.concerns(api_tokens::revoke(tx, &caller.scope(), id, hub.now()).await?);
        Ok(NoContent)
    })
    .await
}
