//! Messages that were read but not yet accepted: what every format's reader fills and what acceptance takes from.
//!
//! A payload is read whole before any of its messages is accepted, so that one that turns out not to be well-formed
//! leaves nothing behind. Memory is kept from payload to payload.

use std::ops::Range;

use model::{Reason, ValueKind};

use crate::form::ts::Time;

mod fault;
mod scalar;
mod sink;

pub use fault::{Failure, Fault, pointer};
pub use scalar::{Scalar, is_exact};
pub use sink::{Field, Found, Reading, Sink, is_name};

/// A part of [`Drafts::text`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

/// The messages of one payload.
#[derive(Debug, Default)]
pub struct Drafts {
    /// The last one is being put together until it is ended.
    pub messages: Vec<Draft>,
    pub metrics: Vec<Metric>,
    /// Metrics whose column does not exist yet.
    pub fresh: Vec<Fresh>,
    pub tags: Vec<Tag>,
    /// Slots of the form whose defaults messages get.
    pub defaults: Vec<u32>,
    /// Names, string values and event data of all messages.
    pub text: Vec<u8>,
    /// For each slot and record of the form the latest message that had it.
    met: Vec<u64>,
    /// Counts messages.
    message: u64,
}

/// One message.
#[derive(Debug, Default)]
pub struct Draft {
    /// Its bytes within the payload.
    pub bytes: Range<usize>,
    pub ts: Option<i64>,
    /// Nanoseconds of the time beyond `ts`: not kept, but what tells messages apart.
    pub ts_rest: u32,
    pub seq: Option<u64>,
    pub boot: Option<u32>,
    pub buffered: bool,
    /// Its part of [`Drafts::metrics`].
    pub metrics: Range<usize>,
    /// Its part of [`Drafts::tags`], sorted by name.
    pub tags: Range<usize>,
    /// Its part of [`Drafts::defaults`].
    pub defaults: Range<usize>,
    /// Of an event: its type, and its data as JSON text.
    pub event_type: Span,
    pub event_data: Option<Span>,
    /// Why it is rejected.
    pub fault: Option<Box<Fault>>,
}

/// One metric of a message.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub column: Column,
    /// As in [`model::RowColumn`], except that a string's are a [`Span`], start in the upper half.
    pub bits: u64,
}

/// Where a metric belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    Known(u32),
    /// Position in [`Drafts::fresh`].
    Fresh(u32),
}

/// A metric that its class did not have so far, at least not of this kind.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    pub name: Span,
    pub kind: ValueKind,
}

/// One tag of a message.
#[derive(Clone, Copy, Debug)]
pub struct Tag {
    pub name: Span,
    /// `None`: the message says that it has none, so that its schema's default is not for it.
    pub value: Option<Span>,
}

impl Drafts {
    pub fn clear(&mut self) {
        self.messages.clear();
        self.metrics.clear();
        self.fresh.clear();
        self.tags.clear();
        self.defaults.clear();
        self.text.clear();
    }

    /// Begins a message at this byte of the payload; what follows is added to it.
    pub fn begin(&mut self, at: usize) {
        let (metrics, tags, defaults) = (self.metrics.len(), self.tags.len(), self.defaults.len());
        self.messages.push(Draft {
            bytes: at..at,
            metrics: metrics..metrics,
            tags: tags..tags,
            defaults: defaults..defaults,
            ..Draft::default()
        });
    }

    /// The message that was begun last. It is filled where it stays: one that is put together elsewhere is copied
    /// piece by piece as it was written, and the processor waits for each.
    #[inline]
    pub fn open(&mut self) -> &mut Draft {
        self.messages.last_mut().expect("a message was begun")
    }

    /// The message ends before this byte.
    pub fn end(&mut self, at: usize) {
        let (metrics, tags) = (self.metrics.len(), self.tags.len());
        let draft = self.open();
        draft.bytes.end = at;
        draft.metrics.end = metrics;
        draft.tags.end = tags;
    }

    /// The message lacks what these slots have defaults for.
    pub fn add_defaults(&mut self, slots: &[u32]) {
        self.defaults.extend_from_slice(slots);
        let end = self.defaults.len();
        self.open().defaults.end = end;
    }

    /// Sets the time.
    #[inline]
    pub fn set_time(&mut self, time: Time) {
        let draft = self.open();
        draft.ts = Some(time.millis);
        draft.ts_rest = time.rest;
    }

    /// Adds a metric whose column is known.
    #[inline]
    pub fn add(&mut self, column: u32, bits: u64) {
        self.metrics.push(Metric { column: Column::Known(column), bits });
    }

    /// Keeps a text that a message refers to.
    pub fn keep(&mut self, text: &[u8]) -> Span {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(text);
        Span { start, len: text.len() as u32 }
    }

    pub fn text(&self, span: Span) -> &[u8] {
        &self.text[span.start as usize..][..span.len as usize]
    }

    /// As [`Drafts::text`]; the readers let only UTF-8 in.
    pub fn str(&self, span: Span) -> &str {
        std::str::from_utf8(self.text(span)).expect("the readers check that every text is UTF-8")
    }
}

impl Span {
    pub fn to_bits(self) -> u64 {
        u64::from(self.start) << 32 | u64::from(self.len)
    }

    pub fn from_bits(bits: u64) -> Self {
        Self { start: (bits >> 32) as u32, len: bits as u32 }
    }
}

/// Rejects a message, unless it is rejected already: the first fault counts.
pub(crate) fn reject(draft: &mut Draft, reason: Reason, path: String, detail: String) {
    if draft.fault.is_none() {
        draft.fault = Some(Box::new(Fault { reason, path, detail }));
    }
}
