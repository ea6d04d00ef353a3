use crate::DeviceId;

use super::*;

fn at(offset: u64, index: u32) -> Address {
    Address { partition: Partition(3), offset, index }
}

fn letter(schema: Option<SchemaOf>) -> DeadLetter {
    let (tenant, device) = (TenantId::from_bytes([1; 16]), DeviceId::from_bytes([2; 16]));
    DeadLetter {
        address: at(70_000, 9),
        source: Source::Device { tenant, device, class: "pump".into() },
        kind: PayloadKind::Events,
        format: Format::Cbor,
        reason: Reason::OutOfRange,
        detail: "a detail".into(),
        path: "/metrics/a".into(),
        schema,
        received: -5,
        payload: vec![0, 255],
    }
}

#[test]
fn entries_are_read_back_as_they_were_written() {
    let schema = SchemaOf { schema_id: Uuid::from_bytes([7; 16]), id: 12, version: 3 };
    let passed = Replayed {
        origin: at(70_000, 9),
        address: at(80_000, 0),
        tenant: TenantId::from_bytes([1; 16]),
        bytes: 2,
        at: 6,
        rejected: None,
    };
    let rejection = Rejection { reason: Reason::WrongType, path: "/a".into(), detail: "b".into() };
    let entries = [
        Entry::Letter(letter(None)),
        Entry::Letter(letter(Some(schema))),
        Entry::Replayed(passed.clone()),
        Entry::Replayed(Replayed { rejected: Some(rejection), ..passed }),
    ];
    let mut stored = Vec::new();
    entries.iter().for_each(|entry| entry.encode(&mut stored));
    let mut rest = stored.as_slice();
    for entry in &entries {
        assert_eq!(Entry::decode(&mut rest).as_ref(), Ok(entry));
    }
    assert!(rest.is_empty());
    for len in 0..stored.len() {
        let mut cut = &stored[..len];
        while Entry::decode(&mut cut).is_ok() {}
    }
    assert_eq!(Entry::decode(&mut [3_u8].as_slice()), Err(Short));
}

#[test]
fn reasons_have_codes_and_tags_of_their_own() {
    for (number, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(Reason::from_tag(*reason as u8), Some(*reason));
        assert!(Reason::ALL[..number].iter().all(|other| other.code() != reason.code()));
    }
}
