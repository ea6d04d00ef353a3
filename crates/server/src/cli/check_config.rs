//! `tidewater check-config`: the effective configuration, or every mistake in the file.

use std::path::PathBuf;

use anyhow::Result;

use super::output;
use crate::config::{Config, Overrides};

/// Print the effective configuration with every key's meaning, or all mistakes of the file.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tidewater check-config tidewater.toml
  tidewater check-config > tidewater.toml     a file with every key and its default")]
pub struct Args {
    /// The configuration file; without it the defaults are printed.
    file: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let mut overrides = self.overrides;
        overrides.config = self.file.or(overrides.config);
        output::raw(Config::load(&overrides)?.show().as_bytes());
        Ok(())
    }
}
