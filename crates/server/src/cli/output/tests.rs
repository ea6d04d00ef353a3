use super::*;

#[test]
fn numbers_stand_to_the_right_and_words_to_the_left() {
    let rows = vec![vec!["a".to_owned(), "1.5".to_owned()], vec!["long name".to_owned(), "10".to_owned()]];
    let expect = "name       value\na            1.5\nlong name     10\n";
    assert_eq!(format_table(&["name", "value"], &rows), expect);
}

#[test]
fn a_sparkline_shows_the_least_the_greatest_and_gaps() {
    assert_eq!(sparkline(&[Some(0.0), None, Some(7.0), Some(3.0)], 80), "▁ █▄");
    assert_eq!(sparkline(&[Some(2.0), Some(2.0)], 80), "▄▄");
    assert_eq!(sparkline(&[Some(0.0), Some(2.0), Some(8.0), Some(8.0)], 2), "▁█");
    assert_eq!(sparkline(&[], 80), "");
}
