//! What a message becomes beyond what was sent: units converted, defaults filled in, metrics computed, tags added.
//!
//! All of it happens behind the window: two messages are told apart by what their device sent, whatever the plan makes of
//! it.

use model::{RowColumn, Rows, ValueKind};

use super::accept::{push_members, push_text};
use crate::cohorts::Cohort;
use crate::draft::{Draft, Drafts, Span};
use crate::form::{Default, Form};
use crate::lane::{Computed, Lane, Named};
use crate::tables::Names;

/// The row that is being made, which is the next one of `rows`: its last values are in.
pub struct Row<'r> {
    pub rows: &'r mut Rows,
    pub names: &'r mut Names,
}

impl Row<'_> {
    fn number(&self) -> u32 {
        self.rows.len() as u32
    }

    /// Where the row has its value of a column.
    fn value_mut(&mut self, column: u32) -> Option<&mut u64> {
        let row = self.number();
        let column = self.rows.columns.get_mut(column as usize)?;
        if column.rows.last() == Some(&row) { column.bits.last_mut() } else { None }
    }

    fn has(&self, name: u32) -> bool {
        let row = self.number();
        let value = |column: u32| self.rows.columns.get(column as usize).and_then(|column| column.rows.last());
        self.names.columns_of(name).any(|column| value(column) == Some(&row))
    }

    /// Adds a metric that the message does not have; one that the class has no room for is left out.
    fn add(&mut self, metric: &mut Named, kind: ValueKind, bits: u64) {
        let number = metric.number(self.names);
        if number.map_or(!self.names.has_room(), |number| self.has(number)) {
            return;
        }
        let known = number.and_then(|number| self.names.column(number, kind));
        let column = known.unwrap_or_else(|| self.names.make(&metric.name, kind)) as usize;
        if column >= self.rows.columns.len() {
            self.rows.columns.resize_with(column + 1, RowColumn::default);
        }
        let row = self.number();
        self.rows.columns[column].rows.push(row);
        self.rows.columns[column].bits.push(bits);
    }

    /// The number that a metric is, if the row has one.
    fn number_of(&mut self, metric: &mut Named) -> Option<f64> {
        let name = metric.number(self.names)?;
        for kind in [ValueKind::F64, ValueKind::I64, ValueKind::Bool] {
            let column = self.names.column(name, kind);
            if let Some(bits) = column.and_then(|column| self.value_mut(column)) {
                return Some(match kind {
                    ValueKind::F64 => f64::from_bits(*bits),
                    ValueKind::I64 => *bits as i64 as f64,
                    _ => *bits as f64,
                });
            }
        }
        None
    }

    /// Puts what was sent into the units of the class.
    pub fn convert(&mut self, lane: &mut Lane) {
        for (metric, conversion) in &mut lane.conversions {
            let number = metric.number(self.names);
            let column = number.and_then(|number| self.names.column(number, ValueKind::F64));
            if let Some(bits) = column.and_then(|column| self.value_mut(column)) {
                *bits = conversion.apply(f64::from_bits(*bits)).to_bits();
            }
        }
    }

    /// Fills in what the message lacks.
    pub fn add_defaults(&mut self, form: &Form, slots: &[u32]) {
        for slot in slots {
            let slot = &form.slots[*slot as usize];
            let (kind, bits) = match &slot.default {
                Some(Default::Double(value)) => (ValueKind::F64, value.to_bits()),
                Some(Default::Long(value)) => (ValueKind::I64, *value as u64),
                Some(Default::Bool(value)) => (ValueKind::Bool, u64::from(*value)),
                Some(Default::Text(value)) => (ValueKind::Str, push_text(&mut self.rows.text, value.as_bytes())),
                None => continue,
            };
            self.add(&mut Named::new(&slot.name), kind, bits);
        }
    }

    /// Adds the metrics that are made of others, in their order.
    pub fn compute(&mut self, computed: &mut [Computed], stack: &mut Vec<f64>) {
        for Computed { metric, expression, inputs } in computed {
            if let Some(value) = expression.eval(stack, &mut |slot| self.number_of(&mut inputs[slot])) {
                self.add(metric, ValueKind::F64, value.to_bits());
            }
        }
    }
}

/// Adds the tags of a message, of its schema's defaults and of its device's profile, in the order of their names. Of two
/// with the same name the one named first counts; a default is for a message that does not have the tag, not for one in which it
/// is null.
pub fn push_tags(
    rows: &mut Rows,
    drafts: &Drafts,
    draft: &Draft,
    form: Option<&Form>,
    cohort: &mut Cohort,
    batch: u64,
) {
    let defaults = form.map_or(&[][..], |form| &form.default_tags);
    let own = &drafts.tags[draft.tags.clone()];
    let bits = if own.is_empty() && defaults.is_empty() {
        if cohort.tags.is_empty() {
            return;
        }
        // The same for all of the batch.
        let written = &mut cohort.written[rows.layout.table.kind as usize];
        match *written {
            Some((written, bits)) if written == batch => bits,
            _ => {
                let bits = push_text(&mut rows.text, &cohort.tags);
                *written = Some((batch, bits));
                bits
            }
        }
    } else {
        let is_null =
            |name: &str| own.iter().any(|tag| tag.value.is_none() && drafts.text(tag.name) == name.as_bytes());
        let defaults = defaults.iter().filter(|(name, _)| !is_null(name));
        let defaults = defaults.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let own = own.iter().filter_map(|tag| Some((drafts.text(tag.name), drafts.text(tag.value?))));
        let profile = cohort.profile.tags.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let mut all: Vec<_> = own.chain(defaults).chain(profile).collect();
        all.sort_by_key(|(name, _)| *name);
        all.dedup_by_key(|(name, _)| *name);
        if all.is_empty() {
            return;
        }
        let start = rows.text.len();
        push_members(all.into_iter(), &mut rows.text);
        Span { start: start as u32, len: (rows.text.len() - start) as u32 }.to_bits()
    };
    rows.tags.rows.push(rows.len() as u32);
    rows.tags.bits.push(bits);
}
