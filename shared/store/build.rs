//! Leaves the comments and the alignment of the migrations out of what is compiled in: every component carries all of them.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    for entry in fs::read_dir("migrations").expect("the migrations are beside this") {
        let file = entry.expect("a file of the migrations").path();
        let text = fs::read_to_string(&file).expect("a migration can be read");
        // A comment has its lines to itself, no text in a statement begins a line with one, and none has two spaces in a row.
        let lean: String = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("--"))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
            .collect();
        fs::write(Path::new(&out).join(file.file_name().expect("a file has a name")), lean).expect("OUT_DIR can be written");
    }
}
