//! Rows of several blocks as one. Each is in order, and mostly one ends before the next begins: a device's rows are then
//! copied in stretches, column by column.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use model::{ColumnKey, DeviceId, ValueKind};

use super::spare::Spare;
use super::{DeviceRows, Optional, Present, SortedRows};

/// See [`SortedRows::merge`].
pub fn merge(parts: &[SortedRows], is_erased: impl Fn(DeviceId) -> bool, spare: &mut Spare) -> Option<SortedRows> {
    let Sequence { devices, stretches } = Sequence::new(parts, is_erased);
    let rows = devices.last()?.rows.end;
    let (texts, numbers) = unite_texts(parts);
    let mut ts = spare.times(rows);
    stretches.iter().for_each(|stretch| ts.extend_from_slice(stretch.of(&parts[stretch.part].ts)));
    let mut buffered = spare.flags(rows);
    stretches.iter().for_each(|stretch| buffered.extend_from_slice(stretch.of(&parts[stretch.part].buffered)));
    let mut merge = Merge { parts, numbers, stretches, rows, spare };
    Some(SortedRows {
        devices,
        ts,
        boot: merge.column(false, |part| Some(&part.boot)),
        seq: merge.column(false, |part| Some(&part.seq)),
        received: merge.column(false, |part| Some(&part.received)),
        buffered,
        tags: merge.column(true, |part| Some(&part.tags)),
        columns: merge.columns(),
        texts,
    })
}

/// Rows that stand side by side in a part and in what comes of it.
struct Stretch {
    part: usize,
    rows: Range<usize>,
}

impl Stretch {
    fn of<'a, T>(&self, column: &'a [T]) -> &'a [T] {
        &column[self.rows.clone()]
    }
}

/// All rows in order.
#[derive(Default)]
struct Sequence {
    devices: Vec<DeviceRows>,
    stretches: Vec<Stretch>,
}

impl Sequence {
    fn new(parts: &[SortedRows], is_erased: impl Fn(DeviceId) -> bool) -> Self {
        let mut sequence = Self::default();
        // By part: the next device.
        let mut next = vec![0; parts.len()];
        let mut of_device = Vec::with_capacity(parts.len());
        loop {
            let heads = parts.iter().zip(&next).filter_map(|(part, next)| part.devices.get(*next));
            let Some(device) = heads.map(|span| span.device).min() else { return sequence };
            of_device.clear();
            for (part, (rows, next)) in parts.iter().zip(&mut next).enumerate() {
                if let Some(span) = rows.devices.get(*next).filter(|span| span.device == device) {
                    of_device.push(Stretch { part, rows: span.rows.clone() });
                    *next += 1;
                }
            }
            if !is_erased(device) {
                sequence.add(device, parts, &mut of_device);
            }
        }
    }

    /// Adds a device, whose rows are given by part.
    fn add(&mut self, device: DeviceId, parts: &[SortedRows], of_device: &mut Vec<Stretch>) {
        let start = self.devices.last().map_or(0, |span| span.rows.end);
        let rows: usize = of_device.iter().map(|stretch| stretch.rows.len()).sum();
        self.devices.push(DeviceRows { device, rows: start..start + rows });
        let (first, last) = (
            |stretch: &Stretch| parts[stretch.part].ts[stretch.rows.start],
            |stretch: &Stretch| parts[stretch.part].ts[stretch.rows.end - 1],
        );
        if of_device.is_sorted_by(|before, after| last(before) < first(after)) {
            self.stretches.append(of_device);
        } else {
            self.interleave(parts, of_device);
        }
    }

    /// Adds a device whose parts overlap in time; of equal rows, that of the earlier part comes first.
    fn interleave(&mut self, parts: &[SortedRows], of_device: &mut Vec<Stretch>) {
        let key = |part: usize, row: usize| (parts[part].key(row), part);
        let first = |stretch: &Stretch| key(stretch.part, stretch.rows.start);
        while let Some(least) = (0..of_device.len()).min_by_key(|at| first(&of_device[*at])) {
            let Stretch { part, rows } = of_device.remove(least);
            let bound = of_device.iter().map(first).min();
            let is_before = |row: &usize| bound.is_none_or(|bound| key(part, *row) < bound);
            let end = rows.start + rows.clone().take_while(is_before).count();
            self.stretches.push(Stretch { part, rows: rows.start..end });
            if end < rows.end {
                of_device.push(Stretch { part, rows: end..rows.end });
            }
        }
    }
}

struct Merge<'a> {
    parts: &'a [SortedRows],
    /// For each part the new number of each of its texts.
    numbers: Vec<Vec<u64>>,
    stretches: Vec<Stretch>,
    rows: usize,
    spare: &'a mut Spare,
}

impl Merge<'_> {
    fn column(&mut self, is_text: bool, column: impl Fn(&SortedRows) -> Option<&Optional>) -> Optional {
        let found: Vec<Option<&Optional>> = self.parts.iter().map(&column).collect();
        let count: usize = found.iter().flatten().map(|cells| cells.values.len()).sum();
        if count == 0 {
            return Optional::none();
        }
        let mut values = self.spare.words(self.rows.min(count));
        let is_whole = |cells: &Option<&Optional>| cells.is_some_and(|cells| cells.present == Present::All);
        let present = if found.iter().all(is_whole) {
            for stretch in &self.stretches {
                let cells = found[stretch.part].expect("all parts have the column");
                self.add_values(&mut values, is_text, stretch.part, stretch.of(&cells.values));
            }
            Present::All
        } else {
            self.gather_present(&found, is_text, &mut values)
        };
        Optional { present, values }
    }

    /// The present cells of a column that some parts or rows lack.
    fn gather_present(&mut self, found: &[Option<&Optional>], is_text: bool, values: &mut Vec<u64>) -> Present {
        let mut places = self.spare.numbers(self.rows);
        // By part: the next cell. A part's stretches come in its own order.
        let mut next = vec![0; found.len()];
        let mut base = 0;
        for Stretch { part, rows } in &self.stretches {
            match found[*part] {
                None => {}
                Some(Optional { present: Present::All, values: cells }) => {
                    places.extend((base..base + rows.len()).map(|row| row as u32));
                    self.add_values(values, is_text, *part, &cells[rows.clone()]);
                }
                Some(Optional { present: Present::Rows(present), values: cells }) => {
                    let from = |at: usize, row: usize| {
                        at + present[at..].iter().take_while(|other| (**other as usize) < row).count()
                    };
                    let start = from(next[*part], rows.start);
                    let end = from(start, rows.end);
                    next[*part] = end;
                    places.extend(present[start..end].iter().map(|row| (base + *row as usize - rows.start) as u32));
                    self.add_values(values, is_text, *part, &cells[start..end]);
                }
            }
            base += rows.len();
        }
        if places.len() < self.rows {
            return Present::Rows(places);
        }
        self.spare.give_numbers(places);
        Present::All
    }

    fn add_values(&self, values: &mut Vec<u64>, is_text: bool, part: usize, cells: &[u64]) {
        if is_text {
            values.extend(cells.iter().map(|number| self.numbers[part][*number as usize]));
        } else {
            values.extend_from_slice(cells);
        }
    }

    fn columns(&mut self) -> Vec<(ColumnKey, Optional)> {
        let mut keys: Vec<&ColumnKey> = Vec::new();
        for (key, _) in self.parts.iter().flat_map(|part| &part.columns) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let mut column = |key: &ColumnKey| {
            self.column(key.kind == ValueKind::Str, |part| {
                part.columns.iter().find(|(other, _)| other == key).map(|(_, cells)| cells)
            })
        };
        keys.into_iter().map(|key| (key.clone(), column(key))).collect()
    }
}

fn unite_texts(parts: &[SortedRows]) -> (Vec<Arc<str>>, Vec<Vec<u64>>) {
    let mut texts = Vec::new();
    let mut known: HashMap<Arc<str>, u64> = HashMap::new();
    let mut number = |text: &Arc<str>| {
        *known.entry(text.clone()).or_insert_with(|| {
            texts.push(text.clone());
            texts.len() as u64 - 1
        })
    };
    let numbers = parts.iter().map(|part| part.texts.iter().map(&mut number).collect()).collect();
    (texts, numbers)
}
