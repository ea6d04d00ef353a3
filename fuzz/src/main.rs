//! The fuzzer: libFuzzer around one of the targets, which `TIDEWATER_FUZZ_TARGET` names. `scripts/fuzz` starts it.
#![no_main]

use std::backtrace::Backtrace;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, OnceLock};
use std::{env, process, thread};

use fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

/// What the last panic said. Some are caught where they belong (a table of units that stumbles over a code, a poison
/// message), so on this thread a panic is a finding only if it leaves the target. On any other thread it is one.
static LAST: Mutex<String> = Mutex::new(String::new());

fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let this = thread::current().id();
        panic::set_hook(Box::new(move |panic| {
            let text = format!("{panic}\n{}", Backtrace::force_capture());
            if thread::current().id() != this {
                eprintln!("{text}");
                process::abort();
            }
            *LAST.lock().expect("nobody panics with it") = text;
        }));
        let name = env::var("TIDEWATER_FUZZ_TARGET").unwrap_or_default();
        TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| {
            let known: Vec<_> = TARGETS.iter().map(|target| format!("{}:{}", target.name, target.bytes_max)).collect();
            eprintln!("TIDEWATER_FUZZ_TARGET names no target; there are: {}", known.join(" "));
            process::exit(2)
        })
    })
}

fuzz_target!(|bytes: &[u8]| {
    let target = target();
    if panic::catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err() {
        eprintln!("{}", LAST.lock().expect("nobody panics with it"));
        process::abort();
    }
});
