//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0 sections 3.8 and 3.10).

use crate::error::Error;
use crate::packet::publish::packet_id;
use crate::packet::{Qos, Version};
use crate::property::{self, Properties, PropertyId};
use crate::text;
use crate::wire::Input;

/// A decoded SUBSCRIBE with at least one filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subscribe<'a> {
    pub packet_id: u16,
    /// The identifier that deliveries of these subscriptions carry.
    pub subscription_id: Option<u32>,
    filters: &'a [u8],
}

/// One filter of a SUBSCRIBE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filter<'a> {
    pub topic: &'a str,
    pub qos: Qos,
    /// Messages of the connection itself are not delivered to it.
    pub no_local: bool,
    /// Deliveries keep the RETAIN flag of the publisher.
    pub retain_as_published: bool,
    /// 0: retained messages are sent, 1: only if the subscription is new, 2: never.
    pub retain_handling: u8,
}

impl<'a> Subscribe<'a> {
    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut input = Input(body);
        let packet_id = subscription_packet_id(&mut input)?;
        let subscription_id = match version {
            Version::V3 => None,
            Version::V5 => Properties::decode(&mut input, property::SUBSCRIBE)?.number(PropertyId::SubscriptionId),
        };
        let filters = input.0;
        while !input.is_empty() {
            filter(&mut input, version)?;
        }
        if filters.is_empty() { Err(NO_FILTER) } else { Ok(Self { packet_id, subscription_id, filters }) }
    }

    /// The filters in the order in which the SUBACK answers them.
    pub fn filters(&self) -> impl Iterator<Item = Filter<'a>> {
        let mut rest = Input(self.filters);
        // The options of 3.1.1 are those of 5.0 with the upper bits zero, so one reading serves both once checked.
        std::iter::from_fn(move || if rest.is_empty() { None } else { filter(&mut rest, Version::V5).ok() })
    }
}

const NO_FILTER: Error = Error::Malformed("no topic filter");

/// Brokers in the field answer a zero identifier here with 0x81; the specification's 0x82 is for PUBLISH.
fn subscription_packet_id(input: &mut Input<'_>) -> Result<u16, Error> {
    packet_id(input).map_err(|error| Error::Malformed(error.what()))
}

fn filter<'a>(input: &mut Input<'a>, version: Version) -> Result<Filter<'a>, Error> {
    let topic = topic(input)?;
    let options = input.u8()?;
    let qos = Qos::from_bits(options & 3);
    let retain_handling = options >> 4 & 3;
    let reserved = if version == Version::V5 { options & 0xC0 } else { options & 0xFC };
    let (Some(qos), 0..=2, 0) = (qos, retain_handling, reserved) else {
        return Err(Error::Malformed("subscription options with bits that mean nothing"));
    };
    let no_local = options & 4 != 0;
    if no_local && topic.starts_with("$share/") {
        return Err(Error::Protocol("No Local on a shared subscription"));
    }
    Ok(Filter { topic, qos, no_local, retain_as_published: options & 8 != 0, retain_handling })
}

fn topic<'a>(input: &mut Input<'a>) -> Result<&'a str, Error> {
    text::topic_filter(input.binary()?).ok_or(Error::Malformed("a topic filter that is none"))
}

/// A decoded UNSUBSCRIBE with at least one filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsubscribe<'a> {
    pub packet_id: u16,
    filters: &'a [u8],
}

impl<'a> Unsubscribe<'a> {
    pub(crate) fn decode(body: &'a [u8], version: Version) -> Result<Self, Error> {
        let mut input = Input(body);
        let packet_id = subscription_packet_id(&mut input)?;
        if version == Version::V5 {
            Properties::decode(&mut input, property::UNSUBSCRIBE)?;
        }
        let filters = input.0;
        while !input.is_empty() {
            topic(&mut input)?;
        }
        if filters.is_empty() { Err(NO_FILTER) } else { Ok(Self { packet_id, filters }) }
    }

    /// The filters in the order in which the UNSUBACK answers them.
    pub fn filters(&self) -> impl Iterator<Item = &'a str> {
        let mut rest = Input(self.filters);
        std::iter::from_fn(move || if rest.is_empty() { None } else { topic(&mut rest).ok() })
    }
}
