//! `tidewater check-config`: the effective configuration, or every mistake in the file.

use std::path::PathBuf;

use anyhow::Result;

use super::output;
use crate::config::{Config, Overrides};

/// Prints the effective configuration with every key's meaning, or all mistakes of FILE.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tidewater check-config tidewater.toml")]
pub struct Args {
    /// The configuration file; without it the defaults are printed.
    file: Option<PathBuf>,
}

impl Args {
    pub fn run(self) -> Result<()> {
        let config = Config::load(&Overrides { config: self.file, ..Overrides::default() })?;
        output::raw(config.show().as_bytes());
        Ok(())
    }
}
