//! Dead letters: what was refused after it was accepted, kept whole, with the reason and where it came from; and what
//! became of those that were tried again. Both are entries of the topic `dead-letter`.

use uuid::Uuid;

use crate::batch::{Format, PayloadKind};
use crate::clock::Millis;
use crate::ids::{Address, Partition, TenantId};
use crate::source::Source;
use crate::wire::{Reader, Short, Writer};

#[cfg(test)]
mod tests;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $tag:literal, $code:literal, $sentence:literal;)*) => {
        /// Why a message was rejected. Codes are stable: they are part of the outer face.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name = $tag,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable code, as in `GET /v1/dead-letters?reason=`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What is wrong and what to do, for a person. A dead letter's `detail` adds the particulars.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }

            fn from_tag(tag: u8) -> Option<Self> {
                match tag { $($tag => Some(Self::$name),)* _ => None }
            }
        }
    };
}

reasons! {
    NotWellFormed = 1, "not-well-formed", "The payload is not valid in its format. Check the encoder and the content type.";
    NotAMessage = 2, "not-a-message", "A payload is one object or an array of objects with `metrics`.";
    MetricsMissing = 3, "metrics-missing", "The message has no `metrics` object, or an empty one.";
    MetricType = 4, "metric-type", "A metric is a number, a boolean or a short string.";
    MetricName = 5, "metric-name", "A metric's name is 1 to 128 bytes of printable UTF-8.";
    MetricTextTooLong = 6, "metric-text-too-long", "A string metric is too long; send documents as events.";
    NumberNotExact = 7, "number-not-exact", "An integer that a double cannot hold exactly; declare the metric as long in a schema, or send a string.";
    NumberNotFinite = 8, "number-not-finite", "A number is NaN, infinite or beyond the range of a double.";
    TooManyMetrics = 9, "too-many-metrics", "The message has more metrics than one message may have.";
    TooManyMessages = 10, "too-many-messages", "The payload is an array of more messages than one payload may have.";
    TooDeep = 11, "too-deep", "The payload is nested deeper than allowed.";
    DuplicateField = 12, "duplicate-field", "A field or metric appears twice; which one is meant cannot be known.";
    TsInvalid = 13, "ts-invalid", "`ts` is an integer: Unix time in milliseconds.";
    SeqInvalid = 14, "seq-invalid", "`seq` is an integer from 0 to 2^64-1.";
    BootInvalid = 15, "boot-invalid", "`boot` is an integer from 0 to 2^32-1.";
    BufferedInvalid = 16, "buffered-invalid", "`buffered` is true or false.";
    TagsInvalid = 17, "tags-invalid", "`tags` is an object of at most 16 short strings.";
    UnknownField = 18, "unknown-field", "The message has a field that its class does not allow.";
    MetricLimit = 19, "metric-limit", "The class already has as many distinct metrics as a class may have.";
    EventInvalid = 20, "event-invalid", "An event is an object with a string `type` and optional `ts`, `seq`, `boot`, `data`.";
    Quarantined = 21, "quarantined", "The device is quarantined: set its status to active and replay.";
    FormatUnsupported = 22, "format-unsupported", "The payload's format needs a schema that the device does not have.";
    SchemaUnknown = 23, "schema-unknown", "The payload names a schema id that the registry does not know.";
    SchemaUnavailable = 24, "schema-unavailable", "The external schema registry has not said what the payload's schema id means; the message is replayed once it has.";
    SchemaMismatch = 26, "schema-mismatch", "The payload names a schema of another subject than its device's. Check which schema the device was given.";
    SchemaUnusable = 27, "schema-unusable", "The device's schema cannot be used to read messages; `tidewater schema check` says why.";
    RequiredMissing = 28, "required-missing", "A field that the schema requires is missing.";
    WrongType = 29, "wrong-type", "A field is of another type than the schema says.";
    OutOfRange = 30, "out-of-range", "A number is outside the range that the schema allows.";
    ValueNotAllowed = 31, "value-not-allowed", "A value is not one that the schema allows: an enum, a pattern, a length or a multiple.";
    Poison = 25, "poison", "A stage failed on this message in a way that it should not; please report it.";
}

/// In front of a payload of a group with [`crate::GroupFlags::REPLAYED`]: which dead letter is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Replay {
    pub origin: Address,
}

impl Replay {
    /// Bytes of the stored form.
    pub const BYTES: usize = ADDRESS_BYTES;

    /// Appends the stored form: partition u16, offset u64, index u32.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_address(self.origin, out);
    }

    /// Reads what [`Replay::encode`] wrote from the front of `input` and moves `input` behind it.
    pub fn decode(input: &mut &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(input);
        let origin = address(&mut reader)?;
        *input = reader.0;
        Ok(Self { origin })
    }
}

/// An entry of the topic `dead-letter`. Entries stand in the order of `raw`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    Letter(DeadLetter),
    Replayed(Replayed),
}

impl Entry {
    /// Where in `raw` stands what made it.
    pub fn address(&self) -> Address {
        match self {
            Self::Letter(letter) => letter.address,
            Self::Replayed(replayed) => replayed.address,
        }
    }

    /// The tenant on whose side of the wall it is.
    pub fn tenant(&self) -> TenantId {
        match self {
            Self::Letter(letter) => letter.source.tenant(),
            Self::Replayed(replayed) => replayed.tenant,
        }
    }

    /// The letter, unless it is the outcome of a try.
    pub fn letter(&self) -> Option<&DeadLetter> {
        match self {
            Self::Letter(letter) => Some(letter),
            Self::Replayed(_) => None,
        }
    }

    /// Appends the stored form: tag u8 (1 letter, 2 replayed) and what it is.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Letter(letter) => {
                out.u8(1);
                letter.encode(out);
            }
            Self::Replayed(replayed) => {
                out.u8(2);
                replayed.encode(out);
            }
        }
    }

    /// Reads what [`Entry::encode`] wrote from the front of `input` and moves `input` behind it.
    pub fn decode(input: &mut &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(input);
        let tag = reader.u8()?;
        let entry = match tag {
            1 => Self::Letter(DeadLetter::decode(&mut reader.0)?),
            2 => Self::Replayed(Replayed::decode(&mut reader.0)?),
            _ => return Err(Short),
        };
        *input = reader.0;
        Ok(entry)
    }
}

/// A rejected message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// Where the message stands in `raw`; its `id`.
    pub address: Address,
    pub source: Source,
    pub kind: PayloadKind,
    pub format: Format,
    pub reason: Reason,
    /// The particulars: what was found, what was expected.
    pub detail: String,
    /// Where inside the payload, as a JSON pointer (RFC 6901); empty for the whole.
    pub path: String,
    /// The schema under which it was read.
    pub schema: Option<SchemaOf>,
    /// When it was received (Unix ms).
    pub received: Millis,
    /// The message's bytes: the payload, or the element of an array payload.
    pub payload: Vec<u8>,
}

/// The schema under which a message was read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SchemaOf {
    /// Names (subject, major).
    pub schema_id: Uuid,
    /// The number in the Confluent wire format.
    pub id: u32,
    /// The version of the subject.
    pub version: u32,
}

impl DeadLetter {
    /// Appends the stored form: partition u16, offset u64, index u32, kind u8, format u8, reason u8, received i64,
    /// schema (u8: 0 none, 1 schema id 16 bytes, id u32, version u32), source, detail, path, payload.
    fn encode(&self, out: &mut Vec<u8>) {
        put_address(self.address, out);
        out.extend_from_slice(&[self.kind as u8, self.format as u8, self.reason as u8]);
        out.u64(self.received as u64);
        match self.schema {
            None => out.u8(0),
            Some(SchemaOf { schema_id, id, version }) => {
                out.u8(1);
                out.extend_from_slice(schema_id.as_bytes());
                out.u32(id);
                out.u32(version);
            }
        }
        self.source.encode(out);
        out.text(&self.detail);
        out.text(&self.path);
        out.blob(&self.payload);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(input);
        let address = address(&mut reader)?;
        let [kind, format, reason] = reader.array()?;
        let received = reader.u64()? as i64;
        let schema = match reader.u8()? {
            0 => None,
            1 => {
                let schema_id = Uuid::from_bytes(reader.array()?);
                Some(SchemaOf { schema_id, id: reader.u32()?, version: reader.u32()? })
            }
            _ => return Err(Short),
        };
        let source = Source::decode(&mut reader.0)?;
        let letter = Self {
            address,
            source,
            kind: PayloadKind::from_tag(kind).ok_or(Short)?,
            format: Format::from_tag(format).ok_or(Short)?,
            reason: Reason::from_tag(reason).ok_or(Short)?,
            schema,
            received,
            detail: reader.text()?.to_owned(),
            path: reader.text()?.to_owned(),
            payload: reader.blob()?.to_vec(),
        };
        *input = reader.0;
        Ok(letter)
    }
}

/// What became of a dead letter that was tried again: one for each payload of a group with
/// [`crate::GroupFlags::REPLAYED`], behind whatever letters the payload made.
///
/// A payload of one message makes no letter: if it is rejected again, that is said here, and the letter stays as it was.
/// A payload of several messages (an array of a quarantined device) is taken apart: its letter is `replayed`, and each message
/// of it that is rejected becomes a letter of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replayed {
    /// The dead letter.
    pub origin: Address,
    /// Where in `raw` stands the try; index 0.
    pub address: Address,
    pub tenant: TenantId,
    /// Bytes of the letter's payload.
    pub bytes: u32,
    /// When it was tried (Unix ms).
    pub at: Millis,
    /// `None`: it passed.
    pub rejected: Option<Rejection>,
}

/// Why a message was rejected again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    pub reason: Reason,
    /// As in [`DeadLetter::path`].
    pub path: String,
    /// As in [`DeadLetter::detail`].
    pub detail: String,
}

impl Replayed {
    /// Appends the stored form: origin and address (as a letter's), tenant 16 bytes, bytes u32, at i64, reason u8 (0:
    /// it passed), and for a rejected one path and detail.
    fn encode(&self, out: &mut Vec<u8>) {
        put_address(self.origin, out);
        put_address(self.address, out);
        out.extend_from_slice(self.tenant.as_bytes());
        out.u32(self.bytes);
        out.u64(self.at as u64);
        match &self.rejected {
            None => out.u8(0),
            Some(Rejection { reason, path, detail }) => {
                out.u8(*reason as u8);
                out.text(path);
                out.text(detail);
            }
        }
    }

    fn decode(input: &mut &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(input);
        let (origin, address) = (address(&mut reader)?, address(&mut reader)?);
        let tenant = TenantId::from_bytes(reader.array()?);
        let (bytes, at) = (reader.u32()?, reader.u64()? as i64);
        let rejected = match reader.u8()? {
            0 => None,
            reason => {
                let reason = Reason::from_tag(reason).ok_or(Short)?;
                Some(Rejection { reason, path: reader.text()?.to_owned(), detail: reader.text()?.to_owned() })
            }
        };
        *input = reader.0;
        Ok(Self { origin, address, tenant, bytes, at, rejected })
    }
}

const ADDRESS_BYTES: usize = 2 + 8 + 4;

fn put_address(address: Address, out: &mut Vec<u8>) {
    out.u16(address.partition.0);
    out.u64(address.offset);
    out.u32(address.index);
}

fn address(reader: &mut Reader<'_>) -> Result<Address, Short> {
    Ok(Address { partition: Partition(reader.u16()?), offset: reader.u64()?, index: reader.u32()? })
}
