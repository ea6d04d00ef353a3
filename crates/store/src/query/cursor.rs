//! Where the next page begins.

use std::fmt;
use std::str::FromStr;

use model::{DeviceId, Millis};

use crate::error::Error;
use crate::key::RowKey;

/// A place in the order in which rows are answered. The order of fields is the order of comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    pub key: RowKey,
    pub device: DeviceId,
}

/// The row that was answered last. It stays valid while data comes in, while chunks become blocks and while blocks are
/// merged: it names a place in the order of rows, not in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    pub(crate) place: Place,
    /// How many rows of exactly this place were answered: a device without sequence numbers may have several.
    pub(crate) answered: u32,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RowKey { ts, boot, seq, received } = self.place.key;
        let optional = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
        let (boot, seq) = (optional(boot.map(u64::from)), optional(seq));
        write!(f, "{ts}_{boot}_{seq}_{received}_{}_{}", self.place.device, self.answered)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::Query(format!("`{text}` is not a cursor: take `next` of the page before")))
    }
}

fn parse(text: &str) -> Option<Cursor> {
    let mut parts = text.split('_');
    let ts: Millis = parts.next()?.parse().ok()?;
    let boot = optional(parts.next()?)?;
    let seq = optional(parts.next()?)?;
    let received: Millis = parts.next()?.parse().ok()?;
    let device = parts.next()?.parse().ok()?;
    let answered = parts.next()?.parse().ok()?;
    let place = Place { key: RowKey { ts, boot, seq, received }, device };
    parts.next().is_none().then_some(Cursor { place, answered })
}

fn optional<T: FromStr>(text: &str) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
}
