//! The `dead-letter` topic: its batches, and the way back to them.
//!
//! The body of a batch is its letters one behind the other ([`DeadLetter::encode`]), so an offset of the topic numbers
//! letters. Letters are derived from `raw` and stand in its order: the address of the last one says how far a partition
//! had come, and deriving again after a crash writes none twice.

use journal::{Append, Log};
use model::wire::Short;
use model::{Address, Batch, DeadLetter, Offset};

#[cfg(test)]
mod tests;

/// Bytes read from the log at a time.
const READ_BYTES: usize = 1 << 20;

/// The end of one partition's `dead-letter` log.
pub struct DeadLetterWriter {
    log: Log,
    /// The address of the last letter in the log.
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
        let mut last = None;
        if log.end() > log.oldest() {
            // A read that starts within a batch gives that batch.
            for (_, letter) in read(&log, log.end() - 1)? {
                last = Some(letter.address);
            }
        }
        Ok(Self { log, last })
    }

    /// Appends the letters that the log does not have yet.
    pub fn append(&mut self, letters: &[DeadLetter]) -> Result<(), journal::Error> {
        let mut body = Vec::new();
        let mut count = 0;
        for letter in letters.iter().filter(|letter| self.last.is_none_or(|last| letter.address > last)) {
            letter.encode(&mut body);
            count += 1;
        }
        let Some(newest) = letters.iter().map(|letter| letter.address).max().filter(|_| count > 0) else {
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

    /// Makes every letter appended so far durable.
    pub fn sync(&self) -> Result<(), journal::Error> {
        self.log.sync()
    }
}

/// Letters from offset `from` of the topic on, each with its offset there: about a megabyte at a time, none at the end.
pub fn read(log: &Log, from: Offset) -> Result<Vec<(Offset, DeadLetter)>, DeadLetterError> {
    let mut letters = Vec::new();
    for frame in log.read(from, READ_BYTES)? {
        let mut body = frame.batch.body();
        for offset in frame.base..frame.base + u64::from(frame.batch.count()) {
            let letter = DeadLetter::decode(&mut body).map_err(|short| DeadLetterError::Layout(offset, short))?;
            if offset >= from {
                letters.push((offset, letter));
            }
        }
    }
    Ok(letters)
}
