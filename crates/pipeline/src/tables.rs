//! The tables of a partition, one per tenant's class: which metric names and columns each has so far.
//!
//! A metric gets its column with the first accepted message that has it. Columns never move; their positions hold for
//! as long as the state lives, snapshots included.
//!
//! Stored as count u32, then per table: tenant 16 bytes | class text | names u32, then name texts | columns u32, then
//! per column name u32 and kind u8.

use std::collections::HashMap;
use std::sync::Arc;

use model::limits::METRICS_PER_CLASS_MAX;
use model::wire::{Reader, Short, Writer};
use model::{ClassRules, ColumnKey, Table, TableKind, TableLayout, TenantId, ValueKind};
use xxhash_rust::xxh3::xxh3_128;

use crate::lane::{Computed, Lane, LaneKey};
use crate::plan::Plan;

/// A column that a name does not have yet.
const NO_COLUMN: u32 = u32::MAX;
/// A metric whose name the class does not know yet.
pub const NO_NAME: u32 = u32::MAX;

/// Columns of an events table: `type`, then `data`.
pub const EVENT_COLUMNS: [&str; 2] = ["type", "data"];

/// All tables; a table's number is its position.
#[derive(Debug, Default)]
pub struct Tables {
    pub list: Vec<ClassTable>,
    by_class: HashMap<(TenantId, Arc<str>), u32>,
}

/// One tenant's class.
#[derive(Debug)]
pub struct ClassTable {
    pub tenant: TenantId,
    pub class: Arc<str>,
    pub rules: Arc<ClassRules>,
    pub names: Names,
    /// How messages are read, for each schema that was met; no state, made from the plan.
    pub lanes: Vec<Lane>,
    pub computed: Vec<Computed>,
    pub readings: Arc<TableLayout>,
    pub events: Arc<TableLayout>,
    /// Where the rows of this batch are in the output, once there are any.
    pub open_readings: Option<usize>,
    pub open_events: Option<usize>,
}

/// The metric names of a class and their columns.
#[derive(Debug, Default)]
pub struct Names {
    list: Vec<Name>,
    by_name: HashMap<Arc<[u8]>, u32>,
    pub columns: Vec<ColumnKey>,
    /// The name of each column.
    column_names: Vec<u32>,
    /// The names of the latest message in order: the next one most likely has the same.
    expected: Vec<u32>,
    /// Names met in the message being read.
    position: usize,
    /// Counts messages, so that a name knows whether it was met in this one.
    message: u64,
}

#[derive(Debug)]
struct Name {
    text: Arc<str>,
    hash: u128,
    /// Column per [`ValueKind`].
    columns: [u32; 4],
    met: u64,
}

impl Tables {
    /// The number of a tenant's class; a new one has no columns.
    pub fn open(&mut self, tenant: TenantId, class: &Arc<str>, plan: &Plan) -> u32 {
        *self.by_class.entry((tenant, class.clone())).or_insert_with(|| {
            self.list.push(ClassTable::new(tenant, class, plan));
            (self.list.len() - 1) as u32
        })
    }

    /// Makes a tenant's tables follow a plan that has changed.
    pub fn follow(&mut self, tenant: TenantId, plan: &Plan) {
        for table in self.list.iter_mut().filter(|table| table.tenant == tenant) {
            table.rules = plan.rules(tenant, &table.class).clone();
            table.lanes.clear();
            table.computed = Computed::compile(&table.rules);
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.list.len() as u32);
        for table in &self.list {
            out.extend_from_slice(table.tenant.as_bytes());
            out.text(&table.class);
            table.names.encode(out);
        }
    }

    pub fn decode(reader: &mut Reader<'_>, plan: &Plan) -> Result<Self, Short> {
        let mut tables = Self::default();
        for number in 0..reader.u32()? {
            let tenant = TenantId::from_bytes(reader.array()?);
            let class: Arc<str> = reader.text()?.into();
            if tables.open(tenant, &class, plan) != number {
                return Err(Short);
            }
            let table = &mut tables.list[number as usize];
            table.names = Names::decode(reader)?;
            table.refresh_layout();
        }
        Ok(tables)
    }
}

impl ClassTable {
    fn new(tenant: TenantId, class: &Arc<str>, plan: &Plan) -> Self {
        let layout = |kind, columns| {
            let table = Table { tenant, class: class.clone(), kind };
            Arc::new(TableLayout { table, columns })
        };
        let rules = plan.rules(tenant, class).clone();
        let event_columns = EVENT_COLUMNS.map(|name| ColumnKey { name: name.into(), kind: ValueKind::Str });
        Self {
            tenant,
            class: class.clone(),
            computed: Computed::compile(&rules),
            rules,
            names: Names::default(),
            lanes: Vec::new(),
            readings: layout(TableKind::Readings, Vec::new()),
            events: layout(TableKind::Events, event_columns.to_vec()),
            open_readings: None,
            open_events: None,
        }
    }

    /// The number of the lane with this key, made if need be.
    pub fn lane(&mut self, key: LaneKey, plan: &Plan) -> u32 {
        if let Some(known) = self.lanes.iter().position(|lane| lane.key == key) {
            return known as u32;
        }
        self.lanes.push(Lane::new(key, self.tenant, &self.rules, plan));
        (self.lanes.len() - 1) as u32
    }

    /// Makes a new layout if columns were added.
    pub fn refresh_layout(&mut self) {
        if self.readings.columns.len() != self.names.columns.len() {
            let table = self.readings.table.clone();
            self.readings = Arc::new(TableLayout { table, columns: self.names.columns.clone() });
        }
    }
}

impl Names {
    /// Distinct names.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Begins another message.
    pub fn begin_message(&mut self) {
        self.message += 1;
        self.position = 0;
    }

    /// The number of the next name of the message, if it is known.
    pub fn next(&mut self, name: &[u8]) -> Option<u32> {
        let position = self.position;
        self.position += 1;
        if let Some(&number) = self.expected.get(position)
            && self.list[number as usize].text.as_bytes() == name
        {
            return Some(number);
        }
        let number = *self.by_name.get(name)?;
        if let Some(expected) = self.expected.get_mut(position) {
            *expected = number;
        } else if self.expected.len() == position {
            self.expected.push(number);
        }
        Some(number)
    }

    /// Marks a name as met in this message; `false` if it was already.
    pub fn meet(&mut self, number: u32) -> bool {
        let name = &mut self.list[number as usize];
        std::mem::replace(&mut name.met, self.message) != self.message
    }

    pub fn find(&self, name: &[u8]) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The column of a known name, if it has one of this kind.
    pub fn column(&self, number: u32, kind: ValueKind) -> Option<u32> {
        let column = self.list[number as usize].columns[kind as usize - 1];
        (column != NO_COLUMN).then_some(column)
    }

    /// The 128-bit hash of a column's name.
    pub fn hash(&self, column: u32) -> u128 {
        self.list[self.column_names[column as usize] as usize].hash
    }

    /// The columns of a known name, by kind, that it has.
    pub fn columns_of(&self, number: u32) -> impl Iterator<Item = u32> + '_ {
        self.list[number as usize].columns.iter().copied().filter(|column| *column != NO_COLUMN)
    }

    /// Whether another name can be added.
    pub fn has_room(&self) -> bool {
        self.list.len() < METRICS_PER_CLASS_MAX
    }

    /// The column of a name and kind, made if need be.
    pub fn make(&mut self, name: &str, kind: ValueKind) -> u32 {
        let number = self.find(name.as_bytes()).unwrap_or_else(|| self.add_name(name.into()));
        self.column(number, kind).unwrap_or_else(|| self.add_column(number, kind))
    }

    fn add_name(&mut self, text: Arc<str>) -> u32 {
        let number = self.list.len() as u32;
        self.by_name.insert(text.clone().into(), number);
        self.list.push(Name { hash: xxh3_128(text.as_bytes()), text, columns: [NO_COLUMN; 4], met: 0 });
        number
    }

    fn add_column(&mut self, number: u32, kind: ValueKind) -> u32 {
        let column = self.columns.len() as u32;
        let name = &mut self.list[number as usize];
        name.columns[kind as usize - 1] = column;
        self.columns.push(ColumnKey { name: name.text.clone(), kind });
        self.column_names.push(number);
        column
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.u32(self.list.len() as u32);
        self.list.iter().for_each(|name| out.text(&name.text));
        out.u32(self.columns.len() as u32);
        for (name, column) in self.column_names.iter().zip(&self.columns) {
            out.u32(*name);
            out.u8(column.kind as u8);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let mut names = Self::default();
        for _ in 0..reader.u32()? {
            let text = reader.text()?;
            if names.find(text.as_bytes()).is_some() {
                return Err(Short);
            }
            names.add_name(text.into());
        }
        for _ in 0..reader.u32()? {
            let number = reader.u32()?;
            let tag = reader.u8()?;
            let kinds = [ValueKind::F64, ValueKind::I64, ValueKind::Bool, ValueKind::Str];
            let kind = kinds.into_iter().find(|kind| *kind as u8 == tag).ok_or(Short)?;
            if number as usize >= names.list.len() || names.column(number, kind).is_some() {
                return Err(Short);
            }
            names.add_column(number, kind);
        }
        Ok(names)
    }
}
