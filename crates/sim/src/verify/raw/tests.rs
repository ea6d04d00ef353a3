use model::{BatchPool, Format, GroupFlags, GroupKey, Source};

use super::*;

fn key(device: u32, kind: PayloadKind) -> GroupKey {
    GroupKey { device: DeviceIndex(device), kind, format: Format::Json, flags: GroupFlags::default() }
}

fn source(byte: u8) -> (Source, TenantId, DeviceId) {
    let (tenant, device) = (TenantId::from_bytes([9; 16]), DeviceId::from_bytes([byte; 16]));
    (Source::Device { tenant, device, class: "c".into() }, tenant, device)
}

#[test]
fn messages_are_found_with_their_addresses_and_senders() {
    let ((one, tenant, wanted), (other, ..)) = (source(1), source(2));
    let mut messages: RawMessages = [(wanted, Vec::new())].into();
    let mut collector = Collector::new(Partition(0));

    let mut batch = BatchPool::default().builder();
    batch.control(&Control::bind(DeviceIndex(5), one));
    batch.control(&Control::bind(DeviceIndex(6), other));
    batch.push(key(6, PayloadKind::Data), br#"{"seq":1,"boot":3}"#);
    batch.push(key(5, PayloadKind::Data), br#"{"seq":7,"boot":3}"#);
    batch.push(key(5, PayloadKind::Data), br#"[{"seq":8,"boot":3}, {"seq":9,"boot":3}]"#);
    batch.push(key(5, PayloadKind::Events), br#"{"seq":10}"#);
    collector.batch(100, batch.seal(0).body(), &mut messages).unwrap();

    // A later batch of the same segment does not repeat the binding.
    let mut batch = BatchPool::default().builder();
    batch.push(key(5, PayloadKind::Data), b"nonsense");
    collector.batch(104, batch.seal(0).body(), &mut messages).unwrap();

    let found: Vec<_> = messages[&wanted].iter().map(|message| (message.address, message.boot, message.seq)).collect();
    let expect = [
        ((0, 101, 0), Some(3), Some(7)),
        ((0, 102, 0), Some(3), Some(8)),
        ((0, 102, 1), Some(3), Some(9)),
        ((0, 104, 0), None, None),
    ];
    assert_eq!(found, expect);
    assert!(messages[&wanted].iter().all(|message| message.tenant == tenant));
}

#[test]
fn equal_bytes_have_equal_digests_and_others_do_not() {
    let digest = |text: &[u8]| message((0, 0, 0), TenantId::from_bytes([0; 16]), text).digest;
    assert_eq!(digest(br#"{"seq":1}"#), digest(br#"{"seq":1}"#));
    assert_ne!(digest(br#"{"seq":1}"#), digest(br#"{"seq":2}"#));
    assert_ne!(digest(b""), digest(b"\0"));
}
