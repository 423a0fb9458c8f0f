//! The stage `oidc`: people sign in to a running hub at a real OpenID provider, through the whole code flow, and with tokens
//! that must not be believed they do not.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use crate::ground::Ground;
use crate::http::{Call, Client};
use crate::peer::Peer;
use crate::{shell, tools};

const EMAIL: &str = "ada@example.com";
const REDIRECT: &str = "http://localhost:9/signed-in";

/// Starts the OpenID provider; gives its issuer too.
fn provider() -> Result<(Peer, String)> {
    let folder = tools::oidc_provider()?;
    // Beside its modules, which is where node looks for them.
    let script = folder.join("identity-provider.mjs");
    fs::copy(shell::root().join("xtask/oidc/identity-provider.mjs"), &script)?;
    let mut node = shell::command("node");
    Peer::start("the OpenID provider (node, which comes with npm)", node.arg(script), "issuer")
}

/// Runs the stage.
pub fn run() -> Result<()> {
    let (mut provider, issuer) = provider()?;
    let hosts = ("SPIN_VARIABLE_IDENTITY_PROVIDER_HOSTS", issuer.clone());
    let ground = Ground::start_with("oidc", vec![hosts])?;
    let client = ground.hub.client();
    let operator = ground.sign_in()?;
    let me = client.expect(&Call::get("/v1/me").bearer("OPERATOR", &operator), 200)?.json()?;
    let home = me["organizationId"].as_str().context("the operator has an organization")?;
    join(&client, &operator, home)?;
    let trusted =
        json!({ "name": "Test", "organizationId": home, "issuer": issuer, "clientId": "hub", "clientSecret": "secret" });
    let call = Call::post("/v1/identity-providers").json(trusted.to_string()).bearer("OPERATOR", &operator);
    let id = client.expect(&call, 201)?.json()?["id"].as_str().context("it has an id")?.to_owned();

    // Every key in turn, so both algorithms.
    let mut algorithms = BTreeSet::new();
    for _ in 0..3 {
        let answer = flow(&client, &mut provider, &issuer, &id, &mut algorithms)?;
        ensure!(answer.status == 201, "a good sign-in answered {}", answer.brief());
        let token = answer.json()?["accessToken"].as_str().context("there is an accessToken")?.to_owned();
        let me = client.expect(&Call::get("/v1/me").bearer("ADA", &token), 200)?.json()?;
        ensure!(me["email"] == EMAIL && me["organizationId"] == home, "somebody else is signed in: {me}");
    }
    ensure!(algorithms.len() == 2, "only {algorithms:?} was seen");

    for (how, code) in [
        (json!({ "claims": { "iss": "http://localhost:1" } }), "id_token_refused"),
        (json!({ "claims": { "aud": "another" } }), "id_token_refused"),
        (json!({ "claims": { "aud": ["hub", "another"] } }), "id_token_refused"),
        (json!({ "claims": { "exp": 1_000_000_000 } }), "id_token_refused"),
        (json!({ "claims": { "nbf": 32_000_000_000_i64 } }), "id_token_refused"),
        (json!({ "claims": { "nonce": "another" } }), "id_token_refused"),
        (json!({ "claims": { "email_verified": false } }), "id_token_refused"),
        (json!({ "claims": { "email": "nobody@example.com", "sub": "nobody" } }), "sign_in_not_admitted"),
        (json!({ "claims": { "sub": "another" } }), "sign_in_not_admitted"),
        (json!({ "forge": "none" }), "id_token_refused"),
        (json!({ "forge": "claims" }), "id_token_refused"),
        (json!({ "forge": "key" }), "id_token_refused"),
        (json!({ "status": 400 }), "code_refused"),
        (json!({ "status": 500 }), "identity_provider_unavailable"),
    ] {
        provider.ask(&how)?;
        let answer = flow(&client, &mut provider, &issuer, &id, &mut algorithms)?;
        ensure!(answer.json()?["code"] == code, "with {how} a sign-in answered {}", answer.brief());
        println!("    {how}: {code}");
    }
    provider.ask(json!({}))?;
    let answer = flow(&client, &mut provider, &issuer, &id, &mut algorithms)?;
    ensure!(answer.status == 201, "a good sign-in after all that answered {}", answer.brief());
    ground.stop()
}

/// From the hub to the OpenID provider and back, as a browser and its client go.
fn flow(
    client: &Client,
    provider: &mut Peer,
    issuer: &str,
    id: &str,
    algorithms: &mut BTreeSet<String>,
) -> Result<crate::http::Answer> {
    // It does not say in its answers which provider it is, so its address is its alone.
    let redirect_uri = format!("{REDIRECT}/{id}");
    let begin = json!({ "identityProviderId": id, "redirectUri": redirect_uri });
    let begin = Call::post("/v1/sign-in/oidc").json(begin.to_string());
    let begun = client.expect(&begin, 201)?.json()?;
    let url = begun["authorizationUrl"].as_str().context("there is an authorizationUrl")?;
    let path = url.strip_prefix(issuer).with_context(|| format!("{url} is not at the OpenID provider"))?;
    let redirect = Client::new(issuer).expect(&Call::get(path), 302)?;
    let location = redirect.header("location").context("a redirect has a location")?;
    let query = location.strip_prefix(&redirect_uri).and_then(|rest| rest.strip_prefix('?'));
    let query = query.with_context(|| format!("the OpenID provider sends the browser to {location}"))?;
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    if parameter("state") != begun["state"].as_str() {
        bail!("the state came back as another: {location}");
    }
    let issuer_said = parameter("iss").map(|iss| iss.replace("%3A", ":").replace("%2F", "/"));
    let callback = json!({
        "code": parameter("code"), "state": parameter("state"), "iss": issuer_said, "redirectUri": redirect_uri,
        "signInSecret": begun["signInSecret"],
    });
    let answer = client.send(&Call::post("/v1/sign-in/oidc/callback").json(callback.to_string()))?;
    let signed = provider.line()?;
    algorithms.insert(signed["signed"].as_str().context("it says how it signed")?.to_owned());
    Ok(answer)
}

/// Makes a person who is an administrator of the operator.
fn join(client: &Client, operator: &str, organization: &str) -> Result<()> {
    let body = json!({ "organizationId": organization, "roles": ["OPERATOR_ADMINISTRATOR"], "people": [{ "email": EMAIL }] });
    let invite = Call::post("/v1/members").json(body.to_string()).bearer("OPERATOR", operator);
    client.expect(&invite, 207)?;
    // The secret of an organization's first administrator is in their mail alone.
    let mailbox = client.expect(&Call::get(format!("/v1/mailbox?to={EMAIL}")).bearer("OPERATOR", operator), 200)?.json()?;
    let text = mailbox["items"][0]["text"].as_str().context("the administrator has mail")?;
    let secret = text.lines().find_map(|line| line.strip_prefix("    ")).context("the mail has a secret")?;
    client.expect(&Call::post("/v1/member-invitations/accept").json(json!({ "secret": secret }).to_string()), 200).map(drop)
}
