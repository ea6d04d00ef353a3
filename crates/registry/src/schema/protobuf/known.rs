//! Files that every schema may import without registering them: `google/protobuf/*` (from the library), and texts of our
//! own with the declarations of `google/type/*`, `confluent/*` and `tidewater/options.proto`.
//!
//! A reference under one of these names is not looked at: what they declare is the same for everybody.

use prost_reflect::DescriptorPool;
use prost_reflect::prost_types::FileDescriptorProto;

/// What is behind the name of a known file.
pub(super) enum Known {
    Text(&'static str),
    Parsed(Box<FileDescriptorProto>),
}

/// The known file of this name.
pub(super) fn open(name: &str) -> Option<Known> {
    if let Some((_, text)) = TEXTS.iter().find(|(known, _)| *known == name) {
        return Some(Known::Text(text));
    }
    if !name.starts_with("google/protobuf/") {
        return None;
    }
    let file = DescriptorPool::global().get_file_by_name(name)?;
    Some(Known::Parsed(Box::new(file.file_descriptor_proto().clone())))
}

macro_rules! texts {
    ($($name:literal => $file:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("proto/", $file)))),*]
    };
}

const TEXTS: [(&str, &str); 21] = texts![
    "tidewater/options.proto" => "tidewater/options.proto",
    "google/type/calendar_period.proto" => "google/type/calendar_period.proto",
    "google/type/color.proto" => "google/type/color.proto",
    "google/type/date.proto" => "google/type/date.proto",
    "google/type/datetime.proto" => "google/type/datetime.proto",
    "google/type/dayofweek.proto" => "google/type/dayofweek.proto",
    "google/type/decimal.proto" => "google/type/decimal.proto",
    "google/type/expr.proto" => "google/type/expr.proto",
    "google/type/fraction.proto" => "google/type/fraction.proto",
    "google/type/interval.proto" => "google/type/interval.proto",
    "google/type/latlng.proto" => "google/type/latlng.proto",
    "google/type/money.proto" => "google/type/money.proto",
    "google/type/month.proto" => "google/type/month.proto",
    "google/type/phone_number.proto" => "google/type/phone_number.proto",
    "google/type/postal_address.proto" => "google/type/postal_address.proto",
    "google/type/quaternion.proto" => "google/type/quaternion.proto",
    "google/type/timeofday.proto" => "google/type/timeofday.proto",
    "confluent/meta.proto" => "confluent/meta.proto",
    "confluent/type/decimal.proto" => "confluent/type/decimal.proto",
    "confluent/types/decimal.proto" => "confluent/type/decimal.proto",
    "confluent/type/variant.proto" => "confluent/type/variant.proto",
];
