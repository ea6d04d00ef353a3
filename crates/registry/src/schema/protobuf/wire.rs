//! One encoding for each message: options may hold maps, whose entries have no order, and the library writes them in that of
//! a hash table.

use prost_reflect::prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost_reflect::{Kind, MessageDescriptor};

/// The encoded message with its fields by number and the entries of its maps by their bytes. What is no message comes back
/// as it is.
pub(super) fn ordered(shape: &MessageDescriptor, bytes: &[u8]) -> Vec<u8> {
    let Some(mut fields) = split(shape, bytes) else { return bytes.to_vec() };
    fields.sort_by(|a, b| {
        a.number
            .cmp(&b.number)
            .then_with(|| if a.of_map && b.of_map { a.bytes.cmp(&b.bytes) } else { std::cmp::Ordering::Equal })
    });
    fields.into_iter().flat_map(|field| field.bytes).collect()
}

struct Encoded {
    number: u32,
    of_map: bool,
    /// With its key.
    bytes: Vec<u8>,
}

fn split(shape: &MessageDescriptor, mut rest: &[u8]) -> Option<Vec<Encoded>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (number, wire_type) = decode_key(&mut rest).ok()?;
        let mut bytes = Vec::new();
        encode_key(number, wire_type, &mut bytes);
        let mut of_map = false;
        match wire_type {
            WireType::Varint => encode_varint(decode_varint(&mut rest).ok()?, &mut bytes),
            WireType::ThirtyTwoBit => bytes.extend(take(&mut rest, 4)?),
            WireType::SixtyFourBit => bytes.extend(take(&mut rest, 8)?),
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let value = take(&mut rest, length)?;
                let within = message(shape, number);
                of_map = within.as_ref().is_some_and(MessageDescriptor::is_map_entry);
                let value = within.map_or_else(|| value.to_vec(), |within| ordered(&within, value));
                encode_varint(value.len() as u64, &mut bytes);
                bytes.extend(value);
            }
            // Groups are not used by descriptors, and in options they are left as they are.
            WireType::StartGroup | WireType::EndGroup => return None,
        }
        fields.push(Encoded { number, of_map, bytes });
    }
    Some(fields)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

/// The type of the field or extension of that number, if it is a message.
fn message(shape: &MessageDescriptor, number: u32) -> Option<MessageDescriptor> {
    let kind = match shape.get_field(number) {
        Some(field) => field.kind(),
        None => shape.get_extension(number)?.kind(),
    };
    if let Kind::Message(message) = kind { Some(message) } else { None }
}
