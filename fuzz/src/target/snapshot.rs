//! A pipeline's snapshot, and the file that holds it with the packet ids that sessions hold.
//!
//! The first byte: 0 the bytes as a snapshot; 1 as the rest of a file whose checksum fits; 2 as damage of a snapshot that was
//! made of real messages.
//!
//! Holds: no panic; what is taken is written back so that it is taken again; a restored pipeline goes on without a stage
//! that fails.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use disk::FaultDisk;
use model::{ClassRules, Disk, Format, OpenMode, Partition, PayloadKind};
use pipeline::{Pipeline, Plan};
use server::line::snapshot::Snapshots;

use crate::input::Input;
use crate::payloads;

const DIR: &str = "/snapshots";

/// The state after some messages: windows with gaps, recent values, columns.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut pipeline = payloads::pipeline(Plan::default(), ClassRules::default());
    let texts: Vec<String> = (0..64_u64).map(|number| message(number * number % 97)).collect();
    let key = |number: usize| payloads::key(number % 4, PayloadKind::Data, Format::Json);
    let fed: Vec<_> = texts.iter().enumerate().map(|(number, text)| (key(number), text.as_bytes())).collect();
    payloads::feed(&mut pipeline, &[], &fed, |_| ());
    let mut bytes = Vec::new();
    pipeline.snapshot(&mut bytes);
    bytes
});

fn message(number: u64) -> String {
    let ts = payloads::RECEIVED - 1000 * number as i64;
    match number % 4 {
        0 => format!(r#"{{"ts":{ts},"metrics":{{"a":{number}}}}}"#),
        1 => format!(r#"{{"seq":{number},"metrics":{{"a":{number},"b":"x"}}}}"#),
        2 => format!(r#"{{"ts":{ts},"seq":{number},"metrics":{{"c":true}}}}"#),
        _ => format!(r#"{{"boot":2,"seq":{number},"metrics":{{"a":0.5}}}}"#),
    }
}

pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.u8() % 3 {
        0 => restore(input.0),
        1 => file(input.0),
        _ => {
            let mut bytes = SOUND.clone();
            for _ in 0..8 {
                if input.0.is_empty() {
                    break;
                }
                let at = usize::from(input.u16()) % bytes.len();
                match input.u8() {
                    0 => bytes.truncate(at.max(1)),
                    value => bytes[at] ^= value,
                }
            }
            restore(&bytes);
        }
    }
}

fn restore(bytes: &[u8]) {
    let Ok(mut pipeline) = Pipeline::restore(bytes) else { return };
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    pipeline.snapshot(&mut once);
    let again = Pipeline::restore(&once).expect("a snapshot that was just made");
    again.snapshot(&mut twice);
    assert!(once == twice, "a snapshot changes what it holds");
    let text = message(2);
    let key = |number| payloads::key(number, PayloadKind::Data, Format::Json);
    // The base has room for what a batch may add: positions come from the journal, whose end does not wrap.
    if pipeline.position() < u64::MAX / 2 {
        payloads::go_on(&mut pipeline, &[(key(0), text.as_bytes()), (key(1), text.as_bytes())]);
    }
}

/// Offset, length and bytes of the pipeline's part, held ids: behind a magic and a checksum that fits.
fn file(rest: &[u8]) {
    let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new());
    let snapshots = Snapshots::open(disk.clone(), Path::new(DIR), Partition(0)).expect("a disk without failures");
    let offset = Input(rest).u64();
    let name = format!("0-{offset:020}.snapshot");
    let written = disk.open(&Path::new(DIR).join(name), OpenMode::CreateNew).expect("a new file");
    let bytes = [b"TWSNAP01", &crc32c::crc32c(rest).to_le_bytes()[..], rest].concat();
    written.write_at(&bytes, 0).expect("a disk without failures");
    if let Some(stored) = snapshots.newest(u64::MAX).expect("a disk without failures") {
        assert_eq!(stored.offset, offset);
        restore(stored.pipeline());
    }
}
