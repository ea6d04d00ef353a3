//! A disk without space, and a process without descriptors, that have some again later.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use model::limits;

use super::outcome::Outcome;
use super::stage::{Stage, mixed};
use super::tool::{Missing, need};
use super::{Context, Scenario};
use crate::process::Launch;
use crate::scratch::Scratch;

pub const SCENARIO: Scenario = Scenario {
    name: "full",
    what: "a small tmpfs is filled at random moments under load, the server killed and started on it in every other round, then \
           space is freed",
    must: "no false acknowledgement; the reason is said; reads are served; it goes on by itself once there is space",
    rounds: 20,
    run,
};

pub const DESCRIPTORS: Scenario = Scenario {
    name: "emfile",
    what: "idle connections take every descriptor that the server may have, then go",
    must: "what is connected goes on; it goes on with new ones by itself once there are descriptors",
    rounds: 10,
    run: run_descriptors,
};

const RATE: f64 = 4_000.0;
const ACKED_LEAST: u64 = 300;
/// Room for the reserve, the log's segments and some rounds of data.
const TMPFS_BYTES: u64 = limits::DISK_RESERVE_BYTES + (768 << 20);
/// How long the disk stays full.
const FULL: Duration = Duration::from_secs(3);
const DESCRIPTORS_MAX: usize = 256;

fn run(context: &Context<'_>) -> Result<Outcome> {
    let scratch = Scratch::new(context.parent)?;
    let mount = Mount::tmpfs(&scratch.path().join("small"), TMPFS_BYTES)?;
    let configuration = scratch.path().join("tidewater.toml");
    std::fs::write(&configuration, "[journal]\nsegment_bytes = \"8MiB\"\nretention = \"0s\"\n")?;
    let mut launch = Launch::new(context.binary, &mount.path.join("data"));
    launch.log = scratch.path().join("serve.log");
    launch.extra = vec!["--config".to_owned(), configuration.display().to_string()];
    let mut stage = Stage::open_on(context, scratch, launch)?;
    stage.load(&mixed(RATE))?;
    let (mut unsaid, mut unserved) = (0, 0);
    for round in 1..=u64::from(context.rounds) {
        stage.wait_acked(ACKED_LEAST)?;
        stage.pass(Duration::from_millis(context.below("moment", round, 1_000)))?;
        let filler = fill(&mount.path)?;
        if round.is_multiple_of(2) {
            stage.kill()?;
            stage.start().context("a start on a full disk")?;
        }
        stage.pass(FULL)?;
        unsaid += u64::from(stage.obstacles()?.is_empty());
        unserved += u64::from(stage.api().count("fault", "temperature").is_err());
        std::fs::remove_file(&filler)?;
        (context.say)(format!("full {round} of {}", context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    let outcome = Outcome::default().rounds(context.rounds.into());
    let outcome = outcome.expects(unsaid == 0, || format!("/ready gave no reason {unsaid} times"));
    let outcome = outcome.expects(unserved == 0, || format!("a query was not answered {unserved} times"));
    let outcome = stage.finish(outcome);
    drop(mount);
    outcome
}

/// A file that takes all the space there is.
fn fill(dir: &Path) -> Result<PathBuf> {
    let path = dir.join("filler");
    let mut file = std::fs::File::create(&path)?;
    let chunk = vec![1; 1 << 20];
    while std::io::Write::write(&mut file, &chunk).is_ok_and(|written| written > 0) {}
    Ok(path)
}

/// A mounted file system; it goes when dropped.
struct Mount {
    path: PathBuf,
}

impl Mount {
    fn tmpfs(path: &Path, bytes: u64) -> Result<Self> {
        need("mount")?;
        std::fs::create_dir_all(path)?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(path).stderr(Stdio::null());
        if !command.status()?.success() {
            return Err(Missing("a small file system cannot be mounted: this needs root".to_owned()).into());
        }
        Ok(Self { path: path.to_owned() })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a server that did not end with its scenario holds it no longer than it lives.
        drop(Command::new("umount").arg("-l").arg(&self.path).stderr(Stdio::null()).status());
    }
}

fn run_descriptors(context: &Context<'_>) -> Result<Outcome> {
    need("prlimit")?;
    let scratch = Scratch::new(context.parent)?;
    let mut launch = Launch::new(context.binary, &scratch.path().join("data"));
    launch.log = scratch.path().join("serve.log");
    let limit = format!("--nofile={DESCRIPTORS_MAX}:{DESCRIPTORS_MAX}");
    launch.through = ["prlimit", &limit].map(str::to_owned).to_vec();
    let mut stage = Stage::open_on(context, scratch, launch)?;
    stage.load(&mixed(RATE))?;
    for round in 1..=context.rounds {
        stage.wait_acked(ACKED_LEAST)?;
        let idle: Vec<TcpStream> =
            (0..DESCRIPTORS_MAX).filter_map(|_| TcpStream::connect(&stage.listen().mqtt).ok()).collect();
        stage.wait_acked(ACKED_LEAST).context("what is connected goes on without descriptors")?;
        drop(idle);
        stage.wait("it answers again", || Ok(stage.api().count("fault", "temperature").ok()))?;
        (context.say)(format!("out of descriptors {round} of {}", context.rounds));
    }
    stage.wait_acked(ACKED_LEAST)?;
    stage.finish(Outcome::default().rounds(context.rounds.into()))
}
