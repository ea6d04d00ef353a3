//! Fills a data directory's store with the past of a fleet, so that queries over much data can be measured without
//! sending it: `cargo run --release -p store --example fill -- DIR/store TENANT CLASS [DEVICES] [SECONDS] [SIGNAL] [merge]`;
//! SIGNAL is regular, noisy or flags.
//!
//! No server may run on the directory meanwhile. Every device sends once a second; the last row is a minute old. With
//! `merge`, blocks are merged as maintenance would do it in time; without, they stay as they were sealed until a server's
//! maintenance gets to them.

#![allow(clippy::print_stdout, reason = "a program prints what it did")]

use std::path::PathBuf;

use model::Clock;

#[path = "../benches/fleet.rs"]
mod fleet;

use fleet::{BATCH_ROWS, Fleet, Signal};

const BLOCK_ROWS: usize = 1 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, tenant, class, others @ ..] = &arguments[..] else {
        println!("usage: fill DIR/store TENANT CLASS [DEVICES] [SECONDS] [regular|noisy|flags] [merge]");
        return;
    };
    let number = |at: usize, other: usize| {
        others.get(at).map_or(other, |text| text.parse().expect("devices and seconds are numbers"))
    };
    let (devices, seconds) = (number(0, 1000), number(1, 50_000));
    let clock = Clock::system();
    let start = clock.now_ms() - seconds as i64 * 1000 - 60_000;
    let signal = match others.get(2).map(String::as_str) {
        None | Some("regular" | "merge") => Signal::Regular,
        Some("noisy") => Signal::Noisy,
        Some("flags") => Signal::Flags,
        Some(other) => {
            println!("`{other}` is no signal: regular, noisy or flags");
            return;
        }
    };
    let fleet = Fleet::new(tenant.parse().expect("a tenant's id"), class, devices, start, signal);
    let (store, mut writer) = fleet.open(&clock, &PathBuf::from(dir));
    let layout = fleet.layout();
    for base in (0..devices * seconds).step_by(BATCH_ROWS) {
        writer.insert(&fleet.batch(&layout, base)).expect("the head has room");
        if (base + BATCH_ROWS) % BLOCK_ROWS < BATCH_ROWS {
            // Offset 0 is not passed: what a server takes in afterwards is not taken for what is here.
            writer.freeze(0);
            store.seal_waiting().expect("the disk works");
        }
    }
    writer.freeze(0);
    store.seal_waiting().expect("the disk works");
    if others.iter().any(|argument| argument == "merge") {
        store.maintain().expect("the disk works");
    }
    let figures = store.figures();
    let bytes = figures.block_bytes as f64 / figures.block_rows.max(1) as f64;
    println!("{} blocks, {} rows from {start}, {bytes:.3} bytes a row", figures.blocks, figures.block_rows);
    println!("the first device is {}", Fleet::device(0));
}
