//! Properties of MQTT 5.0 packets (section 2.2.2): which exist, what type each has, which packet may carry it.
//!
//! A block is checked once when its packet is decoded; iterating over it afterwards cannot fail and copies nothing.

use crate::error::Error;
use crate::text;
use crate::wire::{Input, put_binary, put_u16, put_u32, put_variable};

/// Property identifiers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum PropertyId {
    PayloadFormat = 0x01,
    MessageExpiry = 0x02,
    ContentType = 0x03,
    ResponseTopic = 0x08,
    CorrelationData = 0x09,
    SubscriptionId = 0x0B,
    SessionExpiry = 0x11,
    AssignedClientId = 0x12,
    ServerKeepAlive = 0x13,
    AuthenticationMethod = 0x15,
    AuthenticationData = 0x16,
    RequestProblemInformation = 0x17,
    WillDelay = 0x18,
    RequestResponseInformation = 0x19,
    ResponseInformation = 0x1A,
    ServerReference = 0x1C,
    ReasonString = 0x1F,
    ReceiveMaximum = 0x21,
    TopicAliasMaximum = 0x22,
    TopicAlias = 0x23,
    MaximumQos = 0x24,
    RetainAvailable = 0x25,
    User = 0x26,
    MaximumPacketSize = 0x27,
    WildcardAvailable = 0x28,
    SubscriptionIdAvailable = 0x29,
    SharedAvailable = 0x2A,
}

/// A property's value, borrowed from the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    Byte(u8),
    Two(u16),
    Four(u32),
    Variable(u32),
    Text(&'a str),
    Binary(&'a [u8]),
    Pair(&'a str, &'a str),
}

impl Value<'_> {
    /// The value of an integer property of any width.
    pub fn number(self) -> Option<u32> {
        match self {
            Self::Byte(value) => Some(u32::from(value)),
            Self::Two(value) => Some(u32::from(value)),
            Self::Four(value) | Self::Variable(value) => Some(value),
            Self::Text(_) | Self::Binary(_) | Self::Pair(..) => None,
        }
    }
}

/// One property.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Property<'a> {
    pub id: PropertyId,
    pub value: Value<'a>,
}

/// A set of property identifiers: those that one kind of packet may carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Allowed(u64);

impl Allowed {
    const fn of(ids: &[PropertyId]) -> Self {
        let mut bits = 1 << PropertyId::User as u8;
        let mut at = 0;
        while at < ids.len() {
            bits |= 1 << ids[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    fn has(self, id: PropertyId) -> bool {
        self.0 & (1 << id as u8) != 0
    }
}

use PropertyId as P;

pub(crate) const CONNECT: Allowed = Allowed::of(&[
    P::SessionExpiry,
    P::AuthenticationMethod,
    P::AuthenticationData,
    P::RequestProblemInformation,
    P::RequestResponseInformation,
    P::ReceiveMaximum,
    P::TopicAliasMaximum,
    P::MaximumPacketSize,
]);
pub(crate) const WILL: Allowed = Allowed::of(&[
    P::PayloadFormat,
    P::MessageExpiry,
    P::ContentType,
    P::ResponseTopic,
    P::CorrelationData,
    P::WillDelay,
]);
pub(crate) const CONNACK: Allowed = Allowed::of(&[
    P::SessionExpiry,
    P::AssignedClientId,
    P::ServerKeepAlive,
    P::AuthenticationMethod,
    P::AuthenticationData,
    P::ResponseInformation,
    P::ServerReference,
    P::ReasonString,
    P::ReceiveMaximum,
    P::TopicAliasMaximum,
    P::MaximumQos,
    P::RetainAvailable,
    P::MaximumPacketSize,
    P::WildcardAvailable,
    P::SubscriptionIdAvailable,
    P::SharedAvailable,
]);
/// From a client; from a server a PUBLISH may also carry subscription identifiers.
pub(crate) const PUBLISH: Allowed = Allowed::of(&[
    P::PayloadFormat,
    P::MessageExpiry,
    P::ContentType,
    P::ResponseTopic,
    P::CorrelationData,
    P::TopicAlias,
]);
pub(crate) const PUBLISH_DELIVERED: Allowed = Allowed(PUBLISH.0 | Allowed::of(&[P::SubscriptionId]).0);
/// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK.
pub(crate) const ACK: Allowed = Allowed::of(&[P::ReasonString]);
pub(crate) const SUBSCRIBE: Allowed = Allowed::of(&[P::SubscriptionId]);
pub(crate) const UNSUBSCRIBE: Allowed = Allowed::of(&[]);
pub(crate) const DISCONNECT: Allowed = Allowed::of(&[P::SessionExpiry, P::ReasonString, P::ServerReference]);

/// A block of properties that has been checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// Reads a block with its length from the front and checks every property in it.
    pub(crate) fn decode(input: &mut Input<'a>, allowed: Allowed) -> Result<Self, Error> {
        let len = input.variable()? as usize;
        let block = input.take(len)?;
        check(block, allowed)?;
        Ok(Self(block))
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The properties in the order in which they were sent.
    pub fn iter(self) -> impl Iterator<Item = Property<'a>> {
        let mut rest = Input(self.0);
        std::iter::from_fn(move || if rest.is_empty() { None } else { one(&mut rest).ok() })
    }

    /// The value of a property that occurs at most once.
    pub fn get(self, id: PropertyId) -> Option<Value<'a>> {
        self.iter().find(|property| property.id == id).map(|property| property.value)
    }

    /// The value of an integer property.
    pub fn number(self, id: PropertyId) -> Option<u32> {
        self.get(id).and_then(Value::number)
    }

    /// The value of a text property.
    pub fn text(self, id: PropertyId) -> Option<&'a str> {
        match self.get(id) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The block's bytes without its length, as a later PUBLISH can pass them on.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

fn check(block: &[u8], allowed: Allowed) -> Result<(), Error> {
    let mut rest = Input(block);
    let mut seen: u64 = 0;
    while !rest.is_empty() {
        let Property { id, value } = one(&mut rest)?;
        let bit = 1 << id as u8;
        let repeats = id == P::User || (id == P::SubscriptionId && allowed == PUBLISH_DELIVERED);
        if seen & bit != 0 && !repeats {
            return Err(Error::Protocol("a property occurs twice"));
        }
        seen |= bit;
        if !allowed.has(id) {
            return Err(not_allowed(allowed));
        }
        check_value(id, value)?;
    }
    Ok(())
}

/// The specification calls it malformed (2.2.2.2) and, for most packets, a protocol error. Brokers in the field answer
/// 0x82, for SUBSCRIBE and UNSUBSCRIBE 0x81; clients' tests expect that.
fn not_allowed(allowed: Allowed) -> Error {
    const WHAT: &str = "a property that this packet must not carry";
    if allowed == SUBSCRIBE || allowed == UNSUBSCRIBE { Error::Malformed(WHAT) } else { Error::Protocol(WHAT) }
}

fn check_value(id: PropertyId, value: Value<'_>) -> Result<(), Error> {
    if let (P::ResponseTopic, Value::Text(topic)) = (id, value)
        && text::topic_name(topic.as_bytes()).is_none()
    {
        return Err(Error::Protocol("the response topic is not a topic name"));
    }
    let Some(number) = value.number() else { return Ok(()) };
    match id {
        P::PayloadFormat
        | P::RequestProblemInformation
        | P::RequestResponseInformation
        | P::MaximumQos
        | P::RetainAvailable
        | P::WildcardAvailable
        | P::SubscriptionIdAvailable
        | P::SharedAvailable
            if number > 1 =>
        {
            Err(Error::Protocol("a property that is 0 or 1 has another value"))
        }
        P::ReceiveMaximum | P::MaximumPacketSize | P::SubscriptionId if number == 0 => {
            Err(Error::Protocol("a property that must not be 0 is 0"))
        }
        _ => Ok(()),
    }
}

fn one<'a>(input: &mut Input<'a>) -> Result<Property<'a>, Error> {
    let id = id_from(input.variable()?).ok_or(Error::Malformed("unknown property"))?;
    let value = match id {
        P::PayloadFormat
        | P::RequestProblemInformation
        | P::RequestResponseInformation
        | P::MaximumQos
        | P::RetainAvailable
        | P::WildcardAvailable
        | P::SubscriptionIdAvailable
        | P::SharedAvailable => Value::Byte(input.u8()?),
        P::ServerKeepAlive | P::ReceiveMaximum | P::TopicAliasMaximum | P::TopicAlias => Value::Two(input.u16()?),
        P::MessageExpiry | P::SessionExpiry | P::WillDelay | P::MaximumPacketSize => Value::Four(input.u32()?),
        P::SubscriptionId => Value::Variable(input.variable()?),
        P::ContentType
        | P::ResponseTopic
        | P::AssignedClientId
        | P::AuthenticationMethod
        | P::ResponseInformation
        | P::ServerReference
        | P::ReasonString => Value::Text(input.text()?),
        P::CorrelationData | P::AuthenticationData => Value::Binary(input.binary()?),
        P::User => Value::Pair(input.text()?, input.text()?),
    };
    Ok(Property { id, value })
}

fn id_from(code: u32) -> Option<PropertyId> {
    IDS.get(code as usize).copied().flatten()
}

/// Every property at the position of its identifier.
const IDS: [Option<PropertyId>; 43] = {
    let all = [
        P::PayloadFormat,
        P::MessageExpiry,
        P::ContentType,
        P::ResponseTopic,
        P::CorrelationData,
        P::SubscriptionId,
        P::SessionExpiry,
        P::AssignedClientId,
        P::ServerKeepAlive,
        P::AuthenticationMethod,
        P::AuthenticationData,
        P::RequestProblemInformation,
        P::WillDelay,
        P::RequestResponseInformation,
        P::ResponseInformation,
        P::ServerReference,
        P::ReasonString,
        P::ReceiveMaximum,
        P::TopicAliasMaximum,
        P::TopicAlias,
        P::MaximumQos,
        P::RetainAvailable,
        P::User,
        P::MaximumPacketSize,
        P::WildcardAvailable,
        P::SubscriptionIdAvailable,
        P::SharedAvailable,
    ];
    let mut ids = [None; 43];
    let mut at = 0;
    while at < all.len() {
        ids[all[at] as usize] = Some(all[at]);
        at += 1;
    }
    ids
};

/// Appends one property.
pub(crate) fn put(out: &mut Vec<u8>, property: Property<'_>) {
    out.push(property.id as u8);
    match property.value {
        Value::Byte(value) => out.push(value),
        Value::Two(value) => put_u16(out, value),
        Value::Four(value) => put_u32(out, value),
        Value::Variable(value) => put_variable(out, value),
        Value::Text(text) => put_binary(out, text.as_bytes()),
        Value::Binary(bytes) => put_binary(out, bytes),
        Value::Pair(name, value) => {
            put_binary(out, name.as_bytes());
            put_binary(out, value.as_bytes());
        }
    }
}
