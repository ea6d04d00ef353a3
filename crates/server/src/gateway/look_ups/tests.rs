use super::*;

/// A PUBLISH with QoS 1 as MQTT 3.1.1 has it.
fn publish(topic: &str) -> Vec<u8> {
    let mut packet = vec![0x32, (topic.len() + 6) as u8, 0, topic.len() as u8];
    packet.extend_from_slice(topic.as_bytes());
    packet.extend_from_slice(&[0, 1, b'{', b'}']);
    packet
}

#[test]
fn devices_are_read_ahead_from_whole_packets() {
    let (tenant, other) = (TenantId::random(), TenantId::random());
    let ids: Vec<DeviceId> = (0..4).map(|_| DeviceId::random()).collect();
    let topic = |tenant: TenantId, id: DeviceId, end: &str| format!("tenant/{tenant}/device/{id}/{end}");
    let mut input = [
        publish(&topic(tenant, ids[0], "data")),
        vec![0xC0, 0],
        publish("free/topic"),
        publish(&topic(tenant, ids[1], "events")),
        publish(&topic(other, ids[2], "data")),
        publish(&topic(tenant, ids[2], "elsewhere")),
        publish(&topic(tenant, ids[3], "data")),
    ]
    .concat();
    let found = |input: &[u8]| named_devices(input, 1 << 20, tenant).collect::<Vec<_>>();
    assert_eq!(found(&input), [ids[0], ids[1], ids[3]]);
    input.pop();
    assert_eq!(found(&input), [ids[0], ids[1]], "the last packet is not whole");
    assert!(found(&[]).is_empty());
    assert!(found(&[0x00, 0x00]).is_empty(), "no packet at all");
    assert!(found(&[0x32, 1, 0]).is_empty(), "no room for a topic");
}
