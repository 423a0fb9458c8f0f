//! The cache of compiled components.

use std::fs;
use std::path::{Path, PathBuf};

use host::Hub;

use crate::host_support::{get, manifest};

/// A manifest in `dir` that runs a copy of the floor, so that no other test has it loaded already.
fn floor_in(dir: &Path, name: &str) -> PathBuf {
    let wasm = manifest().with_file_name("../../target/wasm32-wasip2/wasm/floor.wasm");
    fs::copy(wasm, dir.join(format!("{name}.wasm"))).unwrap();
    let text = fs::read_to_string(manifest().with_file_name("../floor/spin.toml")).unwrap();
    let path = dir.join(format!("{name}.toml"));
    fs::write(&path, text.replace("../../target/wasm32-wasip2/wasm/floor.wasm", &format!("{name}.wasm"))).unwrap();
    path
}

async fn answers(manifest: &Path, cache: &Path) {
    let hub = Hub::builder(manifest).data_dir("").cache_dir(cache).start().await.unwrap();
    assert_eq!(hub.request(get("/")).await.unwrap().body(), "ok");
}

fn files(cache: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_is_damaged_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    answers(&floor_in(dir.path(), "first"), &cache).await;
    let [file] = &files(&cache)[..] else { panic!("one component, one file") };
    let good = fs::read(file).unwrap();

    // The same content under another name is found, and the file is not written anew.
    let written = fs::metadata(file).unwrap().modified().unwrap();
    answers(&floor_in(dir.path(), "second"), &cache).await;
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written);

    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("flipped", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ("truncated", |bytes| bytes.truncate(bytes.len() / 3)),
        ("empty", Vec::clear),
        ("foreign", |bytes| *bytes = b"not code at all".to_vec()),
    ];
    for (name, damage) in damages {
        let mut bytes = good.clone();
        damage(&mut bytes);
        // Beside and renamed: the hubs before have the old file mapped.
        fs::write(dir.path().join("damaged"), bytes).unwrap();
        fs::rename(dir.path().join("damaged"), file).unwrap();
        answers(&floor_in(dir.path(), name), &cache).await;
        assert_eq!(files(&cache), std::slice::from_ref(file), "{name}");
        assert_eq!(fs::read(file).unwrap(), good, "{name}");
    }
}

#[tokio::test]
async fn a_component_that_is_not_there_or_not_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = floor_in(dir.path(), "broken");
    let start = async || {
        let hub = Hub::builder(&manifest).data_dir("").cache_dir(dir.path().join("cache")).start().await;
        format!("{:#}", hub.err().unwrap())
    };
    fs::remove_file(dir.path().join("broken.wasm")).unwrap();
    let error = start().await;
    assert!(error.contains("broken.wasm") && error.contains("cargo xtask up"), "{error}");
    fs::write(dir.path().join("broken.wasm"), "not wasm").unwrap();
    let error = start().await;
    assert!(error.contains("broken.wasm"), "{error}");
}
