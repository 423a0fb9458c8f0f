//! `#[derive(JsonSchema)]` for the WebAssembly that ships: it derives nothing.
//!
//! The OpenAPI document is made natively from the same sources and checked in, so the code that makes it would only be
//! dead weight in every component (a fifth of it, when measured).

/// Derives nothing, and takes the attributes of the derive that does.
#[proc_macro_derive(JsonSchema, attributes(schemars))]
pub fn derive(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    proc_macro::TokenStream::new()
}
