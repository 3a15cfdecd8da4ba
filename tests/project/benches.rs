//! That every bench runs: by `cargo bench` all of it, and by `cargo test` for a moment, in which each looks itself at what it
//! measured. A bench that is not declared so is built and does nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use toml::Table;

/// The folders of all packages, below the root's.
fn packages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path());
    [root.to_owned()].into_iter().chain(crates).collect()
}

/// The names of the programs in `benches`.
fn written(package: &Path) -> BTreeSet<String> {
    let Ok(files) = fs::read_dir(package.join("benches")) else { return BTreeSet::new() };
    let paths = files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "rs"));
    paths.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

/// The names of those that the manifest says have a `main` of their own, which `cargo test` runs.
fn run_by_tests(manifest: &str) -> BTreeSet<String> {
    let manifest: Table = manifest.parse().unwrap();
    let benches = manifest.get("bench").and_then(|benches| benches.as_array()).cloned().unwrap_or_default();
    let is = |bench: &toml::Value, key: &str| bench.get(key).and_then(toml::Value::as_bool);
    let run = benches.iter().filter(|bench| is(bench, "harness") == Some(false) && is(bench, "test") == Some(true));
    run.map(|bench| bench["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_bench_is_run_for_a_moment_by_cargo_test() {
    let mut found = 0;
    for package in packages() {
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        assert_eq!(
            run_by_tests(&manifest),
            written(&package),
            "{}: `harness = false`, `test = true`",
            package.display()
        );
        found += written(&package).len();
    }
    assert!(found >= 5, "{found}");
}

#[test]
fn a_bench_that_does_nothing_is_found() {
    let bench = |rest: &str| run_by_tests(&format!("[[bench]]\nname = \"a\"\n{rest}"));
    assert_eq!(bench("harness = false\ntest = true\n"), BTreeSet::from(["a".to_owned()]));
    assert_eq!(bench("harness = false\n"), BTreeSet::new());
    assert_eq!(bench("test = true\n"), BTreeSet::new());
}
