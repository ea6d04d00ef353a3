//! The catalog's files.

use std::io;
use std::path::{Path, PathBuf};

use model::Disk;
use model::disk::{read_all, write_atomic};

use super::Catalog;
use super::format::{Unreadable, VERSION, decode, encode};
use crate::error::Error;

const PREFIX: &str = "catalog-";
/// The generation of a store's first catalog.
const FIRST: u64 = 1;

/// What was found in the directory.
#[derive(Default, Debug)]
pub struct Loaded {
    /// The newest catalog that can be read; empty in a new directory.
    pub catalog: Catalog,
    /// Its generation as it is in the file.
    pub generation: u64,
    /// The one before, if it can be read: its blocks are kept.
    pub previous: Option<Catalog>,
    /// Newer ones that cannot be read.
    pub unreadable: Vec<Error>,
}

/// The name of a block's file.
pub fn block_name(id: u64) -> String {
    format!("{id:016x}.parquet")
}

fn path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{generation}"))
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + use<'a> {
    move |source| Error::Disk { what, path: path.to_owned(), source }
}

/// The generations whose files are there, newest first.
fn generations(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, Error> {
    let entries = disk.list(dir).map_err(failed("cannot list", dir))?;
    let generation = |name: &str| name.strip_prefix(PREFIX)?.parse().ok();
    let mut generations: Vec<u64> = entries.iter().filter_map(|entry| generation(&entry.name)).collect();
    generations.sort_unstable_by(|a, b| b.cmp(a));
    Ok(generations)
}

/// Chooses the newest catalog that can be read. If there are catalogs and none can be read, that is an error: to go on
/// would forget every block. (The first catalog of all is the exception: `raw` has what it named.)
pub fn load(disk: &dyn Disk, dir: &Path) -> Result<Loaded, Error> {
    let mut loaded = Loaded::default();
    let mut found = false;
    let generations = generations(disk, dir)?;
    for generation in &generations {
        let path = path(dir, *generation);
        let bytes = read_all(disk, &path).map_err(failed("cannot read", &path))?;
        match decode(&bytes) {
            Ok(catalog) if !found => {
                loaded.generation = catalog.generation;
                loaded.catalog = catalog;
                found = true;
            }
            Ok(catalog) => {
                loaded.previous = Some(catalog);
                break;
            }
            Err(Unreadable::Version(version)) => {
                return Err(Error::Version { path, version, readable: VERSION });
            }
            Err(Unreadable::Damaged(what)) if !found => {
                loaded.unreadable.push(Error::Corrupt { path, at: 0, what: what.to_owned() });
            }
            Err(Unreadable::Damaged(_)) => {}
        }
    }
    if let Some(newest) = generations.first() {
        // Numbers are not used twice, even if what they named cannot be read.
        loaded.catalog.generation = *newest;
    }
    // Before the first there was nothing, so nothing is what the one before it said.
    let first = generations == [FIRST];
    match loaded.unreadable.pop() {
        Some(error) if !found && !first => Err(error),
        error => {
            loaded.unreadable.extend(error);
            Ok(loaded)
        }
    }
}

/// Makes a catalog durable.
pub fn save(disk: &dyn Disk, dir: &Path, catalog: &Catalog) -> Result<(), Error> {
    let path = path(dir, catalog.generation);
    write_atomic(disk, &path, &encode(catalog)).map_err(failed("cannot write", &path))
}

/// Removes the catalogs of generations before `kept`, and what a write that was cut short left.
pub fn remove_before(disk: &dyn Disk, dir: &Path, kept: u64) -> Result<(), Error> {
    for entry in disk.list(dir).map_err(failed("cannot list", dir))? {
        let Some(number) = entry.name.strip_prefix(PREFIX) else { continue };
        let is_old = number.parse::<u64>().is_ok_and(|generation| generation < kept) || number.ends_with(".tmp");
        if is_old {
            let path = dir.join(&entry.name);
            disk.remove(&path).map_err(failed("cannot remove", &path))?;
        }
    }
    Ok(())
}
