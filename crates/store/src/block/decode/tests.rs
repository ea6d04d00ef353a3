use super::*;

#[test]
fn bytes_that_end_early_are_refused() {
    // A header as it is written: type 0, sizes 16 and 16, two values, plain, levels as runs.
    let header = [0x15, 0, 0x15, 32, 0x15, 32, 0x2c, 0x15, 4, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
    let page: Vec<u8> = header.into_iter().chain([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]).collect();
    let of = Stored { physical: PhysicalType::INT64, compression: Compression::UNCOMPRESSED, optional: false };
    let decode = |bytes: &[u8], rows: Range<usize>| {
        let mut cells = Cells::default();
        Decoder::default().page(bytes, of, rows, &mut cells).map(|_| cells.finish().values)
    };
    assert_eq!(decode(&page, 0..2), Ok(vec![1, 2]));
    assert_eq!(decode(&page, 1..2), Ok(vec![2]));
    assert!(decode(&page, 0..3).is_err());
    for len in 0..page.len() {
        assert_eq!(decode(&page[..len], 0..2), Err(Undecoded::Damaged), "{len}");
    }
}

#[test]
fn packed_numbers_of_every_width_are_unpacked() {
    for width in 1..=64u32 {
        let mask = u64::MAX >> (64 - width);
        let number = |at: u64| at.wrapping_mul(0x9E37_79B9_7F4A_7C15) & mask;
        let mut bits = vec![0u8; 4 * width as usize];
        for (at, bit) in (0..32u64).flat_map(|at| (0..width).map(move |bit| (at, bit))) {
            let place = at as usize * width as usize + bit as usize;
            bits[place / 8] |= ((number(at) >> bit & 1) as u8) << (place % 8);
        }
        let mut found = [0; 32];
        hybrid::unpack(&bits, width, &mut found).unwrap();
        assert_eq!(found.to_vec(), (0..32).map(number).collect::<Vec<_>>(), "{width}");
    }
}

#[test]
fn a_run_goes_on_beyond_what_is_wanted_and_begins_before() {
    // A run of 100 sevens, then 8 numbers of 3 bits: 0 to 7.
    let bytes = [200, 1, 7, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
    let decode = |wanted: Range<usize>| {
        let mut out = Vec::new();
        hybrid::decode(&bytes, 3, wanted, &mut out).map(|()| out)
    };
    assert_eq!(decode(98..104), Ok(vec![7, 7, 0, 1, 2, 3]));
    assert_eq!(decode(5..7), Ok(vec![7, 7]));
    assert!(decode(0..109).is_err());
    assert!(hybrid::is_run(&bytes, 3, 100, 7));
    assert!(!hybrid::is_run(&bytes, 3, 101, 7));
}
