//! What is said of a difference.

use super::super::Difference;

/// In the words of Confluent's registry, where it has them: clients show them as they are.
pub fn of(kind: &'static str, path: &str) -> Difference {
    let path = format!("#{path}");
    let detail = match kind {
        "TYPE_CHANGED" => format!("A type at path '{path}' is different between the new schema and the old schema"),
        "TYPE_NARROWED" => format!("A type at path '{path}' lets less in in the new schema than in the old schema"),
        "SCHEMA_TOO_LARGE" => {
            format!("The schemas at path '{path}' are too large or too deep to be compared; make them smaller")
        }
        "ENUM_ARRAY_CHANGED" => {
            format!("An enum array at path '{path}' is different between the new schema and the old schema")
        }
        "COMBINED_TYPE_CHANGED" | "NOT_TYPE_EXTENDED" | "CONDITION_CHANGED" => {
            format!("The value at path '{path}' is different between the new and old schema")
        }
        "COMBINED_TYPE_SUBSCHEMAS_CHANGED" => {
            format!(
                "A member of the combined type at path '{path}' takes what no member, or not exactly one, takes in the new schema"
            )
        }
        "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL" | "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL" => format!(
            "The new has a closed content model and is missing a property or item present at path '{path}' in the old schema"
        ),
        "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        | "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL" => format!(
            "A property or item is missing in the new schema but present at path '{path}' in the old schema and is not covered by \
             its partially open content model"
        ),
        "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        | "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL" => {
            format!(
                "The new schema has a property or item at path '{path}' which is missing in the old schema and is not covered by \
                 its partially open content model"
            )
        }
        "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL" => format!(
            "The new schema has an unopen content model and has a required property at path '{path}' which is missing in the old \
             schema"
        ),
        _ if kind.ends_with("_ADDED_TO_OPEN_CONTENT_MODEL") => format!(
            "The new schema has an open content model and has a property or item at path '{path}' which is missing in the old \
             schema (data written under the old one may hold anything there)"
        ),
        _ if kind.ends_with("_ADDED") => {
            format!("The keyword at path '{path}' in the new schema is not present in the old schema")
        }
        _ if kind.ends_with("_INCREASED") || kind.ends_with("_EXPANDED") => {
            format!("The value at path '{path}' in the new schema is more than its value in the old schema")
        }
        _ if kind.ends_with("_DECREASED") => {
            format!("The value at path '{path}' in the new schema is less than its value in the old schema")
        }
        _ if kind.ends_with("_NARROWED") => {
            format!(
                "An array or combined type at path '{path}' has fewer elements in the new schema than the old schema"
            )
        }
        _ if kind.ends_with("_EXTENDED") => {
            format!(
                "An array or combined type at path '{path}' has more elements in the new schema than the old schema"
            )
        }
        _ if kind.ends_with("_REMOVED") => {
            format!("The new schema lets nothing in at path '{path}' that it does not name, where the old schema does")
        }
        _ => format!("The value at path '{path}' is different between the new and old schema"),
    };
    Difference { kind, path, detail }
}
