use super::*;

const T: &str = "11111111-1111-1111-1111-111111111111";
const D: &str = "22222222-2222-2222-2222-222222222222";

fn check(topic: &str, expect: Target<'_>) {
    assert_eq!(parse(topic), expect, "{topic}");
}

fn refused(topic: &str) {
    assert!(matches!(parse(topic), Target::Refused(_)), "{topic}");
}

#[test]
fn a_device_topic_names_tenant_device_and_kind() {
    let device = |kind| Target::Device {
        tenant: TenantId::from_bytes([0x11; 16]),
        device: DeviceId::from_bytes([0x22; 16]),
        kind,
    };
    check(&format!("tenant/{T}/device/{D}/data"), device(PayloadKind::Data));
    check(&format!("tenant/{T}/device/{D}/events"), device(PayloadKind::Events));
}

#[test]
fn a_guess_finds_the_device_and_survives_anything_else() {
    let data = format!("tenant/{T}/device/{D}/data");
    assert_eq!(device_in(data.as_bytes()), Some(DeviceId::from_bytes([0x22; 16])));
    let others = [&data[..data.len() - 6], "plant/1/temperature", ""].map(str::as_bytes);
    others.into_iter().chain([&[0xFF; 100][..]]).for_each(|topic| assert_eq!(device_in(topic), None));
}

#[test]
fn what_is_nearly_a_device_topic_is_refused() {
    refused(&format!("tenant/{T}/device/{D}"));
    refused(&format!("tenant/{T}/device/{D}/data/"));
    refused(&format!("tenant/{T}/device/{D}/commands"));
    refused(&format!("tenant/default/device/{D}/data"));
    refused(&format!("tenant/{T}/device/pump-1/data"));
    refused(&format!("tenant/{T}/Device/{D}/data"));
    refused("tenant/");
    refused("tenant/ü1111111-1111-1111-1111-11111111111/device/x/data");
}

#[test]
fn other_topics_are_free_within_limits() {
    check("plant/1/temperature", Target::Free("plant/1/temperature"));
    check("tenants", Target::Free("tenants"));
    check("/", Target::Free("/"));
    refused("$SYS/broker");
    refused(&"x".repeat(limits::TOPIC_BYTES_MAX + 1));
    refused(&"/".repeat(limits::TOPIC_LEVELS_MAX));
}
