//! The Parquet schema of a block, and how a block's columns are named.
//!
//! Fixed columns come first; then one optional column per metric, named by the metric. Of two columns that would have
//! the same name (a metric that came with two types, or one that is named like a fixed column) the later one gets its
//! type as a suffix: `status (string)`. A blank cannot stand in a metric's name.

use std::sync::Arc;

use model::{ColumnKey, ValueKind};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::schema::types::{Type, TypePtr};

/// The fixed columns, by position in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Fixed {
    DeviceId,
    Ts,
    Received,
    Seq,
    Boot,
    Buffered,
    Tags,
}

impl Fixed {
    pub const ALL: [Self; 7] =
        [Self::DeviceId, Self::Ts, Self::Received, Self::Seq, Self::Boot, Self::Buffered, Self::Tags];

    pub const fn name(self) -> &'static str {
        match self {
            Self::DeviceId => "device_id",
            Self::Ts => "ts",
            Self::Received => "received",
            Self::Seq => "seq",
            Self::Boot => "boot",
            Self::Buffered => "buffered",
            Self::Tags => "tags",
        }
    }

    fn parquet(self) -> Result<Type, parquet::errors::ParquetError> {
        let millis = || Some(LogicalType::timestamp(true, TimeUnit::MILLIS));
        let integer = |bits| Some(LogicalType::integer(bits, false));
        let (physical, logical, repetition) = match self {
            Self::DeviceId => (PhysicalType::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid), Repetition::REQUIRED),
            Self::Ts => (PhysicalType::INT64, millis(), Repetition::REQUIRED),
            Self::Received => (PhysicalType::INT64, millis(), Repetition::OPTIONAL),
            Self::Seq => (PhysicalType::INT64, integer(64), Repetition::OPTIONAL),
            Self::Boot => (PhysicalType::INT32, integer(32), Repetition::OPTIONAL),
            Self::Buffered => (PhysicalType::BOOLEAN, None, Repetition::REQUIRED),
            Self::Tags => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String), Repetition::OPTIONAL),
        };
        let length = if self == Self::DeviceId { 16 } else { -1 };
        Type::primitive_type_builder(self.name(), physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .with_length(length)
            .build()
    }
}

/// The names that the columns have in the file.
pub fn names(columns: &[&ColumnKey]) -> Vec<String> {
    let mut taken: Vec<String> = Fixed::ALL.iter().map(|fixed| fixed.name().to_owned()).collect();
    for key in columns {
        let plain = key.name.to_string();
        let name = if taken.contains(&plain) { format!("{plain} ({})", key.kind.name()) } else { plain };
        taken.push(name);
    }
    taken.split_off(Fixed::ALL.len())
}

/// The schema of a block with these metrics' columns, named as [`names`] says.
pub fn schema(columns: &[&ColumnKey], names: &[String]) -> Result<TypePtr, parquet::errors::ParquetError> {
    let mut fields = Vec::with_capacity(Fixed::ALL.len() + columns.len());
    for fixed in Fixed::ALL {
        fields.push(Arc::new(fixed.parquet()?));
    }
    for (key, name) in columns.iter().zip(names) {
        fields.push(Arc::new(metric(name, key.kind)?));
    }
    Type::group_type_builder("row").with_fields(fields).build().map(Arc::new)
}

fn metric(name: &str, kind: ValueKind) -> Result<Type, parquet::errors::ParquetError> {
    let (physical, logical) = match kind {
        ValueKind::F64 => (PhysicalType::DOUBLE, None),
        ValueKind::I64 => (PhysicalType::INT64, None),
        ValueKind::Bool => (PhysicalType::BOOLEAN, None),
        ValueKind::Str => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}
