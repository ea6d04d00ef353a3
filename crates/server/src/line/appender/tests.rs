use journal::{Journal, JournalConfig, Topic};
use model::{DeviceIndex, Format, GroupFlags, Partition, PayloadKind, Source, TenantId};

use super::*;
use crate::line::device_table::DeviceTable;

fn appender() -> (Appender<u32>, GroupKey) {
    let clock = Clock::manual(0);
    let journal = Journal::memory(JournalConfig::new(""), clock.clone());
    let devices = Arc::new(DeviceTable::default());
    let source = Source::Topic { tenant: TenantId::from_bytes([1; 16]), topic: "t".into() };
    let device: DeviceIndex = devices.index_of(&source, &Default::default()).expect("room");
    let raw = RawLog::new(journal.log(Topic::Raw, Partition(0)).expect("opens"), devices);
    let key = GroupKey { device, kind: PayloadKind::Data, format: Format::Json, flags: GroupFlags::default() };
    (Appender::new(Arc::new(raw), clock, |_| {}), key)
}

fn released(appender: &mut Appender<u32>) -> Vec<u32> {
    let mut acks = Vec::new();
    appender.release(|ack| acks.push(ack));
    acks
}

#[test]
fn an_ack_leaves_only_behind_its_batch_and_in_order() {
    let (mut appender, key) = appender();
    appender.push(key, b"one");
    appender.ack(1, Durability::Persisted);
    appender.ack(2, Durability::Persisted);
    assert!(released(&mut appender).is_empty(), "nothing was committed");
    assert!(appender.is_due(true));
    appender.commit().expect("commits");
    appender.ack(3, Durability::Persisted);
    assert_eq!(released(&mut appender), [1, 2, 3]);
    assert!(appender.is_settled());
}

/// While the disk is slow a batch takes what comes, and every device in it may have to be bound: with the longest tags that
/// was more than a segment holds, and the log could not take it.
#[test]
fn a_batch_has_no_more_devices_than_can_be_bound_with_it() {
    const DEVICES: u32 = 3000;
    let (mut appender, key) = appender();
    let class: Arc<str> = "pump".into();
    for number in 0..DEVICES {
        let value = format!("{number:0width$}", width = limits::TAG_BYTES_MAX);
        let name = |tag: usize| format!("{tag:0width$}", width = limits::TAG_BYTES_MAX);
        let tags = (0..limits::TAGS_PER_MESSAGE_MAX).map(|tag| (name(tag), value.clone())).collect();
        let profile = Arc::new(model::Profile { schema_id: None, tags });
        let device = model::DeviceId::from_bytes(u128::from(number).to_be_bytes());
        let source = Source::Device { tenant: TenantId::from_bytes([1; 16]), device, class: class.clone() };
        let known = registry::KnownProfile { profile, ..Default::default() };
        let device = appender.raw().devices().index_of(&source, &known).expect("room");
        if !appender.has_room(2) {
            appender.commit().expect("commits");
        }
        appender.push(GroupKey { device, ..key }, b"{}");
        appender.ack(number, Durability::Persisted);
    }
    appender.commit().expect("commits");
    assert_eq!(released(&mut appender), (0..DEVICES).collect::<Vec<_>>());
    let frames = appender.raw().log().read(0, usize::MAX).expect("reads");
    let most = frames.iter().map(|frame| frame.batch.frame().len()).max().expect("there are some");
    assert!(frames.len() > 1 && most <= limits::BATCH_BINDING_BYTES_MAX + limits::BATCH_BYTES_MAX, "{most} bytes");
    let bound = frames.iter().flat_map(|frame| {
        let view = model::BatchView::parse(frame.batch.body()).expect("parses");
        view.controls().map(|control| control.expect("decodes").bindings().count()).collect::<Vec<_>>()
    });
    assert_eq!(bound.sum::<usize>(), DEVICES as usize);
}

#[test]
fn a_batch_is_due_by_idleness_size_or_age() {
    let (mut appender, key) = appender();
    assert!(!appender.is_due(true), "empty");
    appender.push(key, b"x");
    assert!(!appender.is_due(false));
    assert!(appender.is_due(true));
    appender.clock.advance(limits::BATCH_COMMIT_WAIT);
    assert!(appender.is_due(false), "old");
    appender.commit().expect("commits");
    appender.push(key, b"y");
    assert!(!appender.is_due(true), "the batch before is on its way");
    assert_eq!(appender.due_in(true), Some(limits::BATCH_COMMIT_WAIT));
    released(&mut appender);
    assert!(appender.is_due(true), "it has arrived");
    appender.commit().expect("commits");
    appender.push(key, &vec![b'x'; limits::BATCH_COMMIT_BYTES]);
    assert!(appender.is_due(false), "large");
}

#[test]
fn an_ack_without_payload_leaves_at_once_when_nothing_waits() {
    let (mut appender, _) = appender();
    appender.ack(9, Durability::Persisted);
    assert_eq!(released(&mut appender), [9]);
}

#[test]
fn an_early_ack_leaves_once_the_log_has_the_batch() {
    let (mut appender, key) = appender();
    appender.push(key, b"one");
    appender.ack(1, Durability::Memory);
    assert!(released(&mut appender).is_empty(), "not even in the log");
    appender.commit().expect("commits");
    assert_eq!(released(&mut appender), [1]);
    assert!(appender.is_settled());
}

#[test]
fn after_a_failure_of_the_log_only_what_is_said_of_it_leaves() {
    let (mut appender, key) = appender();
    appender.push(key, b"one");
    appender.ack(1, Durability::Persisted);
    appender.abandon();
    appender.control(&Control::SessionEnded { session: model::SessionKey(1) });
    appender.ack(2, Durability::Persisted);
    assert_eq!(released(&mut appender), [2]);
    assert!(appender.is_settled() && !appender.is_due(true));
}
