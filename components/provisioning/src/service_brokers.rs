//! `/v1/service-brokers`

use domain::{Error, Id, JsonSchema, Result, Text, id, package::BaseUrl};
use serde::Deserialize;
use store::service_brokers::{self as brokers, Patch, ServiceBroker};
use web::{
    Body, Caller, Created, Edited, Hub, IfMatch, Listing, NoContent, Page, PageQuery, Path, Query, Sent, check_state, permit,
};

/// What is said of a service broker that is to be registered. It takes a username and a password, or a bearer token.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewServiceBroker {
    /// The name it is to be known by.
    display_name: Text<1, 120>,
    /// Where its API is: `/v2/catalog` is below it. The hub must be allowed to reach it.
    base_url: BaseUrl,
    /// The hub's name there.
    username: Option<Text<1, 120>>,
    /// The password of that name; it is kept sealed and never shown.
    password: Option<Text<1, 500>>,
    /// A token, in the place of both; it is kept sealed and never shown.
    bearer_token: Option<Text<1, 4000>>,
}

/// What is to be edited of a service broker; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceBrokerPatch {
    /// The name it is to be known by.
    display_name: Option<Text<1, 120>>,
    /// Where its API is.
    base_url: Option<BaseUrl>,
    /// The hub's name there, with its password.
    username: Option<Text<1, 120>>,
    /// The password of that name.
    password: Option<Text<1, 500>>,
    /// A token, in the place of both.
    bearer_token: Option<Text<1, 4000>>,
}

/// The hub's name and secret, of what was said; nothing, where nothing was.
fn credentials<'a>(
    username: &'a Option<Text<1, 120>>,
    password: &'a Option<Text<1, 500>>,
    bearer_token: &'a Option<Text<1, 4000>>,
) -> Result<Option<(Option<String>, &'a str)>> {
    match (username, password, bearer_token) {
        (Some(username), Some(_), None) if username.contains(':') => {
            Err(Error::invalid("/username", "has a colon, with which HTTP's basic authentication ends a name"))
        }
        (Some(username), Some(password), None) => Ok(Some((Some(username.to_string()), password))),
        (None, None, Some(token)) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(Error::invalid("/bearerToken", "is no token: write visible ASCII characters without spaces"))
        }
        (None, None, Some(token)) => Ok(Some((None, token))),
        (None, None, None) => Ok(None),
        (None, Some(_), _) => Err(Error::invalid("/username", "is missing; a password is that of a username")),
        (Some(_), None, _) => Err(Error::invalid("/password", "is missing; a username has a password")),
        (Some(_), Some(_), Some(_)) => {
            Err(Error::invalid("/bearerToken", "is one way to be known and a username another; give one of them"))
        }
    }
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Body(new): Body<NewServiceBroker>,
) -> Result<Sent<Created<ServiceBroker>>> {
    let id: Id<id::ServiceBroker> = hub.id();
    let Some((username, secret)) = credentials(&new.username, &new.password, &new.bearer_token)? else {
        return Err(Error::invalid("/username", "is missing; give a username and a password, or a bearerToken"));
    };
    let broker = ServiceBroker {
        id,
        display_name: new.display_name.to_string(),
        base_url: new.base_url.clone(),
        username,
        imported_at: None,
        created_at: hub.now(),
        updated_at: hub.now(),
        secret: hub.seal(&id.to_string(), secret).await?,
        left_alone_until: Default::default(),
        version: 1,
    };
    hub.write(&caller, async |tx| {
        brokers::insert(tx, &broker).await?;
        hub.audit("baseUrl", &broker.base_url.to_string());
        Ok(Created { location: format!("/v1/service-brokers/{id}"), version: Some(1), value: broker.clone() })
    })
    .await
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<ServiceBroker>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = brokers::list(hub.db().await?, page.after()?, page.rows()).await?;
    Listing::new(&page, found, |broker| broker.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    _: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::ServiceBroker>>,
) -> Result<Edited<ServiceBroker>> {
    brokers::find(hub.db().await?, id).await.map(edited)
}

fn edited(broker: ServiceBroker) -> Edited<ServiceBroker> {
    Edited { version: broker.version, value: broker }
}

pub async fn edit(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::ServiceBroker>>,
    condition: IfMatch,
    Body(patch): Body<ServiceBrokerPatch>,
) -> Result<Sent<Edited<ServiceBroker>>> {
    let credentials = match credentials(&patch.username, &patch.password, &patch.bearer_token)? {
        Some((username, secret)) => Some((username, hub.seal(&id.to_string(), secret).await?)),
        None => None,
    };
    if patch.base_url.is_some() && credentials.is_none() {
        return Err(Error::invalid(
            "/baseUrl",
            "is another place, which must not be sent the secret of the one before; give the credentials for it too",
        ));
    }
    let patch = Patch { display_name: patch.display_name, base_url: patch.base_url, credentials };
    hub.write(&caller, async |tx| {
        let broker = brokers::update(tx, id, condition.version, &patch, hub.now()).await?;
        if patch.credentials.is_some() {
            hub.audit_changed("secret");
        }
        Ok(edited(broker))
    })
    .await
}

pub async fn remove(
    hub: Hub,
    caller: Caller<permit::ServiceWrite>,
    Path(id): Path<Id<id::ServiceBroker>>,
    condition: Option<IfMatch>,
) -> Result<Sent<NoContent>> {
    let version = IfMatch::named(condition);
    hub.write(&caller, async |tx| {
        check_state(version, brokers::find(tx, id).await?.version)?;
        brokers::delete(tx, id).await?;
        Ok(NoContent)
    })
    .await
}
