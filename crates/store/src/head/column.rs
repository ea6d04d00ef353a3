//! Columns of a chunk: pages of atomic cells that appear as rows come.
//!
//! One writer fills cells with relaxed stores; a reader looks only at rows below a length that it loaded with acquire
//! ordering, so it sees what was stored before that length was published. A page never moves once it is there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use model::ColumnKey;
use model::limits::HEAD_PAGE_ROWS;

use super::pool::{Page, PagePool};

const PRESENT_WORDS: usize = HEAD_PAGE_ROWS / 64;

/// A column without absent cells.
pub struct Cells {
    pages: Box<[OnceLock<Page>]>,
    pool: Arc<PagePool>,
}

impl Cells {
    /// A column for up to `rows` rows, without a page yet.
    pub fn new(rows: usize, pool: &Arc<PagePool>) -> Self {
        let pages = (0..rows.div_ceil(HEAD_PAGE_ROWS)).map(|_| OnceLock::new()).collect();
        Self { pages, pool: pool.clone() }
    }

    /// Makes page `at` there; false when the pool has none left.
    pub fn ensure(&self, at: usize) -> bool {
        self.has_page(at) || self.pool.take().is_some_and(|page| self.pages[at].set(page).is_ok())
    }

    /// Page `at`, which was made there.
    pub fn page(&self, at: usize) -> &[AtomicU64] {
        self.pages[at].get().expect("a page is there before its rows are written or read")
    }

    /// The cell of a row that was written.
    pub fn get(&self, row: usize) -> u64 {
        self.page(row / HEAD_PAGE_ROWS)[row % HEAD_PAGE_ROWS].load(Ordering::Relaxed)
    }

    /// The first `len` cells, in `out`: a plain array is what is fast to pick from in another order.
    pub fn copy_to(&self, len: usize, out: &mut Vec<u64>) {
        out.clear();
        for start in (0..len).step_by(HEAD_PAGE_ROWS) {
            let count = HEAD_PAGE_ROWS.min(len - start);
            match self.pages[start / HEAD_PAGE_ROWS].get() {
                Some(page) => out.extend(page[..count].iter().map(|cell| cell.load(Ordering::Relaxed))),
                None => out.resize(start + count, 0),
            }
        }
    }

    /// Like [`Cells::get`], for a cell that is published by itself.
    pub fn get_acquire(&self, row: usize) -> u64 {
        self.page(row / HEAD_PAGE_ROWS)[row % HEAD_PAGE_ROWS].load(Ordering::Acquire)
    }

    /// Stores a cell and publishes all that was stored before it.
    pub fn set_release(&self, row: usize, value: u64) {
        self.page(row / HEAD_PAGE_ROWS)[row % HEAD_PAGE_ROWS].store(value, Ordering::Release);
    }

    fn has_page(&self, at: usize) -> bool {
        self.pages[at].get().is_some()
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        self.pool.give(self.pages.iter_mut().filter_map(OnceLock::take));
    }
}

/// A column whose cells may be absent. A page without a present cell takes no memory.
pub struct Column {
    pub key: ColumnKey,
    cells: Cells,
    present: Box<[OnceLock<Box<[AtomicU64]>>]>,
}

impl Column {
    pub fn new(key: ColumnKey, rows: usize, pool: &Arc<PagePool>) -> Self {
        let present = (0..rows.div_ceil(HEAD_PAGE_ROWS)).map(|_| OnceLock::new()).collect();
        Self { key, cells: Cells::new(rows, pool), present }
    }

    /// Makes page `at` there; false when the pool has none left.
    pub fn ensure(&self, at: usize) -> bool {
        if self.cells.has_page(at) {
            return true;
        }
        let words = || (0..PRESENT_WORDS).map(|_| AtomicU64::new(0)).collect();
        self.present[at].get_or_init(words);
        self.cells.ensure(at)
    }

    /// The first `len` cells and their presence, 64 rows a word; absent cells hold anything.
    pub fn copy_to(&self, len: usize, cells: &mut Vec<u64>, present: &mut Vec<u64>) {
        self.cells.copy_to(len, cells);
        present.clear();
        for page in &self.present[..len.div_ceil(HEAD_PAGE_ROWS)] {
            match page.get() {
                Some(words) => present.extend(words.iter().map(|word| word.load(Ordering::Relaxed))),
                None => present.resize(present.len() + PRESENT_WORDS, 0),
            }
        }
    }

    /// Whether any page is there.
    pub fn is_used(&self) -> bool {
        self.present.iter().any(|page| page.get().is_some())
    }

    /// A writer's hold on page `at`, which was made there.
    pub fn writer(&self, at: usize) -> ColumnPage<'_> {
        let present = self.present[at].get().expect("presence is made before the page");
        ColumnPage { cells: self.cells.page(at), present }
    }

    /// The cell of a published row, if it is present.
    pub fn get(&self, row: usize) -> Option<u64> {
        let (page, at) = (row / HEAD_PAGE_ROWS, row % HEAD_PAGE_ROWS);
        let present = self.present[page].get()?;
        let is_present = present[at / 64].load(Ordering::Relaxed) >> (at % 64) & 1 == 1;
        is_present.then(|| self.cells.get(row))
    }
}

/// One page of a column, for its writer.
pub struct ColumnPage<'a> {
    cells: &'a [AtomicU64],
    present: &'a [AtomicU64],
}

impl ColumnPage<'_> {
    /// Stores the cell at position `at` of the page. There is one writer, so no read-modify-write is needed.
    pub fn set(&self, at: usize, bits: u64) {
        self.cells[at].store(bits, Ordering::Relaxed);
        let word = &self.present[at / 64];
        word.store(word.load(Ordering::Relaxed) | 1 << (at % 64), Ordering::Relaxed);
    }
}
