use super::*;

const RUN: Run = Run { seed: 7, boot: 3, shape: Shape::Two, started: 1_700_000_000_000 };

fn devices(count: u8) -> Arc<[DeviceId]> {
    (0..count).map(|byte| DeviceId::from_bytes([byte; 16])).collect()
}

fn ranges(ranges: &[(u64, u64)]) -> Ranges {
    ranges.iter().copied().collect()
}

fn log(records: &[Record]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    records.iter().for_each(|record| record.encode(&mut bytes));
    bytes
}

fn sample() -> Vec<Record> {
    let tenant = TenantId::from_bytes([9; 16]);
    vec![
        Record::Run(RUN),
        Record::Stream { stream: 0, tenant, first_seq: 1, devices: devices(2) },
        Record::Sent { stream: 0, from: 0, to: 100 },
        Record::Acked { stream: 0, from: 0, to: 10 },
        Record::Acked { stream: 0, from: 10, to: 21 },
        Record::Refused { stream: 0, from: 21, to: 22 },
    ]
}

#[test]
fn a_log_reads_back_as_ranges() {
    let logged = parse(&log(&sample())).unwrap();
    let stream = &logged.streams[0];
    assert_eq!((stream.run, stream.first_seq, stream.devices.len()), (RUN, 1, 2));
    assert_eq!(stream.sent, ranges(&[(0, 100)]));
    assert_eq!(stream.acked, ranges(&[(0, 21)]));
    assert_eq!(stream.refused, ranges(&[(21, 22)]));
    assert_eq!((logged.torn_bytes, logged.next_boot), (0, 4));
}

#[test]
fn the_layout_is_as_documented() {
    let mut bytes = Vec::new();
    Record::Acked { stream: 1, from: 2, to: 3 }.encode(&mut bytes);
    assert_eq!(&bytes[..4], [21, 0, 0, 0]);
    assert_eq!(&bytes[8..], [4, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn an_end_replaces_what_was_reserved_by_what_was_sent() {
    let records = [sample(), vec![Record::End { stream: 0, to: 22 }]].concat();
    assert_eq!(parse(&log(&records)).unwrap().streams[0].sent, ranges(&[(0, 22)]));
}

#[test]
fn runs_number_their_own_streams() {
    let next = Run { boot: 9, ..RUN };
    let stream = Record::Stream { stream: 0, tenant: TenantId::from_bytes([9; 16]), first_seq: 1, devices: devices(1) };
    let records = [sample(), vec![Record::Run(next), stream, Record::Sent { stream: 0, from: 0, to: 5 }]].concat();
    let logged = parse(&log(&records)).unwrap();
    assert_eq!(logged.streams[1].sent, ranges(&[(0, 5)]));
    assert_eq!(logged.streams[0].sent, ranges(&[(0, 100)]));
    assert_eq!(logged.next_boot, 10);
}

#[test]
fn a_torn_or_damaged_record_ends_the_log() {
    let whole = log(&sample());
    let last = whole.len() - log(&sample()[..5]).len();
    for cut in 1..last {
        let logged = parse(&whole[..whole.len() - cut]).unwrap();
        assert!(logged.streams[0].refused.is_empty());
        assert_eq!(logged.torn_bytes, (last - cut) as u64);
    }
    let mut damaged = whole;
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(parse(&damaged).unwrap().torn_bytes, last as u64);
}

#[test]
fn what_is_not_a_log_is_refused() {
    assert!(parse(b"hello").is_err());
    assert!(parse(&log(&sample()[1..])).is_err());
    assert!(parse(&log(&[Record::Run(RUN), Record::Sent { stream: 0, from: 0, to: 1 }])).is_err());
}

#[test]
fn numbers_of_a_stream_become_seqs_of_its_devices() {
    let mut stream = parse(&log(&sample())).unwrap().streams.remove(0);
    // Device 0 has numbers 0, 2, 4 … and seqs 1, 2, 3 …
    assert_eq!(stream.seqs(&stream.acked, 0), ranges(&[(1, 12)]));
    assert_eq!(stream.seqs(&stream.acked, 1), ranges(&[(1, 11)]));
    assert_eq!(stream.seqs(&stream.refused, 0), ranges(&[]));
    assert_eq!(stream.seqs(&stream.refused, 1), ranges(&[(11, 12)]));
    stream.devices = devices(1);
    assert_eq!(stream.seqs(&stream.acked, 0), ranges(&[(1, 22)]));
}

#[test]
fn ranges_merge_where_they_touch() {
    let mut all = ranges(&[(10, 20), (30, 40), (50, 60)]);
    all.insert(20, 30);
    assert_eq!(all, ranges(&[(10, 40), (50, 60)]));
    all.insert(0, 100);
    assert_eq!(all, ranges(&[(0, 100)]));
    all.insert(100, 100);
    assert_eq!((all.count(), all.contains(99), all.contains(100)), (100, true, false));
}

#[test]
fn a_log_is_written_ahead_and_continued() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acked.log");
    assert_eq!(AckedLog::next_boot(&path).unwrap(), 1);
    let tenant = TenantId::from_bytes([9; 16]);
    let open = |run| AckedLog::open(&path, run, tenant, &[(1, devices(1)), (1, devices(2))]).unwrap();

    let log = open(RUN);
    let gauges = log.gauges();
    assert!(gauges.iter().all(|gauge| gauge.reserved() > 100_000), "reserved before the first message");
    assert!(read(&path).unwrap().streams[1].sent.contains(100_000), "and on disk before that");
    gauges[0].progress(10, 8);
    gauges[0].refused(9);
    log.close().unwrap();
    let logged = read(&path).unwrap();
    assert_eq!((&logged.streams[0].sent, &logged.streams[0].acked), (&ranges(&[(0, 10)]), &ranges(&[(0, 8)])));
    assert_eq!(logged.streams[0].refused, ranges(&[(9, 10)]));

    // A generator that died while it wrote: the next run cuts what is torn.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [bytes.as_slice(), &[1, 2, 3]].concat()).unwrap();
    open(Run { boot: AckedLog::next_boot(&path).unwrap(), ..RUN }).close().unwrap();
    let logged = read(&path).unwrap();
    assert_eq!((logged.streams.len(), logged.torn_bytes, logged.next_boot), (4, 0, 5));
}
