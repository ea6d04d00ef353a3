//! From a draft to a row: the last checks that need the state, the window, and the columns.

use std::ops::Range;

use model::limits::METRICS_PER_CLASS_MAX;
use model::{PayloadKind, Reason, RowColumn, RowFlags, Rows, ValueKind};
use xxhash_rust::xxh3::xxh3_128;

use super::normalise::{Row, push_tags};
use super::{Payload, Pipeline};
use crate::draft::{Column, Draft, Drafts, Fault, Metric, Span, pointer};
use crate::form::Form;
use crate::json::push_string;
use crate::output::Output;
#[cfg(any(test, feature = "sabotage"))]
use crate::sabotage;
use crate::tables::{ClassTable, Names};
use crate::window::Identity;

/// Memory kept from message to message.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    stack: Vec<f64>,
    /// What the window has taken in while the row is not whole yet.
    pub(super) admitted: Option<Identity>,
}

impl Pipeline {
    /// Accepts or rejects one message of the drafts.
    pub(super) fn accept(&mut self, payload: &Payload<'_>, number: usize, output: &mut Output) {
        #[cfg(any(test, feature = "sabotage"))]
        let bytes = &payload.body()[self.work.drafts.messages[number].bytes.clone()];
        #[cfg(any(test, feature = "sabotage"))]
        sabotage::panic_if_marked(sabotage::ACCEPTING, bytes);
        let fault = self.work.drafts.messages[number].fault.take().map(|fault| *fault);
        let work = &mut self.work;
        let draft = &work.drafts.messages[number];
        let table = &mut self.tables.list[payload.group.table as usize];
        let form = payload.lane.and_then(|lane| table.lanes.get(lane as usize)?.form.as_ref());
        if let Some(fault) = fault.or_else(|| metric_limit(draft, &work.drafts, &table.names, form)) {
            let bytes = draft.bytes.clone();
            return self.reject(payload, number as u32, bytes, fault, output);
        }
        let identity = identify(draft, payload, &work.drafts, &table.names, &mut work.accept.bytes);
        if !self.windows.admit(payload.group.route.slot, &identity) {
            output.counts.messages += 1;
            output.counts.duplicates += 1;
            return;
        }
        work.accept.admitted = Some(identity);
        let rows = open(table, payload, &mut work.open_tables, output);
        let cohort = self.devices.cohorts.get_mut(payload.group.route.cohort);
        let is_event = payload.group.kind == PayloadKind::Events;
        let mut lane = payload.lane.and_then(|lane| table.lanes.get_mut(lane as usize));
        if is_event {
            push_event(rows, draft, &work.drafts);
        } else {
            push_metrics(rows, &work.drafts, draft.metrics.clone(), &mut table.names);
            let mut row = Row { rows, names: &mut table.names };
            if let Some(lane) = &mut lane {
                row.convert(lane);
                if let Some(form) = &lane.form {
                    row.add_defaults(form, &work.drafts.defaults[draft.defaults.clone()]);
                }
            }
            if !table.computed.is_empty() {
                row.compute(&mut table.computed, &mut work.accept.stack);
            }
        }
        let form = lane.and_then(|lane| lane.form.as_ref());
        push_tags(rows, &work.drafts, draft, form, cohort, self.batch);
        #[cfg(any(test, feature = "sabotage"))]
        sabotage::panic_if_marked(sabotage::WRITING, bytes);
        push_facts(rows, payload, draft, number as u32);
        work.accept.admitted = None;
        output.counts.messages += 1;
        output.counts.accepted += 1;
        output.counts.events += u64::from(is_event);
        self.tally(payload, None, output);
    }
}

/// Whether the message's new names would be too many for its class.
fn metric_limit(draft: &Draft, drafts: &Drafts, names: &Names, form: Option<&Form>) -> Option<Fault> {
    let fresh = drafts.metrics[draft.metrics.clone()].iter().filter_map(|metric| match metric.column {
        Column::Known(_) => None,
        Column::Fresh(at) => Some(drafts.text(drafts.fresh[at as usize].name)),
    });
    let mut room = METRICS_PER_CLASS_MAX.saturating_sub(names.len());
    for name in fresh.filter(|name| names.find(name).is_none()) {
        let Some(left) = room.checked_sub(1) else {
            let detail = format!("the class has {METRICS_PER_CLASS_MAX}");
            let path = form.map_or_else(|| pointer(&[b"metrics", name]), |form| form.pointer_of(name));
            return Some(Fault { reason: Reason::MetricLimit, path, detail });
        };
        room = left;
    }
    None
}

/// What the message is told by (RULES, "Duplicates"). Tags and boot count as values: two messages that differ in
/// anything but `buffered` are two.
fn identify(draft: &Draft, payload: &Payload<'_>, drafts: &Drafts, names: &Names, scratch: &mut Vec<u8>) -> Identity {
    match (draft.seq, draft.boot, draft.ts) {
        (Some(seq), Some(boot), _) => Identity::Boot { boot, seq },
        (Some(seq), None, Some(ts)) => Identity::Ts { ts, seq },
        (Some(_), None, None) => Identity::Payload(xxh3_128(&payload.body()[draft.bytes.clone()])),
        (None, _, Some(ts)) => Identity::Values(hash_values(ts, draft, drafts, names, scratch)),
        (None, _, None) => Identity::None,
    }
}

/// The hash of a message without seq. Metrics count in any order: each is hashed with its name's hash, and the sum of
/// these goes in. It is of what the device sent, so that a schema, or a change of one, does not make a message another
/// one: an integer is the same as a double and as a long. Kept in snapshots: a change needs a new snapshot format.
fn hash_values(ts: i64, draft: &Draft, drafts: &Drafts, names: &Names, scratch: &mut Vec<u8>) -> u128 {
    let mut sum = 0_u128;
    for metric in &drafts.metrics[draft.metrics.clone()] {
        let (name, kind) = match metric.column {
            Column::Known(column) => (names.hash(column), names.columns[column as usize].kind),
            Column::Fresh(at) => {
                let fresh = drafts.fresh[at as usize];
                (xxh3_128(drafts.text(fresh.name)), fresh.kind)
            }
        };
        scratch.clear();
        scratch.extend_from_slice(&name.to_le_bytes());
        match kind {
            ValueKind::Str => {
                scratch.push(kind as u8);
                scratch.extend_from_slice(drafts.text(Span::from_bits(metric.bits)));
            }
            _ => {
                let (kind, bits) = same_number(kind, metric.bits);
                scratch.push(kind as u8);
                scratch.extend_from_slice(&bits.to_le_bytes());
            }
        }
        sum = sum.wrapping_add(xxh3_128(scratch));
    }
    scratch.clear();
    scratch.extend_from_slice(&sum.to_le_bytes());
    scratch.extend_from_slice(&ts.to_le_bytes());
    if draft.ts_rest != 0 {
        scratch.extend_from_slice(&draft.ts_rest.to_le_bytes());
    }
    scratch.extend_from_slice(&draft.boot.map_or(u64::MAX, u64::from).to_le_bytes());
    push_string(drafts.text(draft.event_type), scratch);
    scratch.extend_from_slice(draft.event_data.map_or(b"", |data| drafts.text(data)));
    write_tags(drafts, draft.tags.clone(), scratch);
    xxh3_128(scratch)
}

/// A double that is an integer as a long.
fn same_number(kind: ValueKind, bits: u64) -> (ValueKind, u64) {
    const EXACT: f64 = (1_u64 << 53) as f64;
    let number = f64::from_bits(bits);
    if kind == ValueKind::F64 && number.fract() == 0.0 && number.abs() <= EXACT && bits != (-0.0_f64).to_bits() {
        (ValueKind::I64, number as i64 as u64)
    } else {
        (kind, bits)
    }
}

/// The rows of this batch that the message goes to.
fn open<'o>(
    table: &mut ClassTable,
    payload: &Payload<'_>,
    open_tables: &mut Vec<u32>,
    output: &'o mut Output,
) -> &'o mut Rows {
    let (open, layout) = match payload.group.kind {
        PayloadKind::Events => (&mut table.open_events, &table.events),
        _ => (&mut table.open_readings, &table.readings),
    };
    let at = *open.get_or_insert_with(|| {
        open_tables.push(payload.group.table);
        output.open(layout, payload.group.received)
    });
    &mut output.rows[at]
}

/// Completes the row. Comes last: values of a row without facts are what a panic left ([`Output::repair`]).
fn push_facts(rows: &mut Rows, payload: &Payload<'_>, draft: &Draft, index: u32) {
    let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
    rows.offset.push(payload.offset);
    rows.index.push(index);
    rows.device.push(payload.group.device);
    rows.ts.push(draft.ts.unwrap_or(payload.group.received));
    rows.seq.push(draft.seq.unwrap_or_default());
    rows.boot.push(draft.boot.unwrap_or_default());
    rows.flags.push(RowFlags(
        flag(draft.seq.is_some(), RowFlags::HAS_SEQ)
            | flag(draft.boot.is_some(), RowFlags::HAS_BOOT)
            | flag(draft.buffered, RowFlags::BUFFERED)
            | flag(draft.ts.is_none(), RowFlags::TS_RECEIVED),
    ));
}

fn push_metrics(rows: &mut Rows, drafts: &Drafts, metrics: Range<usize>, names: &mut Names) {
    let row = rows.len() as u32;
    for &Metric { column, bits } in &drafts.metrics[metrics] {
        let column = match column {
            Column::Known(column) => column,
            Column::Fresh(at) => {
                let fresh = drafts.fresh[at as usize];
                names.make(drafts.str(fresh.name), fresh.kind)
            }
        } as usize;
        let bits = match names.columns[column].kind {
            ValueKind::Str => push_text(&mut rows.text, drafts.text(Span::from_bits(bits))),
            _ => bits,
        };
        if column >= rows.columns.len() {
            rows.columns.resize_with(column + 1, RowColumn::default);
        }
        rows.columns[column].rows.push(row);
        rows.columns[column].bits.push(bits);
    }
}

fn push_event(rows: &mut Rows, draft: &Draft, drafts: &Drafts) {
    let row = rows.len() as u32;
    let values = [Some(draft.event_type), draft.event_data];
    rows.columns.resize_with(values.len(), RowColumn::default);
    for (column, span) in rows.columns.iter_mut().zip(values) {
        if let Some(span) = span {
            column.rows.push(row);
            column.bits.push(push_text(&mut rows.text, drafts.text(span)));
        }
    }
}

/// The tags of a message, or nothing if there are none, and behind them the names of those that it says it has not.
fn write_tags(drafts: &Drafts, tags: Range<usize>, out: &mut Vec<u8>) {
    let tags = &drafts.tags[tags];
    push_members(tags.iter().filter_map(|tag| Some((drafts.text(tag.name), drafts.text(tag.value?)))), out);
    for tag in tags.iter().filter(|tag| tag.value.is_none()) {
        push_string(drafts.text(tag.name), out);
    }
}

/// A JSON object of strings, or nothing if there are none.
pub fn push_members<'t>(tags: impl Iterator<Item = (&'t [u8], &'t [u8])>, out: &mut Vec<u8>) {
    let mut before = b'{';
    for (name, value) in tags {
        out.push(before);
        push_string(name, out);
        out.push(b':');
        push_string(value, out);
        before = b',';
    }
    if before == b',' {
        out.push(b'}');
    }
}

pub fn push_text(text: &mut Vec<u8>, value: &[u8]) -> u64 {
    let start = text.len() as u32;
    text.extend_from_slice(value);
    Span { start, len: value.len() as u32 }.to_bits()
}
