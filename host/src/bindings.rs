//! Spin's interfaces as Rust traits, generated from the WIT files beside this crate.

wasmtime::component::bindgen!({
    path: "wit",
    world: "hub:host/imports",
    imports: {
        "spin:sqlite/sqlite.[method]connection.execute": async | trappable,
        default: trappable,
    },
    with: {
        "spin:sqlite/sqlite.connection": crate::sqlite::Session,
        "spin:key-value/key-value.store": crate::key_value::Store,
    },
});
