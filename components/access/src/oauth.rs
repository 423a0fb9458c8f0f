//! `/v1/oauth/token`: the token endpoint of RFC 6749, for apps with client credentials. It speaks that standard's language,
//! errors included, so that any client library can use it.

use domain::{Id, JsonSchema, Result, id, session::ACCESS_TOKEN_LIFETIME};
use serde::Serialize;
use store::access_tokens;
use web::{Answer, FromRequest, Hub, Incoming, Reply, secret};

/// A request as it came: the Authorization header and the form.
pub struct TokenRequest {
    authorization: Option<String>,
    is_form: bool,
    body: Vec<u8>,
}

impl FromRequest for TokenRequest {
    async fn from_request(hub: &Hub, incoming: &mut Incoming) -> Result<Self> {
        let media = incoming.headers.text("content-type").unwrap_or_default();
        let is_form =
            media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded");
        let authorization = incoming.headers.text("authorization");
        Ok(Self { authorization, is_form, body: web::read(hub).await? })
    }
}

/// An access token (RFC 6749, 5.1).
#[derive(Serialize, JsonSchema)]
pub struct TokenResponse {
    /// Send it as `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// For how many seconds it is good.
    expires_in: i64,
}

/// Why there is none (RFC 6749, 5.2).
#[derive(Serialize, JsonSchema)]
pub struct TokenError {
    /// One of the codes of the standard.
    error: &'static str,
    /// What was wrong, and what to do.
    error_description: &'static str,
    #[serde(skip)]
    by_header: bool,
}

/// One or the other.
pub struct TokenReply(Result<TokenResponse, TokenError>);

impl Reply for TokenReply {
    fn into_answer(self) -> Result<Answer> {
        match self.0 {
            Ok(token) => Answer::json(200, &token),
            Err(error) => {
                let status = if error.error == "invalid_client" { 401 } else { 400 };
                let mut answer = Answer::json(status, &error)?;
                if error.by_header {
                    answer.header("www-authenticate", "Basic realm=\"Provider Hub\"");
                }
                Ok(answer)
            }
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod described {
    use super::*;
    use web::{Describe, openapi::Operation};

    impl Describe for TokenRequest {
        fn describe(operation: &mut Operation<'_>) {
            operation.form(
                &["grant_type"],
                serde_json::json!({
                    "grant_type": { "type": "string", "enum": ["client_credentials"], "description": "How you sign in." },
                    "client_id": { "type": "string", "description": "The id of the app, unless the Authorization header (Basic) has it." },
                    "client_secret": { "type": "string", "description": "Its client secret, unless the Authorization header (Basic) has it." },
                }),
            );
        }
    }

    impl Describe for TokenReply {
        fn describe(operation: &mut Operation<'_>) {
            operation.answers::<TokenResponse>(200, "The access token; it is shown this once.");
            operation.answers::<TokenError>(400, "The request is wrong.");
            operation.answers::<TokenError>(401, "The client is unknown, or its secret is wrong.");
        }
    }
}

fn refused(error: &'static str, error_description: &'static str) -> TokenError {
    TokenError { error, error_description, by_header: false }
}

/// The id and the secret of a client, and whether the header had them.
struct Client {
    id: String,
    secret: String,
    by_header: bool,
}

pub async fn token(hub: Hub, request: TokenRequest) -> Result<TokenReply> {
    let client = match client(&request) {
        Ok(client) => client,
        Err(error) => return Ok(TokenReply(Err(error))),
    };
    let access_token = secret::new("hubat_");
    let (given, issued) = (secret::hash(&client.secret), secret::hash(&access_token));
    let expires_at = hub.now() + ACCESS_TOKEN_LIFETIME;
    let ends = match client.id.parse::<Id<id::App>>() {
        Err(_) => None,
        Ok(app) => {
            hub.db()
                .await?
                .in_transaction(async |tx| access_tokens::exchange(tx, Some(app), &given, &issued, hub.now(), expires_at).await)
                .await?
        }
    };
    let unknown = || TokenError {
        by_header: client.by_header,
        ..refused(
            "invalid_client",
            "The client is unknown or was deleted, or the client secret is wrong. An administrator can give the app a new one.",
        )
    };
    Ok(TokenReply(ends.ok_or_else(unknown).map(|ends| TokenResponse {
        access_token,
        token_type: "Bearer",
        expires_in: (ends - hub.now()).num_seconds(),
    })))
}

fn client(request: &TokenRequest) -> Result<Client, TokenError> {
    let wrong = |what| refused("invalid_request", what);
    if !request.is_form {
        return Err(wrong("The body must be application/x-www-form-urlencoded, and the Content-Type must say so."));
    }
    let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&request.body).unwrap_or_default();
    let mut parameters = [("grant_type", None), ("client_id", None), ("client_secret", None), ("scope", None)];
    for (name, value) in pairs {
        // What is not known is ignored, and what is empty is absent: the standard has it so.
        if let Some((_, known)) = parameters.iter_mut().find(|(known, _)| *known == name)
            && known.replace(value).is_some()
        {
            return Err(wrong("A parameter is there twice; send each once."));
        }
    }
    let [grant_type, id, secret, scope] = parameters.map(|(_, value)| value.filter(|value| !value.is_empty()));
    match grant_type.as_deref() {
        Some("client_credentials") => {}
        None => return Err(wrong("grant_type is missing; send grant_type=client_credentials.")),
        Some(_) => return Err(refused("unsupported_grant_type", "Only grant_type=client_credentials is supported here.")),
    }
    if scope.is_some() {
        return Err(refused("invalid_scope", "There are no scopes; leave scope out. An app has what its roles permit."));
    }
    // Another scheme is no client authentication (a proxy's, a token that the client sends everywhere).
    let is_basic = |header: &&str| header.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic "));
    match (request.authorization.as_deref().filter(is_basic), id, secret) {
        (Some(_), _, Some(_)) => {
            Err(wrong("The client secret is in the Authorization header and in the body; send it in one of them."))
        }
        (Some(header), id, None) => {
            let client = basic(header).ok_or(TokenError {
                by_header: true,
                ..refused("invalid_client", "The Authorization header is not Basic with a client id and a client secret.")
            })?;
            match id.is_none_or(|id| id == client.id) {
                true => Ok(client),
                false => Err(wrong("client_id is not the one of the Authorization header.")),
            }
        }
        (None, Some(id), Some(secret)) => Ok(Client { id, secret, by_header: false }),
        _ => Err(TokenError {
            by_header: true,
            ..refused(
                "invalid_client",
                "Send the client id and the client secret, by HTTP Basic or as client_id and client_secret.",
            )
        }),
    }
}

/// The credentials of a Basic header. Both are form-encoded inside it (RFC 6749, 2.3.1).
fn basic(header: &str) -> Option<Client> {
    let (_, encoded) = header.split_once(' ')?;
    let decoded = web::secret::base64_text(encoded.trim())?;
    let (id, secret) = decoded.split_once(':')?;
    let plain = |text: &str| {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&format!("x={text}")).ok()?;
        pairs.into_iter().next().map(|(_, value)| value)
    };
    Some(Client { id: plain(id)?, secret: plain(secret)?, by_header: true })
}
