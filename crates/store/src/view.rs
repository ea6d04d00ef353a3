//! What readers see: for each table the chunks and blocks that hold its rows.
//!
//! A view is replaced as a whole, so that no reader sees a row twice or misses one while a chunk becomes a block or
//! blocks are merged.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};

use model::{Millis, Table, TableKind, TenantId};

use crate::block::Block;
use crate::config::Retention;
use crate::head::Chunk;
use crate::key::millis;

/// The rows of one table. Chunks and blocks stand in the order of their sequences.
#[derive(Clone, Default)]
pub struct View {
    pub chunks: Vec<Arc<Chunk>>,
    pub blocks: Vec<Arc<Block>>,
}

impl View {
    /// Adds blocks in their place.
    pub fn add(&mut self, blocks: impl IntoIterator<Item = Arc<Block>>) {
        self.blocks.extend(blocks);
        self.blocks.sort_by_key(|block| (block.entry.sequences, block.entry.late, block.entry.id));
    }
}

/// A table and its present view.
pub struct TableState {
    pub table: Table,
    view: RwLock<Arc<View>>,
    /// Milliseconds; `i64::MAX` is for ever.
    age_max: AtomicI64,
}

impl TableState {
    fn new(table: Table) -> Self {
        Self { table, view: RwLock::default(), age_max: AtomicI64::new(i64::MAX) }
    }

    /// What is there now.
    pub fn view(&self) -> Arc<View> {
        self.view.read().expect("no holder of this lock panics").clone()
    }

    /// Changes the view; readers see the old one or the new one.
    pub fn change(&self, change: impl FnOnce(&mut View)) {
        let mut view = self.view.write().expect("no holder of this lock panics");
        let mut next = View::clone(&view);
        change(&mut next);
        *view = Arc::new(next);
    }

    pub fn set_retention(&self, retention: Retention) {
        let age_max = retention.age_max().map_or(i64::MAX, millis);
        self.age_max.store(age_max, Ordering::Relaxed);
    }

    /// Rows whose age counts from before this time are past retention at `now`.
    pub fn kept_from(&self, now: Millis) -> Millis {
        match self.age_max.load(Ordering::Relaxed) {
            i64::MAX => Millis::MIN,
            age => now.saturating_sub(age),
        }
    }

    /// The age past which rows go, if there is one.
    pub fn age_max_ms(&self) -> Option<i64> {
        Some(self.age_max.load(Ordering::Relaxed)).filter(|age| *age != i64::MAX)
    }
}

/// All tables.
#[derive(Default)]
pub struct Tables(RwLock<BTreeMap<Table, Arc<TableState>>>);

impl Tables {
    pub fn get(&self, table: &Table) -> Option<Arc<TableState>> {
        self.0.read().expect("no holder of this lock panics").get(table).cloned()
    }

    pub fn get_or_new(&self, table: &Table) -> Arc<TableState> {
        if let Some(state) = self.get(table) {
            return state;
        }
        let mut tables = self.0.write().expect("no holder of this lock panics");
        tables.entry(table.clone()).or_insert_with(|| Arc::new(TableState::new(table.clone()))).clone()
    }

    pub fn all(&self) -> Vec<Arc<TableState>> {
        self.0.read().expect("no holder of this lock panics").values().cloned().collect()
    }

    /// A tenant's tables of one kind, in the order of class names.
    pub fn of_tenant(&self, tenant: TenantId, kind: TableKind) -> Vec<Arc<TableState>> {
        let first = Table { tenant, class: "".into(), kind: TableKind::Readings };
        let tables = self.0.read().expect("no holder of this lock panics");
        let of_tenant = tables.range((Bound::Included(first), Bound::Unbounded));
        let of_tenant = of_tenant.take_while(|(table, _)| table.tenant == tenant);
        of_tenant.filter(|(table, _)| table.kind == kind).map(|(_, state)| state.clone()).collect()
    }
}
