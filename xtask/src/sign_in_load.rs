//! People who sign in all at once: for the bench, what others feel of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::ground::Ground;
use crate::http::{Call, Client};

const EMAIL: &str = "bench@example.com";
const PASSWORD: &str = "a bench for fifty people";

/// A person with a password, of the ground's operator.
pub fn prepare(ground: &Ground, token: &str, organization: &str) -> Result<()> {
    let client = ground.hub.client();
    let invite = json!({ "organizationId": organization, "roles": ["OPERATOR_ADMINISTRATOR"], "people": [{ "email": EMAIL }] });
    let invite = Call::post("/v1/members").json(invite.to_string()).bearer("OPERATOR", token);
    client.expect(&invite, 207)?;
    let mailbox = client.expect(&Call::get(format!("/v1/mailbox?to={EMAIL}")).bearer("OPERATOR", token), 200)?.json()?;
    let text = mailbox["items"][0]["text"].as_str().context("who is invited has mail")?;
    let secret = text.lines().find_map(|line| line.strip_prefix("    ")).context("the mail has a secret")?;
    let secret = json!({ "secret": secret });
    let accepted = client.expect(&Call::post("/v1/member-invitations/accept").json(secret.to_string()), 200)?.json()?;
    let link = accepted["accountLink"]["secret"].as_str().context("who is new gets an accountLink")?;
    let body = json!({ "accountLink": link, "password": PASSWORD }).to_string();
    let set = Call { method: "PUT", ..Call::post("/v1/account-links").json(body) };
    client.expect(&set, 204).map(drop)
}

/// So many people who sign in again and again, each as soon as they may, until dropped.
pub struct People {
    stop: Arc<AtomicBool>,
    signed_in: Arc<AtomicU64>,
    people: Vec<JoinHandle<()>>,
}

impl People {
    /// Starts them.
    pub fn start(base: &str, people: usize) -> Self {
        let (stop, signed_in) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let person = |_| {
            let (stop, signed_in, client) = (Arc::clone(&stop), Arc::clone(&signed_in), Client::new(base));
            let call = Call::post("/v1/sign-in/password").json(json!({ "email": EMAIL, "password": PASSWORD }).to_string());
            spawn(move || {
                while !stop.load(Relaxed) {
                    match client.send(&call) {
                        Ok(answer) if answer.status == 201 => _ = signed_in.fetch_add(1, Relaxed),
                        Ok(answer) => pause(answer.header("retry-after").and_then(|after| after.parse().ok()), &stop),
                        Err(_) => pause(None, &stop),
                    }
                }
            })
        };
        let people = (0..people).map(person).collect();
        Self { stop, signed_in, people }
    }

    /// How many sign-ins there were so far.
    pub fn signed_in(&self) -> u64 {
        self.signed_in.load(Relaxed)
    }
}

/// Waits as told, and no longer than the bench.
fn pause(seconds: Option<u64>, stop: &AtomicBool) {
    for _ in 0..10 * seconds.unwrap_or(1) {
        if stop.load(Relaxed) {
            return;
        }
        sleep(Duration::from_millis(100));
    }
}

impl Drop for People {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for person in self.people.drain(..) {
            // One that panicked has said so.
            let _ = person.join();
        }
    }
}
