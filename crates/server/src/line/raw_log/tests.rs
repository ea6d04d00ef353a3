use journal::{Journal, JournalConfig, Topic};
use model::{BatchPool, Clock, Control, Format, GroupFlags, GroupKey, Partition, PayloadKind, Source, TenantId};

use super::*;

fn raw() -> RawLog {
    let journal = Journal::memory(JournalConfig::new(""), Clock::manual(0));
    RawLog::new(journal.log(Topic::Raw, Partition(0)).expect("opens"), Arc::new(DeviceTable::default()))
}

fn batch(devices: &[u32]) -> Batch {
    let mut builder = BatchPool::default().builder();
    for device in devices {
        let key = GroupKey {
            device: DeviceIndex(*device),
            kind: PayloadKind::Data,
            format: Format::Json,
            flags: GroupFlags::default(),
        };
        builder.push(key, b"{}");
    }
    builder.seal(0)
}

/// The indices that the batch at `offset` binds.
fn bound(raw: &RawLog, offset: Offset) -> Vec<u32> {
    let frames = raw.log().read(offset, 1).expect("reads");
    let view = BatchView::parse(frames[0].batch.body()).expect("parses");
    let bound = |control: Control| control.bindings().map(|(index, _)| index.0).collect::<Vec<_>>();
    view.controls().flat_map(|control| bound(control.expect("decodes"))).collect()
}

#[test]
fn an_index_is_bound_once_where_it_is_first_used() {
    let raw = raw();
    for name in ["a", "b", "c"] {
        let source = Source::Topic { tenant: TenantId::from_bytes([1; 16]), topic: name.into() };
        raw.devices().index_of(&source, &Default::default()).expect("room");
    }
    assert_eq!(raw.append(batch(&[0, 1, 0])).expect("appends"), 0..3);
    assert_eq!(raw.append(batch(&[1, 2])).expect("appends"), 3..5);
    assert_eq!(raw.append(batch(&[0])).expect("appends"), 5..6);
    assert_eq!(bound(&raw, 0), [0, 1]);
    assert_eq!(bound(&raw, 3), [2]);
    assert!(bound(&raw, 5).is_empty());
}

#[test]
fn another_profile_is_bound_by_the_batch_that_uses_it_next() {
    let raw = raw();
    let source = |number: u8| Source::Device {
        tenant: TenantId::from_bytes([1; 16]),
        device: model::DeviceId::from_bytes([number; 16]),
        class: "pump".into(),
    };
    for number in 0..2 {
        raw.devices().index_of(&source(number), &Default::default()).expect("room");
    }
    raw.append(batch(&[0, 1])).expect("appends");
    let profile = Arc::new(model::Profile { schema_id: None, tags: vec![("site".to_owned(), "north".to_owned())] });
    let known = registry::KnownProfile { profile, ..Default::default() };
    raw.devices().index_of(&source(1), &known).expect("room");
    raw.append(batch(&[0])).expect("appends");
    raw.append(batch(&[0, 1])).expect("appends");
    raw.append(batch(&[0, 1])).expect("appends");
    assert_eq!([0, 2, 3, 5].map(|offset| bound(&raw, offset)), [vec![0, 1], vec![], vec![1], vec![]]);
}
