//! A store of two blocks and their catalogs after a disk did something to its files: opened, queried, maintained.
//!
//! The first byte, bit 0: the catalog, the granules and the indexes get good checksums after the damage, so that what stands
//! behind a checksum is reached; then only that nothing panics holds.
//!
//! Holds: no panic; whatever is answered is what was stored; and what is missing is said: a damaged block or catalog, or an
//! error.

use std::sync::{Arc, LazyLock};

use disk::FaultDisk;
use model::{ClassRules, Clock, DeviceId, Format, Partition, PayloadKind};
use pipeline::Plan;
use store::{
    Aggregate, Background, BucketQuery, Budget, EventQuery, Point, PointQuery, Resolution, Scope, Store, StoreConfig,
};

use crate::damage::{Damaged, Image};
use crate::input::Input;
use crate::payloads::{self, RECEIVED};

const DIR: &str = "/store";
const METRICS: [&str; 4] = ["temp", "count", "on", "state"];

struct Sound {
    image: Image,
    /// Of each metric.
    points: Vec<Vec<Point>>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let disk = FaultDisk::new();
    let (store, _) = open(&disk).expect("a new store");
    let mut writer = store.writer(Partition(0));
    let mut pipeline = payloads::pipeline(Plan::default(), ClassRules::default());
    for (index, source) in pipeline.bindings() {
        writer.bind(index, &source);
    }
    for block in 0..2_i64 {
        let texts: Vec<String> = (0..96_i64).map(|number| message(block, number)).collect();
        let kind = |number: usize| if number % 12 == 11 { PayloadKind::Events } else { PayloadKind::Data };
        let fed: Vec<_> = texts
            .iter()
            .enumerate()
            .map(|(number, text)| (payloads::key(number % 3, kind(number), Format::Json), text.as_bytes()))
            .collect();
        payloads::feed(&mut pipeline, &[], &fed, |output| {
            for rows in &output.rows {
                writer.insert(rows).expect("there is room");
            }
        });
        writer.publish(pipeline.position());
        writer.freeze(pipeline.position());
        store.seal_waiting().expect("a disk without failures");
    }
    store.close().expect("a disk without failures");
    let points = METRICS.iter().map(|metric| store.points(&points_of(metric)).expect("a sound store").points).collect();
    Sound { image: Image::of(&disk, &["/store", "/store/blocks"]), points }
});

fn message(block: i64, number: i64) -> String {
    let ts = RECEIVED - 10_000_000 + block * 600_000 + number * 997;
    let seq = block * 1000 + number;
    if number % 12 == 11 {
        return format!(r#"{{"type":"door","ts":{ts},"seq":{seq},"data":{{"n":{number}}}}}"#);
    }
    let temp = 20.0 + number as f64 * 0.1;
    let (on, state) = (number % 5 == 0, if number % 7 == 0 { "busy" } else { "idle" });
    format!(
        r#"{{"ts":{ts},"seq":{seq},"boot":1,"tags":{{"line":"A"}},"metrics":{{"temp":{temp},"count":{number},"on":{on},"state":"{state}"}}}}"#
    )
}

pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let flags = input.u8();
    let sound = &*SOUND;
    let mut now = sound.image.damage(&mut input);
    if flags & 1 != 0 {
        forge(&sound.image, &mut now);
    }
    let disk = sound.image.with(&now);
    let Ok((store, recovered)) = open(&disk) else { return };
    let answers: Vec<_> = METRICS.iter().map(|metric| store.points(&points_of(metric))).collect();
    ask_more(&store);
    if flags & 1 != 0 {
        return;
    }
    let said = !recovered.catalogs_unreadable.is_empty() || !store.damaged().is_empty();
    for (answer, stored) in answers.into_iter().zip(&sound.points) {
        let found = answer.expect("damage is set aside, not an answer").points;
        assert!(found.iter().all(|point| stored.contains(point)), "a point that was never stored");
        // A catalog that is gone leaves no trace: the directory of a new store looks the same.
        let whole = now.iter().all(|file| *file != Damaged::Gone);
        assert!(found.len() == stored.len() || said || !whole, "{} of {} points", found.len(), stored.len());
    }
}

/// The other ways into a block: statistics, rollups, the latest rows, events, a merge.
fn ask_more(store: &Store) {
    let (tenant, scope) = (payloads::tenant(), Scope::Class("pump".to_owned()));
    for (metric, resolution) in [("temp", 60_000), ("temp", 3_600_000), ("state", 1_000)] {
        let query = BucketQuery {
            tenant,
            scope: scope.clone(),
            by_device: metric == "state",
            metric: metric.to_owned(),
            kind: None,
            from: RECEIVED - 20_000_000,
            to: RECEIVED,
            resolution: Resolution::Millis(resolution),
            aggregates: if metric == "state" {
                vec![Aggregate::Count, Aggregate::Last]
            } else {
                Aggregate::ALL.to_vec()
            },
            tag: None,
            limit: 1000,
            cursor: None,
            budget: Budget::default(),
        };
        drop(store.buckets(&query));
    }
    for number in 0..3 {
        drop(store.latest(tenant, DeviceId::from_bytes([number + 1; 16]), Budget::default()));
    }
    let query = EventQuery {
        tenant,
        scope,
        event_type: None,
        from: i64::MIN / 2,
        to: i64::MAX / 2,
        limit: 1000,
        cursor: None,
        budget: Budget::default(),
    };
    drop(store.events(&query));
    drop(store.maintain());
}

/// Gives the blocks that the newest catalog names, and it itself, checksums that fit their bytes. The layouts are in the
/// headers of `store`'s block.rs and catalog/format.rs: an entry of the catalog ends in the file's length, the place of
/// its tail and the tail's checksum, and the tail begins with the granules' checksums.
fn forge(image: &Image, now: &mut [Damaged]) {
    let sound = |file: usize| &image.files[file].1;
    for file in 0..now.len() {
        if image.files[file].0.extension().is_none_or(|extension| extension != "parquet") {
            continue;
        }
        let before = sound(file);
        let Some((catalog, place)) =
            (0..now.len()).find_map(|catalog| Some((catalog, entry_of(before, sound(catalog))?)))
        else {
            continue;
        };
        let tail_at =
            u64::from_le_bytes(sound(catalog)[place + 8..place + 16].try_into().expect("eight bytes")) as usize;
        let Damaged::Bytes(bytes) = &mut now[file] else { continue };
        if bytes.len() < tail_at + 4 {
            continue;
        }
        let (pages, tail) = bytes.split_at_mut(tail_at);
        for (granule, check) in pages.chunks(4096).zip(tail[4..].chunks_exact_mut(4)) {
            check.copy_from_slice(&crc32c::crc32c(granule).to_le_bytes());
        }
        let (len, crc) = (bytes.len() as u64, crc32c::crc32c(&bytes[tail_at..]));
        for catalog in now.iter_mut() {
            let Damaged::Bytes(catalog) = catalog else { continue };
            if let Some(entry) = catalog.get_mut(place..place + 20).filter(|_| catalog_names(before, place, image)) {
                entry[..8].copy_from_slice(&len.to_le_bytes());
                entry[16..].copy_from_slice(&crc.to_le_bytes());
            }
        }
    }
    for catalog in now.iter_mut() {
        let Damaged::Bytes(bytes) = catalog else { continue };
        if let Some((checked, crc)) =
            bytes.split_last_chunk_mut::<4>().filter(|(checked, _)| checked.starts_with(b"TWCAT"))
        {
            *crc = crc32c::crc32c(checked).to_le_bytes();
        }
    }
}

/// Where a catalog says how long this block is, where its tail begins and what its checksum is.
fn entry_of(block: &[u8], catalog: &[u8]) -> Option<usize> {
    if !catalog.starts_with(b"TWCATLOG") {
        return None;
    }
    catalog.windows(20).position(|entry| {
        let (len, rest) = entry.split_at(8);
        let (at, crc) = rest.split_at(8);
        let at = u64::from_le_bytes(at.try_into().expect("eight bytes")) as usize;
        len == (block.len() as u64).to_le_bytes()
            && block.get(at..).is_some_and(|tail| crc == crc32c::crc32c(tail).to_le_bytes())
    })
}

/// Whether the newest catalog has this block's entry there.
fn catalog_names(block: &[u8], place: usize, image: &Image) -> bool {
    image.files.iter().any(|(_, catalog)| entry_of(block, catalog) == Some(place))
}

fn open(disk: &FaultDisk) -> Result<(Store, store::Recovered), store::Error> {
    let config = StoreConfig {
        background: Background::Manual,
        chunk_rows: 128,
        head_bytes_max: 4 << 20,
        block_cache_bytes: 1 << 20,
        ..StoreConfig::new(DIR)
    };
    Store::open(config, Arc::new(disk.clone()), Clock::manual(RECEIVED))
}

fn points_of(metric: &str) -> PointQuery {
    PointQuery {
        tenant: payloads::tenant(),
        scope: Scope::Class("pump".to_owned()),
        metric: metric.to_owned(),
        kind: None,
        from: i64::MIN / 2,
        to: i64::MAX / 2,
        tag: None,
        limit: 100_000,
        cursor: None,
        budget: Budget::default(),
    }
}
