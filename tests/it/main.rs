//! Every integration test is a module of this one binary.
mod host_sqlite;
mod host_support;
mod host_platform;
mod host_faults;
mod host_tick;
mod host_server;
mod host_cache;
