//! Totals of a column's cells in one page of a chunk: worked out by the first reader that asks, once the page is full,
//! and kept, so that a query over everything adds a few hundred of them up instead of a million cells.

use model::limits::HEAD_PAGE_ROWS;
use model::{Millis, ValueKind};

use super::chunk::Visible;
use super::column::Column;
use crate::query::accumulate::Totals;

/// The cells of a page.
#[derive(Debug)]
pub struct PageTotals {
    /// The least and the greatest ts of rows with a cell.
    pub ts: (Millis, Millis),
    /// `None` without a cell.
    pub totals: Option<Totals>,
}

impl Visible {
    /// The totals of a page, all of whose rows have to be visible. The column holds numbers.
    pub fn page_totals<'a>(&self, column: &'a Column, page: usize) -> &'a PageTotals {
        debug_assert!((page + 1) * HEAD_PAGE_ROWS <= self.len, "a page that fills up has no totals yet");
        column.page_totals(page, || self.add_up(column, page))
    }

    fn add_up(&self, column: &Column, page: usize) -> PageTotals {
        let mut cells = Vec::with_capacity(HEAD_PAGE_ROWS);
        let mut ts = (Millis::MAX, Millis::MIN);
        self.visit_page(column, page, &mut |_, at, bits| {
            ts = (ts.0.min(at), ts.1.max(at));
            cells.push(bits);
        });
        debug_assert!(column.key.kind != ValueKind::Str, "strings have no totals");
        PageTotals { ts, totals: Totals::of(column.key.kind, &cells) }
    }

    /// Visits number, ts and cell of each visible row of a page that has a cell.
    pub fn visit_page(&self, column: &Column, page: usize, visit: &mut impl FnMut(usize, Millis, u64)) {
        let rows = page * HEAD_PAGE_ROWS..self.len.min((page + 1) * HEAD_PAGE_ROWS);
        if rows.is_empty() || !column.has_page(page) {
            return;
        }
        if column.is_full(rows.clone()) {
            let (ts, cells) = (self.chunk.ts.page(page), column.page(page));
            for ((row, ts), cell) in rows.zip(ts).zip(cells) {
                visit(row, ts.load(RELAXED) as Millis, cell.load(RELAXED));
            }
        } else {
            for row in rows {
                if let Some(bits) = column.get(row) {
                    visit(row, self.ts(row), bits);
                }
            }
        }
    }
}

/// A row that is visible was published with release ordering before.
const RELAXED: std::sync::atomic::Ordering = std::sync::atomic::Ordering::Relaxed;
