//! A directory for the length of a run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A directory that goes when it is done with.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new directory below `parent`.
    pub fn new(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("tidewater-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays for the person to find.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
