//! The state that belongs to one instance of a component.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};

use wasmtime::ResourceLimiter;
use wasmtime::component::{Accessor, HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::allowed_hosts::AllowedHosts;
use crate::app::Lane;
use crate::bindings::spin::variables::variables;
use crate::env::Env;
use crate::log::Stream;
use crate::outbound::Outbound;
use crate::variables::{Missing, read};

/// What a component is and may do, the same for all its instances.
pub(crate) struct Component {
    pub(crate) id: String,
    pub(crate) databases: BTreeSet<String>,
    pub(crate) stores: BTreeSet<String>,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) allowed_hosts: AllowedHosts,
}

/// Whether, and for how long, the guests of an instance compute without a break.
///
/// An epoch only says that time has passed, and it passes for an instance that waits as well: one that is resumed after
/// its deadline is interrupted at its first step, though it has computed nothing yet. So interruptions count only if the
/// instance was not seen to give way since the one before.
#[derive(Clone, Default)]
pub(crate) struct Computing(Arc<Stretch>);

#[derive(Default)]
struct Stretch {
    /// How many whole epochs were spent computing, since the last host call with an effect.
    epochs: AtomicU32,
    phase: AtomicU8,
}

/// It ran, for all that is known, since the last interruption.
const RUNS: u8 = 0;
/// It gave way since the last interruption.
const GAVE_WAY: u8 = 1;
/// It is kept from going on.
const RESTS: u8 = 2;

impl Computing {
    /// At an interruption: how many epochs in a row were computed through, if the last one was.
    pub(crate) fn interrupted(&self) -> Option<u32> {
        match self.0.phase.swap(RUNS, Relaxed) {
            GAVE_WAY => None,
            _ => Some(self.0.epochs.fetch_add(1, Relaxed) + 1),
        }
    }

    /// A rest after an interruption. The instance looks idle meanwhile, but it has not given way.
    pub(crate) async fn rest(self, rest: tokio::time::Sleep) {
        self.0.phase.store(RESTS, Relaxed);
        rest.await;
        self.0.phase.store(RUNS, Relaxed);
    }

    /// The instance waits or looks around for what to do.
    pub(crate) fn give_way(&self) {
        if self.0.phase.load(Relaxed) == RUNS {
            self.0.phase.store(GAVE_WAY, Relaxed);
        }
    }

    /// A host call, or a new request.
    pub(crate) fn pause(&self) {
        self.0.phase.store(GAVE_WAY, Relaxed);
        self.0.epochs.store(0, Relaxed);
    }

    pub(crate) fn is_long(&self) -> bool {
        self.0.epochs.load(Relaxed) > 0
    }
}

/// The data of a guest's store.
pub(crate) struct Guest {
    pub(crate) table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    pub(crate) component: Arc<Component>,
    pub(crate) env: Arc<Env>,
    /// How many database connections and key-value stores are open.
    pub(crate) connections: usize,
    pub(crate) stores: usize,
    pub(crate) computing: Computing,
    /// Set when the instance has taken more than [`REUSED`] of memory.
    pub(crate) grown: Arc<AtomicBool>,
}

/// The most memory an instance may have taken and still get further requests, in bytes. A guest gives no memory back, so one that
/// has computed a password hash (19 MiB) or read a large file would keep that for its whole life.
const REUSED: usize = 16 << 20;

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > REUSED {
            self.grown.store(true, Relaxed);
        }
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

/// Marks the side of the host in the generated traits.
pub(crate) struct SpinHost;

impl HasData for SpinHost {
    type Data<'a> = &'a mut Guest;
}

impl Guest {
    pub(crate) fn new(component: Arc<Component>, lane: Lane, env: Arc<Env>, computing: Computing) -> Self {
        let mut wasi = WasiCtxBuilder::new();
        wasi.wall_clock(env.clock.clone())
            .monotonic_clock(env.clock.clone())
            .stdout(env.log.guest(Stream::Out))
            .stderr(env.log.guest(Stream::Err))
            .envs(&component.environment);
        env.random.install(&mut wasi);
        Self {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound: Outbound::new(component.clone(), lane, env.clone()),
            component,
            env,
            connections: 0,
            stores: 0,
            computing,
            grown: Arc::default(),
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outbound, table: &mut self.table, ctx: &mut self.http }
    }
}

impl<T: 'static> variables::HostWithStore<T> for SpinHost {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> wasmtime::Result<Result<String, variables::Error>> {
        let component = accessor.with(|mut access| access.get().component.clone());
        Ok(read(&component.id, &component.variables, &name).map_err(|missing| match missing {
            Missing::InvalidName(text) => variables::Error::InvalidName(text),
            Missing::Undefined(text) => variables::Error::Undefined(text),
        }))
    }
}

impl variables::Host for Guest {}
