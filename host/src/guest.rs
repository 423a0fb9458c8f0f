//! The state that belongs to one instance of a component.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use wasmtime::component::{Accessor, HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::allowed_hosts::AllowedHosts;
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

/// How many epochs passed since a guest last did something else than compute.
#[derive(Clone, Default)]
pub(crate) struct Computing(Arc<AtomicU32>);

impl Computing {
    pub(crate) fn tick(&self) -> u32 {
        self.0.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn pause(&self) {
        self.0.store(0, Relaxed);
    }

    pub(crate) fn is_long(&self) -> bool {
        self.0.load(Relaxed) > 0
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
}

/// Marks the side of the host in the generated traits.
pub(crate) struct SpinHost;

impl HasData for SpinHost {
    type Data<'a> = &'a mut Guest;
}

impl Guest {
    pub(crate) fn new(component: Arc<Component>, env: Arc<Env>, computing: Computing) -> Self {
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
            outbound: Outbound::new(component.clone(), env.clone()),
            component,
            env,
            connections: 0,
            stores: 0,
            computing,
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
