//! JSON messages without a schema, compared with serde_json.
//!
//! The first byte says what the class does with unknown fields; then payloads with 0xFF between them, each from a device of
//! its own, through one pipeline, so that a message may be read by the shape that an earlier one left.
//!
//! Holds: what serde_json does not read is not accepted, and what it reads is; each message is accepted with exactly the
//! values that serde_json gives, or rejected by a rule. The differences, each looked for here by its name:
//! - *depth*: more than [`PAYLOAD_DEPTH_MAX`] levels are refused, serde_json takes 127;
//! - *beyond a double*: `1e400` is well-formed here and its message rejected; serde_json refuses the text;
//! - *number-not-exact*: an integer that no double holds is rejected, serde_json rounds it;
//! - *duplicate-field*: a name that comes twice is rejected, serde_json's maps take the last.

use std::collections::BTreeMap;

use model::limits::PAYLOAD_DEPTH_MAX;
use model::{ClassRules, Format, PayloadKind, RowFlags, Rows, UnknownFields, ValueKind};
use pipeline::{Output, Plan};

use crate::input::Input;
use crate::payloads::{self, PAYLOADS_MAX, RECEIVED};

mod expected;
mod tree;

use expected::{Expected, Metric, Reading};
use tree::Tree;

pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let unknown_fields = [UnknownFields::Keep, UnknownFields::Drop, UnknownFields::Reject][usize::from(input.u8()) % 3];
    let mut pipeline = payloads::pipeline(Plan::default(), ClassRules { unknown_fields, ..ClassRules::default() });
    // A zero byte in front names a schema: another target.
    let parts: Vec<&[u8]> = input.parts().filter(|part| part.first() != Some(&0)).take(PAYLOADS_MAX).collect();
    let keyed: Vec<_> = parts
        .iter()
        .enumerate()
        .map(|(number, part)| (payloads::key(number, PayloadKind::Data, Format::Json), *part))
        .collect();
    let first = pipeline.position();
    payloads::feed(&mut pipeline, &[], &keyed, |output| {
        for (part, offset) in parts.iter().zip(first..) {
            compare(part, offset, unknown_fields, output);
        }
    });
}

/// One payload against what serde_json says of it.
fn compare(payload: &[u8], offset: u64, unknown_fields: UnknownFields, output: &Output) {
    let checked = pipeline::check(Format::Json, payload);
    let tree = match serde_json::from_slice::<Tree>(payload) {
        Ok(tree) => tree,
        // *Beyond a double*: nothing can be compared with.
        Err(error) if error.to_string().starts_with("number out of range") => return,
        Err(error) => {
            assert!(checked.is_err(), "HTTP takes {:?}: {error}", text(payload));
            assert_eq!(letters(output, offset), [0], "accepted {:?}: {error}", text(payload));
            return;
        }
    };
    let objects = match &tree {
        Tree::Array(items) => items.iter().all(|item| matches!(item, Tree::Object(_))),
        tree => matches!(tree, Tree::Object(_)),
    };
    let deep = tree.depth() > PAYLOAD_DEPTH_MAX;
    assert_eq!(checked.is_ok(), objects && !deep, "HTTP: {checked:?} for {:?}", text(payload));
    let messages = match tree {
        _ if deep => vec![Expected::Rejected],
        Tree::Array(items) => items.iter().map(|item| Expected::of(item, unknown_fields)).collect(),
        tree => vec![Expected::of(&tree, unknown_fields)],
    };
    let dead = letters(output, offset);
    for (index, expected) in messages.iter().enumerate() {
        let row = find(output, offset, index as u32);
        let rejected = dead.contains(&(index as u32));
        assert!(!rejected || row.is_none(), "both a row and a dead letter: {:?}", text(payload));
        match (expected, row) {
            (Expected::Accepted(reading), Some(row)) => {
                let rounded = reading.rounded;
                assert_eq!(Reading { rounded, ..row }, *reading, "in {:?}", text(payload));
            }
            (Expected::Accepted(reading), None) if rejected => {
                assert!(reading.rounded, "{index} is rejected of {:?}", text(payload));
            }
            (Expected::Accepted(reading), None) => {
                let twin = |earlier: &Expected| matches!(earlier, Expected::Accepted(other) if other.is_twin(reading));
                assert!(messages[..index].iter().any(twin), "{index} is gone of {:?}", text(payload));
            }
            (Expected::Rejected, row) => {
                assert!(row.is_none() && rejected, "{index} should be rejected of {:?}", text(payload));
            }
        }
    }
}

fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

/// The indexes of the dead letters of a payload.
fn letters(output: &Output, offset: u64) -> Vec<u32> {
    let letters = output.dead.iter().filter_map(|entry| entry.letter());
    letters.filter(|letter| letter.address.offset == offset).map(|letter| letter.address.index).collect()
}

/// The row of a message.
fn find(output: &Output, offset: u64, index: u32) -> Option<Reading> {
    output.rows.iter().find_map(|rows| {
        let row = (0..rows.len()).find(|row| rows.offset[*row] == offset && rows.index[*row] == index)?;
        Some(reading(rows, row))
    })
}

fn reading(rows: &Rows, row: usize) -> Reading {
    let flags = rows.flags[row];
    let at = |column: &model::RowColumn| column.rows.binary_search(&(row as u32)).ok().map(|at| column.bits[at]);
    let metrics = rows.layout.columns.iter().zip(&rows.columns).filter_map(|(key, column)| {
        let bits = at(column)?;
        let value = match key.kind {
            ValueKind::F64 => Metric::Number(subject(bits)),
            ValueKind::Bool => Metric::Bool(bits != 0),
            ValueKind::Str => Metric::Text(rows.text_of(bits).to_owned()),
            ValueKind::I64 => panic!("a long without a schema"),
        };
        Some((key.name.to_string(), value))
    });
    let tags: BTreeMap<String, String> =
        at(&rows.tags).map(|bits| serde_json::from_str(rows.text_of(bits)).expect("tags are JSON")).unwrap_or_default();
    assert!(rows.ts[row] == RECEIVED || !flags.has(RowFlags::TS_RECEIVED));
    Reading {
        ts: (!flags.has(RowFlags::TS_RECEIVED)).then_some(rows.ts[row]),
        seq: flags.has(RowFlags::HAS_SEQ).then_some(rows.seq[row]),
        boot: flags.has(RowFlags::HAS_BOOT).then_some(rows.boot[row]),
        buffered: flags.has(RowFlags::BUFFERED),
        metrics: metrics.collect(),
        tags,
        rounded: false,
    }
}

#[cfg(not(feature = "sabotage"))]
fn subject(bits: u64) -> u64 {
    bits
}

/// The planted wrong value: what has many digits is off in the last one.
#[cfg(feature = "sabotage")]
fn subject(bits: u64) -> u64 {
    if bits & 0xFFFF == 0 { bits } else { bits ^ 1 }
}
