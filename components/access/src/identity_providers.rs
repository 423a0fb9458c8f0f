//! `/v1/identity-providers`

use domain::{Error, Id, JsonSchema, List, Result, Text, id, oidc::Url};
use serde::Deserialize;
use store::{
    customers_word,
    identity_providers::{self, IdentityProvider, Patch},
    members, organizations,
};
use web::{
    Body, Caller, Created, Edited, Hub, Identity, IfMatch, Listing, NoContent, Page, PageQuery, Path, Query, Sent, check_state,
    permit, secret, variable,
};

/// An identity provider to create.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewIdentityProvider {
    /// What people know it by.
    name: Text<1, 80>,
    /// The organization it is to serve: people sign in with it who have a role there or below, and their sessions open no more.
    organization_id: Id<id::Organization>,
    /// Its issuer identifier; its metadata is at `<issuer>/.well-known/openid-configuration`.
    issuer: Url,
    /// The hub's id there.
    client_id: Text<1, 200>,
    /// The hub's secret there; none, for a public client.
    client_secret: Option<Text<1, 500>>,
    /// What it is to be asked for beside `openid` and `email`.
    scopes: Option<List<Text<1, 80>, 20>>,
    /// The domains of mail addresses that it may vouch for; all, when left out.
    email_domains: Option<List<Text<1, 253>, 50>>,
    /// Whether addresses in these domains count as verified where its ID tokens have no `email_verified`, as those of Microsoft Entra
    /// ID. Only with `emailDomains`, and only for an issuer that gives addresses in them to their owners alone. False, when left out.
    assume_email_verified: Option<bool>,
}

/// What is edited; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityProviderPatch {
    /// What people know it by.
    name: Option<Text<1, 80>>,
    /// The hub's id there.
    client_id: Option<Text<1, 200>>,
    /// The hub's secret there.
    client_secret: Option<Text<1, 500>>,
    /// What it is to be asked for beside `openid` and `email`.
    scopes: Option<List<Text<1, 80>, 20>>,
    /// The domains of mail addresses that it may vouch for; all, when empty.
    email_domains: Option<List<Text<1, 253>, 50>>,
    /// Whether addresses in these domains count as verified where its ID tokens do not say.
    assume_email_verified: Option<bool>,
}

/// Who may say of any address at all that it is verified without saying so could sign in as anybody.
fn check_assumption(assume_email_verified: bool, email_domains: &[String]) -> Result<()> {
    match assume_email_verified && email_domains.is_empty() {
        true => Err(Error::invalid(
            "/assumeEmailVerified",
            "needs emailDomains: name the domains in which the provider gives addresses to their owners alone",
        )),
        false => Ok(()),
    }
}

async fn sealed(client_secret: Option<&str>, id: Id<id::IdentityProvider>) -> Result<Option<String>> {
    let Some(client_secret) = client_secret else { return Ok(None) };
    secret::seal(&secret::key(&variable("data_key").await?, "identity provider", &[&id.to_string()]), client_secret.as_bytes())
        .map(Some)
}

fn scopes(scopes: Option<&[Text<1, 80>]>) -> Result<Vec<String>> {
    let mut all = vec!["openid".to_owned(), "email".to_owned()];
    for (index, scope) in scopes.unwrap_or_default().iter().enumerate() {
        // RFC 6749, 3.3
        if !scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
            return Err(Error::invalid(format!("/scopes/{index}"), "is no scope: write one word of visible ASCII characters"));
        }
        if !all.iter().any(|known| **known == **scope) {
            all.push(scope.to_string());
        }
    }
    Ok(all)
}

fn email_domains(domains: Option<&[Text<1, 253>]>) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for (index, domain) in domains.unwrap_or_default().iter().enumerate() {
        // A domain is right when a mail address in it is.
        let email = format!("x@{}", &**domain).parse::<domain::person::Email>();
        let email =
            email.map_err(|_| Error::invalid(format!("/emailDomains/{index}"), "is no domain; write it as example.com"))?;
        all.push(email.domain().to_owned());
    }
    Ok(all)
}

pub async fn create(
    hub: Hub,
    caller: Caller<permit::IdentityProviderWrite>,
    Body(new): Body<NewIdentityProvider>,
) -> Result<Sent<Created<IdentityProvider>>> {
    if new.issuer.has_query() {
        return Err(Error::invalid("/issuer", "has a query; an issuer identifier has none"));
    }
    let id = hub.id();
    let (scopes, email_domains) = (scopes(new.scopes.as_deref())?, email_domains(new.email_domains.as_deref())?);
    let assume_email_verified = new.assume_email_verified.unwrap_or_default();
    check_assumption(assume_email_verified, &email_domains)?;
    let client_secret = sealed(new.client_secret.as_deref(), id).await?;
    hub.write(&caller, async |tx| {
        let organization = organizations::find_in_use(tx, &caller.scope(), new.organization_id).await?;
        let mut provider = IdentityProvider {
            id,
            organization_id: organization.id,
            name: new.name.to_string(),
            issuer: new.issuer.to_string(),
            client_id: new.client_id.to_string(),
            has_client_secret: client_secret.is_some(),
            scopes: scopes.clone(),
            email_domains: email_domains.clone(),
            assume_email_verified,
            awaits_customer: false,
            created_at: hub.now(),
            updated_at: hub.now(),
            version: 1,
        };
        provider.awaits_customer =
            identity_providers::insert(tx, &provider, client_secret.as_deref(), caller.principal()).await?;
        hub.concerns(organization.id);
        hub.audit("issuer", &provider.issuer);
        Ok(Created { location: format!("/v1/identity-providers/{id}"), version: Some(1), value: provider })
    })
    .await
}

pub async fn list(
    hub: Hub,
    caller: Caller<permit::IdentityProviderRead>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<IdentityProvider>> {
    let page = Page::new(&hub, &caller, query.limit, query.cursor.as_ref()).await?;
    let found = identity_providers::list(hub.db().await?, &caller.scope(), page.after()?, page.rows()).await?;
    Listing::new(&page, found, |provider| provider.id.to_string()).await
}

pub async fn show(
    hub: Hub,
    caller: Caller<permit::IdentityProviderRead>,
    Path(id): Path<Id<id::IdentityProvider>>,
) -> Result<Edited<IdentityProvider>> {
    let provider = identity_providers::find(hub.db().await?, &caller.scope(), id).await?;
    Ok(Edited { version: provider.version, value: provider })
}

pub async fn edit(
    hub: Hub,
    caller: Caller<permit::IdentityProviderWrite>,
    Path(id): Path<Id<id::IdentityProvider>>,
    condition: IfMatch,
    Body(patch): Body<IdentityProviderPatch>,
) -> Result<Sent<Edited<IdentityProvider>>> {
    let patch = Patch {
        name: patch.name.map(String::from),
        client_id: patch.client_id.map(String::from),
        client_secret: sealed(patch.client_secret.as_deref(), id).await?,
        scopes: patch.scopes.map(|given| scopes(Some(&given))).transpose()?.map(|all| all.join(" ")),
        email_domains: patch.email_domains.map(|given| email_domains(Some(&given))).transpose()?.map(|all| all.join(" ")),
        assume_email_verified: patch.assume_email_verified,
    };
    hub.write(&caller, async |tx| {
        let provider =
            identity_providers::update(tx, &caller.scope(), id, condition.version, &patch, caller.principal(), hub.now()).await?;
        check_assumption(provider.assume_email_verified, &provider.email_domains)?;
        hub.concerns(provider.organization_id);
        Ok(Edited { version: provider.version, value: provider })
    })
    .await
}

pub async fn delete(
    hub: Hub,
    caller: Caller<permit::IdentityProviderWrite>,
    Path(id): Path<Id<id::IdentityProvider>>,
    condition: Option<IfMatch>,
) -> Result<Sent<NoContent>> {
    let version = IfMatch::named(condition);
    hub.write(&caller, async |tx| {
        check_state(version, identity_providers::find(tx, &caller.scope(), id).await?.version)?;
        hub.concerns(identity_providers::delete(tx, &caller.scope(), id).await?);
        Ok(NoContent)
    })
    .await
}

/// For the administrators of the customer that it serves: it vouches for the customer's people from now on.
pub async fn trust(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Path(id): Path<Id<id::IdentityProvider>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<IdentityProvider>>> {
    say(&hub, &caller, id, IfMatch::named(condition), true).await
}

/// The same the other way: it vouches for nobody any more.
pub async fn distrust(
    hub: Hub,
    caller: Caller<permit::MemberWrite>,
    Path(id): Path<Id<id::IdentityProvider>>,
    condition: Option<IfMatch>,
) -> Result<Sent<Edited<IdentityProvider>>> {
    say(&hub, &caller, id, IfMatch::named(condition), false).await
}

async fn say(
    hub: &Hub,
    caller: &Identity,
    id: Id<id::IdentityProvider>,
    version: Option<i64>,
    trusted: bool,
) -> Result<Sent<Edited<IdentityProvider>>> {
    hub.write(caller, async |tx| {
        let provider = identity_providers::find(tx, &caller.scope(), id).await?;
        let place = members::place(tx, &caller.scope(), provider.organization_id).await?;
        place.kind.check_customer(place.id, "a say in whether an identity provider is trusted")?;
        customers_word::check_speaks(tx, caller.principal(), place.id).await?;
        check_state(version, provider.version)?;
        identity_providers::trust(tx, id, trusted, hub.now()).await?;
        hub.concerns(place.id);
        let provider = identity_providers::find(tx, &caller.scope(), id).await?;
        Ok(Edited { version: provider.version, value: provider })
    })
    .await
}
