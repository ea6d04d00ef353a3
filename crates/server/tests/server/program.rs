//! The shipped binary.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use server::data_dir::Listen;

use super::api::Api;
use super::wait::until;

/// A running `tidewater serve`; killed when dropped.
pub struct Program {
    child: Child,
    pub listen: Listen,
    pub api: Api,
}

impl Program {
    /// Starts it on free ports with its data in `dir`, and waits until it serves. Its log is `dir/serve.log`.
    pub fn start(dir: &Path, configuration: &str) -> Self {
        let config = dir.join("tidewater.toml");
        std::fs::write(&config, configuration).unwrap();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("serve.log")).unwrap();
        let (data, any) = (dir.join("data"), "127.0.0.1:0");
        // As a service manager starts it: with few descriptors, and leave to take more.
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -S -n 1024; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tidewater"), "serve"]);
        command.arg("--data").arg(&data).arg("--config").arg(&config);
        command.args(["--mqtt", any, "--http", any, "--operations", any, "--dev-anonymous", any]);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        // A killed server leaves its listen.json; the next one removes it, but perhaps not before the first look.
        drop(std::fs::remove_file(data.join("listen.json")));
        let mut child = command.spawn().unwrap();
        let text = until("the server serves", || {
            let ended = child.try_wait().unwrap();
            assert_eq!(ended, None, "{}", std::fs::read_to_string(dir.join("serve.log")).unwrap());
            std::fs::read_to_string(data.join("listen.json")).ok()
        });
        let listen: Listen = serde_json::from_str(&text).unwrap();
        let api = Api::new(listen.http, &std::fs::read_to_string(data.join("admin.key")).unwrap());
        Self { child, listen, api }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; see [`Program::wait`].
    pub fn terminate(&self) {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub fn wait(mut self) -> ExitStatus {
        until("the server has ended", || self.child.try_wait().unwrap())
    }

    pub fn anonymous(&self) -> SocketAddr {
        self.listen.dev_anonymous.unwrap()
    }

    /// Descriptors that it has open, files aside: each sync thread opens the journal's when it has something to sync.
    pub fn descriptors(&self) -> usize {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let targets = descriptors.filter_map(|one| std::fs::read_link(one.unwrap().path()).ok());
        targets.filter(|target| !target.is_absolute()).count()
    }

    /// Lets it open no descriptor of this number or a higher one, as prlimit(1) does.
    pub fn limit_descriptors(&self, max: u64) {
        let (mut before, pid) = (libc::rlimit { rlim_cur: 0, rlim_max: 0 }, self.child.id() as i32);
        #[allow(unsafe_code, reason = "std has no prlimit")]
        // SAFETY: the calls are given structs that live through them.
        unsafe {
            assert_eq!(libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &mut before), 0);
            let limit = libc::rlimit { rlim_max: before.rlim_max, rlim_cur: max.min(before.rlim_max) };
            assert_eq!(libc::prlimit(pid, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()), 0);
        }
    }

    /// The descriptor that it would open next.
    pub fn next_descriptor(&self) -> u64 {
        let names = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let open: Vec<u64> = names.map(|name| name.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
        (0..).find(|descriptor| !open.contains(descriptor)).unwrap()
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
