//! API definitions of Tyk, from files: for `weir run` and for `weir convert`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use weir_wire::tyk::definitions::{self, Conversion, File};

/// Reads definitions from files and from all definitions in folders.
///
/// # Errors
/// What cannot be read, or every mistake in every file.
pub fn read(paths: &[PathBuf]) -> Result<Conversion> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(of_folder(path)?);
        } else {
            files.push(file(path)?);
        }
    }
    if files.is_empty() {
        bail!(
            "no definition (.json, .yaml, .yml) in {}",
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        );
    }
    definitions::read(&files).map_err(|error| {
        let lines: Vec<String> =
            error.problems.iter().map(|problem| format!("\n{}: {}", problem.key, problem.message)).collect();
        anyhow::anyhow!("{} mistake(s) in API definitions{}", lines.len(), lines.concat())
    })
}

/// In the order of their names, so that the same folder always gives the same configuration.
fn of_folder(folder: &Path) -> Result<Vec<File>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(definitions::is_definition) {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| file(path)).collect()
}

fn file(path: &Path) -> Result<File> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(File { name, text })
}
