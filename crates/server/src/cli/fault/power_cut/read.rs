//! Everything that a line keeps, in the simulation's terms.

use anyhow::{Context, Result, bail};
use journal::Log;
use model::dead_letter::Entry;
use model::{BatchView, Control, DeviceId, Source};
use sim::power_cut::fleet::{self, CLASSES, DEVICES, METRICS};
use sim::power_cut::{Held, Kept, Letter, RawBatch, Row};
use store::{Budget, EventQuery, PointQuery, Scope, Store, Value};

use crate::line::PARTITION;
use crate::line::stepped::SteppedLine;

/// Bytes of `raw` read at a time: less than a segment.
const READ_BYTES: usize = 6 << 10;
/// More than a round has rows.
const ROWS_MAX: usize = 100_000;

pub fn read(line: &SteppedLine) -> Result<Kept> {
    let (log, store) = (line.raw().log(), line.store());
    let sealed_to = store.sealed_to(PARTITION);
    let letters = letters(&line.letters()?)?;
    let held = line
        .held()
        .0
        .into_iter()
        .flat_map(|(session, ids)| ids.into_iter().map(move |(id, hash)| -> Held { (session.0, id, hash) }));
    Ok(Kept {
        oldest: log.oldest(),
        raw: raw(log)?,
        visible_to: store.visible_to(PARTITION).max(sealed_to),
        sealed_to,
        rows: rows(store)?,
        letters_trimmed: line.letters_trimmed(),
        letters,
        held: held.collect(),
    })
}

fn raw(log: &Log) -> Result<Vec<RawBatch>> {
    let (mut batches, mut from) = (Vec::new(), log.oldest());
    loop {
        let frames = log.read(from, READ_BYTES)?;
        let Some(last) = frames.last() else { return Ok(batches) };
        from = last.end();
        for frame in &frames {
            let view = BatchView::parse(frame.batch.body())?;
            let (mut payloads, mut controls) = (Vec::new(), Vec::new());
            for group in view.groups() {
                payloads.extend(group?.payloads().map(<[u8]>::to_vec));
            }
            for control in view.controls() {
                let control = control?;
                if !matches!(control, Control::BindDevices { .. } | Control::BindTopic { .. }) {
                    controls.push(control);
                }
            }
            batches.push(RawBatch { offsets: frame.base..frame.end(), received: view.received, payloads, controls });
        }
    }
}

fn rows(store: &Store) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (tenant, class) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let table = (tenant, class);
        let (tenant, scope) = (fleet::tenants()[tenant], Scope::Class(CLASSES[class].to_owned()));
        for metric in METRICS {
            let query = PointQuery {
                tenant,
                scope: scope.clone(),
                metric: metric.to_owned(),
                kind: None,
                from: i64::MIN / 2,
                to: i64::MAX / 2,
                tag: None,
                limit: ROWS_MAX,
                cursor: None,
                budget: Budget::default(),
            };
            for point in store.points(&query)?.points {
                let (device, what, value) = (number_of(point.device)?, metric.to_owned(), text(&point.value));
                rows.push(Row { table, device, what, ts: point.ts, boot: point.boot, seq: point.seq, value });
            }
        }
        let query = EventQuery {
            tenant,
            scope,
            event_type: None,
            from: i64::MIN / 2,
            to: i64::MAX / 2,
            limit: ROWS_MAX,
            cursor: None,
            budget: Budget::default(),
        };
        for event in store.events(&query)?.events {
            let (device, what) = (number_of(event.device)?, "event".to_owned());
            let value = event.data.map_or_else(String::new, |data| data.to_string());
            rows.push(Row { table, device, what, ts: event.ts, boot: event.boot, seq: event.seq, value });
        }
    }
    if !store.damaged().is_empty() {
        bail!("damaged blocks: {:?}", store.damaged());
    }
    Ok(rows)
}

fn letters(entries: &[Entry]) -> Result<Vec<Letter>> {
    let letter = |entry: &Entry| {
        let letter = entry.letter().context("the outcome of a try that nobody made")?;
        let device = match &letter.source {
            Source::Device { device, .. } => number_of(*device)?,
            Source::Topic { .. } => bail!("a dead letter of a topic that nobody uses"),
        };
        Ok(Letter { offset: letter.address.offset, index: letter.address.index, device, reason: letter.reason })
    };
    entries.iter().map(letter).collect()
}

fn number_of(device: DeviceId) -> Result<usize> {
    let number = (0..DEVICES).find(|number| fleet::device_id(*number) == device);
    number.with_context(|| format!("{device} is nobody that sends"))
}

fn text(value: &Value) -> String {
    match value {
        Value::F64(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Str(value) => value.to_string(),
    }
}
