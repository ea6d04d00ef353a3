//! A fleet whose devices each send once a second: the rows that benches and `examples/fill.rs` put into a store.

use std::path::Path;
use std::sync::Arc;

use disk::RealDisk;
use model::{
    Clock, ColumnKey, DeviceId, DeviceIndex, Partition, RowColumn, RowFlags, Rows, Source, Table, TableKind,
    TableLayout, TenantId, ValueKind,
};
use store::{Background, Store, StoreConfig, Writer};

/// Rows that are inserted at once.
pub const BATCH_ROWS: usize = 1000;
/// Prime, so that it reaches every device.
const STRIDE: usize = 999_983;
/// What every row has beside its values.
const TAGS: &str = r#"{"line":"A","site":"north"}"#;

/// What the devices measure.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// One decimal, a slow wave and some noise: what most sensors send.
    Regular,
    /// Doubles with all their digits.
    Noisy,
    /// A few states.
    Flags,
}

impl Signal {
    pub fn value(self, device: usize, at: i64, metric: usize) -> f64 {
        let phase = (at as f64 / 5000.0) + device as f64;
        let smooth = 20.0 + 5.0 * phase.sin() + metric as f64 * 30.0;
        match self {
            Self::Regular => {
                let noise = (hash(device as u64, at as u64, metric as u64) % 5) as f64 - 2.0;
                (smooth * 10.0 + noise).round() / 10.0
            }
            Self::Noisy => smooth + (hash(device as u64, at as u64, metric as u64) as f64 / u64::MAX as f64),
            Self::Flags => (hash(device as u64, at as u64 / 600, metric as u64) % 3) as f64,
        }
    }
}

fn hash(a: u64, b: u64, c: u64) -> u64 {
    let mut value = a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F) ^ c;
    value ^= value >> 31;
    value = value.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    value ^ value >> 32
}

/// Who sends, from when on.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub table: Table,
    pub devices: usize,
    /// The ts of the first row.
    pub start: i64,
    pub signal: Signal,
}

impl Fleet {
    pub fn new(tenant: TenantId, class: &str, devices: usize, start: i64, signal: Signal) -> Self {
        let table = Table { tenant, class: class.into(), kind: TableKind::Readings };
        Self { table, devices, start, signal }
    }

    pub fn device(number: usize) -> DeviceId {
        let bytes = (u128::from(hash(number as u64, 1, 1)) << 64 | u128::from(hash(number as u64, 2, 2))).to_be_bytes();
        DeviceId::from_bytes(bytes)
    }

    pub fn layout(&self) -> Arc<TableLayout> {
        let key = |name: &str| ColumnKey { name: name.into(), kind: ValueKind::F64 };
        Arc::new(TableLayout { table: self.table.clone(), columns: vec![key("temperature"), key("humidity")] })
    }

    /// [`BATCH_ROWS`] rows from `base` on, in the order in which they are sent. All stand at one offset, under their own
    /// numbers there.
    pub fn batch(&self, layout: &Arc<TableLayout>, base: usize) -> Rows {
        let mut rows = Rows::new(layout.clone(), self.start + (base / self.devices) as i64 * 1000);
        rows.columns = vec![RowColumn::default(); 2];
        rows.text.extend_from_slice(TAGS.as_bytes());
        for number in base..base + BATCH_ROWS {
            // No fleet sends in the order in which its devices were seen first.
            let (of_device, at) = (number * STRIDE % self.devices, (number / self.devices) as i64);
            rows.offset.push(0);
            rows.index.push(number as u32);
            rows.device.push(DeviceIndex(of_device as u32));
            rows.ts.push(self.start + at * 1000 + (of_device % 1000) as i64);
            rows.seq.push(at as u64);
            rows.boot.push(3);
            rows.flags.push(RowFlags(RowFlags::HAS_SEQ | RowFlags::HAS_BOOT));
            rows.tags.rows.push((number - base) as u32);
            rows.tags.bits.push(TAGS.len() as u64);
            for metric in 0..2 {
                rows.columns[metric].rows.push((number - base) as u32);
                rows.columns[metric].bits.push(self.signal.value(of_device, at, metric).to_bits());
            }
        }
        rows
    }

    /// A store in `dir` whose writer knows the fleet. It seals and merges when it is told to.
    pub fn open(&self, clock: &Clock, dir: &Path) -> (Store, Writer) {
        let mut config = StoreConfig::new(dir);
        config.background = Background::Manual;
        let (store, _) = Store::open(config, Arc::new(RealDisk), clock.clone()).expect("the store opens");
        let mut writer = store.writer(Partition(0));
        for number in 0..self.devices {
            let (tenant, class) = (self.table.tenant, self.table.class.clone());
            writer.bind(DeviceIndex(number as u32), &Source::Device { tenant, device: Self::device(number), class });
        }
        (store, writer)
    }
}
