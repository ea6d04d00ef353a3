//! What is read off the running server at the moment somebody asks.

use journal::{Figures, Topic};

use crate::external::Outage;

/// The state of the server at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The logs that are open.
    pub logs: Vec<(Topic, Figures)>,
    /// Why `raw` or `dead-letter` stopped, if it did.
    pub poisoned: Option<String>,
    /// Offsets of these logs that were durable and are known to be unreadable now, and where, for a person.
    pub damaged_offsets: Vec<(Topic, u64)>,
    pub damage: Vec<String>,
    /// What keeps `raw` or `dead-letter` from taking more until it passes, if anything does.
    pub journal_blocked: Option<String>,
    /// Why ingest is paused or stopped; empty while it is open.
    pub ingest_held: String,
    /// Durable bytes of `raw` that are not queryable yet.
    pub lag_bytes: u64,
    /// Memory that rows take which are not in a block yet.
    pub head_bytes: u64,
    /// Blocks in the catalog, and their bytes.
    pub blocks: u64,
    pub block_bytes: u64,
    /// Rows in them.
    pub block_rows: u64,
    /// Rows that merges have written since the start.
    pub rows_merged: u64,
    /// Blocks that are not served because they are damaged.
    pub blocks_damaged: u64,
    /// Bytes of dead letters that are kept and have not passed, and tenants that have as many as they may have.
    pub dead_letter_bytes: u64,
    pub tenants_at_quota: u64,
    /// The external schema registry, if there is one and it does not answer.
    pub schemas_outage: Option<Outage>,
    /// Why sealing or merging does not get on, if it does not.
    pub store_failure: Option<String>,
    /// Bytes that can still be written to the data directory's disk.
    pub free_bytes: u64,
    /// Whether the server is shutting down.
    pub stopping: bool,
}

/// What the kernel says about this process.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Process {
    pub resident_bytes: u64,
    pub open_descriptors: u64,
    pub threads: u64,
    pub cpu_seconds: f64,
}

impl Process {
    /// Reads `/proc/self` (proc(5)). What cannot be read is 0: metrics are no reason to fail.
    pub fn read() -> Self {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
        Self { open_descriptors: descriptors, ..Self::from_stat(&stat) }
    }

    /// Fields of `/proc/self/stat` behind the name in parentheses: 14 utime, 15 stime, 20 threads, 24 resident pages.
    fn from_stat(stat: &str) -> Self {
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        Self {
            resident_bytes: field(24) * PAGE_BYTES,
            open_descriptors: 0,
            threads: field(20),
            cpu_seconds: (field(14) + field(15)) as f64 / TICKS_PER_SECOND,
        }
    }
}

/// The page size of every platform that this is built for.
const PAGE_BYTES: u64 = 4096;
/// USER_HZ is 100 on every Linux that shows it to programs.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_stat_are_found_behind_a_strange_name() {
        let stat = "42 (a) b) R 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 100 1000000 25 184467 1 1";
        let expect = Process { resident_bytes: 25 * 4096, open_descriptors: 0, threads: 7, cpu_seconds: 3.0 };
        assert_eq!(Process::from_stat(stat), expect);
        assert_eq!(Process::from_stat(""), Process::default());
    }
}
