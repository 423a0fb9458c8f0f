//! Packs the migrations, for every component carries all of them and hardly one ever reads them: without comments and alignment,
//! and with whatever was said before as a reference to that.

use std::{collections::HashMap, env, fs, path::Path};

/// Stands between the migrations.
const BETWEEN: &str = "\u{1e}";
/// The shortest reference that is worth its three bytes, and the longest that there is.
const SHORTEST: usize = 4;
const LONGEST: usize = 127 + SHORTEST;

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let mut files: Vec<_> = fs::read_dir("migrations").expect("the migrations are beside this").collect();
    files.sort_by_key(|file| file.as_ref().expect("a file of the migrations").file_name());
    let texts: Vec<String> = files
        .into_iter()
        .map(|file| lean(&fs::read_to_string(file.expect("a file").path()).expect("a migration can be read")))
        .collect();
    let text = texts.join(BETWEEN);
    fs::write(Path::new(&out).join("migrations.packed"), packed(text.as_bytes())).expect("OUT_DIR can be written");
    fs::write(Path::new(&out).join("migrations.sql"), text).expect("OUT_DIR can be written");
}

/// A comment has its lines to itself, no text in a statement begins a line with one, and none has two spaces in a row.
fn lean(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
        .collect()
}

/// Pieces of two kinds, as `unpacked` in `src/migrations.rs` reads them. A byte below 128: one more bytes than that follow as
/// they are. Another: so many bytes more than [`SHORTEST`], from 128 on, are those that stand as far back as the next two bytes
/// say, the lower one first.
fn packed(text: &[u8]) -> Vec<u8> {
    let (mut packed, mut plain) = (Vec::new(), Vec::new());
    let mut seen: HashMap<&[u8], Vec<usize>> = HashMap::new();
    let mut at = 0;
    while at < text.len() {
        let longest = |before: &usize| text[*before..].iter().zip(&text[at..]).take(LONGEST).take_while(|(a, b)| a == b).count();
        let known = text.get(at..at + SHORTEST).and_then(|key| seen.get(key)).into_iter().flatten();
        let best = known.filter(|before| at - **before <= usize::from(u16::MAX)).max_by_key(|before| longest(before));
        let length = match best {
            Some(before) => {
                flush(&mut packed, &mut plain);
                packed.push(128 + (longest(before) - SHORTEST) as u8);
                packed.extend(((at - before) as u16).to_le_bytes());
                longest(before)
            }
            None => {
                plain.push(text[at]);
                1
            }
        };
        for passed in at..at + length {
            if let Some(key) = text.get(passed..passed + SHORTEST) {
                seen.entry(key).or_default().push(passed);
            }
        }
        at += length;
    }
    flush(&mut packed, &mut plain);
    packed
}

fn flush(packed: &mut Vec<u8>, plain: &mut Vec<u8>) {
    for piece in plain.chunks(128) {
        packed.push(piece.len() as u8 - 1);
        packed.extend(piece);
    }
    plain.clear();
}
