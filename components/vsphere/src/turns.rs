//! `/internal/turns`: turns of other components' tasks.

use crate::{
    inventory, machines,
    memo::Memo,
    peer::Wrong,
    vcenter::{SignIn, Vcenter},
};
use ::tasks::RemoteTurn;
use domain::{
    Error, Result,
    task::{Outcome, StepName, TaskType, Way},
};
use serde_json::{Value, json};
use store::{
    Scope,
    data_centers::{self, Access},
    stored_passwords,
    tasks::{self, Task},
};
use web::{Body, Hub, Internal, Shown};

/// So often in a row a vCenter may ask to be left alone before it is taken at its word.
const BUSY: i64 = 60;

/// Why a turn ends before its end.
pub enum Stop {
    /// Something in the hub.
    Hub(Error),
    /// Something at the vCenter.
    There(Wrong),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Hub(error)
    }
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Self {
        Self::There(wrong)
    }
}

/// A turn that is being taken.
pub struct Turn<'a> {
    /// Connection and clock.
    pub hub: &'a Hub,
    /// The turn.
    pub asked: &'a RemoteTurn,
    /// The data that it may touch.
    pub scope: Scope,
    /// The task whose turn it is.
    pub task: Task,
    /// What the turn before left.
    pub memo: Memo<'a>,
}

pub async fn take(hub: Hub, _: Internal, Body(body): Body<Value>) -> Result<Shown<Value>> {
    let db = hub.db().await?;
    let asked = RemoteTurn::read(db, &body).await?;
    let scope = Scope::below(asked.job.organization_path.clone());
    let task = tasks::find(db, &scope, asked.task_id).await?;
    let memo = Memo::read(&hub, &asked).await?;
    let mut turn = Turn { hub: &hub, asked: &asked, scope, task, memo };
    let (outcome, found) = match turn.go().await {
        Ok(gone) => gone,
        Err(Stop::Hub(error)) => return Err(error),
        Err(Stop::There(wrong)) => (turn.outcome(wrong).await?, Value::Null),
    };
    Ok(Shown(::tasks::taken(&outcome, found)))
}

impl Turn<'_> {
    async fn go(&mut self) -> Result<(Outcome, Value), Stop> {
        match self.asked.step {
            StepName::Contact => self.contact().await,
            StepName::Check | StepName::Backup | StepName::Apply | StepName::Verify | StepName::Record => {
                machines::go(self).await.map(|outcome| (outcome, Value::Null))
            }
            other => {
                let text = format!("A vCenter has no step {other}.");
                Err(Error::conflict("task_unknown", text).into())
            }
        }
    }

    /// What comes of a turn that was stopped by this.
    async fn outcome(&mut self, wrong: Wrong) -> Result<Outcome> {
        match wrong {
            // A session that ended in the middle, too, is begun anew.
            Wrong::Broken(why) => Err(Error::unavailable(why)),
            expired if expired.is(&["NotAuthenticated"]) => Err(Error::unavailable("the session at the vCenter ended")),
            Wrong::Busy(seconds) => {
                let times = self.memo.number("busy").unwrap_or_default() + 1;
                if times > BUSY {
                    return Ok(self.end("The vCenter has been too busy for too long.".to_owned()));
                }
                self.memo.set(&[("busy", times.into())]).await?;
                Ok(self.later(seconds, "The vCenter asks to be left alone for a while."))
            }
            Wrong::Settled(why) => Ok(self.end(why)),
            Wrong::Refused { kind, message } => Ok(self.end(format!(
                "The vCenter refuses ({kind}): {}",
                if message.is_empty() { "it does not say why." } else { &message }
            ))),
        }
    }

    /// What comes of a turn that cannot be taken: of what changes machines, some may have been changed.
    pub fn end(&self, why: String) -> Outcome {
        match (self.asked.step, self.asked.way) {
            (StepName::Backup | StepName::Apply, Way::Do) => Outcome::GaveUp(why),
            // What is still there to go back to harms nobody, and what was done is right.
            (StepName::Record, _) => Outcome::Noted(format!("What was kept to go back to could not be taken away: {why}")),
            _ => Outcome::Failed(why),
        }
    }

    /// The turn is to be taken again after so many seconds.
    pub fn later(&self, seconds: u32, message: &str) -> Outcome {
        let at = self.hub.now().timestamp_millis() + i64::from(seconds) * 1000;
        Outcome::LookAgain(domain::Instant::from_timestamp_millis(at).unwrap_or(self.hub.now()), message.to_owned())
    }

    /// Sees whether a vCenter is as described, and what it has.
    async fn contact(&mut self) -> Result<(Outcome, Value), Stop> {
        let db = self.hub.db().await?;
        let access = data_centers::access_of_task(db, self.task.id, self.task.data_center_id).await?;
        let Some(access) = access else {
            return Ok((Outcome::Failed("What was to be done is not known any more. Ask for it again.".into()), Value::Null));
        };
        let owner = self.task.data_center_id.map_or_else(|| self.task.id.to_string(), |id| id.to_string());
        let vcenter = Vcenter::sign_in(self.sign_in(&access, &owner).await?).await?;
        let found = inventory::find(&vcenter).await;
        vcenter.sign_out().await;
        let found = found?;
        if self.task.task_type == TaskType::DatacenterDiscover.as_str() {
            return Ok((Outcome::Done, found));
        }
        let networks = domain::form::read(access.networks.as_bytes()).unwrap_or_default();
        let outcome = match inventory::differs(&found, access.version.as_deref(), &networks) {
            Some(why) => Outcome::Failed(why),
            None => Outcome::Done,
        };
        Ok((outcome, json!(null)))
    }

    /// The password that a vCenter refers to, as it is now.
    async fn stored(&self, access: &Access, reference: &str) -> Result<String, Stop> {
        let found = stored_passwords::find_sealed(self.hub.db().await?, access.organization_id, reference).await?;
        let Some((id, sealed)) = found else {
            let text = format!(
                "Its organization has no stored password with the reference {reference}. Store it (POST /v1/stored-passwords) and give its reference, or give the password itself."
            );
            return Err(Wrong::Settled(text).into());
        };
        Ok(self.hub.unseal(&id.to_string(), &sealed).await?)
    }

    /// Where a vCenter is, and who the hub is to it. `owner` is what its password was sealed for.
    pub async fn sign_in(&self, access: &Access, owner: &str) -> Result<SignIn, Stop> {
        let password = match (&access.password_sealed, &access.password_reference) {
            (Some(sealed), _) => self.hub.unseal(owner, sealed).await?,
            (None, reference) => self.stored(access, reference.as_deref().unwrap_or_default()).await?,
        };
        let base = base(&web::variable("vcenter_hosts").await?, &access.fqdn);
        Ok(SignIn { base, username: access.username.clone(), password })
    }
}

/// Where a vCenter of this name is asked: by the scheme and port of the rule that says where vCenters may be.
fn base(rule: &str, fqdn: &str) -> String {
    let (scheme, rest) = rule.split_once("://").unwrap_or(("https", rule));
    let scheme = if scheme == "http" { scheme } else { "https" };
    let host = if fqdn.contains(':') { format!("[{fqdn}]") } else { fqdn.to_owned() };
    match rest.trim_end_matches('/').rsplit_once(':') {
        Some((_, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{scheme}://{host}:{port}")
        }
        _ => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vcenter_is_asked_where_the_rule_says() {
        for (rule, fqdn, expected) in [
            ("", "vc.example.com", "https://vc.example.com"),
            ("https://*.example.com", "vc.example.com", "https://vc.example.com"),
            ("https://*:*", "vc.example.com", "https://vc.example.com"),
            ("https://*.example.com:8443", "vc.example.com", "https://vc.example.com:8443"),
            ("http://127.0.0.1:8989", "127.0.0.1", "http://127.0.0.1:8989"),
            ("https://*", "fe80::1", "https://[fe80::1]"),
        ] {
            assert_eq!(base(rule, fqdn), expected);
        }
    }
}
