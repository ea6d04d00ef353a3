//! Tables as an Arrow IPC stream of one record batch.
//!
//! A column of values takes the narrowest type that holds them all: boolean, 64-bit integer, double, else text.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Field, Schema};
use model::ValueKind;
use store::Value;

use super::{Cells, Column};

/// The table's bytes; the unit of its values stands in the schema's metadata, as `unit`.
pub fn encode(columns: Vec<Column>, unit: Option<&str>) -> Result<Vec<u8>, ArrowError> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for column in columns {
        let array = array(column.cells);
        fields.push(Field::new(column.name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let metadata = unit.into_iter().map(|unit| ("unit".to_owned(), unit.to_owned()));
    let schema = Arc::new(Schema::new(fields).with_metadata(metadata.collect()));
    let batch = RecordBatch::try_new(schema.clone(), arrays)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    writer.finish()?;
    writer.into_inner()
}

fn array(cells: Cells) -> ArrayRef {
    match cells {
        Cells::Time(cells) => Arc::new(TimestampMillisecondArray::from(cells).with_timezone("UTC")),
        Cells::Counts(cells) => Arc::new(UInt64Array::from(cells)),
        Cells::Texts(cells) => Arc::new(cells.iter().map(Option::as_deref).collect::<StringArray>()),
        Cells::Flags(cells) => Arc::new(BooleanArray::from(cells)),
        Cells::Values(cells) => values(&cells),
    }
}

fn values(cells: &[Option<Value>]) -> ArrayRef {
    let all = |kinds: &[ValueKind]| cells.iter().flatten().all(|value| kinds.contains(&value.kind()));
    let present = cells.iter().any(Option::is_some);
    if present && all(&[ValueKind::Bool]) {
        let flag = |value: &Value| matches!(value, Value::Bool(true));
        return Arc::new(cells.iter().map(|cell| cell.as_ref().map(flag)).collect::<BooleanArray>());
    }
    if present && all(&[ValueKind::I64]) {
        let integer = |value: &Value| if let Value::I64(integer) = value { Some(*integer) } else { None };
        return Arc::new(cells.iter().map(|cell| cell.as_ref().and_then(integer)).collect::<Int64Array>());
    }
    if all(&[ValueKind::Bool, ValueKind::I64, ValueKind::F64]) {
        return Arc::new(cells.iter().map(|cell| cell.as_ref().and_then(number)).collect::<Float64Array>());
    }
    Arc::new(cells.iter().map(|cell| cell.as_ref().map(text)).collect::<StringArray>())
}

/// The value as a double; `None` for text.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::F64(number) => Some(*number),
        Value::I64(integer) => Some(*integer as f64),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Str(_) => None,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::F64(number) => format!("{number:?}"),
        Value::I64(integer) => integer.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Str(text) => text.to_string(),
    }
}
