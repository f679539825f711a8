//! Collects the files of the page, if it has been built, into a table for `src/ui.rs`.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let ui = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../ui");
    let dist = ui.join("dist");
    tell("cargo::rerun-if-changed=build.rs");
    // While there is no page, its appearance is what to look out for.
    if let Some(watched) = [&dist, &ui].into_iter().find(|path| path.exists()) {
        tell(&format!("cargo::rerun-if-changed={}", watched.display()));
    }
    let mut files = Vec::new();
    if dist.join("index.html").exists() {
        collect(&dist.canonicalize()?, &mut files)?;
    }
    let mut table = Vec::new();
    for file in &files {
        if file.extension().is_some_and(|extension| extension == "br" || extension == "gz") {
            continue;
        }
        table.push(row(&dist.canonicalize()?, file)?);
    }
    table.sort();
    let rows: String = table.into_iter().map(|(_, row)| row).collect();
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    fs::write(out.join("ui_files.rs"), format!("static FILES: &[File] = &[\n{rows}];\n"))
}

#[allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn tell(line: &str) {
    println!("{line}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// The path as asked for, and its row of the table.
fn row(dist: &Path, file: &Path) -> io::Result<(String, String)> {
    let relative = file.strip_prefix(dist).unwrap_or(file).to_string_lossy().replace('\\', "/");
    let path = format!("/{relative}");
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(file)?);
    let packed = |ending: &str| {
        let packed = PathBuf::from(format!("{}.{ending}", file.display()));
        if packed.exists() { format!("Some(include_bytes!({packed:?}))") } else { "None".to_owned() }
    };
    let mut row = String::new();
    let _infallible = writeln!(
        row,
        "    File {{ path: {path:?}, tag: \"{:016x}\", bytes: include_bytes!({file:?}), brotli: {}, gzip: {} }},",
        hasher.finish(),
        packed("br"),
        packed("gz"),
    );
    Ok((path, row))
}
