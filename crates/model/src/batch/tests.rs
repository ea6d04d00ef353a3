use std::sync::Arc;

use super::*;
use crate::ids::{DeviceId, TenantId};

fn key(device: u32) -> GroupKey {
    GroupKey {
        device: DeviceIndex(device),
        kind: PayloadKind::Data,
        format: Format::Json,
        flags: GroupFlags::default(),
    }
}

fn bind(index: u32) -> Control {
    let (tenant, device) = (TenantId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
    Control::bind(DeviceIndex(index), Source::Device { tenant, device, class: Arc::from("pump") })
}

/// Every group as (device, payloads).
fn groups(batch: &Batch) -> Vec<(u32, Vec<Vec<u8>>)> {
    let view = BatchView::parse(batch.body()).expect("a batch that we made");
    view.groups()
        .map(|group| group.expect("a group that we made"))
        .map(|group| (group.key.device.0, group.payloads().map(<[u8]>::to_vec).collect()))
        .collect()
}

#[test]
fn a_run_of_one_device_is_one_group_and_order_is_kept() {
    let mut builder = BatchPool::default().builder();
    assert_eq!(builder.push(key(7), b"a"), 0);
    assert_eq!(builder.push(key(7), b""), 1);
    assert_eq!(builder.push(key(9), b"bc"), 2);
    assert_eq!(builder.push(key(7), b"d"), 3);
    let batch = builder.seal(-5);
    assert_eq!(batch.count(), 4);
    assert_eq!(BatchView::parse(batch.body()).expect("parses").received, -5);
    assert_eq!(groups(&batch), [(7, vec![b"a".to_vec(), vec![]]), (9, vec![b"bc".to_vec()]), (7, vec![b"d".to_vec()])]);
}

#[test]
fn controls_survive_sealing_and_can_be_added_after_it() {
    let all = [
        bind(1),
        Control::Class { tenant: TenantId::from_bytes([1; 16]), class: "pump".into(), rules: Box::default() },
        Control::Held { session: SessionKey(4), packet_id: 5, payload_hash: 6 },
        Control::Released { session: SessionKey(4), packet_id: 5 },
        Control::SessionEnded { session: SessionKey(4) },
    ];
    let mut builder = BatchPool::default().builder();
    builder.push(key(1), b"x");
    all[..2].iter().for_each(|control| builder.control(control));
    let mut batch = builder.seal(0);
    all[2..].iter().for_each(|control| batch.add_control(control));
    let view = BatchView::parse(batch.body()).expect("parses");
    assert_eq!(view.controls().collect::<Result<Vec<_>, _>>().expect("decodes"), all);
    assert_eq!(groups(&batch), [(1, vec![b"x".to_vec()])]);
}

#[test]
fn a_batch_of_controls_takes_one_offset() {
    let mut builder = BatchPool::default().builder();
    assert!(builder.is_empty());
    builder.control(&bind(1));
    assert!(!builder.is_empty());
    assert_eq!(builder.seal(0).count(), 1);
}

#[test]
fn a_dropped_batch_gives_its_buffer_back_clean() {
    let pool = BatchPool::default();
    let mut builder = pool.builder();
    builder.push(key(1), b"old");
    drop(builder.seal(1));
    let mut builder = pool.builder();
    builder.push(key(2), b"new");
    assert_eq!(groups(&builder.seal(2)), [(2, vec![b"new".to_vec()])]);
}

#[test]
fn a_small_batch_that_is_kept_leaves_its_buffer_to_the_next() {
    let pool = BatchPool::default();
    let mut builder = pool.builder();
    builder.push(key(1), b"small");
    let mut batch = builder.seal(1);
    assert_eq!(batch.memory(), limits::BATCH_BUFFER_BYTES);
    batch.compact();
    assert_eq!((batch.memory(), groups(&batch)), (512, vec![(1, vec![b"small".to_vec()])]));
    assert_eq!(pool.0.lock().expect("unharmed").len(), 1);
    drop(batch);
    assert_eq!(pool.0.lock().expect("unharmed").len(), 1, "the small memory does not go round");

    let mut builder = pool.builder();
    builder.push(key(1), &[0; limits::BATCH_BUFFER_BYTES / 2]);
    let mut batch = builder.seal(1);
    batch.compact();
    assert_eq!(batch.memory(), limits::BATCH_BUFFER_BYTES);
}

#[test]
fn a_cut_body_is_refused_at_every_length() {
    let mut builder = BatchPool::default().builder();
    builder.push(key(1), b"payload");
    builder.control(&bind(1));
    let batch = builder.seal(0);
    for len in 0..batch.body().len() {
        assert!(BatchView::parse(&batch.body()[..len]).is_err(), "cut at {len}");
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        if let Ok(view) = BatchView::parse(&bytes) {
            for group in view.groups().flatten() {
                group.payloads().for_each(drop);
            }
            view.controls().for_each(drop);
        }
    }
}
