use journal::{Journal, JournalConfig, Topic};
use model::{Clock, Format, Partition, PayloadKind, Reason, Source, TenantId};

use super::*;

fn letter(offset: Offset, index: u32) -> DeadLetter {
    DeadLetter {
        address: Address { partition: Partition(0), offset, index },
        source: Source::Topic { tenant: TenantId::from_bytes([1; 16]), topic: "t".into() },
        kind: PayloadKind::Data,
        format: Format::Json,
        reason: Reason::NotAMessage,
        detail: "a detail".into(),
        path: "/metrics".into(),
        received: 5,
        payload: b"{}".to_vec(),
    }
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
    let letters: Vec<_> = read(&log, 1).expect("reads").into_iter().map(|(at, letter)| (at, letter.address)).collect();
    assert_eq!(letters, [(1, letter(1, 2).address), (2, letter(4, 0).address)]);
}
