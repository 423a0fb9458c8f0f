//! Service instances and service bindings as they stand at their brokers. They are found by whoever has found the
//! subscription or the binding whose id they have, so they are read without a scope.

use crate::{Db, Row, Tx, params};
use domain::{Id, Instant, Result, id, service_broker::BrokerState};

/// A service instance or a service binding at its broker, and the operation on it that is under way or was last.
#[derive(Clone, Debug)]
pub struct BrokerResource {
    /// The subscription's id, or the service binding's.
    pub id: String,
    /// Of a binding, the subscription.
    pub instance_id: Option<String>,
    /// Where it is.
    pub broker_id: Id<id::ServiceBroker>,
    /// What it is called there.
    pub guid: String,
    /// Of a binding, what the instance is called there.
    pub instance_guid: Option<String>,
    /// Counts how often it was made.
    pub generation: u32,
    /// The broker's id of the service.
    pub offering_id: String,
    /// The broker's id of the plan.
    pub plan_id: String,
    /// Where it stands.
    pub state: BrokerState,
    /// Which turn of which task the operation is for.
    pub turn: String,
    /// Why the operation failed, if it did.
    pub failure: Option<String>,
    /// Whether the broker has taken the operation on, and is asked how far it is.
    pub polling: bool,
    /// What the broker calls the operation.
    pub operation: Option<String>,
    /// Whether a request is on its way.
    pub in_flight: bool,
    /// Whether one was, and nobody knows what came of it.
    pub doubt: bool,
    /// Requests or looks since the operation last made headway.
    pub tries: u32,
    /// When it is given up.
    pub deadline: Instant,
    /// Since when "it is not there" is believed.
    pub settles_at: Instant,
    /// Where a person can look after it.
    pub dashboard_url: Option<String>,
    /// What a binding gives, as JSON, sealed.
    pub given: Option<String>,
}

const COLUMNS: &str = "id, instance_id, broker_id, guid, instance_guid, generation, offering_id, plan_id, state, turn, failure, polling, operation, in_flight, doubt, tries, deadline, settles_at, dashboard_url, given";

fn read(row: &mut Row) -> Result<BrokerResource> {
    Ok(BrokerResource {
        id: row.take()?,
        instance_id: row.take()?,
        broker_id: row.take()?,
        guid: row.take()?,
        instance_guid: row.take()?,
        generation: row.take()?,
        offering_id: row.take()?,
        plan_id: row.take()?,
        state: row.take()?,
        turn: row.take()?,
        failure: row.take()?,
        polling: row.take::<i64>()? != 0,
        operation: row.take()?,
        in_flight: row.take::<i64>()? != 0,
        doubt: row.take::<i64>()? != 0,
        tries: row.take()?,
        deadline: row.take()?,
        settles_at: row.take()?,
        dashboard_url: row.take()?,
        given: row.take()?,
    })
}

/// What is known of one.
pub async fn find(db: &Db, id: &str) -> Result<Option<BrokerResource>> {
    db.query_opt(&format!("SELECT {COLUMNS} FROM broker_resources WHERE id = ?1"), params![id], read).await
}

/// A service binding of a service instance that is, or may be, still there.
pub async fn any_binding(db: &Db, instance_id: &str) -> Result<Option<BrokerResource>> {
    let sql = format!("SELECT {COLUMNS} FROM broker_resources WHERE instance_id = ?1 AND state <> 'GONE' ORDER BY id LIMIT 1");
    db.query_opt(&sql, params![instance_id], read).await
}

/// Writes what is known of one.
pub async fn put(tx: &Tx<'_>, one: &BrokerResource, now: Instant) -> Result<()> {
    tx.exec(
        &format!(
            "INSERT INTO broker_resources ({COLUMNS}, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
             ON CONFLICT (id) DO UPDATE SET broker_id = ?3, guid = ?4, instance_guid = ?5, generation = ?6, offering_id = ?7,
             plan_id = ?8, state = ?9, turn = ?10, failure = ?11, polling = ?12, operation = ?13, in_flight = ?14, doubt = ?15,
             tries = ?16, deadline = ?17, settles_at = ?18, dashboard_url = ?19, given = ?20, updated_at = ?21"
        ),
        params![
            one.id,
            one.instance_id,
            one.broker_id,
            one.guid,
            one.instance_guid,
            one.generation,
            one.offering_id,
            one.plan_id,
            one.state,
            one.turn,
            one.failure,
            i64::from(one.polling),
            one.operation,
            i64::from(one.in_flight),
            i64::from(one.doubt),
            one.tries,
            one.deadline,
            one.settles_at,
            one.dashboard_url,
            one.given,
            now
        ],
    )
    .await
}
