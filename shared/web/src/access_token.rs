//! Access tokens as they are issued, and the sessions of people: what every way of signing in does.

use crate::{Answer, FromRequest, Hub, Incoming, Record, Reply, identity::bearer, secret};
use domain::{
    Id, Instant, JsonSchema, OrganizationPath, PrincipalId, Result,
    audit::AuditResult,
    id,
    session::{SESSION_LIFETIME, access_token_end, no_membership, refresh_token},
};
use serde::Serialize;
use store::{
    Tx, access_tokens,
    sessions::{self, NewSession},
};

/// An access token, good for requests until it expires or what it was given for is revoked.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessToken {
    /// Send it as `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// For how many seconds it is good.
    pub expires_in: i64,
    /// Until when it is good.
    pub expires_at: Instant,
    /// People only: exchange it for the next access token. It is good once, and the answer has the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub refresh_token: Option<String>,
    /// People only: when they have to sign in again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub session_expires_at: Option<Instant>,
    /// Of a sign-in with a password only: keep it on this device, also after signing out, and send it with the next sign-in to this
    /// account. Then what others try at the account does not hold you back. It opens nothing, and ends with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub device_token: Option<String>,
}

impl AccessToken {
    /// The answer about an access token that was given at `now`.
    pub fn new(access_token: String, now: Instant, expires_at: Instant) -> Self {
        let expires_in = (expires_at - now).num_seconds();
        Self {
            access_token,
            token_type: "Bearer",
            expires_in,
            expires_at,
            refresh_token: None,
            session_expires_at: None,
            device_token: None,
        }
    }

    /// The same with a token of the device that it was given to.
    pub fn with_device(self, device_token: Option<String>) -> Self {
        Self { device_token, ..self }
    }
}

/// 201 without a place to read it again: the token is shown once.
pub struct Issued(pub AccessToken);

impl Reply for Issued {
    fn into_answer(self) -> Result<Answer> {
        Answer::json(201, &self.0)
    }
}

#[cfg(not(target_family = "wasm"))]
impl crate::Describe for Issued {
    fn describe(operation: &mut crate::openapi::Operation<'_>) {
        operation.answers::<AccessToken>(201, "The access token; it is shown this once.");
        operation.problem(401, "What was presented is wrong, unknown, has ended or was revoked.");
    }
}

/// The proof of who a person is.
#[derive(Clone)]
pub enum Proof {
    /// Their password.
    Password,
    /// This identity provider, which vouches for them, of the organization at this path. The session ends with it, and opens no more
    /// than this organization and those below.
    IdentityProvider(Id<id::IdentityProvider>, OrganizationPath),
    /// The newest refresh token of a session, which ends then.
    Refresh(Instant),
}

/// Notes something of a person who is not signed in, or not any more, in the audit of the organization that they are at home in.
/// Of people who are at home nowhere there is nobody to tell. Whoever calls sees to it that nobody can have it noted without end.
pub async fn note_sign_in(hub: &Hub, tx: &Tx<'_>, person: Id<id::Person>, action: &str, result: AuditResult) -> Result<()> {
    let Some(organization_id) = sessions::home(tx, person, None, hub.now()).await? else { return Ok(()) };
    let principal = PrincipalId::Person(person).into();
    hub.record(tx, Record { organization_id, action, principal, subject_id: Some(person.to_string()), result }).await
}

/// Begins or continues the session of a person who has proved who they are: an access token, and a refresh token whose
/// halves are `shared` (new for a new session) and a fresh one. Refused for people who have no role anywhere, or not any
/// more.
pub async fn begin_session(
    hub: &Hub,
    tx: &Tx<'_>,
    person: Id<id::Person>,
    fresh: &NewTokens,
    proof: Proof,
) -> Result<AccessToken> {
    let session_hash = secret::hash(&fresh.shared);
    let is_new = !matches!(proof, Proof::Refresh(_));
    let (session_ends, identity_provider, reach) = match proof {
        Proof::Refresh(ends) => (ends, None, sessions::reach(tx, &session_hash).await?),
        Proof::Password => (hub.now() + SESSION_LIFETIME, None, None),
        Proof::IdentityProvider(id, path) => (hub.now() + SESSION_LIFETIME, Some(id), Some(path)),
    };
    let home = sessions::home(tx, person, reach.as_ref(), hub.now()).await?.ok_or_else(no_membership)?;
    if is_new {
        let refresh_hash = secret::hash(&fresh.own);
        let session = NewSession {
            hash: &session_hash,
            refresh_hash: &refresh_hash,
            person,
            identity_provider,
            reach: reach.as_ref(),
            expires_at: session_ends,
        };
        sessions::insert(tx, &session, hub.now()).await?;
        let what = Record {
            organization_id: home,
            action: "sessions.create",
            principal: PrincipalId::Person(person).into(),
            subject_id: Some(person.to_string()),
            result: AuditResult::Success,
        };
        hub.record(tx, what).await?;
    }
    let expires_at = access_token_end(session_ends, hub.now());
    let hash = secret::hash(&fresh.access);
    access_tokens::insert(tx, &hash, PrincipalId::Person(person), home, Some(&session_hash), hub.now(), expires_at).await?;
    Ok(AccessToken {
        refresh_token: Some(fresh.refresh_token()),
        session_expires_at: Some(session_ends),
        ..AccessToken::new(fresh.access.clone(), hub.now(), expires_at)
    })
}

/// The secrets of a session's next step, drawn before the transaction that keeps their hashes.
pub struct NewTokens {
    access: String,
    shared: String,
    own: String,
}

impl NewTokens {
    /// Of a new session, or of one whose refresh tokens share this.
    pub fn new(shared: Option<&str>) -> Self {
        Self {
            access: secret::new("hubat_"),
            shared: shared.map_or_else(|| secret::new(""), str::to_owned),
            own: secret::new(""),
        }
    }

    /// The hash of what only the newest refresh token has.
    pub fn own_hash(&self) -> String {
        secret::hash(&self.own)
    }

    fn refresh_token(&self) -> String {
        refresh_token(&self.shared, &self.own)
    }
}

/// The hash of the access token that came with the request, whoever's it is.
pub struct Presented(pub String);

impl FromRequest for Presented {
    async fn from_request(_: &Hub, incoming: &mut Incoming) -> Result<Self> {
        Ok(Self(secret::hash(&bearer(incoming)?)))
    }
}

#[cfg(not(target_family = "wasm"))]
impl crate::Describe for Presented {
    fn describe(_: &mut crate::openapi::Operation<'_>) {}
}
