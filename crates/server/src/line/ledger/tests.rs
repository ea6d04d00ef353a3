use journal::{Journal, JournalConfig, Topic};
use model::dead_letter::Rejection;
use model::{DeadLetter, Format, Partition, PayloadKind, Source};

use super::*;
use crate::line::dead_letters::DeadLetterWriter;

const HOUR: Millis = 3_600_000;

fn tenant(number: u8) -> TenantId {
    TenantId::from_bytes([number; 16])
}

fn at(offset: Offset) -> Address {
    Address { partition: Partition(0), offset, index: 0 }
}

/// A letter of 100 bytes, so that it counts 300.
fn letter(of: u8, offset: Offset, received: Millis) -> Entry {
    Entry::Letter(DeadLetter {
        address: at(offset),
        source: Source::Topic { tenant: tenant(of), topic: "t".into() },
        kind: PayloadKind::Data,
        format: Format::Json,
        reason: Reason::NotAMessage,
        detail: String::new(),
        path: String::new(),
        schema: None,
        received,
        payload: vec![b' '; 100],
    })
}

fn tried(of: u8, origin: Offset, offset: Offset, rejected: Option<Reason>) -> Entry {
    let rejected = rejected.map(|reason| Rejection { reason, path: String::new(), detail: String::new() });
    let (origin, address, tenant) = (at(origin), at(offset), tenant(of));
    Entry::Replayed(Replayed { origin, address, tenant, bytes: 100, at: 7, rejected })
}

fn book(entries: &[Entry]) -> Book {
    let mut book = Book::default();
    (0..).zip(entries).for_each(|(offset, entry)| book.enter(offset, entry));
    book
}

#[test]
fn tries_are_counted_and_one_that_passed_stays_so() {
    let wrong = Some(Reason::WrongType);
    let book =
        book(&[letter(1, 1, 0), letter(1, 2, 0), tried(1, 1, 3, wrong), tried(1, 1, 4, None), tried(1, 1, 5, wrong)]);
    let expect = Tries { count: 3, at: 7, passed: true, rejected: wrong, offset: 4 };
    assert_eq!(book.tries.get(&at(1)), Some(&expect));
    assert_eq!(book.tries.get(&at(2)), None);
    assert_eq!(book.bytes, HashMap::from([(tenant(1), 300)]));
}

#[test]
fn bytes_are_of_letters_that_are_kept_and_have_not_passed() {
    let mut entries: Vec<Entry> =
        (0..3 * STRETCH_ENTRIES).map(|offset| letter((offset % 2) as u8, offset, 0)).collect();
    // Two tries at once may both pass: it counts once.
    entries.extend([tried(0, 0, 20_000, None), tried(0, 0, 20_001, None), tried(1, 12_287, 20_002, None)]);
    let mut book = book(&entries);
    let half = 3 * STRETCH_ENTRIES / 2 * 300;
    assert_eq!(book.bytes, HashMap::from([(tenant(0), half - 300), (tenant(1), half - 300)]));

    // The log lets the first two thirds go, and with them what one of the letters was released from.
    assert!(!book.forget(STRETCH_ENTRIES - 1, Millis::MIN));
    assert!(book.forget(2 * STRETCH_ENTRIES, Millis::MIN));
    let third = STRETCH_ENTRIES / 2 * 300;
    assert_eq!(book.bytes, HashMap::from([(tenant(0), third), (tenant(1), third - 300)]));
    assert_eq!(book.tries.keys().collect::<Vec<_>>(), [&at(12_287)]);
    // A try whose letter is gone changes nothing.
    book.enter(20_003, &tried(0, 2, 20_003, None));
    assert_eq!(book.bytes[&tenant(0)], third);
    assert!(book.forget(Offset::MAX, Millis::MIN));
    assert_eq!((book.bytes.len(), book.tries.len()), (0, 0));
}

#[test]
fn letters_that_are_too_old_do_not_count() {
    let mut book = book(&[letter(1, 1, 0), letter(1, 2, HOUR - 1), letter(1, 3, HOUR), letter(1, 4, 2 * HOUR - 1)]);
    assert_eq!(book.bytes[&tenant(1)], 1200);
    assert!(book.forget(0, HOUR));
    assert_eq!(book.bytes[&tenant(1)], 600);
}

#[tokio::test]
async fn a_tenant_at_its_quota_is_known_until_it_has_less_and_others_are_not_touched() {
    let clock = Clock::manual(0);
    let journal = Journal::memory(JournalConfig::new(""), clock.clone());
    let log = journal.log(Topic::DeadLetter, Partition(0)).expect("opens");
    let mut writer = DeadLetterWriter::open(log.clone()).expect("opens");
    writer.append(&[letter(1, 1, 0), letter(2, 2, 0)]).expect("appends");
    let (ledger, thread) = Ledger::start(log.clone(), clock, Duration::MAX).expect("starts");
    let settled = async |offset| assert!(ledger.wait_reached(offset, Duration::from_secs(60)).await);

    settled(2).await;
    assert_eq!((ledger.generation(), ledger.used_up(tenant(1))), (0, None));
    ledger.set_quota(tenant(1), Some(301));
    assert_eq!((ledger.generation(), ledger.used_up(tenant(1))), (0, None));
    writer.append(&[letter(1, 3, 0), letter(2, 4, 0)]).expect("appends");
    settled(4).await;
    assert_eq!(ledger.used_up(tenant(1)), Some(Quota { bytes: 600, bytes_max: 301 }));
    assert_eq!(ledger.used_up(tenant(2)), None);
    assert_eq!(ledger.generation(), 1);

    ledger.set_quota(tenant(1), Some(601));
    assert_eq!((ledger.generation(), ledger.used_up(tenant(1))), (2, None));
    ledger.set_quota(tenant(1), Some(0));
    assert_eq!(ledger.generation(), 3);
    writer.append(&[tried(1, 1, 5, None), tried(1, 3, 6, None)]).expect("appends");
    settled(6).await;
    // It has none any more, so that even a quota of nothing lets it send.
    assert_eq!((ledger.generation(), ledger.used_up(tenant(1))), (4, None));
    assert_eq!(ledger.pending_bytes(), 600);
    thread.stop();

    // Read again from the log it is the same.
    let (again, thread) = Ledger::start(log, Clock::manual(0), Duration::MAX).expect("starts");
    assert!(again.wait_reached(6, Duration::from_secs(60)).await);
    assert_eq!(again.tries(at(1)), ledger.tries(at(1)));
    assert!(again.passed(at(3)) && !again.passed(at(2)));
    thread.stop();
}
