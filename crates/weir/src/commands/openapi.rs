//! `weir openapi`: the description of the API.

use std::process::ExitCode;

use anyhow::Result;

/// Prints the document that `GET /api/openapi.json` answers.
#[allow(clippy::print_stdout)]
pub fn run() -> Result<ExitCode> {
    println!("{}", weir_server::openapi::json());
    Ok(ExitCode::SUCCESS)
}
