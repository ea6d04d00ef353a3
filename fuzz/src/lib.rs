//! Fuzz targets: everything that reads bytes of a peer or of a disk, each as one function of bytes.
//!
//! A target panics if a property of what it feeds is broken, and returns otherwise. The same functions are run by the
//! replay of the committed corpora (`tests/replay.rs`, ordinary tests) and by libFuzzer (`main.rs`, `make fuzz`), so that
//! the two cannot drift apart. README.md beside this says how to run them and what to do with a finding.
//!
//! Under the feature `sabotage` three targets have a bug planted in front of what they feed, of three kinds: a panic, a
//! value that is wrong in its last digit, and damage that is taken for the end of a log. The replay must find each.

mod damage;
mod input;
mod payloads;

mod target {
    pub mod dead_letter;
    pub mod http_body;
    pub mod http_inflate;
    pub mod journal;
    pub mod json;
    pub mod mqtt_client;
    pub mod mqtt_server;
    pub mod payload;
    pub mod raw_batch;
    pub mod schema;
    pub mod snapshot;
    pub mod store;
    pub mod words;
}

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line, and that of its corpus.
    pub name: &'static str,
    /// Feeds the bytes; panics if a property does not hold.
    pub run: fn(&[u8]),
    /// Longer inputs show nothing that these do not.
    pub bytes_max: usize,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "mqtt-server", run: target::mqtt_server::run, bytes_max: 4096 },
    Target { name: "mqtt-client", run: target::mqtt_client::run, bytes_max: 2048 },
    Target { name: "json", run: target::json::run, bytes_max: 4096 },
    Target { name: "http-body", run: target::http_body::run, bytes_max: 4096 },
    Target { name: "http-inflate", run: target::http_inflate::run, bytes_max: 4096 },
    Target { name: "payload", run: target::payload::run, bytes_max: 4096 },
    Target { name: "schema-avro", run: target::schema::avro, bytes_max: 4096 },
    Target { name: "schema-json", run: target::schema::json, bytes_max: 4096 },
    Target { name: "schema-protobuf", run: target::schema::protobuf, bytes_max: 4096 },
    Target { name: "expression", run: target::words::expression, bytes_max: 600 },
    Target { name: "unit", run: target::words::unit, bytes_max: 160 },
    Target { name: "raw-batch", run: target::raw_batch::run, bytes_max: 4096 },
    Target { name: "dead-letter", run: target::dead_letter::run, bytes_max: 2048 },
    Target { name: "journal", run: target::journal::run, bytes_max: 128 },
    Target { name: "snapshot", run: target::snapshot::run, bytes_max: 4096 },
    Target { name: "store", run: target::store::run, bytes_max: 128 },
];
