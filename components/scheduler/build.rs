//! Reads which components the hub has from `spin.toml`, and packs `docs/openapi.json`, which is larger than the component that carries
//! it.

fn main() {
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let write = |name: &str, bytes: &[u8]| std::fs::write(format!("{out}/{name}"), bytes).expect("OUT_DIR can be written");

    let manifest: toml::Table = read("../../spin.toml").parse().expect("spin.toml is TOML");
    let components = manifest["component"].as_table().expect("spin.toml has components");
    let others: Vec<_> = components.keys().filter(|name| *name != "scheduler").collect();
    write("components.rs", format!("{others:?}").as_bytes());

    let document: serde_json::Value = serde_json::from_str(&read("../../docs/openapi.json")).expect("docs/openapi.json is JSON");
    write("openapi.json.deflate", &miniz_oxide::deflate::compress_to_vec(document.to_string().as_bytes(), 9));
}

fn read(file: &str) -> String {
    println!("cargo::rerun-if-changed={file}");
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file} cannot be read: {error}"))
}
