//! Programs and rights that a scenario needs beside the server.

use std::process::{Command, Stdio};

use anyhow::Result;

/// A scenario cannot run here; the sentence says what is missing and how to get it.
#[derive(Debug)]
pub struct Missing(pub String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Checks that a program is there.
pub fn need(program: &str) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).stderr(Stdio::null());
    if command.status()?.success() {
        return Ok(());
    }
    Err(Missing(format!("{program} is not installed: `scripts/setup` installs it, or apt-get install {program}"))
        .into())
}
