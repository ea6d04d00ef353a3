use arrow_array::{Array, Float64Array, Int64Array, StringArray};
use arrow_ipc::reader::StreamReader;

use super::*;

fn column(name: &'static str, cells: Cells) -> Column {
    Column { name, cells }
}

fn table(values: Vec<Option<Value>>) -> Vec<Column> {
    let rows = values.len();
    vec![
        column("ts", Cells::Time((0..rows as i64).map(Some).collect())),
        column("value", Cells::Values(values)),
        column("seq", Cells::Counts((0..rows as u64).map(|at| (at > 0).then_some(u64::MAX)).collect())),
        column("tags", Cells::Texts(vec![Some(r#"{"line":"A,B"}"#.into()); rows])),
    ]
}

#[test]
fn csv_quotes_what_must_be_quoted_and_leaves_absent_values_empty() {
    let values = vec![Some(Value::F64(23.4)), None, Some(Value::Str("".into())), Some(Value::Bool(true))];
    let expect = "ts,value,seq,tags\r\n\
                  0,23.4,,\"{\"\"line\"\":\"\"A,B\"\"}\"\r\n\
                  1,,18446744073709551615,\"{\"\"line\"\":\"\"A,B\"\"}\"\r\n\
                  2,\"\",18446744073709551615,\"{\"\"line\"\":\"\"A,B\"\"}\"\r\n\
                  3,true,18446744073709551615,\"{\"\"line\"\":\"\"A,B\"\"}\"\r\n";
    assert_eq!(String::from_utf8(csv::encode(&table(values))).expect("text"), expect);
}

#[test]
fn csv_numbers_read_back_exactly() {
    for number in [0.1, 1e300, -0.0, 1013.2500000000001, 5e-324] {
        let bytes = csv::encode(&[column("value", Cells::Values(vec![Some(Value::F64(number))]))]);
        let text = String::from_utf8(bytes).expect("text");
        let back: f64 = text.lines().nth(1).expect("a row").parse().expect("a number");
        assert_eq!(back.to_bits(), number.to_bits());
    }
}

fn arrow_values(values: Vec<Option<Value>>) -> arrow_array::ArrayRef {
    let bytes = arrow::encode(table(values), None).expect("encoded");
    let mut reader = StreamReader::try_new(bytes.as_slice(), None).expect("a stream");
    let batch = reader.next().expect("one batch").expect("readable");
    assert!(reader.next().is_none());
    batch.column_by_name("value").expect("a column").clone()
}

#[test]
fn arrow_takes_the_narrowest_type_that_holds_all_values() {
    let numbers = arrow_values(vec![Some(Value::F64(0.5)), None, Some(Value::I64(2))]);
    let numbers = numbers.as_any().downcast_ref::<Float64Array>().expect("doubles");
    assert_eq!((numbers.value(0), numbers.is_null(1), numbers.value(2)), (0.5, true, 2.0));
    let integers = arrow_values(vec![Some(Value::I64(i64::MAX))]);
    assert_eq!(integers.as_any().downcast_ref::<Int64Array>().expect("integers").value(0), i64::MAX);
    let texts = arrow_values(vec![Some(Value::Str("on".into())), Some(Value::F64(1.5))]);
    assert_eq!(texts.as_any().downcast_ref::<StringArray>().expect("texts").value(1), "1.5");
    assert_eq!(arrow_values(vec![]).len(), 0);
}

#[test]
fn the_form_follows_from_the_accept_header() {
    for (accept, expect) in [
        ("", Some(Form::Json)),
        ("*/*", Some(Form::Json)),
        ("text/csv", Some(Form::Csv)),
        ("text/html, Text/CSV;q=0.9, */*", Some(Form::Csv)),
        ("application/vnd.apache.arrow.stream", Some(Form::Arrow)),
        ("image/png", None),
    ] {
        assert_eq!(Form::accepted(accept), expect, "{accept}");
    }
}
