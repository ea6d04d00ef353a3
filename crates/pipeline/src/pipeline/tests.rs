use std::sync::Arc;

use model::dead_letter::Entry;
use model::{
    Batch, BatchPool, DeadLetter, DeviceId, GroupKey, RowFlags, Rows, SessionKey, TenantId, UnknownFields, ValueKind,
};

use super::*;

mod contracts;
mod encoded;
mod examples;
mod external;
mod mutations;
mod poison;
mod properties;
mod replays;
mod schemas;

pub const RECEIVED: i64 = 1_700_000_000_000;

pub fn device(number: u8, class: &str) -> Source {
    let (tenant, device) = (TenantId::from_bytes([1; 16]), DeviceId::from_bytes([number; 16]));
    Source::Device { tenant, device, class: class.into() }
}

pub fn bind(index: u32, source: Source) -> Control {
    Control::bind(DeviceIndex(index), source)
}

pub fn key(index: u32) -> GroupKey {
    GroupKey { device: DeviceIndex(index), kind: PayloadKind::Data, format: Format::Json, flags: GroupFlags::default() }
}

/// A batch of these controls and payloads.
pub fn batch(received: i64, controls: &[Control], payloads: &[(GroupKey, Vec<u8>)]) -> Batch {
    let mut builder = BatchPool::default().builder();
    controls.iter().for_each(|control| builder.control(control));
    for (key, payload) in payloads {
        builder.push(*key, payload);
    }
    builder.seal(received)
}

pub fn process(pipeline: &mut Pipeline, batch: &Batch, output: &mut Output) {
    let base = pipeline.position();
    pipeline.process(base, BatchView::parse(batch.body()).expect("a batch that we made"), output);
}

/// A pipeline under which index 0 is device 1 of class `pump`.
pub fn pipeline(unknown_fields: UnknownFields) -> Pipeline {
    let mut plan = Plan::default();
    let rules = model::ClassRules { unknown_fields, ..Default::default() };
    plan.set_rules(TenantId::from_bytes([1; 16]), class("pump"), rules);
    let mut pipeline = Pipeline::new(Partition(3), plan);
    process(&mut pipeline, &batch(RECEIVED, &[bind(0, device(1, "pump"))], &[]), &mut Output::default());
    pipeline
}

/// One line per row and per dead letter.
pub fn lines(output: &Output) -> Vec<String> {
    let rows = output.rows.iter().flat_map(|rows| (0..rows.len()).map(|row| row_line(rows, row)));
    let dead = letters(output).map(|letter| {
        let (address, code) = (letter.address, letter.reason.code());
        let payload = String::from_utf8_lossy(&letter.payload);
        let line =
            format!("{}-{} {code} {} | {} | {payload}", address.offset, address.index, letter.path, letter.detail);
        line.replace("  ", " ")
    });
    rows.chain(dead).collect()
}

/// The dead letters among the entries.
pub fn letters(output: &Output) -> impl Iterator<Item = &DeadLetter> {
    output.dead.iter().filter_map(Entry::letter)
}

fn row_line(rows: &Rows, row: usize) -> String {
    let mut line = format!("{}-{} d{} ts={}", rows.offset[row], rows.index[row], rows.device[row].0, rows.ts[row]);
    let flags = rows.flags[row];
    let mut add = |text: String| line.push_str(&text);
    if flags.has(RowFlags::TS_RECEIVED) {
        add("*".to_owned());
    }
    if flags.has(RowFlags::HAS_SEQ) {
        add(format!(" seq={}", rows.seq[row]));
    }
    if flags.has(RowFlags::HAS_BOOT) {
        add(format!(" boot={}", rows.boot[row]));
    }
    if flags.has(RowFlags::BUFFERED) {
        add(" buffered".to_owned());
    }
    for (key, column) in rows.layout.columns.iter().zip(&rows.columns) {
        let Ok(at) = column.rows.binary_search(&(row as u32)) else { continue };
        let bits = column.bits[at];
        add(match key.kind {
            ValueKind::F64 => format!(" {}={:?}", key.name, f64::from_bits(bits)),
            ValueKind::I64 => format!(" {}={}l", key.name, bits as i64),
            ValueKind::Bool => format!(" {}={}", key.name, bits != 0),
            ValueKind::Str => format!(" {}={:?}", key.name, rows.text_of(bits)),
        });
    }
    if let Ok(at) = rows.tags.rows.binary_search(&(row as u32)) {
        add(format!(" tags={}", rows.text_of(rows.tags.bits[at])));
    }
    line
}

pub fn class(name: &str) -> Arc<str> {
    name.into()
}

pub fn session() -> SessionKey {
    SessionKey(7)
}
