use super::*;

#[test]
fn durations_read_back_as_they_are_written() {
    for text in ["250ms", "90s", "24m", "7h", "30d", "2w"] {
        let duration = parse_duration(text).expect(text);
        assert_eq!(format_duration(duration), text);
    }
    assert_eq!(parse_duration("24h"), Some(Duration::from_secs(86_400)));
    assert_eq!(format_duration(Duration::from_secs(86_400)), "1d");
    for bad in ["", "1", "h", "-1h", "1.5h", "1 hour", "99999999999999999999s", "18446744073709551615w"] {
        assert_eq!(parse_duration(bad), None, "{bad}");
    }
}

#[test]
fn sizes_read_back_as_they_are_written() {
    for text in ["10GiB", "512MiB", "3KiB", "1kB", "2MB", "7B", "0B"] {
        assert_eq!(format_size(parse_size(text).expect(text)), text);
    }
    for bad in ["", "10", "10 G", "1e9B", "-1B"] {
        assert_eq!(parse_size(bad), None, "{bad}");
    }
}
