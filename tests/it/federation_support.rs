//! An identity provider in the test's hand: what it shows, what it signs, and how it misbehaves.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response};
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use rsa::{
    RsaPrivateKey, pkcs1v15,
    pkcs8::DecodePrivateKey,
    sha2::{Digest, Sha256},
    signature::{SignatureEncoding, Signer as _},
    traits::PublicKeyParts,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tests::{Actor, Answer, World};

pub const ISSUER: &str = "https://id.example.com";
pub const CLIENT_ID: &str = "provider hub";
pub const CLIENT_SECRET: &str = "s3cret: 100% ünique";
pub const CALLBACK: &str = "https://console.example.com/signed-in?from=hub";
pub const EMAIL: &str = "ada@example.com";

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_key(size: u32) -> RsaPrivateKey {
    let pem = match size {
        2048 => include_str!("../data/rsa_2048.pem"),
        _ => include_str!("../data/rsa_3072.pem"),
    };
    RsaPrivateKey::from_pkcs8_pem(pem).unwrap()
}

fn ec_key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

/// The public half of an RSA key, as it is shown.
pub fn rsa_jwk(size: u32, kid: &str) -> Value {
    let key = rsa_key(size);
    let (n, e) = (base64url(key.n().to_bytes_be()), base64url(key.e().to_bytes_be()));
    json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e })
}

/// The public half of the key on the curve P-256, as it is shown.
pub fn ec_jwk(kid: &str) -> Value {
    let point = ec_key().verifying_key().to_sec1_point(false);
    let (x, y) = (base64url(&point.as_bytes()[1..33]), base64url(&point.as_bytes()[33..]));
    json!({ "kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": kid, "x": x, "y": y })
}

/// How a token is signed.
#[derive(Clone, Copy)]
pub enum Sign {
    Rsa(u32),
    Ec,
    /// HMAC-SHA256 (RFC 2104) under these bytes.
    Hmac(&'static [u8]),
    Nothing,
}

/// A token with this header and these claims.
pub fn token(header: &Value, claims: &Value, sign: Sign) -> String {
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let signature = match sign {
        Sign::Rsa(size) => pkcs1v15::SigningKey::<Sha256>::new(rsa_key(size)).sign(signed.as_bytes()).to_vec(),
        Sign::Ec => {
            let signature: Signature = ec_key().sign(signed.as_bytes());
            signature.to_bytes().to_vec()
        }
        Sign::Hmac(key) => hmac(key, signed.as_bytes()),
        Sign::Nothing => Vec::new(),
    };
    format!("{signed}.{}", base64url(signature))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    match key.len() > 64 {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36)[..], message].concat());
    Sha256::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner].concat()).to_vec()
}

/// How an endpoint answers.
#[derive(Clone)]
pub enum Mode {
    Well,
    /// This status and body instead.
    Answers(u16, String),
    Hangs,
}

/// What the identity provider is made to do.
pub struct State {
    pub discovery: Value,
    pub keys: Vec<Value>,
    pub header: Value,
    pub claims: Value,
    pub sign: Sign,
    pub modes: BTreeMap<&'static str, Mode>,
    /// The requests, by path.
    pub asked: BTreeMap<String, u32>,
    /// The last request to the token endpoint: its Authorization header and its form.
    pub exchanged: (String, BTreeMap<String, String>),
}

/// The identity provider.
#[derive(Clone)]
pub struct Idp(Arc<Mutex<State>>);

impl Idp {
    /// One that behaves well, in this world.
    pub fn new(world: &World) -> Self {
        let idp = Self(Arc::new(Mutex::new(State {
            discovery: json!({
                "issuer": ISSUER,
                "authorization_endpoint": format!("{ISSUER}/authorize?prompt=login"),
                "token_endpoint": format!("{ISSUER}/token"),
                "jwks_uri": format!("{ISSUER}/keys"),
                "response_types_supported": ["code"],
                "authorization_response_iss_parameter_supported": true,
            }),
            keys: vec![rsa_jwk(2048, "one")],
            header: json!({ "alg": "RS256", "kid": "one", "typ": "JWT" }),
            claims: json!({}),
            sign: Sign::Rsa(2048),
            modes: BTreeMap::new(),
            asked: BTreeMap::new(),
            exchanged: Default::default(),
        })));
        idp.listen(world);
        idp
    }

    /// Answers the hub of this world, again after it was restarted.
    pub fn listen(&self, world: &World) {
        let state = self.0.clone();
        world.hub.outbound("id.example.com", move |request| {
            let answer = answer(&mut state.lock().unwrap(), &request);
            async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        });
    }

    /// Makes it do something else.
    pub fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> u32 {
        self.0.lock().unwrap().asked.get(path).copied().unwrap_or_default()
    }

    pub fn exchanged(&self) -> (String, BTreeMap<String, String>) {
        self.0.lock().unwrap().exchanged.clone()
    }
}

/// `None` when it never answers.
fn answer(state: &mut State, request: &Request<Bytes>) -> Option<Response<Bytes>> {
    let path = request.uri().path_and_query().unwrap().to_string();
    *state.asked.entry(path.clone()).or_default() += 1;
    let respond = |status: u16, body: String| Some(Response::builder().status(status).body(Bytes::from(body)).unwrap());
    match state.modes.get(path.as_str()).cloned().unwrap_or(Mode::Well) {
        Mode::Hangs => return None,
        Mode::Answers(status, body) => return respond(status, body),
        Mode::Well => {}
    }
    match path.as_str() {
        "/.well-known/openid-configuration" => respond(200, state.discovery.to_string()),
        "/keys" | "/?show=keys" => respond(200, json!({ "keys": state.keys }).to_string()),
        "/token" => {
            let authorization = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
            let form: BTreeMap<String, String> = serde_urlencoded::from_bytes(request.body()).unwrap();
            state.exchanged = (authorization.unwrap_or_default(), form);
            let id_token = token(&state.header, &state.claims, state.sign);
            respond(200, json!({ "access_token": "x", "token_type": "Bearer", "id_token": id_token }).to_string())
        }
        other => panic!("nobody asks for {other}"),
    }
}

/// The claims of a good token for a sign-in that began now.
pub fn claims(world: &World, begun: &Begun) -> Value {
    let now = world.hub.clock().now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    json!({
        "iss": ISSUER, "sub": "248289761001", "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": begun.parameter("nonce"),
        "email": EMAIL, "email_verified": true,
    })
}

/// Has the operator trust the identity provider for an organization; gives the id.
pub async fn trust(world: &World, operator: &Actor, organization: &str, more: Value) -> String {
    trust_answer(world, operator, organization, more).await.expect(201).text("/id")
}

/// The same, with whatever is answered.
pub async fn trust_answer(world: &World, operator: &Actor, organization: &str, more: Value) -> Answer {
    let mut body = json!({
        "name": "Example", "organizationId": organization, "issuer": ISSUER, "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET,
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    world.post("/v1/identity-providers", body).by(operator).send().await
}

/// A sign-in that has begun.
#[derive(Clone, Debug)]
pub struct Begun {
    pub url: String,
    pub state: String,
    pub secret: String,
}

impl Begun {
    /// A parameter of the authorization URL.
    pub fn parameter(&self, name: &str) -> String {
        let query = self.url.split_once('?').unwrap().1;
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap();
        pairs.into_iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name} is not in {}", self.url)).1
    }
}

pub async fn try_begin(world: &World, provider: &str) -> Answer {
    let body = json!({ "identityProviderId": provider, "redirectUri": CALLBACK });
    world.post("/v1/sign-in/oidc", body).send().await
}

pub async fn begin(world: &World, provider: &str) -> Begun {
    let begun = try_begin(world, provider).await;
    begun.expect(201);
    Begun { url: begun.text("/authorizationUrl"), state: begun.text("/state"), secret: begun.text("/signInSecret") }
}

pub fn callback_body(begun: &Begun) -> Value {
    json!({ "code": "a code", "state": begun.state, "signInSecret": begun.secret, "iss": ISSUER })
}

pub async fn callback(world: &World, begun: &Begun) -> Answer {
    world.post("/v1/sign-in/oidc/callback", callback_body(begun)).send().await
}

/// The whole flow, with a good token of which this is otherwise.
pub async fn sign_in(world: &World, idp: &Idp, provider: &str, change: Value) -> Answer {
    let begun = begin(world, provider).await;
    let mut good = claims(world, &begun);
    for (name, value) in change.as_object().unwrap() {
        good[name] = value.clone();
    }
    idp.set(|state| state.claims = good);
    callback(world, &begun).await
}
