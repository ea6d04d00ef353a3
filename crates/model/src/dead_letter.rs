//! Dead letters: what was refused after it was accepted, kept whole, with the reason and where it came from.

use crate::batch::{Format, PayloadKind};
use crate::clock::Millis;
use crate::ids::{Address, Partition};
use crate::source::Source;
use crate::wire::{Reader, Short, Writer};

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
    SchemaUnavailable = 24, "schema-unavailable", "The schema registry could not be reached; the message is replayed when it returns.";
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
    /// Appends the stored form: partition u16, offset u64, index u32.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u16(self.origin.partition.0);
        out.u64(self.origin.offset);
        out.u32(self.origin.index);
    }

    /// Reads what [`Replay::encode`] wrote from the front of `input` and moves `input` behind it.
    pub fn decode(input: &mut &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(input);
        let origin = Address { partition: Partition(reader.u16()?), offset: reader.u64()?, index: reader.u32()? };
        *input = reader.0;
        Ok(Self { origin })
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
    /// When it was received (Unix ms).
    pub received: Millis,
    /// The message's bytes: the payload, or the element of an array payload.
    pub payload: Vec<u8>,
}

impl DeadLetter {
    /// Appends the stored form: partition u16, offset u64, index u32, kind u8, format u8, reason u8, received i64,
    /// source, detail, path, payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u16(self.address.partition.0);
        out.u64(self.address.offset);
        out.u32(self.address.index);
        out.extend_from_slice(&[self.kind as u8, self.format as u8, self.reason as u8]);
        out.u64(self.received as u64);
        self.source.encode(out);
        out.text(&self.detail);
        out.text(&self.path);
        out.blob(&self.payload);
    }

    /// Reads what [`DeadLetter::encode`] wrote from the front of `input` and moves `input` behind it.
    pub fn decode(input: &mut &[u8]) -> Result<Self, Short> {
        let mut reader = Reader(input);
        let address = Address { partition: Partition(reader.u16()?), offset: reader.u64()?, index: reader.u32()? };
        let [kind, format, reason] = reader.array()?;
        let received = reader.u64()? as i64;
        let source = Source::decode(&mut reader.0)?;
        let letter = Self {
            address,
            source,
            kind: PayloadKind::from_tag(kind).ok_or(Short)?,
            format: Format::from_tag(format).ok_or(Short)?,
            reason: Reason::from_tag(reason).ok_or(Short)?,
            received,
            detail: reader.text()?.to_owned(),
            path: reader.text()?.to_owned(),
            payload: reader.blob()?.to_vec(),
        };
        *input = reader.0;
        Ok(letter)
    }
}
