//! Bytes in whole, aligned blocks: what a disk takes straight from memory, without the page cache in between.

use std::fmt;
use std::ops::{Deref, DerefMut};

use zerocopy::{FromBytes, Immutable, IntoBytes};

#[cfg(test)]
mod tests;

/// The unit of direct access: the sector that every disk and file system in use can address, or a multiple of it.
pub const BLOCK_BYTES: usize = 512;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(512))]
struct Block([u8; BLOCK_BYTES]);

const ZEROS: Block = Block([0; BLOCK_BYTES]);

/// A byte buffer whose memory is aligned and grows by whole blocks. What it has once taken it keeps until it is dropped:
/// fresh memory is dear on the line.
#[derive(Default)]
pub struct Blocks {
    blocks: Vec<Block>,
    /// Bytes in use; what is behind them is left over from earlier use.
    len: usize,
}

impl Blocks {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        Self { blocks: vec![ZEROS; len.div_ceil(BLOCK_BYTES)], len }
    }

    /// No bytes, and memory for `capacity` of them.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { len: 0, ..Self::zeroed(capacity) }
    }

    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::default();
        copy.extend(bytes);
        copy
    }

    /// Forgets the content and keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// `len` more bytes, to be written by the caller: they hold anything.
    #[inline]
    pub fn grow(&mut self, len: usize) -> &mut [u8] {
        let (from, to) = (self.len, self.len + len);
        if to > self.capacity() {
            self.take_memory(to);
        }
        self.len = to;
        &mut self.blocks.as_mut_bytes()[from..to]
    }

    #[cold]
    fn take_memory(&mut self, bytes: usize) {
        // Doubling, or a buffer that grows message by message would be copied for each.
        let blocks = bytes.div_ceil(BLOCK_BYTES).max(2 * self.blocks.len());
        self.blocks.resize(blocks, ZEROS);
    }

    /// Appends `bytes`.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        self.grow(bytes.len()).copy_from_slice(bytes);
    }

    /// The content in whole blocks: zeros fill the last one.
    pub fn whole(&mut self) -> &[u8] {
        let end = self.len.next_multiple_of(BLOCK_BYTES);
        let bytes = &mut self.blocks.as_mut_bytes()[..end];
        bytes[self.len..].fill(0);
        bytes
    }
}

impl Deref for Blocks {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.blocks.as_bytes()[..self.len]
    }
}

impl DerefMut for Blocks {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.blocks.as_mut_bytes()[..self.len]
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blocks({} bytes)", self.len)
    }
}
