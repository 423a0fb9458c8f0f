//! `/v1/sign-in/oidc`: the authorization code flow of OpenID Connect, with PKCE (RFC 7636).
//!
//! The client sends the browser to the identity provider and brings back what it answered; everything else is between the hub
//! and the identity provider.

use crate::{
    id_token::{self, Refusal},
    outbound::{ask, fault},
    trust::{self, Metadata},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, JsonSchema, Kind, PrincipalId, Result, Text, id,
    oidc::{Claims, Expected, Subject, Url},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{
    Tx, accounts, bindings,
    identity_providers::{self, Trusted},
    oidc_sign_ins, people, person_identities,
};
use web::{Answer, Body, Hub, Issued, NewTokens, Proof, Reply, begin_session, secret, variable};

/// For how long somebody may take at the identity provider.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// Where somebody wants to sign in.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcSignIn {
    /// At which identity provider.
    identity_provider_id: Id<id::IdentityProvider>,
    /// Where it is to send the browser back to: an address of yours that it knows the hub by. Of a provider that does not say in its
    /// answers which one it is (RFC 9207), one that has the provider's id as a part of its path or query, and that no other provider
    /// knows.
    redirect_uri: Url,
}

/// A sign-in that has begun.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BegunOidcSignIn {
    /// Send the browser there.
    authorization_url: String,
    /// What the identity provider is going to answer with: when the browser comes back with another, it is not from you.
    state: String,
    /// Keep it in the browser and send it with the callback. It is not in any address, so that whoever has seen the one that
    /// the browser came back to cannot sign in with it.
    sign_in_secret: String,
    /// Until when the browser must be back.
    expires_at: Instant,
}

impl Reply for BegunOidcSignIn {
    fn into_answer(self) -> Result<Answer> {
        Answer::json(201, &self)
    }
}

#[cfg(not(target_family = "wasm"))]
impl web::Describe for BegunOidcSignIn {
    fn describe(operation: &mut web::openapi::Operation<'_>) {
        operation.answers::<Self>(201, "It has begun.");
        operation.problem(404, "There is no such identity provider.");
    }
}

/// What is kept of a sign-in until the browser is back.
#[derive(Deserialize, Serialize)]
struct Kept {
    nonce: String,
    code_verifier: String,
    redirect_uri: String,
}

/// Without the state, the secret of the browser and the data key, what is kept of a sign-in cannot be read.
async fn kept_key(state: &str, sign_in_secret: &str) -> Result<[u8; 32]> {
    Ok(secret::key(&variable("data_key").await?, "oidc sign-in", &[state, sign_in_secret]))
}

/// Takes no Idempotency-Key, since nobody is known yet; to begin twice does no harm.
pub async fn begin(hub: Hub, Body(wanted): Body<OidcSignIn>) -> Result<BegunOidcSignIn> {
    let provider = identity_providers::trusted(hub.db().await?, wanted.identity_provider_id, hub.now()).await?;
    trust::check_answers(&provider, hub.now())?;
    let metadata = trust::metadata(&hub, &provider).await?;
    check_redirect_uri(&wanted.redirect_uri, &provider, &metadata)?;
    let (state, sign_in_secret) = (secret::new(""), secret::new("hubsi_"));
    let kept = Kept { nonce: secret::new(""), code_verifier: secret::new(""), redirect_uri: wanted.redirect_uri.to_string() };
    let json = serde_json::to_vec(&kept).map_err(|error| Error::fault(error.to_string()))?;
    let sealed = secret::seal(&kept_key(&state, &sign_in_secret).await?, &json)?;
    let expires_at = hub.now() + LIFETIME;
    let hash = secret::hash(&state);
    hub.db()
        .await?
        .in_transaction(async |tx| oidc_sign_ins::insert(tx, &hash, provider.id, &sealed, hub.now(), expires_at).await)
        .await?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(kept.code_verifier.as_bytes()));
    let query = form(&[
        ("response_type", "code"),
        ("client_id", &provider.client_id),
        ("redirect_uri", &kept.redirect_uri),
        ("scope", &provider.scopes),
        ("state", &state),
        ("nonce", &kept.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ])?;
    let endpoint = metadata.authorization_endpoint;
    let separator = if endpoint.has_query() { '&' } else { '?' };
    let authorization_url = format!("{endpoint}{separator}{query}");
    Ok(BegunOidcSignIn { authorization_url, state, sign_in_secret, expires_at })
}

/// Where two providers send the browser to one address, and do not say who sends it, a malicious one can have the code of the other
/// sent to itself (RFC 9700, 4.4).
fn check_redirect_uri(uri: &Url, provider: &Trusted, metadata: &Metadata) -> Result<()> {
    let id = provider.id.to_string();
    match metadata.authorization_response_iss_parameter_supported || uri.has_word(&id) {
        true => Ok(()),
        false => Err(Error::invalid(
            "/redirectUri",
            format!(
                "is not this identity provider's alone, and the provider does not say in its answers which one it is (RFC 9207); register and send an address with its id in the path or query, such as https://console.example.com/signed-in/{id}"
            ),
        )),
    }
}

fn form(pairs: &[(&str, &str)]) -> Result<String> {
    serde_urlencoded::to_string(pairs).map_err(|error| Error::fault(error.to_string()))
}

/// What the browser came back with.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcCallback {
    /// The parameter `code` of the address it came back to.
    code: Text<1, 4096>,
    /// The parameter `state`.
    state: Text<1, 200>,
    /// The parameter `iss`, where there is one.
    iss: Option<Text<1, 1000>>,
    /// The address that the browser came back to, without what the identity provider added to it: take it from the browser. Needed
    /// where there is no `iss`.
    redirect_uri: Option<Url>,
    /// What the sign-in was begun with.
    sign_in_secret: Text<1, 200>,
}

impl OidcCallback {
    /// Refuses the answer of another identity provider than the one at which the sign-in was begun.
    fn check_sender(&self, provider: &Trusted, metadata: &Metadata, kept: &Kept) -> Result<()> {
        let is_own = match (&self.iss, &self.redirect_uri) {
            (Some(iss), _) => **iss == *provider.issuer,
            (None, _) if metadata.authorization_response_iss_parameter_supported => false,
            (None, Some(uri)) => uri.as_str() == kept.redirect_uri,
            (None, None) => {
                return Err(refused("sender_unknown", "Send iss, or where the identity provider sends none, redirectUri."));
            }
        };
        match is_own {
            true => Ok(()),
            false => Err(refused(
                "sender_unknown",
                "The browser does not come from the identity provider at which this sign-in was begun, or iss is missing.",
            )),
        }
    }
}

/// The sign-in is over with this, however it ends: nobody gets to try twice.
pub async fn callback(hub: Hub, Body(callback): Body<OidcCallback>) -> Result<Issued> {
    let hash = secret::hash(&callback.state);
    let taken = hub.db().await?.in_transaction(async |tx| oidc_sign_ins::take(tx, &hash, hub.now()).await).await?;
    let unknown =
        || refused("sign_in_unknown", "There is no such sign-in, or it has ended: each is good once and for ten minutes.");
    let (provider, sealed) = taken.ok_or_else(unknown)?;
    let key = kept_key(&callback.state, &callback.sign_in_secret).await?;
    let kept = secret::open(&key, &sealed).map_err(|_| unknown())?;
    let kept: Kept = serde_json::from_slice(&kept).map_err(|error| Error::fault(error.to_string()))?;
    let provider = identity_providers::trusted(hub.db().await?, provider, hub.now()).await?;
    trust::check_answers(&provider, hub.now())?;
    let metadata = trust::metadata(&hub, &provider).await?;
    callback.check_sender(&provider, &metadata, &kept)?;
    let id_token = exchange(&hub, &provider, &metadata, &callback.code, &kept).await?;
    let claims = verified(&hub, &provider, &metadata, &id_token).await?;
    let expected = Expected {
        issuer: &provider.issuer,
        client_id: &provider.client_id,
        nonce: &kept.nonce,
        assumed_domains: if provider.assumes_email_verified { &provider.email_domains } else { "" },
        now: hub.now(),
    };
    let subject = claims.check(&expected).map_err(refused_token)?;
    let tokens = NewTokens::new(None);
    let token = hub
        .db()
        .await?
        .in_transaction(async |tx| {
            // As it is now: it may have been edited or removed while it was asked.
            let provider = identity_providers::trusted(tx, provider.id, hub.now()).await?;
            let person = person(&hub, tx, &provider, &subject).await?;
            begin_session(&hub, tx, person, &tokens, Proof::IdentityProvider(provider.id, provider.path)).await
        })
        .await?;
    Ok(Issued(token))
}

fn refused(code: &'static str, what: &str) -> Error {
    Error::new(Kind::Unauthenticated, code, format!("{what} Begin to sign in again."))
}

fn refused_token(why: &str) -> Error {
    refused("id_token_refused", &format!("What the identity provider says of you cannot be relied on: {why}."))
        .with_internal(format!("ID token refused: {why}"))
}

/// The ID token for a code (RFC 6749, 4.1.3).
async fn exchange(hub: &Hub, provider: &Trusted, metadata: &Metadata, code: &str, kept: &Kept) -> Result<String> {
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &kept.redirect_uri),
        ("code_verifier", &kept.code_verifier),
    ];
    let client_secret = match &provider.client_secret {
        None => None,
        Some(sealed) => {
            let key = secret::key(&variable("data_key").await?, "identity provider", &[&provider.id.to_string()]);
            let opened = secret::open(&key, sealed)?;
            Some(String::from_utf8(opened).map_err(|_| Error::fault("a client secret is not text"))?)
        }
    };
    let authorization = match &client_secret {
        Some(client_secret) if !metadata.wants_secret_in_form() => {
            // Both are form-encoded inside it (RFC 6749, 2.3.1).
            let encoded = |text: &str| form(&[("", text)]).map(|pair| pair.trim_start_matches('=').to_owned());
            let both = format!("{}:{}", encoded(&provider.client_id)?, encoded(client_secret)?);
            Some(format!("Basic {}", STANDARD.encode(both)))
        }
        _ => {
            pairs.push(("client_id", &provider.client_id));
            if let Some(client_secret) = &client_secret {
                pairs.push(("client_secret", client_secret));
            }
            None
        }
    };
    let url = metadata.token_endpoint.as_str();
    // Whatever it answers is an answer: a code that somebody made up must not make it pass for one that fails.
    let answered = ask(url, Some((form(&pairs)?, authorization))).await;
    let (status, body) = trust::asked(hub, provider, answered).await?;
    #[derive(Deserialize)]
    struct Tokens {
        id_token: String,
    }
    match status {
        200 => serde_json::from_slice::<Tokens>(&body)
            .map(|tokens| tokens.id_token)
            .map_err(|error| fault(format!("{url}: {error}"))),
        // It does not take the code, or not from us: which of both is for the log.
        400..500 => {
            Err(refused("code_refused", "The identity provider does not take the code.")
                .with_internal(format!("{url}: {status}")))
        }
        other => Err(fault(format!("{url}: {other}"))),
    }
}

/// What the ID token claims, if the identity provider signed it. A key that is not known may be new: then the keys are fetched
/// again, once.
async fn verified(hub: &Hub, provider: &Trusted, metadata: &Metadata, id_token: &str) -> Result<Claims> {
    let kept = trust::kept_keys(provider);
    let mut outcome = kept.as_ref().map_or(Err(Refusal::UnknownKey), |keys| id_token::claims(id_token, keys));
    if matches!(outcome, Err(Refusal::UnknownKey))
        && let Some(keys) = trust::fetched_keys(hub, provider, metadata).await?
    {
        outcome = id_token::claims(id_token, &keys);
    }
    outcome.map_err(|refusal| match refusal {
        Refusal::UnknownKey => refused_token("it is signed with a key that the identity provider does not show"),
        Refusal::Wrong(why) => refused_token(why),
    })
}

/// Who a subject is: the person it was before, or, the first time, the account with the mail address that has a role where the
/// identity provider serves. Roles elsewhere make no difference: the session does not open them. An identity provider that may
/// speak for the domain of the address confirms that it is the person's.
async fn person(hub: &Hub, tx: &Tx<'_>, provider: &Trusted, subject: &Subject) -> Result<Id<id::Person>> {
    let not_admitted = |why: &str| {
        let email = &subject.email;
        Error::new(
            Kind::Forbidden,
            "sign_in_not_admitted",
            format!(
                "You are {email} at the identity provider, {why}. Ask an administrator of your organization to add you, or how you are to sign in."
            ),
        )
    };
    let domains = &provider.email_domains;
    if !domains.is_empty() && !domains.split(' ').any(|domain| domain == subject.email.domain()) {
        return Err(not_admitted("which may not vouch for addresses of this domain"));
    }
    if let Some(person) = person_identities::find(tx, &provider.issuer, &subject.subject).await? {
        return match served(hub, tx, provider, person).await? {
            true => Ok(person),
            false => Err(not_admitted("which serves an organization in which you have no role")),
        };
    }
    let owner = people::find_by_email(tx, &subject.email).await?;
    let owner = owner.filter(|person| person.status == domain::person::PersonStatus::Active);
    let mut account = None;
    if let Some(owner) = owner
        && served(hub, tx, provider, owner.id).await?
    {
        account = Some(owner);
    }
    if account.is_none() {
        account = people::find_vouched_within(tx, &subject.email, &provider.path).await?;
    }
    let mut account = account.ok_or_else(|| {
        not_admitted("and nobody with this address can sign in here, or has a role in the organization that it serves")
    })?;
    if !domains.is_empty() {
        account = accounts::confirm_by_provider(tx, account, hub.now()).await?;
    }
    if !person_identities::insert(tx, &provider.issuer, &subject.subject, account.id, hub.now()).await? {
        return Err(not_admitted("but somebody else there has signed in here with this address before"));
    }
    Ok(account.id)
}

/// Whether a person has a role where the identity provider serves.
async fn served(hub: &Hub, tx: &Tx<'_>, provider: &Trusted, person: Id<id::Person>) -> Result<bool> {
    let opened = bindings::opened(tx, PrincipalId::Person(person), Some(&provider.path), hub.now()).await?;
    Ok(!opened.is_empty())
}
