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
