//! Columns of a chunk: pages of atomic cells that appear as rows come.
//!
//! One writer fills cells with relaxed stores; a reader looks only at rows below a length that it loaded with acquire
//! ordering, so it sees what was stored before that length was published. A page never moves once it is there.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use model::ColumnKey;
use model::limits::HEAD_PAGE_ROWS;

use super::pool::{Page, PagePool};
use super::totals::PageTotals;

const PRESENT_WORDS: usize = HEAD_PAGE_ROWS / 64;
type CellPage = [AtomicU64; HEAD_PAGE_ROWS];
type PresentPage = [AtomicU64; PRESENT_WORDS];
/// What is read of a page that is not there.
static NO_CELLS: CellPage = [const { AtomicU64::new(0) }; HEAD_PAGE_ROWS];
static NONE_PRESENT: PresentPage = [const { AtomicU64::new(0) }; PRESENT_WORDS];

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
    #[inline]
    pub fn get(&self, row: usize) -> u64 {
        self.page(row / HEAD_PAGE_ROWS)[row % HEAD_PAGE_ROWS].load(Ordering::Relaxed)
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
    /// What readers know of full pages.
    totals: Box<[OnceLock<Box<PageTotals>>]>,
}

impl Column {
    pub fn new(key: ColumnKey, rows: usize, pool: &Arc<PagePool>) -> Self {
        let present = (0..rows.div_ceil(HEAD_PAGE_ROWS)).map(|_| OnceLock::new()).collect();
        let totals = (0..rows.div_ceil(HEAD_PAGE_ROWS)).map(|_| OnceLock::new()).collect();
        Self { key, cells: Cells::new(rows, pool), present, totals }
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

    /// The cells; absent ones hold anything.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Which of the first `len` cells are present.
    pub fn presence(&self, len: usize) -> Presence<'_> {
        fn words(page: &OnceLock<Box<[AtomicU64]>>) -> &PresentPage {
            page.get().map_or(&NONE_PRESENT, |words| (&**words).try_into().expect("presence has one size"))
        }
        Presence { pages: self.present[..len.div_ceil(HEAD_PAGE_ROWS)].iter().map(words).collect(), len }
    }

    /// Whether any page is there.
    pub fn is_used(&self) -> bool {
        self.present.iter().any(|page| page.get().is_some())
    }

    /// Whether page `at` is there.
    pub fn has_page(&self, at: usize) -> bool {
        self.present[at].get().is_some()
    }

    /// The cells of page `at`, which is there.
    pub fn page(&self, at: usize) -> &[AtomicU64] {
        self.cells.page(at)
    }

    /// The totals of page `at`, which is full.
    pub fn page_totals(&self, at: usize, add_up: impl FnOnce() -> PageTotals) -> &PageTotals {
        self.totals[at].get_or_init(|| Box::new(add_up()))
    }

    /// Whether each of these rows, which stand in one page, has a cell.
    pub fn is_full(&self, rows: Range<usize>) -> bool {
        let Some(present) = self.present[rows.start / HEAD_PAGE_ROWS].get() else { return false };
        let (start, end) = (rows.start % HEAD_PAGE_ROWS, rows.start % HEAD_PAGE_ROWS + rows.len());
        (start / 64..end.div_ceil(64)).all(|at| {
            let from = u64::MAX << start.saturating_sub(at * 64);
            let to = u64::MAX >> ((at + 1) * 64).saturating_sub(end);
            let wanted = from & to;
            present[at].load(Ordering::Relaxed) & wanted == wanted
        })
    }

    /// A writer's hold on page `at`, which was made there.
    pub fn writer(&self, at: usize) -> ColumnPage<'_> {
        let present = self.present[at].get().expect("presence is made before the page");
        ColumnPage { cells: self.cells.page(at), present }
    }

    /// The cell of a published row, if it is present.
    #[inline]
    pub fn get(&self, row: usize) -> Option<u64> {
        let (page, at) = (row / HEAD_PAGE_ROWS, row % HEAD_PAGE_ROWS);
        let present = self.present[page].get()?;
        let is_present = present[at / 64].load(Ordering::Relaxed) >> (at % 64) & 1 == 1;
        is_present.then(|| self.cells.get(row))
    }
}

/// The pages of a column side by side, for a reader that picks cells in any order.
pub struct CellPages<'a> {
    pages: Vec<&'a CellPage>,
    len: usize,
}

impl<'a> CellPages<'a> {
    /// The pages of the first `len` cells. Cells of pages that are not there are 0.
    pub fn new(cells: &'a Cells, len: usize) -> Self {
        let page = |page: &'a Page| -> &'a CellPage { (&**page).try_into().expect("all pages have one size") };
        let pages = cells.pages[..len.div_ceil(HEAD_PAGE_ROWS)].iter();
        Self { pages: pages.map(|of| of.get().map_or(&NO_CELLS, page)).collect(), len }
    }

    /// All cells in the order of rows.
    pub fn cells(&self) -> impl Iterator<Item = u64> + '_ {
        self.pages.iter().flat_map(|page| page.iter()).take(self.len).map(|cell| cell.load(Ordering::Relaxed))
    }

    /// Writes the cell of each row to the row's place; rows whose place is behind the end are left out.
    pub fn scatter<T>(&self, places: &[u32], value: impl Fn(u64) -> T, out: &mut [T]) {
        for (page, places) in self.pages.iter().zip(places.chunks(HEAD_PAGE_ROWS)) {
            for (cell, place) in page.iter().zip(places) {
                if let Some(out) = out.get_mut(*place as usize) {
                    *out = value(cell.load(Ordering::Relaxed));
                }
            }
        }
    }
}

/// Which cells of a column are present.
pub struct Presence<'a> {
    pages: Vec<&'a PresentPage>,
    len: usize,
}

impl Presence<'_> {
    /// Marks the place of each row whose cell is present, 64 places a word.
    pub fn scatter(&self, places: &[u32], out: &mut [u64]) {
        for (page, places) in self.pages.iter().zip(places.chunks(HEAD_PAGE_ROWS)) {
            for (word, places) in page.iter().zip(places.chunks(64)) {
                let word = word.load(Ordering::Relaxed);
                for (at, place) in places.iter().enumerate() {
                    if let Some(out) = out.get_mut(*place as usize / 64) {
                        *out |= (word >> at & 1) << (place % 64);
                    }
                }
            }
        }
    }

    /// How many cells are present.
    pub fn count(&self) -> usize {
        let words = self.pages.iter().flat_map(|page| page.iter()).take(self.len.div_ceil(64));
        let count: u32 = words.map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        count as usize
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
