//! The `dead-letter` topic: its batches, and the way back to them.
//!
//! The body of a batch is its entries one behind the other ([`Entry::encode`]): letters, and what became of letters that
//! were tried again. An offset of the topic numbers entries. They are derived from `raw`, one batch from one batch, and
//! stand in its order: the greatest address in the last batch says how far a partition had come, and deriving again after a
//! crash writes none twice.

use journal::{Append, Frame, Log};
use model::dead_letter::Entry;
use model::wire::Short;
use model::{Address, Batch, DeadLetter, Offset};

#[cfg(test)]
mod tests;

/// Bytes read from the log at a time.
const READ_BYTES: usize = 1 << 20;

/// The end of one partition's `dead-letter` log.
pub struct DeadLetterWriter {
    log: Log,
    /// The greatest address in the log.
    last: Option<Address>,
}

/// Why dead letters could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error("a batch of dead letters at offset {0} cannot be read: {1}")]
    Layout(Offset, Short),
}

impl DeadLetterWriter {
    /// Finds where the log ends.
    pub fn open(log: Log) -> Result<Self, DeadLetterError> {
        let mut end = log.end();
        while end > log.oldest() {
            // A read that starts within a batch gives that batch.
            match log.read(end - 1, READ_BYTES) {
                Ok(frames) => {
                    let mut last = None;
                    for frame in frames {
                        last = last.max(entries(&frame)?.iter().map(|(_, entry)| entry.address()).max());
                    }
                    return Ok(Self { log, last });
                }
                // Letters that are damaged at the end are derived again, if `raw` still is.
                Err(journal::Error::Corrupt { from, .. }) => end = from.min(end - 1),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { log, last: None })
    }

    /// Appends the entries of one batch of `raw` that the log does not have yet.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), journal::Error> {
        let mut body = Vec::new();
        let mut count = 0;
        for entry in entries.iter().filter(|entry| self.last.is_none_or(|last| entry.address() > last)) {
            entry.encode(&mut body);
            count += 1;
        }
        let Some(newest) = entries.iter().map(Entry::address).max().filter(|_| count > 0) else {
            return Ok(());
        };
        match self.log.append(Batch::from_body(count, &body), None) {
            Append::Accepted { .. } => {}
            Append::Rolled(_) => unreachable!("a batch that was bound for no segment is not asked to be bound again"),
            Append::Refused { error, .. } => return Err(error),
        }
        self.last = Some(newest);
        Ok(())
    }

    /// Makes every entry appended so far durable.
    pub fn sync(&self) -> Result<(), journal::Error> {
        self.log.sync()
    }
}

/// Entries from offset `from` of the topic on, each with its offset there: about a megabyte at a time, none at the end.
pub fn read(log: &Log, from: Offset) -> Result<Vec<(Offset, Entry)>, DeadLetterError> {
    read_bytes(log, from, READ_BYTES)
}

fn read_bytes(log: &Log, from: Offset, bytes_max: usize) -> Result<Vec<(Offset, Entry)>, DeadLetterError> {
    let mut found = Vec::new();
    for frame in read_past_gaps(log, from, bytes_max)? {
        found.extend(entries(&frame)?.into_iter().filter(|(offset, _)| *offset >= from));
    }
    Ok(found)
}

/// Like [`Log::read`], from behind what is damaged: the rest is shown. `/metrics` and `/ready` say that something is
/// missing, and `tidewater journal check` says what.
fn read_past_gaps(log: &Log, mut from: Offset, bytes_max: usize) -> Result<Vec<Frame>, journal::Error> {
    loop {
        match log.read(from, bytes_max) {
            Err(journal::Error::Corrupt { to, .. }) if to > from => from = to,
            answer => return answer,
        }
    }
}

fn entries(frame: &Frame) -> Result<Vec<(Offset, Entry)>, DeadLetterError> {
    let mut body = frame.batch.body();
    let entry = |offset| {
        let entry = Entry::decode(&mut body).map_err(|short| DeadLetterError::Layout(offset, short))?;
        Ok((offset, entry))
    };
    (frame.base..frame.end()).map(entry).collect()
}

/// The entry at this offset of the topic, if it is kept.
pub fn entry(log: &Log, offset: Offset) -> Result<Option<Entry>, DeadLetterError> {
    if !(log.oldest()..log.durable()).contains(&offset) {
        return Ok(None);
    }
    Ok(read_bytes(log, offset, 1)?.into_iter().next().filter(|(at, _)| *at == offset).map(|(_, entry)| entry))
}

/// The letter with this address. Entries stand in the order of `raw` offsets, so a binary search finds it.
pub fn find(log: &Log, address: Address) -> Result<Option<DeadLetter>, DeadLetterError> {
    let (mut low, mut high) = (log.oldest(), log.durable());
    while low < high {
        let middle = low + (high - low) / 2;
        // One batch is enough to see on which side it is.
        let Some((_, entry)) = read_bytes(log, middle, 1)?.into_iter().next() else { return Ok(None) };
        if entry.address().offset < address.offset {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let mut from = low;
    loop {
        let part = read_bytes(log, from, 1)?;
        let Some((last, _)) = part.last() else { return Ok(None) };
        from = last + 1;
        for (_, entry) in part {
            match entry {
                Entry::Letter(letter) if letter.address == address => return Ok(Some(letter)),
                other if other.address().offset > address.offset => return Ok(None),
                _ => {}
            }
        }
    }
}
