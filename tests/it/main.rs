//! Every integration test is a module of this one binary.
mod host_sqlite;
mod host_support;
mod host_platform;
mod host_faults;
mod host_tick;
mod host_server;
mod host_cache;
mod onboarding_organizations;
mod openapi;
mod store_schema;
mod web_bad_input;
mod web_idempotency;
mod provisioning_services;
mod provisioning_subscriptions;
mod provisioning_support;
mod provisioning_tasks;
