use journal::{Journal, JournalConfig, Topic};
use model::{Clock, Format, Partition, PayloadKind, Reason, Replayed, Source, TenantId};

use super::*;

fn at(offset: Offset, index: u32) -> Address {
    Address { partition: Partition(0), offset, index }
}

fn letter(offset: Offset, index: u32) -> Entry {
    Entry::Letter(DeadLetter {
        address: at(offset, index),
        source: Source::Topic { tenant: TenantId::from_bytes([1; 16]), topic: "t".into() },
        kind: PayloadKind::Data,
        format: Format::Json,
        reason: Reason::NotAMessage,
        detail: "a detail".into(),
        path: "/metrics".into(),
        schema: None,
        received: 5,
        payload: b"{}".to_vec(),
    })
}

fn replayed(origin: Address, offset: Offset) -> Entry {
    let tenant = TenantId::from_bytes([1; 16]);
    Entry::Replayed(Replayed { origin, address: at(offset, 0), tenant, bytes: 2, at: 6, rejected: None })
}

#[test]
fn deriving_again_writes_no_letter_twice() {
    let journal = Journal::memory(JournalConfig::new(""), Clock::manual(0));
    let log = journal.log(Topic::DeadLetter, Partition(0)).expect("opens");
    let mut writer = DeadLetterWriter::open(log.clone()).expect("opens");
    writer.append(&[letter(1, 0), letter(1, 2)]).expect("appends");
    writer.append(&[]).expect("appends nothing");

    let mut again = DeadLetterWriter::open(log.clone()).expect("opens");
    again.append(&[letter(1, 0), letter(1, 2), letter(4, 0)]).expect("appends the new one");
    let letters: Vec<_> =
        read(&log, 1).expect("reads").into_iter().map(|(offset, it)| (offset, it.address())).collect();
    assert_eq!(letters, [(1, at(1, 2)), (2, at(4, 0))]);
}

#[test]
fn a_try_stands_behind_the_letters_of_its_payload_and_neither_is_written_twice() {
    let journal = Journal::memory(JournalConfig::new(""), Clock::manual(0));
    let log = journal.log(Topic::DeadLetter, Partition(0)).expect("opens");
    let entries = [letter(5, 0), letter(5, 3), replayed(at(1, 0), 5)];
    DeadLetterWriter::open(log.clone()).expect("opens").append(&entries).expect("appends");

    DeadLetterWriter::open(log.clone()).expect("opens").append(&entries).expect("appends nothing");
    let kept: Vec<_> = read(&log, 0).expect("reads").into_iter().map(|(_, entry)| entry).collect();
    assert_eq!(kept, entries);
    for (address, found) in
        [(at(5, 0), true), (at(5, 3), true), (at(5, 1), false), (at(4, 0), false), (at(9, 0), false)]
    {
        assert_eq!(find(&log, address).expect("reads").map(|it| it.address), found.then_some(address));
    }
}
