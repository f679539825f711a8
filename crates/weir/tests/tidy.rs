//! What a compiler does not check: which crate may use which, that documents tell the truth, that nothing in the repository
//! belongs to one machine only.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// What each crate may use, directly or through others: the arrows of the picture in ARCHITECTURE.md, downward.
const LAYERS: &[(&str, &[&str])] = &[
    ("kit", &[]),
    ("model", &["kit"]),
    ("state", &["kit"]),
    ("query", &["model"]),
    ("inspect", &["model"]),
    ("pipeline", &["inspect"]),
    ("store", &["query"]),
    ("wire", &["pipeline"]),
    ("gateway", &["pipeline", "state"]),
    ("server", &["pipeline", "store", "state"]),
    ("weir", &["wire", "gateway", "server"]),
];

/// Crates that do no IO and start no task.
const PURE: &[&str] = &["kit", "model", "query", "inspect"];

/// What a pure crate has no business with.
const IMPURE: &[&str] = &["tokio", "hyper", "reqwest", "axum", "rusqlite", "tantivy", "socket2"];

/// A file longer than this is a mistake. One longer than half of it is named when the test runs with `--nocapture`.
const LONGEST_FILE: usize = 1_200;

/// What is built, fetched or foreign.
const LEFT_OUT: &[&str] =
    &[".git", "target", "node_modules", "dist", "testdata", "weir-data", "proptest-regressions"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        // `target` is also the name of a module.
        let left_out = LEFT_OUT.contains(&name_of(&path).as_str()) && !path.join("mod.rs").exists();
        match path.is_dir() {
            _ if left_out => {}
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

fn files_of(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = files(&root().join(folder));
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found
}

/// Folder names and manifests of all crates.
fn crates() -> Vec<(String, Table)> {
    let folders = entries(&root().join("crates"));
    folders
        .iter()
        .map(|folder| (name_of(folder), read(&folder.join("Cargo.toml")).parse().unwrap()))
        .collect()
}

fn section<'a>(manifest: &'a Table, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    manifest.get(name).and_then(Value::as_table).into_iter().flatten()
}

fn reachable(name: &str) -> BTreeSet<&'static str> {
    let layer = LAYERS.iter().find(|(known, _)| *known == name);
    let (_, direct) = layer.unwrap_or_else(|| panic!("the crate {name} has no place in LAYERS"));
    direct.iter().flat_map(|below| reachable(below).into_iter().chain([*below])).collect()
}

#[test]
fn crates_use_only_what_lies_below_them() {
    let mut mistakes = Vec::new();
    for (name, manifest) in crates() {
        let allowed = reachable(&name);
        for (dependency, _) in section(&manifest, "dependencies") {
            let ours = dependency.strip_prefix("weir-");
            if ours.is_some_and(|ours| !allowed.contains(ours)) {
                mistakes.push(format!("{name} must not use {dependency}"));
            }
            if PURE.contains(&name.as_str()) && IMPURE.contains(&dependency.as_str()) {
                mistakes.push(format!("{name} does no IO and must not use {dependency}"));
            }
        }
        if manifest.get("lints").and_then(|lints| lints.get("workspace")) != Some(&Value::Boolean(true)) {
            mistakes.push(format!("{name} does not take the lints of the workspace"));
        }
    }
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

#[test]
fn versions_are_given_once() {
    let mut used = BTreeSet::new();
    for (name, manifest) in crates() {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (dependency, value) in section(&manifest, kind) {
                let inherits = value.get("workspace") == Some(&Value::Boolean(true));
                assert!(inherits, "{name}: write `{dependency}.workspace = true`");
                used.insert(dependency.clone());
            }
        }
    }
    let workspace: Table = read(&root().join("Cargo.toml")).parse().unwrap();
    let shared = workspace["workspace"]["dependencies"].as_table().unwrap();
    let unused: Vec<_> = shared.keys().filter(|name| !used.contains(*name)).collect();
    println!("used by no crate: {unused:?}");
}

#[test]
fn every_module_says_what_it_is() {
    let is_silent = |path: &PathBuf| {
        let text = read(path);
        let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        !first.is_some_and(|line| line.starts_with("//!"))
    };
    let modules = files_of("crates", "rs").into_iter().filter(|path| name_of(path) != "tests.rs");
    let silent: Vec<String> = modules.filter(is_silent).map(|path| shown(&path)).collect();
    assert!(silent.is_empty(), "these files do not begin with `//!`: {silent:#?}");
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let mut too_long = Vec::new();
    for path in files_of("crates", "rs") {
        let lines = read(&path).lines().count();
        if lines > LONGEST_FILE {
            too_long.push(format!("{}: {lines} lines", shown(&path)));
        } else if lines > LONGEST_FILE / 2 {
            println!("long: {} has {lines} lines", shown(&path));
        }
    }
    assert!(too_long.is_empty(), "split these: {too_long:#?}");
}

/// A format's folder holds everything about it, its page for users included.
#[test]
fn every_foreign_protocol_has_its_page() {
    let folders = entries(&root().join("crates/wire/src"));
    // What the registry lists is of some kind; other folders are shared parts.
    let is_format = |path: &&PathBuf| {
        let module = path.join("mod.rs");
        module.exists() && read(&module).contains("Kind")
    };
    let missing: Vec<String> = folders
        .iter()
        .filter(is_format)
        .filter(|folder| !folder.join("README.md").exists())
        .map(|folder| shown(folder))
        .collect();
    assert!(missing.is_empty(), "no README.md in {missing:?}");
}

#[test]
fn registries_are_sorted_and_names_unique() {
    use weir_wire::registry::{EXPORTERS, IMPORTERS, RECEIVERS, RENDERERS};
    let lists: [(&str, Vec<&str>); 4] = [
        ("EXPORTERS", EXPORTERS.iter().map(|kind| kind.name).collect()),
        ("RECEIVERS", RECEIVERS.iter().map(|kind| kind.name).collect()),
        ("IMPORTERS", IMPORTERS.iter().map(|kind| kind.name).collect()),
        ("RENDERERS", RENDERERS.iter().map(|kind| kind.name).collect()),
    ];
    for (list, names) in lists {
        for pair in names.windows(2) {
            assert!(pair[0] < pair[1], "{list}: {:?} must come before {:?}, once", pair[1], pair[0]);
        }
    }
}

/// Paths in backquotes that look like paths of this repository lead somewhere.
#[test]
fn documents_name_what_exists() {
    const OURS: &[&str] =
        &["crates/", "docs/", "scripts/", "ui/", "testdata/", "bench/", "examples/", "fuzz/", ".ci/"];
    let mut broken = Vec::new();
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"] {
        let path = root().join(document);
        if !path.exists() {
            continue;
        }
        for name in read(&path).split('`').skip(1).step_by(2) {
            let is_path = OURS.iter().any(|folder| name.starts_with(folder));
            let is_pattern = name.contains(['<', '{', '*', ' ', '…']) || name.starts_with("ui/dist");
            if is_path && !is_pattern && !root().join(name).exists() {
                broken.push(format!("{document}: {name}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for path in files_of("", "md") {
        let text = read(&path);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let elsewhere = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !path.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {target}", shown(&path)));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Nothing names a folder of somebody's machine or the address of a package registry.
#[test]
fn nothing_belongs_to_one_machine() {
    // In two parts, so that this file does not name them either.
    let foreign = [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("crates", ".io"),
        concat!("registry.", "npmjs"),
        concat!("pypi", ".org"),
        concat!("static.rust", "-lang"),
    ];
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    // The lock file is cargo's, and names its index.
    for path in files(&root()).into_iter().filter(|path| name_of(path) != "Cargo.lock") {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for needle in foreign.into_iter().filter(|needle| text.contains(needle)) {
            found.entry(shown(&path)).or_default().push(needle);
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn foreign_data_has_its_licence_beside_it() {
    let is_bare = |folder: &&PathBuf| {
        let names: Vec<String> = entries(folder).iter().map(|path| name_of(path).to_uppercase()).collect();
        let has = |part: &str| names.iter().any(|name| name.contains(part));
        !(has("README") && (has("LICENSE") || has("COPYING")))
    };
    let sets = entries(&root().join("testdata"));
    let bare: Vec<String> =
        sets.iter().filter(|path| path.is_dir()).filter(is_bare).map(|path| shown(path)).collect();
    assert!(bare.is_empty(), "no README or no licence in {bare:?}");
}
