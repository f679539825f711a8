//! `weir check`: every mistake of the settings at once.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::settings;

/// What else to do.
#[derive(Debug, Args)]
pub struct Options {
    /// Print the page of all settings instead.
    #[arg(long)]
    documentation: bool,
}

/// Reads the settings as `weir run` would and says what is wrong with them.
#[allow(clippy::print_stdout)]
pub fn run(options: &Options, file: Option<&Path>) -> Result<ExitCode> {
    if options.documentation {
        print!("{}", settings::document::page());
        return Ok(ExitCode::SUCCESS);
    }
    match settings::load(file, std::env::vars()) {
        Ok(_) => {
            println!("settings are fine");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            for problem in &error.problems {
                println!("{}: {}", problem.key, problem.message);
            }
            println!("{} mistake(s)", error.problems.len());
            Ok(ExitCode::FAILURE)
        }
    }
}
