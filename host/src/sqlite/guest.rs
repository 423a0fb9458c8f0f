//! `spin:sqlite` as guests call it.

use std::future::ready;
use std::sync::Arc;

use wasmtime::component::{Accessor, FutureAny, FutureReader, Linker, Resource, StreamReader};
use wasmtime::{AsContextMut, Result};

use super::rows::{BUFFERED, Rows};
use super::session::Turn;
use super::success::Success;
use super::{Outcome, Session};
use crate::bindings::spin::sqlite::sqlite::{self, Error, QueryResult, RowResult, Value};
use crate::env::{Env, Failure};
use crate::faults::Kind;
use crate::guest::{Component, Guest, SpinHost};

/// Connections that an instance may hold open at once; Spin's number.
const CONNECTIONS: usize = 256;

/// The names of the columns, the rows, and how it went.
type Answer = (Vec<String>, StreamReader<RowResult>, FutureAny);

/// Defines `execute-async`, by hand: the generated binding knows one type for the result future, here it is one of two.
pub(crate) fn link(linker: &mut Linker<Guest>) -> Result<()> {
    let mut interface = linker.instance("spin:sqlite/sqlite@3.1.0")?;
    interface.func_wrap_concurrent(
        "[method]connection.execute-async",
        |accessor: &Accessor<Guest>, (connection, statement, parameters): (Resource<Session>, String, Vec<Value>)| {
            Box::pin(async move {
                let call = accessor.with(|mut access| access.get().call(&connection))?;
                let (outcome, turn) = call.run(&statement, &parameters).await;
                accessor.with(|access| Ok((Ok::<_, Error>(answer(access, outcome, turn)?),)))
            })
        },
    )
}

fn answer(mut store: impl AsContextMut<Data = Guest>, outcome: Outcome, turn: Turn) -> Result<Answer> {
    let Outcome { columns, rows, error } = outcome;
    let result = error.map_or(Ok(()), |text| Err(Error::Io(text)));
    if rows.len() > BUFFERED {
        let (rows, result) = Rows::new(rows, turn, result);
        let rows = StreamReader::new(&mut store, rows)?;
        let result = FutureReader::new(&mut store, async { wasmtime::error::Ok(result.await) })?;
        return Ok((columns, rows, result.try_into_future_any(store)?));
    }
    drop(turn);
    let rows = StreamReader::new(&mut store, rows)?;
    let result = match result {
        Ok(()) => FutureReader::new(&mut store, ready(wasmtime::error::Ok(Success)))?.try_into_future_any(store)?,
        Err(_) => FutureReader::new(&mut store, ready(wasmtime::error::Ok(result)))?.try_into_future_any(store)?,
    };
    Ok((columns, rows, result))
}

impl Guest {
    fn open_connection(&mut self, label: &str) -> Result<Result<Resource<Session>, Error>> {
        if !self.component.databases.contains(label) {
            return Ok(Err(Error::AccessDenied));
        }
        let Some(database) = self.env.databases.get(label) else {
            return Ok(Err(Error::NoSuchDatabase));
        };
        if self.connections == CONNECTIONS {
            return Ok(Err(Error::Io("too many connections opened".to_owned())));
        }
        let session = Session::open(database.clone());
        let resource = self.table.push(session)?;
        self.connections += 1;
        Ok(Ok(resource))
    }

    fn session(&self, resource: &Resource<Session>) -> Result<Session> {
        Ok(self.table.get(resource)?.clone())
    }
}

/// A statement on its way, apart from the store that it came from.
struct Call {
    session: Session,
    env: Arc<Env>,
    component: Arc<Component>,
}

impl Guest {
    fn call(&mut self, resource: &Resource<Session>) -> Result<Call> {
        self.computing.pause();
        Ok(Call { session: self.session(resource)?, env: self.env.clone(), component: self.component.clone() })
    }
}

impl Call {
    /// Runs it, past the gate of faults.
    async fn run(self, sql: &str, parameters: &[Value]) -> (Outcome, Turn) {
        let entered = self.env.enter(&self.component.id, Kind::Sql, "", || sql.to_owned()).await;
        let turn = self.session.turn().await;
        let outcome = match &entered.failure {
            None => self.session.execute(sql, parameters).await,
            Some(Failure::Error(text)) => Outcome::failed(text.clone()),
            Some(Failure::ConnectionDropped) => {
                self.session.disconnect();
                Outcome::failed("disk I/O error".to_owned())
            }
        };
        self.env.leave(&entered).await;
        (outcome, turn)
    }
}

impl<T: 'static> sqlite::HostConnectionWithStore<T> for SpinHost {
    async fn open_async(accessor: &Accessor<T, Self>, database: String) -> Result<Result<Resource<Session>, Error>> {
        accessor.with(|mut access| access.get().open_connection(&database))
    }

    async fn last_insert_rowid_async(accessor: &Accessor<T, Self>, connection: Resource<Session>) -> Result<i64> {
        let session = accessor.with(|mut access| access.get().session(&connection))?;
        Ok(session.last_insert_rowid())
    }

    async fn changes_async(accessor: &Accessor<T, Self>, connection: Resource<Session>) -> Result<u64> {
        let session = accessor.with(|mut access| access.get().session(&connection))?;
        Ok(session.changes())
    }
}

impl sqlite::HostConnection for Guest {
    fn open(&mut self, database: String) -> Result<Result<Resource<Session>, Error>> {
        self.open_connection(&database)
    }

    /// The synchronous form, which is answered in one piece. It holds the whole instance while it runs, so it is for
    /// statements that wait for nobody.
    async fn execute(
        &mut self,
        connection: Resource<Session>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<Result<QueryResult, Error>> {
        let call = self.call(&connection)?;
        let (outcome, _turn) = call.run(&statement, &parameters).await;
        Ok(match outcome.error {
            None => Ok(QueryResult { columns: outcome.columns, rows: outcome.rows }),
            Some(text) => Err(Error::Io(text)),
        })
    }

    fn last_insert_rowid(&mut self, connection: Resource<Session>) -> Result<i64> {
        Ok(self.session(&connection)?.last_insert_rowid())
    }

    fn changes(&mut self, connection: Resource<Session>) -> Result<u64> {
        Ok(self.session(&connection)?.changes())
    }

    fn drop(&mut self, connection: Resource<Session>) -> Result<()> {
        self.table.delete(connection)?;
        self.connections -= 1;
        Ok(())
    }
}

impl sqlite::Host for Guest {}
