//! Promise: stored bytes that are not what was written are found, never taken for the end, and cost what they held and
//! nothing else: the server starts, serves the rest, says exactly what is missing, and deletes nothing behind it.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use disk::FaultDisk;
use model::Disk;
use mqtt::Version;
use serde_json::Value;
use server::config::Config;
use server::config::setting::Size;
use tempfile::TempDir;

use super::api::{Api, Device, message, point};
use super::client::*;
use super::program::Program;
use super::wait::until;
use super::world::{Setup, World, metric};

const BAD: &str = r#"{"seq":1000,"metrics":{"x":[]}}"#;
/// Messages that are sealed into blocks, and all of them.
const SEALED: u64 = 12;
const SENT: u64 = 24;
/// Flips tried in each file.
const FLIPS: usize = 2;
/// Dead letters.
const LETTERS: usize = 4;

fn on(disk: &FaultDisk) -> Setup {
    // Small segments: each start makes one ready.
    let configure = |config: &mut Config| config.journal.segment_bytes = Size(4 << 20);
    Setup { disk: Arc::new(disk.clone()), configure, ..Setup::default() }
}

/// What a killed server left: messages in blocks and messages in `raw` alone, each in a batch of its own, and letters.
struct Left {
    disk: FaultDisk,
    dir: TempDir,
    device: Device,
}

impl Left {
    fn new() -> Self {
        let disk = FaultDisk::new();
        let world = World::start(on(&disk));
        let device = world.api.device();
        send(&world, &device, 0..SEALED);
        let world = World::start_in(world.stop(), on(&disk));
        send(&world, &device, SEALED..SENT);
        let killed = disk.kill();
        Self { disk: killed, dir: world.abandon(), device }
    }

    /// Every file that is stored, by name.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut dirs = vec![self.dir.path().to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in self.disk.list(&dir).unwrap() {
                let path = dir.join(&entry.name);
                if entry.is_dir { dirs.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }

    /// The file that holds this text, and where.
    fn find(&self, below: &str, text: &str) -> (PathBuf, usize) {
        let holds = |path: PathBuf| {
            let bytes = self.disk.contents(&path).unwrap();
            let at =
                bytes[..bytes.len().min(64 << 10)].windows(text.len()).position(|window| window == text.as_bytes())?;
            Some((path, at))
        };
        let inside = |path: &PathBuf| path.strip_prefix(self.dir.path()).unwrap().starts_with(below);
        self.files().into_iter().filter(inside).find_map(holds).unwrap()
    }

    /// A copy in which one bit is another.
    fn flipped(&self, path: &Path, at: usize, bit: u8) -> FaultDisk {
        let disk = self.disk.fork();
        let mut bytes = disk.contents(path).unwrap();
        bytes[at] ^= 1 << bit;
        disk.set_contents(path, bytes).unwrap();
        disk
    }
}

fn send(world: &World, device: &Device, seqs: std::ops::Range<u64>) {
    let mut client = Client::device(world.listen.mqtt, Version::V5, device);
    for seq in seqs.clone() {
        client.publish(&device.topic, 1, &message(seq).to_string());
    }
    for _ in 0..LETTERS / 2 {
        client.publish(&device.topic, 1, BAD);
    }
    world.api.expect_points(device, &(0..seqs.end).map(point).collect::<Vec<_>>());
}

/// What `/ready` warns of: codes, and sentences.
fn warnings(world: &World) -> Vec<(String, String)> {
    let ((status, body), _) = Api::new(world.listen.operations, "").send("GET", "/ready", None);
    assert_eq!(status, 200, "damage is no reason to be sent no traffic: {body}");
    let text = |warning: &Value, name: &str| warning[name].as_str().unwrap().to_owned();
    body["warnings"].as_array().unwrap().iter().map(|one| (text(one, "code"), text(one, "detail"))).collect()
}

#[test]
fn damage_in_raw_costs_what_it_held_and_is_reported_to_the_byte() {
    let left = Left::new();
    let (path, at) = left.find("journal/raw", r#""seq":18,"#);
    let disk = left.flipped(&path, at, 3);
    let device = left.device.clone();
    let world = World::start_in(left.dir, on(&disk));
    let expected: Vec<_> = (0..SENT).filter(|seq| *seq != 18).map(point).collect();
    world.api.expect_points(&device, &expected);
    assert_eq!(world.api.dead_letters(&device).len(), LETTERS);
    let found = warnings(&world);
    assert_eq!(found.len(), 1, "{found:?}");
    let (code, detail) = &found[0];
    assert_eq!(code, "journal-damaged");
    // Frames are aligned to 512 bytes, and this one is a single block.
    let (from, to) = (at / 512 * 512, at / 512 * 512 + 512);
    let place = format!("bytes {from} to {to} of {}", path.display());
    assert!(detail.contains("raw: offsets") && detail.contains(&place), "{detail}; expected {place}");
    let damaged = "tidewater_journal_damaged_offsets{topic=\"raw\"}";
    assert_eq!(metric(world.listen.operations, damaged), 1);

    // A re-send of what is missing is stored, one of what is not is a duplicate, and the rest goes on.
    let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
    for seq in [17, 18, 19, SENT] {
        client.publish(&device.topic, 1, &message(seq).to_string());
    }
    world.api.expect_points(&device, &(0..=SENT).map(point).collect::<Vec<_>>());

    // What was served without it is served so ever after.
    let world = World::start_in(world.stop(), on(&disk));
    world.api.expect_points(&device, &(0..=SENT).map(point).collect::<Vec<_>>());
}

#[test]
fn a_damaged_dead_letter_costs_itself() {
    let left = Left::new();
    let (path, at) = left.find("journal/dead-letter", BAD);
    let disk = left.flipped(&path, at, 0);
    let device = left.device.clone();
    let world = World::start_in(left.dir, on(&disk));
    assert_eq!(world.api.dead_letters(&device).len(), LETTERS - 1);
    assert_eq!(warnings(&world)[0].0, "journal-damaged");
    send(&world, &device, SENT..SENT + 1);
    until("later letters are known", || (world.api.dead_letters(&device).len() > LETTERS - 1).then_some(()));
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_the_rest_is_served() {
    let left = Left::new();
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    let mut roll = move |below: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % below
    };
    let mut flips = Vec::new();
    for path in left.files() {
        let bytes = left.disk.contents(&path).unwrap();
        // What stands in a segment stands at its beginning.
        let written: Vec<usize> = (0..bytes.len().min(64 << 10)).filter(|at| bytes[*at] != 0).collect();
        for _ in 0..if written.is_empty() { 0 } else { FLIPS } {
            flips.push((path.clone(), written[roll(written.len())], roll(8) as u8));
        }
    }
    assert!(flips.len() >= 12, "{flips:?}");
    let Left { mut dir, device, disk } = left;
    let left = |dir: TempDir| Left { disk: disk.clone(), dir, device: device.clone() };
    for (path, at, bit) in flips {
        println!("bit {bit} of byte {at} of {}", path.display());
        let here = left(dir);
        let damaged = here.flipped(&path, at, bit);
        let world = World::start_in(here.dir, on(&damaged));
        let points = world.api.points(&device, "x");
        let expected: Vec<_> = (0..SENT).map(point).collect();
        assert!(points.iter().all(|point| expected.contains(point)), "{points:?}");
        let letters = world.api.dead_letters(&device).len();
        let complete = points.len() == expected.len() && letters == LETTERS;
        assert!(complete || !warnings(&world).is_empty(), "{} points, {letters} letters, and not a word", points.len());
        let mut client = Client::device(world.listen.mqtt, Version::V5, &device);
        client.publish(&device.topic, 1, &message(SENT).to_string());
        until("it is stored", || world.api.points(&device, "x").contains(&point(SENT)).then_some(()));
        dir = world.abandon();
    }
}

/// `tidewater journal repair`: whether it succeeded, and what it said.
fn repair(data: &Path, options: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidewater"));
    command.args(["journal", "repair", "--data"]).arg(data).args(options);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), said)
}

#[test]
fn a_repair_waits_for_the_server_to_end_and_for_a_yes() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("data");
    let program = Program::start(dir.path(), "journal.segment_bytes = \"8MiB\"");
    let device = program.api.device();
    let mut client = Client::device(program.listen.mqtt, Version::V5, &device);
    for seq in 0..5 {
        client.publish(&device.topic, 1, &message(seq).to_string());
    }
    let (done, said) = repair(&data, &["--yes"]);
    assert!(!done && said.contains("in use by a tidewater server"), "{said}");
    program.kill();
    assert_eq!(repair(&data, &[]), (true, "There is nothing to repair.\n".to_owned()));

    let raw = data.join("journal/raw/0");
    let segment = raw.join(format!("{:016x}.segment", 0));
    let bytes = std::fs::read(&segment).unwrap();
    let wanted = br#""seq":2,"#;
    let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.write_all_at(b"!", at as u64).unwrap();
    let damaged = std::fs::read(&segment).unwrap();
    let (done, said) = repair(&data, &[]);
    assert!(done && said.contains("lost: offsets") && said.contains("Nothing was changed"), "{said}");
    assert_eq!(std::fs::read(&segment).unwrap(), damaged);
    let (done, said) = repair(&data, &["--yes"]);
    assert!(done && said.contains("This was done."), "{said}");
    let from = at / 512 * 512;
    let copy = std::fs::read(raw.join(format!("damaged-{:016x}-{from:016x}", 0))).unwrap();
    assert_eq!(copy, damaged[from..from + 512]);

    let program = Program::start(dir.path(), "");
    program.api.expect_points(&device, &[0, 1, 3, 4].map(point));
}
