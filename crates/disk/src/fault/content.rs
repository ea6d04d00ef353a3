//! One file of the disk in memory: what is read back, what is on the medium, and the writes between the two.

use super::{Choice, Kept};

const SECTOR_BYTES: usize = 512;

/// A file's two contents.
#[derive(Clone, Default)]
pub(super) struct Content {
    data: Vec<u8>,
    medium: Vec<u8>,
    waiting: Vec<Change>,
    /// Syncs that failed so far; a handle that has seen fewer hears of it at its next sync.
    errors: u64,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Content {
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors
    }

    pub(super) fn read(&self, buf: &mut [u8], offset: usize) -> usize {
        let rest = self.data.get(offset..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        len
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let change = Change::Write { offset, bytes: bytes.to_vec() };
        change.apply(&mut self.data);
        self.waiting.push(change);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.data.resize(len, 0);
        self.waiting.push(Change::Length(len));
    }

    pub(super) fn sync(&mut self) {
        for change in self.waiting.drain(..) {
            change.apply(&mut self.medium);
        }
    }

    /// What waited is lost to the medium and still read back.
    pub(super) fn fail_sync(&mut self) {
        self.waiting.clear();
        self.errors += 1;
    }

    pub(super) fn replace(&mut self, bytes: Vec<u8>) {
        self.waiting.clear();
        self.medium.clone_from(&bytes);
        self.data = bytes;
    }

    pub(super) fn crash(&mut self, choice: &mut Choice) {
        let waiting = std::mem::take(&mut self.waiting);
        let kept = choice.kept(waiting.len());
        for (number, change) in waiting.into_iter().enumerate() {
            match kept {
                Kept::Nothing => {}
                Kept::Everything => change.apply(&mut self.medium),
                Kept::Prefix(prefix) if number < prefix => change.apply(&mut self.medium),
                Kept::Prefix(prefix) if number == prefix => change.apply_torn(&mut self.medium, choice),
                Kept::Prefix(_) => {}
                Kept::Any if choice.coin() => change.apply(&mut self.medium),
                Kept::Any if choice.coin() => change.apply_torn(&mut self.medium, choice),
                Kept::Any => {}
            }
        }
        self.data.clone_from(&self.medium);
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => write(to, *offset, bytes),
            Self::Length(len) => to.resize(*len, 0),
        }
    }

    /// A prefix that ends at any byte, or any subset of the sectors.
    fn apply_torn(&self, to: &mut Vec<u8>, choice: &mut Choice) {
        let Self::Write { offset, bytes } = self else { return };
        if choice.coin() {
            return write(to, *offset, &bytes[..choice.below(bytes.len() + 1)]);
        }
        for (number, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
            if choice.coin() {
                write(to, offset + number * SECTOR_BYTES, sector);
            }
        }
    }
}

fn write(to: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[offset..end].copy_from_slice(bytes);
}
