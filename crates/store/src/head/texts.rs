//! The strings of a chunk: a cell holds the number of its string.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use model::Rows;

use super::devices::IdHash;
use super::pool::PagePool;

/// Longer strings are hardly ever equal (the data of events): they are not looked up.
const SHARED_BYTES_MAX: usize = 64;
/// What a string costs besides its bytes: two counters, a pointer, a map entry.
const TEXT_OVERHEAD_BYTES: usize = 64;

/// The strings, by number. Only the writer adds.
pub struct Texts {
    texts: RwLock<Vec<Arc<str>>>,
    bytes: AtomicUsize,
    pool: Arc<PagePool>,
}

/// The writer's look-up of strings that are there already.
#[derive(Default)]
pub struct TextNumbers {
    numbers: HashMap<Arc<str>, u64, IdHash>,
    /// The string that was asked for last: states and tags often repeat.
    last: Option<(Arc<str>, u64)>,
}

impl Texts {
    pub fn new(pool: Arc<PagePool>) -> Self {
        Self { texts: RwLock::default(), bytes: AtomicUsize::new(0), pool }
    }

    /// The number of the string that a row's bits point at, which is added if need be.
    pub fn number(&self, numbers: &mut TextNumbers, rows: &Rows, bits: u64) -> u64 {
        let (start, len) = ((bits >> 32) as usize, bits as u32 as usize);
        // Bytes that are equal to a string's need not be checked again.
        if let Some((last, number)) = &numbers.last
            && rows.text.get(start..start + len) == Some(last.as_bytes())
        {
            return *number;
        }
        let text = rows.text_of(bits);
        match numbers.numbers.get_key_value(text) {
            Some((text, number)) => {
                numbers.last = Some((text.clone(), *number));
                *number
            }
            None => self.add(numbers, text),
        }
    }

    fn add(&self, numbers: &mut TextNumbers, text: &str) -> u64 {
        let shared = text.len() <= SHARED_BYTES_MAX;
        let text: Arc<str> = text.into();
        self.bytes.fetch_add(text.len() + TEXT_OVERHEAD_BYTES, Ordering::Relaxed);
        self.pool.reserve(text.len() + TEXT_OVERHEAD_BYTES);
        let mut texts = self.texts.write().expect("no holder of this lock panics");
        texts.push(text.clone());
        let number = texts.len() as u64 - 1;
        drop(texts);
        if shared {
            numbers.numbers.insert(text, number);
        }
        number
    }

    /// The string with this number, taken from a published cell.
    pub fn get(&self, number: u64) -> Arc<str> {
        self.texts.read().expect("no holder of this lock panics")[number as usize].clone()
    }

    /// Adds all strings, by number.
    pub fn copy_to(&self, out: &mut Vec<Arc<str>>) {
        out.extend_from_slice(&self.texts.read().expect("no holder of this lock panics"));
    }

    /// Memory that the strings take.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Texts {
    fn drop(&mut self) {
        self.pool.release(self.bytes());
    }
}
