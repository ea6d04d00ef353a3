//! Faults at system calls, by `strace`: a call fails, waits, or ends the process.
//!
//! A tracer counts calls by thread: the N-th call is the N-th of the thread that comes to N first.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use model::Clock;

use super::tool;
use crate::process::signal;

/// What happens at which call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Injection {
    /// Comma-separated, as strace takes them.
    pub calls: String,
    /// For example `signal=KILL:when=3`.
    pub what: String,
}

impl Injection {
    pub fn new(calls: &str, what: &str) -> Self {
        Self { calls: calls.to_owned(), what: what.to_owned() }
    }

    /// Ends the process at call number `number`, before it is carried out.
    pub fn kill(call: &str, number: u32) -> Self {
        Self::new(call, &format!("signal=KILL:when={number}"))
    }

    fn arguments(&self) -> [String; 4] {
        let [trace, inject] = [format!("trace={}", self.calls), format!("inject={}:{}", self.calls, self.what)];
        ["-e".to_owned(), trace, "-e".to_owned(), inject]
    }

    /// A command line that runs a program with this from its first call on. The tracer is a grandchild, so that the
    /// program keeps its pid. (With `--seccomp-bpf` it would cost less, but the kernel drops a signal that is injected at such
    /// a stop: strace 6.1 then kills nobody.)
    pub fn through(&self) -> Result<Vec<String>> {
        tool::need("strace")?;
        let front = ["strace", "-D", "-f", "-qq", "-o", "/dev/null"].map(str::to_owned);
        Ok(front.into_iter().chain(self.arguments()).collect())
    }
}

/// How long a tracer may take to hold every thread.
const ATTACH_WAIT_MAX: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);

/// A tracer of a running process; it lets go when dropped.
#[derive(Debug)]
pub struct Tracer(Child);

impl Tracer {
    /// Returns once every thread is traced.
    pub fn attach(pid: u32, injection: &Injection, clock: &Clock) -> Result<Self> {
        tool::need("strace")?;
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null"]).args(injection.arguments()).args(["-p", &pid.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut tracer = Self(child.context("strace cannot be started")?);
        let give_up = clock.monotonic() + ATTACH_WAIT_MAX;
        while !is_traced(pid) {
            ensure!(
                tracer.0.try_wait()?.is_none(),
                "strace cannot trace process {pid}: it needs the right to (ptrace)"
            );
            ensure!(clock.monotonic() < give_up, "strace does not hold process {pid}");
            std::thread::sleep(LOOK);
        }
        Ok(tracer)
    }
}

/// Whether every thread of a process has a tracer.
fn is_traced(pid: u32) -> bool {
    let traced = |task: std::fs::DirEntry| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        !status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() == "0"))
    };
    std::fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| tasks.flatten().all(traced))
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Asked to end it detaches; killed it would take the process with it, or leave it stopped. Both calls fail only if it
        // has ended already.
        drop(signal(self.0.id(), libc::SIGTERM));
        drop(self.0.wait());
    }
}
