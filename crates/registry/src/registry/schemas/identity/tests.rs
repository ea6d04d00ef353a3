//! Identities and GUIDs.

use serde_json::json;

use super::*;

fn reference(version: i64) -> SchemaReference {
    SchemaReference { name: "a".to_owned(), subject: "b".to_owned(), version }
}

#[test]
fn the_guid_is_the_md5_of_the_text() {
    // `printf '"string"' | md5sum`
    let identity = Identity::of(Language::Avro, "\"string\"", &[], &None, &None);
    assert_eq!(identity.guid.simple().to_string(), "095d71cf12556b9d5e330ad575b3df5d");
}

#[test]
fn every_part_makes_a_difference() {
    let identities = [
        Identity::of(Language::Avro, "\"string\"", &[], &None, &None),
        Identity::of(Language::Json, "\"string\"", &[], &None, &None),
        Identity::of(Language::Avro, "\"int\"", &[], &None, &None),
        Identity::of(Language::Avro, "\"string\"", &[reference(1)], &None, &None),
        Identity::of(Language::Avro, "\"string\"", &[reference(2)], &None, &None),
        Identity::of(Language::Avro, "\"string\"", &[], &Some(json!({})), &None),
        Identity::of(Language::Avro, "\"string\"", &[], &None, &Some(json!({}))),
    ];
    for (index, one) in identities.iter().enumerate() {
        assert!(identities[..index].iter().all(|other| other.digest != one.digest), "{index}");
    }
}
