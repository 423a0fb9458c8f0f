//! Packs `docs/openapi.json`: it is larger than the component that carries it.

fn main() {
    let document = "../../docs/openapi.json";
    println!("cargo::rerun-if-changed={document}");
    // A string in JSON never spans lines, so nothing but layout is at the beginning of one.
    let text = std::fs::read_to_string(document).expect("docs/openapi.json is checked in");
    // A line begins with at most one name, and names have nothing escaped in them.
    let lean: String = text
        .lines()
        .map(str::trim_start)
        .map(|line| match line.strip_prefix('"').and_then(|rest| rest.split_once("\": ")) {
            Some((name, value)) if !name.contains(['"', '\\']) => format!("\"{name}\":{value}"),
            _ => line.to_owned(),
        })
        .collect();
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let packed = miniz_oxide::deflate::compress_to_vec(lean.as_bytes(), 9);
    std::fs::write(format!("{out}/openapi.json.deflate"), packed).expect("OUT_DIR can be written");
}
