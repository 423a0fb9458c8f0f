//! `/internal/bootstrap`: the first organization and the first token, which nobody is there yet to grant.
//!
//! It takes no Idempotency-Key, for there is no caller yet, and can be repeated until the token was used; and again when the
//! operator has lost its last one.

use domain::{
    Error, Instant, JsonSchema, OrganizationKind, PrincipalId, Result, Role, Text,
    audit::{AuditPrincipal, AuditResult},
};
use serde::{Deserialize, Serialize};
use store::{
    Tx,
    credentials::{self, Credential},
    customers_word::Word,
    organizations::{self, NewOrganization, Organization},
};
use web::{Body, Hub, Internal, Record, Reply, secret};

/// What is said of the operator.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bootstrap {
    /// The name the operator is known by.
    display_name: Text<1, 120>,
}

/// The operator and its first API token.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrapped {
    organization: Organization,
    /// The operator's API token. It is stored nowhere: keep it now.
    api_token: String,
}

impl Reply for Bootstrapped {
    fn into_answer(self) -> Result<web::Answer> {
        web::Answer::json(201, &self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for Bootstrapped {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        operation.answers::<Self>(201, "The operator was created.");
    }
}

pub async fn create(hub: Hub, _: Internal, Body(bootstrap): Body<Bootstrap>) -> Result<Bootstrapped> {
    let (organization_id, token_id, api_token) = (hub.id(), hub.id(), secret::new("hubpt_"));
    let new = NewOrganization::named(
        OrganizationKind::Operator,
        bootstrap.display_name.clone(),
        bootstrap.display_name.parse().map_err(|error: String| Error::invalid("/displayName", error))?,
        "US".parse().map_err(Error::fault)?,
        "USD".parse().map_err(Error::fault)?,
    );
    hub.db()
        .await?
        .in_transaction(async |tx| {
            let is_new = organizations::insert_operator(tx, organization_id, &new, hub.now()).await?;
            let operator = organizations::find_operator(tx).await?;
            let organization = operator.ok_or_else(|| Error::fault("there is no operator and there cannot be one"))?;
            if !is_new {
                check_lost(tx, &organization, hub.now()).await?;
            }
            let token = Credential {
                id: PrincipalId::ApiToken(token_id),
                organization_id: organization.id,
                name: "bootstrap".into(),
                roles: vec![Role::OperatorAdministrator],
                owner_id: None,
                owner_name: None,
                expires_at: None,
                last_used_at: None,
                created_at: hub.now(),
            };
            let word = Word::of(tx, token.id, organization.id).await?;
            credentials::insert(tx, &token, &secret::hash(&api_token), &word).await?;
            hub.audit("apiTokenId", &token_id.to_string());
            let what = Record {
                organization_id: organization.id,
                action: "bootstrap.create",
                principal: AuditPrincipal::System,
                subject_id: Some(organization.id.to_string()),
                result: AuditResult::Success,
            };
            hub.record(tx, what).await?;
            Ok(Bootstrapped { organization, api_token: api_token.clone() })
        })
        .await
}

/// The operator is there already, and gets another token only when it has none that was ever used: the answer that
/// carried the first may have been lost with the machine, or the last may have been revoked or have ended. The holder of
/// the internal secret runs the hub, so this is the way back in.
async fn check_lost(tx: &Tx<'_>, operator: &Organization, now: Instant) -> Result<()> {
    if credentials::any_in_use(tx, operator.id, now).await? {
        return Err(Error::conflict(
            "already_bootstrapped",
            "The hub has its operator already, and the operator has an API token in use. Use that one.",
        ));
    }
    credentials::revoke_unused(tx, operator.id, now).await
}
