//! A store on a disk that can crash, with a clock that is turned by hand, fed from a log that outlives it.

use std::collections::HashMap;
use std::sync::Arc;

use disk::FaultDisk;
use model::{
    Clock, ColumnKey, DeviceId, DeviceIndex, Disk, Offset, Partition, RowFlags, Rows, Source, Table, TableKind,
    TableLayout, TenantId,
};
use store::{Background, Budget, Inserted, PointQuery, Recovered, Scope, Store, StoreConfig, Value, Writer};

use crate::model_of_store::Model;

pub const NOW: i64 = 1_700_000_000_000;
pub const PARTITION: Partition = Partition(0);
pub const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(7));

pub fn device(number: usize) -> DeviceId {
    DeviceId::from_bytes([number as u8 + 1; 16])
}

/// One message as it was sent, or an event (metrics `type` and `data`).
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub device: usize,
    pub class: &'static str,
    pub kind: TableKind,
    pub ts: i64,
    pub boot: Option<u32>,
    pub seq: Option<u64>,
    pub buffered: bool,
    pub tags: Option<String>,
    pub metrics: Vec<(String, Value)>,
}

impl Message {
    pub fn new(device: usize, ts: i64, metrics: &[(&str, Value)]) -> Self {
        let metrics = metrics.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self {
            device,
            class: "pumps",
            kind: TableKind::Readings,
            ts,
            boot: None,
            seq: None,
            buffered: false,
            tags: None,
            metrics,
        }
    }

    pub fn number(device: usize, ts: i64, value: f64) -> Self {
        Self::new(device, ts, &[("temperature", Value::F64(value))])
    }

    pub fn seq(mut self, seq: u64) -> Self {
        self.seq = Some(seq);
        self
    }

    pub fn class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    pub fn tags(mut self, tags: &str) -> Self {
        self.tags = Some(tags.to_owned());
        self
    }

    pub fn event(device: usize, ts: i64, event_type: &str, data: &str) -> Self {
        let text = |text: &str| Value::Str(text.into());
        let mut message = Self::new(device, ts, &[("type", text(event_type)), ("data", text(data))]);
        message.kind = TableKind::Events;
        message
    }

    pub fn table(&self) -> Table {
        Table { tenant: TENANT, class: self.class.into(), kind: self.kind }
    }
}

/// What is in `raw`: messages that were received together. It survives every crash.
#[derive(Clone, Debug)]
pub struct Logged {
    pub received: i64,
    pub base: Offset,
    pub messages: Vec<Message>,
}

/// The store under test and its surroundings.
pub struct World {
    pub disk: FaultDisk,
    pub clock: Clock,
    pub chunk_rows: usize,
    pub store: Store,
    pub writer: Writer,
    pub log: Vec<Logged>,
    pub next: Offset,
    layouts: HashMap<Table, Arc<TableLayout>>,
    indices: HashMap<(usize, &'static str), DeviceIndex>,
}

pub fn config(chunk_rows: usize) -> StoreConfig {
    let mut config = StoreConfig::new("/data/store");
    config.chunk_rows = chunk_rows;
    config.background = Background::Manual;
    config
}

impl World {
    pub fn new(chunk_rows: usize) -> Self {
        let (disk, clock) = (FaultDisk::new(), Clock::manual(NOW));
        let (store, _) = Store::open(config(chunk_rows), Arc::new(disk.clone()), clock.clone()).unwrap();
        let writer = store.writer(PARTITION);
        Self {
            disk,
            clock,
            chunk_rows,
            store,
            writer,
            log: Vec::new(),
            next: 0,
            layouts: HashMap::new(),
            indices: HashMap::new(),
        }
    }

    /// Receives messages now, inserts them and publishes them.
    pub fn send(&mut self, messages: &[Message]) -> Inserted {
        let logged = Logged { received: self.clock.now_ms(), base: self.next, messages: messages.to_vec() };
        self.next += messages.len().max(1) as u64;
        self.log.push(logged.clone());
        self.insert(&logged)
    }

    /// Inserts a batch of the log.
    pub fn insert(&mut self, logged: &Logged) -> Inserted {
        let mut sum = Inserted::default();
        for rows in self.rows(logged) {
            let inserted = self.writer.insert(&rows).unwrap();
            sum.taken += inserted.taken;
            sum.covered += inserted.covered;
        }
        self.writer.publish(logged.base + logged.messages.len().max(1) as u64);
        sum
    }

    /// The batch as the pipeline makes it: one `Rows` per table.
    pub fn rows(&mut self, logged: &Logged) -> Vec<Rows> {
        let mut all: Vec<Rows> = Vec::new();
        for (message, offset) in logged.messages.iter().zip(logged.base..) {
            let table = message.table();
            let at = all.iter().position(|rows| rows.layout.table == table).unwrap_or_else(|| {
                let empty = || Arc::new(TableLayout { table: table.clone(), columns: Vec::new() });
                let layout = self.layouts.entry(table.clone()).or_insert_with(empty).clone();
                all.push(Rows::new(layout, logged.received));
                all.len() - 1
            });
            self.push(&mut all[at], message, offset);
        }
        all
    }

    fn push(&mut self, rows: &mut Rows, message: &Message, offset: Offset) {
        let row = rows.len() as u32;
        rows.offset.push(offset);
        rows.index.push(0);
        rows.device.push(self.index(message));
        rows.ts.push(message.ts);
        rows.seq.push(message.seq.unwrap_or(0));
        rows.boot.push(message.boot.unwrap_or(0));
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        rows.flags.push(RowFlags(
            flag(message.seq.is_some(), RowFlags::HAS_SEQ)
                | flag(message.boot.is_some(), RowFlags::HAS_BOOT)
                | flag(message.buffered, RowFlags::BUFFERED),
        ));
        if let Some(tags) = &message.tags {
            let bits = text(rows, tags);
            rows.tags.rows.push(row);
            rows.tags.bits.push(bits);
        }
        for (name, value) in &message.metrics {
            let key = ColumnKey { name: name.as_str().into(), kind: value.kind() };
            let column = self.column(rows, &key);
            let bits = match value {
                Value::F64(value) => value.to_bits(),
                Value::I64(value) => *value as u64,
                Value::Bool(value) => u64::from(*value),
                Value::Str(value) => text(rows, value),
            };
            rows.columns.resize_with(rows.columns.len().max(column + 1), Default::default);
            rows.columns[column].rows.push(row);
            rows.columns[column].bits.push(bits);
        }
    }

    fn column(&mut self, rows: &mut Rows, key: &ColumnKey) -> usize {
        if let Some(at) = rows.layout.columns.iter().position(|other| other == key) {
            return at;
        }
        let mut longer = TableLayout::clone(&rows.layout);
        longer.columns.push(key.clone());
        rows.layout = Arc::new(longer);
        self.layouts.insert(rows.layout.table.clone(), rows.layout.clone());
        rows.layout.columns.len() - 1
    }

    /// A device has an index for each class that it was in.
    fn index(&mut self, message: &Message) -> DeviceIndex {
        let next = DeviceIndex(self.indices.len() as u32);
        let index = *self.indices.entry((message.device, message.class)).or_insert(next);
        if index == next {
            self.writer.bind(index, &source(message.device, message.class));
        }
        index
    }

    /// Freezes everything and seals it.
    pub fn seal(&mut self) {
        self.writer.freeze(self.next);
        self.store.seal_waiting().unwrap();
    }

    /// The process ends and starts again on what `survivor` makes of the disk; then `raw` is derived again from
    /// `earlier` offsets before the place that the store asks for.
    pub fn restart(&mut self, survivor: FaultDisk, earlier: u64) -> Recovered {
        self.disk = survivor;
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let (store, recovered) = Store::open(config(self.chunk_rows), disk, self.clock.clone()).unwrap();
        self.writer = store.writer(PARTITION);
        self.store = store;
        // A restarted pipeline learns columns anew.
        self.layouts.clear();
        for ((number, class), index) in &self.indices {
            self.writer.bind(*index, &source(*number, class));
        }
        let from = self.store.sealed_to(PARTITION).saturating_sub(earlier);
        for logged in self.log.clone().iter().filter(|logged| logged.base >= from) {
            self.insert(logged);
        }
        recovered
    }

    /// What `temperature` reads as over everything: device, ts, value.
    pub fn temperatures(&self) -> Vec<(DeviceId, i64, Value)> {
        let points = self.store.points(&everything("temperature")).unwrap().points;
        points.into_iter().map(|point| (point.device, point.ts, point.value)).collect()
    }

    /// Asserts that the store answers what was sent, each message once.
    pub fn check(&self) {
        let query = everything("temperature");
        let expected: Vec<_> =
            Model::of(self).points(&query).into_iter().map(|(device, ts, value, ..)| (device, ts, value)).collect();
        assert_eq!(self.temperatures(), expected);
    }

    /// Names of the block files on the disk.
    pub fn block_files(&self) -> Vec<String> {
        let entries = self.disk.list("/data/store/blocks".as_ref()).unwrap();
        entries.into_iter().map(|entry| entry.name).collect()
    }
}

/// A question for every value of a metric of the class `pumps`.
pub fn everything(metric: &str) -> PointQuery {
    PointQuery {
        tenant: TENANT,
        scope: Scope::Class("pumps".to_owned()),
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

fn source(number: usize, class: &str) -> Source {
    Source::Device { tenant: TENANT, device: device(number), class: class.into() }
}

fn text(rows: &mut Rows, text: &str) -> u64 {
    let start = rows.text.len() as u64;
    rows.text.extend_from_slice(text.as_bytes());
    start << 32 | text.len() as u64
}
