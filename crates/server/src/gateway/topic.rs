//! What a topic name addresses (DESIGN §5): `tenant/{tenant_id}/device/{device_id}/data` and `…/events`, or a free topic.

use model::{DeviceId, PayloadKind, TenantId, limits};
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// Where a publish wants to go. Whether its sender may is the identity's question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// Messages or events of a device.
    Device { tenant: TenantId, device: DeviceId, kind: PayloadKind },
    /// A topic that is local to its tenant.
    Free(&'a str),
    /// Below `tenant/` but no place to publish, or reserved (`$…`), or beyond a limit; with the reason.
    Refused(&'static str),
}

const UUID_LEN: usize = 36;

/// Reads a topic name. Bytes are compared at fixed places; only the two ids are parsed.
pub fn parse(topic: &str) -> Target<'_> {
    if let Some(rest) = topic.strip_prefix("tenant/") {
        return parse_device(rest).unwrap_or(Target::Refused(
            "a device publishes to tenant/{tenant_id}/device/{device_id}/data or …/events, with both ids as UUIDs",
        ));
    }
    if topic.starts_with('$') {
        return Target::Refused("topics that start with $ belong to the server");
    }
    if topic.len() > limits::TOPIC_BYTES_MAX
        || topic.bytes().filter(|byte| *byte == b'/').count() >= limits::TOPIC_LEVELS_MAX
    {
        return Target::Refused("the topic is longer or has more levels than allowed");
    }
    Target::Free(topic)
}

fn parse_device(rest: &str) -> Option<Target<'static>> {
    let (tenant, rest) = parse_uuid(rest)?;
    let (device, rest) = parse_uuid(rest.strip_prefix("/device/")?)?;
    let kind = match rest {
        "/data" => PayloadKind::Data,
        "/events" => PayloadKind::Events,
        _ => return None,
    };
    Some(Target::Device { tenant: TenantId(tenant), device: DeviceId(device), kind })
}

/// The id where a device's topic has it, if the rest is as it should be or not: a guess that costs little.
pub fn device_in(topic: &[u8]) -> Option<DeviceId> {
    const AT: usize = "tenant/".len() + UUID_LEN + "/device/".len();
    Uuid::try_parse_ascii(topic.get(AT..AT + UUID_LEN)?).ok().map(DeviceId)
}

fn parse_uuid(text: &str) -> Option<(Uuid, &str)> {
    let (id, rest) = text.split_at_checked(UUID_LEN)?;
    Some((Uuid::try_parse(id).ok()?, rest))
}
