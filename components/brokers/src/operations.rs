//! What is at brokers, and how it comes there and goes: one request to the broker a turn, and between turns everything that
//! matters is in the database. So a turn that is taken again after a crash goes on where the one before it was.
//!
//! Before a request is sent that changes something, that is written down; a turn that finds it on its way and has no answer
//! knows that it may have taken effect. And it is written under the claim of the task's job: a runner that was overtaken
//! sends nothing any more.

use crate::client::{self, BrokerReply, BrokerRequest, query};
use chrono::TimeDelta;
use domain::{
    Error, Id, Instant, Result, id,
    service_broker::{
        BrokerState, BrokerVerb, LEFT_ALONE, MAX_POLLING, MITIGATION, SETTLING, Said, Verdict, judge, judge_last_operation, said,
        wait,
    },
    task::Outcome,
};
use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;
use store::{
    broker_resources::{self as resources, BrokerResource},
    jobs::{self, Claim},
    service_bindings::ForgetServiceBinding,
    service_brokers::{self as brokers, ServiceBroker},
};
use web::{Hub, secret};

/// A turn of a task, as far as brokers are concerned.
pub struct Turn<'a> {
    pub hub: &'a Hub,
    /// The claim of the runner.
    pub claim: Claim,
    /// Tells this turn from every other, and is the same when it is taken again.
    pub name: &'a str,
    /// Who asked for the task, as JSON.
    pub identity: Option<&'a str>,
    /// Whose task it is.
    pub organization_id: Id<id::Organization>,
    /// Whether it is about an instance; the bindings that go with one have no task of their own.
    pub of_instance: bool,
    /// When it was begun.
    pub began: std::time::Instant,
}

/// The desired state of an instance or a binding at a broker.
pub struct Desired {
    pub verb: BrokerVerb,
    /// The subscription's id, or the service binding's.
    pub id: String,
    /// What it is called there when it is made for the first time.
    pub guid: String,
    /// Of a binding: the instance.
    pub instance: Option<BrokerResource>,
    pub broker_id: Id<id::ServiceBroker>,
    pub offering_id: String,
    pub plan_id: String,
    pub max_polling: Option<u32>,
    /// The body of the request, as JSON.
    pub body: String,
}

/// What changes with a resource in one transaction.
#[derive(Default)]
struct SideEffects {
    /// The broker is not asked until then.
    leave_alone: Option<Instant>,
    /// A binding is no more that no task of its own deleted.
    unbound: bool,
}

/// What a service binding gives, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BindingOutput {
    credentials: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    syslog_drain_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_service_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume_mounts: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoints: Option<Box<RawValue>>,
}

fn rests(one: &BrokerResource) -> bool {
    matches!(one.state, BrokerState::Ready | BrokerState::Gone)
}

/// What an operation that is over came to.
fn ended(one: &BrokerResource) -> Outcome {
    one.failure.clone().map_or(Outcome::Done, Outcome::Failed)
}

fn seconds(seconds: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(seconds))
}

impl<'a> Turn<'a> {
    /// The present instant, which a broker's answer may have kept waiting.
    fn now(&self) -> Instant {
        self.hub.now() + TimeDelta::from_std(self.began.elapsed()).unwrap_or_default()
    }

    fn again(&self, in_seconds: u32, text: String) -> Outcome {
        Outcome::LookAgain(self.now() + seconds(in_seconds), text)
    }

    /// Writes where a resource stands, if the runner still has its claim.
    async fn save(&self, one: &BrokerResource, effects: SideEffects) -> Result<()> {
        let now = self.now();
        let db = self.hub.db().await?;
        db.in_transaction(async |tx| {
            jobs::hold_claim(tx, self.claim).await?;
            resources::put(tx, one, now).await?;
            if let Some(until) = effects.leave_alone {
                brokers::leave_alone(tx, one.broker_id, until).await?;
            }
            if !effects.unbound {
                return Ok(());
            }
            let service_binding_id = one.id.parse().map_err(|error| Error::fault(format!("{}: {error}", one.id)))?;
            let forget = ForgetServiceBinding { service_binding_id };
            self.hub.enqueue(tx, self.organization_id, &forget).await
        })
        .await
    }

    async fn find(&self, id: &str) -> Result<Option<BrokerResource>> {
        resources::find(self.hub.db().await?, id).await
    }

    /// Makes what is desired.
    pub async fn make(&self, desired: &Desired) -> Result<Outcome> {
        let found = self.find(&desired.id).await?;
        let mut one = match found {
            Some(one) if rests(&one) && one.turn == self.name => return Ok(ended(&one)),
            Some(one) if one.state == BrokerState::Ready => return Ok(Outcome::Done),
            Some(one) if one.state == BrokerState::Making => one,
            Some(mut one) if matches!(one.state, BrokerState::Deleting | BrokerState::Mitigating) => {
                let ours = one.turn == self.name;
                let anew = format!("{} anew", self.name);
                let over = !ours && self.now() > one.deadline;
                // It was given up. Now that there is to be another it is tried again, once.
                let given_up = over && one.turn == anew;
                if over && !given_up {
                    (one.turn, one.deadline) = (anew, self.now() + seconds(MITIGATION));
                }
                let progress = self.delete_on(one).await?;
                return Ok(match progress {
                    // Whatever came of what was there before, now there is room.
                    Outcome::Done | Outcome::Failed(_) if !ours && !given_up => self.again(0, "It is made anew.".into()),
                    progress => progress,
                });
            }
            Some(one) if one.state == BrokerState::Updating => {
                return Ok(Outcome::Failed(format!("{} is being changed at the broker.", one.guid)));
            }
            gone => self.fresh(desired, gone.map_or(1, |gone| gone.generation + 1)),
        };
        self.name.clone_into(&mut one.turn);
        self.make_on(one, desired).await
    }

    fn fresh(&self, desired: &Desired, generation: u32) -> BrokerResource {
        BrokerResource {
            id: desired.id.clone(),
            instance_id: desired.instance.as_ref().map(|instance| instance.id.clone()),
            broker_id: desired.broker_id,
            guid: guid(&desired.guid, generation),
            instance_guid: desired.instance.as_ref().map(|instance| instance.guid.clone()),
            generation,
            offering_id: desired.offering_id.clone(),
            plan_id: desired.plan_id.clone(),
            state: BrokerState::Making,
            turn: self.name.to_owned(),
            failure: None,
            polling: false,
            operation: None,
            in_flight: false,
            doubt: false,
            tries: 0,
            deadline: self.deadline(desired.max_polling),
            settles_at: Instant::default(),
            dashboard_url: None,
            given: None,
        }
    }

    fn deadline(&self, max_polling: Option<u32>) -> Instant {
        self.now() + seconds(max_polling.unwrap_or(MAX_POLLING).min(MAX_POLLING))
    }

    async fn make_on(&self, mut one: BrokerResource, desired: &Desired) -> Result<Outcome> {
        if one.polling {
            return self.poll(one, desired.verb, None).await;
        }
        if self.now() > one.deadline {
            let why = "The broker did not take it on in the time that there is for it.".to_owned();
            if one.doubt || one.in_flight {
                return self.mitigate(one, why, SideEffects::default(), false).await;
            }
            return self.fail(one, BrokerState::Gone, why).await;
        }
        let broker = match self.broker(&one).await? {
            Ok(broker) => broker,
            Err(left_alone) => return Ok(left_alone),
        };
        let reply = self.change(&mut one, &broker, Method::PUT, desired.body.clone(), "").await?;
        if matches!(reply, BrokerReply::Denied) {
            return self.fail(one, BrokerState::Gone, client::DENIED.to_owned()).await;
        }
        let mut effects = self.effects(&reply);
        match judge(desired.verb, one.doubt, reply.heard()) {
            Verdict::Done(said) => self.made(one, desired.verb, said, effects).await,
            Verdict::Pending(said, text) => self.pending(one, said, effects, reply.retry_after(), text).await,
            Verdict::Repeat(after, text) => {
                let wait = wait(one.tries, after);
                if reply.status() == Some(429) {
                    // It throttles the hub, whatever that asks.
                    effects.leave_alone = Some(self.now() + seconds(wait));
                }
                self.save(&one, effects).await?;
                Ok(self.again(wait, text))
            }
            Verdict::Failed(why) => self.fail(one, BrokerState::Gone, why).await,
            Verdict::Orphan(why) | Verdict::Unknown(why) => {
                let unsettled = matches!(reply, BrokerReply::Nothing);
                self.mitigate(one, why, effects, unsettled).await
            }
        }
    }

    /// The broker is at it: from now on it is asked how far it is.
    async fn pending(
        &self,
        mut one: BrokerResource,
        said: Said,
        effects: SideEffects,
        retry_after: Option<u32>,
        text: String,
    ) -> Result<Outcome> {
        (one.polling, one.operation, one.tries) = (true, operation(&said), 0);
        one.dashboard_url = said.dashboard_url.or(one.dashboard_url);
        self.save(&one, effects).await?;
        Ok(self.again(wait(1, retry_after), text))
    }

    /// It is there. What a binding gives is kept with that, or it would be lost.
    async fn made(&self, mut one: BrokerResource, verb: BrokerVerb, said: Said, effects: SideEffects) -> Result<Outcome> {
        (one.state, one.failure, one.polling, one.operation) = (BrokerState::Ready, None, false, None);
        if verb == BrokerVerb::Bind {
            let given = BindingOutput {
                credentials: said.credentials,
                syslog_drain_url: said.syslog_drain_url,
                route_service_url: said.route_service_url,
                volume_mounts: said.volume_mounts,
                endpoints: said.endpoints,
            };
            one.given = Some(self.hub.seal(&one.id, &web::json::write(&given)?).await?);
        } else {
            one.dashboard_url = said.dashboard_url.or(one.dashboard_url);
        }
        self.save(&one, effects).await?;
        Ok(Outcome::Done)
    }

    /// It failed, and what is there is known.
    async fn fail(&self, mut one: BrokerResource, state: BrokerState, why: String) -> Result<Outcome> {
        (one.state, one.failure, one.polling, one.operation) = (state, Some(why.clone()), false, None);
        self.save(&one, SideEffects::default()).await?;
        Ok(Outcome::Failed(why))
    }

    /// It failed, and may have left something, which from now on is deleted until the broker says that it is gone.
    async fn mitigate(&self, mut one: BrokerResource, why: String, effects: SideEffects, unsettled: bool) -> Result<Outcome> {
        (one.state, one.polling, one.operation, one.tries) = (BrokerState::Mitigating, false, None, 0);
        (one.doubt, one.in_flight) = (false, false);
        one.deadline = self.now() + seconds(MITIGATION);
        one.settles_at = if unsettled { self.now() + TimeDelta::seconds(SETTLING) } else { Instant::default() };
        let text = format!("{why} What it may have left is being deleted at the broker.");
        one.failure = Some(why);
        let alone = effects.leave_alone;
        self.save(&one, effects).await?;
        Ok(alone.map_or_else(|| self.again(1, text.clone()), |until| Outcome::LookAgain(until, text.clone())))
    }

    /// Deletes what is at the broker. Finding nothing is a success.
    pub async fn delete(&self, id: &str) -> Result<Outcome> {
        let Some(mut one) = self.find(id).await? else { return Ok(Outcome::Done) };
        match one.state {
            BrokerState::Gone => return Ok(Outcome::Done),
            BrokerState::Ready if one.turn == self.name => return Ok(ended(&one)),
            BrokerState::Deleting | BrokerState::Mitigating if one.turn == self.name => {}
            // What failed to be made is not there for use, though it could not be deleted.
            BrokerState::Mitigating => {
                (one.turn, one.failure) = (self.name.to_owned(), None);
                one.deadline = self.now() + seconds(MITIGATION);
            }
            BrokerState::Deleting => {
                (one.turn, one.failure) = (self.name.to_owned(), None);
                one.deadline = self.deadline(None);
            }
            BrokerState::Making | BrokerState::Ready | BrokerState::Updating => {
                let may_be_on_its_way = one.in_flight;
                (one.turn, one.failure, one.state) = (self.name.to_owned(), None, BrokerState::Deleting);
                (one.polling, one.operation, one.tries, one.doubt, one.in_flight) = (false, None, 0, false, false);
                one.deadline = self.deadline(None);
                one.settles_at = if may_be_on_its_way { self.now() + TimeDelta::seconds(SETTLING) } else { Instant::default() };
            }
        }
        // Bindings go before the instance that they are of.
        if one.instance_id.is_none()
            && let Some(mut binding) = resources::any_binding(self.hub.db().await?, &one.id).await?
        {
            if binding.turn != self.name {
                (binding.turn, binding.failure, binding.state) = (self.name.to_owned(), None, BrokerState::Deleting);
                (binding.polling, binding.operation, binding.tries) = (false, None, 0);
                binding.deadline = self.deadline(None);
            }
            if rests(&binding) {
                let why = binding.failure.unwrap_or_default();
                let why = format!("The service binding {} could not be deleted: {why}", binding.id);
                return self.fail(one, BrokerState::Ready, why).await;
            }
            return Ok(match self.delete_on(binding).await? {
                Outcome::LookAgain(at, text) => Outcome::LookAgain(at, text),
                _ => self.again(0, "A service binding of it is deleted.".into()),
            });
        }
        self.delete_on(one).await
    }

    async fn delete_on(&self, mut one: BrokerResource) -> Result<Outcome> {
        let verb = if one.instance_id.is_some() { BrokerVerb::Unbind } else { BrokerVerb::Deprovision };
        if one.polling {
            return self.poll(one, verb, None).await;
        }
        let mitigates = one.state == BrokerState::Mitigating;
        if self.now() > one.deadline {
            if mitigates {
                // It stays as it is: the next attempt finds it here, and has it deleted first.
                let why = one.failure.map(|why| why + " ").unwrap_or_default();
                return Ok(Outcome::Failed(format!(
                    "{why}What that may have left at the broker, {}, could not be deleted in {} days. Have it deleted there, or restart the task when the broker can do it.",
                    one.guid,
                    MITIGATION / (24 * 60 * 60)
                )));
            }
            let why = "The broker did not delete it in the time that there is for it.".to_owned();
            return self.fail(one, BrokerState::Ready, why).await;
        }
        let broker = match self.broker(&one).await? {
            Ok(broker) => broker,
            Err(left_alone) => return Ok(left_alone),
        };
        let ids = [
            ("service_id", Some(one.offering_id.clone())),
            ("plan_id", Some(one.plan_id.clone())),
            ("accepts_incomplete", Some("true".to_owned())),
        ];
        let ids = query(&ids.each_ref().map(|(name, value)| (*name, value.as_deref())));
        let reply = self.change(&mut one, &broker, Method::DELETE, String::new(), &ids).await?;
        let effects = self.effects(&reply);
        let verdict = if matches!(reply, BrokerReply::Denied) {
            Verdict::Repeat(None, client::DENIED.to_owned())
        } else {
            judge(verb, false, reply.heard())
        };
        match verdict {
            Verdict::Done(_) if reply.status() == Some(410) && self.now() < one.settles_at => {
                let at = one.settles_at;
                self.save(&one, effects).await?;
                Ok(Outcome::LookAgain(at, "The broker does not have it; the request to make it may still be on its way.".into()))
            }
            Verdict::Done(_) => self.gone(one, effects).await,
            Verdict::Pending(said, text) => {
                (one.polling, one.operation, one.tries) = (true, operation(&said), 0);
                self.save(&one, effects).await?;
                Ok(self.again(wait(1, reply.retry_after()), text))
            }
            Verdict::Failed(why) if !mitigates => self.fail(one, BrokerState::Ready, why).await,
            Verdict::Repeat(_, text) | Verdict::Orphan(text) | Verdict::Unknown(text) | Verdict::Failed(text) => {
                self.save(&one, effects).await?;
                let wait = wait(one.tries, reply.retry_after());
                Ok(self.again(wait, format!("{text} It is deleted again.")))
            }
        }
    }

    /// It is not there any more. Of what failed to be made, that it failed is what remains to be said.
    async fn gone(&self, mut one: BrokerResource, mut effects: SideEffects) -> Result<Outcome> {
        (one.state, one.polling, one.operation, one.given) = (BrokerState::Gone, false, None, None);
        effects.unbound = one.instance_id.is_some() && self.of_instance;
        self.save(&one, effects).await?;
        Ok(ended(&one))
    }

    /// Makes an instance another. `plan_id` is the plan that it is to have.
    pub async fn update(&self, id: &str, plan_id: &str, max_polling: Option<u32>, body: &str) -> Result<Outcome> {
        let Some(mut one) = self.find(id).await? else {
            return Ok(Outcome::Failed("There is no service instance at a broker that could be changed.".into()));
        };
        match one.state {
            BrokerState::Ready if one.turn == self.name => return Ok(ended(&one)),
            BrokerState::Updating if one.turn == self.name => {}
            BrokerState::Ready | BrokerState::Updating => {
                (one.turn, one.failure, one.state) = (self.name.to_owned(), None, BrokerState::Updating);
                (one.polling, one.operation, one.tries, one.doubt, one.in_flight) = (false, None, 0, false, false);
                one.deadline = self.deadline(max_polling);
            }
            state => {
                return Ok(Outcome::Failed(format!("The service instance is {state} at the broker; it cannot be changed.")));
            }
        }
        if one.polling {
            return self.poll(one, BrokerVerb::Update, Some(plan_id)).await;
        }
        if self.now() > one.deadline {
            let why = "The broker did not take it on in the time that there is for it.".to_owned();
            return self.fail(one, BrokerState::Ready, why).await;
        }
        let broker = match self.broker(&one).await? {
            Ok(broker) => broker,
            Err(left_alone) => return Ok(left_alone),
        };
        let reply = self.change(&mut one, &broker, Method::PATCH, body.to_owned(), "").await?;
        if matches!(reply, BrokerReply::Denied) {
            return self.fail(one, BrokerState::Ready, client::DENIED.to_owned()).await;
        }
        let effects = self.effects(&reply);
        match judge(BrokerVerb::Update, one.doubt, reply.heard()) {
            Verdict::Done(said) => self.updated(one, plan_id, said, effects).await,
            Verdict::Pending(said, text) => self.pending(one, said, effects, reply.retry_after(), text).await,
            Verdict::Repeat(after, text) => {
                self.save(&one, effects).await?;
                Ok(self.again(wait(one.tries, after), text))
            }
            // Nobody knows whether it took effect: the engine sends it again, and in the end sends what undoes it.
            Verdict::Unknown(why) => {
                self.save(&one, effects).await?;
                Err(Error::unavailable(why))
            }
            Verdict::Failed(why) | Verdict::Orphan(why) => self.fail(one, BrokerState::Ready, why).await,
        }
    }

    async fn updated(&self, mut one: BrokerResource, plan_id: &str, said: Said, effects: SideEffects) -> Result<Outcome> {
        (one.state, one.failure, one.polling, one.operation) = (BrokerState::Ready, None, false, None);
        plan_id.clone_into(&mut one.plan_id);
        one.dashboard_url = said.dashboard_url.or(one.dashboard_url);
        self.save(&one, effects).await?;
        Ok(Outcome::Done)
    }

    /// Asks how far an operation is that the broker has taken on. `plan_id`: what an update leads to.
    async fn poll(&self, mut one: BrokerResource, verb: BrokerVerb, plan_id: Option<&str>) -> Result<Outcome> {
        if self.now() >= one.deadline {
            let why = "It was not done in the time that there is for it.".to_owned();
            return match verb {
                BrokerVerb::Update => self.fail(one, BrokerState::Ready, why).await,
                BrokerVerb::Provision | BrokerVerb::Bind => self.mitigate(one, why, SideEffects::default(), false).await,
                BrokerVerb::Deprovision | BrokerVerb::Unbind => self.begin_again(one, why, None).await,
            };
        }
        let broker = match self.broker(&one).await? {
            Ok(broker) => broker,
            Err(left_alone) => return Ok(left_alone),
        };
        let ids = [
            ("service_id", Some(one.offering_id.as_str())),
            ("plan_id", Some(one.plan_id.as_str())),
            ("operation", one.operation.as_deref()),
        ];
        let path = format!("{}/last_operation{}", path(&one), query(&ids));
        let reply =
            client::ask(self.hub, &broker, BrokerRequest { identity: self.who(&one), ..BrokerRequest::get(path) }).await?;
        let effects = self.effects(&reply);
        let (verdict, asked) = judge_last_operation(verb, reply.heard());
        match verdict {
            Verdict::Done(_) if verb == BrokerVerb::Bind => self.fetch(one, &broker, effects).await,
            Verdict::Done(said) if verb.makes() => self.made(one, verb, said, effects).await,
            Verdict::Done(said) if verb == BrokerVerb::Update => {
                let plan_id = plan_id.map_or_else(|| one.plan_id.clone(), str::to_owned);
                self.updated(one, &plan_id, said, effects).await
            }
            Verdict::Done(_) => self.gone(one, effects).await,
            Verdict::Failed(why) => self.fail(one, BrokerState::Ready, why).await,
            Verdict::Orphan(why) if verb.makes() => self.mitigate(one, why, effects, false).await,
            Verdict::Orphan(why) => self.begin_again(one, why, asked).await,
            Verdict::Pending(_, text) | Verdict::Repeat(_, text) | Verdict::Unknown(text) => {
                one.tries += 1;
                self.save(&one, effects).await?;
                Ok(self.again(wait(one.tries, asked), text))
            }
        }
    }

    /// A deletion that failed is asked for again, until the time for all of it is over.
    async fn begin_again(&self, mut one: BrokerResource, why: String, asked: Option<u32>) -> Result<Outcome> {
        (one.polling, one.operation, one.tries) = (false, None, one.tries + 1);
        self.save(&one, SideEffects::default()).await?;
        Ok(self.again(wait(one.tries, asked), format!("{why} It is deleted again.")))
    }

    /// What a binding gives that was made while nobody waited is fetched; until that is there, the binding is not.
    async fn fetch(&self, mut one: BrokerResource, broker: &ServiceBroker, effects: SideEffects) -> Result<Outcome> {
        let ids = [("service_id", Some(one.offering_id.as_str())), ("plan_id", Some(one.plan_id.as_str()))];
        let reply = client::ask(self.hub, broker, BrokerRequest::get(format!("{}{}", path(&one), query(&ids)))).await?;
        let given = match &reply {
            BrokerReply::Answer { status: 200, body, .. } => said(body),
            _ => None,
        };
        if let Some(given) = given {
            return self.made(one, BrokerVerb::Bind, given, effects).await;
        }
        one.tries += 1;
        self.save(&one, self.effects(&reply)).await?;
        let text = "The binding is made, and what it gives could not be fetched yet.".to_owned();
        Ok(self.again(wait(one.tries, reply.retry_after()), text))
    }

    /// Sends a request that changes something, after writing down that it is on its way.
    async fn change(
        &self,
        one: &mut BrokerResource,
        broker: &ServiceBroker,
        method: Method,
        body: String,
        ids: &str,
    ) -> Result<BrokerReply> {
        one.doubt |= one.in_flight;
        (one.in_flight, one.tries) = (true, one.tries + 1);
        self.save(one, SideEffects::default()).await?;
        let path = if ids.is_empty() { format!("{}?accepts_incomplete=true", path(one)) } else { path(one) + ids };
        let request = BrokerRequest { method, body, identity: self.who(one), ..BrokerRequest::get(path) };
        let reply = client::ask(self.hub, broker, request).await?;
        one.in_flight = false;
        Ok(reply)
    }

    /// Who caused a request; nobody, where the hub cleans up after itself.
    fn who(&self, one: &BrokerResource) -> Option<&str> {
        self.identity.filter(|_| one.state != BrokerState::Mitigating)
    }

    /// The broker, unless it is left alone.
    async fn broker(&self, one: &BrokerResource) -> Result<Result<ServiceBroker, Outcome>> {
        let broker = brokers::find(self.hub.db().await?, one.broker_id).await?;
        if self.now() < broker.left_alone_until {
            let text =
                format!("The broker {} did not answer lately, or asked to be left alone for a while.", broker.display_name);
            return Ok(Err(Outcome::LookAgain(broker.left_alone_until, text)));
        }
        Ok(Ok(broker))
    }

    /// A broker that did not answer is left alone for a while.
    fn effects(&self, reply: &BrokerReply) -> SideEffects {
        let silent = matches!(reply, BrokerReply::Nothing);
        SideEffects { leave_alone: silent.then(|| self.now() + TimeDelta::seconds(LEFT_ALONE)), ..SideEffects::default() }
    }
}

/// What the broker calls an operation, if it calls it something.
fn operation(said: &Said) -> Option<String> {
    said.operation.clone().filter(|operation| !operation.is_empty())
}

/// Where a resource is, below the broker's URL.
fn path(one: &BrokerResource) -> String {
    match &one.instance_guid {
        Some(instance) => format!("v2/service_instances/{instance}/service_bindings/{}", one.guid),
        None => format!("v2/service_instances/{}", one.guid),
    }
}

/// What something is called at a broker: the first time as here, and another thing each time it is made anew, for brokers
/// need not take an id twice.
fn guid(first: &str, generation: u32) -> String {
    if generation <= 1 {
        return first.to_owned();
    }
    let hash = secret::hash(&format!("{first} {generation}"));
    // A UUID of version 8, which is anybody's own.
    format!("{}-{}-8{}-a{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32])
}
