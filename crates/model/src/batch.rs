//! The batch: what one commit of `raw` carries, from the socket to the pipeline without a copy.
//!
//! The buffer begins with [`FRAME_HEADER_BYTES`] that belong to the journal, which fills them in place. Behind them is
//! the body. The journal never looks into it. All integers are little-endian.
//!
//! ```text
//! body    = received i64 (Unix ms) | groups_len u32 | control_len u32 | groups | controls
//! group   = device index u32 | kind u8 | format u8 | flags u8 | 0 u8 | payload count u32 | payloads_len u32 | payloads
//! payload = length u32 | bytes
//! control = tag u8 | length u32 | bytes            (see `Control`)
//! ```
//!
//! Payloads are numbered in order through all groups of a batch: the n-th has offset `base + n`. A batch without
//! payloads (controls only) still takes one offset, so that every batch has an address.

use std::sync::{Arc, Mutex, Weak};

use crate::blocks::Blocks;
use crate::clock::Millis;
use crate::ids::{DeviceIndex, SessionKey};
use crate::limits;
use crate::source::Source;
use crate::wire::{Reader, Short, Writer};

mod control;
#[cfg(test)]
mod tests;

pub use control::Control;

/// Space at the front of a batch's buffer that the journal fills with its frame header.
pub const FRAME_HEADER_BYTES: usize = 64;
const BODY_HEADER_BYTES: usize = 16;
const GROUP_HEADER_BYTES: usize = 16;
const BODY: usize = FRAME_HEADER_BYTES;
const GROUPS: usize = BODY + BODY_HEADER_BYTES;

/// What a group's payloads are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum PayloadKind {
    /// Messages with metrics (`…/data`).
    Data = 1,
    /// Events (`…/events`).
    Events = 2,
    /// A free topic's payload: journaled and delivered, never readings by itself.
    Free = 3,
}

impl PayloadKind {
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        [Self::Data, Self::Events, Self::Free].into_iter().find(|kind| *kind as u8 == tag)
    }
}

/// How a payload is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Format {
    Json = 1,
    MessagePack = 2,
    Cbor = 3,
    Avro = 4,
    Protobuf = 5,
}

impl Format {
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        let all = [Self::Json, Self::MessagePack, Self::Cbor, Self::Avro, Self::Protobuf];
        all.into_iter().find(|format| *format as u8 == tag)
    }

    /// The format that a content type names, parameters ignored; `None` if it names no telemetry format.
    pub fn from_content_type(text: &str) -> Option<Self> {
        let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match media.as_str() {
            "application/json" => Self::Json,
            "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => Self::MessagePack,
            "application/cbor" => Self::Cbor,
            "application/avro" => Self::Avro,
            "application/x-protobuf" | "application/protobuf" => Self::Protobuf,
            _ => return None,
        })
    }
}

/// Facts about a group's sender that held when its payloads were accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct GroupFlags(pub u8);

impl GroupFlags {
    /// The device was quarantined: its payloads are dead-lettered, replayable.
    pub const QUARANTINED: Self = Self(1);
    /// Dead letters that are tried again: each payload is a [`crate::dead_letter::Replay`] and then the letter's payload.
    pub const REPLAYED: Self = Self(2);

    pub fn contains(self, flag: Self) -> bool {
        self.0 & flag.0 == flag.0
    }
}

/// What the payloads of one group have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct GroupKey {
    pub device: DeviceIndex,
    pub kind: PayloadKind,
    pub format: Format,
    pub flags: GroupFlags,
}

/// Buffers that go round: fresh memory is dear on the line. Clones share one pool.
#[derive(Clone, Debug, Default)]
pub struct BatchPool(Arc<Mutex<Vec<Blocks>>>);

/// Buffers kept for reuse: the commits in flight of every writer plus what the tail just let go.
const POOL_BUFFERS_MAX: usize = 64;
/// A batch that takes a smaller share of its buffer than one in so many does not keep it.
const COMPACT_SHARE: usize = 4;

impl BatchPool {
    /// An empty batch whose buffer returns here when its last reader lets go.
    pub fn builder(&self) -> BatchBuilder {
        let returned = self.0.lock().expect("no holder of this lock panics").pop();
        let mut buf = returned.unwrap_or_else(|| Blocks::with_capacity(limits::BATCH_BUFFER_BYTES));
        buf.clear();
        buf.extend(&[0; GROUPS]);
        BatchBuilder { buf, group: None, groups: 0, payloads: 0, controls: Vec::new(), pool: Arc::downgrade(&self.0) }
    }
}

/// A batch that is still being filled.
#[derive(Debug)]
pub struct BatchBuilder {
    buf: Blocks,
    group: Option<OpenGroup>,
    groups: usize,
    payloads: u32,
    controls: Vec<u8>,
    pool: Weak<Mutex<Vec<Blocks>>>,
}

/// The group that is being filled. Its counts go into its header when it is closed.
#[derive(Debug)]
struct OpenGroup {
    key: GroupKey,
    /// Where its header stands.
    at: usize,
    /// Payloads in the batch before it.
    first: u32,
}

impl BatchBuilder {
    /// Appends one payload and returns its number within the batch. A run of payloads with the same key shares a group.
    #[inline]
    pub fn push(&mut self, key: GroupKey, payload: &[u8]) -> u32 {
        if self.group.as_ref().is_none_or(|group| group.key != key) {
            self.open_group(key);
        }
        let (len, bytes) = self.buf.grow(4 + payload.len()).split_at_mut(4);
        len.copy_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.copy_from_slice(payload);
        self.payloads += 1;
        self.payloads - 1
    }

    fn open_group(&mut self, key: GroupKey) {
        self.close_group();
        let at = self.buf.len();
        self.buf.extend(&key.device.0.to_le_bytes());
        self.buf.extend(&[key.kind as u8, key.format as u8, key.flags.0, 0]);
        self.buf.extend(&[0; 8]);
        self.group = Some(OpenGroup { key, at, first: self.payloads });
        self.groups += 1;
    }

    fn close_group(&mut self) {
        let Some(OpenGroup { at, first, .. }) = self.group.take() else { return };
        let payloads_len = (self.buf.len() - at - GROUP_HEADER_BYTES) as u32;
        self.buf[at + 8..at + 12].copy_from_slice(&(self.payloads - first).to_le_bytes());
        self.buf[at + 12..at + 16].copy_from_slice(&payloads_len.to_le_bytes());
    }

    /// Appends a control record. It holds for the whole batch and for what follows.
    pub fn control(&mut self, control: &Control) {
        control.encode(&mut self.controls);
    }

    pub fn is_empty(&self) -> bool {
        self.payloads == 0 && self.controls.is_empty()
    }

    /// Payloads so far.
    pub fn payloads(&self) -> u32 {
        self.payloads
    }

    /// Groups so far: at least as many as there are devices and topics.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Bytes that the batch takes so far, frame header included.
    pub fn bytes(&self) -> usize {
        self.buf.len() + self.controls.len()
    }

    /// Whether one more payload of `len` bytes stays within [`limits::BATCH_BYTES_MAX`] and the count's limit. An empty
    /// batch always has room.
    pub fn has_room(&self, len: usize) -> bool {
        self.is_empty()
            || (self.bytes() + GROUP_HEADER_BYTES + 4 + len <= limits::BATCH_BYTES_MAX
                && self.payloads < limits::BATCH_PAYLOADS_MAX)
    }

    /// Closes the batch. `received` is the time that all its payloads count as received at.
    pub fn seal(mut self, received: Millis) -> Batch {
        self.close_group();
        let groups_len = (self.buf.len() - GROUPS) as u32;
        self.buf[BODY..BODY + 8].copy_from_slice(&received.to_le_bytes());
        self.buf[BODY + 8..BODY + 12].copy_from_slice(&groups_len.to_le_bytes());
        self.buf[BODY + 12..BODY + 16].copy_from_slice(&(self.controls.len() as u32).to_le_bytes());
        self.buf.extend(&self.controls);
        Batch { buf: self.buf, count: self.payloads.max(1), pool: self.pool }
    }
}

fn add_u32(buf: &mut [u8], at: usize, by: u32) {
    let field: &mut [u8; 4] = (&mut buf[at..at + 4]).try_into().expect("four bytes");
    *field = (u32::from_le_bytes(*field) + by).to_le_bytes();
}

/// A closed batch: a frame-to-be of the journal. `raw` carries what [`BatchBuilder`] made; other topics carry bodies of
/// their own.
#[derive(Debug)]
pub struct Batch {
    buf: Blocks,
    count: u32,
    pool: Weak<Mutex<Vec<Blocks>>>,
}

impl Batch {
    /// A batch with a body of another layout, that takes `count` offsets (at least 1).
    pub fn from_body(count: u32, body: &[u8]) -> Self {
        let mut buf = Blocks::zeroed(FRAME_HEADER_BYTES);
        buf.extend(body);
        Self { buf, count: count.max(1), pool: Weak::new() }
    }

    /// A batch that was read back: `buf` is a frame header and a body.
    pub fn from_frame(count: u32, buf: Blocks) -> Self {
        Self { buf, count: count.max(1), pool: Weak::new() }
    }

    /// Offsets that the batch takes; at least 1.
    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn body(&self) -> &[u8] {
        &self.buf[FRAME_HEADER_BYTES..]
    }

    /// Frame header and body.
    pub fn frame(&self) -> &[u8] {
        &self.buf
    }

    /// Header and body in whole blocks, as a disk takes them directly.
    pub fn blocks(&mut self) -> &[u8] {
        self.buf.whole()
    }

    /// Bytes of memory that it holds, which are more than it has.
    pub fn memory(&self) -> usize {
        self.buf.capacity()
    }

    /// The space for the journal's header.
    pub fn header_mut(&mut self) -> &mut [u8; FRAME_HEADER_BYTES] {
        (&mut self.buf[..FRAME_HEADER_BYTES]).try_into().expect("every batch begins with the header's space")
    }

    /// Moves a batch that is much smaller than its buffer to memory of its own size: it may be kept for long, and the
    /// buffer is for the next one.
    pub fn compact(&mut self) {
        if self.buf.len() * COMPACT_SHARE > self.buf.capacity() {
            return;
        }
        let small = Blocks::copy_of(&self.buf);
        let buffer = std::mem::replace(&mut self.buf, small);
        give_back(&std::mem::take(&mut self.pool), buffer);
    }

    /// Adds a control record to a closed batch of `raw`, before it is appended.
    pub fn add_control(&mut self, control: &Control) {
        let mut record = Vec::new();
        control.encode(&mut record);
        self.buf.extend(&record);
        add_u32(&mut self.buf, BODY + 12, record.len() as u32);
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        give_back(&self.pool, std::mem::take(&mut self.buf));
    }
}

fn give_back(pool: &Weak<Mutex<Vec<Blocks>>>, buffer: Blocks) {
    let Some(pool) = pool.upgrade() else { return };
    // A buffer that one giant payload blew up is not kept.
    if buffer.capacity() <= 2 * limits::BATCH_BYTES_MAX {
        let mut buffers = pool.lock().expect("no holder of this lock panics");
        if buffers.len() < POOL_BUFFERS_MAX {
            buffers.push(buffer);
        }
    }
}

/// A batch of `raw` as its readers see it. Everything is checked against the body's length, nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    /// When the payloads were received (Unix ms).
    pub received: Millis,
    groups: &'a [u8],
    controls: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// Reads a body. Fails if the parts do not add up to its length.
    pub fn parse(body: &'a [u8]) -> Result<Self, Short> {
        let mut reader = Reader(body);
        let received = reader.u64()? as i64;
        let (groups_len, control_len) = (reader.u32()? as usize, reader.u32()? as usize);
        let view = Self { received, groups: reader.take(groups_len)?, controls: reader.take(control_len)? };
        if reader.0.is_empty() { Ok(view) } else { Err(Short) }
    }

    /// The groups in order.
    pub fn groups(&self) -> Groups<'a> {
        Groups(self.groups)
    }

    /// The control records in order.
    pub fn controls(&self) -> Controls<'a> {
        Controls(self.controls)
    }
}

/// One group of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    pub key: GroupKey,
    /// Payloads in the group.
    pub count: u32,
    payloads: &'a [u8],
}

impl<'a> Group<'a> {
    /// The payloads in order. Ends early if a length points past the group.
    pub fn payloads(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = Reader(self.payloads);
        std::iter::from_fn(move || rest.blob().ok())
    }
}

/// Iterator over the groups of a batch.
#[derive(Clone, Debug)]
pub struct Groups<'a>(&'a [u8]);

impl<'a> Iterator for Groups<'a> {
    type Item = Result<Group<'a>, Short>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let group = decode_group(&mut self.0);
        if group.is_err() {
            self.0 = &[];
        }
        Some(group)
    }
}

fn decode_group<'a>(input: &mut &'a [u8]) -> Result<Group<'a>, Short> {
    let mut reader = Reader(input);
    let device = DeviceIndex(reader.u32()?);
    let [kind, format, flags, _] = reader.array()?;
    let kind = PayloadKind::from_tag(kind).ok_or(Short)?;
    let format = Format::from_tag(format).ok_or(Short)?;
    let count = reader.u32()?;
    let payloads = reader.blob()?;
    *input = reader.0;
    Ok(Group { key: GroupKey { device, kind, format, flags: GroupFlags(flags) }, count, payloads })
}

/// Iterator over the control records of a batch.
#[derive(Clone, Debug)]
pub struct Controls<'a>(&'a [u8]);

impl Iterator for Controls<'_> {
    type Item = Result<Control, Short>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let control = Control::decode(&mut self.0);
        if control.is_err() {
            self.0 = &[];
        }
        Some(control)
    }
}
