use super::*;

fn identity() -> Identity {
    Identity {
        topic: Topic::DeadLetter,
        partition: Partition(3),
        recycled: true,
        id: 42,
        generation: 0x1122_3344_5566_7788,
        file_bytes: 1 << 26,
        made_ms: -5,
    }
}

fn beginning() -> Beginning {
    Beginning { id: 42, generation: 7, base: 1000, watermark: 990, log_time: Duration::from_millis(1234) }
}

#[test]
fn head_records_read_back_and_any_flipped_bit_is_seen() {
    let path = Path::new("x");
    let (first, second) = (identity().encode(), beginning().encode());
    assert_eq!(Identity::decode(&first, path).unwrap(), Some(identity()));
    assert_eq!(Beginning::decode(&second, path).unwrap(), Some(beginning()));
    assert_eq!(Identity::decode(&second, path).unwrap(), None);
    assert_eq!(Identity::decode(&first[..63], path).unwrap(), None);
    for bit in 0..512 {
        let flip = |record: &[u8; 64]| {
            let mut bytes = *record;
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        assert_eq!(Identity::decode(&flip(&first), path).unwrap(), None, "bit {bit}");
        assert_eq!(Beginning::decode(&flip(&second), path).unwrap(), None, "bit {bit}");
    }
}

#[test]
fn a_newer_version_is_named() {
    let mut record = identity().encode().to_vec();
    record[8] = 9;
    record.truncate(CRC_AT);
    let record = finish(record);
    let error = Identity::decode(&record, Path::new("x")).unwrap_err();
    assert_eq!(error.to_string(), "x has format version 9, and this program knows 1: use the version that wrote it");
}

#[test]
fn file_names_sort_as_their_ids_and_others_are_left_alone() {
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let dir = Path::new("d");
    assert_eq!(name(path(dir, 255)), "00000000000000ff.segment");
    assert_eq!(FileName::parse(&name(path(dir, 255))), FileName::Segment(255));
    assert_eq!(FileName::parse(&name(spare_path(dir, 9))), FileName::Spare(9));
    for other in ["lock", "ff.segment", "00000000000000fg.segment", "spare-.segment", "00000000000000ff.segment.bak"] {
        assert_eq!(FileName::parse(other), FileName::Other, "{other}");
    }
}
