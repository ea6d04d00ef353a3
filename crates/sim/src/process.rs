//! Processes: their CPU time and memory as the kernel counts them, and a server as a child.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use model::Clock;
use serde::Deserialize;

/// Seconds per tick of the times in `/proc` (USER_HZ is 100 on every Linux that Rust runs on).
const TICK_SECONDS: f64 = 0.01;

/// CPU seconds that a process has used, user and system together, with all its threads.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_cpu(&text).with_context(|| format!("{path} is not as proc(5) says"))
}

/// Fields 14 and 15 of `/proc/PID/stat`; the second field may hold anything, in parentheses.
fn parse_cpu(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 * TICK_SECONDS)
}

/// Resident memory of a process and the most that it ever was, in bytes.
pub fn memory_bytes(pid: u32) -> Result<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    let (now, most): (Option<u64>, Option<u64>) = (kib("VmRSS:"), kib("VmHWM:"));
    Ok((now.unwrap_or(0) * 1024, most.unwrap_or(0) * 1024))
}

/// What a process has used up.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Usage {
    pub cpu_seconds: f64,
    /// CPU seconds by the name of the thread, without the number at its end.
    pub threads: BTreeMap<String, f64>,
    /// Bytes handed to the disk.
    pub written_bytes: u64,
    /// Resident memory now and at most, in bytes.
    pub memory: u64,
    pub memory_max: u64,
}

impl Usage {
    pub fn of(pid: u32) -> Result<Self> {
        let (memory, memory_max) = memory_bytes(pid)?;
        let mut threads = BTreeMap::new();
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end between the listing and the look at it.
            let Ok(stat) = std::fs::read_to_string(task?.path().join("stat")) else { continue };
            let name = stat.split_once('(').and_then(|(_, rest)| Some(rest.rsplit_once(')')?.0));
            let name = name.unwrap_or_default().trim_end_matches(|end: char| end.is_ascii_digit() || end == '-');
            *threads.entry(name.to_owned()).or_default() += parse_cpu(&stat).unwrap_or(0.0);
        }
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let written_bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0);
        Ok(Self { cpu_seconds: cpu_seconds(pid)?, threads, written_bytes, memory, memory_max })
    }

    /// What was used up since `before`; memory stays as it is. A process that was started anew in between has counted from
    /// nothing: all that it has used is taken for it.
    pub fn since(&self, before: &Self) -> Self {
        let anew = self.cpu_seconds < before.cpu_seconds || self.written_bytes < before.written_bytes;
        if anew {
            return self.since(&Self::default());
        }
        let of = |name: &String| before.threads.get(name).copied().unwrap_or(0.0);
        let threads = self.threads.iter().map(|(name, seconds)| (name.clone(), (seconds - of(name)).max(0.0)));
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            threads: threads.collect(),
            written_bytes: self.written_bytes - before.written_bytes,
            ..*self
        }
    }
}

/// The addresses that a server wrote to `listen.json`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Listen {
    pub mqtt: String,
    pub http: String,
    pub operations: Option<String>,
}

impl Listen {
    /// Free ports of the loopback address.
    fn anywhere() -> Self {
        let any = || "127.0.0.1:0".to_owned();
        Self { mqtt: any(), http: any(), operations: Some(any()) }
    }

    /// Reads `DIR/listen.json`.
    pub fn read(data: &Path) -> Result<Self> {
        let path = data.join("listen.json");
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("no server found: cannot read {}; is `tidewater serve` running?", path.display())
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))
    }
}

/// The admin key that the first start wrote to `DIR/admin.key`.
pub fn admin_key(data: &Path) -> Result<String> {
    let path = data.join("admin.key");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// Bytes that the files below `path` take on the disk.
pub fn directory_bytes(path: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        // A file may go between the listing and the look at it.
        let Ok(about) = entry.metadata() else { continue };
        sum += if about.is_dir() { directory_bytes(&entry.path())? } else { about.blocks() * 512 };
    }
    Ok(sum)
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Launch {
    pub binary: PathBuf,
    pub data: PathBuf,
    /// Arguments of `serve` beside the data directory and the addresses.
    pub extra: Vec<String>,
    pub environment: Vec<(String, OsString)>,
    /// A program and its arguments that run the server, such as a tracer. It must leave the server its pid.
    pub through: Vec<String>,
    /// The addresses to listen on; free ones if there are none.
    pub listen: Option<Listen>,
    /// What the server says goes to the end of this file.
    pub log: PathBuf,
    pub wait_max: Duration,
}

/// How long a server may take to start.
const START_WAIT_MAX: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);
/// What is told of a server's log.
const LOG_TOLD_BYTES: usize = 3000;

impl Launch {
    /// `binary serve` on free ports with its data in `data` and its log in `data/serve.log`.
    pub fn new(binary: &Path, data: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            data: data.to_owned(),
            extra: Vec::new(),
            environment: Vec::new(),
            through: Vec::new(),
            listen: None,
            log: data.join("serve.log"),
            wait_max: START_WAIT_MAX,
        }
    }

    /// Starts the server and waits until it serves.
    pub fn start(&self, clock: &Clock) -> Result<Server> {
        self.forget_addresses()?;
        let mut server = self.spawn()?;
        let give_up = clock.monotonic() + self.wait_max;
        while !self.data.join("listen.json").exists() {
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended at its start ({status}):\n{}", server.said());
            }
            ensure!(clock.monotonic() < give_up, "the server is not ready after {} s", self.wait_max.as_secs());
            std::thread::sleep(LOOK);
        }
        server.listen = Listen::read(&self.data)?;
        Ok(server)
    }

    /// Removes the addresses that a server which was killed has left, so that those of the next one can be waited for.
    pub fn forget_addresses(&self) -> Result<()> {
        match std::fs::remove_file(self.data.join("listen.json")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Starts the server and does not wait: nobody knows yet where it listens.
    pub fn spawn(&self) -> Result<Server> {
        std::fs::create_dir_all(&self.data)?;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut line = self.through.clone();
        line.push(self.binary.display().to_string());
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).arg("serve").arg("--data").arg(&self.data);
        let listen = self.listen.clone().unwrap_or_else(Listen::anywhere);
        command.args(["--mqtt", &listen.mqtt, "--http", &listen.http]);
        command.args(listen.operations.iter().flat_map(|address| ["--operations", address]));
        command.args(&self.extra).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", line[0]))?;
        Ok(Server { child, data: self.data.clone(), log: self.log.clone(), listen })
    }
}

/// A running child; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    data: PathBuf,
    log: PathBuf,
    pub listen: Listen,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn admin_key(&self) -> Result<String> {
        admin_key(&self.data)
    }

    /// Asks the server to end (SIGTERM) and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        signal(self.child.id(), libc::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}:\n{}", self.said());
        Ok(())
    }

    /// Ends it at once (SIGKILL), and waits until it is gone.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// The end of what it said.
    pub fn said(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(LOG_TOLD_BYTES)..]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Raises this process's limit of open descriptors to what it may be raised to; children inherit it. Returns the limit.
#[allow(unsafe_code, reason = "the standard library does not know resource limits")]
pub fn raise_descriptor_limit() -> Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit(2) writes one rlimit through the pointer, which is to a live one; setrlimit(2) only reads it.
    let done = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0
        }
    };
    ensure!(done, "the limit of open files cannot be raised: {}", std::io::Error::last_os_error());
    Ok(limit.rlim_cur)
}

/// Sends a signal to a process.
#[allow(unsafe_code, reason = "the standard library can only kill with SIGKILL")]
pub fn signal(pid: u32, signal: i32) -> Result<()> {
    // SAFETY: kill(2) takes two integers and touches no memory of ours.
    let result = unsafe { libc::kill(pid as i32, signal) };
    ensure!(result == 0, "process {pid} cannot be signalled: {}", std::io::Error::last_os_error());
    Ok(())
}

/// Descriptors that a process has open.
pub fn descriptors(pid: u32) -> Result<u64> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_user_and_system_whatever_the_name_of_the_program() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 100 0 0";
        assert_eq!(parse_cpu(stat), Some(3.0));
        assert_eq!(parse_cpu("7 (a) S 1"), None);
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
    }

    #[test]
    fn usage_is_of_a_span_and_by_thread() {
        let usage = |cpu_seconds, gateway, written_bytes| Usage {
            cpu_seconds,
            threads: [("gateway".to_owned(), gateway)].into(),
            written_bytes,
            memory: 7,
            memory_max: 9,
        };
        assert_eq!(usage(3.0, 2.0, 50).since(&usage(1.0, 0.5, 20)), usage(2.0, 1.5, 30));
        // Killed and started again while it was watched: kill rounds made bench panic here.
        assert_eq!(usage(0.5, 0.25, 10).since(&usage(3.0, 2.0, 50)), usage(0.5, 0.25, 10));
        let own = Usage::of(std::process::id()).unwrap();
        assert!(own.memory > 0 && !own.threads.is_empty());
    }

    #[test]
    fn the_descriptor_limit_goes_up_to_its_bound_and_stays_there() {
        let limit = raise_descriptor_limit().unwrap();
        assert_eq!(raise_descriptor_limit().unwrap(), limit);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let (now, most) = memory_bytes(std::process::id()).unwrap();
        assert!(now > 1 << 20 && most >= now);
    }
}
